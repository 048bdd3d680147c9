//! What one entry says.

use health_watch_capability::{Denial, Excess};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// One entry of a run's record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Dense, from 0.
    pub seq: u32,
    /// Microseconds after the start of the run.
    pub at_us: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Event {
    /// A run began.
    Opened {
        /// SHA-256 of the component, lower-case hexadecimal.
        probe: Arc<str>,
        /// SHA-256 of the grant's rules and limits, likewise.
        grant: Arc<str>,
    },
    /// A call that names a destination was permitted; its effect follows.
    Intent {
        /// What, in canonical form.
        request: String,
        /// The rule that allowed it.
        rule: String,
        /// The secret that is used, by name.
        #[serde(skip_serializing_if = "Option::is_none")]
        secret: Option<String>,
    },
    /// The effect of an intent ended.
    Settled {
        /// Which intent.
        intent: u32,
        /// Where it went, if it got that far.
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<IpAddr>,
        /// Bytes read from the network.
        bytes_in: u64,
        /// Bytes written to the network.
        bytes_out: u64,
        /// On-CPU time that the effect took, microseconds.
        cpu_us: u64,
        /// How it ended.
        end: String,
    },
    /// A call was refused.
    Denied(Denial),
    /// A call met a countable limit.
    OverQuota(Excess),
    /// The run ended.
    Closed {
        /// How, in one word: `reported`, `failed`, `trapped`, `over-quota`.
        end: String,
        /// Calls, by kind and verdict.
        calls: Vec<Count>,
        /// What it cost.
        bill: Bill,
    },
}

/// How often one kind of call met one verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    /// `http`, `sleep`, `log` …
    pub kind: String,
    /// `allowed`, `denied`, `over-quota`.
    pub verdict: String,
    /// How often.
    pub count: u64,
}

/// What a run cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bill {
    /// On-CPU time of the guest and its set-up, microseconds.
    pub guest_cpu_us: u64,
    /// On-CPU time of its effects, microseconds.
    pub effect_cpu_us: u64,
    /// From start to end, microseconds.
    pub wall_us: u64,
    /// Linear memory at its largest, bytes.
    pub memory_peak_bytes: u64,
    /// HTTP requests permitted.
    pub requests: u64,
    /// Bytes read from the network.
    pub bytes_in: u64,
    /// Bytes written to the network.
    pub bytes_out: u64,
    /// Sleeps permitted.
    pub sleeps: u64,
    /// Denials.
    pub denials: u64,
    /// Bytes of log messages kept.
    pub log_bytes: u64,
    /// Measurements kept.
    pub measurements: u64,
}

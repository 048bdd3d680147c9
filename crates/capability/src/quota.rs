//! Quotas: the limits of a run, and what is said when one is reached.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a quota counts. Stable labels, the same in WIT, records and JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "`label` and `unit` say what each is")]
pub enum Dimension {
    Cpu,
    Wall,
    Memory,
    Table,
    Stack,
    HostMemory,
    Requests,
    Connections,
    BytesIn,
    BytesOut,
    Sleeps,
    LogBytes,
    Measurements,
    Denials,
}

impl Dimension {
    /// The stable label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wall => "wall",
            Self::Memory => "memory",
            Self::Table => "table",
            Self::Stack => "stack",
            Self::HostMemory => "host-memory",
            Self::Requests => "requests",
            Self::Connections => "connections",
            Self::BytesIn => "bytes-in",
            Self::BytesOut => "bytes-out",
            Self::Sleeps => "sleeps",
            Self::LogBytes => "log-bytes",
            Self::Measurements => "measurements",
            Self::Denials => "denials",
        }
    }

    /// The unit its numbers are in: `ms`, `By` (bytes) or `1` (a count).
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Cpu | Self::Wall => "ms",
            Self::Memory | Self::Stack | Self::HostMemory | Self::BytesIn | Self::BytesOut | Self::LogBytes => "By",
            Self::Table | Self::Requests | Self::Connections | Self::Sleeps | Self::Measurements | Self::Denials => "1",
        }
    }

    /// What an operator can change about it.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Cpu => "raise resources.maxCpuTimeMs, or make the probe do less",
            Self::Wall => "raise resources.maxWallTimeMs, or shorten the probe's own waits",
            Self::Memory => "raise resources.maxMemoryMB",
            Self::Table => "the probe's tables are larger than any probe's may be",
            Self::Stack => "the probe recurses too deeply; its stack is fixed",
            Self::HostMemory => "the probe passed too much data in one call",
            Self::Requests => "raise network.maxRequests",
            Self::Connections => "raise network.maxConnections",
            Self::BytesIn => "raise network.maxBytesIn",
            Self::BytesOut => "raise network.maxBytesOut",
            Self::Sleeps => "raise clock.maxSleeps",
            Self::LogBytes => "raise resources.maxLogBytes",
            Self::Measurements => "raise resources.maxMeasurements",
            Self::Denials => "the probe kept asking for what it was not granted",
        }
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// A limit that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Excess {
    /// Which.
    pub dimension: Dimension,
    /// In the dimension's unit.
    pub limit: u64,
    /// What was spent, or would have been had it been let through. In the dimension's unit.
    pub used: u64,
    /// Microseconds after the start of the run.
    pub at_us: u64,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dimension, limit, used, .. } = self;
        match dimension.unit() {
            "1" => write!(f, "{dimension}: {used} of {limit}"),
            unit => write!(f, "{dimension}: {used} of {limit} {unit}"),
        }
    }
}

/// Bytes in the client's `MB`.
pub const MB: u64 = 1 << 20;

/// The limits of one run. Every one is enforced; none is optional.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// All linear memories together, bytes.
    pub memory_bytes: u64,
    /// On-CPU time of the guest, its set-up included, milliseconds.
    pub cpu_ms: u64,
    /// From start to end, milliseconds.
    pub wall_ms: u64,
    /// For one network effect, milliseconds.
    pub effect_ms: u64,
    /// HTTP requests.
    pub requests: u64,
    /// Connections at once.
    pub connections: u64,
    /// Bytes read from the network, heads and bodies.
    pub bytes_in: u64,
    /// Bytes written to the network, heads and bodies.
    pub bytes_out: u64,
    /// Sleeps.
    pub sleeps: u64,
    /// Bytes of log messages.
    pub log_bytes: u64,
    /// Measurements, observed and reported together.
    pub measurements: u64,
    /// Denials; one more ends the run.
    pub denials: u64,
}

impl Limits {
    /// What holds where nobody says otherwise.
    pub const DEFAULT: Self = Self {
        memory_bytes: 16 * MB,
        cpu_ms: 100,
        wall_ms: 30_000,
        effect_ms: 10_000,
        requests: 32,
        connections: 4,
        bytes_in: 8 * MB,
        bytes_out: MB,
        sleeps: 16,
        log_bytes: 16 << 10,
        measurements: 64,
        denials: 32,
    };

    /// The most that may be asked for. Memory is what a slot of the engine's pool holds; the longest
    /// uninterruptible operation, and with it the overrun of the CPU limit, grows with it.
    pub const CEILING: Self = Self {
        memory_bytes: 64 * MB,
        cpu_ms: 60_000,
        wall_ms: 600_000,
        effect_ms: 300_000,
        requests: 1_000,
        connections: 64,
        bytes_in: 256 * MB,
        bytes_out: 64 * MB,
        sleeps: 1_000,
        log_bytes: MB,
        measurements: 1_000,
        denials: 1_000,
    };
}

//! Outcomes: how a run ended, in the host's words.

use health_watch_audit::{Bill, Count, Event, Record};
use health_watch_capability::{Denial, Excess};
use health_watch_runner::{Ended, Failure, LogLine, Measurement, Report, Status as Reported, Verdict};
use health_watch_supervisor::{Closing, Effect, Session};
use serde::Serialize;
use std::fmt;

/// What is known of the target after a run. Only the host says `unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It does what it should.
    Up,
    /// It works, but worse than it should.
    Degraded,
    /// It does not do what it should.
    Down,
    /// The run told nothing about it.
    Unknown,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Unknown => "unknown",
        })
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Ending {
    /// The guest reported.
    Reported(Report),
    /// The guest said that it could not examine the target.
    Failed {
        /// What it said.
        failure: Failure,
    },
    /// The guest trapped.
    Trapped {
        /// Which trap.
        trap: String,
    },
    /// A limit ended the guest.
    OverQuota(Excess),
}

impl Ending {
    fn word(&self) -> &'static str {
        match self {
            Self::Reported(_) => "reported",
            Self::Failed { .. } => "failed",
            Self::Trapped { .. } => "trapped",
            Self::OverQuota(_) => "over-quota",
        }
    }
}

/// All that is known of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Of the target.
    pub status: Status,
    /// Why the status is not the guest's own: `denied`, `over quota: wall` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// How the run ended.
    pub ending: Ending,
    /// What the guest measured.
    pub measurements: Vec<Measurement>,
    /// What the host measured of each effect.
    pub effects: Vec<Effect>,
    /// What was refused.
    pub denials: Vec<Denial>,
    /// What the guest logged.
    pub log: Vec<LogLine>,
    /// What the run cost.
    pub bill: Bill,
    /// Every decision, in order.
    pub records: Vec<Record>,
}

impl Outcome {
    /// The guest's end and the supervisor's record, put together.
    pub(crate) fn new(ended: Ended, session: Session) -> Self {
        let ending = match ended.verdict {
            Verdict::Reported(report) => Ending::Reported(report),
            Verdict::Failed(failure) => Ending::Failed { failure },
            Verdict::Trapped(trap) => Ending::Trapped { trap },
            Verdict::OverQuota(excess) => Ending::OverQuota(excess),
        };
        let guest = Bill {
            guest_cpu_us: ended.bill.cpu_us,
            wall_us: ended.bill.wall_us,
            memory_peak_bytes: ended.bill.memory_peak_bytes,
            log_bytes: ended.log.iter().map(|line| line.message.len() as u64).sum(),
            measurements: ended.measurements.len() as u64,
            ..Bill::default()
        };
        let calls = ended.calls.into_iter().map(|(kind, verdict, count)| Count { kind, verdict, count }).collect();
        let transcript = session.close(Closing { end: ending.word(), guest, calls });
        let hindered = match transcript.denials.first() {
            Some(_) => Some("denied".to_owned()),
            None => transcript.records.iter().find_map(|record| match &record.event {
                Event::OverQuota(excess) => Some(format!("over quota: {}", excess.dimension)),
                _ => None,
            }),
        };
        let (status, cause) = judge(&ending, hindered);
        Self {
            status,
            cause,
            ending,
            measurements: ended.measurements,
            effects: transcript.effects,
            denials: transcript.denials,
            log: ended.log,
            bill: transcript.bill,
            records: transcript.records,
        }
    }

    /// How often calls of `kind` met `verdict`.
    #[must_use]
    pub fn calls(&self, kind: &str, verdict: &str) -> u64 {
        let Some(Event::Closed { calls, .. }) = self.records.last().map(|record| &record.event) else { return 0 };
        calls.iter().filter(|count| count.kind == kind && count.verdict == verdict).map(|count| count.count).sum()
    }
}

/// A probe that errs, traps or is stopped tells nothing about its target. Neither does a `down` from one that was
/// refused something or met a limit: it may be down only because the probe could not look.
fn judge(ending: &Ending, hindered: Option<String>) -> (Status, Option<String>) {
    match ending {
        Ending::Reported(report) => match report.status {
            Reported::Up => (Status::Up, None),
            Reported::Degraded => (Status::Degraded, None),
            Reported::Down if hindered.is_some() => (Status::Unknown, hindered),
            Reported::Down => (Status::Down, None),
        },
        Ending::Failed { failure: Failure::InvalidSettings(_) } => {
            (Status::Unknown, Some("invalid settings".to_owned()))
        }
        Ending::Failed { .. } => (Status::Unknown, Some("probe failed".to_owned())),
        Ending::Trapped { .. } => (Status::Unknown, Some("probe trapped".to_owned())),
        Ending::OverQuota(excess) => (Status::Unknown, Some(format!("over quota: {}", excess.dimension))),
    }
}

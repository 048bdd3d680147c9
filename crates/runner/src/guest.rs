//! What comes out of a guest, cut to size and made of plain values.

use crate::meter::GuestBill;
use health_watch_capability::Excess;
use serde::{Deserialize, Serialize};

/// What a probe says about its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "`wit/probe.wit` says what each is")]
pub enum Status {
    Up,
    Degraded,
    Down,
}

/// A number that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Lower-case words joined by `_`.
    pub name: String,
    /// Finite.
    pub value: f64,
    /// UCUM.
    pub unit: String,
}

impl Measurement {
    /// Whether it keeps the contract's rules: a plain name of at most 64 bytes, a finite value, a short printable unit.
    pub(crate) fn is_valid(&self) -> bool {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let named = self.name.len() <= 64 && self.name.starts_with(|c: char| c.is_ascii_lowercase());
        named
            && self.name.bytes().all(plain)
            && self.value.is_finite()
            && (1..=16).contains(&self.unit.len())
            && self.unit.bytes().all(|b| b.is_ascii_graphic())
    }
}

/// What a probe reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// About the target.
    pub status: Status,
    /// For a person. At most `MESSAGE_BYTES_MAX` bytes; guest text, to be escaped where it is shown.
    pub message: String,
}

/// Bytes of a guest's message that are kept.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4096;

/// Why a probe could not examine its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The settings make no sense to it.
    InvalidSettings(String),
    /// Any other reason.
    Internal(String),
}

/// A line that the guest logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// Microseconds after the start of the run.
    pub at_us: u64,
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// Guest text, to be escaped where it is shown.
    pub message: String,
}

/// How the guest ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Verdict {
    /// With a report.
    Reported(Report),
    /// With an error of its own.
    Failed(Failure),
    /// By a trap; the text says which, and where in the component.
    Trapped(String),
    /// By a limit that cannot be survived.
    OverQuota(Excess),
}

/// All that is left of a guest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// How it ended.
    pub verdict: Verdict,
    /// What it measured, observed ones first.
    pub measurements: Vec<Measurement>,
    /// What it logged.
    pub log: Vec<LogLine>,
    /// Calls that stayed on this side: kind, verdict, how often.
    pub calls: Vec<(String, String, u64)>,
    /// What its meters read.
    pub bill: GuestBill,
}

/// The first `max` bytes of `text`, cut between characters.
pub(crate) fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let end = (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

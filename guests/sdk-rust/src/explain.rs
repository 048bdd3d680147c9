//! Words for a person: what went wrong with an effect, and values cut to a readable length.

use crate::types::{Denial, DenialReason, Dimension, EffectError, Excess, Phase, Timeout, TlsFailure, TlsProblem};
use std::borrow::Cow;

const WHY_CHARS_MAX: usize = 200;

impl EffectError {
    /// What went wrong, for a person, in one line.
    pub fn explain(&self) -> String {
        match self {
            EffectError::Denied(denial) => denial.explain(),
            EffectError::OverQuota(excess) => excess.explain(),
            EffectError::Timeout(timeout) => format!("timeout: {}", timeout.explain()),
            EffectError::Resolve(why) => format!("resolve: {}", shorten(why, WHY_CHARS_MAX)),
            EffectError::Connect(why) => format!("connect: {}", shorten(why, WHY_CHARS_MAX)),
            EffectError::Tls(failure) => format!("tls: {}", failure.explain()),
            EffectError::Protocol(why) => format!("protocol: {}", shorten(why, WHY_CHARS_MAX)),
        }
    }
}

impl Denial {
    /// What was refused, why, and what would allow it.
    pub fn explain(&self) -> String {
        let denied = format!("denied: `{}`: {} ({})", self.request, self.reason.label(), self.rule);
        followed_by(denied, "; to allow it: ", &self.fix)
    }
}

impl DenialReason {
    /// The stable label: the same word stands in records, JSON and documentation.
    pub fn label(self) -> &'static str {
        match self {
            DenialReason::Spelling => "spelling",
            DenialReason::SchemeNotGranted => "scheme-not-granted",
            DenialReason::HostNotGranted => "host-not-granted",
            DenialReason::PortNotGranted => "port-not-granted",
            DenialReason::MethodNotGranted => "method-not-granted",
            DenialReason::AddressNotGranted => "address-not-granted",
            DenialReason::HeaderNotGranted => "header-not-granted",
            DenialReason::SecretNotGranted => "secret-not-granted",
            DenialReason::SecretInClear => "secret-in-clear",
            DenialReason::CapabilityNotGranted => "capability-not-granted",
            DenialReason::NobodyToAsk => "nobody-to-ask",
            DenialReason::RecordUnavailable => "record-unavailable",
        }
    }
}

impl Excess {
    /// Which limit was reached and what to change.
    pub fn explain(&self) -> String {
        let dimension = self.dimension.label();
        let unit = if self.unit == "1" { String::new() } else { format!(" {}", self.unit) };
        let reached = format!("over quota: {dimension}: limit {}{unit}, used {}{unit}", self.limit, self.used);
        followed_by(reached, "; ", &self.hint)
    }
}

impl Dimension {
    /// The stable label.
    pub fn label(self) -> &'static str {
        match self {
            Dimension::Cpu => "cpu",
            Dimension::Wall => "wall",
            Dimension::Memory => "memory",
            Dimension::Table => "table",
            Dimension::Stack => "stack",
            Dimension::HostMemory => "host-memory",
            Dimension::Requests => "requests",
            Dimension::Connections => "connections",
            Dimension::BytesIn => "bytes-in",
            Dimension::BytesOut => "bytes-out",
            Dimension::Sleeps => "sleeps",
            Dimension::LogBytes => "log-bytes",
            Dimension::Measurements => "measurements",
            Dimension::Denials => "denials",
        }
    }
}

impl Timeout {
    /// What had not happened by the deadline.
    pub fn explain(&self) -> String {
        let missing = match self.phase {
            Phase::Resolve => "name not resolved",
            Phase::Connect => "no connection",
            Phase::Tls => "no TLS handshake",
            Phase::Send => "request not sent",
            Phase::Wait => "no response head",
            Phase::Receive => "response not complete",
        };
        format!("{missing} within {} ms", self.limit_ms)
    }
}

impl Phase {
    /// The stable label.
    pub fn label(self) -> &'static str {
        match self {
            Phase::Resolve => "resolve",
            Phase::Connect => "connect",
            Phase::Tls => "tls",
            Phase::Send => "send",
            Phase::Wait => "wait",
            Phase::Receive => "receive",
        }
    }
}

impl TlsProblem {
    /// The stable label.
    pub fn label(self) -> &'static str {
        match self {
            TlsProblem::Expired => "expired",
            TlsProblem::WrongName => "wrong-name",
            TlsProblem::UnknownIssuer => "unknown-issuer",
            TlsProblem::Revoked => "revoked",
            TlsProblem::Certificate => "certificate",
            TlsProblem::Handshake => "handshake",
        }
    }
}

impl TlsFailure {
    /// What is wrong with the certificate or the handshake.
    pub fn explain(&self) -> String {
        match (&*self.finding(), &*self.message) {
            (finding, "") => finding.to_string(),
            (finding, message) => format!("{finding} ({})", shorten(message, WHY_CHARS_MAX)),
        }
    }

    fn finding(&self) -> Cow<'static, str> {
        match (self.problem, &self.certificate) {
            (TlsProblem::Expired, Some(c)) if c.days_left < 0 => expired_ago(c.days_left.unsigned_abs()).into(),
            (TlsProblem::Expired, _) => "certificate expired or not yet valid".into(),
            (TlsProblem::WrongName, Some(c)) if !c.names.is_empty() => {
                format!("certificate is for {}", shorten(&c.names.join(", "), WHY_CHARS_MAX)).into()
            }
            (TlsProblem::WrongName, _) => "certificate is for another name".into(),
            (TlsProblem::UnknownIssuer, Some(c)) => {
                format!("certificate of unknown issuer `{}`", shorten(&c.issuer, WHY_CHARS_MAX)).into()
            }
            (TlsProblem::UnknownIssuer, None) => "certificate of unknown issuer".into(),
            (TlsProblem::Revoked, _) => "certificate revoked".into(),
            (TlsProblem::Certificate, _) => "certificate refused".into(),
            (TlsProblem::Handshake, _) => "handshake failed".into(),
        }
    }
}

fn expired_ago(days: u32) -> String {
    let plural = if days == 1 { "" } else { "s" };
    format!("certificate expired {days} day{plural} ago")
}

fn followed_by(text: String, joint: &str, more: &str) -> String {
    if more.is_empty() { text } else { text + joint + more }
}

/// Makes a text fit for one line: control characters and what could reorder a line escaped, at most `chars_max`
/// characters kept, `…` where some were dropped.
pub fn shorten(text: &str, chars_max: usize) -> String {
    let mut short = String::with_capacity(text.len().min(chars_max));
    for (count, char) in text.chars().enumerate() {
        if count == chars_max {
            short.push('…');
            break;
        }
        if is_plain(char) { short.push(char) } else { short.extend(char.escape_default()) }
    }
    short
}

fn is_plain(char: char) -> bool {
    !char.is_control() && !matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Certificate;

    fn check(error: EffectError, expected: &str) {
        assert_eq!(error.explain(), expected);
    }

    fn tls(problem: TlsProblem, message: &str, days_left: Option<i32>) -> EffectError {
        let certificate = days_left.map(|days_left| Certificate {
            subject: "CN=a.example".into(),
            issuer: "CN=Some CA".into(),
            names: vec!["a.example".into(), "b.example".into()],
            not_before: 0,
            not_after: 0,
            days_left,
            sha256: String::new(),
        });
        EffectError::Tls(TlsFailure { problem, message: message.into(), certificate })
    }

    #[test]
    fn errors_read_well() {
        let timeout = |phase| EffectError::Timeout(Timeout { phase, limit_ms: 5000 });
        check(timeout(Phase::Resolve), "timeout: name not resolved within 5000 ms");
        check(timeout(Phase::Connect), "timeout: no connection within 5000 ms");
        check(timeout(Phase::Tls), "timeout: no TLS handshake within 5000 ms");
        check(timeout(Phase::Send), "timeout: request not sent within 5000 ms");
        check(timeout(Phase::Wait), "timeout: no response head within 5000 ms");
        check(timeout(Phase::Receive), "timeout: response not complete within 5000 ms");
        check(EffectError::Resolve("no such name".into()), "resolve: no such name");
        check(EffectError::Connect("refused".into()), "connect: refused");
        check(EffectError::Protocol("closed early".into()), "protocol: closed early");
        check(
            tls(TlsProblem::Expired, "until 2026-01-01", Some(-3)),
            "tls: certificate expired 3 days ago (until 2026-01-01)",
        );
        check(tls(TlsProblem::Expired, "", Some(-1)), "tls: certificate expired 1 day ago");
        check(tls(TlsProblem::Expired, "", Some(5)), "tls: certificate expired or not yet valid");
        check(tls(TlsProblem::WrongName, "", Some(5)), "tls: certificate is for a.example, b.example");
        check(tls(TlsProblem::UnknownIssuer, "", Some(5)), "tls: certificate of unknown issuer `CN=Some CA`");
        check(tls(TlsProblem::Handshake, "alert", None), "tls: handshake failed (alert)");
        check(
            EffectError::Denied(Denial {
                reason: DenialReason::HostNotGranted,
                request: "GET https://a.example:443".into(),
                rule: "default deny".into(),
                fix: "allow.http = [\"https://a.example\"]".into(),
            }),
            "denied: `GET https://a.example:443`: host-not-granted (default deny); \
             to allow it: allow.http = [\"https://a.example\"]",
        );
        check(
            EffectError::OverQuota(Excess {
                dimension: Dimension::Requests,
                limit: 5,
                used: 6,
                unit: "1".into(),
                at_us: 0,
                hint: "raise `max_requests`".into(),
            }),
            "over quota: requests: limit 5, used 6; raise `max_requests`",
        );
    }

    #[test]
    fn long_and_odd_values_fit_one_line() {
        for (text, expected) in [
            ("plain", "plain"),
            ("123456789", "12345678…"),
            ("12345678", "12345678"),
            ("a\nb\u{1b}[", "a\\nb\\u{1b}["),
            ("\u{202e}x", "\\u{202e}x"),
            ("äöü", "äöü"),
        ] {
            assert_eq!(shorten(text, 8), expected);
        }
    }
}

//! The seam: what a runner asks and what a supervisor answers.
//!
//! These are plain values, the same whether the seam is a function call or a socket. Nothing in them is proof of a
//! decision: a permit never leaves the supervisor, and the supervisor decides again whatever a runner says.

use crate::quota::Excess;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a guest wants now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Send an HTTP request.
    Http(Box<HttpRequest>),
    /// Wait this many milliseconds.
    Sleep(u32),
    /// Which secrets may be used, by name.
    Secrets,
    /// Which rights this run has.
    Granted,
    /// Whether the rules would allow this request.
    Permits {
        /// As in an HTTP request.
        method: String,
        /// As in an HTTP request.
        url: String,
    },
    /// Give up every HTTP right but those for these origins.
    Narrow(Vec<String>),
    /// Ask a person for a right.
    Ask {
        /// What for.
        origin: String,
        /// Why, in the guest's words.
        reason: String,
    },
}

/// An HTTP request as a guest wrote it: nothing in it has been checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpRequest {
    /// For example `GET`.
    pub method: String,
    /// Absolute.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Empty for none.
    pub body: Vec<u8>,
    /// To be added by the supervisor.
    pub credential: Option<Credential>,
    /// For the whole call, milliseconds.
    pub timeout_ms: Option<u32>,
    /// Body bytes to return.
    pub max_body_bytes: Option<u32>,
}

/// A secret to be used in a request, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credential {
    /// RFC 6750; the name of the secret.
    Bearer(String),
    /// RFC 7617.
    Basic {
        /// The user name.
        user: String,
        /// The name of the secret.
        secret: String,
    },
    /// The secret is the value of a header.
    Header {
        /// The header.
        name: String,
        /// The name of the secret.
        secret: String,
    },
}

impl Credential {
    /// The name of the secret.
    #[must_use]
    pub fn secret(&self) -> &str {
        match self {
            Self::Bearer(secret) | Self::Basic { secret, .. } | Self::Header { secret, .. } => secret,
        }
    }
}

/// What comes back for a [`Request`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// It was done.
    Reply(Reply),
    /// It was refused.
    Denied(Denial),
    /// A countable limit was reached; the guest may go on without this effect.
    OverQuota(Excess),
    /// The guest went on asking for what it may not have: the run must end.
    End(Excess),
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// An HTTP response.
    Http(Box<HttpResponse>),
    /// The target failed.
    Failed(EffectFailure),
    /// The wait is over.
    Slept,
    /// Names of secrets.
    Names(Vec<String>),
    /// Rights, as a person would write them: kind and text.
    Rules(Vec<(String, String)>),
    /// The rules allow it.
    Permitted,
    /// The rules do not: the answer to a question, not a denial of the run.
    NotPermitted(Denial),
}

/// An HTTP response with what the supervisor measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HttpResponse {
    /// 100 to 999.
    pub status: u16,
    /// Of the response.
    pub version: HttpVersion,
    /// Names, lower case, and values, converted to UTF-8 lossily.
    pub headers: Vec<(String, String)>,
    /// As sent.
    pub body: Vec<u8>,
    /// Whether the body was cut at its limit.
    pub truncated: bool,
    /// How long it took.
    pub phases: Phases,
    /// Who answered.
    pub peer: Peer,
}

/// The protocol version of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum HttpVersion {
    #[serde(rename = "HTTP/1.0")]
    Http10,
    #[serde(rename = "HTTP/1.1")]
    Http11,
    #[serde(rename = "HTTP/2")]
    Http2,
}

/// How long each phase took, microseconds. One that did not take place is zero; TLS is absent where there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "`wit/probe.wit` says what each is")]
pub struct Phases {
    pub resolve_us: u64,
    pub connect_us: u64,
    pub tls_us: Option<u64>,
    pub send_us: u64,
    pub wait_us: u64,
    pub receive_us: u64,
    pub total_us: u64,
}

/// A part of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Phase {
    Resolve,
    Connect,
    Tls,
    Send,
    Wait,
    Receive,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Send => "send",
            Self::Wait => "wait",
            Self::Receive => "receive",
        })
    }
}

/// Who answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// The address that was dialled.
    pub address: std::net::IpAddr,
    /// The port that was dialled.
    pub port: u16,
    /// Where the connection was encrypted.
    pub tls: Option<TlsSession>,
}

/// Facts about an encrypted connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsSession {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: String,
    /// IANA name.
    pub cipher: String,
    /// RFC 7301.
    pub alpn: Option<String>,
    /// The peer's own.
    pub certificate: Certificate,
}

/// An X.509 certificate (RFC 5280) as presented.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// Distinguished name.
    pub subject: String,
    /// Distinguished name.
    pub issuer: String,
    /// Subject alternative names.
    pub names: Vec<String>,
    /// Seconds since 1970-01-01 UTC.
    pub not_before: i64,
    /// Seconds since 1970-01-01 UTC.
    pub not_after: i64,
    /// Whole days until `not_after`; negative once it has passed.
    pub days_left: i32,
    /// Of the DER encoding, lower-case hexadecimal.
    pub sha256: String,
}

/// Why a TLS handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "`wit/probe.wit` says what each is")]
pub enum TlsProblem {
    Expired,
    WrongName,
    UnknownIssuer,
    Revoked,
    Certificate,
    Handshake,
}

/// Why an effect that was permitted did not succeed: facts about the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectFailure {
    /// Its deadline passed.
    Timeout {
        /// What was under way.
        phase: Phase,
        /// Milliseconds that it was given.
        limit_ms: u64,
    },
    /// The name does not resolve.
    Resolve(String),
    /// No address accepted the connection.
    Connect(String),
    /// The handshake failed.
    Tls {
        /// How.
        problem: TlsProblem,
        /// For a person.
        message: String,
        /// Where the peer got as far as presenting one.
        certificate: Option<Box<Certificate>>,
    },
    /// The peer broke the protocol or the connection.
    Protocol(String),
}

impl fmt::Display for EffectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout { phase, limit_ms } => write!(f, "timeout in {phase} after {limit_ms} ms"),
            Self::Resolve(why) => write!(f, "resolve: {why}"),
            Self::Connect(why) => write!(f, "connect: {why}"),
            Self::Tls { message, .. } => write!(f, "tls: {message}"),
            Self::Protocol(why) => write!(f, "protocol: {why}"),
        }
    }
}

/// Why the gate refused: a closed set of stable labels, the same in WIT, records and JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "`wit/probe.wit` says what each is")]
pub enum DenialReason {
    Spelling,
    SchemeNotGranted,
    HostNotGranted,
    PortNotGranted,
    MethodNotGranted,
    AddressNotGranted,
    HeaderNotGranted,
    SecretNotGranted,
    SecretInClear,
    CapabilityNotGranted,
    NobodyToAsk,
    RecordUnavailable,
}

impl DenialReason {
    /// The stable label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Spelling => "spelling",
            Self::SchemeNotGranted => "scheme-not-granted",
            Self::HostNotGranted => "host-not-granted",
            Self::PortNotGranted => "port-not-granted",
            Self::MethodNotGranted => "method-not-granted",
            Self::AddressNotGranted => "address-not-granted",
            Self::HeaderNotGranted => "header-not-granted",
            Self::SecretNotGranted => "secret-not-granted",
            Self::SecretInClear => "secret-in-clear",
            Self::CapabilityNotGranted => "capability-not-granted",
            Self::NobodyToAsk => "nobody-to-ask",
            Self::RecordUnavailable => "record-unavailable",
        }
    }
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// A reasoned refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Denial {
    /// Why.
    pub reason: DenialReason,
    /// What was asked, in canonical form where it has one.
    pub request: String,
    /// The rule that decided, or `default deny`.
    pub rule: String,
    /// What an operator would add to allow it.
    pub fix: String,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} denied: {} ({})", self.request, self.reason, self.rule)
    }
}

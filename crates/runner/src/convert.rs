//! Between the contract's generated types and plain values.

use crate::guest::{Failure, MESSAGE_BYTES_MAX, Measurement, Report, Status, cut};
use crate::host::bindings;
use bindings::health_watch::probe::{grants, http, log, types};
use health_watch_capability as hw;
use hw::message;

pub(crate) fn request(request: http::Request) -> hw::HttpRequest {
    hw::HttpRequest {
        method: request.method,
        url: request.url,
        headers: request.headers.into_iter().map(|header| (header.name, header.value)).collect(),
        body: request.body,
        credential: request.credential.map(credential),
        timeout_ms: request.timeout_ms,
        max_body_bytes: request.max_body_bytes,
    }
}

fn credential(credential: types::Credential) -> message::Credential {
    match credential {
        types::Credential::Bearer(secret) => message::Credential::Bearer(secret),
        types::Credential::Basic(basic) => message::Credential::Basic { user: basic.user, secret: basic.secret },
        types::Credential::Header(header) => message::Credential::Header { name: header.name, secret: header.secret },
    }
}

pub(crate) fn response(response: message::HttpResponse) -> http::Response {
    http::Response {
        status: response.status,
        version: match response.version {
            message::HttpVersion::Http10 => http::Version::Http10,
            message::HttpVersion::Http11 => http::Version::Http11,
            message::HttpVersion::Http2 => http::Version::Http2,
        },
        headers: response.headers.into_iter().map(|(name, value)| types::Header { name, value }).collect(),
        body: response.body,
        truncated: response.truncated,
        phases: phases(response.phases),
        peer: types::Peer {
            address: response.peer.address.to_string(),
            port: response.peer.port,
            tls: response.peer.tls.map(session),
        },
    }
}

fn phases(phases: message::Phases) -> types::Phases {
    types::Phases {
        resolve_us: phases.resolve_us,
        connect_us: phases.connect_us,
        tls_us: phases.tls_us,
        send_us: phases.send_us,
        wait_us: phases.wait_us,
        receive_us: phases.receive_us,
        total_us: phases.total_us,
    }
}

fn session(session: message::TlsSession) -> types::TlsSession {
    types::TlsSession {
        version: session.version,
        cipher: session.cipher,
        alpn: session.alpn,
        certificate: certificate(session.certificate),
    }
}

fn certificate(certificate: message::Certificate) -> types::Certificate {
    types::Certificate {
        subject: certificate.subject,
        issuer: certificate.issuer,
        names: certificate.names,
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        days_left: certificate.days_left,
        sha256: certificate.sha256,
    }
}

pub(crate) fn failure(failure: message::EffectFailure) -> types::EffectError {
    use message::EffectFailure as F;
    match failure {
        F::Timeout { phase, limit_ms } => {
            types::EffectError::Timeout(types::Timeout { phase: self::phase(phase), limit_ms })
        }
        F::Resolve(why) => types::EffectError::Resolve(why),
        F::Connect(why) => types::EffectError::Connect(why),
        F::Tls { problem, message, certificate } => types::EffectError::Tls(types::TlsFailure {
            problem: self::problem(problem),
            message,
            certificate: certificate.map(|inner| self::certificate(*inner)),
        }),
        F::Protocol(why) => types::EffectError::Protocol(why),
    }
}

fn phase(phase: message::Phase) -> types::Phase {
    match phase {
        message::Phase::Resolve => types::Phase::Resolve,
        message::Phase::Connect => types::Phase::Connect,
        message::Phase::Tls => types::Phase::Tls,
        message::Phase::Send => types::Phase::Send,
        message::Phase::Wait => types::Phase::Wait,
        message::Phase::Receive => types::Phase::Receive,
    }
}

fn problem(problem: message::TlsProblem) -> types::TlsProblem {
    match problem {
        message::TlsProblem::Expired => types::TlsProblem::Expired,
        message::TlsProblem::WrongName => types::TlsProblem::WrongName,
        message::TlsProblem::UnknownIssuer => types::TlsProblem::UnknownIssuer,
        message::TlsProblem::Revoked => types::TlsProblem::Revoked,
        message::TlsProblem::Certificate => types::TlsProblem::Certificate,
        message::TlsProblem::Handshake => types::TlsProblem::Handshake,
    }
}

pub(crate) fn denial(denial: hw::Denial) -> types::Denial {
    use hw::DenialReason as R;
    use types::DenialReason as T;
    let reason = match denial.reason {
        R::Spelling => T::Spelling,
        R::SchemeNotGranted => T::SchemeNotGranted,
        R::HostNotGranted => T::HostNotGranted,
        R::PortNotGranted => T::PortNotGranted,
        R::MethodNotGranted => T::MethodNotGranted,
        R::AddressNotGranted => T::AddressNotGranted,
        R::HeaderNotGranted => T::HeaderNotGranted,
        R::SecretNotGranted => T::SecretNotGranted,
        R::SecretInClear => T::SecretInClear,
        R::CapabilityNotGranted => T::CapabilityNotGranted,
        R::NobodyToAsk => T::NobodyToAsk,
        R::RecordUnavailable => T::RecordUnavailable,
    };
    types::Denial { reason, request: denial.request, rule: denial.rule, fix: denial.fix }
}

pub(crate) fn excess(excess: &hw::Excess) -> types::Excess {
    use hw::Dimension as D;
    use types::Dimension as T;
    let dimension = match excess.dimension {
        D::Cpu => T::Cpu,
        D::Wall => T::Wall,
        D::Memory => T::Memory,
        D::Table => T::Table,
        D::Stack => T::Stack,
        D::HostMemory => T::HostMemory,
        D::Requests => T::Requests,
        D::Connections => T::Connections,
        D::BytesIn => T::BytesIn,
        D::BytesOut => T::BytesOut,
        D::Sleeps => T::Sleeps,
        D::LogBytes => T::LogBytes,
        D::Measurements => T::Measurements,
        D::Denials => T::Denials,
    };
    types::Excess {
        dimension,
        limit: excess.limit,
        used: excess.used,
        unit: excess.dimension.unit().to_owned(),
        at_us: excess.at_us,
        hint: excess.dimension.hint().to_owned(),
    }
}

pub(crate) fn rules(rules: Vec<(String, String)>) -> Vec<grants::Rule> {
    rules.into_iter().map(|(kind, text)| grants::Rule { kind, text }).collect()
}

pub(crate) fn level(level: log::Level) -> &'static str {
    match level {
        log::Level::Debug => "debug",
        log::Level::Info => "info",
        log::Level::Warn => "warn",
        log::Level::Error => "error",
    }
}

/// A guest's report, cut to size, and its measurements as they came.
pub(crate) fn report(report: types::Report) -> (Report, Vec<Measurement>) {
    let status = match report.status {
        types::Status::Up => Status::Up,
        types::Status::Degraded => Status::Degraded,
        types::Status::Down => Status::Down,
    };
    let measurement = |m: types::Measurement| Measurement { name: m.name, value: m.value, unit: m.unit };
    let measurements = report.measurements.into_iter().map(measurement).collect();
    (Report { status, message: cut(report.message, MESSAGE_BYTES_MAX) }, measurements)
}

pub(crate) fn guest_failure(failure: types::Failure) -> Failure {
    match failure {
        types::Failure::InvalidSettings(why) => Failure::InvalidSettings(cut(why, MESSAGE_BYTES_MAX)),
        types::Failure::Internal(why) => Failure::Internal(cut(why, MESSAGE_BYTES_MAX)),
    }
}

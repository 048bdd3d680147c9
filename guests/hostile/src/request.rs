//! Sends a request exactly as it is told, and reports what came of it as JSON.

use crate::settings::Settings;
use health_watch_probe::http::{Request, Response, Version};
use health_watch_probe::types::{Denial, EffectError, Excess, Header};
use health_watch_probe::{Failure, Report, Status};
use serde_json::{Value, json};

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    let request = request(settings);
    let results = (0..settings.times.unwrap_or(1)).map(|_| match request.send() {
        Ok(response) => answer(&response),
        Err(why) => error(why),
    });
    let results: Vec<Value> = results.collect();
    let denied = results.iter().any(|result| result.get("denied").is_some());
    let status = if denied { Status::Down } else { Status::Up };
    Ok(settings.report(status, message(results)))
}

fn request(settings: &Settings) -> Request {
    let header = |(name, value): &(String, String)| Header { name: name.clone(), value: value.clone() };
    Request {
        method: settings.method().to_string(),
        url: settings.attack_url.clone(),
        headers: settings.headers.iter().map(header).collect(),
        body: settings.body.clone().into_bytes(),
        credential: settings.credential.clone().map(Into::into),
        timeout_ms: settings.timeout_ms,
        max_body_bytes: settings.max_body_bytes,
    }
}

/// One result as it is, several as a list.
fn message(mut results: Vec<Value>) -> String {
    match results.pop() {
        Some(only) if results.is_empty() => only.to_string(),
        last => {
            results.extend(last);
            Value::Array(results).to_string()
        }
    }
}

fn answer(response: &Response) -> Value {
    let version = match response.version {
        Version::Http10 => "1.0",
        Version::Http11 => "1.1",
        Version::Http2 => "2",
    };
    json!({"ok": {
        "status": response.status, "version": version, "body_bytes": response.body.len(),
        "truncated": response.truncated
    }})
}

/// What the host said instead of doing it.
pub(crate) fn error(error: EffectError) -> Value {
    match error {
        EffectError::Denied(denial) => json!({"denied": denied(denial)}),
        EffectError::OverQuota(excess) => json!({"over_quota": over_quota(excess)}),
        EffectError::Timeout(timeout) => {
            json!({"timeout": {"phase": timeout.phase.label(), "limit_ms": timeout.limit_ms}})
        }
        EffectError::Resolve(why) => json!({"resolve": why}),
        EffectError::Connect(why) => json!({"connect": why}),
        EffectError::Tls(failure) => json!({"tls": {
            "problem": failure.problem.label(), "message": failure.message,
            "certificate": failure.certificate.map(|certificate| certificate.subject)
        }}),
        EffectError::Protocol(why) => json!({"protocol": why}),
    }
}

pub(crate) fn denied(denial: Denial) -> Value {
    json!({"reason": denial.reason.label(), "request": denial.request, "rule": denial.rule, "fix": denial.fix})
}

fn over_quota(excess: Excess) -> Value {
    json!({
        "dimension": excess.dimension.label(), "limit": excess.limit, "used": excess.used, "unit": excess.unit,
        "at_us": excess.at_us, "hint": excess.hint
    })
}

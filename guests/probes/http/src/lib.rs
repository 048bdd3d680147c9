//! The HTTP probe: requests a URL, follows redirects and examines the response.
//!
//! The way of a run: `settings` (as written) become a `plan` (as meant), `follow` sends it, `examine` judges the
//! response, and this file puts it in words. It opens nothing and trusts nothing: each request is the host's to
//! allow, and whatever the target sends is quoted short and escaped.

mod examine;
mod follow;
mod path;
mod plan;
mod settings;
#[cfg(test)]
mod tests;
mod url;
mod words;

use examine::{Finding, cut_note, examine};
use follow::{End, Host, Trip, World, follow};
use health_watch_probe::http::Response;
use health_watch_probe::types::{Denial, EffectError};
use health_watch_probe::{Failure, Measurement, Report, Status, probe};
use plan::{Goal, Plan, Rules};
use settings::{FailureKind, Settings};

probe! {
    manifest: include_str!("manifest.toml"),
    check: |settings| run(settings, &mut Host),
}

/// The host keeps 4,096 bytes of a message; what is beyond is counted here, so that nothing is lost unseen.
const MESSAGE_BYTES_MAX: usize = 3_800;

fn run(settings: Settings, world: &mut impl World) -> Result<Report, Failure> {
    let plan = Plan::new(settings)?;
    let trip = follow(&plan, world);
    let mut report = match (&trip.end, &plan.goal) {
        (End::Error(EffectError::Denied(denial)), _) => Report::down(refusal(&trip, denial)),
        (End::Error(EffectError::OverQuota(excess)), _) => return Err(Failure::Internal(excess.explain())),
        (End::Error(error), Goal::Response(_)) => Report::down(hop(&trip) + &error.explain()),
        (End::Error(error), Goal::Failure(kind)) => failed(*kind, &trip, error),
        (End::Astray(problem), _) => Report::down(problem.clone()),
        (End::Response(response), Goal::Response(rules)) => {
            observe(&trip, response, world);
            answered(rules, &trip, response)
        }
        (End::Response(response), Goal::Failure(kind)) => {
            observe(&trip, response, world);
            Report::down(format!("expected {}, got {}", kind.expected(), summary(&trip, response)))
        }
    };
    report.measurements = measurements(&trip);
    Ok(report)
}

// --- words ---

/// Where it happened, if not at the first request.
fn hop(trip: &Trip) -> String {
    match trip.urls.as_slice() {
        [_, .., last] => format!("redirect to {}: ", health_watch_probe::shorten(&last.to_string(), 200)),
        _ => String::new(),
    }
}

fn refusal(trip: &Trip, denial: &Denial) -> String {
    match trip.urls.as_slice() {
        [_, .., last] => format!("redirect to {} {}", last.origin(), denial.explain()),
        _ => denial.explain(),
    }
}

fn failed(kind: FailureKind, trip: &Trip, error: &EffectError) -> Report {
    let how = hop(trip) + &error.explain();
    if kind.is(error) {
        Report::up(format!("failed as expected: {how}"))
    } else {
        Report::down(format!("expected {}, got {how}", kind.expected()))
    }
}

impl FailureKind {
    fn is(self, error: &EffectError) -> bool {
        match error {
            EffectError::Denied(_) | EffectError::OverQuota(_) => false,
            _ if self == FailureKind::Any => true,
            EffectError::Timeout(_) => self == FailureKind::Timeout,
            EffectError::Resolve(_) => self == FailureKind::Resolve,
            EffectError::Connect(_) => self == FailureKind::Connect,
            EffectError::Tls(_) => self == FailureKind::Tls,
            EffectError::Protocol(_) => self == FailureKind::Protocol,
        }
    }

    fn expected(self) -> String {
        match self {
            FailureKind::Any => "the request to fail".to_string(),
            kind => format!("the request to fail with `{}`", kind.name()),
        }
    }
}

fn answered(rules: &Rules, trip: &Trip, response: &Response) -> Report {
    let findings = examine(rules, response, trip.phases.total_us);
    let (mut findings, milder): (Vec<_>, Vec<_>) = findings.into_iter().partition(|f| f.status == Status::Down);
    findings.extend(milder);
    let status = findings.first().map_or(Status::Up, |worst| worst.status);
    let mut message = summary(trip, response);
    let unsaid = response.truncated && findings.is_empty() && !rules.body.is_empty();
    if unsaid {
        message += &cut_note(response);
    }
    Report::new(status, with_findings(message, &findings))
}

/// `200 OK in 12 ms, 1,234 bytes, 1 redirect`.
fn summary(trip: &Trip, response: &Response) -> String {
    let status = words::status(response.status);
    let time = words::milliseconds(trip.phases.total_us);
    let more = if response.truncated { "more than " } else { "" };
    let bytes = words::counted(response.body.len(), "byte");
    let redirects = match trip.redirects() {
        0 => String::new(),
        count => format!(", {}", words::counted(count, "redirect")),
    };
    format!("{status} in {time}, {more}{bytes}{redirects}")
}

fn with_findings(mut message: String, findings: &[Finding]) -> String {
    for (at, finding) in findings.iter().enumerate() {
        if message.len() + finding.text.len() > MESSAGE_BYTES_MAX {
            return message + &format!("; and {} more", findings.len() - at);
        }
        message += if at == 0 { ": " } else { "; " };
        message += &finding.text;
    }
    message
}

// --- measurements ---

/// What matters most is kept at once: examining a large body may use up the run.
fn observe(trip: &Trip, response: &Response, world: &mut impl World) {
    world.observe(&Measurement::new("response_time", ms(trip.phases.total_us), "ms"));
    world.observe(&Measurement::new("status_code", response.status.into(), "1"));
}

/// The rest; what was observed is not said twice.
fn measurements(trip: &Trip) -> Vec<Measurement> {
    let End::Response(response) = &trip.end else { return Vec::new() };
    let phases = &trip.phases;
    let mut measurements = vec![
        Measurement::new("resolve", ms(phases.resolve_us), "ms"),
        Measurement::new("connect", ms(phases.connect_us), "ms"),
        Measurement::new("wait", ms(phases.wait_us), "ms"),
        Measurement::new("receive", ms(phases.receive_us), "ms"),
        Measurement::new("body_bytes", response.body.len() as f64, "By"),
        Measurement::new("redirects", trip.redirects() as f64, "1"),
    ];
    measurements.extend(phases.tls_us.map(|tls_us| Measurement::new("tls", ms(tls_us), "ms")));
    let certificate = response.peer.tls.as_ref().map(|tls| &tls.certificate);
    measurements.extend(certificate.map(|c| Measurement::new("certificate_days_left", c.days_left.into(), "d")));
    measurements
}

fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

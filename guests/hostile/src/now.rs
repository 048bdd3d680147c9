//! Reads the clock twice.

use crate::settings::Settings;
use health_watch_probe::{Failure, Report, Status, clock};
use serde_json::json;

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    let [first, second] = [clock::now(), clock::now()].map(|at| json!({"run_ms": at.run_ms, "unix_ms": at.unix_ms}));
    Ok(settings.report(Status::Up, json!([first, second]).to_string()))
}

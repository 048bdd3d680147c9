//! Sleeps, once or often, for as long as it is told.

use crate::request::error;
use crate::settings::Settings;
use health_watch_probe::{Failure, Report, Status, clock};
use serde_json::{Value, json};

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    let mut results = Vec::new();
    for _ in 0..settings.times.unwrap_or(1) {
        results.push(match clock::sleep(settings.sleep_ms.unwrap_or(0)) {
            Ok(()) => json!("slept"),
            Err(why) => error(why),
        });
    }
    let denied = results.iter().any(|result| result.get("denied").is_some());
    let status = if denied { Status::Down } else { Status::Up };
    Ok(settings.report(status, Value::Array(results).to_string()))
}

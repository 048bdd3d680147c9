//! Asks what it would be allowed, without doing it: a probe may find out, and must not be able to overdo it.

use crate::request::denied;
use crate::settings::Settings;
use health_watch_probe::{Failure, Report, Status, grants};
use serde_json::{Value, json};

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    let permits = |url: &String| match grants::permits(settings.method(), url) {
        Ok(()) => json!("permitted"),
        Err(denial) => json!({"denied": denied(denial)}),
    };
    let urls = settings.attack_urls.iter().cycle();
    let count = settings.attack_urls.len() * settings.times.unwrap_or(1) as usize;
    let results: Vec<Value> = urls.take(count).map(permits).collect();
    Ok(settings.report(Status::Up, Value::Array(results).to_string()))
}

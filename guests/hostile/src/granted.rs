//! Lists what it was granted.

use crate::settings::Settings;
use health_watch_probe::{Failure, Report, Status, grants};
use serde_json::Value;

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    let rules: Vec<Value> =
        grants::granted().into_iter().map(|rule| format!("{} {}", rule.kind, rule.text).into()).collect();
    Ok(settings.report(Status::Up, Value::Array(rules).to_string()))
}

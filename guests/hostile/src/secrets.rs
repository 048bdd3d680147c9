//! Lists the secrets it may use; there is no way to ask for more than their names.

use crate::settings::Settings;
use health_watch_probe::{Failure, Report, Status, secrets};
use serde_json::Value;

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    let names: Vec<Value> = secrets::names().into_iter().map(Value::from).collect();
    Ok(settings.report(Status::Up, Value::Array(names).to_string()))
}

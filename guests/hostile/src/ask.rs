//! Asks for a right that it was not given.

use crate::request::denied;
use crate::settings::Settings;
use health_watch_probe::{Failure, Report, Status, grants};
use serde_json::json;

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    Ok(match grants::ask(&settings.attack_url, "because I would like to") {
        Ok(()) => settings.report(Status::Up, json!("granted").to_string()),
        Err(denial) => settings.report(Status::Down, json!({"denied": denied(denial)}).to_string()),
    })
}

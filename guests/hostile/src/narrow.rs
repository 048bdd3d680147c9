//! Gives rights up and then tries to use them.

use crate::request::{self, denied};
use crate::settings::Settings;
use health_watch_probe::{Failure, Report, Status, grants};
use serde_json::json;

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    match grants::narrow(&settings.origins) {
        Ok(_) => request::run(settings),
        Err(denial) => Ok(settings.report(Status::Down, json!({"denied": denied(denial)}).to_string())),
    }
}

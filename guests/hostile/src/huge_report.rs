//! Reports with an enormous message.

use crate::settings::Settings;
use health_watch_probe::{Failure, Report, Status};

const BYTES: usize = 8 << 20;

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    Ok(settings.report(Status::Up, "x".repeat(settings.bytes.unwrap_or(BYTES))))
}

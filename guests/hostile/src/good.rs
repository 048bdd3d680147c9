//! Does nothing wrong: what the host must not punish.

use crate::settings::Settings;
use health_watch_probe::{Failure, Report, Status};

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    Ok(settings.report(Status::Up, "fine"))
}

//! Writes very many log lines.

use crate::settings::Settings;
use health_watch_probe::log::{self, Level};
use health_watch_probe::{Failure, Report, Status};

const TIMES: u32 = 100_000;

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    let times = settings.times.unwrap_or(TIMES);
    for _ in 0..times {
        log::write(Level::Info, "a line of no interest");
    }
    Ok(settings.report(Status::Up, format!("wrote {times} lines")))
}

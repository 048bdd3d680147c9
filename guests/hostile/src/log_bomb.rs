//! Writes one log line that is enormous.

use crate::settings::Settings;
use health_watch_probe::log::{self, Level};
use health_watch_probe::{Failure, Report, Status};

const BYTES: usize = 64 << 20;

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    let line = enormous(settings.bytes.unwrap_or(BYTES))?;
    log::write(Level::Error, &line);
    Ok(settings.report(Status::Up, format!("wrote {} bytes", line.len())))
}

/// Zero bytes: fresh memory holds them already, so that the text costs next to nothing.
pub(crate) fn enormous(bytes: usize) -> Result<String, Failure> {
    String::from_utf8(vec![0; bytes]).map_err(|error| Failure::internal(error.to_string()))
}

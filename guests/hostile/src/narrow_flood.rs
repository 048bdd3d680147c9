//! Narrows again and again to the same origin, many times over: rights must not multiply.

use crate::settings::Settings;
use health_watch_probe::{Failure, Report, grants};

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    let origins: Vec<String> =
        settings.origins.iter().cycle().take(60 * settings.origins.len().min(1)).cloned().collect();
    for _ in 0..settings.times.unwrap_or(10) {
        if let Err(denial) = grants::narrow(&origins) {
            return Ok(Report::down(denial.rule));
        }
    }
    Ok(Report::up(format!("{} rights", grants::granted().len())))
}

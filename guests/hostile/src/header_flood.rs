//! A request with more header fields than any request has.

use crate::settings::Settings;
use health_watch_probe::http::Request;
use health_watch_probe::{Failure, Report};

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    let count = settings.times.unwrap_or(40_000);
    let request = (0..count).fold(Request::get(&settings.attack_url), |request, _| request.header("a", ""));
    Ok(match request.send() {
        Ok(response) => Report::up(format!("status {}", response.status)),
        Err(error) => Report::down(error.explain()),
    })
}

//! Asks without end: costs the guest little and the other side much, so the other side's work must be metered too.

use crate::settings::Settings;
use health_watch_probe::{Failure, Report, grants};
use std::hint::black_box;

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    let long = format!("http://{}example/", "a.".repeat(4000));
    loop {
        let _ = black_box(grants::permits(settings.method(), &long));
    }
}

//! Makes very many measurements, at once and in the report.

use crate::settings::Settings;
use health_watch_probe::{Failure, Measurement, Report, Status};

const TIMES: u32 = 100_000;

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    let times = settings.times.unwrap_or(TIMES);
    let mut report = settings.report(Status::Up, format!("made {times} measurements, twice"));
    for at in 0..times {
        let measurement = Measurement::new(format!("m_{at}"), at.into(), "1");
        measurement.observe();
        report.measurements.push(measurement);
    }
    Ok(report)
}

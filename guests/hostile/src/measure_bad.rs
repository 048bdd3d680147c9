//! Makes measurements that break the rules, at once and in the report; the last one keeps them.

use crate::settings::Settings;
use health_watch_probe::{Failure, Measurement, Report, Status};

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    let mut report = settings.report(Status::Up, "measured badly");
    report.measurements = measurements();
    report.measurements.iter().for_each(Measurement::observe);
    Ok(report)
}

fn measurements() -> Vec<Measurement> {
    vec![
        Measurement::new("not_a_number", f64::NAN, "1"),
        Measurement::new("infinite", f64::INFINITY, "1"),
        Measurement::new("infinite_too", f64::NEG_INFINITY, "1"),
        Measurement::new("", 1.0, "1"),
        Measurement::new("UPPER CASE", 1.0, "1"),
        Measurement::new("line\nbreak", 1.0, "1"),
        Measurement::new("escape\u{1b}[31m", 1.0, "1"),
        Measurement::new("n".repeat(65), 1.0, "1"),
        Measurement::new("n".repeat(1 << 20), 1.0, "1"),
        Measurement::new("unit_line_break", 1.0, "m\ns"),
        Measurement::new("unit_long", 1.0, "u".repeat(1 << 20)),
        Measurement::new("unit_none", 1.0, ""),
        Measurement::new("kept", 1.0, "1"),
    ]
}

//! A probe that does nothing: it measures what a run costs by itself.
//!
//! It asks for nothing, reads no settings and imports nothing.

use health_watch_probe::{Failure, Report, probe};

probe! {
    manifest: r#"
manifest_version = 1
name = "empty"
version = "0.1.0"
description = "Does nothing and says `up`, to measure what a run costs."
[resources]
max_memory_mb = 1
max_cpu_time_ms = 10
max_wall_time_ms = 1000
[settings]
type = "object"
additionalProperties = false
"#,
    check_text: check,
}

/// Says `up`.
fn check(_: &str) -> Result<Report, Failure> {
    Ok(Report::up(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use health_watch_probe::Status;

    #[test]
    fn says_up() {
        let report = check("{}").unwrap();
        assert_eq!((report.status, report.message.as_str(), report.measurements.len()), (Status::Up, "", 0));
    }
}

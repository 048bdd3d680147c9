//! Builders for what a probe says.

use crate::{Failure, Measurement, Report, Status, measure};

impl Report {
    /// The target does what it should.
    pub fn up(message: impl Into<String>) -> Report {
        Report::new(Status::Up, message)
    }

    /// The target works, but worse than it should.
    pub fn degraded(message: impl Into<String>) -> Report {
        Report::new(Status::Degraded, message)
    }

    /// The target does not do what it should.
    pub fn down(message: impl Into<String>) -> Report {
        Report::new(Status::Down, message)
    }

    /// A report without measurements.
    pub fn new(status: Status, message: impl Into<String>) -> Report {
        Report { status, message: message.into(), measurements: Vec::new() }
    }

    /// Adds a measurement, with a UCUM unit: `ms`, `s`, `By`, `d`, `%`, or `1` for a count.
    #[must_use]
    pub fn measure(mut self, name: impl Into<String>, value: f64, unit: impl Into<String>) -> Report {
        self.measurements.push(Measurement::new(name, value, unit));
        self
    }
}

impl Measurement {
    /// A measurement for a report.
    pub fn new(name: impl Into<String>, value: f64, unit: impl Into<String>) -> Measurement {
        Measurement { name: name.into(), value, unit: unit.into() }
    }

    /// Hands the measurement to the host at once, so that it is kept even if the run is ended before its report. It
    /// need not stand in the report too.
    pub fn observe(&self) {
        measure::observe(&self.name, self.value, &self.unit);
    }
}

impl Failure {
    /// The settings make no sense: name the setting and the fix.
    pub fn invalid(message: impl Into<String>) -> Failure {
        Failure::InvalidSettings(message.into())
    }

    /// The probe could not do its work for a reason of its own.
    pub fn internal(message: impl Into<String>) -> Failure {
        Failure::Internal(message.into())
    }
}

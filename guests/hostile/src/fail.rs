//! Says that it failed for a reason of its own.

use crate::settings::Settings;
use health_watch_probe::{Failure, Report};

pub(crate) fn run(_: &Settings) -> Result<Report, Failure> {
    Err(Failure::internal("the hostile probe fails"))
}

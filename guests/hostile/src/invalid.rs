//! Says that its settings make no sense.

use crate::settings::Settings;
use health_watch_probe::{Failure, Report};

pub(crate) fn run(_: &Settings) -> Result<Report, Failure> {
    Err(Failure::invalid("`attack`: the hostile probe refuses it"))
}

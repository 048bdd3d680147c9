//! Panics.

use crate::settings::Settings;
use health_watch_probe::{Failure, Report};

#[expect(clippy::panic, reason = "it is the attack")]
pub(crate) fn run(_: &Settings) -> Result<Report, Failure> {
    panic!("the hostile probe panics");
}

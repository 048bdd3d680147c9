//! Computes without end: only a meter of CPU time ends it.

use crate::settings::Settings;
use health_watch_probe::{Failure, Report};
use std::hint::black_box;

pub(crate) fn run(_: &Settings) -> Result<Report, Failure> {
    let mut turns = 0u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

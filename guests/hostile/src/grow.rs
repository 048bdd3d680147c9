//! Allocates until memory is refused, touches all of it, and says how much there was.

use crate::settings::Settings;
use health_watch_probe::{Failure, Report, Status};
use std::hint::black_box;

const STEP_BYTES: usize = 1 << 20;

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut step = Vec::new();
        if kept.try_reserve(1).is_err() || step.try_reserve_exact(STEP_BYTES).is_err() {
            break;
        }
        step.resize(STEP_BYTES, 1);
        kept.push(black_box(step));
    }
    let steps = kept.len();
    drop(black_box(kept));
    Ok(settings.report(Status::Up, format!("refused after {steps} MiB")))
}

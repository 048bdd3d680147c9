//! Calls itself without end: on the engine's stack, or, where `bytes` is set, also on the stack in the probe's memory.

use crate::settings::Settings;
use health_watch_probe::{Failure, Report, Status};
use std::hint::black_box;

/// A function that calls what it is given: nobody who compiles it can know that it is itself.
struct Deeper(fn(&Deeper, u64) -> u64);

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    let deeper = if settings.bytes.is_some() { in_memory } else { on_the_engine };
    let depth = black_box(Deeper(deeper)).descend(0);
    Ok(settings.report(Status::Up, format!("came back from {depth}")))
}

impl Deeper {
    fn descend(&self, depth: u64) -> u64 {
        (self.0)(self, depth)
    }
}

/// Uses the depth after the call, so that the call is no jump.
fn on_the_engine(deeper: &Deeper, depth: u64) -> u64 {
    deeper.descend(depth.wrapping_add(1)) ^ depth
}

/// Keeps an array in each frame, at an address, so that it lies in memory.
fn in_memory(deeper: &Deeper, depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    deeper.descend(depth.wrapping_add(1)) ^ black_box(&frame).iter().sum::<u64>()
}

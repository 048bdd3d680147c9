//! Fills memory with bulk instructions, each of which runs long without passing a point where it could be ended.

use crate::settings::Settings;
use health_watch_probe::{Failure, Report, Status};
use std::hint::black_box;

const BYTES: usize = 8 << 20;

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    let bytes = settings.bytes.unwrap_or(BYTES);
    let times = settings.times.unwrap_or(0);
    let mut memory = vec![0u8; bytes];
    let mut done = 0;
    while times == 0 || done < times {
        memory.fill(black_box(done as u8));
        black_box(&memory);
        done = done.wrapping_add(1);
    }
    Ok(settings.report(Status::Up, format!("filled {bytes} bytes {times} times")))
}

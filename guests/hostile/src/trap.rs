//! Executes `unreachable`.

use crate::settings::Settings;
use health_watch_probe::{Failure, Report};

pub(crate) fn run(_: &Settings) -> Result<Report, Failure> {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort();
}

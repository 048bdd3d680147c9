//! The side that holds guest code, and no authority.
//!
//! This crate alone knows Wasmtime. It loads components, meters what a guest spends of CPU, time and memory, and
//! gives guests host functions that can only *ask*: whatever has an effect crosses the [`Seam`]. It opens no socket
//! and no file, and it decides nothing.

mod convert;
mod engine;
mod guest;
mod host;
mod inspect;
mod load;
mod meter;
mod run;

pub use engine::{Runner, RunnerConfig, StartError};
pub use guest::{Ended, Failure, LogLine, Measurement, Report, Status, Verdict};
pub use inspect::{COMPONENT_BYTES_MAX, Inspected, LoadError, inspect};
pub use load::Loaded;
pub use meter::GuestBill;
pub use run::Seam;

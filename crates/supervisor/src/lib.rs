//! The trusted side: it decides, charges, records, and only then performs.
//!
//! A run's requests arrive as [`Request`](health_watch_capability::Request)s at a [`Session`]. Its gate turns each
//! into a permit or a denial; an effect takes its destination from the permit, so nothing after the check can send
//! it elsewhere. This crate knows sockets, secrets and the meters of effects. It does not know the engine, schedules,
//! or who asks: it decides the same whatever a runner says.

mod broker;
mod config;
mod cpu;
mod gate;
mod secrets;
mod session;

pub use config::{Config, Nameservers, Roots, StartError};
pub use secrets::{Secret, Secrets};
pub use session::{Closing, Effect, Opening, Session, Supervisor, Transcript};

//! The record of a run: every decision, every effect and how it ended, in order.
//!
//! A later version hangs these records on a Merkle tree; their content and order are already final. What stands in a
//! record is what was decided and done, never a secret, a header or a body.

mod record;
mod recorder;

pub use record::{Bill, Count, Event, Record};
pub use recorder::{Full, Recorder, Seq};

//! What a probe may do: requests, patterns, addresses, manifests, grants, and the decision.
//!
//! This crate is pure. It knows no time, file, socket, engine or wire; it turns values into values, so that whoever
//! wants to know why something was allowed needs to read only this. Deny is the default everywhere: an absent
//! section, an absent list and an empty list all grant nothing.

pub mod address;
pub mod decision;
mod fault;
pub mod grant;
pub mod host;
pub mod interface;
pub mod manifest;
pub mod message;
pub mod pattern;
pub mod policy;
pub mod quota;
mod template;
#[cfg(test)]
mod tests;

pub use decision::{Allowed, decide, judge_address};
pub use fault::Fault;
pub use grant::{Dropped, Gap, Grant, Negotiated, Refusal, negotiate};
pub use host::{Host, Misspelling, Origin, Scheme, Url};
pub use manifest::Manifest;
pub use message::{Answer, Denial, DenialReason, HttpRequest, Reply, Request};
pub use policy::Policy;
pub use quota::{Dimension, Excess, Limits};

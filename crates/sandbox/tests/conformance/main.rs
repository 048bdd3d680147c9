//! The spine's conformance: real guests against real servers on loopback, through both joins.
//!
//! Every test runs with the runner in process and with the runner as a child behind a socket pair. A limit or a
//! denial that holds on one path only is a defect.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "../servers/mod.rs"]
mod servers;

mod denials;
mod load;
mod outcomes;
mod quotas;
mod redirects;
mod seam;
mod secrets;
mod support;

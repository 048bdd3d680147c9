//! Tests of the pure core: tables through one `check`, and laws by proptest.

mod addresses;
mod decide;
mod interface;
mod laws;
mod manifest;
mod policy;
mod spelling;

use crate::fault::Fault;
use crate::{Grant, Manifest, Policy, negotiate};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// Runs a law over `cases` values; the law panics where it does not hold.
fn holds<S: Strategy>(cases: u32, values: &S, law: impl Fn(S::Value)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(values, |value| {
        law(value);
        Ok(())
    });
    if let Err(broken) = outcome {
        panic!("{broken}");
    }
}

/// Faults as a person reads them.
fn rendered<T>(outcome: Result<T, Vec<Fault>>) -> Vec<String> {
    outcome.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

/// A manifest with these asks.
fn manifest(required: &Value, optional: &Value) -> Manifest {
    let written =
        json!({ "manifestVersion": 1, "name": "test", "version": "1", "required": required, "optional": optional });
    Manifest::from_json(&written.to_string()).unwrap()
}

/// Asks for everything that the operator allows.
fn asks_for_everything() -> Manifest {
    manifest(
        &json!([]),
        &json!([
            { "kind": "http", "origin": "*", "reason": "look" },
            { "kind": "secret", "name": "token", "reason": "log in" },
            { "kind": "clock", "maxSleepMs": 4_000_000_000_u32, "reason": "wait" },
        ]),
    )
}

/// What `policy` alone comes to.
fn grant_of(policy: &Policy) -> Grant {
    negotiate(&asks_for_everything(), &json!({}), None, policy).unwrap().grant
}

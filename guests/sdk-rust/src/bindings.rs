//! The contract, as Rust: generated from `wit/probe.wit` at compile time, nothing added by hand.
//!
//! All interfaces are bound. A component ends up importing only those that the probe uses.
wit_bindgen::generate!({
    path: "../../wit",
    world: "probe",
    pub_export_macro: true,
});

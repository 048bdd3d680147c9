//! Write a Health Watch probe in Rust.
//!
//! Owns what every probe needs: the bindings to the contract (`wit/probe.wit`), the macro [`probe!`] that exports a
//! function and carries the manifest, builders for what a probe says and asks, and an allocator made for one short
//! run. It refuses nothing and decides nothing: what a probe may do is decided by the host, at each call.
//!
//! ```
//! use health_watch_probe::{Failure, Report, http, serde::Deserialize};
//!
//! health_watch_probe::probe! {
//!     manifest: r#"
//!         manifest_version = 1
//!         name = "teapot"
//!         version = "0.1.0"
//!         description = "Is it a teapot?"
//!         [[required]]
//!         kind = "http"
//!         origin = "{settings.url.origin}"
//!         methods = ["GET"]
//!         reason = "ask the teapot"
//!         [settings]
//!         type = "object"
//!         required = ["url"]
//!         properties.url = { type = "string", format = "uri" }
//!     "#,
//!     check: check,
//! }
//!
//! #[derive(Deserialize)]
//! #[serde(crate = "health_watch_probe::serde")]
//! struct Settings {
//!     url: String,
//! }
//!
//! fn check(settings: Settings) -> Result<Report, Failure> {
//!     Ok(match http::Request::get(&settings.url).send() {
//!         Ok(response) if response.status == 418 => Report::up("short and stout"),
//!         Ok(response) => Report::down(format!("expected status 418, got {}", response.status)),
//!         Err(error) => Report::down(error.explain()),
//!     })
//! }
//! # fn main() {}
//! ```

mod arena;
#[doc(hidden)]
pub mod bindings;
mod explain;
mod macros;
mod report;
mod request;
mod settings;

pub use bindings::health_watch::probe::{
    clock, dns, grants, http, log, measure, quota, secrets, state, tcp, tls,
    types::{self, Failure, Measurement, Report, Status},
};
pub use explain::shorten;
pub use {serde, serde_json};

/// What the macros expand to; not for use by hand.
#[doc(hidden)]
pub mod private {
    pub use crate::settings::parse;
}

//! A channel's settings against the probe's schema, before anything runs.

use health_watch_capability::{Fault, Manifest};
use health_watch_runner::LoadError;
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// Whether the manifest's schema is one.
pub(crate) fn check_schema(manifest: &Manifest) -> Result<(), LoadError> {
    validator(manifest)
        .map(|_| ())
        .map_err(|problem| LoadError::Manifest(vec![Fault { line: None, key: "settings".to_owned(), problem }]))
}

/// Every way in which `settings` do not satisfy the schema.
pub(crate) fn check(manifest: &Manifest, settings: &Value) -> Vec<Fault> {
    let validator = match validator(manifest) {
        Ok(validator) => validator,
        Err(problem) => return vec![Fault { line: None, key: "settings".to_owned(), problem }],
    };
    let fault = |error: jsonschema::ValidationError<'_>| {
        let path = error.instance_path().as_str().replace('/', ".");
        Fault { line: None, key: format!("settings{path}"), problem: error.to_string() }
    };
    validator.iter_errors(settings).map(fault).collect()
}

/// A stranger's schema: patterns run on an engine that is linear in its input, and no reference leaves the schema.
fn validator(manifest: &Manifest) -> Result<Validator, String> {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .with_pattern_options(PatternOptions::regex().size_limit(1 << 20))
        .build(&manifest.settings)
        .map_err(|error| format!("is not a JSON Schema that can be used: {error}"))
}

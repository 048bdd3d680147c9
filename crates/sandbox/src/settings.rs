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
        Fault { line: None, key: format!("settings{path}"), problem: in_words(&error) }
    };
    validator.iter_errors(settings).take(FAULTS_MAX).map(fault).collect()
}

/// What is wrong, with what may stand there.
fn in_words(error: &jsonschema::ValidationError<'_>) -> String {
    use jsonschema::error::ValidationErrorKind as Kind;
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => {
            let names: Vec<String> = unexpected.iter().map(|name| format!("`{}`", name.escape_debug())).collect();
            format!("{} is no setting here; `health-watch probe inspect` lists those there are", names.join(", "))
        }
        Kind::Enum { options } => format!("`{}` is not one of {options}", error.instance()),
        Kind::Type { kind } => format!("`{}` is not of type {kind:?}", error.instance()),
        _ => error.to_string(),
    }
}

/// Faults that are listed.
const FAULTS_MAX: usize = 32;

/// Bytes of a schema, and patterns in it.
const SCHEMA_BYTES_MAX: usize = 64 << 10;
const PATTERNS_MAX: usize = 200;

/// A schema is a stranger's, and checking settings against it happens on our time: references could make a small one
/// expand without end, so there are none, and the rest is bounded.
fn judge_size(schema: &Value) -> Result<(), String> {
    let bytes = schema.to_string().len();
    if bytes > SCHEMA_BYTES_MAX {
        return Err(format!("is a schema of {bytes} bytes; at most {SCHEMA_BYTES_MAX} are accepted"));
    }
    let mut patterns = 0;
    let mut waiting = vec![schema];
    while let Some(value) = waiting.pop() {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    if matches!(key.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef") {
                        return Err(format!("has `{key}`; a schema must stand without references"));
                    }
                    patterns += match (key.as_str(), value) {
                        ("pattern", _) => 1,
                        ("patternProperties", Value::Object(inner)) => inner.len(),
                        _ => 0,
                    };
                    waiting.push(value);
                }
            }
            Value::Array(values) => waiting.extend(values),
            _ => {}
        }
    }
    if patterns > PATTERNS_MAX {
        return Err(format!("has {patterns} patterns; at most {PATTERNS_MAX} are accepted"));
    }
    Ok(())
}

/// A stranger's schema: patterns run on an engine that is linear in its input, and no reference leaves the schema.
fn validator(manifest: &Manifest) -> Result<Validator, String> {
    judge_size(&manifest.settings)?;
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .with_pattern_options(PatternOptions::regex().size_limit(1 << 20))
        .build(&manifest.settings)
        .map_err(|error| format!("is not a JSON Schema that can be used: {error}"))
}

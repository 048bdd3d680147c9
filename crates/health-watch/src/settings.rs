//! Settings from a command line: a file, and single values on top of it.

use crate::Stop;
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;

/// Reads `--settings FILE` and lays the `--set KEY=VALUE` words over it. `schema` decides whether a value is text.
#[expect(clippy::disallowed_methods, reason = "the operator names files on the command line")]
pub(crate) fn read(file: Option<&Path>, words: &[String], schema: &Value) -> Result<Value, Stop> {
    let mut settings = match file {
        None => Value::Object(Map::new()),
        Some(path) => {
            let text = fs::read_to_string(path)
                .map_err(|error| Stop::Usage(format!("cannot read `{}`: {error}", path.display())))?;
            serde_json::from_str(&text).map_err(|error| Stop::Usage(format!("{}: {error}", path.display())))?
        }
    };
    if !settings.is_object() {
        return Err(Stop::Usage(
            "the settings are not a JSON object, such as {\"url\": \"https://example.org\"}".to_owned(),
        ));
    }
    for word in words {
        set(&mut settings, word, schema)?;
    }
    Ok(settings)
}

fn set(settings: &mut Value, word: &str, schema: &Value) -> Result<(), Stop> {
    let Some((path, written)) = word.split_once('=') else {
        return Err(Stop::Usage(format!("`--set {word}` has no value; write `--set {word}=VALUE`")));
    };
    let (mut place, mut schema) = (settings, Some(schema));
    for step in path.split('.') {
        if step.is_empty() {
            return Err(Stop::Usage(format!("`--set {word}` has an empty step in `{path}`")));
        }
        let Value::Object(map) = place else {
            return Err(Stop::Usage(format!("`--set {word}` goes through `{step}`'s parent, which is not an object")));
        };
        schema = schema
            .and_then(|schema| schema.get("properties")?.get(step).or_else(|| schema.get("additionalProperties")));
        place = map.entry(step).or_insert_with(|| Value::Object(Map::new()));
    }
    *place = value(written, schema)?;
    Ok(())
}

/// Text where the schema wants text; otherwise JSON where it is JSON, and text where it is not.
fn value(written: &str, schema: Option<&Value>) -> Result<Value, Stop> {
    let text = || Value::String(written.to_owned());
    let field = |name: &str| schema.and_then(|schema| schema.get(name));
    let only_texts =
        field("enum").and_then(Value::as_array).is_some_and(|options| options.iter().all(Value::is_string));
    if only_texts || field("type").and_then(Value::as_str) == Some("string") {
        return Ok(text());
    }
    match serde_json::from_str(written) {
        Ok(value) => Ok(value),
        Err(error) if written.starts_with(['[', '{']) => Err(Stop::Usage(format!("`{written}` is not JSON: {error}"))),
        Err(_) => Ok(text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(words: &[&str], expected: &Value) {
        let schema = json!({ "properties": { "url": { "type": "string" }, "max": { "type": "integer" }, "version": { "enum": ["1.1", "2"] } } });
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let Ok(settings) = read(None, &words, &schema) else { unreachable!("{words:?}") };
        assert_eq!(&settings, expected);
    }

    #[test]
    fn values_are_text_where_the_schema_says_so() {
        check(&["url=12"], &json!({ "url": "12" }));
        check(&["max=12"], &json!({ "max": 12 }));
        check(&["version=2"], &json!({ "version": "2" }));
        check(&["url=a=b"], &json!({ "url": "a=b" }));
        check(&["expect.status=[200]"], &json!({ "expect": { "status": [200] } }));
        check(&["other=plain text"], &json!({ "other": "plain text" }));
    }

    #[test]
    fn nonsense_is_refused() {
        for word in ["url", "=x", "a..b=1", "list=[1", "table={a:1}"] {
            assert!(read(None, &[word.to_owned()], &json!({})).is_err(), "{word}");
        }
        assert!(read(None, &["a=1".to_owned(), "a.b=1".to_owned()], &json!({})).is_err());
    }
}

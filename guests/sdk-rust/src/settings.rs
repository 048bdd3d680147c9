//! Reads a channel's settings into a probe's own type.

use crate::Failure;
use serde::de::DeserializeOwned;

/// Reads the settings. An error names the key it is about.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        let key = match path_at(text, offset(text, &error)) {
            path if path.is_empty() => String::new(),
            path => format!("`{path}`: "),
        };
        Failure::InvalidSettings(format!("{key}{}", without_position(&error.to_string())))
    })
}

/// Drops ` at line 1 column 7`: the settings are generated, nobody can look there.
fn without_position(message: &str) -> &str {
    message.rsplit_once(" at line ").map_or(message, |(front, _)| front)
}

/// How many bytes were read when the error was found.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    before + error.column()
}

/// An object or array that is being read.
enum Open {
    Object { key: String, expects_key: bool },
    Array { index: usize },
}

/// The path of the value that ends at `offset`, such as `expect.status[1]`.
///
/// Found by reading the text again, because deserializers that keep the path as they go triple a probe's size.
fn path_at(text: &str, offset: usize) -> String {
    let mut open = Vec::new();
    let mut rest = text.get(..offset).unwrap_or(text);
    while let Some(at) = rest.find(['{', '}', '[', ']', ',', ':', '"']) {
        let (sign, tail) = rest.split_at(at).1.split_at(1);
        rest = tail;
        match (sign, open.last_mut()) {
            ("{", _) => open.push(Open::Object { key: String::new(), expects_key: true }),
            ("[", _) => open.push(Open::Array { index: 0 }),
            ("}" | "]", _) => drop(open.pop()),
            (",", Some(Open::Object { expects_key, .. })) => *expects_key = true,
            (",", Some(Open::Array { index })) => *index += 1,
            ("\"", container) => {
                let (string, tail) = string(rest);
                rest = tail;
                if let Some(Open::Object { key, expects_key }) = container
                    && *expects_key
                {
                    *key = string.to_string();
                    *expects_key = false;
                }
            }
            _ => {}
        }
    }
    open.iter().fold(String::new(), |path, container| match container {
        Open::Object { key, .. } if path.is_empty() || key.is_empty() => path + key,
        Open::Object { key, .. } => path + "." + key,
        Open::Array { index } => path + &format!("[{index}]"),
    })
}

/// The rest of a string as written, and what follows its closing quote.
fn string(text: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    let (string, tail) = text.split_at(end.unwrap_or(text.len()));
    (string, tail.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        url: String,
        expect: Option<Expect>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Expect {
        times: Vec<u8>,
    }

    fn check(text: &str, expected: &str) {
        let found = match parse::<Settings>(text) {
            Ok(settings) => format!("{settings:?}"),
            Err(Failure::InvalidSettings(message)) => message,
            Err(other) => format!("{other:?}"),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn an_error_names_the_key() {
        check(r#"{"url":"x"}"#, r#"Settings { url: "x", expect: None }"#);
        check("{}", "missing field `url`");
        check(r#"{"url":1}"#, "`url`: invalid type: integer `1`, expected a string");
        check(
            r#"{"url":"x","expect":{"times":[1,-2]}}"#,
            "`expect.times[1]`: invalid value: integer `-2`, expected u8",
        );
        check(r#"{"url":"x","expect":{"time":1}}"#, "`expect.time`: unknown field `time`, expected `times`");
        check(
            "{\"url\":\"[\\\"{\",\n\"expect\":{\"times\":[1,[]]}}",
            "`expect.times[1]`: invalid type: sequence, expected u8",
        );
        check(r#"{"expect":{"times":[1]},"url":[]}"#, "`url`: invalid type: sequence, expected a string");
        check(r#"{"url":"x","expect":{}}"#, "`expect`: missing field `times`");
        check(r#"{"ü":"#, "`ü`: unknown field `ü`, expected `url` or `expect`");
        check("[", "`[0]`: EOF while parsing a list");
    }
}

//! Templates: how a manifest refers to a channel's settings, `{settings.url.origin}`.
//!
//! Only values that the operator wrote are seen. A default in the probe's own schema is not the operator's word, so
//! it can never widen a grant.

use crate::host::{Host, Scheme, Url};
use serde_json::Value;

/// What a template came to.
pub(crate) struct Expanded {
    pub(crate) text: String,
    /// Whether it came from the operator's settings, not from the manifest's own text.
    pub(crate) from_settings: bool,
}

/// The value of `template` for `settings`: `None` where it refers to a setting that is not there and has no default.
pub(crate) fn expand(template: &str, settings: &Value) -> Result<Option<Expanded>, String> {
    let mixed =
        || format!("`{template}` mixes text and a reference; write one reference, `{{settings.NAME}}`, or plain text");
    let Some(inner) = template.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return if template.contains(['{', '}']) {
            Err(mixed())
        } else {
            Ok(Some(Expanded { text: template.to_owned(), from_settings: false }))
        };
    };
    if inner.contains(['{', '}']) {
        return Err(mixed());
    }
    let (path, default) = match inner.split_once('|') {
        Some((path, default)) => (path, Some(default)),
        None => (inner, None),
    };
    let Some(path) = path.strip_prefix("settings.") else {
        return Err(format!("`{template}` refers to something other than `settings`"));
    };
    match resolve(path, settings)? {
        Some(text) => Ok(Some(Expanded { text, from_settings: true })),
        None => Ok(default.map(|text| Expanded { text: text.to_owned(), from_settings: false })),
    }
}

fn resolve(path: &str, settings: &Value) -> Result<Option<String>, String> {
    let mut value = settings;
    let mut steps = path.split('.').peekable();
    while let Some(step) = steps.next() {
        match value {
            Value::Object(map) => match map.get(step) {
                Some(found) => value = found,
                None => return Ok(None),
            },
            Value::String(text) if steps.peek().is_none() => return part_of_url(text, step, path),
            _ => return Ok(None),
        }
    }
    match value {
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(number) => Ok(Some(number.to_string())),
        _ => Err(format!("settings.{path} is neither a text nor a number")),
    }
}

fn part_of_url(text: &str, part: &str, path: &str) -> Result<Option<String>, String> {
    let key = path.rsplit_once('.').map_or(path, |(head, _)| head);
    let url: Url = text.parse().map_err(|fault| format!("settings.{key}: {fault}"))?;
    Ok(match part {
        "origin" => Some(url.origin.to_string()),
        "host" => Some(url.origin.host.to_string()),
        "port" => Some(url.origin.port.to_string()),
        "scheme" => Some(url.origin.scheme.to_string()),
        "https_origin" => https_upgrade(&url),
        _ => return Err(format!("`.{part}` is not a part of a URL; use origin, host, port, scheme or https_origin")),
    })
}

/// The same host over https, for a URL that is plain http on its default port or on another: port 443.
fn https_upgrade(url: &Url) -> Option<String> {
    let host: &Host = &url.origin.host;
    (url.origin.scheme == Scheme::Http).then(|| format!("https://{host}"))
}

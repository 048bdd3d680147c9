//! The settings as written: one field per key of the manifest's schema, nothing interpreted.

use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};
use std::collections::BTreeMap;

/// A channel's settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) method: Method,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) json: Option<Value>,
    pub(crate) auth: Option<Auth>,
    pub(crate) timeout_ms: Option<u32>,
    pub(crate) max_body_bytes: Option<u32>,
    #[serde(default = "max_redirects")]
    pub(crate) max_redirects: u32,
    #[serde(default)]
    pub(crate) expect: Expect,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Auth {
    Bearer(String),
    Basic { user: String, secret: String },
    Header { name: String, secret: String },
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Expect {
    pub(crate) status: Option<Vec<Value>>,
    pub(crate) headers: Vec<ExpectHeader>,
    pub(crate) body: ExpectBody,
    pub(crate) json: Vec<ExpectJson>,
    pub(crate) response_time_ms: Thresholds,
    pub(crate) certificate_days: Thresholds,
    pub(crate) failure: Option<FailureKind>,
    pub(crate) version: Option<HttpVersion>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectHeader {
    pub(crate) name: String,
    pub(crate) equals: Option<String>,
    pub(crate) contains: Option<String>,
    pub(crate) matches: Option<String>,
    pub(crate) present: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ExpectBody {
    pub(crate) contains: Vec<String>,
    pub(crate) not_contains: Vec<String>,
    pub(crate) matches: Vec<String>,
    pub(crate) not_matches: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectJson {
    pub(crate) path: String,
    #[serde(default, deserialize_with = "present")]
    pub(crate) equals: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) not_equals: Option<Value>,
    pub(crate) less_than: Option<Number>,
    pub(crate) at_most: Option<Number>,
    pub(crate) greater_than: Option<Number>,
    pub(crate) at_least: Option<Number>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) contains: Option<Value>,
    pub(crate) matches: Option<String>,
    pub(crate) exists: Option<bool>,
    pub(crate) length: Option<u32>,
}

/// Where a number makes the target degraded, and where down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Thresholds {
    pub(crate) degraded: Option<u32>,
    pub(crate) down: Option<u32>,
}

/// How a request can fail.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FailureKind {
    Timeout,
    Connect,
    Resolve,
    Tls,
    Protocol,
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(crate) enum HttpVersion {
    #[serde(rename = "1.1")]
    Http11,
    #[serde(rename = "2")]
    Http2,
}

/// A key that is there with the value `null` is not an absent key.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

fn max_redirects() -> u32 {
    5
}

impl Method {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
        }
    }
}

impl FailureKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            FailureKind::Timeout => "timeout",
            FailureKind::Connect => "connect",
            FailureKind::Resolve => "resolve",
            FailureKind::Tls => "tls",
            FailureKind::Protocol => "protocol",
            FailureKind::Any => "any",
        }
    }
}

impl HttpVersion {
    pub(crate) fn name(self) -> &'static str {
        match self {
            HttpVersion::Http11 => "1.1",
            HttpVersion::Http2 => "2",
        }
    }
}

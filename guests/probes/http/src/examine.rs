//! Examines a response by the rules: pure, every rule, every failure in words.

use crate::plan::{BodyRule, HeaderRule, HeaderTest, JsonRule, JsonTest, Rules};
use crate::settings::{HttpVersion, Thresholds};
use crate::words;
use health_watch_probe::http::{Response, Version};
use health_watch_probe::{Status, shorten};
use regex_lite::Regex;
use serde_json::{Number, Value};
use std::cmp::Ordering;

/// A rule that was not kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    /// `degraded` or `down`.
    pub(crate) status: Status,
    /// `expected …, got …`
    pub(crate) text: String,
}

/// How much of a value is quoted.
const QUOTE_CHARS_MAX: usize = 80;

/// Every rule that the response does not keep. `total_us` is the time of the whole check.
pub(crate) fn examine(rules: &Rules, response: &Response, total_us: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(status(rules, response));
    findings.extend(rules.version.and_then(|version| http_version(version, response)));
    findings.extend(rules.headers.iter().filter_map(|rule| header(rule, response)));
    findings.extend(body(&rules.body, response));
    findings.extend(json(&rules.json, response));
    findings.extend(response_time(rules.response_time_ms, total_us));
    findings.extend(certificate(rules.certificate_days, response));
    findings
}

fn down(expected: impl AsRef<str>, got: impl AsRef<str>) -> Finding {
    finding(Status::Down, expected, got)
}

fn finding(status: Status, expected: impl AsRef<str>, got: impl AsRef<str>) -> Finding {
    Finding { status, text: format!("expected {}, got {}", expected.as_ref(), got.as_ref()) }
}

/// A value of the target or of the settings, on one line, short.
fn quote(text: &str) -> String {
    format!("`{}`", shorten(text, QUOTE_CHARS_MAX))
}

fn status(rules: &Rules, response: &Response) -> Option<Finding> {
    if rules.status.iter().any(|range| range.contains(&response.status)) {
        return None;
    }
    let range = |range: &std::ops::RangeInclusive<u16>| match (range.start(), range.end()) {
        (low, high) if low == high => low.to_string(),
        (low, high) => format!("{low}-{high}"),
    };
    let ranges: Vec<String> = rules.status.iter().map(range).collect();
    Some(down(format!("status {}", words::alternatives(&ranges)), words::status(response.status)))
}

fn http_version(expected: HttpVersion, response: &Response) -> Option<Finding> {
    let got = match response.version {
        Version::Http10 => "1.0",
        Version::Http11 => "1.1",
        Version::Http2 => "2",
    };
    (got != expected.name()).then(|| down(format!("HTTP version {}", expected.name()), got))
}

fn header(rule: &HeaderRule, response: &Response) -> Option<Finding> {
    let of_name = response.headers.iter().filter(|header| header.name == rule.name);
    let values: Vec<&str> = of_name.map(|header| header.value.as_str()).collect();
    let kept = match &rule.test {
        HeaderTest::Equals(text) => values.contains(&text.as_str()),
        HeaderTest::Contains(text) => values.iter().any(|value| value.contains(text)),
        HeaderTest::Matches(regex) => values.iter().any(|value| regex.is_match(value)),
        HeaderTest::Present(present) => *present != values.is_empty(),
    };
    let name = shorten(&rule.name, QUOTE_CHARS_MAX);
    let expected = || match &rule.test {
        HeaderTest::Equals(text) => format!("header `{name}` to equal {}", quote(text)),
        HeaderTest::Contains(text) => format!("header `{name}` to contain {}", quote(text)),
        HeaderTest::Matches(regex) => format!("header `{name}` to match {}", quote(regex.as_str())),
        HeaderTest::Present(true) => format!("header `{name}`"),
        HeaderTest::Present(false) => format!("no header `{name}`"),
    };
    let got = || if values.is_empty() { "none".to_string() } else { quote(&values.join(", ")) };
    (!kept).then(|| down(expected(), got()))
}

// --- body ---

fn body(rules: &[BodyRule], response: &Response) -> Vec<Finding> {
    if rules.is_empty() {
        return Vec::new();
    }
    let text = response.text();
    let mut findings: Vec<_> = rules.iter().filter_map(|rule| body_rule(rule, &text)).collect();
    if response.truncated {
        // What must not be there may stand in the part that was not read.
        let absent = |rule: &&BodyRule| {
            matches!(rule, BodyRule::NotContains(_) | BodyRule::NotMatches(_)) && body_rule(rule, &text).is_none()
        };
        findings.extend(rules.iter().find(absent).map(|_| down("a whole body to look through", "a part of it")));
        findings.iter_mut().for_each(|finding| finding.text += &cut_note(response));
    }
    findings
}

fn body_rule(rule: &BodyRule, text: &str) -> Option<Finding> {
    let quoted = || if text.is_empty() { "an empty body".to_string() } else { quote(text) };
    match rule {
        BodyRule::Contains(part) => {
            (!text.contains(part)).then(|| down(format!("body to contain {}", quote(part)), quoted()))
        }
        BodyRule::Matches(regex) => {
            (!regex.is_match(text)).then(|| down(format!("body to match {}", quote(regex.as_str())), quoted()))
        }
        BodyRule::NotContains(part) => text.find(part).map(|at| {
            down(format!("body not to contain {}", quote(part)), format!("it at byte {}", words::grouped(at as u64)))
        }),
        BodyRule::NotMatches(regex) => regex
            .find(text)
            .map(|found| down(format!("body not to match {}", quote(regex.as_str())), quote(found.as_str()))),
    }
}

/// What to say where only a part of the body could be examined.
pub(crate) fn cut_note(response: &Response) -> String {
    let limit = words::grouped(response.body.len() as u64);
    format!(" (the body was cut at {limit} bytes; raise `max_body_bytes`, and the channel's limit if it is lower)")
}

// --- json ---

fn json(rules: &[JsonRule], response: &Response) -> Vec<Finding> {
    if rules.is_empty() {
        return Vec::new();
    }
    if response.truncated {
        let mut finding = down("a whole JSON body", "a part of it");
        finding.text += &cut_note(response);
        return vec![finding];
    }
    match response.json() {
        Ok(root) => rules.iter().filter_map(|rule| json_rule(rule, &root)).collect(),
        Err(error) => {
            let text = response.text();
            let quoted = if text.is_empty() { "an empty body".to_string() } else { quote(&text) };
            vec![down("a JSON body", format!("{quoted} ({error})"))]
        }
    }
}

fn json_rule(rule: &JsonRule, root: &Value) -> Option<Finding> {
    let found = rule.path.find(root);
    let expected = || format!("{} {}", quote(&rule.path.text), json_expectation(&rule.test));
    (!json_kept(&rule.test, found)).then(|| down(expected(), json_found(&rule.test, found)))
}

fn json_kept(test: &JsonTest, found: Option<&Value>) -> bool {
    let Some(value) = found else {
        return matches!(test, JsonTest::Exists(false));
    };
    match test {
        JsonTest::Equals(other) => equal(value, other),
        JsonTest::NotEquals(other) => !equal(value, other),
        JsonTest::LessThan(limit) => number_is(value, limit, Ordering::is_lt),
        JsonTest::AtMost(limit) => number_is(value, limit, Ordering::is_le),
        JsonTest::GreaterThan(limit) => number_is(value, limit, Ordering::is_gt),
        JsonTest::AtLeast(limit) => number_is(value, limit, Ordering::is_ge),
        JsonTest::Contains(part) => contains(value, part),
        JsonTest::Matches(regex) => matches(value, regex),
        JsonTest::Exists(exists) => *exists,
        JsonTest::Length(expected) => length(value) == Some(*expected as usize),
    }
}

fn json_expectation(test: &JsonTest) -> String {
    let value = |value: &Value| shorten(&value.to_string(), QUOTE_CHARS_MAX);
    match test {
        JsonTest::Equals(other) => format!("to equal {}", value(other)),
        JsonTest::NotEquals(other) => format!("not to equal {}", value(other)),
        JsonTest::LessThan(limit) => format!("to be less than {limit}"),
        JsonTest::AtMost(limit) => format!("to be at most {limit}"),
        JsonTest::GreaterThan(limit) => format!("to be greater than {limit}"),
        JsonTest::AtLeast(limit) => format!("to be at least {limit}"),
        JsonTest::Contains(part) => format!("to contain {}", value(part)),
        JsonTest::Matches(regex) => format!("to match {}", quote(regex.as_str())),
        JsonTest::Exists(true) => "to exist".to_string(),
        JsonTest::Exists(false) => "not to exist".to_string(),
        JsonTest::Length(length) => format!("to have length {length}"),
    }
}

fn json_found(test: &JsonTest, found: Option<&Value>) -> String {
    let Some(value) = found else { return "nothing".to_string() };
    let text = shorten(&value.to_string(), QUOTE_CHARS_MAX);
    match (test, length(value)) {
        (JsonTest::Length(_), Some(length)) => format!("length {length}"),
        _ => text,
    }
}

/// Equality of JSON values, numbers compared as numbers.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => compare(one, other) == Some(Ordering::Equal),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| equal(one, other)))
        }
        _ => one == other,
    }
}

fn number_is(value: &Value, limit: &Number, is: fn(Ordering) -> bool) -> bool {
    value.as_number().and_then(|number| compare(number, limit)).is_some_and(is)
}

/// Whole numbers are compared exactly, others as binary floating point.
fn compare(one: &Number, other: &Number) -> Option<Ordering> {
    match (one.as_i128(), other.as_i128()) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

fn contains(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::String(text), Value::String(part)) => text.contains(part),
        (Value::Array(values), part) => values.iter().any(|value| equal(value, part)),
        _ => false,
    }
}

fn matches(value: &Value, regex: &Regex) -> bool {
    value.as_str().is_some_and(|text| regex.is_match(text))
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.chars().count()),
        Value::Array(values) => Some(values.len()),
        Value::Object(members) => Some(members.len()),
        _ => None,
    }
}

// --- thresholds ---

fn response_time(limits: Thresholds, total_us: u64) -> Option<Finding> {
    let (status, limit) = worst(limits, |limit| total_us > u64::from(limit) * 1000)?;
    let expected = format!("a response within {} ms", words::grouped(limit.into()));
    Some(finding(status, expected, words::milliseconds(total_us)))
}

fn certificate(limits: Thresholds, response: &Response) -> Option<Finding> {
    if limits == Thresholds::default() {
        return None;
    }
    let Some(tls) = &response.peer.tls else {
        return Some(down("a certificate (`certificate_days`)", "an unencrypted connection"));
    };
    let days = tls.certificate.days_left;
    let (status, limit) = worst(limits, |limit| i64::from(days) < i64::from(limit))?;
    Some(finding(status, format!("a certificate valid for {limit} days or more"), format!("{days} days")))
}

/// The worse of the two thresholds that is crossed.
fn worst(limits: Thresholds, crossed: impl Fn(u32) -> bool) -> Option<(Status, u32)> {
    let limits = [(Status::Down, limits.down), (Status::Degraded, limits.degraded)];
    limits.into_iter().filter_map(|(status, limit)| Some((status, limit?))).find(|(_, limit)| crossed(*limit))
}

//! The settings as meant: a first request and rules for its response, all checked before anything is sent.
//!
//! Whatever makes no sense is refused here, with the setting's name and the fix, so that a run that sends a request
//! can no longer fail over its settings.

use crate::path::Path;
use crate::settings::{Auth, Expect, ExpectBody, ExpectHeader, ExpectJson, FailureKind, HttpVersion, Method};
use crate::settings::{Settings, Thresholds};
use crate::url::Url;
use health_watch_probe::Failure;
use health_watch_probe::http::Request;
use regex_lite::Regex;
use serde_json::{Number, Value};
use std::ops::RangeInclusive;

/// What to ask and what to expect.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) url: Url,
    pub(crate) request: Request,
    pub(crate) redirects_max: u32,
    pub(crate) goal: Goal,
}

/// What makes the target `up`.
#[derive(Debug)]
pub(crate) enum Goal {
    /// A response that keeps these rules.
    Response(Rules),
    /// A request that fails in this way.
    Failure(FailureKind),
}

/// Rules for a response.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) status: Vec<RangeInclusive<u16>>,
    pub(crate) version: Option<HttpVersion>,
    pub(crate) headers: Vec<HeaderRule>,
    pub(crate) body: Vec<BodyRule>,
    pub(crate) json: Vec<JsonRule>,
    pub(crate) response_time_ms: Thresholds,
    pub(crate) certificate_days: Thresholds,
}

#[derive(Debug)]
pub(crate) struct HeaderRule {
    /// Lower case.
    pub(crate) name: String,
    pub(crate) test: HeaderTest,
}

#[derive(Debug)]
pub(crate) enum HeaderTest {
    Equals(String),
    Contains(String),
    Matches(Regex),
    Present(bool),
}

#[derive(Debug)]
pub(crate) enum BodyRule {
    Contains(String),
    NotContains(String),
    Matches(Regex),
    NotMatches(Regex),
}

#[derive(Debug)]
pub(crate) struct JsonRule {
    pub(crate) path: Path,
    pub(crate) test: JsonTest,
}

#[derive(Debug)]
pub(crate) enum JsonTest {
    Equals(Value),
    NotEquals(Value),
    LessThan(Number),
    AtMost(Number),
    GreaterThan(Number),
    AtLeast(Number),
    Contains(Value),
    Matches(Regex),
    Exists(bool),
    Length(u32),
}

impl Plan {
    /// Checks the settings.
    pub(crate) fn new(settings: Settings) -> Result<Plan, Failure> {
        let url = Url::parse(&settings.url).map_err(|problem| invalid("url", &settings.url, problem))?;
        let goal = Goal::new(settings.expect)?;
        goal.check_method(settings.method)?;
        let mut request = Request::new(settings.method.name(), settings.url);
        request.timeout_ms = settings.timeout_ms;
        request.max_body_bytes = settings.max_body_bytes;
        for (name, value) in settings.headers {
            request = request.header(name.to_ascii_lowercase(), value);
        }
        request = with_body(request, settings.body, settings.json)?;
        if let Some(auth) = settings.auth {
            request = with_auth(request, auth)?;
        }
        Ok(Plan { url, request, redirects_max: settings.max_redirects, goal })
    }
}

fn with_body(request: Request, text: Option<String>, json: Option<Value>) -> Result<Request, Failure> {
    match (text, json) {
        (None, None) => Ok(request),
        (Some(text), None) => Ok(request.body(text)),
        (None, Some(json)) => {
            let typed = request.headers.iter().any(|header| header.name == "content-type");
            let request = request.body(json.to_string());
            Ok(if typed { request } else { request.header("content-type", "application/json") })
        }
        (Some(_), Some(_)) => Err(Failure::invalid("`body` and `json` cannot stand together; remove one")),
    }
}

fn with_auth(request: Request, auth: Auth) -> Result<Request, Failure> {
    let (request, header) = match auth {
        Auth::Bearer(secret) => (request.bearer(secret), "authorization".to_string()),
        Auth::Basic { user, secret } => (request.basic(user, secret), "authorization".to_string()),
        Auth::Header { name, secret } => {
            let name = name.to_ascii_lowercase();
            (request.secret_header(name.clone(), secret), name)
        }
    };
    if request.headers.iter().any(|other| other.name == header) {
        return Err(Failure::invalid(format!("`auth` and `headers.{header}` both set `{header}`; remove one")));
    }
    Ok(request)
}

impl Goal {
    fn new(expect: Expect) -> Result<Goal, Failure> {
        let failure = expect.failure;
        let others = other_expectations(&expect);
        match (failure, others) {
            (Some(failure), None) => Ok(Goal::Failure(failure)),
            (Some(_), Some(other)) => Err(Failure::invalid(format!(
                "`expect.failure` and `expect.{other}` cannot stand together, because a failed request has no response; \
                 remove one"
            ))),
            (None, _) => Rules::new(expect).map(Goal::Response),
        }
    }

    fn check_method(&self, method: Method) -> Result<(), Failure> {
        let Goal::Response(rules) = self else { return Ok(()) };
        let part = match rules {
            Rules { body, .. } if !body.is_empty() => "body",
            Rules { json, .. } if !json.is_empty() => "json",
            _ => return Ok(()),
        };
        if method == Method::Head {
            return Err(Failure::invalid(format!(
                "`expect.{part}` needs a body, and a response to `HEAD` has none; use `method = \"GET\"`"
            )));
        }
        Ok(())
    }
}

/// The first expectation about a response.
fn other_expectations(expect: &Expect) -> Option<&'static str> {
    let ExpectBody { contains, not_contains, matches, not_matches } = &expect.body;
    [
        ("status", expect.status.is_some()),
        ("headers", !expect.headers.is_empty()),
        ("body", [contains, not_contains, matches, not_matches].iter().any(|texts| !texts.is_empty())),
        ("json", !expect.json.is_empty()),
        ("response_time_ms", expect.response_time_ms != Thresholds::default()),
        ("certificate_days", expect.certificate_days != Thresholds::default()),
        ("version", expect.version.is_some()),
    ]
    .into_iter()
    .find_map(|(name, stands)| stands.then_some(name))
}

impl Rules {
    fn new(expect: Expect) -> Result<Rules, Failure> {
        let status = match expect.status {
            Some(codes) => each(codes, |at, code| status_range(at, &code))?,
            None => vec![200..=299],
        };
        Ok(Rules {
            status,
            version: expect.version,
            headers: each(expect.headers, HeaderRule::new)?,
            body: body_rules(expect.body)?,
            json: each(expect.json, JsonRule::new)?,
            response_time_ms: expect.response_time_ms,
            certificate_days: expect.certificate_days,
        })
    }
}

/// Checks each entry of a list; `check` is told which one it is.
fn each<T, U>(values: Vec<T>, check: impl Fn(usize, T) -> Result<U, Failure>) -> Result<Vec<U>, Failure> {
    values.into_iter().enumerate().map(|(at, value)| check(at, value)).collect()
}

fn status_range(at: usize, code: &Value) -> Result<RangeInclusive<u16>, Failure> {
    let range = match code {
        Value::Number(code) => code.as_u64().and_then(|code| u16::try_from(code).ok()).map(|code| code..=code),
        Value::String(text) => {
            text.split_once('-').and_then(|(low, high)| Some(status_code(low)?..=status_code(high)?))
        }
        _ => None,
    };
    range.filter(|range| *range.start() >= 100 && *range.end() <= 999 && !range.is_empty()).ok_or_else(|| {
        let text = code.as_str().map_or_else(|| code.to_string(), str::to_string);
        let problem = "is not a status code or a range of them; write it like `204` or `\"200-299\"`";
        invalid(&format!("expect.status[{at}]"), &text, problem)
    })
}

fn status_code(digits: &str) -> Option<u16> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

impl HeaderRule {
    fn new(at: usize, expect: ExpectHeader) -> Result<HeaderRule, Failure> {
        let setting = format!("expect.headers[{at}]");
        let ExpectHeader { name, equals, contains, matches, present } = expect;
        let matches = matches.map(|text| regex(&format!("{setting}.matches"), &text)).transpose()?;
        let tests = [
            equals.map(HeaderTest::Equals),
            contains.map(HeaderTest::Contains),
            matches.map(HeaderTest::Matches),
            present.map(HeaderTest::Present),
        ];
        let test = exactly_one(&setting, tests, "`equals`, `contains`, `matches`, `present`")?;
        Ok(HeaderRule { name: name.to_ascii_lowercase(), test })
    }
}

fn body_rules(expect: ExpectBody) -> Result<Vec<BodyRule>, Failure> {
    let matches = each(expect.matches, |at, text| regex(&format!("expect.body.matches[{at}]"), &text))?;
    let not_matches = each(expect.not_matches, |at, text| regex(&format!("expect.body.not_matches[{at}]"), &text))?;
    let rules = expect.contains.into_iter().map(BodyRule::Contains);
    let rules = rules.chain(expect.not_contains.into_iter().map(BodyRule::NotContains));
    let rules = rules.chain(matches.into_iter().map(BodyRule::Matches));
    Ok(rules.chain(not_matches.into_iter().map(BodyRule::NotMatches)).collect())
}

impl JsonRule {
    fn new(at: usize, expect: ExpectJson) -> Result<JsonRule, Failure> {
        let setting = format!("expect.json[{at}]");
        let path = Path::parse(&expect.path).map_err(|problem| {
            let problem = format!("is not a path to one value: {problem}; write it like `$.data[0].status`");
            invalid(&format!("{setting}.path"), &expect.path, &problem)
        })?;
        let matches = expect.matches.map(|text| regex(&format!("{setting}.matches"), &text)).transpose()?;
        let tests = [
            expect.equals.map(JsonTest::Equals),
            expect.not_equals.map(JsonTest::NotEquals),
            expect.less_than.map(JsonTest::LessThan),
            expect.at_most.map(JsonTest::AtMost),
            expect.greater_than.map(JsonTest::GreaterThan),
            expect.at_least.map(JsonTest::AtLeast),
            expect.contains.map(JsonTest::Contains),
            matches.map(JsonTest::Matches),
            expect.exists.map(JsonTest::Exists),
            expect.length.map(JsonTest::Length),
        ];
        let test = exactly_one(
            &setting,
            tests,
            "`equals`, `not_equals`, `less_than`, `at_most`, `greater_than`, `at_least`, `contains`, `matches`, \
             `exists`, `length`",
        )?;
        Ok(JsonRule { path, test })
    }
}

fn exactly_one<T, const N: usize>(setting: &str, tests: [Option<T>; N], choice: &str) -> Result<T, Failure> {
    let mut tests = tests.into_iter().flatten();
    match (tests.next(), tests.next()) {
        (Some(test), None) => Ok(test),
        (None, _) => Err(Failure::invalid(format!("`{setting}`: compares nothing; add one of {choice}"))),
        (Some(_), Some(_)) => {
            Err(Failure::invalid(format!("`{setting}`: has more than one of {choice}; write an entry for each")))
        }
    }
}

fn regex(setting: &str, text: &str) -> Result<Regex, Failure> {
    Regex::new(text).map_err(|error| {
        let problem = format!("is not a regular expression: {error}; correct it, or use `contains` for plain text");
        invalid(setting, text, &problem)
    })
}

fn invalid(setting: &str, value: &str, problem: &str) -> Failure {
    let value = health_watch_probe::shorten(value, 100);
    Failure::invalid(format!("`{setting}`: `{value}` {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan(settings: Value) -> Result<Plan, Failure> {
        Plan::new(serde_json::from_value(settings).unwrap())
    }

    /// What is wrong with `url`, `method` and an addition.
    fn check_invalid(addition: Value, expected: &str) {
        let mut settings = json!({"url": "https://a.example/"});
        settings.as_object_mut().unwrap().extend(addition.as_object().unwrap().clone());
        match plan(settings) {
            Err(Failure::InvalidSettings(message)) => assert_eq!(message, expected, "{addition}"),
            other => panic!("{addition}: {other:?}"),
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_fix() {
        check_invalid(
            json!({"url": "a.example"}),
            "`url`: `a.example` is not an absolute URL; begin it with `https://`",
        );
        check_invalid(
            json!({"url": "https://u:p@a.example"}),
            "`url`: `https://u:p@a.example` carries user information; name a secret in `auth` instead",
        );
        check_invalid(json!({"body": "", "json": null}), "`body` and `json` cannot stand together; remove one");
        check_invalid(
            json!({"headers": {"Authorization": "x"}, "auth": {"bearer": "token"}}),
            "`auth` and `headers.authorization` both set `authorization`; remove one",
        );
        check_invalid(
            json!({"headers": {"X-Key": "x"}, "auth": {"header": {"name": "x-key", "secret": "s"}}}),
            "`auth` and `headers.x-key` both set `x-key`; remove one",
        );
        check_invalid(
            json!({"method": "HEAD", "expect": {"body": {"contains": ["x"]}}}),
            "`expect.body` needs a body, and a response to `HEAD` has none; use `method = \"GET\"`",
        );
        check_invalid(
            json!({"method": "HEAD", "expect": {"json": [{"path": "$", "exists": true}]}}),
            "`expect.json` needs a body, and a response to `HEAD` has none; use `method = \"GET\"`",
        );
        check_invalid(
            json!({"expect": {"failure": "tls", "status": [200]}}),
            "`expect.failure` and `expect.status` cannot stand together, because a failed request has no response; \
             remove one",
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for text in ["299-200", "200-", "2xx", "+20-299", "200-1000", "99-100"] {
            check_invalid(
                json!({"expect": {"status": [200, text]}}),
                &format!(
                    "`expect.status[1]`: `{text}` is not a status code or a range of them; write it like `204` or \
                     `\"200-299\"`"
                ),
            );
        }
        check_invalid(
            json!({"expect": {"status": [20]}}),
            "`expect.status[0]`: `20` is not a status code or a range of them; write it like `204` or `\"200-299\"`",
        );
        check_invalid(
            json!({"expect": {"body": {"not_matches": ["a", "["]}}}),
            "`expect.body.not_matches[1]`: `[` is not a regular expression: found unclosed character class; correct \
             it, or use `contains` for plain text",
        );
        check_invalid(
            json!({"expect": {"headers": [{"name": "x"}]}}),
            "`expect.headers[0]`: compares nothing; add one of `equals`, `contains`, `matches`, `present`",
        );
        check_invalid(
            json!({"expect": {"headers": [{"name": "x", "equals": "1", "present": true}]}}),
            "`expect.headers[0]`: has more than one of `equals`, `contains`, `matches`, `present`; write an entry for \
             each",
        );
        check_invalid(
            json!({"expect": {"json": [{"path": "$.a", "exists": true}, {"path": "$.a[*]", "exists": true}]}}),
            "`expect.json[1].path`: `$.a[*]` is not a path to one value: `'name'` or a whole number expected before \
             `*]`; write it like `$.data[0].status`",
        );
    }

    #[test]
    fn a_request_is_as_the_settings_say() {
        let plan = plan(json!({
            "url": "https://a.example/x", "method": "POST", "headers": {"X-A": "1"}, "json": {"b": null},
            "auth": {"bearer": "token"}, "timeout_ms": 5, "max_body_bytes": 6
        }));
        let expected = Request::post("https://a.example/x", "{\"b\":null}")
            .header("x-a", "1")
            .header("content-type", "application/json")
            .bearer("token")
            .timeout_ms(5)
            .max_body_bytes(6);
        assert_eq!(format!("{:?}", plan.unwrap().request), format!("{expected:?}"));
    }

    #[test]
    fn a_content_type_of_the_settings_stays() {
        let plan =
            plan(json!({"url": "https://a.example/", "headers": {"Content-Type": "a/b"}, "json": null})).unwrap();
        let expected = Request::get("https://a.example/").header("content-type", "a/b").body("null");
        assert_eq!(format!("{:?}", plan.request), format!("{expected:?}"));
    }
}

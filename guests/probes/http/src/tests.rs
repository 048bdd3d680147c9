//! The probe as a whole, against a world that answers from a list.

use super::*;
use health_watch_probe::http::{Request, Version};
use health_watch_probe::serde_json::{Value, json};
use health_watch_probe::types::{
    Certificate, DenialReason, Dimension, Excess, Header, Peer, Phase, Phases, Timeout, TlsFailure, TlsProblem,
    TlsSession,
};
use std::collections::BTreeMap;

/// Answers one request after another, and keeps what was asked.
struct Script {
    answers: Vec<Result<Response, EffectError>>,
    requests: Vec<Request>,
    observed: Vec<String>,
}

impl World for Script {
    fn send(&mut self, request: &Request) -> Result<Response, EffectError> {
        self.requests.push(request.clone());
        assert!(!self.answers.is_empty(), "one request too many: {request:?}");
        self.answers.remove(0)
    }

    fn observe(&mut self, measurement: &Measurement) {
        self.observed.push(format!("{} {} {}", measurement.name, measurement.value, measurement.unit));
    }
}

fn script(answers: Vec<Result<Response, EffectError>>) -> Script {
    Script { answers, requests: Vec::new(), observed: Vec::new() }
}

fn phases(total_us: u64) -> Phases {
    Phases { resolve_us: 1000, connect_us: 2000, tls_us: None, send_us: 0, wait_us: 3000, receive_us: 500, total_us }
}

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let header = |(name, value): &(&str, &str)| Header { name: name.to_string(), value: value.to_string() };
    Response {
        status,
        version: Version::Http11,
        headers: headers.iter().map(header).collect(),
        body: body.into(),
        truncated: false,
        phases: phases(12_000),
        peer: Peer { address: "192.0.2.1".into(), port: 443, tls: None },
    }
}

fn ok(body: &str) -> Result<Response, EffectError> {
    Ok(response(200, &[], body))
}

fn redirect(status: u16, location: &str) -> Result<Response, EffectError> {
    Ok(response(status, &[("location", location)], ""))
}

fn with_tls(days_left: i32) -> Response {
    let certificate = Certificate {
        subject: "CN=a.example".into(),
        issuer: "CN=CA".into(),
        names: vec!["a.example".into()],
        not_before: 0,
        not_after: 0,
        days_left,
        sha256: String::new(),
    };
    let tls = TlsSession { version: "TLSv1.3".into(), cipher: String::new(), alpn: None, certificate };
    let mut response = response(200, &[], "");
    response.peer.tls = Some(tls);
    response.phases.tls_us = Some(4000);
    response
}

/// Settings with a URL and these keys.
fn settings(more: Value) -> Settings {
    let mut settings = json!({"url": "https://a.example/start"});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(settings).unwrap()
}

fn check(more: Value, answers: Vec<Result<Response, EffectError>>, status: Status, message: &str) -> Script {
    let mut script = script(answers);
    let report = run(settings(more.clone()), &mut script).unwrap();
    assert_eq!((report.message.as_str(), report.status), (message, status), "{more}");
    assert!(script.answers.is_empty(), "{more}: not everything was asked");
    script
}

fn check_expect(expect: Value, answer: Response, status: Status, message: &str) {
    check(json!({"expect": expect}), vec![Ok(answer)], status, message);
}

#[test]
fn an_answer_is_up() {
    check(json!({}), vec![ok(&"x".repeat(1234))], Status::Up, "200 OK in 12 ms, 1,234 bytes");
    check(json!({}), vec![redirect(301, "/next"), ok("x")], Status::Up, "200 OK in 24 ms, 1 byte, 1 redirect");
}

#[test]
fn status_and_version() {
    for (status, expected, found) in [
        (json!(null), 404, "expected status 200-299, got 404 Not Found"),
        (json!([204, "300-399", 418]), 200, "expected status 204, 300-399 or 418, got 200 OK"),
        (json!(["200-200"]), 299, "expected status 200, got 299"),
        (json!([204, "200-299"]), 299, ""),
        (json!([404]), 404, ""),
    ] {
        let expect = if status.is_null() { json!({}) } else { json!({"status": status}) };
        let message =
            format!("{} in 12 ms, 0 bytes{}{found}", words::status(expected), if found.is_empty() { "" } else { ": " });
        check_expect(
            expect,
            response(expected, &[], ""),
            if found.is_empty() { Status::Up } else { Status::Down },
            &message,
        );
    }
    let got = "200 OK in 12 ms, 0 bytes";
    check_expect(json!({"version": "1.1"}), response(200, &[], ""), Status::Up, got);
    check_expect(
        json!({"version": "2"}),
        response(200, &[], ""),
        Status::Down,
        &format!("{got}: expected HTTP version 2, got 1.1"),
    );
}

#[test]
fn headers() {
    let headers = [("x-a", "one"), ("x-a", "two"), ("x-b", "a\u{1b}b")];
    for (rule, finding) in [
        (json!({"name": "X-A", "equals": "two"}), ""),
        (json!({"name": "x-a", "contains": "n"}), ""),
        (json!({"name": "x-a", "matches": "^t.o$"}), ""),
        (json!({"name": "x-a", "present": true}), ""),
        (json!({"name": "x-c", "present": false}), ""),
        (json!({"name": "x-a", "equals": "three"}), "expected header `x-a` to equal `three`, got `one, two`"),
        (json!({"name": "x-b", "contains": "c"}), "expected header `x-b` to contain `c`, got `a\\u{1b}b`"),
        (json!({"name": "x-b", "matches": "c$"}), "expected header `x-b` to match `c$`, got `a\\u{1b}b`"),
        (json!({"name": "x-c", "equals": "1"}), "expected header `x-c` to equal `1`, got none"),
        (json!({"name": "x-c", "present": true}), "expected header `x-c`, got none"),
        (json!({"name": "x-a", "present": false}), "expected no header `x-a`, got `one, two`"),
    ] {
        check_finding(json!({"headers": [rule]}), response(200, &headers, ""), finding);
    }
}

/// One finding that is `down`, or none.
fn check_finding(expect: Value, answer: Response, finding: &str) {
    let summary = format!("200 OK in 12 ms, {}", words::counted(answer.body.len(), "byte"));
    match finding {
        "" => check_expect(expect, answer, Status::Up, &summary),
        finding => check_expect(expect, answer, Status::Down, &format!("{summary}: {finding}")),
    }
}

#[test]
fn body() {
    let text = "all is well\nand fine";
    for (rules, finding) in [
        (
            json!({"contains": ["well", "fine"], "not_contains": ["bad"], "matches": ["w.ll"], "not_matches": ["^fine"]}),
            "",
        ),
        (json!({"contains": ["bad"]}), "expected body to contain `bad`, got `all is well\\nand fine`"),
        (json!({"not_contains": ["well"]}), "expected body not to contain `well`, got it at byte 7"),
        (json!({"matches": ["b.d"]}), "expected body to match `b.d`, got `all is well\\nand fine`"),
        (json!({"not_matches": ["w[a-z]+"]}), "expected body not to match `w[a-z]+`, got `well`"),
        (
            json!({"contains": ["bad"], "not_contains": ["fine"]}),
            "expected body to contain `bad`, got `all is well\\nand fine`; expected body not to contain `fine`, got it at \
             byte 16",
        ),
    ] {
        check_finding(json!({"body": rules}), response(200, &[], text), finding);
    }
    check_finding(
        json!({"body": {"contains": ["x"]}}),
        response(200, &[], ""),
        "expected body to contain `x`, got an empty body",
    );
    let long = "y".repeat(100);
    let quoted = "y".repeat(80);
    check_finding(
        json!({"body": {"contains": ["x"]}}),
        response(200, &[], &long),
        &format!("expected body to contain `x`, got `{quoted}…`"),
    );
}

#[test]
fn json_values() {
    let text = r#"{"n":1.0,"big":9007199254740993,"s":"über","a":[1,{"k":null}],"o":{"x":1},"f":0.5,"t":true}"#;
    for (rule, finding) in [
        (json!({"path": "$.n", "equals": 1}), ""),
        (json!({"path": "$.a", "equals": [1.0, {"k": null}]}), ""),
        (json!({"path": "$.o", "equals": {"x": 1.0}}), ""),
        (json!({"path": "$.a[1].k", "equals": null}), ""),
        (json!({"path": "$.s", "not_equals": "x"}), ""),
        (json!({"path": "$.f", "less_than": 1}), ""),
        (json!({"path": "$.f", "at_most": 0.5}), ""),
        (json!({"path": "$.big", "greater_than": 9007199254740992u64}), ""),
        (json!({"path": "$.n", "at_least": 1}), ""),
        (json!({"path": "$.s", "contains": "be"}), ""),
        (json!({"path": "$.a", "contains": 1.0}), ""),
        (json!({"path": "$.s", "matches": "^ü"}), ""),
        (json!({"path": "$.a[1].k", "exists": true}), ""),
        (json!({"path": "$.x", "exists": false}), ""),
        (json!({"path": "$.s", "length": 4}), ""),
        (json!({"path": "$.a", "length": 2}), ""),
        (json!({"path": "$.o", "length": 1}), ""),
        (json!({"path": "$.n", "equals": "1"}), "expected `$.n` to equal \"1\", got 1.0"),
        (json!({"path": "$.t", "equals": false}), "expected `$.t` to equal false, got true"),
        (json!({"path": "$.x", "equals": null}), "expected `$.x` to equal null, got nothing"),
        (json!({"path": "$.n", "not_equals": 1}), "expected `$.n` not to equal 1, got 1.0"),
        (json!({"path": "$.x", "not_equals": 1}), "expected `$.x` not to equal 1, got nothing"),
        (json!({"path": "$.f", "less_than": 0.5}), "expected `$.f` to be less than 0.5, got 0.5"),
        (json!({"path": "$.n", "at_most": 0}), "expected `$.n` to be at most 0, got 1.0"),
        (
            json!({"path": "$.big", "greater_than": 9007199254740993u64}),
            "expected `$.big` to be greater than 9007199254740993, got 9007199254740993",
        ),
        (json!({"path": "$.s", "at_least": 1}), "expected `$.s` to be at least 1, got \"über\""),
        (json!({"path": "$.a", "contains": 2}), "expected `$.a` to contain 2, got [1,{\"k\":null}]"),
        (json!({"path": "$.n", "matches": "1"}), "expected `$.n` to match `1`, got 1.0"),
        (json!({"path": "$.x", "exists": true}), "expected `$.x` to exist, got nothing"),
        (json!({"path": "$.n", "exists": false}), "expected `$.n` not to exist, got 1.0"),
        (json!({"path": "$.s", "length": 5}), "expected `$.s` to have length 5, got length 4"),
        (json!({"path": "$.n", "length": 1}), "expected `$.n` to have length 1, got 1.0"),
    ] {
        check_finding(json!({"json": [rule]}), response(200, &[], text), finding);
    }
    let rules = json!({"json": [{"path": "$.a", "exists": true}, {"path": "$.b", "exists": true}]});
    check_finding(
        rules.clone(),
        response(200, &[], "<p>"),
        "expected a JSON body, got `<p>` (expected value at line 1 column 1)",
    );
    check_finding(
        rules,
        response(200, &[], ""),
        "expected a JSON body, got an empty body (EOF while parsing a value at line 1 column 0)",
    );
}

#[test]
fn a_cut_body_is_said() {
    let cut = |body: &str| Response { truncated: true, ..response(200, &[], body) };
    let note = "(the body was cut at 3 bytes; raise `max_body_bytes`, and the channel's limit if it is lower)";
    let summary = "200 OK in 12 ms, more than 3 bytes";
    check_expect(json!({}), cut("abc"), Status::Up, summary);
    check_expect(json!({"body": {"contains": ["b"]}}), cut("abc"), Status::Up, &format!("{summary} {note}"));
    check_expect(
        json!({"body": {"contains": ["d"]}}),
        cut("abc"),
        Status::Down,
        &format!("{summary}: expected body to contain `d`, got `abc` {note}"),
    );
    check_expect(
        json!({"json": [{"path": "$", "exists": true}]}),
        cut("[1]"),
        Status::Down,
        &format!("{summary}: expected a whole JSON body, got a part of it {note}"),
    );
}

#[test]
fn thresholds() {
    let slow = |total_us| Response { phases: phases(total_us), ..response(200, &[], "") };
    let time = json!({"response_time_ms": {"degraded": 500, "down": 2000}});
    check_expect(time.clone(), slow(500_000), Status::Up, "200 OK in 500 ms, 0 bytes");
    check_expect(
        time.clone(),
        slow(734_000),
        Status::Degraded,
        "200 OK in 734 ms, 0 bytes: expected a response within 500 ms, got 734 ms",
    );
    check_expect(
        time,
        slow(2_001_000),
        Status::Down,
        "200 OK in 2,001 ms, 0 bytes: expected a response within 2,000 ms, got 2,001 ms",
    );
    let days = json!({"certificate_days": {"degraded": 21, "down": 7}});
    let summary = "200 OK in 12 ms, 0 bytes";
    check_expect(days.clone(), with_tls(21), Status::Up, summary);
    check_expect(
        days.clone(),
        with_tls(20),
        Status::Degraded,
        &format!("{summary}: expected a certificate valid for 21 days or more, got 20 days"),
    );
    check_expect(
        days.clone(),
        with_tls(-1),
        Status::Down,
        &format!("{summary}: expected a certificate valid for 7 days or more, got -1 days"),
    );
    check_expect(
        days,
        response(200, &[], ""),
        Status::Down,
        &format!("{summary}: expected a certificate (`certificate_days`), got an unencrypted connection"),
    );
}

#[test]
fn all_findings_are_listed_the_worst_first() {
    check_expect(
        json!({
            "status": [204], "headers": [{"name": "x", "present": true}], "body": {"contains": ["a"]},
            "json": [{"path": "$.a", "equals": 1}], "response_time_ms": {"degraded": 1}, "version": "2"
        }),
        response(200, &[], "{}"),
        Status::Down,
        "200 OK in 12 ms, 2 bytes: expected status 204, got 200 OK; expected HTTP version 2, got 1.1; expected header `x`, \
         got none; expected body to contain `a`, got `{}`; expected `$.a` to equal 1, got nothing; expected a response \
         within 1 ms, got 12 ms",
    );
    let many: Vec<String> = (0..100).map(|at| format!("{at}{}", "x".repeat(100))).collect();
    let report = run(settings(json!({"expect": {"body": {"contains": many}}})), &mut script(vec![ok("")])).unwrap();
    assert!(report.message.len() < 4096, "{}", report.message.len());
    assert!(report.message.ends_with(" more"), "{}", report.message);
}

// --- redirects ---

/// The requests in words: method, URL, headers, credential, length of the body.
fn asked(script: &Script) -> Vec<String> {
    let words = |request: &Request| {
        let headers: Vec<_> =
            request.headers.iter().map(|header| format!(" {}={}", header.name, header.value)).collect();
        let credential = if request.credential.is_some() { " +credential" } else { "" };
        format!("{} {}{}{credential} {}", request.method, request.url, headers.concat(), request.body.len())
    };
    script.requests.iter().map(words).collect()
}

fn check_hops(more: Value, redirects: &[(u16, &str)], requests: &[&str]) {
    let mut answers: Vec<_> = redirects.iter().map(|(status, location)| redirect(*status, location)).collect();
    answers.push(ok(""));
    let mut script = script(answers);
    run(settings(more.clone()), &mut script).unwrap();
    assert_eq!(asked(&script), requests, "{more}");
}

#[test]
fn a_redirect_changes_the_method_as_the_rfc_says() {
    for (method, status, next) in [
        ("GET", 301, "GET"),
        ("HEAD", 302, "HEAD"),
        ("HEAD", 303, "HEAD"),
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("PUT", 303, "GET"),
        ("PUT", 302, "PUT"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
    ] {
        let (headers, body) = if next == method { (" content-type=t x=y", 2) } else { (" x=y", 0) };
        check_hops(
            json!({"method": method, "headers": {"x": "y", "content-type": "t"}, "body": "ab"}),
            &[(status, "next?q")],
            &[
                &format!("{method} https://a.example/start content-type=t x=y 2"),
                &format!("{next} https://a.example/next?q{headers} {body}"),
            ],
        );
    }
}

#[test]
fn credentials_never_leave_their_origin() {
    let carrying = json!({
        "headers": {"Cookie": "c", "Proxy-Authorization": "p", "x": "y"}, "auth": {"bearer": "token"}
    });
    let start = "GET https://a.example/start cookie=c proxy-authorization=p x=y +credential 0";
    check_hops(
        carrying.clone(),
        &[(302, "https://A.example:443/2")],
        &[start, "GET https://a.example/2 cookie=c proxy-authorization=p x=y +credential 0"],
    );
    for other in ["https://b.example/", "http://a.example/", "https://a.example:8443/", "//sub.a.example/"] {
        let written = if other.starts_with("//") { format!("https:{other}") } else { other.to_string() };
        check_hops(
            carrying.clone(),
            &[(307, other), (307, "https://a.example/3")],
            &[start, &format!("GET {written} x=y 0"), "GET https://a.example/3 x=y 0"],
        );
    }
    check_hops(
        json!({"headers": {"Authorization": "a"}}),
        &[(302, "//b.example")],
        &["GET https://a.example/start authorization=a 0", "GET https://b.example/ 0"],
    );
}

#[test]
fn redirects_that_lead_nowhere_are_down() {
    check(
        json!({}),
        vec![redirect(302, "/b"), redirect(302, "/start#x")],
        Status::Down,
        "redirect loop: https://a.example/start → https://a.example/b → https://a.example/start",
    );
    check(
        json!({"max_redirects": 1}),
        vec![redirect(302, "/b"), redirect(302, "/c")],
        Status::Down,
        "more redirects than `max_redirects` = 1: https://a.example/start → https://a.example/b → https://a.example/c",
    );
    check(
        json!({}),
        vec![redirect(302, "ftp://b.example/\n")],
        Status::Down,
        "redirected to `ftp://b.example/\\n`, which has a scheme other than `http` and `https`",
    );
    check(
        json!({"max_redirects": 0, "expect": {"status": [302]}}),
        vec![redirect(302, "/b")],
        Status::Up,
        "302 Found in 12 ms, 0 bytes",
    );
    check(
        json!({}),
        vec![Ok(response(302, &[], ""))],
        Status::Down,
        "302 Found in 12 ms, 0 bytes: expected status 200-299, got 302 Found",
    );
}

#[test]
fn a_redirect_after_post_may_lead_to_the_same_url() {
    check_hops(
        json!({"method": "POST"}),
        &[(303, "/start")],
        &["POST https://a.example/start 0", "GET https://a.example/start 0"],
    );
}

// --- failures ---

fn denied(request: &str) -> EffectError {
    EffectError::Denied(Denial {
        reason: DenialReason::HostNotGranted,
        request: request.into(),
        rule: "default deny".into(),
        fix: "allow.http = [\"https://b.example\"]".into(),
    })
}

fn timeout() -> EffectError {
    EffectError::Timeout(Timeout { phase: Phase::Wait, limit_ms: 5000 })
}

fn tls() -> EffectError {
    EffectError::Tls(TlsFailure { problem: TlsProblem::Handshake, message: "alert".into(), certificate: None })
}

#[test]
fn denials_name_the_origin_and_the_fix() {
    check(
        json!({}),
        vec![Err(denied("GET https://a.example"))],
        Status::Down,
        "denied: `GET https://a.example`: host-not-granted (default deny); to allow it: allow.http = [\"https://b.example\"]",
    );
    check(
        json!({"expect": {"failure": "any"}}),
        vec![redirect(302, "https://b.example/x"), Err(denied("GET https://b.example"))],
        Status::Down,
        "redirect to https://b.example denied: `GET https://b.example`: host-not-granted (default deny); to allow it: \
         allow.http = [\"https://b.example\"]",
    );
}

#[test]
fn failures_of_the_target_are_down() {
    check(json!({}), vec![Err(timeout())], Status::Down, "timeout: no response head within 5000 ms");
    check(
        json!({}),
        vec![redirect(302, "/b"), Err(tls())],
        Status::Down,
        "redirect to https://a.example/b: tls: handshake failed (alert)",
    );
}

#[test]
fn a_quota_is_no_finding_about_the_target() {
    let excess = Excess {
        dimension: Dimension::Requests,
        limit: 1,
        used: 2,
        unit: "1".into(),
        at_us: 0,
        hint: "raise `max_requests`".into(),
    };
    let mut script = script(vec![redirect(302, "/b"), Err(EffectError::OverQuota(excess))]);
    match run(settings(json!({})), &mut script) {
        Err(Failure::Internal(why)) => assert_eq!(why, "over quota: requests: limit 1, used 2; raise `max_requests`"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failure_can_be_what_is_expected() {
    type Kind = (&'static str, fn() -> EffectError);
    let kinds: [Kind; 5] = [
        ("timeout", timeout),
        ("tls", tls),
        ("connect", || EffectError::Connect("refused".into())),
        ("resolve", || EffectError::Resolve("no such name".into())),
        ("protocol", || EffectError::Protocol("closed".into())),
    ];
    for (kind, error) in kinds {
        for (other, other_error) in kinds {
            let how = other_error().explain();
            let expect = json!({"expect": {"failure": kind}});
            if kind == other {
                check(expect, vec![Err(error())], Status::Up, &format!("failed as expected: {how}"));
            } else {
                let message = format!("expected the request to fail with `{kind}`, got {how}");
                check(expect, vec![Err(other_error())], Status::Down, &message);
            }
        }
        let how = error().explain();
        check(
            json!({"expect": {"failure": "any"}}),
            vec![Err(error())],
            Status::Up,
            &format!("failed as expected: {how}"),
        );
    }
    check(
        json!({"expect": {"failure": "tls"}}),
        vec![ok("")],
        Status::Down,
        "expected the request to fail with `tls`, got 200 OK in 12 ms, 0 bytes",
    );
    check(
        json!({"expect": {"failure": "any"}}),
        vec![ok("")],
        Status::Down,
        "expected the request to fail, got 200 OK in 12 ms, 0 bytes",
    );
}

#[test]
fn nothing_is_asked_with_settings_that_make_no_sense() {
    let mut script = script(vec![]);
    let refused = run(settings(json!({"expect": {"body": {"matches": ["("]}}})), &mut script);
    assert!(matches!(refused, Err(Failure::InvalidSettings(_))), "{refused:?}");
    assert!(script.requests.is_empty());
}

// --- measurements ---

#[test]
fn every_measurement_is_given_once() {
    let mut script = script(vec![redirect(302, "/b"), Ok(with_tls(30))]);
    let report = run(settings(json!({})), &mut script).unwrap();
    assert_eq!(script.observed, ["response_time 24 ms", "status_code 200 1"]);
    let reported: Vec<_> = report.measurements.iter().map(|m| format!("{} {} {}", m.name, m.value, m.unit)).collect();
    assert_eq!(
        reported,
        [
            "resolve 2 ms",
            "connect 4 ms",
            "wait 6 ms",
            "receive 1 ms",
            "body_bytes 0 By",
            "redirects 1 1",
            "tls 4 ms",
            "certificate_days_left 30 d"
        ]
    );
}

// --- manifest ---

/// Settings with every key of the schema at least once.
fn full() -> [Value; 3] {
    let comparisons = json!([
        {"path": "$", "equals": 1}, {"path": "$", "not_equals": 1}, {"path": "$", "less_than": 1},
        {"path": "$", "at_most": 1}, {"path": "$", "greater_than": 1}, {"path": "$", "at_least": 1},
        {"path": "$", "contains": 1}, {"path": "$", "matches": "x"}, {"path": "$", "exists": true},
        {"path": "$", "length": 1}
    ]);
    [
        json!({
            "url": "https://a.example/", "method": "POST", "headers": {"a": "b"}, "body": "x", "auth": {"bearer": "s"},
            "timeout_ms": 1, "max_body_bytes": 1, "max_redirects": 0,
            "expect": {
                "status": [200, "200-299"],
                "headers": [
                    {"name": "a", "equals": "b"}, {"name": "a", "contains": "b"}, {"name": "a", "matches": "b"},
                    {"name": "a", "present": true}
                ],
                "body": {"contains": ["a"], "not_contains": ["a"], "matches": ["a"], "not_matches": ["a"]},
                "json": comparisons, "response_time_ms": {"degraded": 1, "down": 1},
                "certificate_days": {"degraded": 1, "down": 1}, "version": "1.1"
            }
        }),
        json!({"url": "https://a.example/", "json": {}, "auth": {"basic": {"user": "u", "secret": "s"}},
               "expect": {"failure": "any"}}),
        json!({"url": "https://a.example/", "auth": {"header": {"name": "n", "secret": "s"}}}),
    ]
}

fn manifest() -> Value {
    serde_json::to_value(toml::from_str::<toml::Table>(MANIFEST).unwrap()).unwrap()
}

/// Every key of the schema, with the path that leads to it, and what is said about it.
fn keys(schema: &Value, at: &str, found: &mut BTreeMap<String, Value>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (key, value) in properties.into_iter().flatten() {
        let path = format!("{at}.{key}");
        keys(value, &path, found);
        found.insert(path, value.clone());
    }
    if let Some(items) = schema.get("items") {
        keys(items, at, found);
    }
    if schema.get("properties").is_some() {
        assert_eq!(schema.get("additionalProperties"), Some(&json!(false)), "{at}");
    }
}

/// Every path of an example, arrays left out.
fn paths(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                found.push(format!("{at}.{key}"));
                paths(value, &format!("{at}.{key}"), found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| paths(value, at, found)),
        _ => {}
    }
}

#[test]
fn the_schema_and_the_probe_know_the_same_keys() {
    let manifest = manifest();
    let mut described = BTreeMap::new();
    keys(&manifest["settings"], "", &mut described);
    let mut used = Vec::new();
    for example in full() {
        Plan::new(serde_json::from_value(example.clone()).unwrap()).unwrap();
        paths(&example, "", &mut used);
    }
    used.retain(|path| !path.starts_with(".headers."));
    for (path, schema) in &described {
        assert!(used.contains(path), "no example uses `{path}`");
        assert!(schema["title"].is_string() && schema["description"].is_string(), "`{path}` is not described");
    }
    for path in used {
        assert!(described.contains_key(&path), "the schema lacks `{path}`");
    }
}

#[test]
fn a_key_that_is_not_in_the_schema_is_refused() {
    for addition in [json!({"urll": 1}), json!({"expect": {"x": 1}}), json!({"auth": {"bearer": "s", "basic": {}}})] {
        let mut settings = json!({"url": "https://a.example/"});
        settings.as_object_mut().unwrap().extend(addition.as_object().unwrap().clone());
        assert!(serde_json::from_value::<Settings>(settings).is_err(), "{addition}");
    }
}

#[test]
fn defaults_are_those_of_the_schema() {
    let properties = &manifest()["settings"]["properties"];
    let plan = Plan::new(settings(json!({}))).unwrap();
    assert_eq!(properties["method"]["default"], plan.request.method);
    assert_eq!(properties["max_redirects"]["default"], plan.redirects_max);
    assert_eq!(properties["expect"]["properties"]["status"]["default"], json!(["200-299"]));
    assert!(matches!(plan.goal, Goal::Response(rules) if rules.status == [200..=299]));
}

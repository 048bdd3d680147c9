//! Every way a server can behave, and what the HTTP probe says of it.

use crate::servers::{self, Alpn, Behaviour, Identity, Target};
use crate::support::{Case, assert_outcome, on_both, verdict};
use serde_json::{Value, json};
use std::time::Duration;

/// One server, one expectation.
#[track_caller]
fn check(name: &str, start: impl Fn() -> Target, settings: &[(&str, Value)], expected: &str, said: &str) {
    on_both(|join| {
        let target = start();
        let case =
            settings.iter().fold(Case::http(&target.url("/")), |case, (key, value)| case.set(key, value.clone()));
        let outcome = case.run(&join);
        assert_outcome(name, &join, &outcome, expected, said);
        assert!(outcome.denials.is_empty(), "{name}: {:?}", outcome.denials);
    });
}

fn plain(behaviour: Behaviour) -> impl Fn() -> Target {
    move || servers::http(behaviour.clone())
}

fn tls(behaviour: Behaviour, identity: Identity, alpn: Alpn) -> impl Fn() -> Target {
    move || servers::https(behaviour.clone(), identity, alpn)
}

/// What a run waits for a server that says nothing.
fn soon() -> (&'static str, Value) {
    ("timeout_ms", json!(200))
}

#[test]
fn http1_that_works() {
    let up = |name, behaviour, said| check(name, plain(behaviour), &[], "up", said);
    up("ok", Behaviour::ok(), "200 OK");
    up("slow", Behaviour::SlowHead(Duration::from_millis(50)), "200 OK");
    up("http/1.0", Behaviour::Http10, "200 OK");
    up("100 continue", Behaviour::Continue100(3), "200 OK");
    up("longer than announced", Behaviour::LyingLong, "5 bytes");
    up("gzip that nobody asked for", Behaviour::GzipBody, "200 OK");
}

#[test]
fn http1_that_answers_wrongly() {
    let down = |name, behaviour, said| check(name, plain(behaviour), &[], "down", said);
    down("500", Behaviour::answer(500, "text/plain", "no"), "expected status 200-299, got 500");
    down("garbage", Behaviour::Garbage, "protocol");
    down("bad chunk", Behaviour::BadChunk, "protocol");
    down("two lengths", Behaviour::TwoLengths, "protocol");
    down("short body", Behaviour::LyingShort, "closed in the middle");
    down("reset", Behaviour::ResetAfterRequest, "reset");
    down("close", Behaviour::CloseAfterRequest, "closed in the middle");
    down("huge header", Behaviour::HugeHeader(1 << 20), "larger than");
    down("many headers", Behaviour::ManyHeaders(1000), "larger than");
    down("endless headers", Behaviour::EndlessHeaders, "larger than");
}

/// A reset at accept meets the client while it connects, writes or reads.
#[test]
fn http1_reset_at_accept() {
    check("reset", plain(Behaviour::Reset), &[], "down", "re");
    check("close", plain(Behaviour::Close), &[], "down", "closed");
}

#[test]
fn a_hanging_target_is_down_and_says_in_which_phase() {
    let down = |name, start: &dyn Fn() -> Target, said| check(name, start, &[soon()], "down", said);
    down("silent", &plain(Behaviour::Silent), "timeout");
    down("half a head", &plain(Behaviour::HangInHead), "timeout");
    down("half a body", &plain(Behaviour::HangInBody), "timeout");
    down("drip", &plain(Behaviour::DripBody(Duration::from_millis(20))), "timeout");
    down("TLS that hangs", &servers::tls_hang, "timeout");
    down("silent h2", &tls(Behaviour::Silent, Identity::Valid, Alpn::Http2), "timeout");
    down("half a body h2", &tls(Behaviour::HangInBody, Identity::Valid, Alpn::Http2), "timeout");
}

/// Even without a timeout of its own, the effect ends a margin before the run does, so that the probe can say so.
#[test]
fn a_hanging_target_is_down_even_when_only_the_run_limits_it() {
    on_both(|join| {
        let target = servers::http(Behaviour::Silent);
        let short = json!({ "resources": { "maxWallTimeMs": 2000 } });
        let outcome = Case::http(&target.url("/")).policy(&short).run(&join);
        assert_outcome("silent", &join, &outcome, "down", "timeout");
        assert!(outcome.effects[0].end.starts_with("timeout in wait after "), "{}", outcome.effects[0].end);
    });
}

#[test]
fn a_body_without_end_is_cut_and_said_to_be() {
    let limit = ("max_body_bytes", json!(100_000));
    for behaviour in [Behaviour::EndlessBody, Behaviour::EndlessUnframed] {
        check("endless", plain(behaviour.clone()), std::slice::from_ref(&limit), "up", "100,000 bytes");
        let contains = ("expect", json!({ "body": { "contains": ["needle"] } }));
        check("endless, asserted", plain(behaviour), &[limit.clone(), contains], "down", "needle");
    }
    check("endless h2", tls(Behaviour::EndlessBody, Identity::Valid, Alpn::Http2), &[limit], "up", "100,000 bytes");
}

/// Interim responses without end are bounded by the run's bytes or the request's time, whichever is met first.
#[test]
fn interim_responses_without_end_end() {
    on_both(|join| {
        let target = servers::http(Behaviour::Endless100);
        let outcome = Case::http(&target.url("/")).set("timeout_ms", 1000).run(&join);
        assert!(["down", "unknown (probe failed)"].contains(&verdict(&outcome).as_str()), "{outcome:?}");
        assert!(outcome.bill.bytes_in <= 8 << 20);
    });
}

#[test]
fn both_framings_at_once_do_not_confuse() {
    on_both(|join| {
        let target = servers::http(Behaviour::BothLengths);
        let outcome = Case::http(&target.url("/")).run(&join);
        // RFC 9112 §6.3: transfer-encoding overrides, or the message is an error. Never the content-length.
        assert!(["up", "down"].contains(&verdict(&outcome).as_str()));
    });
}

#[test]
fn nobody_listens() {
    on_both(|join| {
        let target = servers::http(Behaviour::ok());
        let url = target.url("/");
        drop(target);
        assert_outcome("closed port", &join, &Case::http(&url).run(&join), "down", "connection refused");
    });
}

#[test]
fn tls_certificates() {
    let at = |identity| tls(Behaviour::ok(), identity, Alpn::Http1);
    check("valid", at(Identity::Valid), &[], "up", "200 OK");
    check("valid, both protocols", tls(Behaviour::ok(), Identity::Valid, Alpn::Both), &[], "up", "200 OK");
    check("no ALPN", tls(Behaviour::ok(), Identity::Valid, Alpn::None), &[], "up", "200 OK");
    check("expired", at(Identity::Expired), &[], "down", "expired");
    check("not yet valid", at(Identity::NotYetValid), &[], "down", "not valid yet");
    check("wrong name", at(Identity::WrongName), &[], "down", "not for 127.0.0.1");
    check("unknown issuer", at(Identity::UnknownIssuer), &[], "down", "issuer is not trusted");
    check("self-signed", at(Identity::SelfSigned), &[], "down", "issuer is not trusted");
    check("not TLS", servers::tls_garbage, &[], "down", "tls");
}

#[test]
fn a_plain_server_behind_an_https_url() {
    on_both(|join| {
        let target = servers::http(Behaviour::ok());
        let outcome = Case::http(&target.url("/").replace("http:", "https:")).set("timeout_ms", 200).run(&join);
        assert_outcome("plain", &join, &outcome, "down", "TLS");
    });
}

#[test]
fn a_refused_certificate_sees_no_request() {
    on_both(|join| {
        let target = servers::https(Behaviour::ok(), Identity::UnknownIssuer, Alpn::Http1);
        Case::http(&target.url("/?token=secret")).run(&join);
        assert_eq!((target.connections(), target.handshakes(), target.requests().len()), (1, 0, 0));
    });
}

#[test]
fn certificate_days() {
    let days =
        |degraded: i32, down: i32| ("expect", json!({ "certificate_days": { "degraded": degraded, "down": down } }));
    let at = || tls(Behaviour::ok(), Identity::ExpiresIn(10), Alpn::Http1);
    check("enough", at(), &[days(5, 2)], "up", "200 OK");
    check("soon", at(), &[days(14, 2)], "degraded", "10");
    check("too soon", at(), &[days(30, 11)], "down", "10");
}

#[test]
fn http2() {
    let h2 = |behaviour| tls(behaviour, Identity::Valid, Alpn::Http2);
    let version = ("expect", json!({ "version": "2" }));
    check("ok", h2(Behaviour::ok()), std::slice::from_ref(&version), "up", "200 OK");
    check(
        "http/1 where 2 is expected",
        tls(Behaviour::ok(), Identity::Valid, Alpn::Http1),
        &[version],
        "down",
        "version",
    );
    check("503", h2(Behaviour::answer(503, "text/plain", "")), &[], "down", "got 503");
    check("huge header", h2(Behaviour::HugeHeader(1 << 20)), &[], "down", "protocol");
    check("slow", h2(Behaviour::SlowHead(Duration::from_millis(50))), &[], "up", "200 OK");
}

#[test]
fn assertions_say_expected_and_got() {
    let expect = |value: Value| [("expect", value)];
    let body = || plain(Behaviour::json(r#"{"status":"ok","jobs":[{"n":3}]}"#));
    let up = |value: Value| check("assertion", body(), &expect(value), "up", "200 OK");
    let down = |value: Value, said: &str| check("assertion", body(), &expect(value), "down", said);
    up(json!({ "json": [{ "path": "$.status", "equals": "ok" }, { "path": "$.jobs[0].n", "at_least": 3 }] }));
    up(json!({ "body": { "contains": ["jobs"], "not_contains": ["error"], "matches": ["\"n\":[0-9]"] } }));
    up(json!({ "headers": [{ "name": "content-type", "contains": "json" }], "status": [200, "300-399"] }));
    down(json!({ "json": [{ "path": "$.jobs[0].n", "greater_than": 3 }] }), "greater than 3, got 3");
    down(json!({ "body": { "not_contains": ["jobs"] } }), "jobs");
    down(json!({ "headers": [{ "name": "x-missing", "present": true }] }), "x-missing");
    down(json!({ "status": [404] }), "expected status 404, got 200");
}

#[test]
fn negative_tests() {
    let expect = |kind: &str| [("expect", json!({ "failure": kind })), soon()];
    check("timeout wanted", plain(Behaviour::Silent), &expect("timeout"), "up", "timeout");
    check("tls failure wanted", tls(Behaviour::ok(), Identity::Expired, Alpn::Http1), &expect("tls"), "up", "expired");
    check("timeout wanted, answer came", plain(Behaviour::ok()), &expect("timeout"), "down", "200");
}

/// The host measures, so the numbers on the outcome do not depend on what the guest says.
#[test]
fn phases_are_measured_by_the_host() {
    on_both(|join| {
        let target = servers::http(Behaviour::SlowHead(Duration::from_millis(60)));
        let outcome = Case::http(&target.url("/")).run(&join);
        let phases = &outcome.effects[0].phases;
        assert!(phases.wait_us >= 55_000, "{phases:?}");
        assert!(phases.total_us >= phases.connect_us + phases.send_us + phases.wait_us + phases.receive_us);
        assert_eq!((phases.resolve_us, phases.tls_us), (0, None));
    });
}

#[test]
fn ipv6_loopback() {
    on_both(|join| {
        let target = servers::start("[::1]:0".parse().unwrap(), servers::Kind::Http(Behaviour::ok()));
        assert_outcome("v6", &join, &Case::http(&target.url("/")).run(&join), "up", "200 OK");
    });
}

/// A phase in which a request failed has its time, too.
#[test]
fn phases_of_a_failed_request_add_up() {
    on_both(|join| {
        let silent = servers::http(Behaviour::Silent);
        let outcome = Case::http(&silent.url("/")).set("timeout_ms", 500).run(&join);
        let phases = &outcome.effects[0].phases;
        assert!(phases.wait_us > 0 && phases.wait_us <= phases.total_us, "{phases:?}");
        let hanging = servers::tls_hang();
        let outcome = Case::http(&hanging.url("/")).set("timeout_ms", 500).run(&join);
        let phases = &outcome.effects[0].phases;
        assert!(phases.tls_us.is_some_and(|us| us > 0) && phases.wait_us == 0, "{phases:?}");
    });
}

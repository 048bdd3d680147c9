//! A probe that asks for what it was not granted: refused with a reason, and nothing ever connects.
//!
//! Every attack has its control: the one defence off, which here means the missing word allowed, the same request
//! arrives. So a silent listener proves the defence, not a broken test.

use crate::servers::{self, Behaviour, Kind, Reply, Target};
use crate::support::{Case, HOSTILE, message, on_both, verdict};
use health_watch_capability::{Denial, DenialReason};
use health_watch_sandbox::{Join, Outcome, PrepareError};
use serde_json::{Value, json};

/// The hostile guest on a channel for `own`, requesting `url`.
fn attack(own: &Target, url: &str) -> Case {
    Case::hostile("request", &own.url("/")).set("attack_url", url)
}

#[track_caller]
fn assert_denied(outcome: &Outcome, reason: DenialReason, fix: &str) {
    assert_eq!(verdict(outcome), "unknown (denied)", "{}", message(outcome));
    let [Denial { reason: given, fix: line, .. }] = outcome.denials.as_slice() else { panic!("{:?}", outcome.denials) };
    assert_eq!(*given, reason);
    assert!(line.contains(fix), "the operator is told `{line}`, not `{fix}`");
    let told: Value = serde_json::from_str(&message(outcome)).unwrap();
    assert_eq!(
        told.pointer("/denied/reason").or_else(|| told.pointer("/0/denied/reason")),
        Some(&json!(reason.label())),
        "{told}"
    );
    assert!(outcome.records.iter().any(|record| format!("{:?}", record.event).contains("Denied")), "no record");
}

/// `url` is refused for `reason` and the listener sees nothing; with `word` allowed, it sees a connection.
#[track_caller]
fn refused_until_allowed(url: impl Fn(&Target) -> String, reason: DenialReason, word: impl Fn(&Target) -> String) {
    on_both(|join| {
        let (own, forbidden) = (servers::http(Behaviour::ok()), servers::forbidden());
        let outcome = attack(&own, &url(&forbidden)).run(&join);
        assert_denied(&outcome, reason, &word(&forbidden));
        assert_eq!(forbidden.connections(), 0, "something connected");

        // A grant is what the manifest asks and the operator allows, so the control also makes it the channel's own.
        let control =
            Case::hostile("request", &url(&forbidden)).set("attack_url", url(&forbidden)).allow(&word(&forbidden));
        control.run(&join);
        assert_eq!(forbidden.connections(), 1, "the control did not arrive");
    });
}

#[test]
fn another_port() {
    let url = |target: &Target| target.url("/");
    refused_until_allowed(url, DenialReason::PortNotGranted, |target| format!("http://127.0.0.1:{}", target.port()));
}

#[test]
fn another_host() {
    on_both(|join| {
        let own = servers::http(Behaviour::ok());
        let forbidden = servers::start(([127, 0, 0, 2], own.port()).into(), Kind::Forbidden);
        let url = format!("http://127.0.0.2:{}/", own.port());
        let outcome = attack(&own, &url).run(&join);
        assert_denied(&outcome, DenialReason::HostNotGranted, &format!("http://127.0.0.2:{}", own.port()));
        assert_eq!(forbidden.connections(), 0);
        Case::hostile("request", &url).set("attack_url", url.as_str()).run(&join);
        assert_eq!(forbidden.connections(), 1, "the control did not arrive");
    });
}

#[test]
fn another_scheme() {
    on_both(|join| {
        let own = servers::http(Behaviour::ok());
        let outcome = attack(&own, &own.url("/").replace("http:", "https:")).run(&join);
        assert_denied(&outcome, DenialReason::SchemeNotGranted, "https://");
        assert_eq!(own.connections(), 0);
    });
}

#[test]
fn another_method() {
    on_both(|join| {
        let own = servers::http(Behaviour::ok());
        let only_get = json!({ "network": { "allowedOrigins": [{ "origin": format!("http://{}", own.addr()), "methods": ["GET"] }] } });
        let case =
            Case::hostile("request", "http://127.0.0.1:9/").set("attack_url", own.url("/")).set("method", "DELETE");
        let outcome = case.policy(&only_get).run(&join);
        // The manifest asks for its channel's own origin only, so this is not even granted for GET.
        assert_eq!(outcome.denials.len(), 1);
        assert_eq!(own.connections(), 0);
    });
}

/// Spellings that other parsers read as the address that is allowed, or as one that is not (RFC 3986, WHATWG,
/// `inet_aton`). Exactly one spelling is accepted.
#[test]
fn odd_spellings_reach_nobody() {
    on_both(|join| {
        let own = servers::http(Behaviour::ok());
        let port = own.port();
        let hosts = [
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "127.0.0.1.",
            "127.000.000.001",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:0:0:1]",
            "[::1%25lo]",
            "①②⑦.0.0.1",
            "127。0。0。1",
            "LOCALHOST",
            "localhost.",
            "0",
            "user@127.0.0.1",
            "127.0.0.1@evil.example",
            "a..b",
            "-a.example",
            "127.0.0.1%2eevil.example",
        ];
        let urls = hosts.iter().map(|host| format!("http://{host}:{port}/"));
        let others = [
            format!("http:\\\\127.0.0.1:{port}/"),
            format!("http://127.0.0.1:{port}\t/"),
            format!("HTTP://127.0.0.1:{port}/"),
            format!("http://127.0.0.1:0{port}/"),
            format!("http://127.0.0.1:{}/", u32::from(port) + 65_536),
            "http://127.0.0.1:/".to_owned(),
            format!("//127.0.0.1:{port}/"),
            format!("http:127.0.0.1:{port}/"),
            format!("http://127.0.0.1:{port}/#@evil.example"),
            "file:///etc/passwd".to_owned(),
            "http+unix://%2Frun%2Fdocker.sock/".to_owned(),
            "gopher://127.0.0.1:25/".to_owned(),
            String::new(),
        ];
        for url in urls.chain(others) {
            let outcome = attack(&own, &url).run(&join);
            let reasons: Vec<_> = outcome.denials.iter().map(|denial| denial.reason).collect();
            assert_eq!(reasons, [DenialReason::Spelling], "{url:?}");
        }
        assert_eq!(own.connections(), 0, "a spelling that is not accepted connected");
        assert_eq!(verdict(&attack(&own, &own.url("/")).run(&join)), "up", "the control");
    });
}

/// A name that the grant names, resolving to where it does not reach.
#[track_caller]
fn resolves_to(addresses: &[&str], join: &Join) -> (Outcome, usize, usize) {
    let forbidden = servers::forbidden();
    let reply = Reply::Addresses(addresses.iter().map(|address| address.parse().unwrap()).collect());
    let dns = servers::dns(&[("inside.example", reply)]);
    let url = format!("http://inside.example:{}/", forbidden.port());
    let outcome = Case::hostile("request", &url).set("attack_url", url.as_str()).dns(dns.addr()).run(join);
    let control = Case::hostile("request", &url).set("attack_url", url.as_str()).dns(dns.addr());
    control.allow(&format!("127.0.0.1:{}", forbidden.port())).run(join);
    let controlled = forbidden.connections();
    (outcome, controlled, dns.queries().len())
}

#[test]
fn a_name_that_resolves_to_loopback() {
    on_both(|join| {
        let (outcome, controlled, _) = resolves_to(&["127.0.0.1"], &join);
        assert_denied(&outcome, DenialReason::AddressNotGranted, "--allow 127.0.0.1:");
        assert_eq!(controlled, 1, "only the control may arrive");
    });
}

/// One refused address refuses the whole answer: a public one beside it makes nothing better.
#[test]
fn a_name_with_a_private_address_among_public_ones() {
    on_both(|join| {
        let (outcome, controlled, _) = resolves_to(&["127.0.0.1", "10.1.2.3"], &join);
        assert_denied(&outcome, DenialReason::AddressNotGranted, "--allow");
        assert_eq!(controlled, 0, "10.1.2.3 is refused in the control too, so nothing may arrive");
    });
}

#[test]
fn names_for_every_kind_of_special_address() {
    let addresses = [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "100.100.100.200",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:0:0:0:0:80ff:fffe",
        "::7f00:1",
    ];
    on_both(|join| {
        for address in addresses {
            let dns = servers::dns(&[("inside.example", Reply::address(address.parse::<std::net::IpAddr>().unwrap()))]);
            let url = "http://inside.example/";
            let outcome = Case::hostile("request", url).set("attack_url", url).dns(dns.addr()).run(&join);
            let reasons: Vec<_> = outcome.denials.iter().map(|denial| denial.reason).collect();
            assert_eq!(reasons, [DenialReason::AddressNotGranted], "{address}");
        }
    });
}

/// Rebinding: the answer changes between two connections. Each connection has one look-up of its own, judged anew.
#[test]
fn a_name_that_changes_its_mind() {
    on_both(|join| {
        let (own, forbidden_port) = (servers::http(Behaviour::ok()), servers::forbidden());
        let forbidden = servers::start(([127, 0, 0, 2], own.port()).into(), Kind::Forbidden);
        let dns = servers::dns(&[(
            "flip.example",
            Reply::Sequence(vec![Reply::address([127, 0, 0, 1]), Reply::address([127, 0, 0, 2])]),
        )]);
        let url = format!("http://flip.example:{}/", own.port());
        let case = Case::hostile("request", &url).set("attack_url", url.as_str()).set("times", 2).dns(dns.addr());
        let outcome = case.allow(&format!("127.0.0.1:{}", own.port())).run(&join);
        let told: Value = serde_json::from_str(&message(&outcome)).unwrap();
        assert_eq!(told.pointer("/0/ok/status"), Some(&json!(200)), "{told}");
        assert_eq!(told.pointer("/1/denied/reason"), Some(&json!("address-not-granted")), "{told}");
        assert_eq!((own.connections(), forbidden.connections(), forbidden_port.connections()), (1, 0, 0));
        let asked: Vec<_> = dns.queries().into_iter().filter(|(_, kind)| kind == "A").collect();
        assert_eq!(asked.len(), 2, "one look-up per connection");
    });
}

#[test]
fn headers_that_only_the_host_may_set() {
    on_both(|join| {
        let own = servers::http(Behaviour::ok());
        let names = [
            "host",
            "Host",
            "content-length",
            "transfer-encoding",
            "connection",
            "te",
            "trailer",
            "upgrade",
            "proxy-authorization",
            "x-forwarded-for",
        ];
        for name in names {
            let outcome = attack(&own, &own.url("/")).set("headers", json!([[name, "1"]])).run(&join);
            assert_denied(&outcome, DenialReason::HeaderNotGranted, "leave out");
        }
        assert_eq!(own.connections(), 0);
    });
}

/// Line breaks in a header, method or URL would be a request inside the request.
#[test]
fn nothing_is_smuggled_into_the_request() {
    on_both(|join| {
        let own = servers::http(Behaviour::ok());
        for (name, value) in [("x-a", "1\r\nx-b: 2"), ("x a", "1"), ("x-a\r\nx-b", "1"), ("", "1"), ("x-a", "1\0")] {
            let outcome = attack(&own, &own.url("/")).set("headers", json!([[name, value]])).run(&join);
            assert_denied(&outcome, DenialReason::Spelling, "correct it");
        }
        for method in ["GET / HTTP/1.1\r\nx: y\r\n\r\nGET", "get", "CONNECT", "TRACE", ""] {
            let outcome = attack(&own, &own.url("/")).set("method", method).run(&join);
            assert_eq!(outcome.denials[0].reason, DenialReason::Spelling, "{method:?}");
        }
        assert_eq!(own.connections(), 0);
    });
}

#[test]
fn what_goes_over_the_wire_is_what_was_decided_on() {
    on_both(|join| {
        let own = servers::http(Behaviour::ok());
        attack(&own, &own.url("/a?b=c")).set("headers", json!([["x-own", "1"]])).run(&join);
        let requests = own.wait_for_requests(1);
        let head = requests[0].head_text();
        assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
        assert!(head.to_lowercase().contains(&format!("\r\nhost: {}\r\n", own.addr())), "{head}");
        assert!(head.contains("x-own: 1\r\n") && !head.to_lowercase().contains("proxy"), "{head}");
    });
}

#[test]
fn without_the_clock_there_is_no_sleep_and_no_time() {
    on_both(|join| {
        let outcome = Case::hostile("sleep", "http://127.0.0.1:9/").set("sleep_ms", 1).run(&join);
        assert_eq!(outcome.denials[0].reason, DenialReason::CapabilityNotGranted);
        let outcome = Case::hostile("now", "http://127.0.0.1:9/").run(&join);
        assert_eq!(outcome.calls("now", "frozen"), 2, "{}", message(&outcome));
        let outcome = Case::hostile("now", "http://127.0.0.1:9/").allow("clock=10").run(&join);
        assert_eq!(outcome.calls("now", "allowed"), 2, "the control");
    });
}

#[test]
fn a_guest_may_ask_and_narrow_but_never_widen() {
    on_both(|join| {
        let (own, other) = (servers::http(Behaviour::ok()), servers::forbidden());
        let outcome =
            attack(&own, &own.url("/")).set("attack", "narrow").set("origins", json!([other.url("")])).run(&join);
        assert_eq!(outcome.denials.len(), 1, "narrowed to nothing: {}", message(&outcome));
        assert_eq!((own.connections(), other.connections()), (0, 0));
        let outcome = attack(&own, &other.url("/"))
            .set("attack", "narrow")
            .set("origins", json!([other.url(""), own.url("")]))
            .run(&join);
        assert_eq!(outcome.denials.len(), 1, "{}", message(&outcome));
        assert_eq!(other.connections(), 0);
        let outcome = attack(&own, &other.url("/")).set("attack", "ask").run(&join);
        assert_eq!(outcome.denials[0].reason, DenialReason::NobodyToAsk);
        let outcome = attack(&own, &other.url("/"))
            .set("attack", "permits")
            .set("attack_urls", json!([own.url("/"), other.url("/")]))
            .run(&join);
        assert!(outcome.denials.is_empty(), "a question is no use of a right");
    });
}

#[test]
fn the_ceiling_bounds_what_the_operator_allows() {
    on_both(|join| {
        let own = servers::http(Behaviour::ok());
        let elsewhere = json!({ "network": { "allowedHosts": ["*.example.org"], "allowedPorts": [443] } });
        let refusal = Case::http(&own.url("/")).ceiling(&elsewhere).refused(&join);
        let PrepareError::Gaps(gaps) = refusal else { panic!("{refusal}") };
        assert!(gaps[0].why.contains("ceiling"), "{}", gaps[0]);
        let here = json!({ "network": { "allowedHosts": ["127.0.0.0/8"], "allowedPorts": ["1-65535"] } });
        assert_eq!(verdict(&Case::http(&own.url("/")).ceiling(&here).run(&join)), "up", "the control");
    });
}

/// What a manifest names by itself is not the operator's word.
#[test]
fn denials_do_not_make_a_target_look_down() {
    on_both(|join| {
        let (own, other) = (servers::http(Behaviour::ok()), servers::forbidden());
        let up = attack(&own, &other.url("/")).set("status", "up").run(&join);
        assert_eq!((verdict(&up).as_str(), up.denials.len()), ("up", 1), "`up` stands, with the denial attached");
        let degraded = attack(&own, &other.url("/")).set("status", "degraded").run(&join);
        assert_eq!(verdict(&degraded), "degraded");
    });
    assert!(!HOSTILE.is_empty());
}

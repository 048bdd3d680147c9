//! The decision, one row for every reason it can give: the rule that decided and the line that would change it.

use super::{asks_for_everything, grant_of, manifest};
use crate::decision::decide_target;
use crate::message::{Credential, DenialReason, HttpRequest};
use crate::{Denial, Grant, Origin, Policy, decide, judge_address, negotiate};
use serde_json::json;

/// What the tables below decide against.
fn policy() -> Policy {
    let written = json!({
        "network": {
            "allowedHosts": ["*.example.com", "10.0.0.0/8"],
            "allowedPorts": [8080],
            "allowedOrigins": ["https://example.org", "http://127.0.0.1", "http://plain.example",
                { "origin": "https://api.example:8443", "methods": ["GET", "HEAD"] }],
        },
        "secrets": {
            "token": { "allowedOrigins": ["https://example.org", "http://127.0.0.1", "http://plain.example"] },
        },
    });
    Policy::from_json(&written.to_string()).unwrap()
}

fn request(url: &str) -> HttpRequest {
    HttpRequest { method: "GET".to_owned(), url: url.to_owned(), ..HttpRequest::default() }
}

fn check_denied<T>(outcome: Result<T, Denial>, reason: DenialReason, asked: &str, rule: &str, fix: &str) {
    let denial = outcome.err().unwrap_or_else(|| panic!("{asked} is allowed"));
    let found = (denial.reason, denial.request.as_str(), denial.rule.as_str(), denial.fix.as_str());
    assert_eq!(found, (reason, asked, rule, fix));
    assert_eq!(denial.to_string(), format!("{asked} denied: {reason} ({rule})"));
}

fn allow_line(origin: &str) -> String {
    format!("--allow {origin}   (or in a policy: network.allowedOrigins = [\"{origin}\"])")
}

#[test]
fn what_a_rule_covers_is_allowed_by_that_rule() {
    let grant = grant_of(&policy());
    let table = [
        ("GET", "https://example.org/a?b", "manifest ∧ network.allowedOrigins `https://example.org`"),
        ("DELETE", "https://example.org:443", "manifest ∧ network.allowedOrigins `https://example.org`"),
        ("HEAD", "https://api.example:8443/", "manifest ∧ network.allowedOrigins `https://api.example:8443`"),
        ("PUT", "http://a.example.com:8080/", "manifest ∧ network.allowedHosts `*.example.com` × allowedPorts `8080`"),
        ("PUT", "https://a.example.com:8080/", "manifest ∧ network.allowedHosts `*.example.com` × allowedPorts `8080`"),
        ("GET", "http://10.1.2.3:8080/", "manifest ∧ network.allowedHosts `10.0.0.0/8` × allowedPorts `8080`"),
    ];
    for (method, url, rule) in table {
        let allowed = decide_target(&grant, method, url).unwrap_or_else(|denial| panic!("{denial}"));
        assert_eq!((allowed.method.as_str(), allowed.rule.as_str()), (method, rule));
        assert_eq!(Ok(allowed.url), url.parse());
    }
}

#[test]
fn a_target_that_no_rule_covers_is_denied_for_how_far_the_nearest_rule_got() {
    use DenialReason::{HostNotGranted, MethodNotGranted, PortNotGranted, SchemeNotGranted};
    let grant = grant_of(&policy());
    let near = |rule: &str| format!("default deny; nearest rule: {rule}");
    let none = || "default deny".to_owned();
    let table = [
        ("GET", "https://other.example/x", HostNotGranted, none(), "https://other.example"),
        ("GET", "https://example.com:8080/", HostNotGranted, none(), "https://example.com:8080"),
        ("GET", "http://evilexample.com:8080/", HostNotGranted, none(), "http://evilexample.com:8080"),
        ("GET", "http://11.0.0.1:8080/", HostNotGranted, none(), "http://11.0.0.1:8080"),
        ("GET", "http://[::1]:8080/", HostNotGranted, none(), "http://[::1]:8080"),
        (
            "GET",
            "http://a.example.com/",
            PortNotGranted,
            near("*://*.example.com:8080 any method"),
            "http://a.example.com",
        ),
        (
            "GET",
            "https://example.org:8443/",
            PortNotGranted,
            near("https://example.org:443 any method"),
            "https://example.org:8443",
        ),
        (
            "GET",
            "http://example.org/",
            PortNotGranted,
            near("https://example.org:443 any method"),
            "http://example.org",
        ),
        (
            "GET",
            "http://example.org:443/",
            SchemeNotGranted,
            near("https://example.org:443 any method"),
            "http://example.org:443",
        ),
        (
            "POST",
            "https://api.example:8443/",
            MethodNotGranted,
            near("https://api.example:8443 GET HEAD"),
            "https://api.example:8443",
        ),
    ];
    for (method, url, reason, rule, origin) in table {
        let asked = format!("{method} {origin}");
        check_denied(decide_target(&grant, method, url), reason, &asked, &rule, &allow_line(origin));
    }
}

#[test]
fn without_any_rule_the_capability_as_a_whole_is_not_granted() {
    for grant in [Grant::nothing(), grant_of(&Policy::default())] {
        let fix = allow_line("https://example.org");
        let outcome = decide(&grant, &request("https://example.org/"));
        check_denied(outcome, DenialReason::CapabilityNotGranted, "GET https://example.org", "default deny", &fix);
    }
}

#[test]
fn a_misspelt_target_is_denied_before_any_rule_is_looked_at() {
    let table = [
        (
            "GET",
            "https://Example.org/",
            "GET https://Example.org/",
            "is not lower case",
            "write `https://example.org/`",
        ),
        (
            "GET",
            "http://0x7f.1/",
            "GET http://0x7f.1/",
            "is an IPv4 address in a spelling that is not accepted",
            "write `http://127.0.0.1/`",
        ),
        ("GET", "/path", "GET /path", "is not an absolute URL", "write it in its canonical form"),
        (
            "get",
            "https://example.org/",
            "get https://example.org/",
            "is a method that is not upper case",
            "write `GET`",
        ),
        (
            "TRACE",
            "https://example.org/",
            "TRACE https://example.org/",
            "is not one of the methods GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
            "write it in its canonical form",
        ),
        (
            "GET",
            "https://a/\u{1b}[2J",
            "GET https://a/\\u{1b}[2J",
            "has a blank or control character",
            "write it in its canonical form",
        ),
    ];
    let everything = Policy::from_json(r#"{"network":{"allowedHosts":["*"],"allowedPorts":["1-65535"]}}"#).unwrap();
    for grant in [grant_of(&everything), Grant::nothing()] {
        for (method, url, asked, rule, fix) in table {
            check_denied(decide_target(&grant, method, url), DenialReason::Spelling, asked, rule, fix);
        }
    }
}

#[test]
fn a_header_that_only_the_host_may_set_is_denied_in_any_case() {
    let grant = grant_of(&policy());
    let reserved = [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "TE",
        "trailer",
        "Connection",
        "keep-alive",
        "Upgrade",
        "Expect",
        "Proxy-Authorization",
        "proxy-connection",
        "Forwarded",
        "X-Forwarded-For",
        "x-forwarded-host",
        "Via",
        ":authority",
        "http2-settings",
        "proxy-authenticate",
    ];
    for name in reserved {
        let mut asked = request("https://example.org/");
        asked.headers = vec![("accept".to_owned(), "*/*".to_owned()), (name.to_owned(), "x".to_owned())];
        let shown = format!("GET https://example.org with header `{name}`");
        let fix = format!("leave out the header `{name}`");
        check_denied(
            decide(&grant, &asked),
            DenialReason::HeaderNotGranted,
            &shown,
            "fields that only the host may set",
            &fix,
        );
        let mut asked = request("https://example.org/");
        asked.credential = Some(Credential::Header { name: name.to_owned(), secret: "token".to_owned() });
        check_denied(
            decide(&grant, &asked),
            DenialReason::HeaderNotGranted,
            &shown,
            "fields that only the host may set",
            &fix,
        );
    }
    for name in
        ["accept", "authorization", "cookie", "user-agent", "x-api-key", "content-type", "hostname", "x-forwarded"]
    {
        let mut asked = request("https://example.org/");
        asked.headers = vec![(name.to_owned(), "x".to_owned())];
        assert!(decide(&grant, &asked).is_ok(), "{name}");
    }
}

fn with_secret(url: &str, secret: &str) -> [HttpRequest; 3] {
    let secret = || secret.to_owned();
    [
        Credential::Bearer(secret()),
        Credential::Basic { user: "u".to_owned(), secret: secret() },
        Credential::Header { name: "x-api-key".to_owned(), secret: secret() },
    ]
    .map(|credential| HttpRequest { credential: Some(credential), ..request(url) })
}

#[test]
fn a_secret_goes_only_to_its_own_origins_and_in_clear_only_to_this_machine() {
    use DenialReason::{SecretInClear, SecretNotGranted};
    let grant = grant_of(&policy());
    for url in ["https://example.org/", "http://127.0.0.1/"] {
        assert!(with_secret(url, "token").iter().all(|asked| decide(&grant, asked).is_ok()), "{url}");
    }
    let table = [
        (
            "https://api.example:8443/",
            "token",
            SecretNotGranted,
            "secret `token` to https://api.example:8443",
            "secrets.token.allowedOrigins does not list it",
            "secrets.token.allowedOrigins = [\"https://api.example:8443\"]",
        ),
        (
            "https://example.org/",
            "other",
            SecretNotGranted,
            "secret `other` to https://example.org",
            "default deny",
            "--secret other=env:VARIABLE   (or in a policy: secrets.other)",
        ),
        (
            "https://example.org/",
            "a\nb",
            DenialReason::Spelling,
            "secret `a\\nb` to https://example.org",
            "a secret's name is 1 to 64 letters, digits, `_`, `-` and `.`",
            "correct the name in the probe or its settings",
        ),
        (
            "http://plain.example/",
            "token",
            SecretInClear,
            "secret `token` to http://plain.example",
            "a secret crosses the network only encrypted",
            "use https, or secrets.token.allowClearText = true",
        ),
    ];
    for (url, secret, reason, asked, rule, fix) in table {
        for request in with_secret(url, secret) {
            check_denied(decide(&grant, &request), reason, asked, rule, fix);
        }
    }
    let mut clear = policy();
    clear.secrets.get_mut("token").unwrap().in_clear = true;
    assert!(with_secret("http://plain.example/", "token").iter().all(|asked| decide(&grant_of(&clear), asked).is_ok()));
}

#[test]
fn a_secret_without_origins_may_go_where_the_settings_point_and_nowhere_else() {
    let probe = manifest(
        &json!([
            { "kind": "http", "origin": "{settings.url.origin}", "reason": "look" },
            { "kind": "http", "origin": "https://fixed.example", "reason": "look" },
            { "kind": "secret", "name": "token", "reason": "log in" },
        ]),
        &json!([]),
    );
    let mut allow = Policy::from_word("https://fixed.example").unwrap();
    allow
        .secrets
        .insert("token".to_owned(), crate::policy::SecretUse { where_settings_point: true, ..Default::default() });
    let settings = json!({ "url": "https://own.example/x" });
    let grant = negotiate(&probe, &settings, None, &allow).unwrap().grant;
    assert!(with_secret("https://own.example/", "token").iter().all(|asked| decide(&grant, asked).is_ok()));
    for request in with_secret("https://fixed.example/", "token") {
        assert_eq!(decide(&grant, &request).unwrap_err().reason, DenialReason::SecretNotGranted);
    }
    // A ceiling that lists no origin permits none.
    let mut ceiling = Policy::from_json(r#"{"secrets":{"token":{"allowedOrigins":[]}}}"#).unwrap();
    ceiling.http = Policy::from_json(r#"{"network":{"allowedHosts":["*"],"allowedPorts":[443]}}"#).unwrap().http;
    let grant = negotiate(&probe, &settings, Some(&ceiling), &allow).unwrap().grant;
    for request in with_secret("https://own.example/", "token") {
        assert_eq!(decide(&grant, &request).unwrap_err().reason, DenialReason::SecretNotGranted);
    }
}

#[test]
fn an_address_of_a_special_range_needs_a_word_that_names_it_on_that_port() {
    let grant = grant_of(&policy());
    let fix = |literal: &str| {
        format!("--allow {literal}   (or in a policy: that address or its block in network.allowedHosts)")
    };
    let never = || "no rule can allow this address".to_owned();
    // An empty range stands for allowed.
    let table = [
        ("http://a.example.com:8080", "8.8.8.8", "", String::new()),
        ("http://a.example.com:8080", "2606:4700::1111", "", String::new()),
        ("http://a.example.com:8080", "10.1.2.3", "", String::new()),
        ("http://a.example.com:8080", "::ffff:10.1.2.3", "", String::new()),
        ("http://127.0.0.1", "127.0.0.1", "", String::new()),
        ("https://example.org", "10.1.2.3", "private", fix("10.1.2.3:443")),
        ("https://example.org", "::ffff:10.1.2.3", "private", fix("10.1.2.3:443")),
        ("https://example.org", "64:ff9b::a01:203", "private", fix("10.1.2.3:443")),
        ("https://example.org", "2002:a01:203::1", "private", fix("10.1.2.3:443")),
        ("http://a.example.com:8080", "127.0.0.1", "loopback", fix("127.0.0.1:8080")),
        ("http://a.example.com:8080", "127.0.0.2", "loopback", fix("127.0.0.2:8080")),
        ("http://a.example.com:8080", "::1", "loopback", fix("[::1]:8080")),
        ("http://a.example.com:8080", "fe80::1", "link-local", fix("[fe80::1]:8080")),
        ("http://a.example.com:8080", "192.168.0.1", "private", fix("192.168.0.1:8080")),
        ("http://a.example.com:8080", "100.64.0.1", "carrier-grade NAT", fix("100.64.0.1:8080")),
        ("http://a.example.com:8080", "169.254.169.254", "cloud metadata", fix("169.254.169.254:8080")),
        ("http://a.example.com:8080", "fd00:ec2::254", "cloud metadata", fix("[fd00:ec2::254]:8080")),
        ("http://a.example.com:8080", "0.0.0.0", "unspecified", never()),
        ("http://a.example.com:8080", "::", "unspecified", never()),
        ("http://a.example.com:8080", "255.255.255.255", "broadcast", never()),
        ("http://a.example.com:8080", "224.0.0.1", "multicast", never()),
    ];
    for (origin, address, range, fix) in table {
        let outcome = judge_address(&grant, &origin.parse::<Origin>().unwrap(), address.parse().unwrap());
        if range.is_empty() {
            assert_eq!(outcome, Ok(()), "{origin} {address}");
            continue;
        }
        let rule = format!("{range} addresses need a rule that names them");
        let asked = format!("{origin} at {address}");
        check_denied(outcome, DenialReason::AddressNotGranted, &asked, &rule, &fix);
    }
}

#[test]
fn the_fix_of_a_denial_is_a_word_that_allows() {
    let with = |fix: &str| {
        let word = fix.strip_prefix("--allow ").and_then(|rest| rest.split_once("   (")).unwrap().0;
        let allow = policy().join(Policy::from_word(word).unwrap_or_else(|problem| panic!("{problem}")));
        negotiate(&asks_for_everything(), &json!({}), None, &allow).unwrap().grant
    };
    let grant = grant_of(&policy());
    for url in [
        "https://other.example/",
        "http://a.example.com/",
        "http://example.org:443/",
        "https://api.example:8443/",
        "http://[::1]:1/",
    ] {
        let denial = decide_target(&grant, "POST", url).unwrap_err();
        assert!(decide_target(&with(&denial.fix), "POST", url).is_ok(), "{url}");
    }
    let origin: Origin = "https://example.org".parse().unwrap();
    for address in [
        "10.0.0.1",
        "127.0.0.1",
        "::1",
        "fd00::1",
        "169.254.169.254",
        "fd00:ec2::254",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "::ffff:10.0.0.1",
        "fec0::1",
    ] {
        let denial = judge_address(&grant, &origin, address.parse().unwrap()).unwrap_err();
        assert_eq!(judge_address(&with(&denial.fix), &origin, address.parse().unwrap()), Ok(()), "{address}");
    }
}

#[test]
fn what_a_denial_quotes_is_bounded_and_printable() {
    let long = format!("{}\u{1b}", "a".repeat(100_000));
    let grant = grant_of(&policy());
    let mut requests = with_secret("https://example.org/", &long).to_vec();
    requests.push(HttpRequest { method: long.clone(), ..request("https://example.org/") });
    requests.push(request(&format!("https://{long}/")));
    requests.push(HttpRequest {
        headers: vec![(format!("x-forwarded-{long}"), String::new())],
        ..request("https://example.org/")
    });
    for request in requests {
        let denial = decide(&grant, &request).unwrap_err();
        let text = format!("{denial} {}", denial.fix);
        assert!(text.len() < 4_000 && !text.chars().any(char::is_control), "{}", text.len());
    }
}

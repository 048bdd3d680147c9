//! Manifests: one meaning in both forms, and references that see only what the operator wrote.

use super::{manifest, rendered};
use crate::manifest::{Manifest, Wanted};
use crate::{Limits, Policy, Refusal, negotiate};
use serde_json::{Value, json};

const TOML: &str = r#"
manifest_version = 1
name = "http-status"
version = "1.2.3"
description = "Looks at one page."

[[required]]
kind = "http"
origin = "{settings.url.origin}"
methods = ["GET", "HEAD"]
reason = "fetch the page"

[[optional]]
kind = "secret"
name = "token"
reason = "log in"

[[optional]]
kind = "clock"
max_sleep_ms = 250
reason = "wait"

[resources]
max_memory_mb = 8
max_cpu_time_ms = 50

[settings]
type = "object"
required = ["url"]
"#;

const JSON: &str = r#"{
  "manifestVersion": 1, "name": "http-status", "version": "1.2.3", "description": "Looks at one page.",
  "required": [{ "kind": "http", "origin": "{settings.url.origin}", "methods": ["GET", "HEAD"], "reason": "fetch the page" }],
  "optional": [
    { "kind": "secret", "name": "token", "reason": "log in" },
    { "kind": "clock", "maxSleepMs": 250, "reason": "wait" }
  ],
  "resources": { "maxMemoryMB": 8, "maxCpuTimeMs": 50 },
  "settings": { "type": "object", "required": ["url"] }
}"#;

#[test]
fn both_forms_agree_and_the_json_form_reads_back() {
    let from_toml = Manifest::from_toml(TOML).unwrap();
    assert_eq!(Manifest::from_json(JSON).as_ref(), Ok(&from_toml));
    assert_eq!(Manifest::from_json(&from_toml.to_json()).as_ref(), Ok(&from_toml));
    let lines: Vec<_> =
        from_toml.asks_as_written().into_iter().map(|(r, k, what, why)| format!("{r} {k} {what}: {why}")).collect();
    let expected = [
        "true http {settings.url.origin} GET HEAD: fetch the page",
        "false secret token: log in",
        "false clock sleep up to 250 ms: wait",
    ];
    assert_eq!(lines, expected);
    assert_eq!((from_toml.limits().memory_bytes, from_toml.limits().cpu_ms), (Some(8 << 20), Some(50)));
    let asks: Vec<_> = from_toml
        .asks(&json!({ "url": "http://a.example/x" }))
        .unwrap()
        .iter()
        .map(|ask| ask.what.to_string())
        .collect();
    assert_eq!(asks, ["http http://a.example (GET HEAD)", "secret token", "clock (sleep up to 250 ms)"]);
}

/// What an optional `origin` comes to: the origin and `!` where the operator's settings named it, `-` for nothing,
/// else the faults.
fn expanded(origin: &str, settings: &Value) -> String {
    let asked = manifest(&json!([]), &json!([{ "kind": "http", "origin": origin, "reason": "r" }]));
    match asked.asks(settings) {
        Err(faults) => rendered::<()>(Err(faults)).join("; "),
        Ok(asks) => asks.first().map_or("-".to_owned(), |ask| {
            let Wanted::Http { origin, .. } = &ask.what else { panic!("{:?}", ask.what) };
            let origin = origin.as_ref().map_or("*".to_owned(), ToString::to_string);
            format!("{origin}{}", if ask.from_settings { "!" } else { "" })
        }),
    }
}

#[test]
fn a_reference_comes_to_what_the_operator_wrote() {
    let settings = json!({
        "url": "http://a.example:8080/x?y", "tls": "https://b.example/", "plain": "http://c.example",
        "origin": "https://d.example", "deep": { "url": "https://e.example/" }, "flag": true, "list": [], "null": null,
        "port": 8443, "bad": "https://Example.org/", "any": "*",
    });
    let not_text = |key: &str| format!("settings.{key} is neither a text nor a number");
    let table = [
        ("https://fixed.example", "https://fixed.example".to_owned()),
        ("*", "*".to_owned()),
        ("{settings.url.origin}", "http://a.example:8080!".to_owned()),
        ("{settings.tls.origin}", "https://b.example!".to_owned()),
        ("{settings.deep.url.origin}", "https://e.example!".to_owned()),
        ("{settings.origin}", "https://d.example!".to_owned()),
        ("{settings.any}", "*!".to_owned()),
        ("{settings.url.https_origin}", "https://a.example!".to_owned()),
        ("{settings.plain.https_origin}", "https://c.example!".to_owned()),
        ("{settings.tls.https_origin}", "-".to_owned()),
        ("{settings.tls.https_origin|https://z.example}", "https://z.example".to_owned()),
        ("{settings.absent.origin}", "-".to_owned()),
        ("{settings.absent.origin|https://z.example}", "https://z.example".to_owned()),
        ("{settings.url.origin|https://z.example}", "http://a.example:8080!".to_owned()),
        ("{settings.deep.absent}", "-".to_owned()),
        ("{settings.port.origin}", "-".to_owned()),
        (
            "{settings.url.path}",
            "`.path` is not a part of a URL; use origin, host, port, scheme or https_origin".to_owned(),
        ),
        ("{settings.url.host}", "`a.example` is not an absolute URL; write `https://a.example`".to_owned()),
        ("{settings.url.scheme}", "`http` is not an absolute URL; write `https://http`".to_owned()),
        ("{settings.url.port}", "`8080` is not an absolute URL; write `https://0.0.31.144`".to_owned()),
        ("{settings.port}", "`8443` is not an absolute URL; write `https://0.0.32.251`".to_owned()),
        (
            "{settings.bad.origin}",
            "settings.bad: `https://Example.org/` is not lower case; write `https://example.org/`".to_owned(),
        ),
        ("{settings.flag}", not_text("flag")),
        ("{settings.list}", not_text("list")),
        ("{settings.null}", not_text("null")),
        ("{settings.deep}", not_text("deep")),
    ];
    for (template, expected) in table {
        assert_eq!(expanded(template, &settings), expected, "{template}");
    }
}

#[test]
fn a_host_a_port_and_a_scheme_can_be_named_as_a_secret_is() {
    let settings = json!({ "url": "http://a.example:8080/x", "v6": "https://[::1]/", "who": "admin" });
    let table = [
        ("{settings.url.host}", "a.example"),
        ("{settings.url.port}", "8080"),
        ("{settings.url.scheme}", "http"),
        ("{settings.v6.port}", "443"),
        ("{settings.who}", "admin"),
        ("{settings.absent|token}", "token"),
        ("token", "token"),
    ];
    for (template, name) in table {
        let asked = manifest(&json!([{ "kind": "secret", "name": template, "reason": "r" }]), &json!([]));
        assert_eq!(asked.asks(&settings).unwrap()[0].what, Wanted::Secret(name.to_owned()), "{template}");
    }
    let asked = manifest(&json!([{ "kind": "secret", "name": "{settings.v6.host}", "reason": "r" }]), &json!([]));
    assert!(rendered(asked.asks(&settings))[0].contains("cannot name a secret"), "what a shell would read otherwise");
}

#[test]
fn a_required_reference_to_an_absent_setting_is_a_fault() {
    for template in ["{settings.absent}", "{settings.url.https_origin}", "{settings.}"] {
        let asked = manifest(&json!([{ "kind": "http", "origin": template, "reason": "r" }]), &json!([]));
        let faults = rendered(asked.asks(&json!({ "url": "https://a.example" })));
        assert_eq!(faults, [format!("settings: `{template}` refers to a setting that is not set")]);
    }
}

#[test]
fn a_default_in_the_schema_is_not_the_operators_word() {
    let written = json!({
        "manifestVersion": 1, "name": "sly", "version": "1",
        "required": [{ "kind": "http", "origin": "{settings.url.origin}", "reason": "r" }],
        "settings": { "properties": { "url": { "default": "https://evil.example/" } }, "default": { "url": "https://evil.example/" } },
    });
    let sly = Manifest::from_json(&written.to_string()).unwrap();
    let refused = negotiate(&sly, &json!({}), None, &Policy::default());
    assert!(matches!(refused, Err(Refusal::Settings(_))), "{refused:?}");
    // Neither is a default in a reference: it is asked for, and the operator has to allow it.
    let asked = manifest(
        &json!([{ "kind": "http", "origin": "{settings.url.origin|https://evil.example}", "reason": "r" }]),
        &json!([]),
    );
    let refused = negotiate(&asked, &json!({}), None, &Policy::default());
    assert!(matches!(refused, Err(Refusal::Gaps(_))), "{refused:?}");
    let granted = negotiate(&asked, &json!({ "url": "https://own.example/" }), None, &Policy::default()).unwrap();
    assert_eq!(granted.grant.rules(), [("http".to_owned(), "https://own.example:443 any method".to_owned())]);
}

#[test]
fn each_mistake_is_named() {
    const MIXED: &str = "mixes text and a reference; write one reference, `{settings.NAME}`, or plain text";
    let with = |key: &str, value: Value| {
        let mut written = json!({ "manifestVersion": 1, "name": "a", "version": "1" });
        written[key] = value;
        written.to_string()
    };
    let http = |origin: &str| with("optional", json!([{ "kind": "http", "origin": origin, "reason": "r" }]));
    let long = "a".repeat(65);
    let name = |name: &str| format!("name: `{name}` is not 1 to 64 lower-case letters, digits and hyphens");
    let table = [
        ("[]".to_owned(), "line 1: invalid type: sequence, expected a table of keys and values".to_owned()),
        ("{}".to_owned(), "line 1: missing key `manifestVersion`".to_owned()),
        (
            with("manifestVersion", json!(2)),
            "manifestVersion: `2` is not a version this program reads; write `1`".to_owned(),
        ),
        (with("require", json!([])), "line 1: unknown key `require`; did you mean `required`?".to_owned()),
        (with("name", json!("")), name("")),
        (with("name", json!("Upper")), name("Upper")),
        (with("name", json!("a_b")), name("a_b")),
        (with("name", json!(long)), name(&long)),
        (with("settings", json!(true)), "settings: is not a JSON Schema object".to_owned()),
        (
            with("resources", json!({ "maxMemoryMB": 65 })),
            "resources.maxMemoryMB: `65` is more than the most allowed, `64`".to_owned(),
        ),
        (
            with("resources", json!([1])),
            "line 1: invalid type: sequence, expected a table of keys and values".to_owned(),
        ),
        (
            with("required", json!([{ "kind": "file", "reason": "r" }])),
            "line 1: unknown variant `file`, expected one of `http`, `secret`, `clock`".to_owned(),
        ),
        (with("required", json!([{ "kind": "secret", "name": "x" }])), "line 1: missing key `reason`".to_owned()),
        (
            http("https://a.example/"),
            "asks: `https://a.example/` has a path; an origin is scheme, host and port; write `https://a.example`"
                .to_owned(),
        ),
        (http("https://*.a.example"), "asks: `https://*.a.example` has a character that no host name has".to_owned()),
        (http("https://{settings.host}"), format!("asks: `https://{{settings.host}}` {MIXED}")),
        (
            http("{settings.scheme}://{settings.host}"),
            format!("asks: `{{settings.scheme}}://{{settings.host}}` {MIXED}"),
        ),
        (http("{settings.a}:80"), format!("asks: `{{settings.a}}:80` {MIXED}")),
        (http("{env.HOME}"), "asks: `{env.HOME}` refers to something other than `settings`".to_owned()),
        (http("{}"), "asks: `{}` refers to something other than `settings`".to_owned()),
        (http("{settings.url|http://Bad}"), "asks: `http://Bad` is not lower case; write `http://bad`".to_owned()),
        (
            with("optional", json!([{ "kind": "http", "origin": "*", "methods": ["get"], "reason": "r" }])),
            "asks: `get` is a method that is not upper case; write `GET`".to_owned(),
        ),
    ];
    for (text, fault) in table {
        assert_eq!(rendered(Manifest::from_json(&text)), [fault], "{text}");
    }
    assert_eq!(
        rendered(Manifest::from_toml("manifest_version = 1\nname = 1\n")),
        ["line 2: invalid type: integer `1`, expected a string"]
    );
}

#[test]
fn a_refusal_lists_every_gap_and_what_is_optional_is_dropped_by_name() {
    let asked = manifest(
        &json!([
            { "kind": "http", "origin": "https://a.example", "reason": "look" },
            { "kind": "secret", "name": "token", "reason": "log in" },
            { "kind": "clock", "maxSleepMs": 10, "reason": "wait" },
            { "kind": "http", "origin": "https://ok.example", "reason": "look" },
        ]),
        &json!([{ "kind": "http", "origin": "https://b.example", "reason": "more" }]),
    );
    let allow = Policy::from_word("https://ok.example").unwrap();
    let Err(Refusal::Gaps(gaps)) = negotiate(&asked, &json!({}), None, &allow) else { panic!("granted") };
    let shown: Vec<_> = gaps.iter().map(ToString::to_string).collect();
    let expected = [
        "requires http https://a.example (any method) (to look): `allow` has no rule for it; allow it with `--allow https://a.example` or network.allowedOrigins = [\"https://a.example\"]",
        "requires secret token (to log in): `allow` does not name the secret `token`; give it with `--secret token=env:VARIABLE`",
        "requires clock (sleep up to 10 ms) (to wait): `allow` does not grant the clock; allow it with `--allow clock=10`",
    ];
    assert_eq!(shown, expected);
    let ceiling = Policy::default();
    let mut allow =
        Policy::from_word("https://a.example").unwrap().join(allow).join(Policy::from_word("clock=5").unwrap());
    allow
        .secrets
        .insert("token".to_owned(), crate::policy::SecretUse { where_settings_point: true, ..Default::default() });
    let Err(Refusal::Gaps(gaps)) = negotiate(&asked, &json!({}), Some(&ceiling), &allow) else { panic!("granted") };
    let why: Vec<_> = gaps.iter().map(|gap| gap.why.as_str()).collect();
    let expected = [
        "the ceiling does not permit it",
        "the ceiling does not name the secret `token`",
        "the ceiling does not permit the clock",
        "the ceiling does not permit it",
    ];
    assert_eq!(why, expected);
    let negotiated = negotiate(&asked, &json!({}), None, &allow).unwrap();
    let dropped: Vec<_> = negotiated.dropped.iter().map(|d| format!("{}: {}: {}", d.what, d.reason, d.why)).collect();
    assert_eq!(dropped, ["http https://b.example (any method): more: `allow` has no rule for it"]);
    assert_eq!(negotiated.grant.clock().map(|clock| clock.max_sleep_ms), Some(5));
}

#[test]
fn a_manifest_can_lower_a_limit_and_not_raise_one() {
    let with = |memory: u64| {
        let written =
            json!({ "manifestVersion": 1, "name": "a", "version": "1", "resources": { "maxMemoryMB": memory } });
        let probe = Manifest::from_json(&written.to_string()).unwrap();
        negotiate(&probe, &json!({}), None, &Policy::default()).unwrap().grant.limits().memory_bytes
    };
    assert_eq!((with(1), with(64)), (1 << 20, Limits::DEFAULT.memory_bytes));
}

/// What a person reads before consenting is plain, short text.
#[test]
fn texts_that_could_deceive_are_refused() {
    let with = |key: &str, text: &str| {
        let mut manifest = serde_json::json!({ "manifestVersion": 1, "name": "a", "version": "1" });
        match key {
            "reason" => manifest["optional"] = serde_json::json!([{ "kind": "secret", "name": "s", "reason": text }]),
            _ => manifest[key] = text.into(),
        }
        Manifest::from_json(&manifest.to_string())
    };
    for key in ["version", "description", "reason"] {
        assert!(with(key, "plain ünïcode").is_ok(), "{key}: the control");
        for text in ["\u{1b}[2J", "a\nb", "\u{202e}live", "zero\u{200b}width", &"x".repeat(401)] {
            let faults = with(key, text).expect_err(text);
            assert_eq!(faults[0].key, key, "{faults:?}");
        }
    }
}

#[test]
fn methods_that_refer_to_nothing_are_a_fault() {
    let text = r#"{"manifestVersion":1,"name":"a","version":"1","required":[{"kind":"http","origin":"http://h","methods":["{settings.m}"],"reason":"r"}]}"#;
    let manifest = Manifest::from_json(text).expect("its form is right");
    assert!(manifest.asks(&serde_json::json!({ "m": "GET" })).is_ok(), "the control");
    let faults = manifest.asks(&serde_json::json!({})).expect_err("no method");
    assert!(faults[0].problem.contains("not set"), "{faults:?}");
}

//! Policies as written and what they mean: the client's own form, its TOML twin, and one fixture per mistake.

use super::{grant_of, rendered};
use crate::pattern::Methods;
use crate::policy::Filesystem;
use crate::quota::MB;
use crate::{Limits, Policy};
use serde_json::json;
use std::collections::BTreeSet;

/// The client's `CapabilityModel` with every key of it, and nothing else.
const CLIENT_JSON: &str = r#"{
  "network": { "allowedHosts": ["example.org", "*.example.com", "10.0.0.0/8"], "allowedPorts": [443, 8443], "maxConnections": 2, "timeout": 5000 },
  "filesystem": { "allowedPaths": ["/var/lib/probe", "/etc"], "maxFileSize": 65536, "readOnly": false },
  "resources": { "maxMemoryMB": 32, "maxCpuTimeMs": 200, "maxWallTimeMs": 15000 }
}"#;

const CLIENT_TOML: &str = r#"
[network]
allowed_hosts = ["example.org", "*.example.com", "10.0.0.0/8"]
allowed_ports = [443, 8443]
max_connections = 2
timeout = 5000

[filesystem]
allowed_paths = ["/var/lib/probe", "/etc"]
max_file_size = 65536
read_only = false

[resources]
max_memory_mb = 32
max_cpu_time_ms = 200
max_wall_time_ms = 15000
"#;

#[test]
fn the_clients_own_form_is_accepted_and_means_what_its_words_say() {
    let policy = Policy::from_json(CLIENT_JSON).unwrap();
    let rules: Vec<_> = policy.http.iter().map(ToString::to_string).collect();
    let expected = [
        "*://example.org:443 any method",
        "*://example.org:8443 any method",
        "*://*.example.com:443 any method",
        "*://*.example.com:8443 any method",
        "*://10.0.0.0/8:443 any method",
        "*://10.0.0.0/8:8443 any method",
    ];
    assert_eq!(rules, expected);
    let words: Vec<_> = policy.special.iter().map(|word| format!("{}:{}", word.block, word.ports)).collect();
    assert_eq!(words, ["10.0.0.0/8:443", "10.0.0.0/8:8443"]);
    let paths = vec!["/var/lib/probe".to_owned(), "/etc".to_owned()];
    assert_eq!(policy.filesystem, Filesystem { paths, max_file_bytes: Some(65_536), read_only: false });
    let limits = policy.limits.over(&Limits::DEFAULT);
    let expected = Limits {
        memory_bytes: 32 * MB,
        cpu_ms: 200,
        wall_ms: 15_000,
        effect_ms: 5_000,
        connections: 2,
        ..Limits::DEFAULT
    };
    assert_eq!(limits, expected);
    assert!(policy.clock.is_none() && policy.secrets.is_empty());
}

#[test]
fn the_toml_twin_means_the_same() {
    assert_eq!(Policy::from_toml(CLIENT_TOML), Policy::from_json(CLIENT_JSON));
}

#[test]
fn an_absent_section_an_absent_list_and_an_empty_list_all_deny() {
    let table = [
        "{}",
        r#"{"network":{}}"#,
        r#"{"network":{},"filesystem":{},"resources":{},"secrets":{}}"#,
        r#"{"network":{"allowedHosts":[],"allowedPorts":[]}}"#,
        r#"{"network":{"allowedHosts":["*"]}}"#,
        r#"{"network":{"allowedHosts":["*"],"allowedPorts":[]}}"#,
        r#"{"network":{"allowedPorts":["1-65535"]}}"#,
        r#"{"network":{"allowedHosts":[],"allowedPorts":["1-65535"]}}"#,
        r#"{"network":{"allowedOrigins":[]}}"#,
        r#"{"filesystem":{"allowedPaths":[]}}"#,
        r#"{"clock":null}"#,
    ];
    for text in table {
        assert_eq!(Policy::from_json(text), Ok(Policy::default()), "{text}");
    }
    assert!(grant_of(&Policy::default()).rules().is_empty());
    let no_method =
        Policy::from_json(r#"{"network":{"allowedOrigins":[{"origin":"https://a.example","methods":[]}]}}"#);
    assert!(grant_of(&no_method.unwrap()).rules().is_empty());
    assert!(Policy::default().filesystem.read_only, "absent `readOnly` means true");
}

#[test]
fn each_mistake_in_json_is_named_with_its_line_and_its_cure() {
    let table: &[(&str, &[&str])] = &[
        ("", &["line 1: EOF while parsing a value"]),
        ("not json", &["line 1: expected ident"]),
        ("{\n", &["line 2: EOF while parsing an object"]),
        ("{} {}", &["line 1: trailing characters"]),
        ("[]", &["line 1: invalid type: sequence, expected a table of keys and values"]),
        (
            "{\n \"network\": [[\"example.org\"], [443]]\n}",
            &["line 2: invalid type: sequence, expected a table of keys and values"],
        ),
        ("{\n \"network\": 5\n}", &["line 2: invalid type: integer `5`, expected a table of keys and values"]),
        ("{\n \"clock\": [1, 2]\n}", &["line 2: invalid type: sequence, expected a table of keys and values"]),
        ("{\n \"networks\": {}\n}", &["line 2: unknown key `networks`; did you mean `network`?"]),
        (
            "{\n \"network\": {\n  \"allowedHost\": []\n }\n}",
            &["line 3: unknown key `allowedHost`; did you mean `allowedHosts`?"],
        ),
        (
            "{\n \"resources\": {\n  \"maxMemoryMb\": 1,\n \"maxMemory\": 1}}",
            &["line 3: unknown key `maxMemoryMb`; did you mean `maxMemoryMB`?"],
        ),
        (
            "{\"files\": {}}",
            &["line 1: unknown key `files`, expected one of `network`, `filesystem`, `resources`, `clock`, `secrets`"],
        ),
        ("{\n \"network\": {},\n \"network\": {}\n}", &["line 3: duplicate key `network`"]),
        ("{\"network\": {\n \"timeout\": 1,\n \"timeout\": 2\n}}", &["line 3: duplicate key `timeout`"]),
        (
            "{\"network\": {\n \"allowedHosts\": [],\n \"allowed_hosts\": []\n}}",
            &["line 3: duplicate key `allowedHosts`"],
        ),
        (
            "{\"secrets\": {\n \"a\": {\"allowedOrigins\": []},\n \"a\": {\"allowedOrigins\": []}\n}}",
            &["line 3: duplicate key `a`"],
        ),
        ("{\"secrets\": {\n \"a\": {}\n}}", &["line 2: missing key `allowedOrigins`"]),
        ("{\"clock\": {}}", &["line 1: missing key `maxSleepMs`"]),
        (
            "{\"network\": {\n \"timeout\": \"5s\"\n}}",
            &["line 2: invalid type: string \"5s\", expected a whole number, 0 or more"],
        ),
        (
            "{\"network\": {\n \"timeout\": -1\n}}",
            &["line 2: invalid value: integer `-1`, expected a whole number, 0 or more"],
        ),
        (
            "{\"network\": {\n \"timeout\": 1.5\n}}",
            &["line 2: invalid type: floating point `1.5`, expected a whole number, 0 or more"],
        ),
        (
            "{\"network\": {\n \"allowedHosts\": \"example.org\"\n}}",
            &["line 2: invalid type: string \"example.org\", expected a list"],
        ),
        ("{\"network\": {\n \"allowedHosts\": [1]\n}}", &["line 2: invalid type: integer `1`, expected a string"]),
        (
            "{\"filesystem\": {\n \"readOnly\": \"yes\"\n}}",
            &["line 2: invalid type: string \"yes\", expected a boolean"],
        ),
        (
            "{\"network\": {\n \"allowedPorts\": [true]\n}}",
            &["line 2: allowedPorts: each is a port such as `443` or a range such as `\"8000-8099\"`"],
        ),
        (
            "{\"network\": {\n \"allowedOrigins\": [{\"origin\": \"https://a.example\", \"method\": []}]\n}}",
            &[
                "line 2: allowedOrigins: each is `\"https://example.org\"`, or a table with the keys `origin` and `methods`",
            ],
        ),
        (
            "{\"network\": {\n \"allowedHosts\": [\"Example.org\"]\n}}",
            &["line 2: network.allowedHosts: `Example.org` is not lower case; write `example.org`"],
        ),
        (
            "{\"network\": {\n \"allowedHosts\": [\n\"https://example.org\"]\n}}",
            &[
                "line 3: network.allowedHosts: `https://example.org` is an origin where a host is meant; origins go into `allowed_origins`; write `example.org`",
            ],
        ),
        (
            "{\"network\": {\n \"allowedHosts\": [\"10.0.0.0/8\"],\n \"allowedPorts\": [0]\n}}",
            &["line 3: network.allowedPorts: `0` is not a port from 1 to 65535, or a range such as `\"8000-8099\"`"],
        ),
        (
            "{\"network\": {\n \"allowedPorts\": [80,\n 65536]\n}}",
            &[
                "line 3: network.allowedPorts: `65536` is not a port from 1 to 65535, or a range such as `\"8000-8099\"`",
            ],
        ),
        (
            "{\"network\": {\n \"allowedPorts\": [\"90-80\"]\n}}",
            &[
                "line 2: network.allowedPorts: `90-80` is not a port from 1 to 65535, or a range such as `\"8000-8099\"`",
            ],
        ),
        (
            "{\"network\": {\n \"allowedPorts\": [\"080-90\", \"1-\", \"80\"]\n}}",
            &[
                "line 2: network.allowedPorts: `080-90` is not a port from 1 to 65535, or a range such as `\"8000-8099\"`",
                "line 2: network.allowedPorts: `1-` is not a port from 1 to 65535, or a range such as `\"8000-8099\"`",
                "line 2: network.allowedPorts: `80` is not a port from 1 to 65535, or a range such as `\"8000-8099\"`",
            ],
        ),
        (
            "{\"network\": {\n \"allowedOrigins\": [\n  \"https://example.org/\"]\n}}",
            &[
                "line 3: network.allowedOrigins: `https://example.org/` has a path; an origin is scheme, host and port; write `https://example.org`",
            ],
        ),
        (
            "{\"network\": {\n \"allowedOrigins\": [{\"origin\": \"https://a.example\",\n \"methods\": [\"get\"]}]\n}}",
            &["line 3: network.allowedOrigins: `get` is a method that is not upper case; write `GET`"],
        ),
        (
            "{\"filesystem\": {\n \"allowedPaths\": [\"/ok\",\n\"etc/../x\"]\n}}",
            &[
                "line 3: filesystem.allowedPaths: `etc/../x` is not an absolute path without `.`, `..`, doubled or trailing slashes",
            ],
        ),
        (
            "{\"secrets\": {\"token\": {\n \"allowedOrigins\": [\"https://u@a.example\"]\n}}}",
            &[
                "line 2: secrets.token.allowedOrigins: `https://u@a.example` has user information; give credentials as a secret; write `https://a.example`",
            ],
        ),
    ];
    for (text, expected) in table {
        assert_eq!(rendered(Policy::from_json(text)), *expected, "{text}");
    }
}

#[test]
fn each_mistake_in_toml_is_named_with_its_line_and_its_cure() {
    let table: &[(&str, &[&str])] = &[
        ("\n[network]\nallowed_host = []\n", &["line 3: unknown key `allowed_host`; did you mean `allowed_hosts`?"]),
        ("[network]\n\n[network]\n", &["line 3: duplicate key"]),
        ("[network]\ntimeout = 1\ntimeout = 2\n", &["line 3: duplicate key"]),
        ("[secrets.a]\nallowed_origins = []\n[secrets.a]\n", &["line 3: duplicate key"]),
        ("network = 5\n", &["line 1: invalid type: integer `5`, expected a table of keys and values"]),
        ("[network]\ntimeout = \"x\"\n", &["line 2: invalid type: string \"x\", expected a whole number, 0 or more"]),
        (
            "[network]\nallowed_hosts = [\n\"a.example\",\n\"b.example.\"]\n",
            &["line 4: network.allowedHosts: `b.example.` ends in a dot; write `b.example`"],
        ),
        ("[resources]\nmax_memory_mb = 65\n", &["resources.maxMemoryMB: `65` is more than the most allowed, `64`"]),
    ];
    for (text, expected) in table {
        assert_eq!(rendered(Policy::from_toml(text)), *expected, "{text}");
    }
}

#[test]
fn a_path_is_absolute_and_canonical() {
    for path in ["/", "/a", "/a/b", "/a b", "/..a", "/a/.hidden"] {
        assert!(Policy::from_json(&json!({ "filesystem": { "allowedPaths": [path] } }).to_string()).is_ok(), "{path}");
    }
    for path in ["", "a", "./a", "/a/", "//", "//a", "/a//b", "/a/.", "/./a", "/..", "/a/../b", "C:\\a", "~/a", "/a\0b"]
    {
        let faults = rendered(Policy::from_json(&json!({ "filesystem": { "allowedPaths": [path] } }).to_string()));
        assert_eq!(faults.len(), 1, "{path:?}");
        assert!(
            faults[0].ends_with("is not an absolute path without `.`, `..`, doubled or trailing slashes"),
            "{faults:?}"
        );
    }
}

/// Every number has a most: at it accepted, one more refused with both numbers in the message.
#[test]
fn a_limit_beyond_the_most_is_refused() {
    let most = Limits::CEILING;
    let table = [
        ("network", "maxConnections", most.connections),
        ("network", "timeout", most.effect_ms),
        ("network", "maxRequests", most.requests),
        ("network", "maxBytesIn", most.bytes_in),
        ("network", "maxBytesOut", most.bytes_out),
        ("resources", "maxMemoryMB", most.memory_bytes / MB),
        ("resources", "maxCpuTimeMs", most.cpu_ms),
        ("resources", "maxWallTimeMs", most.wall_ms),
        ("resources", "maxLogBytes", most.log_bytes),
        ("resources", "maxMeasurements", most.measurements),
        ("resources", "maxDenials", most.denials),
        ("clock", "maxSleeps", most.sleeps),
    ];
    for (section, key, most) in table {
        for value in [most, most + 1, u64::MAX] {
            let mut written = json!({ section: { key: value } });
            if section == "clock" {
                written[section]["maxSleepMs"] = 1.into();
            }
            let faults = rendered(Policy::from_json(&written.to_string()));
            let expected = format!("{section}.{key}: `{value}` is more than the most allowed, `{most}`");
            assert_eq!(faults, if value == most { vec![] } else { vec![expected] }, "{section}.{key}");
        }
    }
}

#[test]
fn every_fault_is_reported_at_once() {
    let text = r#"{"network":{"allowedHosts":["A","b."],"allowedPorts":[0],"allowedOrigins":["x"],"timeout":999999999},
        "filesystem":{"allowedPaths":["x"]},"resources":{"maxMemoryMB":999},"secrets":{"s":{"allowedOrigins":["y"]}}}"#;
    assert_eq!(rendered(Policy::from_json(text)).len(), 8);
}

/// The keys that `section` has, from the message that refuses another.
fn known_keys(section: &str) -> BTreeSet<String> {
    let text = if section.is_empty() { r#"{"?":1}"#.to_owned() } else { format!(r#"{{"{section}":{{"?":1}}}}"#) };
    let text = if section == "secrets" { r#"{"secrets":{"token":{"?":1}}}"#.to_owned() } else { text };
    let faults = rendered(Policy::from_json(&text));
    faults[0].split('`').skip(1).step_by(2).skip(1).map(str::to_owned).collect()
}

#[test]
fn no_key_is_accepted_that_means_nothing() {
    // Section, key in both spellings, a value that is not the default, and what has to stand beside it.
    let both = json!({ "network": { "allowedHosts": ["a.example"], "allowedPorts": [443] } });
    let clock = json!({ "clock": { "maxSleepMs": 1 } });
    let secret = json!({ "secrets": { "token": { "allowedOrigins": ["https://a.example"] } } });
    let table = [
        ("network", "allowedHosts", "allowed_hosts", json!(["b.example"]), both.clone()),
        ("network", "allowedPorts", "allowed_ports", json!([80]), both),
        ("network", "allowedOrigins", "allowed_origins", json!(["https://a.example"]), json!({ "network": {} })),
        ("network", "maxConnections", "max_connections", json!(1), json!({ "network": {} })),
        ("network", "timeout", "timeout", json!(1), json!({ "network": {} })),
        ("network", "maxRequests", "max_requests", json!(1), json!({ "network": {} })),
        ("network", "maxBytesIn", "max_bytes_in", json!(1), json!({ "network": {} })),
        ("network", "maxBytesOut", "max_bytes_out", json!(1), json!({ "network": {} })),
        ("filesystem", "allowedPaths", "allowed_paths", json!(["/a"]), json!({ "filesystem": {} })),
        ("filesystem", "maxFileSize", "max_file_size", json!(1), json!({ "filesystem": {} })),
        ("filesystem", "readOnly", "read_only", json!(false), json!({ "filesystem": {} })),
        ("resources", "maxMemoryMB", "max_memory_mb", json!(1), json!({ "resources": {} })),
        ("resources", "maxCpuTimeMs", "max_cpu_time_ms", json!(1), json!({ "resources": {} })),
        ("resources", "maxWallTimeMs", "max_wall_time_ms", json!(1), json!({ "resources": {} })),
        ("resources", "maxLogBytes", "max_log_bytes", json!(1), json!({ "resources": {} })),
        ("resources", "maxMeasurements", "max_measurements", json!(1), json!({ "resources": {} })),
        ("resources", "maxDenials", "max_denials", json!(1), json!({ "resources": {} })),
        ("clock", "maxSleepMs", "max_sleep_ms", json!(2), clock.clone()),
        ("clock", "maxSleeps", "max_sleeps", json!(1), clock),
        ("secrets", "allowedOrigins", "allowed_origins", json!(["https://b.example"]), secret.clone()),
        ("secrets", "allowClearText", "allow_clear_text", json!(true), secret),
    ];
    let mut seen: BTreeSet<(&str, String)> = BTreeSet::new();
    for (section, camel, snake, value, base) in table {
        let mut meanings = Vec::new();
        for key in [camel, snake] {
            let mut written = base.clone();
            let place = if section == "secrets" { &mut written[section]["token"] } else { &mut written[section] };
            place.as_object_mut().unwrap().remove(camel);
            place[key] = value.clone();
            meanings.push(Policy::from_json(&written.to_string()).unwrap());
            seen.insert((section, key.to_owned()));
        }
        assert_ne!(Policy::from_json(&base.to_string()).as_ref(), Ok(&meanings[0]), "{section}.{camel} means nothing");
        assert_eq!(meanings[0], meanings[1], "{section}.{camel}");
    }
    let sections = ["network", "filesystem", "resources", "clock", "secrets"];
    assert_eq!(known_keys(""), sections.map(str::to_owned).into());
    let known: BTreeSet<_> = sections.iter().flat_map(|s| known_keys(s).into_iter().map(|key| (*s, key))).collect();
    assert_eq!(seen, known, "a key of the schema is not in the table");
}

#[test]
fn an_origin_may_be_narrowed_to_methods() {
    let text = r#"{"network":{"allowedOrigins":["https://a.example",{"origin":"https://b.example:8443","methods":["GET","HEAD"]}]}}"#;
    let rules: Vec<_> = Policy::from_json(text).unwrap().http.iter().map(ToString::to_string).collect();
    assert_eq!(rules, ["https://a.example:443 any method", "https://b.example:8443 GET HEAD"]);
}

#[test]
fn a_word_of_the_command_line_has_one_meaning() {
    let table = [
        ("https://example.org", "https://example.org:443 any method", ""),
        ("http://example.org:8080", "http://example.org:8080 any method", ""),
        ("http://10.0.0.1", "http://10.0.0.1:80 any method", "10.0.0.1:80"),
        ("http://[::1]:8080", "http://[::1]:8080 any method", "::1:8080"),
        ("example.org:443", "*://example.org:443 any method", ""),
        ("*.example.org:443", "*://*.example.org:443 any method", ""),
        ("*:443", "*://*:443 any method", ""),
        ("10.0.0.1", "*://10.0.0.1:1-65535 any method", "10.0.0.1:1-65535"),
        ("10.0.0.1:80", "*://10.0.0.1:80 any method", "10.0.0.1:80"),
        ("10.0.0.0/8", "*://10.0.0.0/8:1-65535 any method", "10.0.0.0/8:1-65535"),
        ("10.0.0.0/8:8080", "*://10.0.0.0/8:8080 any method", "10.0.0.0/8:8080"),
        ("::1", "*://[::1]:1-65535 any method", "::1:1-65535"),
        ("[::1]:80", "*://[::1]:80 any method", "::1:80"),
        ("fd00::/8", "*://fd00::/8:1-65535 any method", "fd00::/8:1-65535"),
    ];
    for (word, rule, special) in table {
        let policy = Policy::from_word(word).unwrap_or_else(|problem| panic!("{problem}"));
        let rules: Vec<_> = policy.http.iter().map(ToString::to_string).collect();
        let words: Vec<_> = policy.special.iter().map(|word| format!("{}:{}", word.block, word.ports)).collect();
        assert_eq!((rules, words.join(" ")), (vec![rule.to_owned()], special.to_owned()), "{word}");
        assert!(policy.http.iter().all(|r| r.source == format!("--allow {word}") && r.methods == Methods::ANY));
    }
    let clock = Policy::from_word("clock=1000").unwrap();
    assert_eq!(clock.clock.map(|clock| (clock.max_sleep_ms, clock.max_sleeps)), Some((1_000, None)));
    assert_eq!(Policy { clock: None, ..clock }, Policy::default());
}

#[test]
fn a_word_that_could_mean_two_things_is_refused() {
    const PORT: &str = "has a port that is not a number from 1 to 65535";
    let vague = |word: &str| {
        format!("`{word}` is neither an origin such as `https://{word}`, nor `{word}:443`, nor an address")
    };
    let port = |word: &str| format!("`{word}` {PORT}");
    let clock = |word: &str| format!("`{word}` needs a number of milliseconds, as in `clock=1000`");
    let table = [
        ("", "`` has no host".to_owned()),
        ("example.org", vague("example.org")),
        ("*", vague("*")),
        ("*.example.org", vague("*.example.org")),
        ("example.org:", port("example.org:")),
        ("example.org:0", port("example.org:0")),
        ("example.org:65536", port("example.org:65536")),
        ("example.org:0443", port("example.org:0443")),
        ("example.org:+443", port("example.org:+443")),
        ("example.org:https", port("example.org:https")),
        ("Example.org:443", "`Example.org` is not lower case; write `example.org`".to_owned()),
        (
            "https://example.org/",
            "`https://example.org/` has a path; an origin is scheme, host and port; write `https://example.org`"
                .to_owned(),
        ),
        ("10.0.0.1/8", "`10.0.0.1/8` has bits set past its prefix; write `10.0.0.0/8`".to_owned()),
        ("0.0.0.0", "`0.0.0.0` is an address that can never be granted".to_owned()),
        ("clock=", clock("clock=")),
        ("clock=1s", clock("clock=1s")),
        ("clock=-1", clock("clock=-1")),
        ("clock=+1", clock("clock=+1")),
        ("clock=4294967296", clock("clock=4294967296")),
    ];
    for (word, problem) in table {
        assert_eq!(Policy::from_word(word), Err(problem), "{word}");
    }
}

#[test]
fn joined_policies_allow_what_either_allows() {
    let written = |text: &str| Policy::from_json(text).unwrap();
    let a = written(
        r#"{"network":{"allowedOrigins":["https://a.example"],"timeout":7},"clock":{"maxSleepMs":10},
        "filesystem":{"allowedPaths":["/a"],"readOnly":false},"secrets":{"s":{"allowedOrigins":["https://a.example"]}}}"#,
    );
    let b = written(
        r#"{"network":{"allowedOrigins":["https://b.example"],"timeout":9},"clock":{"maxSleepMs":20},
        "filesystem":{"allowedPaths":["/b"],"maxFileSize":5},"secrets":{"s":{"allowedOrigins":["http://b.example"],"allowClearText":true}}}"#,
    );
    let both = a.join(b);
    let rules: Vec<_> = both.http.iter().map(ToString::to_string).collect();
    assert_eq!(rules, ["https://a.example:443 any method", "https://b.example:443 any method"]);
    assert_eq!(both.clock.map(|clock| clock.max_sleep_ms), Some(20));
    assert_eq!(both.limits.effect_ms, Some(7), "limits of the first come first");
    let paths = vec!["/a".to_owned(), "/b".to_owned()];
    assert_eq!(both.filesystem, Filesystem { paths, max_file_bytes: Some(5), read_only: false });
    assert_eq!((both.secrets["s"].origins.len(), both.secrets["s"].in_clear), (2, true));
}

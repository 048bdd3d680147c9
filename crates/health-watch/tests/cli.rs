//! The program as its users meet it: exit codes, output, and what it says of wrong input.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests start the program and their own servers")]

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// A server that answers every connection with `answer`, and counts them.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, SeqCst);
                let mut stream = stream.unwrap();
                let mut head = [0; 4096];
                let _ = stream.read(&mut head);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { address, connections }
    }

    fn url(&self) -> String {
        format!("url=http://{}/", self.address)
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cache");
    Command::new(env!("CARGO_BIN_EXE_health-watch"))
        .args(arguments)
        .env("XDG_CACHE_HOME", cache)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

#[track_caller]
fn check(arguments: &[&str], code: i32, said: &str) -> String {
    let output = run(arguments, &[]);
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert!(text.contains(said), "{arguments:?} says `{text}`, not `{said}`");
    text
}

#[test]
fn without_arguments_it_checks_a_server_of_its_own() {
    let text = check(&["check"], 0, "up  200 OK");
    for part in [
        "effect ",
        "resolve ",
        "measured",
        "decided",
        "allowed GET http://127.0.0.1:",
        "granted",
        "spent",
        "No target was named",
    ] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
}

#[test]
fn exit_codes_follow_the_status() {
    let (up, down) =
        (Server::start(OK), Server::start("HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
    check(&["check", "--set", &up.url()], 0, "up");
    check(&["check", &format!("http://{}/", up.address)], 0, "up");
    check(&["check", "--set", &up.url(), "--set", r#"expect.response_time_ms={"degraded":0}"#], 1, "degraded");
    check(&["check", "--set", &down.url()], 2, "expected status 200-299, got 503");
    check(&["check", "--set", &format!("url=http://localhost:{}/", up.address.port())], 3, "unknown (denied)");
    check(&["check", "--set", &up.url(), "--set", r#"expect.body={"matches":["("]}"#], 3, "unknown (invalid settings)");
}

/// The word that a denial names is the word that helps.
#[test]
fn the_word_to_add_is_enough() {
    let server = Server::start(OK);
    let url = format!("url=http://localhost:{}/", server.address.port());
    let text = check(&["check", "--set", &url], 3, "to allow it: --allow ");
    let word = text.split("to allow it: --allow ").nth(1).unwrap().split_whitespace().next().unwrap();
    // localhost may have an IPv6 address too, which is a word of its own.
    let v6 = format!("[::1]:{}", server.address.port());
    let v4 = format!("127.0.0.1:{}", server.address.port());
    assert!([v6.as_str(), v4.as_str()].contains(&word), "{word}");
    check(&["check", "--set", &url, "--allow", &v4, "--allow", &v6], 0, "up");
}

#[test]
fn json_holds_everything() {
    let server = Server::start(OK);
    let output = run(&["check", "--json", "--set", &server.url()], &[]);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value.pointer("/outcome/status"), Some(&Value::from("up")));
    assert_eq!(value.pointer("/outcome/records/1/event"), Some(&Value::from("intent")));
    assert!(value.pointer("/outcome/effects/0/phases/totalUs").and_then(Value::as_u64).unwrap() > 0);
    assert!(value.pointer("/outcome/bill/guestCpuUs").and_then(Value::as_u64).unwrap() > 0);
    assert!(value.pointer("/grant/rules/0/rule").is_some(), "{value}");
}

/// Variables that other clients obey, pointing at a listener that must stay silent.
#[test]
fn proxy_variables_have_no_effect() {
    let (target, proxy) = (Server::start(OK), Server::start(OK));
    let trap = format!("http://{}", proxy.address);
    let names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"];
    let environment: Vec<(&str, &str)> = names.iter().map(|name| (*name, trap.as_str())).collect();
    assert_eq!(run(&["check", "--set", &target.url()], &environment).status.code(), Some(0));
    assert_eq!((target.connections.load(SeqCst), proxy.connections.load(SeqCst)), (1, 0));
}

#[test]
fn secrets_come_from_elsewhere_and_never_show() {
    let server = Server::start(OK);
    let arguments = [
        "check",
        "--json",
        "--set",
        &server.url(),
        "--set",
        "auth.bearer=token",
        "--secret",
        "token=env:HW_TEST_TOKEN",
    ];
    let output = run(&arguments, &[("HW_TEST_TOKEN", "tops3cret")]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(!text.contains("tops3cret") && text.contains("\"secret\": \"token\""), "{text}");
    check(&["check", "--set", &server.url(), "--secret", "token=tops3cret"], 64, "NAME=env:VARIABLE");
    check(&["check", "--set", &server.url(), "--secret", "token=env:HW_NOT_SET"], 64, "HW_NOT_SET");
    check(&["check", "--set", &server.url(), "--secret", "token=file:/nonexistent"], 64, "/nonexistent");
}

#[test]
fn wrong_input_is_named_with_its_fix() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let url = "url=http://127.0.0.1:9/";
    check(&["check", "--set", "url=HTTP://Example.org/"], 64, "write `http://example.org/`");
    check(&["check", "--set", "url=example.org"], 64, "write `https://example.org`");
    check(&["check", "--set", "url"], 64, "write `--set url=VALUE`");
    check(&["check", "--set", "method=GET"], 64, "\"url\" is a required property");
    check(&["check", "--set", url, "--set", "max_redirects=many"], 64, "settings.max_redirects");
    check(&["check", "--probe", "htp"], 64, "built in are: empty, http");
    check(&["check", "--probe", "./none.wasm"], 64, "cannot read the probe `./none.wasm`");
    check(&["check", "--probe", &file("not.wasm", "hello")], 64, "not a readable WebAssembly file");
    check(&["check", "--set", url, "--allow", "example.org"], 64, "nor `example.org:443`");
    check(&["check", "--set", url, "--allow-file", "/nonexistent"], 64, "cannot read `/nonexistent`");
    let typo = file("typo.json", "{\n  \"network\": {\n    \"alowedHosts\": []\n  }\n}");
    check(&["check", "--set", url, "--allow-file", &typo], 64, "typo.json: line 3: ");
    check(&["check", "--set", url, "--allow-file", &typo], 64, "did you mean `allowedHosts`?");
    let host = file("host.toml", "[network]\nallowed_hosts = [\"EXAMPLE.org\"]\nallowed_ports = [443]\n");
    check(
        &["check", "--set", url, "--allow-file", &host],
        64,
        "line 2: network.allowedHosts: `EXAMPLE.org` is not lower case",
    );
    check(&["check", "--settings", &file("list.json", "[]")], 64, "not a JSON object");
    check(&["check", "--no-such-flag"], 64, "--no-such-flag");
    let ceiling = file("ceiling.json", r#"{"network":{"allowedHosts":["*.example.org"],"allowedPorts":[443]}}"#);
    check(&["check", "--set", url, "--ceiling", &ceiling], 64, "the ceiling does not permit it");
}

#[test]
fn probes_can_be_looked_into() {
    check(&["probe", "list"], 0, "http ");
    let text = check(&["probe", "inspect", "http"], 0, "needs http");
    assert!(text.contains("digest    sha256:") && text.contains("required  http"), "{text}");
    let output = run(&["probe", "inspect", "http", "--json"], &[]);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value.pointer("/manifest/name"), Some(&Value::from("http")));
}

/// What a target or a guest says is shown escaped: no terminal sequence comes through.
#[test]
fn nothing_from_outside_reaches_the_terminal_raw() {
    let server = Server::start("HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\n\u{1b}[2Jgotcha");
    let expectation = r#"expect.json=[{"path":"$.a","equals":1}]"#;
    let output = run(&["check", "--set", &server.url(), "--set", expectation], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!output.stdout.contains(&0x1b), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Neither does what a stranger's component says of itself, in an error.
#[test]
fn nothing_from_a_component_reaches_the_terminal_raw() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("probe.wasm");
    // A component whose one custom section, its manifest, has a key with a terminal sequence.
    let manifest = b"{\"manifestVersion\":1,\"\x1b[2Jname\":1}";
    let name = b"health-watch:manifest";
    let mut bytes = b"\0asm\x0d\0\x01\0\0".to_vec();
    bytes.push(u8::try_from(1 + name.len() + manifest.len()).unwrap());
    bytes.push(u8::try_from(name.len()).unwrap());
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(manifest);
    std::fs::write(&path, bytes).unwrap();
    let output = run(&["probe", "inspect", path.to_str().unwrap()], &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("manifest is faulty") && !output.stderr.contains(&0x1b), "{said}");
}

/// A full disk behind the output is not wrong input, and a reader that has seen enough changes no status.
#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written() {
    use std::process::Stdio;
    let server = Server::start(OK);
    let start = |stdout: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_health-watch"));
        command.args(["check", "--set", &server.url()]).stdout(stdout).stderr(Stdio::piped());
        command.env("XDG_CACHE_HOME", PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cache")).spawn().unwrap()
    };
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert_eq!(start(full.into()).wait().unwrap().code(), Some(74));
    let mut reader = start(Stdio::piped());
    drop(reader.stdout.take());
    assert_eq!(reader.wait().unwrap().code(), Some(0));
}

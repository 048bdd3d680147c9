//! Components that must not be accepted, and limits that hold from the first instruction on.

use crate::support::{Case, EMPTY, HTTP, assert_outcome, block_on, on_both};
use health_watch_capability::manifest::SECTION;
use health_watch_sandbox::{Join, LoadError};
use serde_json::json;

const MANIFEST: &str = r#"{"manifestVersion":1,"name":"made-up","version":"1.0.0"}"#;

/// A component from its text, with a manifest section at its top level.
fn component(text: &str, manifest: Option<&str>) -> Vec<u8> {
    let mut bytes = wat::parse_str(text).unwrap();
    if let Some(manifest) = manifest {
        append(&mut bytes, SECTION, manifest.as_bytes());
    }
    bytes
}

/// Appends a custom section (WebAssembly core specification §5.5.3).
fn append(bytes: &mut Vec<u8>, name: &str, data: &[u8]) {
    let mut body = leb(name.len());
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(data);
    bytes.push(0);
    bytes.extend(leb(body.len()));
    bytes.extend(body);
}

fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}

fn load(bytes: &[u8], beside: Option<&str>) -> Result<(), LoadError> {
    let sandbox = Case::new(EMPTY, json!({})).sandbox(&Join::InProcess);
    sandbox.load(bytes, beside).map(|_| ())
}

#[track_caller]
fn refused(bytes: &[u8], beside: Option<&str>, said: &str) {
    let error = load(bytes, beside).expect_err("a refusal").to_string();
    assert!(error.contains(said), "says `{error}`, not `{said}`");
}

#[test]
fn what_is_no_component() {
    refused(b"", None, "not a readable WebAssembly file");
    refused(b"#!/bin/sh\nrm -rf /", None, "not a readable WebAssembly file");
    refused(b"(component)", None, "not a readable WebAssembly file");
    refused(&wat::parse_str("(module)").unwrap(), None, "core module, not a component");
    refused(&HTTP[..HTTP.len() / 2], None, "not a readable WebAssembly file");
    refused(&vec![0; (4 << 20) + 1], None, "at most 4194304");
}

#[test]
fn manifests() {
    refused(&component("(component)", None), None, "has no manifest");
    refused(&component("(component)", Some("{")), None, "the manifest is faulty");
    refused(&component("(component)", Some(r#"{"manifestVersion":2,"name":"a","version":"1"}"#)), None, "write `1`");
    refused(
        &component("(component)", Some(r#"{"manifestVersion":1,"nam":"a","version":"1"}"#)),
        None,
        "did you mean `name`?",
    );
    let mut twice = component("(component)", Some(MANIFEST));
    append(&mut twice, SECTION, MANIFEST.as_bytes());
    refused(&twice, None, "more than one manifest");
    let other = MANIFEST.replace("made-up", "other");
    refused(&component("(component)", Some(MANIFEST)), Some(&other), "differ");
    refused(&component("(component)", Some(MANIFEST)), None, "not a probe");
}

/// A schema whose references double at each step would be checked until the end of time.
#[test]
fn schemas_that_expand() {
    let with = |schema: serde_json::Value| {
        json!({ "manifestVersion": 1, "name": "a", "version": "1", "settings": schema }).to_string()
    };
    let step = |n: u32| json!({ "allOf": [{ "$ref": format!("#/$defs/a{}", n + 1) }, { "$ref": format!("#/$defs/a{}", n + 1) }] });
    let mut defs: serde_json::Map<String, serde_json::Value> = (0..60).map(|n| (format!("a{n}"), step(n))).collect();
    defs.insert("a60".to_owned(), json!({ "type": "object" }));
    let chain = with(json!({ "$ref": "#/$defs/a0", "$defs": defs }));
    refused(&component("(component)", Some(&chain)), None, "a schema must stand without references");
    let long = with(json!({ "description": "x".repeat(70_000) }));
    refused(&component("(component)", Some(&long)), None, "at most 65536");
    let patterns: Vec<_> = (0..300).map(|_| json!({ "pattern": "a+" })).collect();
    refused(&component("(component)", Some(&with(json!({ "anyOf": patterns })))), None, "at most 200");
}

/// A section inside a nested module is the module's word, not the component's.
#[test]
fn a_nested_manifest_does_not_count() {
    let mut module = wat::parse_str("(module)").unwrap();
    append(&mut module, SECTION, MANIFEST.as_bytes());
    // Layer 1, version 0x0d, then the module as a section of its own (component-model Binary.md).
    let mut bytes = b"\0asm\x0d\0\x01\0\x01".to_vec();
    bytes.extend(leb(module.len()));
    bytes.extend(module);
    refused(&bytes, None, "has no manifest");
}

#[test]
fn imports_that_the_manifest_does_not_declare() {
    let importing = |name: &str| format!(r#"(component (import "{name}" (instance)))"#);
    refused(&component(&importing("health-watch:probe/http@0.1.0"), Some(MANIFEST)), None, "does not ask for `http`");
    refused(&component(&importing("health-watch:probe/tcp@0.1.0"), Some(MANIFEST)), None, "does not serve it yet");
    refused(&component(&importing("health-watch:probe/shell@0.1.0"), Some(MANIFEST)), None, "not part of");
    refused(&component(&importing("wasi:filesystem/types@0.2.0"), Some(MANIFEST)), None, "plain WASI");
    refused(&component(&importing("evil:host/api"), Some(MANIFEST)), None, "unknown interface");
    refused(&component(r#"(component (import "run" (func)))"#, Some(MANIFEST)), None, "unknown interface");
}

#[test]
fn features_that_are_off() {
    let with = |module: &str| component(&format!("(component (core module {module}))"), Some(MANIFEST));
    for (feature, module) in [
        ("threads", "(memory 1 1 shared)"),
        ("memory64", "(memory i64 1)"),
        ("tail calls", "(func $f return_call $f)"),
        ("exceptions", "(tag)"),
        ("GC", "(type (struct))"),
        ("relaxed SIMD", "(func (param v128) (result v128) local.get 0 i32x4.relaxed_trunc_f32x4_s)"),
    ] {
        let error = load(&with(module), None).expect_err(feature).to_string();
        assert!(error.contains("does not compile"), "{feature}: {error}");
    }
}

/// A probe by hand: `init` runs when the module is instantiated, `body` when `check` is called.
fn probe(module: &str) -> Vec<u8> {
    probe_beside(module, "")
}

/// The same with more of a component beside it.
fn probe_beside(module: &str, beside: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (core module $m
                {module}
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
            {beside}
            (core instance $i (instantiate $m))
            (type $status (enum "up" "degraded" "down"))
            (export $status' "status" (type $status))
            (type $measurement (record (field "name" string) (field "value" f64) (field "unit" string)))
            (export $measurement' "measurement" (type $measurement))
            (type $report (record (field "status" $status') (field "message" string) (field "measurements" (list $measurement'))))
            (export $report' "report" (type $report))
            (type $failure (variant (case "invalid-settings" string) (case "internal" string)))
            (export $failure' "failure" (type $failure))
            (func (export "check") (param "settings" string) (result (result $report' (error $failure')))
                (canon lift (core func $i "check") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#
    );
    component(&text, Some(MANIFEST))
}

/// Runs it through both joins.
#[track_caller]
fn both(name: &str, bytes: &'static [u8], expected: &str) {
    on_both(|join| assert_outcome(name, &join, &Case::new(bytes, json!({})).run(&join), expected, ""));
}

const QUIET_CHECK: &str = r#"(func (export "check") (param i32 i32) (result i32) (i32.const 512))"#;

/// The control for the two below: such a probe runs, and says what is in its zeroed memory: up, without a message.
#[test]
fn a_probe_by_hand_runs() {
    let bytes = probe(&format!(r#"(memory (export "memory") 1) {QUIET_CHECK}"#)).leak();
    both("by hand", bytes, "up");
}

#[test]
fn instantiation_is_metered() {
    let spin = format!(r#"(memory (export "memory") 1) {QUIET_CHECK} (func $start (loop $l br $l)) (start $start)"#);
    both("start", probe(&spin).leak(), "unknown (over quota: cpu)");
}

#[test]
fn initial_memory_is_metered() {
    let large = format!(r#"(memory (export "memory") 300) {QUIET_CHECK}"#);
    both("large", probe(&large).leak(), "unknown (over quota: memory)");
}

#[test]
fn memory_is_metered_as_it_grows() {
    let grow = |pages: u32| {
        format!(
            r#"(memory (export "memory") {pages}) {QUIET_CHECK} (func $start (drop (memory.grow (i32.const {pages})))) (start $start)"#
        )
    };
    // 16 MiB are 256 pages: 100 and 100 more fit, 200 and 200 more do not.
    both("fits", probe(&grow(100)).leak(), "up");
    both("does not", probe(&grow(200)).leak(), "unknown (over quota: memory)");
}

#[test]
fn a_second_memory_is_not_a_second_limit() {
    let two = |pages: u32| {
        let second = format!("(core module $n (memory {pages})) (core instance (instantiate $n))");
        probe_beside(&format!(r#"(memory (export "memory") {pages}) {QUIET_CHECK}"#), &second).leak()
    };
    both("fits", two(100), "up");
    both("does not", two(200), "unknown (over quota: memory)");
}

#[test]
fn tables_are_metered_together() {
    let tables = |elements: u32| {
        format!(r#"(memory (export "memory") 1) (table {elements} funcref) (table {elements} funcref) {QUIET_CHECK}"#)
    };
    both("two that fit", probe(&tables(9_000)).leak(), "up");
    both("two that do not", probe(&tables(15_000)).leak(), "unknown (over quota: table)");
    // One that no slot of the pool holds is refused before it could run.
    refused(&probe(&tables(30_000)), None, "exceeds the limit of 20000");
}

/// Traps at every place where a guest can be broken.
#[test]
fn broken_answers_are_traps() {
    for check in [
        r#"(func (export "check") (param i32 i32) (result i32) (i32.const -4))"#,
        r#"(func (export "check") (param i32 i32) (result i32) (i32.store8 (i32.const 512) (i32.const 9)) (i32.const 512))"#,
        r#"(func (export "check") (param i32 i32) (result i32) (i32.load (i32.const -1)))"#,
        r#"(func (export "check") (param i32 i32) (result i32) (i32.div_u (i32.const 1) (i32.const 0)))"#,
    ] {
        let bytes = probe(&format!(r#"(memory (export "memory") 1) {check}"#)).leak();
        both(check, bytes, "unknown (probe trapped)");
    }
}

#[test]
fn first_party_probes_load() {
    block_on(async {
        load(EMPTY, None).unwrap();
        load(HTTP, None).unwrap();
    });
}

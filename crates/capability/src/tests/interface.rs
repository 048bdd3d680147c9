//! The interface table is the world of `wit/probe.wit`, and imports are judged by it.

use super::manifest;
use crate::interface::{Authority, INTERFACES, authority, judge_imports};
use crate::manifest::Kind;
use serde_json::json;
use std::collections::BTreeSet;

const WIT: &str = include_str!("../../../../wit/probe.wit");

#[test]
fn the_table_is_the_world_of_the_contract() {
    let world = WIT.split_once("world probe {").unwrap().1;
    let imports = world.lines().filter_map(|line| line.trim().strip_prefix("import ")?.strip_suffix(';'));
    // `use types.{…}` in the world imports `types` too.
    let used = world.lines().filter_map(|line| Some(line.trim().strip_prefix("use ")?.split_once('.')?.0));
    let contract: BTreeSet<&str> = imports.chain(used).collect();
    let table: BTreeSet<&str> = INTERFACES.iter().map(|(name, _)| *name).collect();
    assert!(contract.len() > 5, "{contract:?}");
    assert_eq!(table, contract);
    assert_eq!(table.len(), INTERFACES.len(), "an interface stands twice");
}

#[test]
fn an_interface_that_the_contract_calls_not_served_is_not_served() {
    for (name, authority) in INTERFACES {
        let at = WIT.find(&format!("\ninterface {name} {{")).expect(name);
        let comment: String = WIT[..at].lines().rev().take_while(|line| line.starts_with("///")).collect();
        // The lines are in reverse order, so a phrase is looked for where it stands in one line.
        let refused = comment.contains("that imports it is refused at load")
            || comment.contains("a probe that imports it is refused");
        assert_eq!(*authority == Authority::NotServed, refused, "{name}");
    }
}

#[test]
fn the_version_and_the_package_are_part_of_the_name() {
    assert!(WIT.contains("\npackage health-watch:probe@0.1.0;\n"));
    let table = [
        ("health-watch:probe/http@0.1.0", Some(Authority::Needs(Kind::Http))),
        ("health-watch:probe/secrets@0.1.0", Some(Authority::Needs(Kind::Secret))),
        ("health-watch:probe/clock@0.1.0", Some(Authority::Needs(Kind::Clock))),
        ("health-watch:probe/types@0.1.0", Some(Authority::None)),
        ("health-watch:probe/log@0.1.0", Some(Authority::Ambient)),
        ("health-watch:probe/tcp@0.1.0", Some(Authority::NotServed)),
        ("health-watch:probe/http@0.1.1", None),
        ("health-watch:probe/http@0.2.0", None),
        ("health-watch:probe/http", None),
        ("health-watch:probe/HTTP@0.1.0", None),
        ("health-watch:probe/@0.1.0", None),
        ("health-watch:probe/http@0.1.0@0.1.0", None),
        ("health-watch:other/http@0.1.0", None),
        ("http", None),
        ("", None),
    ];
    for (name, expected) in table {
        assert_eq!(authority(name), expected, "{name}");
    }
}

#[test]
fn an_import_is_refused_unless_it_is_known_served_and_declared() {
    let http = json!({ "kind": "http", "origin": "*", "reason": "look" });
    let clock = json!({ "kind": "clock", "maxSleepMs": 1, "reason": "wait" });
    let nothing = manifest(&json!([]), &json!([]));
    let both = manifest(&json!([http]), &json!([clock]));
    let table = [
        ("health-watch:probe/log@0.1.0", &nothing, ""),
        ("health-watch:probe/types@0.1.0", &nothing, ""),
        ("health-watch:probe/grants@0.1.0", &nothing, ""),
        ("health-watch:probe/http@0.1.0", &both, ""),
        ("health-watch:probe/clock@0.1.0", &both, ""),
        (
            "health-watch:probe/http@0.1.0",
            &nothing,
            "the manifest does not ask for `http`; a probe must declare what it uses",
        ),
        (
            "health-watch:probe/clock@0.1.0",
            &nothing,
            "the manifest does not ask for `clock`; a probe must declare what it uses",
        ),
        (
            "health-watch:probe/secrets@0.1.0",
            &both,
            "the manifest does not ask for `secret`; a probe must declare what it uses",
        ),
        ("health-watch:probe/tcp@0.1.0", &both, "this version does not serve it yet"),
        ("health-watch:probe/file@0.1.0", &both, "it is not part of `health-watch:probe@0.1.0`; rebuild the probe"),
        ("health-watch:probe/http@0.2.0", &both, "it is not part of `health-watch:probe@0.1.0`; rebuild the probe"),
        (
            "wasi:http/outgoing-handler@0.2.0",
            &both,
            "components for plain WASI are not served yet; build for `health-watch:probe`",
        ),
        ("evil:host/exec@1.0.0", &both, "unknown interface; a probe may import only `health-watch:probe`"),
        ("", &both, "unknown interface; a probe may import only `health-watch:probe`"),
    ];
    for (name, manifest, problem) in table {
        match judge_imports(&[name.to_owned()], manifest) {
            Ok(imports) => {
                assert_eq!((problem, imports.len()), ("", 1), "{name}");
                assert_eq!((imports[0].name.as_str(), Some(imports[0].authority)), (name, authority(name)));
            }
            Err(faults) => {
                let shown: Vec<_> = faults.iter().map(ToString::to_string).collect();
                assert_eq!(shown, [format!("imports `{name}`: {problem}")]);
            }
        }
    }
}

#[test]
fn every_refused_import_is_named_at_once() {
    let imports = ["health-watch:probe/log@0.1.0", "wasi:cli/exit@0.2.0", "a:b/c", "health-watch:probe/http@0.1.0"];
    let faults = judge_imports(&imports.map(str::to_owned), &manifest(&json!([]), &json!([]))).unwrap_err();
    let names: Vec<_> = faults.iter().map(|fault| fault.name.as_str()).collect();
    assert_eq!(names, ["wasi:cli/exit@0.2.0", "a:b/c", "health-watch:probe/http@0.1.0"]);
    assert_eq!(judge_imports(&[], &manifest(&json!([]), &json!([]))), Ok(Vec::new()));
}

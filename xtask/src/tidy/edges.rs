//! Which crate may depend on which: the edges of ARCHITECTURE.md, and the outside crates that one crate alone may know.
//!
//! Only normal dependencies count: a test may use what its crate may not. What the crates declare comes from `cargo
//! metadata`, what outside crates pull in from Cargo.lock, so that neither the network nor a build is needed.

use super::Finding;
use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const PREFIX: &str = "health-watch-";

/// Each crate, and the crates of the project it may depend on.
const ALLOWED: [(&str, &[&str]); 11] = [
    ("health-watch", &["server", "cluster", "monitor", "sandbox", "capability", "audit"]),
    ("server", &["monitor", "sandbox", "capability", "audit"]),
    ("cluster", &["monitor", "sandbox", "capability", "audit"]),
    ("monitor", &["sandbox", "capability", "audit"]),
    ("evaluation", &["sandbox", "capability", "audit"]),
    ("sandbox", &["runner", "supervisor", "audit", "capability"]),
    ("supervisor", &["audit", "capability"]),
    ("runner", &["capability"]),
    ("audit", &["capability"]),
    ("capability", &[]),
    ("xtask", &["capability"]),
];

/// Outside crates, with those named after them (`wasmtime-…`), and the one crate that may depend on them.
const EXCLUSIVE: [(&str, &str); 5] = [
    ("wasmtime", "runner"),
    ("hyper", "supervisor"),
    ("rustls", "supervisor"),
    ("tokio-rustls", "supervisor"),
    ("hickory-resolver", "supervisor"),
];

/// What a crate must not reach, by however many steps.
const OUT_OF_REACH: [(&str, &[&str]); 4] = [
    ("capability", &["tokio", "wasmtime", "hyper", "rustls"]),
    ("audit", &["tokio", "wasmtime", "hyper", "rustls"]),
    ("runner", &["supervisor", "hyper", "rustls", "hickory-resolver", "tokio-rustls"]),
    ("supervisor", &["runner", "wasmtime"]),
];

/// A crate of the workspace: its name without the project's, its manifest, its normal dependencies.
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) manifest: String,
    pub(super) manifest_text: String,
    pub(super) dependencies: BTreeSet<String>,
}

/// The crates of the workspace, and what each outside crate depends on.
pub(super) struct Graph {
    pub(super) crates: Vec<Crate>,
    pub(super) outside: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    #[serde(default)]
    dependencies: Vec<String>,
}

impl Graph {
    pub(super) fn read(root: &Path) -> Result<Graph> {
        let metadata = MetadataCommand::new().manifest_path(root.join("Cargo.toml")).no_deps().exec()?;
        let crates = metadata.packages.iter().map(|package| Crate::read(root, package)).collect::<Result<_>>()?;
        let lock = fs::read_to_string(root.join("Cargo.lock")).context("cannot read `Cargo.lock`")?;
        Ok(Graph { crates, outside: outside(&lock)? })
    }

    /// Everything a crate reaches, by normal dependencies.
    fn reach<'a>(&'a self, from: &'a Crate) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&str> = from.dependencies.iter().map(String::as_str).collect();
        while let Some(name) = open.pop() {
            if reached.insert(name) {
                let own = self.crates.iter().find(|other| other.name == name).map(|own| &own.dependencies);
                open.extend(own.or_else(|| self.outside.get(name)).into_iter().flatten().map(String::as_str));
            }
        }
        reached
    }
}

impl Crate {
    fn read(root: &Path, package: &Package) -> Result<Crate> {
        let path = package.manifest_path.as_std_path();
        let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        Ok(Crate {
            name: short(&package.name).to_string(),
            manifest: path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/"),
            manifest_text: fs::read_to_string(path)?,
            dependencies: normal.map(|dependency| short(&dependency.name).to_string()).collect(),
        })
    }

    fn finding(&self, dependency: &str, what: String, fix: &str) -> Finding {
        let names = |line: &str| line.split([' ', '.', '=']).next().map(short) == Some(dependency);
        let line = self.manifest_text.lines().position(names).map_or(1, |before| before + 1);
        Finding { file: self.manifest.clone(), line, what, fix: fix.to_string() }
    }
}

/// The name of a crate as the architecture writes it.
fn short(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

fn outside(lock: &str) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let lock: Lock = toml::from_str(lock).context("cannot understand `Cargo.lock`")?;
    let mut outside = BTreeMap::<String, BTreeSet<String>>::new();
    for Locked { name, dependencies } in lock.package {
        // `name`, `name version` or `name version (source)`.
        let names = dependencies.iter().filter_map(|dependency| dependency.split(' ').next());
        outside.entry(name).or_default().extend(names.map(String::from));
    }
    Ok(outside)
}

pub(super) fn findings(graph: &Graph) -> Vec<Finding> {
    let of_crate = |one: &Crate| [forbidden_edges(one, graph), exclusive(one), out_of_reach(one, graph)].concat();
    graph.crates.iter().flat_map(of_crate).collect()
}

/// Dependencies between crates of the project that the architecture does not have.
fn forbidden_edges(one: &Crate, graph: &Graph) -> Vec<Finding> {
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == one.name) else {
        let what = format!("crate `{}` has no allowed edges", one.name);
        return vec![one.finding(
            "name",
            what,
            "add it to ARCHITECTURE.md and to `ALLOWED` of xtask/src/tidy/edges.rs",
        )];
    };
    let inside = one.dependencies.iter().filter(|name| graph.crates.iter().any(|other| other.name == **name));
    let forbidden = inside.filter(|name| !allowed.contains(&name.as_str()));
    let finding = |name: &String| {
        one.finding(
            name,
            format!("`{}` may not depend on `{name}`", one.name),
            "move what needs it to a crate that may",
        )
    };
    forbidden.map(finding).collect()
}

/// Outside crates that another crate alone may know.
fn exclusive(one: &Crate) -> Vec<Finding> {
    let owned = |name: &&String| EXCLUSIVE.iter().any(|(outside, owner)| is_of(name, outside) && *owner != one.name);
    let finding = |name: &String| {
        one.finding(name, format!("`{}` may not depend on `{name}`", one.name), "use it through the crate that owns it")
    };
    one.dependencies.iter().filter(owned).map(finding).collect()
}

fn out_of_reach(one: &Crate, graph: &Graph) -> Vec<Finding> {
    let forbidden = OUT_OF_REACH.iter().filter(|(name, _)| *name == one.name).flat_map(|(_, forbidden)| *forbidden);
    let reach = graph.reach(one);
    let finding = |name: &&str| {
        one.finding(name, format!("`{}` must not reach `{name}`", one.name), "remove the dependency that leads there")
    };
    forbidden.filter(|name| reach.contains(*name)).map(finding).collect()
}

/// Whether a crate is `family` or named after it.
fn is_of(name: &str, family: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(crates: &[(&str, &[&str])], lock: &str) -> Graph {
        let one = |(name, dependencies): &(&str, &[&str])| Crate {
            name: name.to_string(),
            manifest: format!("crates/{name}/Cargo.toml"),
            manifest_text: format!("[package]\nname = \"{PREFIX}{name}\"\n{PREFIX}{}", dependencies.join(" = 1\n")),
            dependencies: dependencies.iter().map(|name| name.to_string()).collect(),
        };
        Graph { crates: crates.iter().map(one).collect(), outside: outside(lock).unwrap() }
    }

    #[track_caller]
    fn check(crates: &[(&str, &[&str])], lock: &str, expected: &[&str]) {
        let found: Vec<String> = findings(&graph(crates, lock)).iter().map(Finding::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_real_graph_has_its_known_edges() {
        let graph = Graph::read(&crate::root().unwrap()).unwrap();
        let reach = |name: &str| graph.reach(graph.crates.iter().find(|one| one.name == name).unwrap());
        assert!(reach("sandbox").is_superset(&["runner", "supervisor", "wasmtime", "rustls"].into()));
        assert!(reach("runner").contains("wasmtime-environ"), "what outside crates pull in is not read");
        assert!(!reach("sandbox").contains("rcgen"), "a dependency of tests counts");
    }

    #[test]
    fn allowed_edges_give_no_finding() {
        let crates: [(&str, &[&str]); 4] = [
            ("capability", &["serde"]),
            ("runner", &["capability", "wasmtime", "tokio"]),
            ("supervisor", &["capability", "hyper", "tokio"]),
            ("sandbox", &["runner", "supervisor", "tokio"]),
        ];
        check(&crates, "package = []", &[]);
    }

    #[test]
    fn an_edge_against_the_architecture_is_found() {
        let expected =
            "crates/audit/Cargo.toml:3: `audit` may not depend on `sandbox`, move what needs it to a crate that may";
        check(&[("audit", &["sandbox"]), ("sandbox", &[])], "package = []", &[expected]);
    }

    #[test]
    fn a_crate_that_the_architecture_does_not_have_is_found() {
        let expected = "crates/extra/Cargo.toml:2: crate `extra` has no allowed edges, add it to ARCHITECTURE.md and to \
                        `ALLOWED` of xtask/src/tidy/edges.rs";
        check(&[("extra", &[])], "package = []", &[expected]);
    }

    #[test]
    fn an_outside_crate_of_another_crate_is_found() {
        for (one, outside) in [
            ("sandbox", "wasmtime"),
            ("sandbox", "wasmtime-wasi"),
            ("audit", "hyper-util"),
            ("audit", "hickory-resolver"),
        ] {
            let expected = format!(
                "crates/{one}/Cargo.toml:3: `{one}` may not depend on `{outside}`, use it through the crate that owns it"
            );
            check(&[(one, &[outside])], "package = []", &[&expected]);
        }
    }

    #[test]
    fn what_is_reached_by_steps_is_found() {
        let lock = r#"
            package = [
                { name = "serde", dependencies = ["harmless 1.0.0"] },
                { name = "harmless", dependencies = ["tokio 1.0.0 (registry)"] },
            ]"#;
        let expected = "crates/capability/Cargo.toml:1: `capability` must not reach `tokio`, remove the dependency that leads there";
        check(&[("capability", &["serde"])], lock, &[expected]);
        let expected =
            "crates/runner/Cargo.toml:1: `runner` must not reach `rustls`, remove the dependency that leads there";
        check(&[("runner", &["web"])], r#"package = [{ name = "web", dependencies = ["rustls"] }]"#, &[expected]);
    }

    #[test]
    fn runner_and_supervisor_never_see_each_other() {
        for (one, other) in [("runner", "supervisor"), ("supervisor", "runner")] {
            let path = format!("crates/{one}/Cargo.toml:3");
            let direct = format!("{path}: `{one}` may not depend on `{other}`, move what needs it to a crate that may");
            let reach = format!("{path}: `{one}` must not reach `{other}`, remove the dependency that leads there");
            check(&[(one, &[other]), (other, &[])], "package = []", &[&direct, &reach]);
        }
    }
}

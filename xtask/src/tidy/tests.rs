//! The rules over the real tree, and each over a bad example, so that none can pass by never failing.

use super::*;

fn file(path: &str, text: &str) -> File {
    File { path: path.to_string(), text: text.to_string() }
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(String::from).into()
}

#[track_caller]
fn check(found: impl IntoIterator<Item = Finding>, expected: &[&str]) {
    let found: Vec<String> = found.into_iter().map(|finding| finding.to_string()).collect();
    assert_eq!(found, expected);
}

#[test]
fn this_tree_is_tidy() {
    let root = crate::root().unwrap();
    let tree = Tree::read(&root).unwrap();
    assert!(tree.files.iter().any(|file| file.path == "xtask/src/tidy/tests.rs"), "the tree was not read");
    check(tree.findings().unwrap(), &[]);
}

#[test]
fn a_file_without_prose_is_found() {
    check(begins_with_prose(&file("crates/a/src/lib.rs", "//! Owns a.\n")), &[]);
    let expected = "crates/a/src/lib.rs:1: does not begin with `//!`, say what it owns and what it refuses to do";
    check(begins_with_prose(&file("crates/a/src/lib.rs", "// Owns a.\n")), &[expected]);
}

#[test]
fn prose_is_asked_of_sources_only() {
    for path in ["crates/a/src/lib.rs", "guests/sdk-rust/src/lib.rs", "guests/probes/a/src/lib.rs", "xtask/src/a/b.rs"]
    {
        assert!(file(path, "").is_source(), "{path}");
    }
    for path in ["crates/a/tests/b.rs", "crates/a/benches/b.rs", "crates/a/src/lib.md", "packages/src/lib.rs"] {
        assert!(!file(path, "").is_source(), "{path}");
    }
}

#[test]
fn a_long_file_is_a_hint() {
    check(long_file(&file("a.rs", &"\n".repeat(600))), &[]);
    check(long_file(&file("a.rs", &"\n".repeat(601))), &["a.rs:601: 601 lines, more than 600, consider two files"]);
}

#[test]
fn a_name_that_says_nothing_is_found() {
    check(forbidden_names(&names(["capability", "score"])), &[]);
    let expected = |name| {
        format!(
            "crates/{name}/Cargo.toml:1: `{name}` says nothing about what the crate owns, name it after what it alone knows"
        )
    };
    for name in FORBIDDEN_NAMES {
        check(forbidden_names(&names([name])), &[&expected(name)]);
    }
}

#[test]
fn the_table_of_crates_has_a_row_for_each_and_no_other() {
    let check = |text: &str, expected: &[&str]| {
        let page = file("ARCHITECTURE.md", text);
        check(table_of_crates(Some(&page), &names(["audit", "runner"]), |path| path == "xtask"), expected);
    };
    let head = "# Architecture\n\n| crate | knows |\n|---|---|\n";
    check(
        &format!("{head}| `audit` | x |\n| [`crates/runner`](crates/runner) | y |\n| `xtask` | z |\n\n| `other` | |"),
        &[],
    );
    check(
        &format!("{head}| `audit` | x |\n| `core` | y |\n\nIn words only: `runner`.\n"),
        &[
            "ARCHITECTURE.md:5: crate `runner` has no row, add it to the table",
            "ARCHITECTURE.md:6: there is no crate `core`, delete its row",
        ],
    );
    check(
        "`audit` and `runner`\n",
        &["ARCHITECTURE.md:1: has no table headed `crate`, add one, with the crate in backticks in each row"],
    );
}

#[test]
fn missing_pages_are_found() {
    check(
        table_of_crates(None, &names([]), |_| true),
        &["ARCHITECTURE.md:1: is missing, write it, with a table headed `crate` that has a row for each crate"],
    );
    check(
        changelog(None),
        &["CHANGELOG.md:1: is missing, write it after Keep a Changelog, with a section `## [Unreleased]`"],
    );
}

#[test]
fn a_changelog_without_unreleased_is_found() {
    check(changelog(Some(&file("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n"))), &[]);
    check(changelog(Some(&file("CHANGELOG.md", "## Unreleased\n"))), &[]);
    let expected = "CHANGELOG.md:1: has no section `## [Unreleased]`, add it, above the released versions";
    check(changelog(Some(&file("CHANGELOG.md", "# Unreleased\n## [0.1.0]\n"))), &[expected]);
}

#[test]
fn leftovers_are_found() {
    check(leftovers(&file("a.rs", "//! What there is to do: ignore nothing.\n")), &[]);
    for (leftover, fix) in LEFTOVERS {
        let found = leftovers(&file("a.rs", &format!("//! a\n    {leftover}")));
        check(found, &[&format!("a.rs:2: `{leftover}` is left over, {fix}")]);
    }
}

#[test]
fn broken_links_are_found() {
    let links = |path: &str, text: &str, expected: &[&str]| {
        let exists = |path: &str| ["README.md", "docs/guide.md", "docs"].contains(&path);
        let findings = broken_links(&file(path, text), exists);
        let found: Vec<String> =
            findings.into_iter().map(|finding| format!("{}: {}", finding.line, finding.what)).collect();
        assert_eq!(found, expected);
    };
    let good = "[a](docs/guide.md#part) [b](#here) [c](https://example.org/x.md) ![d](./docs/ \"title\") [e](/README.md)\n\
                [f]: docs/guide.md\n<img src=\"docs/guide.md\"> <a href=\"mailto:a@example.org\">\n`[g](none.md)`\n\
                ```text\n[h](none.md)\n```\n";
    links("README.md", good, &[]);
    links("docs/guide.md", "[a](../README.md) [b](guide.md)\n", &[]);
    let bad = "[a](none.md) [b](guide.md)\n\n[c]: none.md\n<img src=\"none.svg\">\n[d](../README.md)\n";
    links(
        "README.md",
        bad,
        &[
            "1: `none.md` is not there",
            "1: `guide.md` is not there",
            "3: `none.md` is not there",
            "4: `none.svg` is not there",
            "5: `../README.md` is not there",
        ],
    );
}

#[test]
fn links_are_checked_in_pages_of_the_root_and_of_docs() {
    assert!(file("README.md", "").is_page() && file("docs/adr/0001-x.md", "").is_page());
    assert!(!file("crates/a/README.md", "").is_page() && !file("docs/a.rs", "").is_page());
}

//! Checks that the tree is what ARCHITECTURE.md says: edges between crates, names, prose, links and leftovers.
//!
//! Owns the rules that no compiler and no linter knows. Each is a function from text to findings, so that a test can show
//! that it fails; reading the tree happens in one place. It changes nothing and needs no network. Taste is not its
//! business: a long file is a hint, not a finding.

mod edges;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::{Write, stdout};
use std::path::{Component, Path, PathBuf};

const FILE_LINES_HINT: usize = 600;
const FORBIDDEN_NAMES: [&str; 4] = ["core", "common", "utils", "types"];
/// Written apart, so that this file does not break its own rule.
const LEFTOVERS: [(&str, &str); 3] = [
    (concat!("todo", "!("), "write it, or return an error that says it is missing"),
    (concat!("unimplemented", "!("), "write it, or return an error that says it is missing"),
    (concat!("#[", "ignore"), "make the test run, or delete it"),
];

/// Checks everything; prints hints and findings.
pub(crate) fn check(root: &Path) -> Result<()> {
    let tree = Tree::read(root)?;
    let (findings, hints) = (tree.findings()?, tree.hints());
    let mut out = stdout();
    hints.iter().try_for_each(|hint| writeln!(out, "hint: {hint}"))?;
    findings.iter().try_for_each(|finding| writeln!(out, "{finding}"))?;
    ensure!(findings.is_empty(), "{} rules of the tree are broken", findings.len());
    Ok(writeln!(out, "the tree is tidy: {} files", tree.files.len())?)
}

/// What is wrong, where, and what to do about it.
#[derive(Clone, Debug, PartialEq)]
struct Finding {
    file: String,
    line: usize,
    what: String,
    fix: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}, {}", self.file, self.line, self.what, self.fix)
    }
}

/// A text of the tree; its path is relative to the root, with `/`.
#[derive(Clone, Debug)]
struct File {
    path: String,
    text: String,
}

impl File {
    fn finding(&self, line: usize, what: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { file: self.path.clone(), line, what: what.into(), fix: fix.into() }
    }

    /// Its lines, counted as editors do.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    fn is_source(&self) -> bool {
        let of_a_crate = ["crates/", "guests/", "xtask/"].iter().any(|start| self.path.starts_with(start));
        self.is_rust() && of_a_crate && self.path.contains("/src/")
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether it is prose of the root or of `docs/`.
    fn is_page(&self) -> bool {
        self.path.ends_with(".md") && (self.path.starts_with("docs/") || !self.path.contains('/'))
    }
}

/// What the rules look at.
struct Tree {
    root: PathBuf,
    files: Vec<File>,
    crate_folders: BTreeSet<String>,
}

impl Tree {
    fn read(root: &Path) -> Result<Tree> {
        let mut files = Vec::new();
        read_folder(root, root, &mut files)?;
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let crate_folders = folders(&root.join("crates"))?;
        Ok(Tree { root: root.to_path_buf(), files, crate_folders })
    }

    fn findings(&self) -> Result<Vec<Finding>> {
        let file = |path: &str| self.files.iter().find(|file| file.path == path);
        let sources = self.files.iter().filter(|file| file.is_source());
        let rust = self.files.iter().filter(|file| file.is_rust());
        let pages = self.files.iter().filter(|file| file.is_page());
        let exists = |path: &str| self.root.join(path).exists();
        let mut findings = edges::findings(&edges::Graph::read(&self.root)?);
        findings.extend(forbidden_names(&self.crate_folders));
        findings.extend(sources.filter_map(begins_with_prose));
        findings.extend(rust.flat_map(leftovers));
        findings.extend(table_of_crates(file("ARCHITECTURE.md"), &self.crate_folders, exists));
        findings.extend(changelog(file("CHANGELOG.md")));
        findings.extend(pages.flat_map(|page| broken_links(page, exists)));
        Ok(findings)
    }

    fn hints(&self) -> Vec<Finding> {
        self.files.iter().filter(|file| file.is_rust()).filter_map(long_file).collect()
    }
}

// --- rules ---

fn begins_with_prose(file: &File) -> Option<Finding> {
    let begins = file.text.starts_with("//!");
    (!begins).then(|| file.finding(1, "does not begin with `//!`", "say what it owns and what it refuses to do"))
}

fn long_file(file: &File) -> Option<Finding> {
    let lines = file.text.lines().count();
    let what = format!("{lines} lines, more than {FILE_LINES_HINT}");
    (lines > FILE_LINES_HINT).then(|| file.finding(lines, what, "consider two files"))
}

fn forbidden_names(folders: &BTreeSet<String>) -> Vec<Finding> {
    let forbidden = folders.iter().filter(|folder| FORBIDDEN_NAMES.contains(&folder.as_str()));
    let finding = |name: &String| Finding {
        file: format!("crates/{name}/Cargo.toml"),
        line: 1,
        what: format!("`{name}` says nothing about what the crate owns"),
        fix: "name it after what it alone knows".to_string(),
    };
    forbidden.map(finding).collect()
}

/// The rows of the table headed `crate` are the folders of `crates/`; other folders of the root may have rows too.
fn table_of_crates(page: Option<&File>, folders: &BTreeSet<String>, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let Some(page) = page else {
        return vec![missing("ARCHITECTURE.md", "write it, with a table headed `crate` that has a row for each crate")];
    };
    let rows = rows_of_crates(page);
    let Some(&(head, _)) = rows.first() else {
        return vec![page.finding(
            1,
            "has no table headed `crate`",
            "add one, with the crate in backticks in each row",
        )];
    };
    let named: BTreeSet<&str> = rows.iter().map(|(_, name)| *name).collect();
    let unnamed = folders.iter().filter(|folder| !named.contains(folder.as_str()));
    let stale = rows.iter().filter(|(_, name)| !folders.contains(*name) && !exists(name));
    let unnamed = unnamed.map(|name| page.finding(head, format!("crate `{name}` has no row"), "add it to the table"));
    let stale = stale.map(|(line, name)| page.finding(*line, format!("there is no crate `{name}`"), "delete its row"));
    unnamed.chain(stale).collect()
}

/// Line and name of each row of the table whose first column is headed `crate`.
fn rows_of_crates(page: &File) -> Vec<(usize, &str)> {
    fn cell(line: &str) -> Option<&str> {
        line.trim().strip_prefix('|')?.split('|').next().map(str::trim)
    }
    fn is_head(line: &str) -> bool {
        cell(line).is_some_and(|cell| cell.trim_matches(['`', '*']).eq_ignore_ascii_case("crate"))
    }
    let table =
        page.lines().skip_while(|(_, line)| !is_head(line)).skip(1).map_while(|(at, line)| Some((at, cell(line)?)));
    let named = table.filter_map(|(at, cell)| Some((at, cell.split('`').nth(1)?)));
    named.map(|(at, name)| (at, name.strip_prefix("crates/").unwrap_or(name).trim_end_matches('/'))).collect()
}

fn changelog(page: Option<&File>) -> Vec<Finding> {
    let Some(page) = page else {
        return vec![missing("CHANGELOG.md", "write it after Keep a Changelog, with a section `## [Unreleased]`")];
    };
    let unreleased =
        |line: &str| line.strip_prefix("## ").is_some_and(|head| head.trim_matches(['[', ']', ' ']) == "Unreleased");
    let found = page.text.lines().any(unreleased);
    let finding = || page.finding(1, "has no section `## [Unreleased]`", "add it, above the released versions");
    if found { vec![] } else { vec![finding()] }
}

fn leftovers(file: &File) -> Vec<Finding> {
    let in_line = |(at, line): (usize, &str)| {
        let found = LEFTOVERS.iter().filter(|(leftover, _)| line.contains(leftover));
        found.map(|(leftover, fix)| file.finding(at, format!("`{leftover}` is left over"), *fix)).collect::<Vec<_>>()
    };
    file.lines().flat_map(in_line).collect()
}

/// Links to files that are not there. What has a scheme is not looked at, nor is what code shows.
fn broken_links(page: &File, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut fenced = false;
    let mut findings = Vec::new();
    for (at, line) in page.lines() {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        if fenced || fence {
            continue;
        }
        let broken = links(&without_code(line)).into_iter().filter(|link| !exists(&resolve(&page.path, link)));
        findings.extend(broken.map(|link| {
            let what = format!("`{link}` is not there");
            page.finding(at, what, "correct the link, relative to the page")
        }));
    }
    findings
}

/// The line without what stands in backticks.
fn without_code(line: &str) -> String {
    let balanced = line.matches('`').count().is_multiple_of(2);
    if balanced { line.split('`').step_by(2).collect::<Vec<_>>().join("`") } else { line.to_string() }
}

/// The files that a line of Markdown links to, without what follows `#`.
fn links(line: &str) -> Vec<String> {
    const FORMS: [(&str, &str); 3] = [("](", ")"), ("src=\"", "\""), ("href=\"", "\"")];
    let inline = FORMS.iter().flat_map(|(open, close)| {
        line.split(open).skip(1).filter_map(move |rest| rest.split_once(close).map(|(link, _)| link))
    });
    let reference = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, link)| link);
    let words = inline.chain(reference).filter_map(|link| link.split_whitespace().next());
    let paths = words.map(|link| link.trim_matches(['<', '>'])).filter(|link| !has_scheme(link));
    paths.filter_map(|link| link.split(['#', '?']).next()).filter(|path| !path.is_empty()).map(String::from).collect()
}

fn has_scheme(link: &str) -> bool {
    let scheme = link.split(['/', '#', '.']).next().unwrap_or_default();
    scheme.contains(':') || link.starts_with("//")
}

/// The path from the root that a link of a page means; a link that leaves the tree stays as it is, and is not found.
fn resolve(page: &str, link: &str) -> String {
    let base = if link.starts_with('/') { Path::new("") } else { Path::new(page).parent().unwrap_or(Path::new("")) };
    let mut path = PathBuf::new();
    for part in base.join(link.trim_start_matches('/')).components() {
        match part {
            Component::ParentDir if !path.pop() => return format!("{link} (outside of the tree)"),
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path.to_string_lossy().replace('\\', "/")
}

fn missing(file: &str, fix: &str) -> Finding {
    Finding { file: file.to_string(), line: 1, what: "is missing".to_string(), fix: fix.to_string() }
}

// --- the tree ---

/// Reads the Rust and Markdown files of a folder and those below it; what is built or hidden is passed over.
fn read_folder(root: &Path, folder: &Path, files: &mut Vec<File>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let passed_over = name.starts_with('.') || name == "target" || name == "node_modules";
        let kind = entry.file_type()?;
        if kind.is_dir() && !passed_over {
            read_folder(root, &entry.path(), files)?;
        } else if kind.is_file() && (name.ends_with(".rs") || name.ends_with(".md")) {
            files.push(read_file(root, &entry.path())?);
        }
    }
    Ok(())
}

fn read_file(root: &Path, path: &Path) -> Result<File> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let path = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
    Ok(File { path, text })
}

/// The names of the folders that hold a crate.
fn folders(folder: &Path) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let crates = entries.iter().filter(|entry| entry.path().join("Cargo.toml").is_file());
    Ok(crates.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

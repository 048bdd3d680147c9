//! Pages that are made from the source: the settings of the HTTP probe, from its manifest.
//!
//! What is made stands between two marks of a page, so that the rest is written by hand. A test makes it anew and
//! compares.

use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use toml::{Table, Value};

const MANIFEST: &str = "guests/probes/http/src/manifest.toml";
const PAGE: &str = "docs/http.md";
const BEGIN: &str = "<!-- made by `cargo xtask generate` from the probe's manifest -->\n";
const END: &str = "<!-- end -->\n";

/// Writes every generated page.
pub(crate) fn run(root: &Path) -> Result<()> {
    let path = root.join(PAGE);
    fs::write(&path, page(root)?).with_context(|| format!("{PAGE} cannot be written"))
}

/// The page as it should be.
fn page(root: &Path) -> Result<String> {
    let read = |file: &str| fs::read_to_string(root.join(file)).with_context(|| format!("{file} cannot be read"));
    let manifest: Table = toml::from_str(&read(MANIFEST)?).with_context(|| format!("{MANIFEST} is not TOML"))?;
    let old = read(PAGE)?;
    let (before, rest) = old.split_once(BEGIN).with_context(|| format!("{PAGE} has no mark where settings begin"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{PAGE} has no mark where settings end"))?;
    let mut rows = String::from("| setting | type | default | meaning |\n|---|---|---|---|\n");
    let schema = manifest.get("settings").and_then(Value::as_table).context("the manifest has no settings")?;
    describe(schema, "", &mut rows);
    ensure!(rows.lines().count() > 2, "the manifest describes no setting");
    Ok(format!("{before}{BEGIN}{rows}{END}{after}"))
}

/// A row for each property below `schema`, nested ones with their path; `[]` stands for an element of a list.
fn describe(schema: &Table, path: &str, rows: &mut String) {
    for (name, property) in schema.get("properties").and_then(Value::as_table).into_iter().flatten() {
        let Some(property) = property.as_table() else { continue };
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let description = property.get("description").and_then(Value::as_str).unwrap_or_default();
        let default = property.get("default").map(|value| format!("`{value}`")).unwrap_or_default();
        let _ = writeln!(rows, "| `{path}` | {} | {default} | {} |", kind(property), description.replace('|', "\\|"));
        describe(property, &path, rows);
        if let Some(items) = property.get("items").and_then(Value::as_table) {
            describe(items, &format!("{path}[]"), rows);
        }
    }
}

fn kind(property: &Table) -> String {
    if let Some(values) = property.get("enum").and_then(Value::as_array) {
        let values: Vec<String> = values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`")).collect();
        return values.join(" ");
    }
    match property.get("type").and_then(Value::as_str) {
        Some("array") => "list".to_owned(),
        Some(kind) => kind.to_owned(),
        None => "any value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_as_they_would_be_made() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let written = fs::read_to_string(root.join(PAGE)).unwrap();
        assert_eq!(written, page(root).unwrap(), "run `cargo xtask generate`");
    }
}

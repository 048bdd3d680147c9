//! The project's own chores, run as `cargo xtask NAME`. Each chore is a module; this file only finds it.

#![expect(clippy::disallowed_methods, reason = "chores read the tree, write what they build and start compilers")]

mod generate;
mod guests;
mod tidy;

use anyhow::{Context, Result, bail};
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask guests [--check]\n       cargo xtask pack MODULE.wasm PROBE.wasm\n       cargo xtask generate\n       cargo xtask tidy";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where this cannot be written, the exit code must do.
            let _ = writeln!(stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["guests"] => guests::build(&root()?),
        ["guests", "--check"] => guests::check(&root()?),
        ["pack", module, target] => guests::pack(Path::new(module), Path::new(target)),
        ["generate"] => generate::run(&root()?),
        ["tidy"] => tidy::check(&root()?),
        _ => bail!("{USAGE}"),
    }
}

/// The directory that holds the project.
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(Path::to_path_buf).context("xtask is not in a project")
}

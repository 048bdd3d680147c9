//! `health-watch probe inspect` and `probe list`: what a probe is, without running it.

use crate::{Stop, probes, render};
use health_watch_capability::interface::Authority;
use health_watch_sandbox::Inspected;
use serde_json::json;
use std::io::Write;
use std::process::ExitCode;

/// Show what a probe is, asks for and really imports, without running it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A built-in probe's name, or a component file
    #[arg(value_name = "NAME|FILE")]
    probe: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Stop> {
    let source = probes::find(&arguments.probe)?;
    let inspected = health_watch_sandbox::inspect(&source.component, source.beside.as_deref())?;
    if arguments.json {
        print_json(&inspected)?
    } else {
        print_text(&inspected)?
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn list() -> Result<ExitCode, Stop> {
    let mut out = std::io::stdout().lock();
    for name in probes::names() {
        let source = probes::find(name)?;
        let inspected = health_watch_sandbox::inspect(&source.component, None)?;
        writeln!(
            out,
            "{name:<10} {:<8} {}",
            inspected.manifest.version,
            render::safe(&inspected.manifest.description)
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn carries(authority: Authority) -> String {
    match authority {
        Authority::None => "types only".to_owned(),
        Authority::Ambient => "ambient".to_owned(),
        Authority::Needs(kind) => format!("needs {kind}"),
        Authority::NotServed => "not served".to_owned(),
    }
}

fn print_json(inspected: &Inspected) -> Result<(), Stop> {
    let imports: Vec<_> = inspected
        .imports
        .iter()
        .map(|import| json!({ "name": import.name, "authority": carries(import.authority) }))
        .collect();
    let value = json!({
        "digest": format!("sha256:{}", inspected.digest),
        "size": inspected.size,
        "manifest": inspected.manifest,
        "imports": imports,
    });
    writeln!(std::io::stdout(), "{value:#}")?;
    Ok(())
}

fn print_text(inspected: &Inspected) -> Result<(), Stop> {
    let mut out = std::io::stdout().lock();
    let manifest = &inspected.manifest;
    writeln!(out, "{} {}  {}", manifest.name, render::safe(&manifest.version), render::safe(&manifest.description))?;
    writeln!(out, "  digest    sha256:{}", inspected.digest)?;
    writeln!(out, "  size      {} bytes", inspected.size)?;
    writeln!(out, "  imports")?;
    for ambient in [false, true] {
        for import in
            inspected.imports.iter().filter(|import| matches!(import.authority, Authority::Needs(_)) != ambient)
        {
            writeln!(out, "    {:<36} {}", import.name, carries(import.authority))?;
        }
    }
    if inspected.imports.is_empty() {
        writeln!(out, "    nothing")?;
    }
    writeln!(out, "  asks for")?;
    let asks = manifest.asks_as_written();
    for (required, kind, what, reason) in &asks {
        let need = if *required { "required" } else { "optional" };
        writeln!(out, "    {need}  {kind:<7} {}  (to {})", render::safe(what), render::safe(reason))?;
    }
    if asks.is_empty() {
        writeln!(out, "    nothing")?;
    }
    writeln!(out, "  settings")?;
    for line in format!("{:#}", manifest.settings).lines() {
        writeln!(out, "    {}", render::safe(line))?;
    }
    Ok(())
}

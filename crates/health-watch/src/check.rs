//! `health-watch check`: one run, with everything shown.

use crate::{Stop, demo, probes, render, settings};
use health_watch_capability::Fault;
use health_watch_capability::Policy;
use health_watch_capability::policy::{SecretUse, is_secret_name};
use health_watch_sandbox::{Broken, Config, Outcome, Prepared, Sandbox, Secret, Secrets, Status};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

/// Run one check and show everything: report, phases, decisions, what it cost.
///
/// Without any argument, a small server is started on loopback and checked.
///
/// Exit code: 0 up, 1 degraded, 2 down, 3 unknown, 64 wrong input, 70 a fault of this program.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to check: short for `--set url=URL`
    #[arg(value_name = "URL")]
    url: Option<String>,
    /// A built-in probe's name, or a component file
    #[arg(long, default_value = "http", value_name = "NAME|FILE")]
    probe: String,
    /// A setting of the probe, as in `url=https://example.org` or `expect.status=[200]`
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// All settings, as a JSON file; `--set` is laid over it
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Allow an origin (`https://example.org`), `host:port`, an address or block (`10.0.0.0/8`), or `clock=MS`. What
    /// the settings name is allowed already
    #[arg(long, value_name = "WORD")]
    allow: Vec<String>,
    /// Allow what a policy file says (JSON, or TOML by its ending)
    #[arg(long, value_name = "FILE")]
    allow_file: Option<PathBuf>,
    /// Never allow more than this policy file says
    #[arg(long, value_name = "FILE")]
    ceiling: Option<PathBuf>,
    /// A secret that the probe may use, never read: `NAME=env:VARIABLE` or `NAME=file:PATH`
    #[arg(long, value_name = "NAME=SOURCE")]
    secret: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Stop::Broken(error.to_string()))?;
    runtime.block_on(check(arguments))
}

async fn check(arguments: &Arguments) -> Result<ExitCode, Stop> {
    let broken = |error: Broken| Stop::Broken(error.to_string());
    let sandbox = Sandbox::new(Config { cache: cache_folder(), ..Config::default() }).map_err(broken)?;
    let (prepared, note) = prepare(arguments, &sandbox)?;
    let outcome = sandbox.run(&prepared).await.map_err(broken)?;
    let written = if arguments.json {
        render::json(&prepared, &outcome)
    } else {
        render::text(&prepared, &outcome, note.as_deref())
    };
    match written {
        // A reader that has seen enough changes nothing about the target.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Stop::Output(error)),
        _ => Ok(ExitCode::from(code(&outcome))),
    }
}

fn code(outcome: &Outcome) -> u8 {
    match outcome.status {
        Status::Up => 0,
        Status::Degraded => 1,
        Status::Down => 2,
        Status::Unknown => 3,
    }
}

fn prepare(arguments: &Arguments, sandbox: &Sandbox) -> Result<(Prepared, Option<String>), Stop> {
    let source = probes::find(&arguments.probe)?;
    let probe = sandbox.load(&source.component, source.beside.as_deref())?;
    let mut words = arguments.set.clone();
    words.extend(arguments.url.as_ref().map(|url| format!("url={url}")));
    let mut note = None;
    if arguments.probe == "http" && words.is_empty() && arguments.settings.is_none() {
        let address =
            demo::start().map_err(|error| Stop::Broken(format!("cannot start a server on loopback: {error}")))?;
        words.push(format!("url=http://{address}/"));
        words.push(r#"expect.json=[{"path":"$.status","equals":"ok"}]"#.to_owned());
        note = Some(format!(
            "No target was named, so a server was started on {address} and checked. Yours: health-watch check --set url=https://example.org"
        ));
    }
    let settings = settings::read(arguments.settings.as_deref(), &words, &probe.inspected().manifest.settings)?;
    let (secrets, usage) = secrets(&arguments.secret)?;
    let allow = allow(arguments, usage)?;
    let ceiling = arguments.ceiling.as_deref().map(policy).transpose()?;
    let prepared = sandbox.prepare(&probe, &settings, ceiling.as_ref(), &allow, secrets)?;
    Ok((prepared, note))
}

fn allow(arguments: &Arguments, secrets: BTreeMap<String, SecretUse>) -> Result<Policy, Stop> {
    let mut allow = arguments.allow_file.as_deref().map(policy).transpose()?.unwrap_or_default();
    for word in &arguments.allow {
        let policy = Policy::from_word(word).map_err(|problem| Stop::Usage(format!("--allow: {problem}")))?;
        allow = allow.join(policy);
    }
    for (name, usage) in secrets {
        allow.secrets.entry(name).or_insert(usage);
    }
    Ok(allow)
}

#[expect(clippy::disallowed_methods, reason = "the operator names files on the command line")]
fn policy(path: &Path) -> Result<Policy, Stop> {
    let text =
        fs::read_to_string(path).map_err(|error| Stop::Usage(format!("cannot read `{}`: {error}", path.display())))?;
    let parsed = if path.extension().is_some_and(|ending| ending == "toml") {
        Policy::from_toml(&text)
    } else {
        Policy::from_json(&text)
    };
    parsed.map_err(|faults: Vec<Fault>| {
        let lines: Vec<String> = faults.iter().map(|fault| format!("{}: {fault}", path.display())).collect();
        Stop::Usage(lines.join("\nerror: "))
    })
}

/// Reads secrets from where the operator keeps them. A value on a command line would stand in every process list.
#[expect(clippy::disallowed_methods, reason = "the operator names files and variables on the command line")]
fn secrets(words: &[String]) -> Result<(Secrets, BTreeMap<String, SecretUse>), Stop> {
    let (mut values, mut usage) = (Vec::new(), BTreeMap::new());
    for word in words {
        let (name, source) = word.split_once('=').unwrap_or((word, ""));
        if !is_secret_name(name) {
            let shown = name.escape_debug();
            return Err(Stop::Usage(format!(
                "--secret: `{shown}` cannot be a name; use letters, digits, `_`, `-` and `.`"
            )));
        }
        let value = match source.split_once(':') {
            Some(("env", variable)) => env::var(variable)
                .map_err(|error| Stop::Usage(format!("--secret {name}: the variable `{variable}`: {error}")))?,
            Some(("file", path)) => {
                fs::read_to_string(path).map_err(|error| Stop::Usage(format!("--secret {name}: `{path}`: {error}")))?
            }
            _ => {
                let fix = "write `NAME=env:VARIABLE` or `NAME=file:PATH`; a value itself is not accepted here, because others can read it";
                return Err(Stop::Usage(format!("--secret {name}: {fix}")));
            }
        };
        if value.trim().is_empty() || value.trim_end().contains(['\n', '\r']) {
            return Err(Stop::Usage(format!("--secret {name}: its value is empty, or has a line break inside")));
        }
        values.push((name.to_owned(), Secret::new(value)));
        usage.insert(name.to_owned(), SecretUse { where_settings_point: true, ..SecretUse::default() });
    }
    Ok((values.into_iter().collect(), usage))
}

/// `$XDG_CACHE_HOME/health-watch`, or its default (XDG Base Directory Specification).
#[expect(clippy::disallowed_methods, reason = "the operator's environment says where caches are")]
fn cache_folder() -> Option<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    Some(base.join("health-watch"))
}

//! The program `health-watch`: one file per command.

mod check;
mod demo;
mod inspect;
mod probes;
mod render;
mod settings;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Health checks that somebody else wrote, run safely.
#[derive(Parser)]
#[command(name = "health-watch", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run one check and show everything: report, phases, decisions, what it cost.
    Check(check::Arguments),
    /// Look into probes.
    Probe {
        #[command(subcommand)]
        command: ProbeCommand,
    },
}

#[derive(Subcommand)]
enum ProbeCommand {
    /// Show what a probe is, asks for and really imports, without running it.
    Inspect(inspect::Arguments),
    /// List the probes that this program brings with it.
    List,
}

/// Exit codes: 0 up, 1 degraded, 2 down, 3 unknown, as monitoring plugins have them; 64 the command or its input is
/// wrong (sysexits.h `EX_USAGE`), 70 the program is broken (`EX_SOFTWARE`), 74 its output cannot be written (`EX_IOERR`).
mod exit {
    pub(crate) const USAGE: u8 = 64;
    pub(crate) const BROKEN: u8 = 70;
    pub(crate) const OUTPUT: u8 = 74;
}

/// What ends the program without an answer.
enum Stop {
    /// The user can mend it.
    Usage(String),
    /// We have to mend it.
    Broken(String),
    /// What was found out could not be written.
    Output(std::io::Error),
}

impl From<health_watch_sandbox::LoadError> for Stop {
    fn from(error: health_watch_sandbox::LoadError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<health_watch_sandbox::PrepareError> for Stop {
    fn from(error: health_watch_sandbox::PrepareError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Only output is written with `?`; whoever reads a file says which.
impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error)
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { 0 });
        }
    };
    let ended = match arguments.command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Probe { command: ProbeCommand::Inspect(arguments) } => inspect::run(&arguments),
        Command::Probe { command: ProbeCommand::List } => inspect::list(),
    };
    match ended {
        Ok(code) => code,
        Err(Stop::Usage(problem)) => complain(&problem, exit::USAGE),
        // A reader that has seen enough is no error.
        Err(Stop::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Stop::Output(error)) => complain(&format!("cannot write the output: {error}"), exit::OUTPUT),
        Err(Stop::Broken(problem)) => complain(&format!("this is a fault of health-watch: {problem}"), exit::BROKEN),
    }
}

fn complain(problem: &str, code: u8) -> ExitCode {
    use std::io::Write;
    // Names and texts of strangers' components may stand in it.
    let lines: Vec<String> = problem.lines().map(render::safe).collect();
    let _ = writeln!(std::io::stderr(), "error: {}", lines.join("\n"));
    ExitCode::from(code)
}

//! The pair: a runner and a supervisor, joined.
//!
//! `run` takes a prepared probe and gives back an [`Outcome`]. Whatever a guest does is an outcome; an error means
//! that *we* are broken. The two sides exchange the same messages whether they share a process or a socket.

mod cache;
mod direct;
mod outcome;
mod prepare;
mod settings;
#[cfg(unix)]
mod socket;

use std::path::PathBuf;
use std::sync::Arc;

pub use cache::Cached;
pub use health_watch_runner::{
    Failure, Inspected, LoadError, LogLine, Measurement, Report, RunnerConfig, Status as ReportStatus, inspect,
};
pub use health_watch_supervisor::{Config as SupervisorConfig, Effect, Nameservers, Roots, Secret, Secrets};
pub use outcome::{Ending, Outcome, Status};
pub use prepare::{PrepareError, Prepared, Probe};
#[cfg(unix)]
pub use socket::serve;

/// Settings of a sandbox.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Of the runner.
    pub runner: RunnerConfig,
    /// Of the supervisor.
    pub supervisor: SupervisorConfig,
    /// Where compiled code is kept; nowhere if absent.
    pub cache: Option<PathBuf>,
    /// How the two sides are joined.
    pub join: Join,
}

/// How the two sides are joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Join {
    /// In one process; the seam is a function call.
    #[default]
    InProcess,
    /// The runner is a child process, started from this program file; the seam is a socket pair. Unix only.
    Process(PathBuf),
}

/// We are broken; no guest can cause this.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub(crate) String);

/// Runs probes.
pub struct Sandbox {
    runner: Arc<health_watch_runner::Runner>,
    supervisor: Arc<health_watch_supervisor::Supervisor>,
    cache: cache::Cache,
    #[cfg(unix)]
    remote: Option<socket::Remote>,
}

impl Sandbox {
    /// Starts both sides. Must be called inside a tokio runtime if the runner is to be a process of its own.
    ///
    /// # Errors
    /// One of them does not start.
    pub fn new(config: Config) -> Result<Self, Broken> {
        let runner = health_watch_runner::Runner::new(config.runner).map_err(|error| Broken(error.to_string()))?;
        let supervisor =
            health_watch_supervisor::Supervisor::new(config.supervisor).map_err(|error| Broken(error.to_string()))?;
        let cache = cache::Cache::open(config.cache, runner.compatibility());
        #[cfg(not(unix))]
        if config.join != Join::InProcess {
            return Err(Broken("a runner process needs a Unix system".to_owned()));
        }
        Ok(Self {
            runner: Arc::new(runner),
            supervisor: Arc::new(supervisor),
            cache,
            #[cfg(unix)]
            remote: match config.join {
                Join::InProcess => None,
                Join::Process(program) => Some(socket::Remote::start(&program)?),
            },
        })
    }

    /// Reads, judges, compiles (or takes from the cache) and links a component. `beside` is the manifest file beside
    /// it, if there is one.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn load(&self, component: &[u8], beside: Option<&str>) -> Result<Arc<Probe>, LoadError> {
        let inspected = inspect(component, beside)?;
        settings::check_schema(&inspected.manifest)?;
        let (compiled, cached) = self.cache.get_or_compile(&inspected.digest, || self.runner.compile(component))?;
        let loaded = compiled.load(&self.runner)?;
        #[cfg(unix)]
        let remote = self.remote.as_ref().map(|remote| remote.load(compiled.into_bytes()));
        Ok(Arc::new(Probe {
            digest: inspected.digest.as_str().into(),
            inspected,
            loaded,
            cached,
            #[cfg(unix)]
            remote,
        }))
    }

    /// Runs a prepared probe once.
    ///
    /// # Errors
    /// We are broken.
    pub async fn run(&self, prepared: &Prepared) -> Result<Outcome, Broken> {
        #[cfg(unix)]
        if let (Some(remote), Some(probe)) = (&self.remote, &prepared.probe.remote) {
            return remote.run(&self.supervisor, probe, prepared).await;
        }
        direct::run(&self.runner, &self.supervisor, prepared).await
    }
}

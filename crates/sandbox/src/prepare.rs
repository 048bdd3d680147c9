//! From a loaded probe to one that may be run: settings checked, capabilities negotiated.

use crate::cache::Cached;
use crate::{Sandbox, settings};
use health_watch_capability::{Dropped, Fault, Gap, Grant, Limits, Manifest, Negotiated, Policy, Refusal, negotiate};
use health_watch_runner::{Inspected, Loaded};
use health_watch_supervisor::{Opening, Secrets};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

/// A loaded probe.
pub struct Probe {
    pub(crate) digest: Arc<str>,
    pub(crate) inspected: Inspected,
    pub(crate) loaded: Loaded,
    pub(crate) cached: Cached,
    #[cfg(unix)]
    pub(crate) remote: Option<crate::socket::RemoteProbe>,
}

impl Probe {
    /// What is known of it.
    #[must_use]
    pub fn inspected(&self) -> &Inspected {
        &self.inspected
    }

    /// Whether its compiled code came from the cache.
    #[must_use]
    pub fn cached(&self) -> &Cached {
        &self.cached
    }

    fn manifest(&self) -> &Manifest {
        &self.inspected.manifest
    }
}

/// A probe with its settings and its grant. Only this can be run.
pub struct Prepared {
    pub(crate) probe: Arc<Probe>,
    pub(crate) settings: String,
    pub(crate) grant: Arc<Grant>,
    grant_digest: Arc<str>,
    secrets: Arc<Secrets>,
    dropped: Vec<Dropped>,
}

/// Why a probe may not be run on a channel.
#[derive(Debug, PartialEq, Eq)]
pub enum PrepareError {
    /// The settings do not satisfy the probe's schema, or lack what its manifest refers to.
    Settings(Vec<Fault>),
    /// It requires what is not allowed.
    Gaps(Vec<Gap>),
}

impl std::fmt::Display for PrepareError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Settings(faults) => {
                f.write_str("the settings do not fit the probe:")?;
                faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
            }
            Self::Gaps(gaps) => {
                f.write_str("the probe requires what is not allowed:")?;
                gaps.iter().try_for_each(|gap| write!(f, "\n  {gap}"))
            }
        }
    }
}

impl std::error::Error for PrepareError {}

impl Sandbox {
    /// Checks `settings` and negotiates what the probe may do: the meet of its manifest, of `ceiling` where there is
    /// one, and of `allow`.
    ///
    /// # Errors
    /// Everything that stands in the way, at once.
    pub fn prepare(
        &self,
        probe: &Arc<Probe>,
        settings: &Value,
        ceiling: Option<&Policy>,
        allow: &Policy,
        secrets: Secrets,
    ) -> Result<Prepared, PrepareError> {
        let faults = settings::check(probe.manifest(), settings);
        if !faults.is_empty() {
            return Err(PrepareError::Settings(faults));
        }
        let Negotiated { grant, dropped } =
            negotiate(probe.manifest(), settings, ceiling, allow).map_err(|refusal| match refusal {
                Refusal::Settings(faults) => PrepareError::Settings(faults),
                Refusal::Gaps(gaps) => PrepareError::Gaps(gaps),
            })?;
        Ok(Prepared {
            probe: Arc::clone(probe),
            settings: settings.to_string(),
            grant_digest: digest(&grant).into(),
            grant: Arc::new(grant),
            secrets: Arc::new(secrets),
            dropped,
        })
    }
}

impl Prepared {
    /// What it may do.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// What it asked for as optional and does not get.
    #[must_use]
    pub fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.grant.limits()
    }

    pub(crate) fn opening(&self, started: Instant) -> Opening {
        Opening {
            grant: Arc::clone(&self.grant),
            secrets: Arc::clone(&self.secrets),
            probe_digest: Arc::clone(&self.probe.digest),
            grant_digest: Arc::clone(&self.grant_digest),
            started,
        }
    }
}

/// Identifies a grant in records: SHA-256 over its rules and limits, each on a line of its own.
fn digest(grant: &Grant) -> String {
    let mut text = String::new();
    for (kind, rule) in grant.rules() {
        let _ = writeln!(text, "{kind} {rule}");
    }
    let _ = writeln!(text, "{:?}", grant.limits());
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

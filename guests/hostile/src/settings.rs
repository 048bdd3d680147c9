//! What an attack is told: all attacks share one set of settings.

use health_watch_probe::types::{BasicCredential, Credential, HeaderCredential};
use health_watch_probe::{Report, Status};
use serde::Deserialize;

/// The settings as written; see the manifest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) attack: String,
    /// Only the manifest reads it.
    #[serde(rename = "url")]
    pub(crate) _url: Option<String>,
    /// Only the manifest reads it.
    #[serde(rename = "secret")]
    pub(crate) _secret: Option<String>,
    pub(crate) bytes: Option<usize>,
    pub(crate) times: Option<u32>,
    pub(crate) sleep_ms: Option<u32>,
    #[serde(default)]
    pub(crate) attack_url: String,
    #[serde(default)]
    pub(crate) attack_urls: Vec<String>,
    pub(crate) method: Option<String>,
    #[serde(default)]
    pub(crate) headers: Vec<(String, String)>,
    #[serde(default)]
    pub(crate) body: String,
    pub(crate) credential: Option<Secret>,
    pub(crate) timeout_ms: Option<u32>,
    pub(crate) max_body_bytes: Option<u32>,
    #[serde(default)]
    pub(crate) origins: Vec<String>,
    pub(crate) status: Option<Wanted>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Secret {
    Bearer(String),
    Basic { user: String, secret: String },
    Header { name: String, secret: String },
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Wanted {
    Up,
    Degraded,
    Down,
}

impl Settings {
    pub(crate) fn method(&self) -> &str {
        self.method.as_deref().unwrap_or("GET")
    }

    /// A report with the status that is wanted, or else with this one.
    pub(crate) fn report(&self, status: Status, message: impl Into<String>) -> Report {
        let status = match self.status {
            Some(Wanted::Up) => Status::Up,
            Some(Wanted::Degraded) => Status::Degraded,
            Some(Wanted::Down) => Status::Down,
            None => status,
        };
        Report::new(status, message)
    }
}

impl From<Secret> for Credential {
    fn from(secret: Secret) -> Credential {
        match secret {
            Secret::Bearer(secret) => Credential::Bearer(secret),
            Secret::Basic { user, secret } => Credential::Basic(BasicCredential { user, secret }),
            Secret::Header { name, secret } => Credential::Header(HeaderCredential { name, secret }),
        }
    }
}

//! Manifests: what a probe asks for, in its own words.
//!
//! A manifest is static text, read without running any guest code: a custom section `health-watch:manifest` at the
//! top level of the component (JSON), or a file beside it. Authors write it as TOML in their source.

use crate::fault::{Fault, json_fault, toml_fault};
use crate::host::Origin;
use crate::pattern::{Method, Methods};
use crate::policy::{LimitWishes, SECRET_NAME, Table, WrittenResources, is_secret_name, table};
use crate::template::expand;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// The name of the custom section.
pub const SECTION: &str = "health-watch:manifest";

/// The one version of the format there is.
pub const VERSION: u32 = 1;

/// What a probe asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    #[serde(alias = "manifest_version")]
    manifest_version: u32,
    /// What the probe is called: lower-case letters, digits and hyphens.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One line for a person.
    #[serde(default)]
    pub description: String,
    /// Without these it cannot work.
    #[serde(default)]
    required: Vec<WrittenAsk>,
    /// Without these it works less well.
    #[serde(default)]
    optional: Vec<WrittenAsk>,
    #[serde(default, deserialize_with = "table")]
    resources: WrittenResources,
    /// JSON Schema (2020-12) of the channel's settings.
    #[serde(default = "any_object")]
    pub settings: Value,
}

fn any_object() -> Value {
    serde_json::json!({ "type": "object" })
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", rename_all_fields = "camelCase", deny_unknown_fields)]
enum WrittenAsk {
    Http {
        origin: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        methods: Vec<String>,
        reason: String,
    },
    Secret {
        name: String,
        reason: String,
    },
    Clock {
        #[serde(alias = "max_sleep_ms")]
        max_sleep_ms: u32,
        reason: String,
    },
}

/// One thing that a probe asks for, on one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Whether the probe cannot work without.
    pub required: bool,
    /// What.
    pub what: Wanted,
    /// Why, in the author's words.
    pub reason: String,
    /// Whether the operator's own settings name it.
    pub from_settings: bool,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// To send HTTP requests.
    Http {
        /// To here; to wherever the operator allows where `None`, written `*`.
        origin: Option<Origin>,
        /// With these methods.
        methods: Methods,
    },
    /// To use a secret.
    Secret(String),
    /// To read the time and to sleep at most this many milliseconds at once.
    Clock(u32),
}

impl Wanted {
    /// The capability's name.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Http { .. } => Kind::Http,
            Self::Secret(_) => Kind::Secret,
            Self::Clock(_) => Kind::Clock,
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { origin: Some(origin), methods } => write!(f, "http {origin} ({methods})"),
            Self::Http { origin: None, methods } => write!(f, "http to whatever is allowed ({methods})"),
            Self::Secret(name) => write!(f, "secret {name}"),
            Self::Clock(ms) => write!(f, "clock (sleep up to {ms} ms)"),
        }
    }
}

/// A kind of capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Http,
    Secret,
    Clock,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Secret => "secret",
            Self::Clock => "clock",
        })
    }
}

impl Manifest {
    /// Reads a manifest from JSON.
    ///
    /// # Errors
    /// Every fault found.
    pub fn from_json(text: &str) -> Result<Self, Vec<Fault>> {
        let manifest: Self =
            serde_json::from_str(text).map(Table::content).map_err(|error| vec![json_fault(&error)])?;
        manifest.checked()
    }

    /// Reads a manifest from TOML.
    ///
    /// # Errors
    /// Every fault found.
    pub fn from_toml(text: &str) -> Result<Self, Vec<Fault>> {
        let manifest: Self =
            toml::from_str(text).map(Table::content).map_err(|error| vec![toml_fault(text, &error)])?;
        manifest.checked()
    }

    /// The one JSON form of this manifest.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The kinds of capability it mentions, required or optional.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        self.required.iter().chain(&self.optional).map(|ask| match ask {
            WrittenAsk::Http { .. } => Kind::Http,
            WrittenAsk::Secret { .. } => Kind::Secret,
            WrittenAsk::Clock { .. } => Kind::Clock,
        })
    }

    /// What it asks for as the author wrote it, references and all: required or not, kind, text, reason.
    #[must_use]
    pub fn asks_as_written(&self) -> Vec<(bool, Kind, String, String)> {
        let line = |required: bool| {
            move |ask: &WrittenAsk| match ask {
                WrittenAsk::Http { origin, methods, reason } if methods.is_empty() => {
                    (required, Kind::Http, origin.clone(), reason.clone())
                }
                WrittenAsk::Http { origin, methods, reason } => {
                    (required, Kind::Http, format!("{origin} {}", methods.join(" ")), reason.clone())
                }
                WrittenAsk::Secret { name, reason } => (required, Kind::Secret, name.clone(), reason.clone()),
                WrittenAsk::Clock { max_sleep_ms, reason } => {
                    (required, Kind::Clock, format!("sleep up to {max_sleep_ms} ms"), reason.clone())
                }
            }
        };
        self.required.iter().map(line(true)).chain(self.optional.iter().map(line(false))).collect()
    }

    /// The probe's default quota.
    #[must_use]
    pub fn limits(&self) -> LimitWishes {
        self.resources.wishes(&mut Vec::new())
    }

    /// What it asks for on a channel with these settings.
    ///
    /// # Errors
    /// Faults in the settings that the manifest refers to.
    pub fn asks(&self, settings: &Value) -> Result<Vec<Ask>, Vec<Fault>> {
        let (mut asks, mut faults) = (Vec::new(), Vec::new());
        let written = self.required.iter().map(|ask| (true, ask)).chain(self.optional.iter().map(|ask| (false, ask)));
        for (required, ask) in written {
            match ask.expand(required, settings) {
                Ok(Some(ask)) => asks.push(ask),
                Ok(None) if !required => {}
                Ok(None) => {
                    faults.push(fault("settings", format!("`{}` refers to a setting that is not set", ask.template())))
                }
                Err(problem) => faults.push(fault("", problem)),
            }
        }
        faults.dedup();
        if faults.is_empty() { Ok(asks) } else { Err(faults) }
    }

    fn checked(self) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        if self.manifest_version != VERSION {
            faults.push(fault(
                "manifestVersion",
                format!("`{}` is not a version this program reads; write `{VERSION}`", self.manifest_version),
            ));
        }
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.name.is_empty() || self.name.len() > 64 || !self.name.bytes().all(plain) {
            faults
                .push(fault("name", format!("`{}` is not 1 to 64 lower-case letters, digits and hyphens", self.name)));
        }
        if !self.settings.is_object() {
            faults.push(fault("settings", "is not a JSON Schema object".to_owned()));
        }
        self.resources.wishes(&mut faults);
        judge_text("version", &self.version, &mut faults);
        judge_text("description", &self.description, &mut faults);
        for ask in self.required.iter().chain(&self.optional) {
            judge_text("reason", ask.reason(), &mut faults);
            judge_text("asks", ask.template(), &mut faults);
            // References are only resolved once there are settings; their form can be judged now.
            if let Err(problem) = ask.form() {
                faults.push(fault("asks", problem));
            }
        }
        if faults.is_empty() { Ok(self) } else { Err(faults) }
    }
}

impl WrittenAsk {
    fn reason(&self) -> &str {
        match self {
            Self::Http { reason, .. } | Self::Secret { reason, .. } | Self::Clock { reason, .. } => reason,
        }
    }

    fn template(&self) -> &str {
        match self {
            Self::Http { origin, .. } => origin,
            Self::Secret { name, .. } => name,
            Self::Clock { .. } => "clock",
        }
    }

    /// Judges the form of every template, without settings.
    fn form(&self) -> Result<(), String> {
        let nothing = Value::Object(serde_json::Map::new());
        if let Self::Http { methods, .. } = self {
            for method in methods {
                if let Some(expanded) = expand(method, &nothing)? {
                    expanded.text.parse::<Method>().map_err(|fault| fault.to_string())?;
                }
            }
        }
        let bare = match self.clone() {
            Self::Http { origin, reason, .. } => Self::Http { origin, methods: Vec::new(), reason },
            other => other,
        };
        bare.expand(false, &nothing).map(|_| ())
    }

    fn expand(&self, required: bool, settings: &Value) -> Result<Option<Ask>, String> {
        match self {
            Self::Http { origin, methods, reason } => {
                let Some(expanded) = expand(origin, settings)? else { return Ok(None) };
                let origin = match expanded.text.as_str() {
                    "*" => None,
                    text => Some(text.parse().map_err(|fault| format!("{fault}"))?),
                };
                let methods = expand_methods(methods, settings)?;
                let what = Wanted::Http { origin, methods };
                Ok(Some(Ask { required, what, reason: reason.clone(), from_settings: expanded.from_settings }))
            }
            Self::Secret { name, reason } => {
                let Some(expanded) = expand(name, settings)? else { return Ok(None) };
                if !is_secret_name(&expanded.text) {
                    return Err(format!("`{}` cannot name a secret; {SECRET_NAME}", expanded.text.escape_debug()));
                }
                let (what, from_settings) = (Wanted::Secret(expanded.text), expanded.from_settings);
                Ok(Some(Ask { required, what, reason: reason.clone(), from_settings }))
            }
            Self::Clock { max_sleep_ms, reason } => Ok(Some(Ask {
                required,
                what: Wanted::Clock(*max_sleep_ms),
                reason: reason.clone(),
                from_settings: false,
            })),
        }
    }
}

fn expand_methods(methods: &[String], settings: &Value) -> Result<Methods, String> {
    if methods.is_empty() {
        return Ok(Methods::ANY);
    }
    let mut set = Vec::new();
    for template in methods {
        if let Some(expanded) = expand(template, settings)? {
            set.push(expanded.text.parse::<Method>().map_err(|fault| fault.to_string())?);
        }
    }
    if set.is_empty() {
        return Err(format!(
            "`methods` = {methods:?} refers to settings that are not set; give one a default, as in `{{settings.method|GET}}`"
        ));
    }
    Ok(set.into_iter().collect())
}

/// Longest text of a manifest that people are shown, bytes.
const TEXT_BYTES_MAX: usize = 400;

/// A manifest's texts are a stranger's, and stand on the page where a person consents: plain words, of bounded length.
fn judge_text(key: &str, text: &str, faults: &mut Vec<Fault>) {
    let hides =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if text.len() > TEXT_BYTES_MAX {
        faults.push(fault(key, format!("is longer than {TEXT_BYTES_MAX} bytes")));
    }
    if let Some(c) = text.chars().find(|c| c.is_control() || hides(*c)) {
        faults.push(fault(key, format!("has the character `{}`, which could deceive a reader", c.escape_default())));
    }
}

fn fault(key: &str, problem: String) -> Fault {
    Fault { line: None, key: key.to_owned(), problem }
}

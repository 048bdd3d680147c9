//! Policies: the client's interface as it is written, and what it means.
//!
//! The same words serve a channel's `allow` and an organisation's ceiling, in JSON (camelCase) and TOML
//! (snake_case). A policy is an upper bound: it grants nothing by itself, it limits what a manifest may get. Unknown
//! keys are refused, because a misspelt permission must not be silently ignored.

use crate::address::Cidr;
use crate::fault::{Fault, json_fault, toml_fault};
use crate::host::{Origin, plain_port};
use crate::pattern::{HostPattern, HttpRule, Method, Methods, Ports};
use crate::quota::{Limits, MB};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// What a policy means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What HTTP may reach.
    pub http: Vec<HttpRule>,
    /// Explicit words for special-purpose addresses.
    pub special: Vec<AddressWord>,
    /// Time, if granted.
    pub clock: Option<Clock>,
    /// Which secrets may be used, by name, and where.
    pub secrets: BTreeMap<String, SecretUse>,
    /// Subtrees. No interface of this version reads files, so no grant holds one; the words are checked all the same.
    pub filesystem: Filesystem,
    /// Limits, where the policy sets them.
    pub limits: LimitWishes,
}

/// An explicit word for addresses that are refused otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressWord {
    /// Which addresses.
    pub block: Cidr,
    /// On which ports.
    pub ports: Ports,
    /// Which line says so.
    pub source: String,
}

/// What a run may do with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Clock {
    /// Longest single sleep, milliseconds.
    #[serde(alias = "max_sleep_ms")]
    pub max_sleep_ms: u32,
    /// Sleeps per run.
    #[serde(alias = "max_sleeps", default, skip_serializing_if = "Option::is_none")]
    pub max_sleeps: Option<u64>,
}

/// Where a secret may be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretUse {
    /// To these origins and no other.
    pub origins: Vec<Origin>,
    /// Whether it may cross the network unencrypted.
    pub in_clear: bool,
    /// Whether it may also go to the origins that the channel's settings name: what an operator means who gives a
    /// secret without a policy for it. No policy file can say this; there, an empty list is nothing.
    pub where_settings_point: bool,
}

/// Whether `name` can be a secret's: 1 to 64 letters, digits, `_`, `-` and `.`. It stands in lines that people paste
/// into a shell.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

pub(crate) const SECRET_NAME: &str = "a secret's name is 1 to 64 letters, digits, `_`, `-` and `.`";

/// Subtrees that may be mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filesystem {
    /// Absolute paths.
    pub paths: Vec<String>,
    /// Bytes per file.
    pub max_file_bytes: Option<u64>,
    /// Whether nothing may be written.
    pub read_only: bool,
}

impl Default for Filesystem {
    fn default() -> Self {
        Self { paths: Vec::new(), max_file_bytes: None, read_only: true }
    }
}

/// Limits as wished for, in the units of [`Limits`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in `Limits`")]
pub struct LimitWishes {
    pub memory_bytes: Option<u64>,
    pub cpu_ms: Option<u64>,
    pub wall_ms: Option<u64>,
    pub effect_ms: Option<u64>,
    pub requests: Option<u64>,
    pub connections: Option<u64>,
    pub bytes_in: Option<u64>,
    pub bytes_out: Option<u64>,
    pub sleeps: Option<u64>,
    pub log_bytes: Option<u64>,
    pub measurements: Option<u64>,
    pub denials: Option<u64>,
}

impl LimitWishes {
    /// These wishes where they are set, `base` where they are not.
    #[must_use]
    pub fn over(&self, base: &Limits) -> Limits {
        Limits {
            memory_bytes: self.memory_bytes.unwrap_or(base.memory_bytes),
            cpu_ms: self.cpu_ms.unwrap_or(base.cpu_ms),
            wall_ms: self.wall_ms.unwrap_or(base.wall_ms),
            effect_ms: self.effect_ms.unwrap_or(base.effect_ms),
            requests: self.requests.unwrap_or(base.requests),
            connections: self.connections.unwrap_or(base.connections),
            bytes_in: self.bytes_in.unwrap_or(base.bytes_in),
            bytes_out: self.bytes_out.unwrap_or(base.bytes_out),
            sleeps: self.sleeps.unwrap_or(base.sleeps),
            log_bytes: self.log_bytes.unwrap_or(base.log_bytes),
            measurements: self.measurements.unwrap_or(base.measurements),
            denials: self.denials.unwrap_or(base.denials),
        }
    }

    /// These wishes, and `other`'s where these are silent.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes.or(other.memory_bytes),
            cpu_ms: self.cpu_ms.or(other.cpu_ms),
            wall_ms: self.wall_ms.or(other.wall_ms),
            effect_ms: self.effect_ms.or(other.effect_ms),
            requests: self.requests.or(other.requests),
            connections: self.connections.or(other.connections),
            bytes_in: self.bytes_in.or(other.bytes_in),
            bytes_out: self.bytes_out.or(other.bytes_out),
            sleeps: self.sleeps.or(other.sleeps),
            log_bytes: self.log_bytes.or(other.log_bytes),
            measurements: self.measurements.or(other.measurements),
            denials: self.denials.or(other.denials),
        }
    }
}

impl Limits {
    /// The lesser of the two, dimension by dimension.
    #[must_use]
    pub fn least(&self, other: &Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes.min(other.memory_bytes),
            cpu_ms: self.cpu_ms.min(other.cpu_ms),
            wall_ms: self.wall_ms.min(other.wall_ms),
            effect_ms: self.effect_ms.min(other.effect_ms),
            requests: self.requests.min(other.requests),
            connections: self.connections.min(other.connections),
            bytes_in: self.bytes_in.min(other.bytes_in),
            bytes_out: self.bytes_out.min(other.bytes_out),
            sleeps: self.sleeps.min(other.sleeps),
            log_bytes: self.log_bytes.min(other.log_bytes),
            measurements: self.measurements.min(other.measurements),
            denials: self.denials.min(other.denials),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WrittenPolicy {
    #[serde(deserialize_with = "table")]
    network: WrittenNetwork,
    #[serde(deserialize_with = "table")]
    filesystem: WrittenFilesystem,
    #[serde(deserialize_with = "table")]
    resources: WrittenResources,
    clock: Option<Table<Clock>>,
    #[serde(deserialize_with = "distinct")]
    secrets: BTreeMap<String, WrittenSecret>,
}

/// A `T` written with its keys. Serde by itself also reads a bare list, by position: `[["example.org"], [443]]`.
pub(crate) struct Table<T>(T);

impl<T> Table<T> {
    pub(crate) fn content(self) -> T {
        self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Keys<T> {
            type Value = Table<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of keys and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Table<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Table)
            }
        }
        deserializer.deserialize_map(Keys(PhantomData))
    }
}

pub(crate) fn table<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Table::deserialize(deserializer).map(Table::content)
}

/// A map that no key stands in twice: serde by itself keeps the last.
fn distinct<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, WrittenSecret>, D::Error> {
    struct Distinct;
    impl<'de> Visitor<'de> for Distinct {
        type Value = BTreeMap<String, WrittenSecret>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table of keys and values")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = BTreeMap::new();
            while let Some(name) = map.next_key::<String>()? {
                if all.contains_key(&name) {
                    return Err(serde::de::Error::custom(format_args!("duplicate key `{name}`")));
                }
                all.insert(name, map.next_value().map(Table::content)?);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_map(Distinct)
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WrittenNetwork {
    #[serde(alias = "allowed_hosts")]
    allowed_hosts: Vec<String>,
    #[serde(alias = "allowed_ports")]
    allowed_ports: Vec<WrittenPorts>,
    #[serde(alias = "allowed_origins")]
    allowed_origins: Vec<WrittenOrigin>,
    #[serde(alias = "max_connections")]
    max_connections: Option<u64>,
    timeout: Option<u64>,
    #[serde(alias = "max_requests")]
    max_requests: Option<u64>,
    #[serde(alias = "max_bytes_in")]
    max_bytes_in: Option<u64>,
    #[serde(alias = "max_bytes_out")]
    max_bytes_out: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "allowedPorts: each is a port such as `443` or a range such as `\"8000-8099\"`")]
enum WrittenPorts {
    One(i64),
    Range(String),
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "allowedOrigins: each is `\"https://example.org\"`, or a table with the keys `origin` and `methods`"
)]
enum WrittenOrigin {
    Plain(String),
    Narrow(NarrowOrigin),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NarrowOrigin {
    origin: String,
    methods: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WrittenFilesystem {
    #[serde(alias = "allowed_paths")]
    allowed_paths: Vec<String>,
    #[serde(alias = "max_file_size")]
    max_file_size: Option<u64>,
    #[serde(alias = "read_only")]
    read_only: Option<bool>,
}

/// `resources` as written, in a policy and in a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct WrittenResources {
    #[serde(rename = "maxMemoryMB", alias = "max_memory_mb", skip_serializing_if = "Option::is_none")]
    max_memory_mb: Option<u64>,
    #[serde(alias = "max_cpu_time_ms", skip_serializing_if = "Option::is_none")]
    max_cpu_time_ms: Option<u64>,
    #[serde(alias = "max_wall_time_ms", skip_serializing_if = "Option::is_none")]
    max_wall_time_ms: Option<u64>,
    #[serde(alias = "max_log_bytes", skip_serializing_if = "Option::is_none")]
    max_log_bytes: Option<u64>,
    #[serde(alias = "max_measurements", skip_serializing_if = "Option::is_none")]
    max_measurements: Option<u64>,
    #[serde(alias = "max_denials", skip_serializing_if = "Option::is_none")]
    max_denials: Option<u64>,
}

impl WrittenResources {
    pub(crate) fn wishes(&self, faults: &mut Vec<Fault>) -> LimitWishes {
        let most = Limits::CEILING;
        let mut within =
            |key: &str, value: Option<u64>, most: u64| bounded(&format!("resources.{key}"), value, most, faults);
        LimitWishes {
            memory_bytes: within("maxMemoryMB", self.max_memory_mb, most.memory_bytes / MB)
                .map(|mb| mb.saturating_mul(MB)),
            cpu_ms: within("maxCpuTimeMs", self.max_cpu_time_ms, most.cpu_ms),
            wall_ms: within("maxWallTimeMs", self.max_wall_time_ms, most.wall_ms),
            log_bytes: within("maxLogBytes", self.max_log_bytes, most.log_bytes),
            measurements: within("maxMeasurements", self.max_measurements, most.measurements),
            denials: within("maxDenials", self.max_denials, most.denials),
            ..LimitWishes::default()
        }
    }
}

fn bounded(key: &str, value: Option<u64>, most: u64, faults: &mut Vec<Fault>) -> Option<u64> {
    if let Some(given) = value.filter(|given| *given > most) {
        faults.push(Fault {
            line: None,
            key: key.to_owned(),
            problem: format!("`{given}` is more than the most allowed, `{most}`"),
        });
    }
    value
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenSecret {
    #[serde(alias = "allowed_origins")]
    allowed_origins: Vec<String>,
    #[serde(alias = "allow_clear_text", default)]
    allow_clear_text: bool,
}

impl Policy {
    /// Reads a policy from JSON.
    ///
    /// # Errors
    /// Every fault found, with its line where that is known.
    pub fn from_json(text: &str) -> Result<Self, Vec<Fault>> {
        let written: WrittenPolicy =
            serde_json::from_str(text).map(Table::content).map_err(|error| vec![json_fault(&error)])?;
        written.mean(text)
    }

    /// Reads a policy from TOML.
    ///
    /// # Errors
    /// Every fault found, with its line where that is known.
    pub fn from_toml(text: &str) -> Result<Self, Vec<Fault>> {
        let written: WrittenPolicy =
            toml::from_str(text).map(Table::content).map_err(|error| vec![toml_fault(text, &error)])?;
        written.mean(text)
    }

    /// Reads one word of a command line: an origin (`https://example.org`), `host:port`, an address or block
    /// (`10.0.0.0/8`, any port), or `clock=MILLISECONDS`.
    ///
    /// # Errors
    /// What is wrong with the word, and the spellings that are understood.
    pub fn from_word(word: &str) -> Result<Self, String> {
        let source = format!("--allow {word}");
        if let Some(ms) = word.strip_prefix("clock=") {
            let plain = if ms.bytes().all(|b| b.is_ascii_digit()) { ms } else { "" };
            let max_sleep_ms =
                plain.parse().map_err(|_| format!("`{word}` needs a number of milliseconds, as in `clock=1000`"))?;
            return Ok(Self { clock: Some(Clock { max_sleep_ms, max_sleeps: None }), ..Self::default() });
        }
        if word.contains("://") {
            let origin: Origin = word.parse().map_err(|fault: crate::Misspelling| fault.to_string())?;
            let rule = HttpRule::origin(&origin, Methods::ANY, source);
            return Ok(Self {
                special: address_word(&rule).into_iter().collect(),
                http: vec![rule],
                ..Self::default()
            });
        }
        let (host, ports) = match word.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                let port = plain_port(port);
                (
                    host,
                    Ports::one(
                        port.ok_or_else(|| format!("`{word}` has a port that is not a number from 1 to 65535"))?,
                    ),
                )
            }
            _ => (word, Ports { low: 1, high: u16::MAX }),
        };
        let host: HostPattern = host.parse().map_err(|fault: crate::Misspelling| fault.to_string())?;
        if ports.low != ports.high && !matches!(host, HostPattern::Block(_)) {
            return Err(format!(
                "`{word}` is neither an origin such as `https://{word}`, nor `{word}:443`, nor an address"
            ));
        }
        let rule = HttpRule { scheme: None, host, ports, methods: Methods::ANY, source };
        Ok(Self { special: address_word(&rule).into_iter().collect(), http: vec![rule], ..Self::default() })
    }

    /// Whatever either allows. Limits of `self` come first.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.http.extend(other.http);
        self.special.extend(other.special);
        self.clock = match (self.clock, other.clock) {
            (Some(a), Some(b)) => Some(Clock {
                max_sleep_ms: a.max_sleep_ms.max(b.max_sleep_ms),
                max_sleeps: a.max_sleeps.or(b.max_sleeps),
            }),
            (a, b) => a.or(b),
        };
        for (name, usage) in other.secrets {
            let own = self.secrets.entry(name).or_default();
            own.origins.extend(usage.origins);
            own.in_clear |= usage.in_clear;
            own.where_settings_point |= usage.where_settings_point;
        }
        self.filesystem.paths.extend(other.filesystem.paths);
        self.filesystem.max_file_bytes = self.filesystem.max_file_bytes.or(other.filesystem.max_file_bytes);
        self.filesystem.read_only &= other.filesystem.read_only;
        self.limits = self.limits.or(&other.limits);
        self
    }
}

/// A rule for address literals is also the explicit word that special-purpose addresses need.
pub(crate) fn address_word(rule: &HttpRule) -> Option<AddressWord> {
    match rule.host {
        HostPattern::Block(block) => Some(AddressWord { block, ports: rule.ports, source: rule.source.clone() }),
        _ => None,
    }
}

impl WrittenPolicy {
    fn mean(self, text: &str) -> Result<Policy, Vec<Fault>> {
        let mut faults = Vec::new();
        let clock = self.clock.map(Table::content);
        let mut policy = Policy { clock, limits: self.resources.wishes(&mut faults), ..Policy::default() };
        self.network.mean(&mut policy, text, &mut faults);
        self.filesystem.mean(&mut policy, text, &mut faults);
        for (name, written) in self.secrets {
            let key = format!("secrets.{name}.allowedOrigins");
            let origins =
                written.allowed_origins.iter().filter_map(|origin| parse(origin, &key, text, &mut faults)).collect();
            if !is_secret_name(&name) {
                let problem = format!("`{}` cannot be a name; {SECRET_NAME}", name.escape_debug());
                faults.push(Fault { line: None, key: "secrets".to_owned(), problem });
            }
            let usage = SecretUse { origins, in_clear: written.allow_clear_text, where_settings_point: false };
            policy.secrets.insert(name, usage);
        }
        if faults.is_empty() { Ok(policy) } else { Err(faults) }
    }
}

impl WrittenNetwork {
    fn mean(self, policy: &mut Policy, text: &str, faults: &mut Vec<Fault>) {
        let hosts: Vec<(HostPattern, &String)> = self
            .allowed_hosts
            .iter()
            .filter_map(|host| Some((parse(host, "network.allowedHosts", text, faults)?, host)))
            .collect();
        let ports: Vec<Ports> = self.allowed_ports.iter().filter_map(|ports| ports.mean(text, faults)).collect();
        for (host, written) in &hosts {
            for range in &ports {
                let source = format!("network.allowedHosts `{written}` × allowedPorts `{range}`");
                let rule = HttpRule { scheme: None, host: host.clone(), ports: *range, methods: Methods::ANY, source };
                policy.special.extend(address_word(&rule));
                policy.http.push(rule);
            }
        }
        for origin in &self.allowed_origins {
            if let Some(rule) = origin.mean(text, faults) {
                policy.special.extend(address_word(&rule));
                policy.http.push(rule);
            }
        }
        let most = Limits::CEILING;
        let mut within =
            |key: &str, value: Option<u64>, most: u64| bounded(&format!("network.{key}"), value, most, faults);
        policy.limits.connections = within("maxConnections", self.max_connections, most.connections);
        policy.limits.effect_ms = within("timeout", self.timeout, most.effect_ms);
        policy.limits.requests = within("maxRequests", self.max_requests, most.requests);
        policy.limits.bytes_in = within("maxBytesIn", self.max_bytes_in, most.bytes_in);
        policy.limits.bytes_out = within("maxBytesOut", self.max_bytes_out, most.bytes_out);
        let sleeps = policy.clock.and_then(|clock| clock.max_sleeps);
        policy.limits.sleeps = bounded("clock.maxSleeps", sleeps, most.sleeps, faults);
    }
}

impl WrittenPorts {
    fn mean(&self, text: &str, faults: &mut Vec<Fault>) -> Option<Ports> {
        let port = |number: i64| u16::try_from(number).ok().filter(|port| *port > 0);
        let (shown, ports) = match self {
            Self::One(number) => (number.to_string(), port(*number).map(Ports::one)),
            Self::Range(written) => {
                let ends = written
                    .split_once('-')
                    .and_then(|(low, high)| Some(Ports { low: plain_port(low)?, high: plain_port(high)? }));
                (written.clone(), ends.filter(|ends| ends.low <= ends.high))
            }
        };
        if ports.is_none() {
            let problem = format!("`{shown}` is not a port from 1 to 65535, or a range such as `\"8000-8099\"`");
            faults.push(Fault { line: line_of(text, &shown), key: "network.allowedPorts".into(), problem });
        }
        ports
    }
}

impl WrittenOrigin {
    fn mean(&self, text: &str, faults: &mut Vec<Fault>) -> Option<HttpRule> {
        let key = "network.allowedOrigins";
        let (written, methods) = match self {
            Self::Plain(origin) => (origin, Some(Methods::ANY)),
            Self::Narrow(NarrowOrigin { origin, methods }) => {
                let parsed: Vec<Option<Method>> =
                    methods.iter().map(|method| parse(method, key, text, faults)).collect();
                (origin, parsed.into_iter().collect::<Option<Methods>>())
            }
        };
        let origin: Origin = parse(written, key, text, faults)?;
        Some(HttpRule::origin(&origin, methods?, format!("{key} `{written}`")))
    }
}

impl WrittenFilesystem {
    fn mean(self, policy: &mut Policy, text: &str, faults: &mut Vec<Fault>) {
        for path in &self.allowed_paths {
            let canonical = path.starts_with('/')
                && (path == "/" || !path.ends_with('/'))
                && path.split('/').skip(1).all(|part| path == "/" || !matches!(part, "" | "." | ".."))
                && !path.contains('\0');
            if !canonical {
                let problem =
                    format!("`{path}` is not an absolute path without `.`, `..`, doubled or trailing slashes");
                faults.push(Fault { line: line_of(text, path), key: "filesystem.allowedPaths".into(), problem });
            }
        }
        policy.filesystem = Filesystem {
            paths: self.allowed_paths,
            max_file_bytes: self.max_file_size,
            read_only: self.read_only.unwrap_or(true),
        };
    }
}

fn parse<T: std::str::FromStr<Err = crate::Misspelling>>(
    written: &str,
    key: &str,
    text: &str,
    faults: &mut Vec<Fault>,
) -> Option<T> {
    written
        .parse()
        .map_err(|misspelling: crate::Misspelling| {
            faults.push(Fault { line: line_of(text, written), key: key.to_owned(), problem: misspelling.to_string() });
        })
        .ok()
}

/// The line on which a value stands: good enough for a person, and exact where the value is not repeated.
fn line_of(text: &str, value: &str) -> Option<usize> {
    let quoted = format!("\"{value}\"");
    let inside = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
    let alone = |at: &usize| {
        let (before, after) = (text.get(..*at).unwrap_or_default(), text.get(at + value.len()..).unwrap_or_default());
        !before.ends_with(inside) && !after.starts_with(inside)
    };
    let bare = || text.match_indices(value).map(|(at, _)| at).find(alone);
    let at = text.find(&quoted).or_else(bare)?;
    Some(text.get(..at)?.matches('\n').count() + 1)
}

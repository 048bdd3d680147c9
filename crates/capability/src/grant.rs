//! Grants, and the negotiation that makes them.
//!
//! A grant is the meet of three: what the probe's manifest asks, what the organisation's ceiling permits, and what
//! the channel's operator allows. Only [`negotiate`] makes one, and afterwards it can only shrink.

use crate::fault::Fault;
use crate::host::Origin;
use crate::manifest::{Ask, Manifest, Wanted};
use crate::pattern::{HostPattern, HttpRule, Methods, Ports};
use crate::policy::{AddressWord, Clock, Policy, SecretUse, address_word};
use crate::quota::Limits;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// What one run may do. Made by [`negotiate`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub(crate) http: Vec<HttpRule>,
    pub(crate) special: Vec<AddressWord>,
    pub(crate) clock: Option<Clock>,
    pub(crate) secrets: BTreeMap<String, SecretUse>,
    pub(crate) limits: Limits,
}

impl Grant {
    /// The grant that allows nothing, with default limits.
    #[must_use]
    pub fn nothing() -> Self {
        Self { http: Vec::new(), special: Vec::new(), clock: None, secrets: BTreeMap::new(), limits: Limits::DEFAULT }
    }

    /// The limits of the run.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What it may do with time, if anything.
    #[must_use]
    pub fn clock(&self) -> Option<Clock> {
        self.clock
    }

    /// Names of the secrets that may be used.
    pub fn secret_names(&self) -> impl Iterator<Item = &str> {
        self.secrets.keys().map(String::as_str)
    }

    /// Every right, as a person would write it: kind and text.
    #[must_use]
    pub fn rules(&self) -> Vec<(String, String)> {
        let mut rules: Vec<_> = self.http.iter().map(|rule| ("http".to_owned(), rule.to_string())).collect();
        for (name, usage) in &self.secrets {
            let origins: Vec<_> = usage.origins.iter().map(ToString::to_string).collect();
            rules.push(("secret".to_owned(), format!("{name} to {}", origins.join(" "))));
        }
        if let Some(clock) = self.clock {
            rules.push(("clock".to_owned(), format!("sleep up to {} ms", clock.max_sleep_ms)));
        }
        rules
    }

    /// The grant that keeps, of HTTP, only what reaches `origins`. Never wider than `self`.
    #[must_use]
    pub fn narrowed(&self, origins: &[Origin]) -> Self {
        let mut http: Vec<HttpRule> = Vec::new();
        for rule in &self.http {
            for origin in origins {
                // The same origin twice is no second right: a guest that narrows in circles must not multiply them.
                let kept = rule.meet(&HttpRule::origin(origin, Methods::ANY, rule.source.clone()));
                http.extend(kept.filter(|kept| !http.contains(kept)));
            }
        }
        Self { http, ..self.clone() }
    }
}

/// The result of a negotiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// What the probe gets.
    pub grant: Grant,
    /// What it asked for as optional and does not get.
    pub dropped: Vec<Dropped>,
}

/// An optional wish that was not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// What.
    pub what: String,
    /// Why it was wanted.
    pub reason: String,
    /// Why it was dropped.
    pub why: String,
}

/// Something that a probe requires and may not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// What.
    pub what: String,
    /// Why it is wanted, in the author's words.
    pub reason: String,
    /// What stands in the way.
    pub why: String,
    /// The line to add.
    pub fix: String,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "requires {} (to {}): {}; {}", self.what, self.reason, self.why, self.fix)
    }
}

/// Why a probe cannot be run: every gap at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The settings do not say what the manifest refers to.
    Settings(Vec<Fault>),
    /// Required capabilities that are not allowed.
    Gaps(Vec<Gap>),
}

/// What may be done on a channel: the meet of what `manifest` asks with these `settings`, of `ceiling` where there is
/// one, and of `allow`, to which is added what the operator's own settings name.
///
/// # Errors
/// A refusal that lists all gaps.
pub fn negotiate(
    manifest: &Manifest,
    settings: &Value,
    ceiling: Option<&Policy>,
    allow: &Policy,
) -> Result<Negotiated, Refusal> {
    let asks = manifest.asks(settings).map_err(Refusal::Settings)?;
    let allow = implied(&asks, allow).join(allow.clone());
    let bounds = Bounds { ceiling, allow: &allow };
    let mut grant = Grant { special: bounds.special(), limits: bounds.limits(manifest), ..Grant::nothing() };
    let (mut gaps, mut dropped) = (Vec::new(), Vec::new());
    for ask in &asks {
        match bounds.admit(ask, &mut grant) {
            Ok(()) => {}
            Err((why, fix)) if ask.required => {
                gaps.push(Gap { what: ask.what.to_string(), reason: ask.reason.clone(), why, fix });
            }
            Err((why, _)) => dropped.push(Dropped { what: ask.what.to_string(), reason: ask.reason.clone(), why }),
        }
    }
    if gaps.is_empty() { Ok(Negotiated { grant, dropped }) } else { Err(Refusal::Gaps(gaps)) }
}

/// What the operator's settings themselves allow: the origins that they name. A secret that `allow` mentions without
/// origins may go to these.
fn implied(asks: &[Ask], allow: &Policy) -> Policy {
    let mut policy = Policy::default();
    for ask in asks.iter().filter(|ask| ask.from_settings) {
        if let Wanted::Http { origin: Some(origin), methods } = &ask.what {
            let rule = HttpRule::origin(origin, *methods, "settings");
            policy.special.extend(address_word(&rule));
            policy.http.push(rule);
        }
    }
    let origins: Vec<Origin> = asks
        .iter()
        .filter(|ask| ask.from_settings)
        .filter_map(|ask| match &ask.what {
            Wanted::Http { origin, .. } => origin.clone(),
            _ => None,
        })
        .collect();
    for (name, usage) in &allow.secrets {
        if usage.where_settings_point {
            let usage = SecretUse { origins: origins.clone(), ..SecretUse::default() };
            policy.secrets.insert(name.clone(), usage);
        }
    }
    policy
}

/// The two parents of a grant besides the manifest.
struct Bounds<'a> {
    ceiling: Option<&'a Policy>,
    allow: &'a Policy,
}

impl Bounds<'_> {
    fn admit(&self, ask: &Ask, grant: &mut Grant) -> Result<(), (String, String)> {
        match &ask.what {
            Wanted::Http { origin, methods } => {
                let rules = match origin {
                    Some(origin) => self.http(origin, *methods)?,
                    None => self.whatever_is_allowed(*methods),
                };
                grant.http.extend(rules.into_iter().filter(|rule| !grant.http.contains(rule)).collect::<Vec<_>>());
            }
            Wanted::Secret(name) => {
                let usage = self.secret(name)?;
                grant.secrets.insert(name.clone(), usage);
            }
            Wanted::Clock(max_sleep_ms) => grant.clock = Some(self.clock(*max_sleep_ms)?),
        }
        Ok(())
    }

    fn http(&self, origin: &Origin, methods: Methods) -> Result<Vec<HttpRule>, (String, String)> {
        let asked = HttpRule::origin(origin, methods, "manifest");
        let allowed = meet_all(std::slice::from_ref(&asked), &self.allow.http);
        let fix = format!("allow it with `--allow {origin}` or network.allowedOrigins = [\"{origin}\"]");
        if !covers(&allowed, methods) {
            return Err(("`allow` has no rule for it".to_owned(), fix));
        }
        let Some(ceiling) = self.ceiling else { return Ok(allowed) };
        let within = meet_all(&allowed, &ceiling.http);
        if covers(&within, methods) {
            Ok(within)
        } else {
            Err((
                "the ceiling does not permit it".to_owned(),
                format!("ask whoever keeps the ceiling for network.allowedOrigins = [\"{origin}\"]"),
            ))
        }
    }

    /// Every destination that the operator allows: for a probe that cannot know beforehand where it is sent, as one
    /// that follows redirects. It is bounded by `allow` and the ceiling like everything else.
    fn whatever_is_allowed(&self, methods: Methods) -> Vec<HttpRule> {
        let asked = HttpRule {
            scheme: None,
            host: HostPattern::Any,
            ports: Ports { low: 1, high: u16::MAX },
            methods,
            source: "manifest".to_owned(),
        };
        let allowed = meet_all(&[asked], &self.allow.http);
        match self.ceiling {
            Some(ceiling) => meet_all(&allowed, &ceiling.http),
            None => allowed,
        }
    }

    fn secret(&self, name: &str) -> Result<SecretUse, (String, String)> {
        let missing = |whose: &str, fix: String| Err((format!("{whose} does not name the secret `{name}`"), fix));
        let Some(allowed) = self.allow.secrets.get(name) else {
            return missing("`allow`", format!("give it with `--secret {name}=env:VARIABLE`"));
        };
        let Some(ceiling) = self.ceiling else { return Ok(allowed.clone()) };
        let Some(most) = ceiling.secrets.get(name) else {
            return missing("the ceiling", format!("ask whoever keeps the ceiling for secrets.{name}"));
        };
        let origins = allowed.origins.iter().filter(|origin| most.origins.contains(origin)).cloned().collect();
        Ok(SecretUse { origins, in_clear: allowed.in_clear && most.in_clear, where_settings_point: false })
    }

    fn clock(&self, asked_ms: u32) -> Result<Clock, (String, String)> {
        let Some(allowed) = self.allow.clock else {
            return Err((
                "`allow` does not grant the clock".to_owned(),
                format!("allow it with `--allow clock={asked_ms}`"),
            ));
        };
        let mut clock = Clock { max_sleep_ms: asked_ms.min(allowed.max_sleep_ms), max_sleeps: allowed.max_sleeps };
        if let Some(ceiling) = self.ceiling {
            let Some(most) = ceiling.clock else {
                return Err((
                    "the ceiling does not permit the clock".to_owned(),
                    "ask whoever keeps the ceiling for clock".to_owned(),
                ));
            };
            clock.max_sleep_ms = clock.max_sleep_ms.min(most.max_sleep_ms);
            clock.max_sleeps = clock.max_sleeps.into_iter().chain(most.max_sleeps).min();
        }
        Ok(clock)
    }

    /// Special-purpose addresses: what `allow` names, as far as the ceiling does too.
    fn special(&self) -> Vec<AddressWord> {
        let Some(ceiling) = self.ceiling else { return self.allow.special.clone() };
        let meet = |a: &AddressWord, b: &AddressWord| {
            let block = a.block.meet_special(&b.block)?;
            Some(AddressWord { block, ports: a.ports.meet(b.ports)?, source: format!("{} ∧ {}", a.source, b.source) })
        };
        self.allow.special.iter().flat_map(|a| ceiling.special.iter().filter_map(move |b| meet(a, b))).collect()
    }

    /// The least of what the probe wants, what the channel allows and what the ceiling permits. Where the channel is
    /// silent the default is its word, so no manifest can raise a limit by itself.
    fn limits(&self, manifest: &Manifest) -> Limits {
        let allowed = self.allow.limits.over(&Limits::DEFAULT);
        let wanted = manifest.limits().over(&allowed);
        let most = self.ceiling.map_or(Limits::CEILING, |ceiling| ceiling.limits.over(&Limits::CEILING));
        allowed.least(&wanted).least(&most).least(&Limits::CEILING)
    }
}

fn meet_all(left: &[HttpRule], right: &[HttpRule]) -> Vec<HttpRule> {
    left.iter().flat_map(|a| right.iter().filter_map(move |b| a.meet(b))).collect()
}

fn covers(rules: &[HttpRule], methods: Methods) -> bool {
    let together = rules.iter().fold(Methods::from_iter([]), |sum, rule| sum.join(rule.methods));
    together.covers(methods)
}

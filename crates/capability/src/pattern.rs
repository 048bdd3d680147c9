//! Patterns and rules: what a line of a policy covers, and what two lines cover together.
//!
//! Every pattern is a prefix of something (labels from the right, address bits from the left), so the meet of two is
//! again one pattern or nothing, and it is exact: it matches what both match.

use crate::address::Cidr;
use crate::host::{Host, Misspelling, Name, Origin, Scheme, settle};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which hosts a rule covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Every host, `*`. It has to be spelled; no absent or empty list ever means it.
    Any,
    /// One name.
    Exact(Name),
    /// Every name below this one, `*.example.org`; not the bare domain.
    Below(Name),
    /// Address literals in a block.
    Block(Cidr),
}

impl HostPattern {
    /// Whether `host`, as asked for, is covered. A name is never covered by a block, whatever it resolves to.
    #[must_use]
    pub fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Exact(name), Host::Name(asked)) => name == asked,
            (Self::Below(parent), Host::Name(asked)) => asked.is_below(parent),
            (Self::Block(block), Host::Address(address)) => block.contains(*address),
            _ => false,
        }
    }

    /// What both cover.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Any, pattern) | (pattern, Self::Any) => Some(pattern.clone()),
            (Self::Block(a), Self::Block(b)) => a.meet(b).map(Self::Block),
            (Self::Exact(a), Self::Exact(b)) => (a == b).then(|| self.clone()),
            (Self::Exact(name), Self::Below(parent)) | (Self::Below(parent), Self::Exact(name)) => {
                name.is_below(parent).then(|| Self::Exact(name.clone()))
            }
            (Self::Below(a), Self::Below(b)) if a == b || a.is_below(b) => Some(self.clone()),
            (Self::Below(a), Self::Below(b)) if b.is_below(a) => Some(other.clone()),
            _ => None,
        }
    }
}

impl From<Host> for HostPattern {
    fn from(host: Host) -> Self {
        match host {
            Host::Name(name) => Self::Exact(name),
            Host::Address(address) => Self::Block(Cidr::host(address)),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => name.fmt(f),
            Self::Below(parent) => write!(f, "*.{parent}"),
            Self::Block(block) if block.is_host() => Host::Address(block.first()).fmt(f),
            Self::Block(block) => block.fmt(f),
        }
    }
}

impl FromStr for HostPattern {
    type Err = Misspelling;

    fn from_str(text: &str) -> Result<Self, Misspelling> {
        settle(text, parse_pattern)
    }
}

fn parse_pattern(text: &str) -> Result<HostPattern, Misspelling> {
    let misspelt = |problem, suggestion| Err(Misspelling { text: text.to_owned(), problem, suggestion });
    if text == "*" {
        return Ok(HostPattern::Any);
    }
    if let Some(parent) = text.strip_prefix("*.") {
        let whole = |fault: Misspelling| Misspelling {
            suggestion: fault.suggestion.map(|parent| format!("*.{parent}")),
            problem: fault.problem,
            text: text.to_owned(),
        };
        return match parent.parse().map_err(whole)? {
            Host::Name(name) => Ok(HostPattern::Below(name)),
            Host::Address(_) => misspelt("has a wildcard before an address; write a block such as `10.0.0.0/8`", None),
        };
    }
    if text.contains('*') {
        return misspelt("has a `*` that is not a whole first label; write `*.example.org`", None);
    }
    if text.contains("://") {
        let meant = text.parse::<Origin>().ok().map(|origin| origin.host.to_string());
        return misspelt("is an origin where a host is meant; origins go into `allowed_origins`", meant);
    }
    if text.contains('/') {
        return match text.parse() {
            Ok(block) => Ok(HostPattern::Block(block)),
            Err(crate::address::CidrError::HostBits(_, meant)) => misspelt("has bits set past its prefix", Some(meant)),
            Err(crate::address::CidrError::Undialable(..)) => misspelt("is a range that can never be granted", None),
            Err(crate::address::CidrError::Syntax(_)) => misspelt("is not an address block such as `10.0.0.0/8`", None),
        };
    }
    if let Some((host, port)) = text.rsplit_once(':').filter(|(host, _)| !host.contains(':')) {
        let meant = host.parse::<Host>().is_ok() && port.parse::<u16>().is_ok();
        return misspelt("has a port; ports go into `allowed_ports`", meant.then(|| host.to_owned()));
    }
    let bracketed = format!("[{text}]");
    let host: Host = if text.contains(':') && !text.starts_with('[') { bracketed.parse()? } else { text.parse()? };
    match host {
        Host::Address(address) if matches!(crate::address::range(address), crate::address::Range::Undialable(_)) => {
            misspelt("is an address that can never be granted", None)
        }
        host => Ok(host.into()),
    }
}

/// A range of ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ports {
    /// Lowest.
    pub low: u16,
    /// Highest, at least `low`.
    pub high: u16,
}

impl Ports {
    /// One port.
    #[must_use]
    pub fn one(port: u16) -> Self {
        Self { low: port, high: port }
    }

    /// Whether `port` is in the range.
    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        self.low <= port && port <= self.high
    }

    /// The ports in both.
    #[must_use]
    pub fn meet(self, other: Self) -> Option<Self> {
        let both = Self { low: self.low.max(other.low), high: self.high.min(other.high) };
        (both.low <= both.high).then_some(both)
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low == self.high { write!(f, "{}", self.low) } else { write!(f, "{}-{}", self.low, self.high) }
    }
}

/// An HTTP method that may be sent. `CONNECT` and `TRACE` are not among them: the one makes a tunnel, the other
/// echoes credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "RFC 9110 §9.3 and RFC 5789 name them")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete, Self::Options];

    /// As on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Method {
    type Err = Misspelling;

    fn from_str(text: &str) -> Result<Self, Misspelling> {
        let found = Self::ALL.into_iter().find(|m| m.as_str() == text);
        found.ok_or_else(|| {
            let meant = Self::ALL.into_iter().find(|m| m.as_str().eq_ignore_ascii_case(text));
            let problem = match meant {
                Some(_) => "is a method that is not upper case",
                None => "is not one of the methods GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
            };
            Misspelling { text: text.to_owned(), problem, suggestion: meant.map(|m| m.to_string()) }
        })
    }
}

/// A set of methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Methods(u8);

impl Methods {
    /// Every method.
    pub const ANY: Self = Self(0b0111_1111);

    /// The methods in both.
    #[must_use]
    pub fn meet(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The methods in either.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `method` is in the set.
    #[must_use]
    pub fn contains(self, method: Method) -> bool {
        self.0 & (1 << method as u8) != 0
    }

    /// Whether every method of `other` is in the set.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Method> for Methods {
    fn from_iter<I: IntoIterator<Item = Method>>(methods: I) -> Self {
        Self(methods.into_iter().fold(0, |set, method| set | 1 << method as u8))
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ANY {
            return f.write_str("any method");
        }
        let names: Vec<_> = Method::ALL.into_iter().filter(|m| self.contains(*m)).map(Method::as_str).collect();
        f.write_str(&names.join(" "))
    }
}

/// What one line of a policy lets HTTP do. Of `scheme`, `None` means both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRule {
    /// Which scheme; both where `None`.
    pub scheme: Option<Scheme>,
    /// Which hosts.
    pub host: HostPattern,
    /// Which ports.
    pub ports: Ports,
    /// Which methods.
    pub methods: Methods,
    /// Which lines say so, for people.
    pub source: String,
}

impl HttpRule {
    /// The rule that covers exactly one origin.
    #[must_use]
    pub fn origin(origin: &Origin, methods: Methods, source: impl Into<String>) -> Self {
        Self {
            scheme: Some(origin.scheme),
            host: origin.host.clone().into(),
            ports: Ports::one(origin.port),
            methods,
            source: source.into(),
        }
    }

    /// Whether `method` on `origin` is covered.
    #[must_use]
    pub fn matches(&self, origin: &Origin, method: Method) -> bool {
        self.scheme.is_none_or(|scheme| scheme == origin.scheme)
            && self.ports.contains(origin.port)
            && self.methods.contains(method)
            && self.host.matches(&origin.host)
    }

    /// What both cover, with both sources named.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let scheme = match (self.scheme, other.scheme) {
            (Some(a), Some(b)) if a != b => return None,
            (a, b) => a.or(b),
        };
        let methods = Some(self.methods.meet(other.methods)).filter(|methods| !methods.is_empty())?;
        let source = if self.source == other.source {
            self.source.clone()
        } else {
            format!("{} ∧ {}", self.source, other.source)
        };
        Some(Self { scheme, host: self.host.meet(&other.host)?, ports: self.ports.meet(other.ports)?, methods, source })
    }
}

impl fmt::Display for HttpRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Some(scheme) => write!(f, "{scheme}://")?,
            None => f.write_str("*://")?,
        }
        write!(f, "{}:{} {}", self.host, self.ports, self.methods)
    }
}

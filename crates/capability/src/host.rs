//! Hosts, origins and URLs, in one spelling only.
//!
//! Parsers disagree: `http://0x7f.1/`, `http://good@evil/` and `http://①.example/` name different machines to
//! different libraries, and whoever checks with one and dials with another has checked nothing. So exactly one
//! spelling is accepted, everything else is refused with the spelling that was probably meant, and what this module
//! parsed is what is dialled.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A text that is not in its one accepted spelling.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` {problem}{}", shorten(.text), hint(.suggestion.as_deref()))]
pub struct Misspelling {
    /// What was written.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
    /// The accepted spelling, where it can be guessed.
    pub suggestion: Option<String>,
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map(|s| format!("; write `{s}`")).unwrap_or_default()
}

fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().count() > 80 {
        shown.push('…');
    }
    shown
}

fn misspelt<T>(text: &str, problem: &'static str, suggestion: Option<String>) -> Result<T, Misspelling> {
    Err(Misspelling { text: text.to_owned(), problem, suggestion })
}

/// What `parse` makes of `text`; a suggestion is kept only once it is itself accepted, after a few more corrections
/// where it needs them.
pub(crate) fn settle<T>(text: &str, parse: impl Fn(&str) -> Result<T, Misspelling>) -> Result<T, Misspelling> {
    parse(text).map_err(|mut fault| {
        for _ in 0..8 {
            match fault.suggestion.as_deref().map(&parse) {
                Some(Err(next)) => fault.suggestion = next.suggestion,
                _ => return fault,
            }
        }
        Misspelling { suggestion: None, ..fault }
    })
}

/// The scheme of a URL that `http` serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Unencrypted.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// The port that is meant where none is written.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// A DNS name: lower-case ASCII labels without a trailing dot, never mistakable for an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this name lies below `parent`, compared by whole labels; a name does not lie below itself.
    #[must_use]
    pub fn is_below(&self, parent: &Self) -> bool {
        self.0.strip_suffix(parent.as_str()).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who is asked for: a name or an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// To be looked up.
    Name(Name),
    /// To be dialled as it stands.
    Address(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl FromStr for Host {
    type Err = Misspelling;

    /// Parses the host of a URL: IPv6 stands in brackets.
    fn from_str(text: &str) -> Result<Self, Misspelling> {
        settle(text, parse_host)
    }
}

fn parse_host(text: &str) -> Result<Host, Misspelling> {
    if text.is_empty() {
        return misspelt(text, "has no host", None);
    }
    if let Some(inner) = text.strip_prefix('[') {
        return parse_v6(text, inner.strip_suffix(']'));
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return misspelt(text, "is an IPv6 address without brackets", Some(format!("[{text}]")));
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(IpAddr::V4(address)));
    }
    if let Some(address) = loose_v4(text) {
        return misspelt(text, "is an IPv4 address in a spelling that is not accepted", Some(address.to_string()));
    }
    parse_name(text).map(|name| Host::Name(Name(name)))
}

fn parse_v6(text: &str, inner: Option<&str>) -> Result<Host, Misspelling> {
    let Some(inner) = inner else { return misspelt(text, "lacks a closing bracket", None) };
    if let Some((address, _)) = inner.split_once('%') {
        return misspelt(text, "has a zone identifier, which is not accepted", Some(format!("[{address}]")));
    }
    let Ok(address) = inner.parse::<Ipv6Addr>() else {
        return misspelt(text, "is not an IPv6 address", None);
    };
    if let Some(v4) = address.to_ipv4_mapped() {
        return misspelt(text, "is an IPv4 address in IPv6 clothing", Some(v4.to_string()));
    }
    if address.to_string() != inner {
        return misspelt(text, "is not in RFC 5952 form", Some(format!("[{address}]")));
    }
    Ok(Host::Address(IpAddr::V6(address)))
}

fn parse_name(text: &str) -> Result<String, Misspelling> {
    if !text.is_ascii() {
        return misspelt(text, "is not ASCII; write an internationalised name in its `xn--` form", None);
    }
    if text.contains('%') {
        return misspelt(text, "has a percent-escape in its host", None);
    }
    let lower = text.to_ascii_lowercase();
    if lower != text {
        return misspelt(text, "is not lower case", Some(lower));
    }
    if let Some(bare) = text.strip_suffix('.') {
        return misspelt(text, "ends in a dot", Some(bare.to_owned()).filter(|b| !b.is_empty()));
    }
    if text.len() > 253 {
        return misspelt(text, "is longer than 253 characters", None);
    }
    for label in text.split('.') {
        check_label(text, label)?;
    }
    let last = text.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) || is_hex_number(last) {
        return misspelt(text, "ends in a number, so some programs read it as an address", None);
    }
    Ok(lower)
}

fn check_label(text: &str, label: &str) -> Result<(), Misspelling> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if label.is_empty() {
        return misspelt(text, "has an empty label", None);
    }
    if label.len() > 63 {
        return misspelt(text, "has a label longer than 63 characters", None);
    }
    if !label.bytes().all(allowed) {
        return misspelt(text, "has a character that no host name has", None);
    }
    if label.starts_with('-') || label.ends_with('-') {
        return misspelt(text, "has a label that begins or ends with a hyphen", None);
    }
    Ok(())
}

fn is_hex_number(label: &str) -> bool {
    label.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The address that `inet_aton(3)` reads in `text`: one to four parts, decimal, octal or hexadecimal.
fn loose_v4(text: &str) -> Option<Ipv4Addr> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let parts: Vec<u32> = text.split('.').map(loose_number).collect::<Option<_>>()?;
    let (last, heads) = parts.split_last()?;
    if heads.len() > 3 || heads.iter().any(|part| *part > 255) {
        return None;
    }
    let room = 32 - 8 * u32::try_from(heads.len()).ok()?;
    if room < 32 && *last >> room != 0 {
        return None;
    }
    let high = heads.iter().fold(0_u32, |sum, part| (sum << 8) | part);
    Some(Ipv4Addr::from_bits(high.checked_shl(room).unwrap_or(0) | last))
}

fn loose_number(part: &str) -> Option<u32> {
    let lower = part.to_ascii_lowercase();
    match lower.strip_prefix("0x") {
        Some("") => Some(0),
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None if lower.len() > 1 && lower.starts_with('0') => u32::from_str_radix(&lower, 8).ok(),
        None if lower.bytes().all(|b| b.is_ascii_digit()) => lower.parse().ok(),
        None => None,
    }
}

/// Scheme, host and port: what a decision about HTTP is about (RFC 6454).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// How.
    pub scheme: Scheme,
    /// Who.
    pub host: Host,
    /// Which port, 1 to 65535.
    pub port: u16,
}

impl fmt::Display for Origin {
    /// The port is left out where the scheme implies it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

impl FromStr for Origin {
    type Err = Misspelling;

    fn from_str(text: &str) -> Result<Self, Misspelling> {
        settle(text, parse_origin)
    }
}

fn parse_origin(text: &str) -> Result<Origin, Misspelling> {
    let url = parse_url(text)?;
    if url.target != "/" || text.ends_with('/') {
        return misspelt(text, "has a path; an origin is scheme, host and port", Some(url.origin.to_string()));
    }
    Ok(url.origin)
}

/// An absolute URL: an origin and what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    /// Where to.
    pub origin: Origin,
    /// Path and query; begins with `/`.
    pub target: String,
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.target)
    }
}

/// Longest URL that is looked at, in bytes (RFC 9110 §4.1 asks for at least 8,000).
pub const URL_BYTES_MAX: usize = 8192;

impl FromStr for Url {
    type Err = Misspelling;

    fn from_str(text: &str) -> Result<Self, Misspelling> {
        settle(text, parse_url)
    }
}

fn parse_url(text: &str) -> Result<Url, Misspelling> {
    if text.len() > URL_BYTES_MAX {
        return misspelt(text, "is longer than 8,192 bytes", None);
    }
    if let Some(c) = text.chars().find(|c| c.is_control() || c.is_whitespace() || *c == '\\') {
        let problem = if c == '\\' { "has a backslash" } else { "has a blank or control character" };
        return misspelt(text, problem, None);
    }
    let (scheme, rest) = split_scheme(text)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    if let Some((_, host)) = authority.rsplit_once('@') {
        let meant = format!("{scheme}://{host}{target}");
        return misspelt(text, "has user information; give credentials as a secret", Some(meant));
    }
    if let Some((before, _)) = target.split_once('#') {
        return misspelt(text, "has a fragment", Some(format!("{scheme}://{authority}{before}")));
    }
    let origin = parse_authority(text, scheme, authority)?;
    Ok(Url { origin, target: parse_target(text, target)? })
}

fn split_scheme(text: &str) -> Result<(Scheme, &str), Misspelling> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return misspelt(text, "is not an absolute URL", Some(format!("https://{text}")));
    };
    match scheme {
        "http" => Ok((Scheme::Http, rest)),
        "https" => Ok((Scheme::Https, rest)),
        _ if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") => {
            let meant = format!("{}://{rest}", scheme.to_ascii_lowercase());
            misspelt(text, "has a scheme that is not lower case", Some(meant))
        }
        _ => misspelt(text, "has a scheme other than `http` and `https`", None),
    }
}

fn parse_authority(text: &str, scheme: Scheme, authority: &str) -> Result<Origin, Misspelling> {
    let unclosed = authority.starts_with('[') && !authority.contains(']');
    let bare_v6 = unclosed || authority.parse::<Ipv6Addr>().is_ok();
    let after_bracket = if bare_v6 { authority.len() } else { authority.rfind(']').map_or(0, |i| i + 1) };
    let (host, port) = match authority.get(after_bracket..).and_then(|tail| tail.split_once(':')) {
        Some((tail, port)) => (authority.get(..after_bracket + tail.len()).unwrap_or_default(), Some(port)),
        None => (authority, None),
    };
    let port = match port {
        None => scheme.default_port(),
        Some("") => return misspelt(text, "has a colon but no port", None),
        Some(digits) => match plain_port(digits) {
            Some(port) => port,
            None => return misspelt(text, "has a port that is not a number from 1 to 65535", None),
        },
    };
    let in_whole = |fault: Misspelling| Misspelling {
        suggestion: fault.suggestion.map(|host_meant| text.replacen(host, &host_meant, 1)),
        problem: fault.problem,
        text: text.to_owned(),
    };
    let host = host.parse().map_err(in_whole)?;
    Ok(Origin { scheme, host, port })
}

/// A port in its one spelling: 1 to 65535 without sign or leading zero.
pub(crate) fn plain_port(digits: &str) -> Option<u16> {
    digits.parse::<u16>().ok().filter(|port| *port > 0 && port.to_string() == digits)
}

/// RFC 3986 path and query characters, and the brackets and bars that people leave unescaped in queries.
fn parse_target(text: &str, target: &str) -> Result<String, Misspelling> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%[]|".contains(&b);
    if !target.bytes().all(allowed) {
        return misspelt(text, "has a character in its path that must be percent-encoded", None);
    }
    let mut rest = target;
    while let Some((_, tail)) = rest.split_once('%') {
        if tail.len() < 2 || !tail.bytes().take(2).all(|b| b.is_ascii_hexdigit()) {
            return misspelt(text, "has a `%` that is not followed by two hexadecimal digits", None);
        }
        rest = tail;
    }
    Ok(if target.starts_with('/') { target.to_owned() } else { format!("/{target}") })
}

macro_rules! serde_as_text {
    ($($type:ty),*) => { $(
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )* };
}
serde_as_text!(Host, Origin, Url);

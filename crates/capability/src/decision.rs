//! The decision: may this run send this request?
//!
//! Pure: a grant and a request in, an [`Allowed`] or a [`Denial`] with its reasons out. It is taken twice for every
//! connection, on what was asked for and then on every address that the name resolved to.

use crate::address::{Range, range};
use crate::grant::Grant;
use crate::host::{Origin, Scheme, Url};
use crate::message::{Credential, Denial, DenialReason, HttpRequest};
use crate::pattern::{HttpRule, Method};
use crate::policy::{SECRET_NAME, is_secret_name};
use std::net::IpAddr;

/// A request that the rules allow, in checked form. It is not a permit: the gate makes those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// What to do.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// The rule that allowed it.
    pub rule: String,
}

/// Header fields of one request.
pub const HEADERS_MAX: usize = 100;

/// What stands as the rule where no rule matched.
pub const DEFAULT_DENY: &str = "default deny";

/// Decides on an HTTP request.
///
/// # Errors
/// The denial, with its reason and the line to add.
pub fn decide(grant: &Grant, request: &HttpRequest) -> Result<Allowed, Denial> {
    let allowed = decide_target(grant, &request.method, &request.url)?;
    if request.headers.len() > HEADERS_MAX {
        return Err(Denial {
            reason: DenialReason::Spelling,
            request: format!("{} {} with {} header fields", allowed.method, allowed.url.origin, request.headers.len()),
            rule: format!("a request has at most {HEADERS_MAX} header fields"),
            fix: "send fewer header fields".to_owned(),
        });
    }
    for (name, _) in &request.headers {
        judge_header(name, &allowed)?;
    }
    if let Some(credential) = &request.credential {
        judge_credential(grant, credential, &allowed)?;
    }
    Ok(allowed)
}

/// Decides on a method and a URL alone.
///
/// # Errors
/// The denial, with its reason and the line to add.
pub fn decide_target(grant: &Grant, method: &str, url: &str) -> Result<Allowed, Denial> {
    let misspelt = |fault: crate::Misspelling| Denial {
        reason: DenialReason::Spelling,
        request: format!("{} {}", shorten(method), shorten(url)),
        rule: fault.problem.to_owned(),
        fix: fault
            .suggestion
            .map_or_else(|| "write it in its canonical form".to_owned(), |meant| format!("write `{meant}`")),
    };
    let parsed: Url = url.parse().map_err(misspelt)?;
    let method: Method = method.parse().map_err(misspelt)?;
    match grant.http.iter().find(|rule| rule.matches(&parsed.origin, method)) {
        Some(rule) => Ok(Allowed { method, rule: rule.source.clone(), url: parsed }),
        None => Err(no_rule(grant, &parsed.origin, method)),
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(200).flat_map(char::escape_debug).collect()
}

/// The denial for a request that no rule covers: the reason is how far the nearest rule got.
fn no_rule(grant: &Grant, origin: &Origin, method: Method) -> Denial {
    let host = |rule: &&HttpRule| rule.host.matches(&origin.host);
    let port = |rule: &&HttpRule| rule.ports.contains(origin.port);
    let scheme = |rule: &&HttpRule| rule.scheme.is_none_or(|scheme| scheme == origin.scheme);
    let rules = || grant.http.iter();
    let nearest = |found: Option<&HttpRule>| {
        found.map_or(DEFAULT_DENY.to_owned(), |rule| format!("{DEFAULT_DENY}; nearest rule: {rule}"))
    };
    let (reason, rule) = if let Some(rule) = rules().filter(host).filter(port).find(scheme) {
        (DenialReason::MethodNotGranted, nearest(Some(rule)))
    } else if let Some(rule) = rules().filter(host).find(port) {
        (DenialReason::SchemeNotGranted, nearest(Some(rule)))
    } else if let Some(rule) = rules().find(host) {
        (DenialReason::PortNotGranted, nearest(Some(rule)))
    } else if grant.http.is_empty() {
        (DenialReason::CapabilityNotGranted, DEFAULT_DENY.to_owned())
    } else {
        (DenialReason::HostNotGranted, DEFAULT_DENY.to_owned())
    };
    let fix = format!("--allow {origin}   (or in a policy: network.allowedOrigins = [\"{origin}\"])");
    Denial { reason, request: format!("{method} {origin}"), rule, fix }
}

/// Fields that only the host may set: framing, routing, hop-by-hop (RFC 9110 §7.6.1, RFC 9112 §6), proxies.
const RESERVED_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    // What some servers read in place of the method or target that was decided on.
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

fn judge_header(name: &str, allowed: &Allowed) -> Result<(), Denial> {
    let lower = name.to_ascii_lowercase();
    let reserved =
        RESERVED_HEADERS.contains(&lower.as_str()) || lower.starts_with("x-forwarded-") || lower.starts_with(':');
    if !reserved {
        return Ok(());
    }
    Err(Denial {
        reason: DenialReason::HeaderNotGranted,
        request: format!("{} {} with header `{}`", allowed.method, allowed.url.origin, shorten(name)),
        rule: "fields that only the host may set".to_owned(),
        fix: format!("leave out the header `{}`", shorten(name)),
    })
}

fn judge_credential(grant: &Grant, credential: &Credential, allowed: &Allowed) -> Result<(), Denial> {
    let name = credential.secret();
    let origin = &allowed.url.origin;
    let deny = |reason, rule: String, fix: String| {
        let request = format!("secret `{}` to {origin}", shorten(name));
        Err(Denial { reason, request, rule, fix })
    };
    if let Credential::Header { name, .. } = credential {
        judge_header(name, allowed)?;
    }
    if !is_secret_name(name) {
        return deny(
            DenialReason::Spelling,
            SECRET_NAME.to_owned(),
            "correct the name in the probe or its settings".to_owned(),
        );
    }
    let Some(usage) = grant.secrets.get(name) else {
        let fix = format!("--secret {name}=env:VARIABLE   (or in a policy: secrets.{name})");
        return deny(DenialReason::SecretNotGranted, DEFAULT_DENY.to_owned(), fix);
    };
    if !usage.origins.contains(origin) {
        let rule = format!("secrets.{name}.allowedOrigins does not list it");
        return deny(DenialReason::SecretNotGranted, rule, format!("secrets.{name}.allowedOrigins = [\"{origin}\"]"));
    }
    let local = matches!(&origin.host, crate::Host::Address(address) if address.is_loopback());
    if origin.scheme == Scheme::Http && !usage.in_clear && !local {
        let rule = "a secret crosses the network only encrypted".to_owned();
        return deny(DenialReason::SecretInClear, rule, format!("use https, or secrets.{name}.allowClearText = true"));
    }
    Ok(())
}

/// Decides on an address that a permitted origin would be dialled at.
///
/// # Errors
/// The denial, with its reason and the line to add.
pub fn judge_address(grant: &Grant, origin: &Origin, address: IpAddr) -> Result<(), Denial> {
    let range = range(address);
    let word = || {
        let named =
            |word: &&crate::policy::AddressWord| word.ports.contains(origin.port) && word.block.admits_special(address);
        grant.special.iter().find(named)
    };
    if range == Range::Public || word().is_some() {
        return Ok(());
    }
    let fix = match range {
        Range::Undialable(_) => "no rule can allow this address".to_owned(),
        _ => {
            let literal = crate::Host::Address(crate::address::effective(address));
            format!(
                "--allow {literal}:{}   (or in a policy: that address or its block in network.allowedHosts)",
                origin.port
            )
        }
    };
    Err(Denial {
        reason: DenialReason::AddressNotGranted,
        request: format!("{origin} at {address}"),
        rule: format!("{range} addresses need a rule that names them"),
        fix,
    })
}

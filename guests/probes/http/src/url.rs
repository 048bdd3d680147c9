//! URLs, as far as following a redirect needs them: reference resolution (RFC 3986 §5.2) and origins (RFC 6454).
//!
//! What a `location` header says is brought into the spelling that the host accepts, because servers write what they
//! like. Whether the host then allows it is the host's decision. User information is refused: it is a credential that
//! somebody else chose.

use std::fmt::{self, Display, Formatter};

/// An absolute `http` or `https` URL without fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    origin: Origin,
    /// Begins with `/`.
    path: String,
    /// Begins with `?`, or is empty.
    query: String,
}

/// Scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: Scheme,
    host: String,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Url {
    /// Reads an absolute URL. The error is a fragment such as `has no host`.
    pub(crate) fn parse(text: &str) -> Result<Url, &'static str> {
        match split_scheme(text) {
            (Some(scheme), rest) => Url::after_scheme(Scheme::parse(scheme)?, rest),
            (None, _) => Err("is not an absolute URL; begin it with `https://`"),
        }
    }

    /// The URL that `reference` means on the page at this URL.
    pub(crate) fn join(&self, reference: &str) -> Result<Url, &'static str> {
        let reference = reference.trim_matches(|c: char| c <= ' ');
        match split_scheme(reference) {
            (Some(scheme), rest) => Url::after_scheme(Scheme::parse(scheme)?, rest),
            (None, rest) if rest.starts_with("//") => Url::after_scheme(self.origin.scheme, rest),
            (None, rest) => Ok(self.join_target(rest)),
        }
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    fn after_scheme(scheme: Scheme, rest: &str) -> Result<Url, &'static str> {
        let rest = rest.strip_prefix("//").ok_or("has no host")?;
        let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (path, query) = split_target(target);
        let path = without_dots(if path.is_empty() { "/" } else { path });
        Ok(Url { origin: Origin::parse(scheme, authority)?, path: escape(&path), query: escape(query) })
    }

    fn join_target(&self, target: &str) -> Url {
        let (path, query) = split_target(target);
        let origin = self.origin.clone();
        if path.is_empty() {
            let query = if query.is_empty() { self.query.clone() } else { escape(query) };
            return Url { origin, path: self.path.clone(), query };
        }
        let directory = self.path.rfind('/').and_then(|last| self.path.get(..=last)).unwrap_or("/");
        let path = if path.starts_with('/') { path.to_string() } else { format!("{directory}{path}") };
        Url { origin, path: escape(&without_dots(&path)), query: escape(query) }
    }
}

impl Display for Url {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.origin, self.path, self.query)
    }
}

impl Origin {
    fn parse(scheme: Scheme, authority: &str) -> Result<Origin, &'static str> {
        if authority.contains('@') {
            return Err("carries user information; name a secret in `auth` instead");
        }
        let host_ends = authority.rfind(']').map_or(0, |bracket| bracket + 1);
        let colon = authority.get(host_ends..).and_then(|rest| rest.find(':')).map(|at| host_ends + at);
        let (host, port) = authority.split_at(colon.unwrap_or(authority.len()));
        if host.is_empty() {
            return Err("has no host");
        }
        if !host.is_ascii() {
            return Err("has a host that is not ASCII; write it in punycode (`xn--…`)");
        }
        let port = match port.trim_start_matches(':') {
            "" => scheme.default_port(),
            digits => digits.parse().map_err(|_| "has a port that is not a number from 1 to 65535")?,
        };
        Ok(Origin { scheme, host: host.to_ascii_lowercase(), port })
    }
}

impl Display for Origin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.host)?;
        if self.port == self.scheme.default_port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl Scheme {
    fn parse(text: &str) -> Result<Scheme, &'static str> {
        [Scheme::Http, Scheme::Https]
            .into_iter()
            .find(|scheme| text.eq_ignore_ascii_case(scheme.name()))
            .ok_or("has a scheme other than `http` and `https`")
    }

    fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

fn split_scheme(text: &str) -> (Option<&str>, &str) {
    match text.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
        _ => (None, text),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// Path and query; the fragment is dropped.
fn split_target(target: &str) -> (&str, &str) {
    let target = target.split('#').next().unwrap_or_default();
    target.split_at(target.find('?').unwrap_or(target.len()))
}

/// Resolves `.` and `..` in an absolute path (RFC 3986 §5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_open = false;
    for segment in path.split('/').skip(1) {
        ends_open = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    if ends_open {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

/// Percent-encodes what may not stand in a URL as it is; what is encoded already stays.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        let plain = match byte {
            b'%' => matches!(tail, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()),
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?[]|".contains(byte),
        };
        if plain {
            escaped.push(char::from(*byte))
        } else {
            escaped.push_str(&format!("%{byte:02X}"))
        }
        rest = tail;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base: &str, reference: &str, expected: &str) {
        let joined = Url::parse(base).unwrap().join(reference);
        assert_eq!(joined.map_or_else(str::to_string, |url| url.to_string()), expected, "`{reference}` on `{base}`");
    }

    /// RFC 3986 §5.4, without the examples of other schemes and of fragments.
    #[test]
    fn the_examples_of_the_rfc() {
        let base = "http://a/b/c/d;p?q";
        for (reference, expected) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g#s", "http://a/b/c/g"),
            ("g?y#s", "http://a/b/c/g?y"),
            (";x", "http://a/b/c/;x"),
            ("g;x", "http://a/b/c/g;x"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            ("..g", "http://a/b/c/..g"),
            ("./g/.", "http://a/b/c/g/"),
            ("g/./h", "http://a/b/c/g/h"),
            ("g/../h", "http://a/b/c/h"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
        ] {
            check(base, reference, expected);
        }
    }

    #[test]
    fn what_servers_write() {
        for (reference, expected) in [
            (" /a b\t", "https://h.example:8443/a%20b"),
            ("HTTPS://Other.Example/X", "https://other.example/X"),
            ("https://other.example:443", "https://other.example/"),
            ("http://other.example:443?a", "http://other.example:443/?a"),
            ("/ä?ö=\"<>\"", "https://h.example:8443/%C3%A4?%C3%B6=%22%3C%3E%22"),
            ("/%41%4x%", "https://h.example:8443/%41%254x%25"),
            ("http://[2001:DB8::1]:8080/", "http://[2001:db8::1]:8080/"),
            ("/a:b", "https://h.example:8443/a:b"),
            ("ftp://other.example/", "has a scheme other than `http` and `https`"),
            ("mailto:a@b", "has a scheme other than `http` and `https`"),
            ("https://user:pw@other.example/", "carries user information; name a secret in `auth` instead"),
            ("https:///x", "has no host"),
            ("https:x", "has no host"),
            ("https://ä.example/", "has a host that is not ASCII; write it in punycode (`xn--…`)"),
            ("https://h.example:99999/", "has a port that is not a number from 1 to 65535"),
        ] {
            check("https://h.example:8443/dir/page?x", reference, expected);
        }
    }

    #[test]
    fn origins() {
        let origin = |url: &str| Url::parse(url).unwrap().origin().clone();
        assert_eq!(origin("https://a.example/x"), origin("https://A.example:443/y?z"));
        for other in ["http://a.example/", "https://a.example:8443/", "https://b.a.example/"] {
            assert_ne!(origin("https://a.example/"), origin(other));
        }
    }
}

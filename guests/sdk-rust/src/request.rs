//! A builder for HTTP requests, and what a probe asks of a response most often.

use crate::http::{self, Request, Response};
use crate::types::{BasicCredential, Credential, EffectError, Header, HeaderCredential};
use std::borrow::Cow;

impl Request {
    /// A request without headers, body or credential, with the host's own limits.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Request {
        Request {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            credential: None,
            timeout_ms: None,
            max_body_bytes: None,
        }
    }

    /// `GET url`.
    pub fn get(url: impl Into<String>) -> Request {
        Request::new("GET", url)
    }

    /// `HEAD url`.
    pub fn head(url: impl Into<String>) -> Request {
        Request::new("HEAD", url)
    }

    /// `POST url` with a body.
    pub fn post(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Request {
        Request::new("POST", url).body(body)
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Request {
        self.headers.push(Header { name: name.into(), value: value.into() });
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = body.into();
        self
    }

    /// Lets the host add `authorization: Bearer SECRET`. The probe never sees the secret's value.
    #[must_use]
    pub fn bearer(self, secret: impl Into<String>) -> Request {
        self.credential(Credential::Bearer(secret.into()))
    }

    /// Lets the host add `authorization: Basic …` for this user, the secret being the password.
    #[must_use]
    pub fn basic(self, user: impl Into<String>, secret: impl Into<String>) -> Request {
        self.credential(Credential::Basic(BasicCredential { user: user.into(), secret: secret.into() }))
    }

    /// Lets the host add the header `name` with the secret as its value.
    #[must_use]
    pub fn secret_header(self, name: impl Into<String>, secret: impl Into<String>) -> Request {
        self.credential(Credential::Header(HeaderCredential { name: name.into(), secret: secret.into() }))
    }

    /// Sets the credential.
    #[must_use]
    pub fn credential(mut self, credential: Credential) -> Request {
        self.credential = Some(credential);
        self
    }

    /// Gives the call at most so many milliseconds; the host may give less.
    #[must_use]
    pub fn timeout_ms(mut self, timeout_ms: u32) -> Request {
        self.timeout_ms = Some(timeout_ms);
        self
    }

    /// Asks for at most so many bytes of the body; the host may give less.
    #[must_use]
    pub fn max_body_bytes(mut self, max_body_bytes: u32) -> Request {
        self.max_body_bytes = Some(max_body_bytes);
        self
    }

    /// Sends the request and waits for its response.
    pub fn send(&self) -> Result<Response, EffectError> {
        http::send(self)
    }
}

impl Response {
    /// The first header of this name, which must be lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.name == name).map(|header| header.value.as_str())
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// From the call to its end, in milliseconds.
    pub fn total_ms(&self) -> f64 {
        ms(self.phases.total_us)
    }
}

/// Microseconds as milliseconds.
fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

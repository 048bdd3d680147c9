//! What arrived at a server: owned here so that a test can prove what a client sent, or that it sent nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// One request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Captured {
    /// `HTTP/1.1` and the like from the request line, or `HTTP/2.0`.
    pub version: String,
    /// The method, as sent.
    pub method: String,
    /// The request target: for HTTP/2 the `:path`.
    pub path: String,
    /// The headers in their order, names as sent; for HTTP/2 `:scheme` and `:authority` come first.
    pub headers: Vec<(String, String)>,
    /// The head's raw bytes with the final empty line. Empty for HTTP/2.
    pub head: Vec<u8>,
    /// The body's raw bytes, with the chunk framing if it was chunked.
    pub body: Vec<u8>,
    /// The name that the client asked for in its TLS handshake.
    pub server_name: Option<String>,
}

impl Captured {
    /// The first value of a header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The head as text.
    pub fn head_text(&self) -> String {
        String::from_utf8_lossy(&self.head).into_owned()
    }
}

/// The log of one server.
#[derive(Default)]
pub(super) struct Log {
    connections: AtomicUsize,
    handshakes: AtomicUsize,
    requests: Mutex<Vec<Captured>>,
    arrived: Condvar,
}

impl Log {
    pub(super) fn count_connection(&self) {
        self.connections.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn count_handshake(&self) {
        self.handshakes.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn push(&self, request: Captured) {
        self.lock().push(request);
        self.arrived.notify_all();
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(super) fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::SeqCst)
    }

    pub(super) fn requests(&self) -> Vec<Captured> {
        self.lock().clone()
    }

    pub(super) fn wait_for_requests(&self, count: usize) -> Vec<Captured> {
        let patience = Duration::from_secs(10);
        let waited = self.arrived.wait_timeout_while(self.lock(), patience, |requests| requests.len() < count);
        let (requests, timeout) = waited.expect("the log is sound");
        assert!(!timeout.timed_out(), "waited for {count} requests, {} arrived", requests.len());
        requests.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Captured>> {
        self.requests.lock().expect("the log is sound")
    }
}

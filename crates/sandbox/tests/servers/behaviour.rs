//! What an HTTP server can be told to do, and the well-formed answers that HTTP/1 and HTTP/2 share.

use std::collections::BTreeMap;
use std::time::Duration;

use super::log::Captured;

/// How a server treats a request, or with [`Behaviour::Reset`] and [`Behaviour::Close`] the connection itself.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// A well-formed answer. Over HTTP/1 it gets a `content-length`, unless the headers frame the body themselves.
    Answer {
        /// The status code.
        status: u16,
        /// Further headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// A redirect with an empty body.
    Redirect {
        /// The status code.
        status: u16,
        /// The `location` header, as given.
        location: String,
    },
    /// A behaviour by path, the query left out; 404 elsewhere.
    Route(BTreeMap<String, Behaviour>),
    /// 200 with the request's head as text.
    EchoHead,
    /// 200 with a real gzip body (of `ok`) that no one asked for.
    GzipBody,
    /// 200 with one header of this many bytes.
    HugeHeader(usize),
    /// 200 with this many headers.
    ManyHeaders(usize),
    /// Reads, and never answers.
    Silent,
    /// 200 after this delay.
    SlowHead(Duration),
    /// Stops in the middle of a header.
    HangInHead,
    /// Announces 1000 bytes, sends 10 and stops.
    HangInBody,
    /// Sends a body without end, one byte each time this has passed.
    DripBody(Duration),
    /// RST straight after the connection was accepted, before any TLS. In a [`Behaviour::Route`]: after the request.
    Reset,
    /// RST when the request was read.
    ResetAfterRequest,
    /// FIN straight after the connection was accepted, before any TLS. In a [`Behaviour::Route`]: after the request.
    Close,
    /// FIN when the request was read.
    CloseAfterRequest,
    /// Announces 1000 bytes, sends 10, FIN.
    LyingShort,
    /// Announces 5 bytes and sends more.
    LyingLong,
    /// A chunked body without end.
    EndlessBody,
    /// A body without end and without announced length.
    EndlessUnframed,
    /// Headers without end.
    EndlessHeaders,
    /// Bytes that are not HTTP.
    Garbage,
    /// A chunk size that is not a number.
    BadChunk,
    /// Both `content-length` and `transfer-encoding: chunked`.
    BothLengths,
    /// Two `content-length` headers that differ.
    TwoLengths,
    /// An HTTP/1.0 answer that ends with the connection.
    Http10,
    /// This many `100 Continue`, then 200.
    Continue100(usize),
    /// `100 Continue` without end.
    Endless100,
    /// These bytes, then FIN.
    Raw(Vec<u8>),
}

impl Behaviour {
    /// 200 with the text `ok`.
    pub fn ok() -> Self {
        Self::answer(200, "text/plain", "ok")
    }

    /// 200 with a JSON body.
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::answer(200, "application/json", body)
    }

    /// An answer with a content type.
    pub fn answer(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::Answer { status, headers: vec![header("content-type", content_type)], body: body.into() }
    }

    /// A redirect.
    pub fn redirect(status: u16, location: impl Into<String>) -> Self {
        Self::Redirect { status, location: location.into() }
    }

    /// Behaviours by path.
    pub fn route<const N: usize>(routes: [(&str, Self); N]) -> Self {
        Self::Route(routes.into_iter().map(|(path, behaviour)| (path.to_owned(), behaviour)).collect())
    }

    /// Whether this is written for HTTP/2 as well.
    pub fn over_http2(&self) -> bool {
        match self {
            Self::Route(routes) => routes.values().all(|found| found.over_http2() && !found.at_accept()),
            Self::Answer { .. } | Self::Redirect { .. } | Self::EchoHead | Self::GzipBody => true,
            Self::HugeHeader(_) | Self::ManyHeaders(_) | Self::Silent | Self::SlowHead(_) => true,
            Self::HangInBody | Self::EndlessBody => true,
            // The connection ends before ALPN is settled.
            _ => self.at_accept(),
        }
    }

    /// Whether this treats the connection, and not a request.
    fn at_accept(&self) -> bool {
        matches!(self, Self::Reset | Self::Close)
    }

    /// What to do for a request target.
    pub(super) fn for_path(&self, path: &str) -> Self {
        let Self::Route(routes) = self else { return self.clone() };
        let path = path.split('?').next().unwrap_or(path);
        routes.get(path).map_or_else(|| Self::answer(404, "text/plain", "no such path"), |found| found.for_path(path))
    }

    /// The answer to a request, if this behaviour gives a well-formed one at once.
    pub(super) fn well_formed(&self, request: &Captured) -> Option<Response> {
        let ok = |headers, body: &[u8]| Response { status: 200, headers, body: body.to_vec() };
        Some(match self {
            Self::Answer { status, headers, body } => {
                Response { status: *status, headers: headers.clone(), body: body.clone() }
            }
            Self::Redirect { status, location } => {
                Response { status: *status, headers: vec![header("location", location)], body: Vec::new() }
            }
            Self::EchoHead => ok(vec![header("content-type", "text/plain")], &echo(request)),
            Self::GzipBody => ok(vec![header("content-encoding", "gzip")], GZIPPED_OK),
            Self::HugeHeader(size) => ok(vec![header("x-filler", &"a".repeat(*size))], b"ok"),
            Self::ManyHeaders(count) => {
                ok((0..*count).map(|index| header(&format!("x-filler-{index}"), "a")).collect(), b"ok")
            }
            _ => return None,
        })
    }
}

/// A well-formed answer.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// `ok`, compressed.
const GZIPPED_OK: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xcb, 0xcf, 0x06, 0x00, 0x47, 0xdd, 0xdc, 0x79, 0x02,
    0x00, 0x00, 0x00,
];

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn echo(request: &Captured) -> Vec<u8> {
    if !request.head.is_empty() {
        return request.head.clone();
    }
    let lines = request.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    format!("{} {} {}\r\n{}\r\n", request.method, request.path, request.version, lines.collect::<String>()).into_bytes()
}

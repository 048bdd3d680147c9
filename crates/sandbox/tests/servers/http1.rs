//! HTTP/1 by hand on the raw stream, because a server library refuses to misbehave.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use super::behaviour::{Behaviour, Response};
use super::log::{Captured, Log};
use super::{Wire, finish, hold};

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n";
const CHUNKED: &str = "transfer-encoding: chunked\r\n\r\n";
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// The most that a request may bring; more is a mistake in the test.
const MAX_REQUEST: usize = 64 << 20;

/// Serves one connection, request after request while the behaviour leaves it usable.
pub(super) async fn serve(
    mut wire: impl Wire,
    behaviour: &Behaviour,
    log: &Log,
    server_name: Option<String>,
) -> io::Result<()> {
    let mut pending = Vec::new();
    while let Some(mut request) = read_request(&mut wire, &mut pending).await? {
        request.server_name.clone_from(&server_name);
        log.push(request.clone());
        let behaviour = behaviour.for_path(&request.path);
        let response = match (&behaviour, behaviour.well_formed(&request)) {
            (_, Some(response)) => response,
            (Behaviour::SlowHead(delay), None) => {
                sleep(*delay).await;
                ok()
            }
            (Behaviour::Continue100(count), None) => {
                wire.write_all(&CONTINUE.repeat(*count)).await?;
                ok()
            }
            _ => return misbehave(wire, &behaviour).await,
        };
        send(&mut wire, &response, &request.method).await?;
        if request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            break;
        }
    }
    finish(wire).await
}

fn ok() -> Response {
    Response { status: 200, headers: Vec::new(), body: b"ok".to_vec() }
}

async fn send(wire: &mut impl Wire, response: &Response, method: &str) -> io::Result<()> {
    let reason = http::StatusCode::from_u16(response.status).ok().and_then(|status| status.canonical_reason());
    let mut bytes = format!("HTTP/1.1 {} {}\r\n", response.status, reason.unwrap_or("Unknown")).into_bytes();
    for (name, value) in &response.headers {
        bytes.extend(format!("{name}: {value}\r\n").bytes());
    }
    let framed = |(name, _): &(String, String)| {
        name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
    };
    let bodiless = matches!(response.status, 100..=199 | 204 | 304);
    if !bodiless && !response.headers.iter().any(framed) {
        bytes.extend(format!("content-length: {}\r\n", response.body.len()).bytes());
    }
    bytes.extend(b"\r\n");
    if !bodiless && method != "HEAD" {
        bytes.extend(&response.body);
    }
    write(wire, &bytes).await
}

/// What follows the bytes of a broken answer.
enum Then {
    Fin,
    Silence,
    Forever(Vec<u8>),
}

async fn misbehave(mut wire: impl Wire, behaviour: &Behaviour) -> io::Result<()> {
    match behaviour {
        Behaviour::Reset | Behaviour::ResetAfterRequest => return wire.tcp().set_zero_linger(),
        Behaviour::DripBody(pause) => {
            write(&mut wire, format!("{HEAD}{CHUNKED}").as_bytes()).await?;
            loop {
                sleep(*pause).await;
                write(&mut wire, b"1\r\na\r\n").await?;
            }
        }
        _ => {}
    }
    let (bytes, then) = script(behaviour);
    write(&mut wire, &bytes).await?;
    match then {
        Then::Fin => finish(wire).await,
        Then::Silence => hold(wire).await,
        Then::Forever(more) => loop {
            wire.write_all(&more).await?;
        },
    }
}

/// The bytes of a broken answer, and what follows them.
fn script(behaviour: &Behaviour) -> (Vec<u8>, Then) {
    let text = |rest: &str| format!("{HEAD}{rest}").into_bytes();
    match behaviour {
        Behaviour::HangInHead => (b"HTTP/1.1 200 OK\r\ncontent-ty".to_vec(), Then::Silence),
        Behaviour::HangInBody => (text("content-length: 1000\r\n\r\n0123456789"), Then::Silence),
        Behaviour::LyingShort => (text("content-length: 1000\r\n\r\n0123456789"), Then::Fin),
        Behaviour::LyingLong => (text("content-length: 5\r\n\r\n01234HTTP/1.1 200 OK\r\n\r\nmore"), Then::Fin),
        Behaviour::EndlessBody => {
            (text(CHUNKED), Then::Forever(format!("4000\r\n{}\r\n", "a".repeat(0x4000)).into_bytes()))
        }
        Behaviour::EndlessUnframed => (text("\r\n"), Then::Forever(vec![b'a'; 0x4000])),
        Behaviour::EndlessHeaders => (text(""), Then::Forever(b"x-filler: aaaaaaaaaaaaaaaa\r\n".repeat(500))),
        Behaviour::Endless100 => (Vec::new(), Then::Forever(CONTINUE.repeat(500))),
        Behaviour::Garbage => (super::tls::noise(200), Then::Fin),
        Behaviour::BadChunk => (text(&format!("{CHUNKED}2\r\nok\r\nxyz\r\nok\r\n0\r\n\r\n")), Then::Fin),
        Behaviour::BothLengths => (text(&format!("content-length: 2\r\n{CHUNKED}4\r\nokok\r\n0\r\n\r\n")), Then::Fin),
        Behaviour::TwoLengths => (text("content-length: 2\r\ncontent-length: 4\r\n\r\nokok"), Then::Fin),
        Behaviour::Http10 => (b"HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nok".to_vec(), Then::Fin),
        Behaviour::Raw(bytes) => (bytes.clone(), Then::Fin),
        Behaviour::Close | Behaviour::CloseAfterRequest => (Vec::new(), Then::Fin),
        _ => (Vec::new(), Then::Silence),
    }
}

/// Writes and flushes: a TLS stream may keep bytes back until it is flushed.
async fn write(wire: &mut impl Wire, bytes: &[u8]) -> io::Result<()> {
    wire.write_all(bytes).await?;
    wire.flush().await
}

/// Reads one request; `pending` keeps what came with it and belongs to the next. `None`: the client is done.
///
/// A head that was cut off is returned as well, so that it can be recorded.
async fn read_request(wire: &mut impl Wire, pending: &mut Vec<u8>) -> io::Result<Option<Captured>> {
    let end = read_until(wire, pending, |bytes| find(bytes, b"\r\n\r\n").map(|at| at + 4)).await?;
    let head: Vec<u8> = pending.drain(..end).collect();
    if head.is_empty() {
        return Ok(None);
    }
    let mut request = parse_head(head);
    let chunked = request.header("transfer-encoding").is_some_and(|value| value.contains("chunked"));
    let length = request.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let end = if chunked {
        read_until(wire, pending, chunks_end).await?
    } else {
        read_until(wire, pending, |bytes| (bytes.len() >= length).then_some(length)).await?
    };
    request.body = pending.drain(..end).collect();
    Ok(Some(request))
}

/// Reads until `complete` finds the end of what it looks for in the bytes, or the client stops; says where that is.
async fn read_until(
    wire: &mut impl Wire,
    bytes: &mut Vec<u8>,
    complete: impl Fn(&[u8]) -> Option<usize>,
) -> io::Result<usize> {
    loop {
        if let Some(end) = complete(bytes) {
            return Ok(end);
        }
        if bytes.len() > MAX_REQUEST || wire.read_buf(bytes).await? == 0 {
            return Ok(bytes.len());
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Where a chunked body without trailers ends, once it is all there.
fn chunks_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..)?;
        let line = find(rest, b"\r\n")?;
        let digits = rest.get(..line)?.split(|byte| *byte == b';').next()?;
        let size = usize::from_str_radix(str::from_utf8(digits).ok()?.trim(), 16).ok()?;
        at = at.checked_add(line)?.checked_add(size)?.checked_add(4)?;
        if size == 0 {
            return (bytes.len() >= at).then_some(at);
        }
    }
}

fn parse_head(head: Vec<u8>) -> Captured {
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().splitn(3, ' ').map(String::from);
    let mut word = || words.next().unwrap_or_default();
    let (method, path, version) = (word(), word(), word());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    Captured { version, method, path, headers, head, ..Captured::default() }
}

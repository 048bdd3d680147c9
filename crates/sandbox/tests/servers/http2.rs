//! HTTP/2 over a TLS stream, through hyper's server: for the behaviours that matter over both versions.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::server::TlsStream;

use super::behaviour::Behaviour;
use super::log::{Captured, Log};

/// Serves one connection.
pub(super) async fn serve(
    stream: TlsStream<TcpStream>,
    behaviour: &Behaviour,
    log: &Arc<Log>,
    server_name: Option<String>,
) -> io::Result<()> {
    let (behaviour, log) = (Arc::new(behaviour.clone()), Arc::clone(log));
    let service = service_fn(move |request| {
        let (behaviour, log, server_name) = (Arc::clone(&behaviour), Arc::clone(&log), server_name.clone());
        async move {
            let request = capture(request, server_name).await?;
            log.push(request.clone());
            Ok::<_, hyper::Error>(answer(&request, &behaviour).await)
        }
    });
    let connection = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
    connection.await.map_err(io::Error::other)
}

async fn answer(request: &Captured, behaviour: &Behaviour) -> Response<Script> {
    let behaviour = behaviour.for_path(&request.path);
    if let Some(response) = behaviour.well_formed(request) {
        return build(response.status, &response.headers, Script::once(response.body, Then::End));
    }
    match behaviour {
        Behaviour::SlowHead(delay) => {
            sleep(delay).await;
            build(200, &[], Script::once("ok", Then::End))
        }
        Behaviour::HangInBody => {
            let length = ("content-length".to_owned(), "1000".to_owned());
            build(200, &[length], Script::once("0123456789", Then::Silence))
        }
        Behaviour::EndlessBody => build(200, &[], Script::once(vec![b'a'; 0x4000], Then::Repeat)),
        _ => pending().await,
    }
}

fn build(status: u16, headers: &[(String, String)], body: Script) -> Response<Script> {
    let response = Response::builder().status(status);
    let response = headers.iter().fold(response, |response, (name, value)| response.header(name, value));
    response.body(body).expect("the behaviour's answer can be said in HTTP/2")
}

async fn capture(request: Request<Incoming>, server_name: Option<String>) -> hyper::Result<Captured> {
    let (head, body) = request.into_parts();
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let mut headers = vec![
        (":scheme".to_owned(), text(head.uri.scheme_str())),
        (":authority".to_owned(), text(head.uri.authority().map(|authority| authority.as_str()))),
    ];
    let value = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.extend(head.headers.iter().map(|(name, found)| (name.to_string(), value(found))));
    Ok(Captured {
        version: format!("{:?}", head.version),
        method: head.method.to_string(),
        path: text(head.uri.path_and_query().map(|path| path.as_str())),
        headers,
        body: body.collect().await?.to_bytes().to_vec(),
        server_name,
        ..Captured::default()
    })
}

/// What follows the first part of a body.
enum Then {
    End,
    Silence,
    Repeat,
}

/// A response body: one part, and what follows it.
struct Script {
    part: Bytes,
    said: bool,
    then: Then,
}

impl Script {
    fn once(part: impl Into<Bytes>, then: Then) -> Self {
        Self { part: part.into(), said: false, then }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match (self.said, &self.then) {
            (true, Then::End) => Poll::Ready(None),
            // No waker: nothing follows, ever. The connection's end drops the body.
            (true, Then::Silence) => Poll::Pending,
            (false, _) | (true, Then::Repeat) => {
                self.said = true;
                Poll::Ready(Some(Ok(Frame::data(self.part.clone()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.then, Then::End) && (self.said || self.part.is_empty())
    }
}

//! The HTTP effect: one request on a connection of its own.
//!
//! It knows no redirect, proxy, cookie, cache or content coding. The connection's own future is polled here, beside
//! the request's, so that nothing of an effect outlives it and its CPU time is metered with it.

use super::wire::{Counted, Side, Wire};
use super::{Broker, Fault, connect, tls};
use crate::cpu::Spawned;
use crate::gate::Permit;
use crate::secrets::Secrets;
use ::http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, USER_AGENT};
use ::http::{HeaderMap, Request, Response, Uri, Version};
use base64::Engine as _;
use bytes::Bytes;
use health_watch_capability::message::{Credential, EffectFailure, HttpResponse, HttpVersion, Peer, Phase, Phases};
use health_watch_capability::{Denial, DenialReason, Dimension, Host, HttpRequest};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

/// Bytes of a response head; more is a protocol failure.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Fields of a response head, likewise.
const HEADERS_MAX: usize = 128;
/// Body bytes that are returned where the guest names no limit, and the most it may name.
const BODY_BYTES_DEFAULT: u32 = 1 << 20;
const BODY_BYTES_MAX: u32 = 8 << 20;

/// What is known of an effect while it goes on, and after it was cut off.
#[derive(Default)]
pub(super) struct Trace {
    pub(super) address: Option<IpAddr>,
    pub(super) wire: Wire,
    pub(super) phases: Phases,
    /// What tasks of the effect's own took of CPU time.
    pub(super) spawned: Spawned,
    phase: Option<Phase>,
    /// When it began, nanoseconds after the wire was made.
    phase_began_ns: u64,
}

impl Trace {
    /// Begins a phase.
    fn enter(&mut self, phase: Phase) -> u64 {
        self.phase = Some(phase);
        self.phase_began_ns = self.wire.now_ns();
        self.phase_began_ns
    }

    /// Ends the phase in which the effect failed, so that its time is not lost.
    fn fail(&mut self) {
        let took = self.since_us(self.phase_began_ns);
        match self.phase {
            Some(Phase::Resolve) => self.phases.resolve_us = took,
            Some(Phase::Connect) => self.phases.connect_us = took,
            Some(Phase::Tls) => self.phases.tls_us = Some(took),
            Some(Phase::Send | Phase::Wait) => {
                let sent_ns = self.wire.last_write_ns().max(self.phase_began_ns);
                self.phases.send_us = (sent_ns - self.phase_began_ns) / 1000;
                self.phases.wait_us = self.since_us(sent_ns);
            }
            Some(Phase::Receive) => self.phases.receive_us = took,
            None => {}
        }
    }

    fn since_us(&self, began_ns: u64) -> u64 {
        self.wire.now_ns().saturating_sub(began_ns) / 1000
    }

    /// What was under way when the deadline passed. Once the request is out, what is awaited is the response.
    fn interrupted(&self) -> Phase {
        match self.phase {
            Some(Phase::Send) if self.wire.first_read_ns().is_some() => Phase::Receive,
            Some(Phase::Send) if self.wire.bytes_out() > 0 => Phase::Wait,
            Some(phase) => phase,
            None => Phase::Resolve,
        }
    }
}

/// Performs a permitted request. Whatever it was doing, it ends at the permit's deadline.
pub(super) async fn perform(
    broker: &Broker,
    permit: &Permit,
    request: HttpRequest,
    secrets: &Secrets,
    trace: &mut Trace,
) -> Result<HttpResponse, Fault> {
    trace.wire.allow(permit.bytes_in_left(), permit.bytes_out_left());
    let ended =
        tokio::time::timeout_at(permit.deadline().into(), exchange(broker, permit, request, secrets, trace)).await;
    if !matches!(ended, Ok(Ok(_))) {
        trace.fail();
    }
    trace.phases.total_us = u64::try_from(permit.began().elapsed().as_micros()).unwrap_or(u64::MAX);
    match ended {
        Ok(Ok(mut response)) => {
            response.phases = trace.phases;
            Ok(response)
        }
        Ok(Err(fault)) => Err(spent(trace).unwrap_or(fault)),
        Err(_elapsed) => {
            Err(Fault::Failed(EffectFailure::Timeout { phase: trace.interrupted(), limit_ms: permit.limit_ms() }))
        }
    }
}

/// The budget that ran out, if that is why the effect failed.
fn spent(trace: &Trace) -> Option<Fault> {
    Some(Fault::OverQuota(match trace.wire.exhausted()? {
        Side::In => Dimension::BytesIn,
        Side::Out => Dimension::BytesOut,
    }))
}

/// The target's answer took more of our CPU to read than a whole run may take.
pub(super) fn too_costly(permit: &Permit) -> Fault {
    let limit_ms = permit.cpu_ns_max() / 1_000_000;
    Fault::Failed(EffectFailure::Protocol(format!("the response took more than {limit_ms} ms of CPU to read")))
}

async fn exchange(
    broker: &Broker,
    permit: &Permit,
    request: HttpRequest,
    secrets: &Secrets,
    trace: &mut Trace,
) -> Result<HttpResponse, Fault> {
    let body_bytes_max = request.max_body_bytes.unwrap_or(BODY_BYTES_DEFAULT).min(BODY_BYTES_MAX) as usize;
    let outgoing = build(permit, request, secrets)?;
    let origin = &permit.allowed().url.origin;

    let began = trace.enter(Phase::Resolve);
    let addresses = match (&origin.host, permit.literal()) {
        (_, Some(address)) => vec![address],
        (Host::Name(name), None) => {
            broker.resolver.lookup(name.as_str()).await.map_err(|why| Fault::Failed(EffectFailure::Resolve(why)))?
        }
        (Host::Address(address), None) => vec![*address],
    };
    if permit.literal().is_none() {
        trace.phases.resolve_us = trace.since_us(began);
    }
    let judged = permit.judge(&addresses).map_err(Fault::Denied)?;

    let began = trace.enter(Phase::Connect);
    let (stream, address) = connect::connect(&judged, permit.connections()).await?;
    trace.address = Some(address.ip());
    trace.phases.connect_us = trace.since_us(began);
    let stream = Counted::new(stream, trace.wire.clone());
    let mut peer = Peer { address: address.ip(), port: address.port(), tls: None };

    if origin.scheme == health_watch_capability::Scheme::Http {
        return send_http1(TokioIo::new(stream), outgoing, peer, body_bytes_max, trace).await;
    }
    let began = trace.enter(Phase::Tls);
    let stream = broker.tls.handshake(stream, &origin.host).await?;
    trace.phases.tls_us = Some(trace.since_us(began));
    let session = tls::session(&stream);
    let speaks_http2 = session.alpn.as_deref() == Some("h2");
    peer.tls = Some(session);
    trace.wire.forget_reads();
    if speaks_http2 {
        send_http2(TokioIo::new(stream), outgoing, peer, body_bytes_max, trace).await
    } else {
        send_http1(TokioIo::new(stream), outgoing, peer, body_bytes_max, trace).await
    }
}

async fn send_http1<S>(
    stream: TokioIo<S>,
    mut request: Request<Full<Bytes>>,
    peer: Peer,
    limit: usize,
    trace: &mut Trace,
) -> Result<HttpResponse, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let began = trace.enter(Phase::Send);
    // Origin form (RFC 9112 §3.2.1); the authority goes into `host`.
    if let Some(authority) =
        request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok())
    {
        request.headers_mut().insert(HOST, authority);
    }
    let target = request.uri().path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    *request.uri_mut() = target.parse().map_err(|_| unsendable("its path"))?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .handshake(stream)
        .await
        .map_err(|error| protocol(&error))?;
    let mut driver = Driver::new(connection);
    let response = driver.beside(sender.send_request(request)).await?;
    receive(driver, response, peer, limit, trace, began).await
}

async fn send_http2<S>(
    stream: TokioIo<S>,
    request: Request<Full<Bytes>>,
    peer: Peer,
    limit: usize,
    trace: &mut Trace,
) -> Result<HttpResponse, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let began = trace.enter(Phase::Send);
    let tasks = Tasks { running: Arc::default(), spent: trace.spawned.clone() };
    let (mut sender, connection) = http2::Builder::new(tasks.clone())
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .handshake(stream)
        .await
        .map_err(|error| protocol(&error))?;
    let mut driver = Driver::new(connection);
    let response = driver.beside(sender.send_request(request)).await?;
    receive(driver, response, peer, limit, trace, began).await
}

/// A connection's own future, polled beside whatever is asked of it.
struct Driver<C> {
    connection: Pin<Box<C>>,
    /// Set once the connection has ended: how, if badly. It must not be polled again.
    ended: Option<Option<hyper::Error>>,
}

impl<C: Future<Output = hyper::Result<()>>> Driver<C> {
    fn new(connection: C) -> Self {
        Self { connection: Box::pin(connection), ended: None }
    }

    /// Polls both until `asked` is done. What the connection delivered before it broke still counts: a peer that
    /// sends too much after a whole response has sent a whole response.
    async fn beside<F, T>(&mut self, asked: F) -> Result<T, Fault>
    where
        F: Future<Output = hyper::Result<T>>,
    {
        let mut asked = pin!(asked);
        let done = std::future::poll_fn(|context| {
            if let Poll::Ready(done) = asked.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            if self.ended.is_none()
                && let Poll::Ready(ended) = self.connection.as_mut().poll(context)
            {
                self.ended = Some(ended.err());
            }
            match asked.as_mut().poll(context) {
                Poll::Pending => match self.ended.as_mut().and_then(Option::take) {
                    Some(error) => Poll::Ready(Err(error)),
                    None => Poll::Pending,
                },
                done => done,
            }
        });
        done.await.map_err(|error| protocol(&error))
    }
}

async fn receive<C>(
    mut driver: Driver<C>,
    response: Response<Incoming>,
    peer: Peer,
    limit: usize,
    trace: &mut Trace,
    began_ns: u64,
) -> Result<HttpResponse, Fault>
where
    C: Future<Output = hyper::Result<()>>,
{
    let head_ns = trace.wire.first_read_ns().unwrap_or_else(|| trace.wire.now_ns());
    let sent_ns = trace.wire.last_write_ns().clamp(began_ns, head_ns.max(began_ns));
    trace.phases.send_us = sent_ns.saturating_sub(began_ns) / 1000;
    trace.phases.wait_us = head_ns.saturating_sub(sent_ns) / 1000;
    trace.enter(Phase::Receive);
    let (head, mut incoming) = response.into_parts();
    if head.headers.len() > HEADERS_MAX {
        return Err(Fault::Failed(EffectFailure::Protocol(too_large_a_head())));
    }
    let mut body = Vec::new();
    let mut truncated = false;
    loop {
        let frame = match body_frame(&mut driver, &mut incoming).await {
            Ok(frame) => frame,
            // The budget ran out in the middle of the body: what there is, is kept, and said to be cut.
            Err(_) if trace.wire.exhausted() == Some(Side::In) => {
                truncated = true;
                break;
            }
            Err(fault) => return Err(fault),
        };
        let Some(frame) = frame else { break };
        let Ok(data) = frame.into_data() else { continue };
        let room = limit - body.len();
        body.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
        if data.len() > room {
            truncated = true;
            break;
        }
    }
    trace.phases.receive_us = trace.since_us(head_ns);
    Ok(HttpResponse {
        status: head.status.as_u16(),
        version: match head.version {
            Version::HTTP_2 => HttpVersion::Http2,
            Version::HTTP_10 => HttpVersion::Http10,
            _ => HttpVersion::Http11,
        },
        headers: flatten(&head.headers),
        body,
        truncated,
        phases: trace.phases,
        peer,
    })
}

async fn body_frame<C>(
    driver: &mut Driver<C>,
    incoming: &mut Incoming,
) -> Result<Option<hyper::body::Frame<Bytes>>, Fault>
where
    C: Future<Output = hyper::Result<()>>,
{
    let frame = async { incoming.frame().await.transpose() };
    driver.beside(frame).await
}

fn flatten(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

/// The request as it goes out. Framing and `host` are set here; the guest could not.
fn build(permit: &Permit, request: HttpRequest, secrets: &Secrets) -> Result<Request<Full<Bytes>>, Fault> {
    let allowed = permit.allowed();
    let uri: Uri = allowed.url.to_string().parse().map_err(|_| unsendable("its URL"))?;
    let mut headers = HeaderMap::with_capacity(request.headers.len() + 3);
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| unsendable(&format!("the header name `{}`", name.escape_debug())))?;
        let value =
            HeaderValue::from_str(value).map_err(|_| unsendable(&format!("the value of the header `{name}`")))?;
        headers.append(name, value);
    }
    if !headers.contains_key(USER_AGENT) {
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("health-watch/", env!("CARGO_PKG_VERSION"))));
    }
    if let Some(credential) = &request.credential {
        attach(credential, secrets, &mut headers)?;
    }
    let mut outgoing = Request::new(Full::new(Bytes::from(request.body)));
    *outgoing.method_mut() = allowed.method.as_str().parse().map_err(|_| unsendable("its method"))?;
    *outgoing.uri_mut() = uri;
    *outgoing.headers_mut() = headers;
    Ok(outgoing)
}

/// Adds a secret. It replaces whatever the guest wrote there.
fn attach(credential: &Credential, secrets: &Secrets, headers: &mut HeaderMap) -> Result<(), Fault> {
    let name = credential.secret();
    let Some(secret) = secrets.get(name) else {
        return Err(Fault::Denied(Denial {
            reason: DenialReason::SecretNotGranted,
            request: format!("secret `{}`", name.escape_debug()),
            rule: "granted, but nobody gave its value".to_owned(),
            fix: format!("--secret {}=env:VARIABLE", name.escape_debug()),
        }));
    };
    let (header, value) = match credential {
        Credential::Bearer(_) => (AUTHORIZATION, format!("Bearer {}", secret.expose())),
        Credential::Basic { user, .. } => {
            let pair = format!("{user}:{}", secret.expose());
            (AUTHORIZATION, format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
        }
        Credential::Header { name, .. } => {
            let header =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| unsendable("the credential's header name"))?;
            (header, secret.expose().to_owned())
        }
    };
    let mut value =
        HeaderValue::from_str(&value).map_err(|_| unsendable(&format!("the secret `{name}` in a header")))?;
    value.set_sensitive(true);
    headers.insert(header, value);
    Ok(())
}

/// The guest wrote something that no HTTP request can carry.
fn unsendable(what: &str) -> Fault {
    Fault::Denied(Denial {
        reason: DenialReason::Spelling,
        request: format!("a request with {what}"),
        rule: "RFC 9110 §5: names are tokens, values have no line breaks".to_owned(),
        fix: "correct it in the probe or its settings".to_owned(),
    })
}

fn too_large_a_head() -> String {
    format!("the response head is larger than {HEAD_BYTES_MAX} bytes or {HEADERS_MAX} fields")
}

fn protocol(error: &hyper::Error) -> Fault {
    let mut text = if error.is_incomplete_message() {
        "the connection was closed in the middle of the response".to_owned()
    } else if error.is_parse() && error.to_string().contains("too large") {
        too_large_a_head()
    } else {
        error.to_string()
    };
    // What `http-body` says where the connection ends inside a body of known length.
    if std::error::Error::source(error)
        .is_some_and(|cause| cause.to_string().contains("end of file before message length"))
    {
        text = "the connection was closed in the middle of the response".to_owned();
    }
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        let inner_text = inner_text.split(" (os error").next().unwrap_or(&inner_text).to_lowercase();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    Fault::Failed(EffectFailure::Protocol(text))
}

/// Where HTTP/2 runs its connection and streams; dropped with the effect, and every task with it. What they cost is
/// the effect's.
#[derive(Clone)]
struct Tasks {
    running: Arc<Mutex<JoinSet<()>>>,
    spent: Spawned,
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        let spent = self.spent.clone();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.spawn(async move {
            spent.run(task).await;
        });
    }
}

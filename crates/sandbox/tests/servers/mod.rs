//! Loopback servers for the integration tests: well-behaved, broken and hostile ones.
//!
//! This file owns what all of them share: the one background thread that runs every server, the handle that a test
//! holds ([`Target`]), and the log of what arrived. Tests need servers that lie, stall and reset, and they must be able
//! to prove what went over the wire, or that nothing did; no public server offers either.
//!
//! Starting a server is synchronous and works from any runtime or from none: the listener is bound when the call
//! returns. Dropping the handle closes the listener and every connection before the drop returns.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "test support: each test binary uses its own part, and a server that cannot start must fail the test"
)]

mod behaviour;
mod dns;
mod http1;
mod http2;
mod log;
mod tls;

use std::future::{Future, pending};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub use behaviour::Behaviour;
pub use dns::{Dns, Reply, dns};
pub use log::Captured;
use log::Log;
pub use tls::{Alpn, Identity, ca_der, ca_pem};

/// What a listener does with each connection.
#[derive(Clone)]
pub enum Kind {
    /// HTTP/1 in the clear.
    Http(Behaviour),
    /// HTTP over TLS: HTTP/2 when ALPN settled on it, HTTP/1 otherwise.
    Https(Behaviour, Identity, Alpn),
    /// Counts the connection and closes it: nothing is supposed to come here.
    Forbidden,
    /// Reads the TLS client's first message and never answers it.
    TlsHang,
    /// Answers the TLS client's first message with bytes that are not TLS.
    TlsGarbage,
}

/// Starts an HTTP/1 server on a free port of 127.0.0.1.
pub fn http(behaviour: Behaviour) -> Target {
    start(any_port(), Kind::Http(behaviour))
}

/// Starts an HTTPS server on a free port of 127.0.0.1.
///
/// # Panics
/// If `alpn` offers HTTP/2 and the behaviour cannot be had over it, see [`Behaviour::over_http2`].
pub fn https(behaviour: Behaviour, identity: Identity, alpn: Alpn) -> Target {
    start(any_port(), Kind::Https(behaviour, identity, alpn))
}

/// Starts a server that no one may reach; [`Target::connections`] tells whether someone did.
pub fn forbidden() -> Target {
    start(any_port(), Kind::Forbidden)
}

/// Starts a server that accepts and never answers the TLS handshake.
pub fn tls_hang() -> Target {
    start(any_port(), Kind::TlsHang)
}

/// Starts a server that answers the TLS handshake with noise.
pub fn tls_garbage() -> Target {
    start(any_port(), Kind::TlsGarbage)
}

/// Starts a server on a given address: `[::1]:0`, or 127.0.0.2 with the port of another target.
///
/// # Panics
/// If the address cannot be bound.
pub fn start(addr: SocketAddr, kind: Kind) -> Target {
    let listener = StdListener::bind(addr).expect("binds the listener");
    listener.set_nonblocking(true).expect("makes the listener non-blocking");
    let addr = listener.local_addr().expect("has a local address");
    let scheme = if matches!(kind, Kind::Http(_) | Kind::Forbidden) { "http" } else { "https" };
    let service = Arc::new(Service::new(kind));
    let log = Arc::clone(&service.log);
    let running = Running::spawn(|settle, alive| accept_all(listener, service, settle, alive));
    Target { addr, scheme, log, running }
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// A running server. Dropping it closes the listener and its connections.
pub struct Target {
    addr: SocketAddr,
    scheme: &'static str,
    log: Arc<Log>,
    running: Running,
}

impl Target {
    /// The address that the server listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The port that the server listens on.
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// The URL of a path (with its leading slash) at the server's address.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.addr)
    }

    /// The URL of a path at the server's port under another host name.
    pub fn url_with_host(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.scheme, self.port())
    }

    /// How many TCP connections arrived so far.
    ///
    /// Whatever waits in the listen queue is accepted first, so that 0 means that no client had connected when this was
    /// called, and not that the server had not looked yet.
    pub fn connections(&self) -> usize {
        self.running.settle();
        self.log.connections()
    }

    /// How many TLS handshakes were completed: 0 when the client refused the certificate.
    pub fn handshakes(&self) -> usize {
        self.log.handshakes()
    }

    /// The requests that arrived so far. A request is recorded when it is complete and before it is answered.
    pub fn requests(&self) -> Vec<Captured> {
        self.log.requests()
    }

    /// Blocks until `count` requests arrived and returns them: for servers that never answer.
    ///
    /// # Panics
    /// If they did not arrive within ten seconds.
    pub fn wait_for_requests(&self, count: usize) -> Vec<Captured> {
        self.log.wait_for_requests(count)
    }
}

/// The runtime that all servers share. Its thread lives as long as the test process.
fn runtime() -> &'static Handle {
    static RUNTIME: OnceLock<Handle> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let runtime = Builder::new_current_thread().enable_all().build().expect("builds the runtime");
        let handle = runtime.handle().clone();
        let run = move || runtime.block_on(pending::<()>());
        thread::Builder::new().name("test-servers".into()).spawn(run).expect("starts the thread");
        handle
    })
}

/// Held by every task of a server: when the last one is gone, so are its sockets.
type Alive = mpsc::Sender<()>;
/// Requests to take in what the kernel has queued; each is answered when that is done.
type Settle = UnboundedReceiver<mpsc::Sender<()>>;

/// A server's task on the shared thread.
struct Running {
    task: AbortHandle,
    settle: UnboundedSender<mpsc::Sender<()>>,
    ended: Mutex<mpsc::Receiver<()>>,
}

impl Running {
    const PATIENCE: Duration = Duration::from_secs(10);

    fn spawn<F>(make: impl FnOnce(Settle, Alive) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (settle, settle_requests) = unbounded_channel();
        let (alive, ended) = mpsc::channel();
        let task = runtime().spawn(make(settle_requests, alive)).abort_handle();
        Self { task, settle, ended: Mutex::new(ended) }
    }

    /// Returns when the server has taken in everything that had reached the kernel before the call.
    fn settle(&self) {
        let (done, wait) = mpsc::channel();
        self.settle.send(done).expect("the server runs");
        wait.recv_timeout(Self::PATIENCE).expect("the server settles");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
        let ended = self.ended.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        // Nothing is ever sent: this returns when the last task has dropped its sockets.
        let _ = ended.recv_timeout(Self::PATIENCE);
    }
}

/// What the connections of one listener share.
struct Service {
    kind: Kind,
    tls: Option<TlsAcceptor>,
    log: Arc<Log>,
}

impl Service {
    fn new(kind: Kind) -> Self {
        let tls = match &kind {
            Kind::Https(behaviour, identity, alpn) => {
                assert!(!alpn.offers_http2() || behaviour.over_http2(), "this behaviour is not written for HTTP/2");
                Some(TlsAcceptor::from(Arc::new(tls::server_config(*identity, *alpn))))
            }
            _ => None,
        };
        Self { kind, tls, log: Arc::default() }
    }

    async fn converse(&self, tcp: TcpStream) -> io::Result<()> {
        match &self.kind {
            Kind::Forbidden => Ok(()),
            Kind::Http(Behaviour::Reset) | Kind::Https(Behaviour::Reset, ..) => tcp.set_zero_linger(),
            Kind::Http(Behaviour::Close) | Kind::Https(Behaviour::Close, ..) => finish(tcp).await,
            Kind::Http(behaviour) => http1::serve(tcp, behaviour, &self.log, None).await,
            Kind::Https(behaviour, ..) => self.converse_over_tls(tcp, behaviour).await,
            Kind::TlsHang => hold(tcp).await,
            Kind::TlsGarbage => tls::answer_with_noise(tcp).await,
        }
    }

    async fn converse_over_tls(&self, tcp: TcpStream, behaviour: &Behaviour) -> io::Result<()> {
        let Some(acceptor) = &self.tls else { return Ok(()) };
        let stream = acceptor.accept(tcp).await?;
        self.log.count_handshake();
        let session = stream.get_ref().1;
        let server_name = session.server_name().map(String::from);
        if session.alpn_protocol() == Some(b"h2") {
            return http2::serve(stream, behaviour, &self.log, server_name).await;
        }
        http1::serve(stream, behaviour, &self.log, server_name).await
    }
}

async fn accept_all(listener: StdListener, service: Arc<Service>, mut settle: Settle, alive: Alive) {
    // The same socket twice: tokio's view waits, the plain one can be drained without waiting for readiness.
    let queue = listener.try_clone().expect("clones the listener");
    let listener = TcpListener::from_std(listener).expect("registers the listener");
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((tcp, _)) = accepted {
                    take_in(tcp, &service, &mut connections, &alive);
                }
            }
            Some(done) = settle.recv() => {
                while let Ok((tcp, _)) = queue.accept() {
                    tcp.set_nonblocking(true).expect("makes the stream non-blocking");
                    take_in(TcpStream::from_std(tcp).expect("registers it"), &service, &mut connections, &alive);
                }
                let _ = done.send(());
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

fn take_in(tcp: TcpStream, service: &Arc<Service>, connections: &mut JoinSet<()>, alive: &Alive) {
    service.log.count_connection();
    let (service, alive) = (Arc::clone(service), alive.clone());
    connections.spawn(async move {
        // A client that goes away, or refuses the certificate, is an ordinary end here.
        let _ = service.converse(tcp).await;
        drop(alive);
    });
}

/// A stream to a client, with the socket under it.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {
    /// The TCP socket that carries this stream.
    fn tcp(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Wire for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Says nothing more, and keeps the connection for as long as the client does.
async fn hold(mut wire: impl Wire) -> io::Result<()> {
    tokio::io::copy(&mut wire, &mut tokio::io::sink()).await.map(drop)
}

/// Ends the connection in order. Unread input would turn the FIN into a RST, so what still comes is read away.
async fn finish(mut wire: impl Wire) -> io::Result<()> {
    wire.shutdown().await?;
    hold(wire).await
}

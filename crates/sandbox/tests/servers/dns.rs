//! A name server that says what a test tells it to, over UDP and TCP on one loopback port.
//!
//! It answers as a recursive resolver would, and every record has a TTL of 0, so that a cache on the client's side does
//! not hide a change of mind.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as StdListener, UdpSocket as StdSocket};
use std::sync::{Arc, Mutex, MutexGuard};

use hickory_proto::op::{Edns, Message, Metadata, ResponseCode};
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::{Alive, Running, Settle};

/// What the server says about a name.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The addresses of the type that was asked for; none of them is an empty answer and no error.
    Addresses(Vec<IpAddr>),
    /// The same, but over UDP the answer is cut off and empty: the client must come back over TCP.
    Truncated(Vec<IpAddr>),
    /// Another reply for each query, the last one for good. A and AAAA count apart, so that the two queries of one
    /// look-up get the same step; a client's retransmission counts as a query.
    Sequence(Vec<Reply>),
    /// An alias. The chain is followed through the zone and answered in full; a circle is cut after eight.
    Cname(String),
    /// The name does not exist. This is also said of names that are not in the zone.
    NxDomain,
    /// The server failed.
    ServFail,
    /// No answer at all.
    Silent,
}

impl Reply {
    /// One address.
    pub fn address(address: impl Into<IpAddr>) -> Self {
        Self::Addresses(vec![address.into()])
    }
}

/// Starts a name server on a free port of 127.0.0.1. Names are without the final dot and in any case.
pub fn dns(zone: &[(&str, Reply)]) -> Dns {
    let (udp, tcp) = bind();
    let addr = udp.local_addr().expect("has a local address");
    let zone = zone.iter().map(|(name, reply)| (name.to_ascii_lowercase(), reply.clone())).collect();
    let state = Arc::new(State { zone, ..State::default() });
    let shared = Arc::clone(&state);
    let running = Running::spawn(|settle, alive| serve(udp, tcp, shared, settle, alive));
    Dns { addr, state, running }
}

/// Binds both protocols to one port.
fn bind() -> (StdSocket, StdListener) {
    let bound = std::iter::repeat_with(|| {
        let udp = StdSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let tcp = StdListener::bind(udp.local_addr()?)?;
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        Ok::<_, io::Error>((udp, tcp))
    });
    // The port that UDP got may be taken in TCP.
    bound.take(20).find_map(Result::ok).expect("binds the name server")
}

/// A running name server. Dropping it closes its sockets.
pub struct Dns {
    addr: SocketAddr,
    state: Arc<State>,
    running: Running,
}

impl Dns {
    /// The address that the server listens on, for UDP and TCP.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The name (lower case, no final dot) and the type of each query so far, over UDP and TCP.
    ///
    /// What waits in the UDP socket is read first: an empty list means that no one had asked when this was called.
    pub fn queries(&self) -> Vec<(String, String)> {
        self.running.settle();
        self.state.queries().iter().map(|(name, kind)| (name.clone(), kind.to_string())).collect()
    }
}

async fn serve(udp: StdSocket, tcp: StdListener, state: Arc<State>, mut settle: Settle, alive: Alive) {
    // The same socket twice: tokio's view waits, the plain one can be drained without waiting for readiness.
    let queue = udp.try_clone().expect("clones the socket");
    let udp = UdpSocket::from_std(udp).expect("registers the socket");
    let tcp = TcpListener::from_std(tcp).expect("registers the listener");
    let mut connections = JoinSet::new();
    let mut packet = vec![0; 65536];
    loop {
        let answer = |packet: &[u8], from| {
            if let Some(bytes) = state.answer(packet, false) {
                let _ = queue.send_to(&bytes, from);
            }
        };
        tokio::select! {
            received = udp.recv_from(&mut packet) => {
                if let Ok((size, from)) = received {
                    answer(packet.get(..size).unwrap_or_default(), from);
                }
            }
            Ok((stream, _)) = tcp.accept() => {
                let (state, alive) = (Arc::clone(&state), alive.clone());
                connections.spawn(async move {
                    // A client that goes away is an ordinary end.
                    let _ = serve_tcp(stream, &state).await;
                    drop(alive);
                });
            }
            Some(done) = settle.recv() => {
                while let Ok((size, from)) = queue.recv_from(&mut packet) {
                    answer(packet.get(..size).unwrap_or_default(), from);
                }
                let _ = done.send(());
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_tcp(mut stream: TcpStream, state: &State) -> io::Result<()> {
    loop {
        let mut query = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut query).await?;
        if let Some(answer) = state.answer(&query, true) {
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat()).await?;
        }
    }
}

#[derive(Default)]
struct State {
    zone: HashMap<String, Reply>,
    queries: Mutex<Vec<(String, RecordType)>>,
    /// How often each name was asked for each type: the steps of the sequences.
    steps: Mutex<HashMap<(String, RecordType), usize>>,
}

impl State {
    fn queries(&self) -> MutexGuard<'_, Vec<(String, RecordType)>> {
        self.queries.lock().expect("the log is sound")
    }

    /// The bytes to answer a query with, if it is to be answered.
    fn answer(&self, query: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
        let query = Message::from_vec(query).ok()?;
        let question = query.queries.first()?;
        self.queries().push((key(&question.name), question.query_type));
        let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
        answer.metadata = Metadata::response_from_request(&query.metadata);
        answer.metadata.recursion_available = true;
        answer.edns = query.edns.as_ref().map(|_| Edns::new());
        answer.add_query(question.clone());
        self.follow(question.name.clone(), question.query_type, over_tcp, &mut answer)?;
        let bytes = answer.to_vec().ok()?;
        let cut_off = !over_tcp && bytes.len() > usize::from(query.max_payload());
        if cut_off { answer.truncate().to_vec().ok() } else { Some(bytes) }
    }

    /// Follows a name through its aliases and fills the answer in. `None`: stay silent.
    fn follow(&self, mut owner: Name, kind: RecordType, over_tcp: bool, answer: &mut Message) -> Option<()> {
        for _ in 0..8 {
            match self.reply(&owner, kind) {
                Reply::Cname(target) => {
                    let target = Name::from_utf8(format!("{target}.")).ok()?;
                    answer.add_answer(Record::from_rdata(owner, 0, RData::CNAME(CNAME(target.clone()))));
                    owner = target;
                    continue;
                }
                Reply::Truncated(_) if !over_tcp => answer.metadata.truncation = true,
                Reply::Addresses(addresses) | Reply::Truncated(addresses) => {
                    let data = addresses.into_iter().map(RData::from).filter(|data| data.record_type() == kind);
                    answer.add_answers(data.map(|data| Record::from_rdata(owner.clone(), 0, data)));
                }
                Reply::ServFail => answer.metadata.response_code = ResponseCode::ServFail,
                Reply::Silent => return None,
                Reply::NxDomain | Reply::Sequence(_) => answer.metadata.response_code = ResponseCode::NXDomain,
            }
            break;
        }
        Some(())
    }

    /// What the zone says about a name now.
    fn reply(&self, name: &Name, kind: RecordType) -> Reply {
        let name = key(name);
        match self.zone.get(&name) {
            Some(Reply::Sequence(steps)) => {
                let mut counts = self.steps.lock().expect("the steps are sound");
                let count = counts.entry((name, kind)).or_default();
                let step = steps.get(*count).or(steps.last()).cloned();
                *count += 1;
                step.unwrap_or(Reply::NxDomain)
            }
            Some(reply) => reply.clone(),
            None => Reply::NxDomain,
        }
    }
}

fn key(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

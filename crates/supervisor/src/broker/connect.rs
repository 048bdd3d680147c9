//! A TCP connection to one of the judged addresses.
//!
//! Addresses are tried in alternating families, the next one starting when the one before failed or has been silent
//! for a quarter of a second (RFC 8305), never with more attempts open than the run may have connections.

use super::Fault;
use crate::gate::Judged;
use health_watch_capability::message::EffectFailure;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// RFC 8305 §5, "Connection Attempt Delay".
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to the first address that answers. Cancelling it drops every attempt.
pub(crate) async fn connect(judged: &Judged, at_once: u64) -> Result<(TcpStream, SocketAddr), Fault> {
    if let [only] = judged.addresses() {
        return dial(*only).await.map(|stream| (stream, *only)).map_err(|why| refused(&[why]));
    }
    race(alternate(judged.addresses()), usize::try_from(at_once).unwrap_or(usize::MAX)).await
}

async fn race(mut waiting: VecDeque<SocketAddr>, at_once: usize) -> Result<(TcpStream, SocketAddr), Fault> {
    let mut attempts: JoinSet<Result<(TcpStream, SocketAddr), String>> = JoinSet::new();
    let mut failures = Vec::new();
    loop {
        if attempts.len() < at_once
            && let Some(address) = waiting.pop_front()
        {
            attempts.spawn(async move { dial(address).await.map(|stream| (stream, address)) });
        }
        let next_may_start = !waiting.is_empty() && attempts.len() < at_once;
        tokio::select! {
            ended = attempts.join_next() => match ended {
                Some(Ok(Ok(connected))) => return Ok(connected),
                Some(Ok(Err(why))) => failures.push(why),
                Some(Err(panicked)) => failures.push(panicked.to_string()),
                None => return Err(refused(&failures)),
            },
            () = tokio::time::sleep(HEAD_START), if next_may_start => {}
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that connects, to an address the gate has judged")]
async fn dial(address: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| format!("{address}: {}", plain(&error)))?;
    // A probe's request is one small write; waiting to fill a segment would be measured as the target's latency.
    stream.set_nodelay(true).map_err(|error| format!("{address}: {error}"))?;
    Ok(stream)
}

fn refused(failures: &[String]) -> Fault {
    Fault::Failed(EffectFailure::Connect(failures.join("; ")))
}

/// The system's words without the number behind them.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    text.to_lowercase()
}

/// IPv6 and IPv4 in turn, the order within each kept, the family of the first address first.
fn alternate(addresses: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut these, mut those): (VecDeque<_>, VecDeque<_>) =
        addresses.iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut ordered = VecDeque::with_capacity(addresses.len());
    while let Some(address) = these.pop_front().or_else(|| those.pop_front()) {
        ordered.push_back(address);
        ordered.extend(those.pop_front());
    }
    ordered
}

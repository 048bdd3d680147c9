//! The bytes of one connection, counted and timed where they meet the network, below TLS.
//!
//! Budgets hold here: not one byte more is read or written than the run has left. A hostile peer can therefore cost
//! a run what its quota says and no more, whatever protocol is spoken above.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What went over the wire so far. Shared by the connection and whoever settles the effect.
#[derive(Clone, Debug)]
pub(crate) struct Wire(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    began: Instant,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    bytes_in_max: AtomicU64,
    bytes_out_max: AtomicU64,
    /// Nanoseconds after `began`.
    last_write: AtomicU64,
    /// The first read after the last write, nanoseconds after `began`; zero while there is none.
    first_read: AtomicU64,
    exhausted: OnceLock<Side>,
}

/// Which budget ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    In,
    Out,
}

impl Default for Wire {
    fn default() -> Self {
        Self(Arc::new(Counters {
            began: Instant::now(),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            bytes_in_max: AtomicU64::new(0),
            bytes_out_max: AtomicU64::new(0),
            last_write: AtomicU64::new(0),
            first_read: AtomicU64::new(0),
            exhausted: OnceLock::new(),
        }))
    }
}

impl Wire {
    /// Allows this many bytes in and out.
    pub(crate) fn allow(&self, bytes_in: u64, bytes_out: u64) {
        self.0.bytes_in_max.store(bytes_in, Relaxed);
        self.0.bytes_out_max.store(bytes_out, Relaxed);
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        self.0.bytes_in.load(Relaxed)
    }

    pub(crate) fn bytes_out(&self) -> u64 {
        self.0.bytes_out.load(Relaxed)
    }

    /// Which budget ran out, if one did.
    pub(crate) fn exhausted(&self) -> Option<Side> {
        self.0.exhausted.get().copied()
    }

    /// When the last byte was written, nanoseconds after the wire was made.
    pub(crate) fn last_write_ns(&self) -> u64 {
        self.0.last_write.load(Relaxed)
    }

    /// When the first byte after that was read, if one was.
    pub(crate) fn first_read_ns(&self) -> Option<u64> {
        Some(self.0.first_read.load(Relaxed)).filter(|at| *at > 0)
    }

    /// Nanoseconds since the wire was made.
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn wrote(&self, bytes: usize) {
        self.0.bytes_out.fetch_add(bytes as u64, Relaxed);
        self.0.last_write.store(self.now_ns(), Relaxed);
        self.0.first_read.store(0, Relaxed);
    }

    fn read(&self, bytes: usize) {
        self.0.bytes_in.fetch_add(bytes as u64, Relaxed);
        if bytes > 0 && self.0.first_read.load(Relaxed) == 0 {
            self.0.first_read.store(self.now_ns(), Relaxed);
        }
    }

    /// Forgets the last read, so that the next one counts as the first: what TLS read is no response.
    pub(crate) fn forget_reads(&self) {
        self.0.first_read.store(0, Relaxed);
        self.0.last_write.store(self.now_ns(), Relaxed);
    }

    fn run_out(&self, side: Side) -> io::Error {
        let _ = self.0.exhausted.set(side);
        io::Error::other("the run's byte budget is spent")
    }
}

/// A TCP stream whose bytes are counted.
pub(crate) struct Counted {
    stream: TcpStream,
    wire: Wire,
}

impl Counted {
    pub(crate) fn new(stream: TcpStream, wire: Wire) -> Self {
        Self { stream, wire }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.wire.0.bytes_in_max.load(Relaxed).saturating_sub(self.wire.bytes_in());
        let room = buffer.remaining().min(usize::try_from(left).unwrap_or(usize::MAX));
        if room == 0 && buffer.remaining() > 0 {
            return Poll::Ready(Err(self.wire.run_out(Side::In)));
        }
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
        std::task::ready!(Pin::new(&mut self.stream).poll_read(context, &mut part))?;
        let bytes = part.filled().len();
        buffer.advance(bytes);
        self.wire.read(bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let left = self.wire.0.bytes_out_max.load(Relaxed).saturating_sub(self.wire.bytes_out());
        let room = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if room == 0 && !bytes.is_empty() {
            return Poll::Ready(Err(self.wire.run_out(Side::Out)));
        }
        let part = bytes.get(..room).unwrap_or_default();
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(context, part))?;
        self.wire.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

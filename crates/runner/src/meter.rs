//! What a guest spends: CPU, time, memory. Every store gets these meters; there is no other way to make one.

use health_watch_capability::{Dimension, Excess, Limits};
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Instant;
use wasmtime::ResourceLimiter;

/// Elements of all tables together. The largest first-party guest needs a few hundred.
const TABLE_ELEMENTS_MAX: u64 = 20_000;

/// What a guest's meters read at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestBill {
    /// On-CPU time, microseconds; effects are not in it.
    pub cpu_us: u64,
    /// From start to end, microseconds.
    pub wall_us: u64,
    /// All linear memories together at their largest, bytes.
    pub memory_peak_bytes: u64,
}

/// On-CPU time of this thread, nanoseconds. Where the system has no such clock, elapsed time, which is never less.
#[cfg(unix)]
pub(crate) fn thread_cpu_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

#[cfg(not(unix))]
pub(crate) fn thread_cpu_ns() -> u64 {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// On-CPU time of one guest. Written by the thread that polls it; read by the epoch callback on that same thread.
#[derive(Debug, Default)]
pub(crate) struct CpuMeter {
    spent_ns: AtomicU64,
    /// The thread's clock when the current poll began.
    poll_began_ns: AtomicU64,
    /// Spent in effects, not by the guest.
    asked_ns: AtomicU64,
}

impl CpuMeter {
    /// What the guest has spent until now, the current poll included. Only valid inside a poll.
    pub(crate) fn now_ns(&self) -> u64 {
        let current = thread_cpu_ns().saturating_sub(self.poll_began_ns.load(Relaxed));
        (self.spent_ns.load(Relaxed) + current).saturating_sub(self.asked_ns.load(Relaxed))
    }

    /// What the guest has spent, after the last poll.
    pub(crate) fn total_ns(&self) -> u64 {
        self.spent_ns.load(Relaxed).saturating_sub(self.asked_ns.load(Relaxed))
    }
}

/// Polls a guest and adds what each poll cost.
pub(crate) struct Metered<F> {
    inner: F,
    meter: Arc<CpuMeter>,
}

impl<F: Future + Unpin> Metered<F> {
    pub(crate) fn new(inner: F, meter: Arc<CpuMeter>) -> Self {
        Self { inner, meter }
    }
}

impl<F: Future + Unpin> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let began = thread_cpu_ns();
        self.meter.poll_began_ns.store(began, Relaxed);
        let polled = Pin::new(&mut self.inner).poll(context);
        self.meter.spent_ns.fetch_add(thread_cpu_ns().saturating_sub(began), Relaxed);
        polled
    }
}

/// Polls an effect and takes what each poll cost off the guest's account.
pub(crate) struct OffAccount<F> {
    pub(crate) inner: F,
    pub(crate) meter: Arc<CpuMeter>,
}

impl<F: Future + Unpin> Future for OffAccount<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let began = thread_cpu_ns();
        let polled = Pin::new(&mut self.inner).poll(context);
        self.meter.asked_ns.fetch_add(thread_cpu_ns().saturating_sub(began), Relaxed);
        polled
    }
}

/// Sums what all memories and tables of a store hold. Wasmtime's own limiter counts each memory by itself, so a
/// component with two could have twice its limit.
#[derive(Debug)]
pub(crate) struct SpaceMeter {
    started: Instant,
    memory_bytes_max: u64,
    memory_bytes: u64,
    table_elements: u64,
    /// Why the store was refused something.
    pub(crate) excess: Option<Excess>,
}

impl SpaceMeter {
    pub(crate) fn new(limits: &Limits, started: Instant) -> Self {
        Self { started, memory_bytes_max: limits.memory_bytes, memory_bytes: 0, table_elements: 0, excess: None }
    }

    /// Memory never shrinks, so what is held now is the peak.
    pub(crate) fn memory_peak_bytes(&self) -> u64 {
        self.memory_bytes
    }

    fn refuse(&mut self, dimension: Dimension, limit: u64, used: u64) -> wasmtime::Result<bool> {
        let at_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let excess = self.excess.insert(Excess { dimension, limit, used, at_us });
        // An error, not `Ok(false)`: a guest that goes on after a failed `memory.grow` would end as a trap of its own
        // making, and nobody would learn that it was memory.
        Err(wasmtime::Error::msg(format!("over quota: {excess}")))
    }
}

impl ResourceLimiter for SpaceMeter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let used = self.memory_bytes.saturating_add(desired.saturating_sub(current) as u64);
        if used > self.memory_bytes_max {
            return self.refuse(Dimension::Memory, self.memory_bytes_max, used);
        }
        self.memory_bytes = used;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let used = self.table_elements.saturating_add(desired.saturating_sub(current) as u64);
        if used > TABLE_ELEMENTS_MAX {
            return self.refuse(Dimension::Table, TABLE_ELEMENTS_MAX, used);
        }
        self.table_elements = used;
        Ok(true)
    }
}

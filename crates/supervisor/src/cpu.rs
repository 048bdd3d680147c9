//! On-CPU time of effects: a future that adds up what its polls cost.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// On-CPU time of this thread, nanoseconds. Where the system has no such clock, elapsed time, which is never less.
#[cfg(unix)]
pub(crate) fn thread_cpu_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

#[cfg(not(unix))]
pub(crate) fn thread_cpu_ns() -> u64 {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Polls `inner` and adds the on-CPU time of each poll to `spent_ns`.
pub(crate) struct Metered<'a, F> {
    inner: Pin<Box<F>>,
    spent_ns: &'a mut u64,
}

impl<'a, F: Future> Metered<'a, F> {
    pub(crate) fn new(inner: F, spent_ns: &'a mut u64) -> Self {
        Self { inner: Box::pin(inner), spent_ns }
    }
}

impl<F: Future> Future for Metered<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let before = thread_cpu_ns();
        let polled = self.inner.as_mut().poll(context);
        *self.spent_ns += thread_cpu_ns().saturating_sub(before);
        polled
    }
}

//! On-CPU time of effects: a future that adds up what its polls cost.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
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

/// On-CPU time of tasks that an effect spawned; shared by them and whoever settles it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spawned(Arc<AtomicU64>);

impl Spawned {
    pub(crate) fn ns(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Polls `task` and adds what each poll costs.
    pub(crate) async fn run<F: Future>(self, task: F) -> F::Output {
        let mut task = std::pin::pin!(task);
        std::future::poll_fn(move |context| {
            let before = thread_cpu_ns();
            let polled = task.as_mut().poll(context);
            self.0.fetch_add(thread_cpu_ns().saturating_sub(before), Relaxed);
            polled
        })
        .await
    }
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

    /// The same, ending without a result once `inner` and what it spawned have taken `max_ns`. It is looked at between
    /// polls, and a poll handles what has arrived, so it overruns by that.
    pub(crate) async fn limited(inner: F, spent_ns: &'a mut u64, max_ns: u64, spawned: Spawned) -> Option<F::Output> {
        let mut metered = Self::new(inner, spent_ns);
        std::future::poll_fn(move |context| match Pin::new(&mut metered).poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if *metered.spent_ns + spawned.ns() > max_ns => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
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

//! One run: a fresh store, meters armed, the guest called, the store dropped.

use crate::convert;
use crate::engine::Runner;
use crate::guest::{Ended, Verdict};
use crate::host::{Host, bindings};
use crate::load::Loaded;
use crate::meter::{GuestBill, Metered};
use health_watch_capability::{Answer, Dimension, Excess, Limits, Request};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::{Store, Trap, UpdateDeadline};

/// Where a guest's requests go. In process it is a function call; between processes, a socket.
pub trait Seam: Send + 'static {
    /// Asks, and waits for the answer.
    fn ask(&mut self, request: Request) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>>;
}

/// Bytes that a guest may hand over in one call, strings and lists together; the largest body that may be sent, and
/// room for the rest.
const HOSTCALL_BYTES_MAX: usize = 2 << 20;

/// Handles that a guest may hold. The served interfaces have none.
const HANDLES_MAX: usize = 64;

impl Runner {
    /// Runs a probe once. `clock` says whether it may read the time. Whatever the guest does is an [`Ended`].
    ///
    /// # Errors
    /// We are broken: the engine says that an invariant of its own does not hold.
    pub async fn run(
        &self,
        probe: &Loaded,
        settings: &str,
        limits: &Limits,
        clock: bool,
        seam: Box<dyn Seam>,
        started: Instant,
    ) -> Result<Ended, String> {
        let Some(_slot) = self.slot().await else { return Err("the runner has stopped".to_owned()) };
        let _running = self.ticker.enter();
        let mut store = self.store(Host::new(seam, limits, clock, started));
        let meter = Arc::clone(&store.data().cpu);
        let deadline = started + Duration::from_millis(limits.wall_ms);
        let called = {
            let call = Box::pin(call(probe, &mut store, settings));
            tokio::time::timeout_at(deadline.into(), Metered::new(call, meter)).await
        };
        let verdict = match called {
            Ok(Ok(Ok(report))) => {
                let (report, measurements) = convert::report(report);
                measurements.into_iter().for_each(|measurement| store.data_mut().keep(measurement));
                Verdict::Reported(report)
            }
            Ok(Ok(Err(failure))) => Verdict::Failed(convert::guest_failure(failure)),
            Ok(Err(error)) => classify(&error, store.data(), limits)?,
            Err(_elapsed) => Verdict::OverQuota(over_wall(store.data(), limits)),
        };
        Ok(end(verdict, store))
    }

    /// The one place where a store is made: no path can lose a limit.
    fn store(&self, host: Host) -> Store<Host> {
        let mut store = Store::new(&self.engine, host);
        store.limiter(|host| &mut host.space);
        store.set_hostcall_fuel(HOSTCALL_BYTES_MAX);
        store.set_max_component_handles(HANDLES_MAX);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            let host = context.data_mut();
            let used_ns = host.cpu.now_ns();
            if used_ns <= host.cpu_ns_max {
                return Ok(UpdateDeadline::Yield(1));
            }
            let (limit, used) = (host.cpu_ns_max / 1_000_000, used_ns / 1_000_000);
            host.excess = Some(Excess { dimension: Dimension::Cpu, limit, used, at_us: host.elapsed_us() });
            Ok(UpdateDeadline::Interrupt)
        });
        store
    }
}

async fn call(
    probe: &Loaded,
    store: &mut Store<Host>,
    settings: &str,
) -> wasmtime::Result<Result<bindings::health_watch::probe::types::Report, bindings::health_watch::probe::types::Failure>>
{
    let instance = probe.pre.instantiate_async(&mut *store).await?;
    instance.call_check(store, settings).await
}

/// What an error of the engine means for the run.
fn classify(error: &wasmtime::Error, host: &Host, limits: &Limits) -> Result<Verdict, String> {
    if let Some(excess) = host.excess.as_ref().or(host.space.excess.as_ref()) {
        return Ok(Verdict::OverQuota(excess.clone()));
    }
    let at_us = host.elapsed_us();
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => {
            let limit = 256 << 10;
            return Ok(Verdict::OverQuota(Excess { dimension: Dimension::Stack, limit, used: limit + 1, at_us }));
        }
        Some(Trap::Interrupt) => {
            return Ok(Verdict::OverQuota(Excess {
                dimension: Dimension::Cpu,
                limit: limits.cpu_ms,
                used: limits.cpu_ms,
                at_us,
            }));
        }
        _ => {}
    }
    if error.is::<wasmtime::WasmtimeBug>() {
        return Err(format!("{error:#}"));
    }
    let text = format!("{:#}", error.root_cause());
    if text.contains("hostcall") && text.contains("fuel") {
        let limit = HOSTCALL_BYTES_MAX as u64;
        return Ok(Verdict::OverQuota(Excess { dimension: Dimension::HostMemory, limit, used: limit + 1, at_us }));
    }
    Ok(Verdict::Trapped(text))
}

fn over_wall(host: &Host, limits: &Limits) -> Excess {
    let at_us = host.elapsed_us();
    Excess { dimension: Dimension::Wall, limit: limits.wall_ms, used: at_us / 1000, at_us }
}

fn end(verdict: Verdict, store: Store<Host>) -> Ended {
    let host = store.into_data();
    let bill = GuestBill {
        cpu_us: host.cpu.total_ns() / 1000,
        wall_us: host.elapsed_us(),
        memory_peak_bytes: host.space.memory_peak_bytes(),
    };
    let count =
        |kind: &str, verdict: &str, count: u64| (count > 0).then(|| (kind.to_owned(), verdict.to_owned(), count));
    let calls = [
        count("log", "allowed", host.calls.log),
        count("log", "dropped", host.calls.log_dropped),
        count("measure", "allowed", host.calls.measure),
        count("measure", "dropped", host.calls.measure_dropped),
        count("now", if host.clock { "allowed" } else { "frozen" }, host.calls.now),
    ];
    Ended {
        verdict,
        measurements: host.measurements,
        log: host.log,
        calls: calls.into_iter().flatten().collect(),
        bill,
    }
}

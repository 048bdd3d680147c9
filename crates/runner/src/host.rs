//! Host functions. Each one either stays within the run (log, measure, the time) or asks across the seam.

use crate::convert;
use crate::guest::{LogLine, Measurement, cut};
use crate::meter::{CpuMeter, OffAccount, SpaceMeter};
use crate::run::Seam;
use bindings::health_watch::probe::{clock, grants, http, log, measure, secrets, types};
use health_watch_capability::{Answer, Denial, Excess, Limits, Reply, Request};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Engine, Result};

pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "probe",
        imports: {
            "health-watch:probe/http.send": async | trappable,
            "health-watch:probe/clock.sleep": async | trappable,
            "health-watch:probe/grants.granted": async | trappable,
            "health-watch:probe/grants.permits": async | trappable,
            "health-watch:probe/grants.narrow": async | trappable,
            "health-watch:probe/grants.ask": async | trappable,
            "health-watch:probe/secrets.names": async | trappable,
            default: trappable,
        },
        exports: { default: async },
    });
}

/// What the shortest line is charged.
const LOG_LINE_BYTES_MIN: usize = 64;

/// Bytes of one log message that are kept.
const LOG_MESSAGE_BYTES_MAX: usize = 4096;

/// What a store holds besides the guest.
pub(crate) struct Host {
    pub(crate) seam: Box<dyn Seam>,
    pub(crate) started: Instant,
    pub(crate) space: SpaceMeter,
    pub(crate) cpu: Arc<CpuMeter>,
    pub(crate) cpu_ns_max: u64,
    pub(crate) clock: bool,
    pub(crate) log: Vec<LogLine>,
    pub(crate) log_bytes_left: u64,
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) measurements_max: u64,
    pub(crate) calls: Calls,
    /// The limit that ended the run from inside a host function.
    pub(crate) excess: Option<Excess>,
}

/// Calls that never cross the seam, counted for the closing record.
#[derive(Default)]
pub(crate) struct Calls {
    pub(crate) log: u64,
    pub(crate) log_dropped: u64,
    pub(crate) measure: u64,
    pub(crate) measure_dropped: u64,
    pub(crate) now: u64,
}

impl Host {
    pub(crate) fn new(seam: Box<dyn Seam>, limits: &Limits, clock: bool, started: Instant) -> Self {
        Self {
            seam,
            started,
            space: SpaceMeter::new(limits, started),
            cpu: Arc::default(),
            cpu_ns_max: limits.cpu_ms * 1_000_000,
            clock,
            log: Vec::new(),
            log_bytes_left: limits.log_bytes,
            measurements: Vec::new(),
            measurements_max: limits.measurements,
            calls: Calls::default(),
            excess: None,
        }
    }

    pub(crate) fn elapsed_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Asks the other side. What it costs is not the guest's CPU time.
    async fn ask(&mut self, request: Request) -> Result<Answered> {
        let meter = Arc::clone(&self.cpu);
        let answer = OffAccount { inner: self.seam.ask(request), meter }.await;
        match answer {
            Answer::Reply(reply) => Ok(Answered::Reply(reply)),
            Answer::Denied(denial) => Ok(Answered::Denied(denial)),
            Answer::OverQuota(excess) => Ok(Answered::OverQuota(excess)),
            Answer::End(excess) => {
                let text = excess.to_string();
                self.excess = Some(excess);
                Err(wasmtime::Error::msg(format!("over quota: {text}")))
            }
        }
    }

    pub(crate) fn keep(&mut self, measurement: Measurement) {
        if measurement.is_valid() && (self.measurements.len() as u64) < self.measurements_max {
            self.measurements.push(measurement);
            self.calls.measure += 1;
        } else {
            self.calls.measure_dropped += 1;
        }
    }
}

/// An answer after which the guest goes on.
enum Answered {
    Reply(Reply),
    Denied(Denial),
    OverQuota(Excess),
}

impl Answered {
    /// The answer to a call that has an `effect-error`.
    fn effect<T>(self, unpack: impl FnOnce(Reply) -> Option<T>) -> Result<Result<T, types::EffectError>> {
        match self {
            Self::Reply(Reply::Failed(failure)) => Ok(Err(convert::failure(failure))),
            Self::Reply(reply) => unpack(reply).map(Ok).ok_or_else(out_of_step),
            Self::Denied(denial) => Ok(Err(types::EffectError::Denied(convert::denial(denial)))),
            Self::OverQuota(excess) => Ok(Err(types::EffectError::OverQuota(convert::excess(&excess)))),
        }
    }
}

/// The other side answered something else than was asked: our own fault, or a hostile supervisor's.
fn out_of_step() -> wasmtime::Error {
    wasmtime::Error::msg("the supervisor's answer does not fit the question")
}

impl types::Host for Host {}

impl http::Host for Host {
    async fn send(&mut self, request: http::Request) -> Result<Result<http::Response, types::EffectError>> {
        let answered = self.ask(Request::Http(Box::new(convert::request(request)))).await?;
        answered.effect(|reply| match reply {
            Reply::Http(response) => Some(convert::response(*response)),
            _ => None,
        })
    }
}

impl clock::Host for Host {
    #[expect(clippy::disallowed_methods, reason = "the clock that a grant opens")]
    fn now(&mut self) -> Result<clock::Instant> {
        self.calls.now += 1;
        if !self.clock {
            return Ok(clock::Instant { run_ms: 0, unix_ms: 0 });
        }
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(clock::Instant {
            run_ms: self.elapsed_us() / 1000,
            unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
        })
    }

    async fn sleep(&mut self, duration_ms: u32) -> Result<Result<(), types::EffectError>> {
        let answered = self.ask(Request::Sleep(duration_ms)).await?;
        answered.effect(|reply| matches!(reply, Reply::Slept).then_some(()))
    }
}

impl log::Host for Host {
    fn write(&mut self, level: log::Level, message: String) -> Result<()> {
        let message = cut(message, LOG_MESSAGE_BYTES_MAX);
        // What keeping a line costs besides its text; without it, short lines would be all but free.
        let cost = message.len().max(LOG_LINE_BYTES_MIN) as u64;
        if cost > self.log_bytes_left {
            self.calls.log_dropped += 1;
            return Ok(());
        }
        self.log_bytes_left -= cost;
        self.calls.log += 1;
        let at_us = self.elapsed_us();
        self.log.push(LogLine { at_us, level: convert::level(level).to_owned(), message });
        Ok(())
    }
}

impl measure::Host for Host {
    fn observe(&mut self, name: String, value: f64, unit: String) -> Result<()> {
        self.keep(Measurement { name, value, unit });
        Ok(())
    }
}

impl grants::Host for Host {
    async fn granted(&mut self) -> Result<Vec<grants::Rule>> {
        match self.ask(Request::Granted).await? {
            Answered::Reply(Reply::Rules(rules)) => Ok(convert::rules(rules)),
            _ => Err(out_of_step()),
        }
    }

    async fn permits(&mut self, method: String, url: String) -> Result<Result<(), types::Denial>> {
        match self.ask(Request::Permits { method, url }).await? {
            Answered::Reply(Reply::Permitted) => Ok(Ok(())),
            Answered::Reply(Reply::NotPermitted(denial)) | Answered::Denied(denial) => Ok(Err(convert::denial(denial))),
            _ => Err(out_of_step()),
        }
    }

    async fn narrow(&mut self, origins: Vec<String>) -> Result<Result<Vec<grants::Rule>, types::Denial>> {
        match self.ask(Request::Narrow(origins)).await? {
            Answered::Reply(Reply::Rules(rules)) => Ok(Ok(convert::rules(rules))),
            Answered::Denied(denial) => Ok(Err(convert::denial(denial))),
            _ => Err(out_of_step()),
        }
    }

    async fn ask(&mut self, origin: String, reason: String) -> Result<Result<(), types::Denial>> {
        match Self::ask(self, Request::Ask { origin, reason: cut(reason, 256) }).await? {
            Answered::Reply(Reply::Permitted) => Ok(Ok(())),
            Answered::Denied(denial) => Ok(Err(convert::denial(denial))),
            _ => Err(out_of_step()),
        }
    }
}

impl secrets::Host for Host {
    async fn names(&mut self) -> Result<Vec<String>> {
        match self.ask(Request::Secrets).await? {
            Answered::Reply(Reply::Names(names)) => Ok(names),
            _ => Err(out_of_step()),
        }
    }
}

/// The one linker: the served interfaces of the contract and nothing else. It is the same for every probe; what a
/// run may do with it is decided on the other side.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    types::add_to_linker::<Host, HasSelf<Host>>(&mut linker, |host| host)?;
    http::add_to_linker::<Host, HasSelf<Host>>(&mut linker, |host| host)?;
    clock::add_to_linker::<Host, HasSelf<Host>>(&mut linker, |host| host)?;
    log::add_to_linker::<Host, HasSelf<Host>>(&mut linker, |host| host)?;
    measure::add_to_linker::<Host, HasSelf<Host>>(&mut linker, |host| host)?;
    grants::add_to_linker::<Host, HasSelf<Host>>(&mut linker, |host| host)?;
    secrets::add_to_linker::<Host, HasSelf<Host>>(&mut linker, |host| host)?;
    Ok(linker)
}

//! The broker: effects. Each takes its destination from a permit, works against the permit's deadline and budgets,
//! and says what it did; none decides anything.

mod certificate;
mod connect;
mod http;
mod resolve;
mod tls;
mod wire;

use crate::config::{Config, StartError};
use crate::cpu::Metered;
use crate::gate::Permit;
use crate::secrets::Secrets;
use health_watch_capability::message::{EffectFailure, HttpResponse, Phases};
use health_watch_capability::{Denial, Dimension, HttpRequest};
use std::net::IpAddr;

/// Performs effects for all runs. It holds no connection, session ticket, cookie or name between two effects, so
/// nothing leaks from one run to another.
pub(crate) struct Broker {
    resolver: resolve::Resolver,
    tls: tls::Tls,
}

/// Why an effect has no result.
pub(crate) enum Fault {
    /// The target failed.
    Failed(EffectFailure),
    /// An address of the permitted name was refused.
    Denied(Denial),
    /// A budget ran out.
    OverQuota(Dimension),
}

/// What an HTTP effect did.
pub(crate) struct HttpDone {
    pub(crate) result: Result<HttpResponse, Fault>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) phases: Phases,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// All of its on-CPU time.
    pub(crate) cpu_ns: u64,
    /// The part of it that was spent in polls of the effect itself.
    pub(crate) polled_ns: u64,
}

impl HttpDone {
    /// How it ended, for the record.
    pub(crate) fn end(&self) -> String {
        match &self.result {
            Ok(response) => format!("status {}", response.status),
            Err(Fault::Failed(failure)) => failure.to_string(),
            Err(Fault::Denied(denial)) => format!("denied: {}", denial.reason),
            Err(Fault::OverQuota(dimension)) => format!("over quota: {dimension}"),
        }
    }
}

impl Broker {
    pub(crate) fn new(config: Config) -> Result<Self, StartError> {
        Ok(Self { resolver: resolve::Resolver::new(config.nameservers)?, tls: tls::Tls::new(config.roots) })
    }

    /// Sends a permitted request. Its CPU time is metered, TLS and name look-up included.
    pub(crate) async fn http(&self, permit: &Permit, request: HttpRequest, secrets: &Secrets) -> HttpDone {
        let mut polled_ns = 0;
        let mut trace = http::Trace::default();
        let spawned = trace.spawned.clone();
        let effect = http::perform(self, permit, request, secrets, &mut trace);
        let metered = Metered::limited(effect, &mut polled_ns, permit.cpu_ns_max(), spawned.clone());
        let result = match metered.await {
            Some(result) => result,
            None => Err(http::too_costly(permit)),
        };
        let cpu_ns = polled_ns + spawned.ns();
        HttpDone {
            result,
            address: trace.address,
            phases: trace.phases,
            bytes_in: trace.wire.bytes_in(),
            bytes_out: trace.wire.bytes_out(),
            cpu_ns,
            polled_ns,
        }
    }
}

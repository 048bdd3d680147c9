//! The gate: decide, charge, record the intent; then, and only then, hand out a permit.
//!
//! A [`Permit`] is proof of all three. Its fields are private to this module, it cannot be cloned, and the effect
//! that consumes it has no other way to learn a destination. Addresses go through the gate a second time: an effect
//! may dial a [`Judged`] list only, and only [`Permit::judge`] makes one.

use health_watch_audit::{Bill, Count, Event, Record, Recorder, Seq};
use health_watch_capability::{
    Allowed, Answer, Denial, DenialReason, Dimension, Excess, Grant, Host, HttpRequest, Limits, decide, decision,
    judge_address,
};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Entries that one run may leave.
const RECORDS_MAX: usize = 4096;

/// Decides, charges and records for one run.
pub(crate) struct Gate {
    grant: Arc<Grant>,
    started: Instant,
    recorder: Recorder,
    spent: Bill,
    calls: Vec<Count>,
    /// Intents whose effect has not ended.
    open: Vec<Seq>,
    /// Denials and countable limits met.
    refusals: u64,
    effect_cpu_ns: u64,
    decision_cpu_ns: u64,
}

/// Proof that an HTTP request was decided on, charged and recorded. Consumed by [`Gate::settle`].
pub(crate) struct Permit {
    allowed: Allowed,
    intent: Seq,
    grant: Arc<Grant>,
    began: Instant,
    deadline: Instant,
    bytes_in_left: u64,
    bytes_out_left: u64,
    connections: u64,
}

/// Addresses that were all judged and all allowed, with the port they may be dialled on. Not empty.
pub(crate) struct Judged(Vec<SocketAddr>);

impl Judged {
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.0
    }
}

impl Permit {
    /// What may be done.
    pub(crate) fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    /// When the effect must have ended.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// When it was permitted.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// What the effect was given, milliseconds.
    pub(crate) fn limit_ms(&self) -> u64 {
        millis(self.deadline.saturating_duration_since(self.began))
    }

    /// Bytes that may be read.
    pub(crate) fn bytes_in_left(&self) -> u64 {
        self.bytes_in_left
    }

    /// Bytes that may be written.
    pub(crate) fn bytes_out_left(&self) -> u64 {
        self.bytes_out_left
    }

    /// On-CPU time that the effect may take, nanoseconds: as much as the guest may in the whole run.
    pub(crate) fn cpu_ns_max(&self) -> u64 {
        self.grant.limits().cpu_ms * 1_000_000
    }

    /// Connections that may be open at once.
    pub(crate) fn connections(&self) -> u64 {
        self.connections
    }

    /// Judges every address that the permitted host has. One that is refused refuses them all: a name with one
    /// private address among public ones is a rebinding attack or a mistake, and either way not to be dialled.
    pub(crate) fn judge(&self, addresses: &[IpAddr]) -> Result<Judged, Denial> {
        let origin = &self.allowed.url.origin;
        let mut refused = addresses.iter().filter_map(|address| judge_address(&self.grant, origin, *address).err());
        if let Some(mut denial) = refused.next() {
            // One denial names every word that is missing, or an operator would meet them one by one.
            for other in refused.filter(|other| other.fix.starts_with("--allow ")) {
                let word = other.fix.split("   ").next().unwrap_or_default();
                denial.fix = format!("{word} {}", denial.fix);
            }
            return Err(denial);
        }
        // What is dialled is what was judged: an address inside an address is judged by the one inside.
        Ok(Judged(addresses.iter().map(|address| SocketAddr::new(address.to_canonical(), origin.port)).collect()))
    }

    /// The address that needs no look-up, where the host is one.
    pub(crate) fn literal(&self) -> Option<IpAddr> {
        match self.allowed.url.origin.host {
            Host::Address(address) => Some(address),
            Host::Name(_) => None,
        }
    }
}

/// How an effect ended, for the meters and the record.
pub(crate) struct Settlement {
    pub(crate) address: Option<IpAddr>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) cpu_us: u64,
    pub(crate) end: String,
}

impl Gate {
    pub(crate) fn open(grant: Arc<Grant>, started: Instant, opened: Event) -> Self {
        let mut recorder = Recorder::new(RECORDS_MAX);
        // An empty recorder has room for one entry.
        let _ = recorder.add(0, opened);
        Self {
            grant,
            started,
            recorder,
            spent: Bill::default(),
            calls: Vec::new(),
            open: Vec::new(),
            refusals: 0,
            effect_cpu_ns: 0,
            decision_cpu_ns: 0,
        }
    }

    pub(crate) fn grant(&self) -> &Arc<Grant> {
        &self.grant
    }

    /// Gives up every HTTP right but those for `origins`.
    pub(crate) fn narrow(&mut self, origins: &[health_watch_capability::Origin]) {
        self.grant = Arc::new(self.grant.narrowed(origins));
        self.count("narrow", "allowed");
    }

    /// Decides on an HTTP request.
    pub(crate) fn http(&mut self, request: &HttpRequest) -> Result<Permit, Answer> {
        let allowed = decide(&self.grant, request).map_err(|denial| self.deny("http", denial))?;
        self.charge_request(request)?;
        let intent = self.intend(request, &allowed)?;
        self.open.push(intent);
        self.spent.requests += 1;
        self.count("http", "allowed");
        let began = Instant::now();
        let limits = self.grant.limits();
        Ok(Permit {
            deadline: self.deadline(began, request.timeout_ms),
            began,
            intent,
            bytes_in_left: limits.bytes_in.saturating_sub(self.spent.bytes_in),
            bytes_out_left: limits.bytes_out.saturating_sub(self.spent.bytes_out),
            connections: limits.connections,
            grant: Arc::clone(&self.grant),
            allowed,
        })
    }

    fn charge_request(&mut self, request: &HttpRequest) -> Result<(), Answer> {
        let limits = self.grant.limits();
        let body = request.body.len() as u64;
        let now = Instant::now();
        let met = if self.spent.requests >= limits.requests {
            Dimension::Requests
        } else if limits.connections == 0 {
            Dimension::Connections
        } else if self.spent.bytes_in >= limits.bytes_in {
            Dimension::BytesIn
        } else if self.spent.bytes_out + body >= limits.bytes_out {
            Dimension::BytesOut
        } else if self.deadline(now, None) <= now {
            // The guest has used up the run: no time is left for the target, and it is not the target's fault.
            Dimension::Wall
        } else {
            return Ok(());
        };
        Err(self.over_quota("http", met))
    }

    fn intend(&mut self, request: &HttpRequest, allowed: &Allowed) -> Result<Seq, Answer> {
        let event = Event::Intent {
            // The path may hold what the operator would not want in a record; the origin is what was decided on.
            request: format!("{} {}", allowed.method, allowed.url.origin),
            rule: allowed.rule.clone(),
            secret: request.credential.as_ref().map(|credential| credential.secret().to_owned()),
        };
        let at = self.at_us();
        self.recorder.intend(at, event).map_err(|health_watch_audit::Full| self.record_full())
    }

    /// The moment by which an effect that begins now must have ended: its own limit, or a margin before the end of
    /// the run, in which the probe can still report.
    fn deadline(&self, now: Instant, timeout_ms: Option<u32>) -> Instant {
        let limits = self.grant.limits();
        let own = limits.effect_ms.min(timeout_ms.map_or(u64::MAX, u64::from));
        let run = Duration::from_millis(limits.wall_ms.saturating_sub(margin_ms(limits)));
        (now + Duration::from_millis(own)).min(self.started + run)
    }

    /// Records how a permitted effect ended, and charges what it took.
    pub(crate) fn settle(&mut self, permit: Permit, settlement: Settlement) {
        let Settlement { address, bytes_in, bytes_out, cpu_us, end } = settlement;
        self.spent.bytes_in += bytes_in;
        self.spent.bytes_out += bytes_out;
        self.open.retain(|open| *open != permit.intent);
        let intent = permit.intent.number();
        let at = self.at_us();
        self.recorder.settle(at, Event::Settled { intent, address, bytes_in, bytes_out, cpu_us, end });
    }

    /// Decides on a sleep: how long it may be at the most before the run ends it.
    pub(crate) fn sleep(&mut self, duration_ms: u32) -> Result<Duration, Answer> {
        let request = || format!("sleep {duration_ms} ms");
        let Some(clock) = self.grant.clock() else {
            let fix = format!("--allow clock={duration_ms}   (or in a policy: clock.maxSleepMs = {duration_ms})");
            let reason = DenialReason::CapabilityNotGranted;
            return Err(
                self.deny("sleep", Denial { reason, request: request(), rule: decision::DEFAULT_DENY.into(), fix })
            );
        };
        if duration_ms > clock.max_sleep_ms {
            let rule = format!("clock.maxSleepMs = {}", clock.max_sleep_ms);
            let fix = format!("--allow clock={duration_ms}   (or in a policy: clock.maxSleepMs = {duration_ms})");
            let reason = DenialReason::CapabilityNotGranted;
            return Err(self.deny("sleep", Denial { reason, request: request(), rule, fix }));
        }
        if self.spent.sleeps >= self.grant.limits().sleeps {
            return Err(self.over_quota("sleep", Dimension::Sleeps));
        }
        self.spent.sleeps += 1;
        self.count("sleep", "allowed");
        Ok(Duration::from_millis(u64::from(duration_ms)))
    }

    /// Bills an effect's CPU time.
    pub(crate) fn bill_effect(&mut self, cpu_ns: u64) {
        self.effect_cpu_ns += cpu_ns;
    }

    /// Charges what deciding and answering cost of this side's CPU: as much as the guest may use of its own.
    pub(crate) fn charge_decision(&mut self, cpu_ns: u64) -> Result<(), Answer> {
        self.decision_cpu_ns += cpu_ns;
        let (limit, used) = (self.grant.limits().cpu_ms, self.decision_cpu_ns / 1_000_000);
        if used < limit.max(1) {
            return Ok(());
        }
        Err(Answer::End(Excess { dimension: Dimension::Cpu, limit, used, at_us: self.at_us() }))
    }

    /// Records a refusal. The one that is too many ends the run, so that a flood cannot fill the record.
    pub(crate) fn deny(&mut self, kind: &str, denial: Denial) -> Answer {
        self.spent.denials += 1;
        self.count(kind, "denied");
        let at = self.at_us();
        let recorded = self.recorder.add(at, Event::Denied(denial.clone()));
        if let Some(end) = self.one_refusal_more(at) {
            return end;
        }
        match recorded {
            Ok(_) => Answer::Denied(denial),
            Err(health_watch_audit::Full) => self.record_full(),
        }
    }

    /// Denials and countable limits that were met, together: a guest that goes on after so many is ended.
    fn one_refusal_more(&mut self, at_us: u64) -> Option<Answer> {
        self.refusals += 1;
        let (limit, used) = (self.grant.limits().denials, self.refusals);
        (used > limit).then_some(Answer::End(Excess { dimension: Dimension::Denials, limit, used, at_us }))
    }

    fn record_full(&mut self) -> Answer {
        self.count("record", "denied");
        let at = self.at_us();
        if let Some(end) = self.one_refusal_more(at) {
            return end;
        }
        Answer::Denied(Denial {
            reason: DenialReason::RecordUnavailable,
            request: "another call".to_owned(),
            rule: format!("a run leaves at most {RECORDS_MAX} records"),
            fix: "let the probe make fewer calls".to_owned(),
        })
    }

    /// Records that a countable limit was met. What is said to have been used is one more than the limit, not the
    /// exact figure: bytes out would give away the length of a secret.
    pub(crate) fn over_quota(&mut self, kind: &str, dimension: Dimension) -> Answer {
        self.count(kind, "over-quota");
        let limit = self.limit(dimension);
        let excess = Excess { dimension, limit, used: limit + 1, at_us: self.at_us() };
        let recorded = self.recorder.add(excess.at_us, Event::OverQuota(excess.clone()));
        if let Some(end) = self.one_refusal_more(excess.at_us) {
            return end;
        }
        match recorded {
            Ok(_) => Answer::OverQuota(excess),
            Err(health_watch_audit::Full) => self.record_full(),
        }
    }

    fn limit(&self, dimension: Dimension) -> u64 {
        let limits = self.grant.limits();
        match dimension {
            Dimension::Wall => limits.wall_ms,
            Dimension::Requests => limits.requests,
            Dimension::Connections => limits.connections,
            Dimension::BytesIn => limits.bytes_in,
            Dimension::BytesOut => limits.bytes_out,
            Dimension::Sleeps => limits.sleeps,
            Dimension::Denials => limits.denials,
            _ => limits.cpu_ms,
        }
    }

    /// Counts a call that leaves no record of its own.
    pub(crate) fn count(&mut self, kind: &str, verdict: &str) {
        match self.calls.iter_mut().find(|count| count.kind == kind && count.verdict == verdict) {
            Some(count) => count.count += 1,
            None => self.calls.push(Count { kind: kind.to_owned(), verdict: verdict.to_owned(), count: 1 }),
        }
    }

    /// Writes the closing record. `guest` holds what the runner measured, `calls` what it counted.
    pub(crate) fn close(mut self, end: &str, guest: Bill, calls: Vec<Count>) -> (Vec<Record>, Bill) {
        let bill = Bill {
            effect_cpu_us: (self.effect_cpu_ns + self.decision_cpu_ns) / 1000,
            requests: self.spent.requests,
            bytes_in: self.spent.bytes_in,
            bytes_out: self.spent.bytes_out,
            sleeps: self.spent.sleeps,
            denials: self.spent.denials,
            ..guest
        };
        let at = self.at_us();
        for intent in std::mem::take(&mut self.open) {
            // The run was ended while the effect went on: what it moved until then is not known.
            let end = "cut off by the end of the run".to_owned();
            let cut =
                Event::Settled { intent: intent.number(), address: None, bytes_in: 0, bytes_out: 0, cpu_us: 0, end };
            self.recorder.settle(at, cut);
        }
        self.calls.extend(calls);
        let closed = Event::Closed { end: end.to_owned(), calls: self.calls, bill };
        (self.recorder.close(at, closed), bill)
    }

    pub(crate) fn at_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What is kept of a run's wall time for the probe's report: a tenth, at most a quarter of a second.
fn margin_ms(limits: &Limits) -> u64 {
    (limits.wall_ms / 10).min(250)
}

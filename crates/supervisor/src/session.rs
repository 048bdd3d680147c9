//! A session: the supervisor's side of one run.

use crate::broker::Broker;
use crate::config::{Config, StartError};
use crate::cpu::Metered;
use crate::gate::{Gate, Permit, Settlement};
use crate::secrets::Secrets;
use health_watch_audit::{Bill, Count, Event, Record};
use health_watch_capability::decision::decide_target;
use health_watch_capability::message::{Peer, Phases};
use health_watch_capability::{Answer, Denial, DenialReason, Grant, HttpRequest, Origin, Reply, Request};
use std::sync::Arc;
use std::time::Instant;

/// Origins that one call may narrow to.
const NARROW_ORIGINS_MAX: usize = 64;

/// Decides and performs for many runs.
pub struct Supervisor {
    broker: Broker,
}

/// What a run begins with.
pub struct Opening {
    /// What it may do.
    pub grant: Arc<Grant>,
    /// What it may use.
    pub secrets: Arc<Secrets>,
    /// SHA-256 of the component, hexadecimal.
    pub probe_digest: Arc<str>,
    /// SHA-256 of the grant, hexadecimal.
    pub grant_digest: Arc<str>,
    /// When it began.
    pub started: Instant,
}

/// What the runner says at the end of a run.
#[derive(Debug, Default)]
pub struct Closing {
    /// One word: `reported`, `failed`, `trapped`, `over-quota`.
    pub end: &'static str,
    /// What the guest's own meters read.
    pub guest: Bill,
    /// Calls that never crossed the seam.
    pub calls: Vec<Count>,
}

/// What is left of a run.
#[derive(Debug)]
pub struct Transcript {
    /// Every entry, in order.
    pub records: Vec<Record>,
    /// What it cost.
    pub bill: Bill,
    /// Every refusal.
    pub denials: Vec<Denial>,
    /// Every effect that named a destination, as measured on this side.
    pub effects: Vec<Effect>,
}

/// What an effect did, as measured on this side: a guest cannot lie about it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// Method and URL, without the query.
    pub request: String,
    /// How it ended.
    pub end: String,
    /// How long each phase took.
    pub phases: Phases,
    /// Who answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<Peer>,
}

/// The supervisor's side of one run.
pub struct Session {
    supervisor: Arc<Supervisor>,
    gate: Gate,
    secrets: Arc<Secrets>,
    denials: Vec<Denial>,
    effects: Vec<Effect>,
    /// What effects took of CPU time inside the polls of [`Session::ask`].
    effects_cpu_ns: u64,
}

impl Supervisor {
    /// Makes a supervisor. Certificate authorities are read at the first encrypted connection.
    ///
    /// # Errors
    /// The system's resolver configuration cannot be read.
    pub fn new(config: Config) -> Result<Self, StartError> {
        Ok(Self { broker: Broker::new(config)? })
    }

    /// Begins a run.
    #[must_use]
    pub fn open(self: &Arc<Self>, opening: Opening) -> Session {
        let opened = Event::Opened { probe: opening.probe_digest, grant: opening.grant_digest };
        let gate = Gate::open(opening.grant, opening.started, opened);
        Session {
            supervisor: Arc::clone(self),
            gate,
            secrets: opening.secrets,
            denials: Vec::new(),
            effects: Vec::new(),
            effects_cpu_ns: 0,
        }
    }
}

impl Session {
    /// Decides on a request and, where it is permitted, performs it. What deciding and answering costs of this side's
    /// CPU is charged: a guest that only ever asks is ended when it has used up as much of ours as it may of its own.
    pub async fn ask(&mut self, request: Request) -> Answer {
        if let Err(end) = self.gate.charge_decision(0) {
            return end;
        }
        let mut cpu_ns = 0;
        let effects_before = self.effects_cpu_ns;
        let answer = Metered::new(self.answer(request), &mut cpu_ns).await;
        let effect_ns = self.effects_cpu_ns - effects_before;
        // The answer stands; whether there may be another is asked next time.
        let _ = self.gate.charge_decision(cpu_ns.saturating_sub(effect_ns));
        if let Answer::Denied(denial) = &answer {
            self.denials.push(denial.clone());
        }
        answer
    }

    async fn answer(&mut self, request: Request) -> Answer {
        match request {
            Request::Http(request) => self.http(*request).await,
            Request::Sleep(duration_ms) => self.sleep(duration_ms).await,
            Request::Secrets => {
                self.gate.count("secrets", "allowed");
                Answer::Reply(Reply::Names(self.gate.grant().secret_names().map(str::to_owned).collect()))
            }
            Request::Granted => {
                self.gate.count("granted", "allowed");
                Answer::Reply(Reply::Rules(self.gate.grant().rules()))
            }
            Request::Permits { method, url } => self.permits(&method, &url),
            Request::Narrow(origins) => self.narrow(&origins),
            Request::Ask { origin, .. } => self.nobody_to_ask(&origin),
        }
    }

    /// Ends the run.
    #[must_use]
    pub fn close(self, closing: Closing) -> Transcript {
        let (records, bill) = self.gate.close(closing.end, closing.guest, closing.calls);
        Transcript { records, bill, denials: self.denials, effects: self.effects }
    }

    async fn http(&mut self, request: HttpRequest) -> Answer {
        let permit = match self.gate.http(&request) {
            Ok(permit) => permit,
            Err(answer) => return answer,
        };
        let done = self.supervisor.broker.http(&permit, request, &self.secrets).await;
        let end = done.end();
        self.effects.push(Effect {
            request: without_query(&permit),
            end: end.clone(),
            phases: done.phases,
            peer: done.result.as_ref().ok().map(|response| response.peer.clone()),
        });
        let settlement = Settlement {
            address: done.address,
            bytes_in: done.bytes_in,
            bytes_out: done.bytes_out,
            cpu_us: done.cpu_ns / 1000,
            end,
        };
        self.effects_cpu_ns += done.polled_ns;
        self.gate.bill_effect(done.cpu_ns);
        self.gate.settle(permit, settlement);
        match done.result {
            Ok(response) => Answer::Reply(Reply::Http(Box::new(response))),
            Err(crate::broker::Fault::Failed(failure)) => Answer::Reply(Reply::Failed(failure)),
            Err(crate::broker::Fault::Denied(denial)) => {
                let kind = if denial.reason == DenialReason::AddressNotGranted { "address" } else { "http" };
                self.gate.deny(kind, denial)
            }
            Err(crate::broker::Fault::OverQuota(dimension)) => self.gate.over_quota("http", dimension),
        }
    }

    async fn sleep(&mut self, duration_ms: u32) -> Answer {
        match self.gate.sleep(duration_ms) {
            Ok(duration) => {
                tokio::time::sleep(duration).await;
                Answer::Reply(Reply::Slept)
            }
            Err(answer) => answer,
        }
    }

    /// A question about the rules is no use of them, so its answer is counted but is no denial of the run.
    fn permits(&mut self, method: &str, url: &str) -> Answer {
        self.gate.count("permits", "allowed");
        match decide_target(self.gate.grant(), method, url) {
            Ok(_) => Answer::Reply(Reply::Permitted),
            Err(denial) => Answer::Reply(Reply::NotPermitted(denial)),
        }
    }

    fn narrow(&mut self, origins: &[String]) -> Answer {
        if origins.len() > NARROW_ORIGINS_MAX {
            let rule = format!("one call names at most {NARROW_ORIGINS_MAX} origins");
            let fix = "name fewer origins".to_owned();
            return self
                .gate
                .deny("narrow", Denial { reason: DenialReason::Spelling, request: "narrow".into(), rule, fix });
        }
        let parsed: Result<Vec<Origin>, _> = origins.iter().map(|origin| origin.parse()).collect();
        match parsed {
            Ok(origins) => {
                self.gate.narrow(&origins);
                Answer::Reply(Reply::Rules(self.gate.grant().rules()))
            }
            Err(fault) => {
                let reason = DenialReason::Spelling;
                let fix = fault
                    .suggestion
                    .clone()
                    .map_or_else(|| "write `scheme://host:port`".into(), |meant| format!("write `{meant}`"));
                self.gate.deny("narrow", Denial { reason, request: "narrow".into(), rule: fault.to_string(), fix })
            }
        }
    }

    fn nobody_to_ask(&mut self, origin: &str) -> Answer {
        let request = match origin.parse::<Origin>() {
            Ok(origin) => format!("ask for {origin}"),
            Err(_) => "ask for something that is not an origin".to_owned(),
        };
        let fix = "grant it beforehand; nobody can be asked during a run".to_owned();
        self.gate.deny(
            "ask",
            Denial { reason: DenialReason::NobodyToAsk, request, rule: "no consent at run time".into(), fix },
        )
    }
}

/// A query may hold what should not be kept.
fn without_query(permit: &Permit) -> String {
    let allowed = permit.allowed();
    let path = allowed.url.target.split('?').next().unwrap_or_default();
    format!("{} {}{path}", allowed.method, allowed.url.origin)
}

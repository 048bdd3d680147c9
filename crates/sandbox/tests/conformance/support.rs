//! A case: a probe, its settings and what is allowed; and how to run it through a join.

use crate::servers;
use health_watch_capability::Policy;
use health_watch_capability::policy::SecretUse;
use health_watch_sandbox::{Config, Join, Outcome, PrepareError, Roots, Sandbox, Secret, SupervisorConfig};
use health_watch_sandbox::{Nameservers, RunnerConfig};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;

pub(crate) const HTTP: &[u8] = include_bytes!("../../../../guests/dist/http.wasm");
pub(crate) const HOSTILE: &[u8] = include_bytes!("../../../../guests/dist/hostile.wasm");
pub(crate) const EMPTY: &[u8] = include_bytes!("../../../../guests/dist/empty.wasm");

/// Runs `test` once per join.
pub(crate) fn on_both(test: impl Fn(Join)) {
    test(Join::InProcess);
    test(Join::Process(PathBuf::from(env!("CARGO_BIN_EXE_health-watch-runner"))));
}

/// One channel.
pub(crate) struct Case {
    probe: &'static [u8],
    settings: Value,
    allow: Policy,
    ceiling: Option<Policy>,
    secrets: Vec<(String, Secret)>,
    dns: Vec<SocketAddr>,
}

impl Case {
    pub(crate) fn new(probe: &'static [u8], settings: Value) -> Self {
        // Unless a test says otherwise nobody answers for names: no test asks the network.
        let dns = vec!["127.0.0.1:9".parse().unwrap()];
        Self { probe, settings, allow: Policy::default(), ceiling: None, secrets: Vec::new(), dns }
    }

    /// The HTTP probe against `url`.
    pub(crate) fn http(url: &str) -> Self {
        Self::new(HTTP, json!({ "url": url }))
    }

    /// The hostile guest. `url` is what its channel is for; it is all that is allowed.
    pub(crate) fn hostile(attack: &str, url: &str) -> Self {
        Self::new(HOSTILE, json!({ "attack": attack, "url": url }))
    }

    pub(crate) fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.settings[key] = value.into();
        self
    }

    pub(crate) fn allow(mut self, word: &str) -> Self {
        self.allow = self.allow.join(Policy::from_word(word).unwrap());
        self
    }

    /// A policy in the client's JSON.
    pub(crate) fn policy(mut self, policy: &Value) -> Self {
        self.allow = Policy::from_json(&policy.to_string()).unwrap().join(self.allow);
        self
    }

    pub(crate) fn ceiling(mut self, policy: &Value) -> Self {
        self.ceiling = Some(Policy::from_json(&policy.to_string()).unwrap());
        self
    }

    pub(crate) fn secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.push((name.to_owned(), Secret::new(value.to_owned())));
        self.allow
            .secrets
            .entry(name.to_owned())
            .or_insert_with(|| SecretUse { where_settings_point: true, ..SecretUse::default() });
        self
    }

    pub(crate) fn dns(mut self, server: SocketAddr) -> Self {
        self.dns = vec![server];
        self
    }

    pub(crate) fn sandbox(&self, join: &Join) -> Sandbox {
        let cache = Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compiled"));
        let roots = Roots::Only(vec![servers::ca_der()]);
        let supervisor = SupervisorConfig { nameservers: Nameservers::Only(self.dns.clone()), roots };
        Sandbox::new(Config { runner: RunnerConfig { slots: 4 }, supervisor, cache, join: join.clone() }).unwrap()
    }

    pub(crate) fn refused(&self, join: &Join) -> PrepareError {
        block_on(async {
            let sandbox = self.sandbox(join);
            let probe = sandbox.load(self.probe, None).unwrap();
            let prepared = sandbox.prepare(&probe, &self.settings, self.ceiling.as_ref(), &self.allow, self.secrets());
            prepared.err().expect("a refusal")
        })
    }

    fn secrets(&self) -> health_watch_sandbox::Secrets {
        self.secrets.iter().cloned().collect()
    }

    /// Runs it once.
    pub(crate) fn run(&self, join: &Join) -> Outcome {
        block_on(async { self.run_in(&self.sandbox(join)).await })
    }

    pub(crate) async fn run_in(&self, sandbox: &Sandbox) -> Outcome {
        let probe = sandbox.load(self.probe, None).unwrap();
        let prepared = sandbox.prepare(&probe, &self.settings, self.ceiling.as_ref(), &self.allow, self.secrets());
        let prepared = prepared.unwrap_or_else(|error| panic!("{error}"));
        sandbox.run(&prepared).await.unwrap()
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The report's message, or what stands in its place.
pub(crate) fn message(outcome: &Outcome) -> String {
    use health_watch_sandbox::{Ending, Failure};
    match &outcome.ending {
        Ending::Reported(report) => report.message.clone(),
        Ending::Failed { failure: Failure::InvalidSettings(why) | Failure::Internal(why) } => why.clone(),
        Ending::Trapped { trap } => trap.clone(),
        Ending::OverQuota(excess) => excess.to_string(),
    }
}

/// Status and cause in one text.
pub(crate) fn verdict(outcome: &Outcome) -> String {
    match &outcome.cause {
        Some(cause) => format!("{} ({cause})", outcome.status),
        None => outcome.status.to_string(),
    }
}

#[track_caller]
pub(crate) fn assert_outcome(name: &str, join: &Join, outcome: &Outcome, expected: &str, said: &str) {
    let (verdict, message) = (verdict(outcome), message(outcome));
    assert_eq!(verdict, expected, "{name} through {join:?}: {message}");
    assert!(message.contains(said), "{name} through {join:?} says `{message}`, not `{said}`");
}

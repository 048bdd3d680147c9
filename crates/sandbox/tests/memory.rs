//! Memory is flat: endless bodies, garbage and huge heads, many times over, leave nothing behind.
//!
//! A process of its own, so that no other test's memory is counted.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test, which reads the kernel's count of its memory"
)]

mod servers;

use health_watch_capability::Policy;
use health_watch_sandbox::{Config, Prepared, Sandbox, Secrets};
use serde_json::json;
use servers::{Behaviour, Target};

const HTTP: &[u8] = include_bytes!("../../../guests/dist/http.wasm");

/// Rounds before memory is looked at, and after.
const WARM_UP: usize = 20;
const ROUNDS: usize = 100;

/// Far below what one kept body or stack per run would add.
const GROWTH_KIB_MAX: u64 = 8 << 10;

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn memory_is_flat() {
    let hostile =
        [Behaviour::EndlessBody, Behaviour::Garbage, Behaviour::HugeHeader(1 << 20), Behaviour::EndlessHeaders];
    let targets: Vec<Target> = hostile.into_iter().map(servers::http).collect();
    let sandbox = Sandbox::new(Config::default()).unwrap();
    let probe = sandbox.load(HTTP, None).unwrap();
    let prepare = |target: &Target| -> Prepared {
        sandbox
            .prepare(&probe, &json!({ "url": target.url("/") }), None, &Policy::default(), Secrets::default())
            .unwrap()
    };
    let channels: Vec<Prepared> = targets.iter().map(prepare).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let round = || {
        runtime.block_on(async {
            for channel in &channels {
                sandbox.run(channel).await.expect("an outcome");
            }
        });
    };
    (0..WARM_UP).for_each(|_| round());
    let before = resident_kib();
    (0..ROUNDS).for_each(|_| round());
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < GROWTH_KIB_MAX, "resident memory grew by {grown} KiB over {} runs", ROUNDS * channels.len());
}

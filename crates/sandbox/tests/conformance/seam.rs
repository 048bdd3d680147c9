//! The socket between the two sides, when one of them misbehaves.

use crate::servers::{self, Behaviour};
use crate::support::{Case, assert_outcome, block_on, on_both};
use health_watch_capability::Policy;
use health_watch_sandbox::{Config, Join, Sandbox, Secrets};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::JoinSet;

fn sandbox(program: &str) -> Result<Sandbox, String> {
    Sandbox::new(Config { join: Join::Process(PathBuf::from(program)), ..Config::default() })
        .map_err(|error| error.to_string())
}

#[test]
fn a_runner_that_cannot_start_is_our_fault_and_says_so() {
    block_on(async {
        let error = sandbox("/nonexistent/runner").err().unwrap();
        assert!(error.contains("/nonexistent/runner"), "{error}");
    });
}

/// A process that ends at once, and one that never answers: every run says that we are broken, none hangs.
#[test]
fn a_runner_that_dies_or_is_silent_ends_its_runs() {
    let short = Policy::from_json(r#"{"resources":{"maxWallTimeMs":100}}"#).unwrap();
    for (program, said) in [("/bin/true", "gone"), ("/bin/cat", "killed")] {
        block_on(async {
            let sandbox = sandbox(program).unwrap();
            let probe = sandbox.load(crate::support::EMPTY, None).unwrap();
            let prepared = sandbox.prepare(&probe, &json!({}), None, &short, Secrets::default()).unwrap();
            let error = sandbox.run(&prepared).await.expect_err("an error");
            assert!(error.to_string().contains(said), "{program}: {error}");
            let error = sandbox.run(&prepared).await.expect_err("the next run knows");
            assert!(error.to_string().contains("gone"), "{program}: {error}");
        });
    }
}

#[test]
fn many_runs_share_one_socket() {
    on_both(|join| {
        let target = servers::http(Behaviour::ok());
        let url = target.url("/");
        block_on(async {
            let sandbox = Arc::new(Case::http(&url).sandbox(&join));
            let mut runs = JoinSet::new();
            for _ in 0..16 {
                let (sandbox, url) = (Arc::clone(&sandbox), url.clone());
                runs.spawn(async move { Case::http(&url).run_in(&sandbox).await });
            }
            for outcome in runs.join_all().await {
                assert_outcome("one of many", &join, &outcome, "up", "200 OK");
            }
        });
        assert_eq!(target.connections(), 16);
    });
}

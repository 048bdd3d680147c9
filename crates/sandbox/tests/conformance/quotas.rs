//! A guest that takes too much is stopped by exactly the limit it attacks, and the next one runs well.

use crate::servers::{self, Behaviour};
use crate::support::{Case, HOSTILE, assert_outcome, block_on, message, on_both, verdict};
use health_watch_capability::{DenialReason, Dimension};
use health_watch_sandbox::{Ending, Outcome};
use serde_json::{Value, json};

const NOWHERE: &str = "http://127.0.0.1:9/";

#[track_caller]
fn assert_over(outcome: &Outcome, dimension: Dimension) {
    let Ending::OverQuota(excess) = &outcome.ending else { panic!("{:?}", outcome.ending) };
    assert_eq!(excess.dimension, dimension);
    assert!(excess.used >= excess.limit, "{excess:?}");
    assert_eq!(verdict(outcome), format!("unknown (over quota: {dimension})"));
}

/// `case` is stopped by `dimension`; in the same sandbox a good guest is then up.
#[track_caller]
fn stopped(case: &Case, dimension: Dimension) {
    on_both(|join| {
        block_on(async {
            let sandbox = case.sandbox(&join);
            assert_over(&case.run_in(&sandbox).await, dimension);
            let next = Case::hostile("good", NOWHERE).run_in(&sandbox).await;
            assert_outcome("the next guest", &join, &next, "up", "fine");
        });
    });
}

fn attack(name: &str) -> Case {
    Case::hostile(name, NOWHERE)
}

#[test]
fn cpu() {
    stopped(&attack("spin"), Dimension::Cpu);
    stopped(&attack("fill").set("times", 1_000_000), Dimension::Cpu);
}

#[test]
fn a_lower_limit_stops_earlier() {
    on_both(|join| {
        let spent = |limit: u64| {
            let outcome = attack("spin").policy(&json!({ "resources": { "maxCpuTimeMs": limit } })).run(&join);
            assert_over(&outcome, Dimension::Cpu);
            assert!(outcome.bill.guest_cpu_us >= limit * 1000, "stopped before its limit: {:?}", outcome.bill);
            outcome.bill.guest_cpu_us
        };
        assert!(spent(5) < spent(500));
    });
}

/// The guest's own stalling is not the target's fault.
#[test]
fn wall() {
    let limits = json!({ "resources": { "maxWallTimeMs": 200 }, "clock": { "maxSleepMs": 60_000 } });
    stopped(&attack("sleep").set("sleep_ms", 60_000).policy(&limits), Dimension::Wall);
}

#[test]
fn memory() {
    stopped(&attack("grow"), Dimension::Memory);
    stopped(&attack("grow").policy(&json!({ "resources": { "maxMemoryMB": 1 } })), Dimension::Memory);
}

#[test]
fn stack() {
    stopped(&attack("recurse"), Dimension::Stack);
}

#[test]
fn denials() {
    let case = attack("request").set("attack_url", "http://127.0.0.2:9/").set("times", 10_000);
    stopped(&case, Dimension::Denials);
}

/// Calls that cost the guest little and the other side much: what they cost is metered on that side.
#[test]
fn the_other_sides_work_is_metered() {
    on_both(|join| {
        let outcome = attack("ask_flood").policy(&json!({ "resources": { "maxCpuTimeMs": 20 } })).run(&join);
        assert_over(&outcome, Dimension::Cpu);
    });
}

/// Rights that are narrowed many times over do not multiply, and a head has only so many fields.
#[test]
fn floods_within_one_call_end() {
    on_both(|join| {
        let origins = json!([NOWHERE.trim_end_matches('/')]);
        let outcome = attack("narrow_flood").set("origins", origins).set("times", 50).run(&join);
        assert_outcome("narrow", &join, &outcome, "up", "1 rights");
        let slow = json!({ "resources": { "maxCpuTimeMs": 5000 } });
        let outcome = attack("header_flood").set("attack_url", NOWHERE).policy(&slow).run(&join);
        assert_eq!(outcome.denials[0].reason, DenialReason::Spelling, "{}", message(&outcome));
    });
}

/// One call with more than any call may carry: refused before the host has copied it.
#[test]
fn host_memory() {
    on_both(|join| {
        let outcome = attack("log_bomb").set("bytes", 8 << 20).run(&join);
        assert_over(&outcome, Dimension::HostMemory);
    });
}

#[test]
fn traps_and_errors_tell_nothing_about_the_target() {
    on_both(|join| {
        assert_outcome("trap", &join, &attack("trap").run(&join), "unknown (probe trapped)", "unreachable");
        assert_outcome("panic", &join, &attack("panic").run(&join), "unknown (probe trapped)", "unreachable");
        assert_outcome("fail", &join, &attack("fail").run(&join), "unknown (probe failed)", "");
        assert_outcome("invalid", &join, &attack("invalid").run(&join), "unknown (invalid settings)", "");
    });
}

/// What the answers of a guest that went on are, one by one.
fn answers(outcome: &Outcome) -> Vec<Value> {
    match serde_json::from_str(&message(outcome)).unwrap() {
        Value::Array(answers) => answers,
        answer => vec![answer],
    }
}

#[test]
fn requests_are_counted_and_never_overrun() {
    on_both(|join| {
        let target = servers::http(Behaviour::ok());
        let case = Case::hostile("request", &target.url("/")).set("attack_url", target.url("/")).set("times", 5);
        let outcome = case.policy(&json!({ "network": { "maxRequests": 3 } })).run(&join);
        let answers = answers(&outcome);
        let ok = answers.iter().filter(|answer| answer.get("ok").is_some()).count();
        assert_eq!((ok, target.connections(), outcome.bill.requests), (3, 3, 3), "{answers:?}");
        assert_eq!(answers[3].pointer("/over_quota/dimension"), Some(&json!("requests")));
    });
}

#[test]
fn no_connection_where_none_may_be_open() {
    on_both(|join| {
        let target = servers::http(Behaviour::ok());
        let case = Case::hostile("request", &target.url("/")).set("attack_url", target.url("/"));
        let outcome = case.policy(&json!({ "network": { "maxConnections": 0 } })).run(&join);
        assert_eq!(answers(&outcome)[0].pointer("/over_quota/dimension"), Some(&json!("connections")));
        assert_eq!(target.connections(), 0);
    });
}

#[test]
fn bytes_in_are_a_budget_of_the_run() {
    on_both(|join| {
        let target = servers::http(Behaviour::EndlessBody);
        let case = Case::hostile("request", &target.url("/")).set("attack_url", target.url("/")).set("times", 3);
        let outcome = case.policy(&json!({ "network": { "maxBytesIn": 100_000 } })).run(&join);
        let answers = answers(&outcome);
        assert_eq!(answers[0].pointer("/ok/truncated"), Some(&json!(true)), "{answers:?}");
        assert_eq!(answers[1].pointer("/over_quota/dimension"), Some(&json!("bytes-in")), "{answers:?}");
        assert_eq!(outcome.bill.bytes_in, 100_000, "not one byte more, and none wasted");
    });
}

#[test]
fn bytes_out_are_a_budget_of_the_run() {
    on_both(|join| {
        let target = servers::http(Behaviour::ok());
        let case = Case::hostile("request", &target.url("/")).set("attack_url", target.url("/")).set("method", "POST");
        let small = json!({ "network": { "maxBytesOut": 1000 } });
        let outcome = case.set("body", "x".repeat(2000)).policy(&small).run(&join);
        assert_eq!(answers(&outcome)[0].pointer("/over_quota/dimension"), Some(&json!("bytes-out")));
        assert_eq!(target.connections(), 0);
        // A body that fits with a head that does not is stopped on the wire.
        let case = Case::hostile("request", &target.url("/")).set("attack_url", target.url("/"));
        let outcome = case.set("headers", json!([["x-long", "y".repeat(2000)]])).policy(&small).run(&join);
        assert_eq!(answers(&outcome)[0].pointer("/over_quota/dimension"), Some(&json!("bytes-out")));
        assert!(outcome.bill.bytes_out <= 1000);
    });
}

/// A guest that goes on after its limits is ended like one that goes on after its denials, and a `down` that was said
/// after a limit tells nothing about the target.
#[test]
fn limits_that_are_met_again_and_again_end_the_run() {
    let none = json!({ "network": { "maxRequests": 0 } });
    let case = |times: u32| {
        attack("request").set("attack_url", NOWHERE).set("times", times).set("status", "down").policy(&none)
    };
    stopped(&case(10_000), Dimension::Denials);
    on_both(|join| {
        let outcome = case(1).run(&join);
        assert_eq!(verdict(&outcome), "unknown (over quota: requests)", "{}", message(&outcome));
    });
}

/// A target whose answer is costly to read is at fault itself; the run goes on and says so.
#[test]
fn reading_an_answer_has_a_limit() {
    on_both(|join| {
        let body = "1\r\nx\r\n".repeat(400_000);
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}0\r\n\r\n");
        let target = servers::http(Behaviour::Raw(answer.into_bytes()));
        let case = Case::hostile("request", &target.url("/")).set("attack_url", target.url("/"));
        let outcome = case.policy(&json!({ "resources": { "maxCpuTimeMs": 20 } })).run(&join);
        let said = message(&outcome);
        assert!(said.contains("of CPU to read"), "{said}");
    });
}

#[test]
fn sleeps_are_counted() {
    on_both(|join| {
        let limits = json!({ "clock": { "maxSleepMs": 5, "maxSleeps": 2 } });
        let outcome = attack("sleep").set("sleep_ms", 1).set("times", 4).policy(&limits).run(&join);
        assert_eq!(outcome.bill.sleeps, 2, "{}", message(&outcome));
        assert!(outcome.calls("sleep", "over-quota") >= 1);
        let outcome = attack("sleep").set("sleep_ms", 6).policy(&limits).run(&join);
        assert_eq!(outcome.denials.len(), 1, "longer than one sleep may be");
    });
}

#[test]
fn an_effect_ends_at_the_grants_timeout() {
    on_both(|join| {
        let target = servers::http(Behaviour::Silent);
        let case = Case::hostile("request", &target.url("/")).set("attack_url", target.url("/"));
        let outcome = case.policy(&json!({ "network": { "timeout": 100 } })).run(&join);
        assert_eq!(answers(&outcome)[0].pointer("/timeout/limit_ms"), Some(&json!(100)), "{}", message(&outcome));
    });
}

#[test]
fn words_are_cut_and_counted() {
    on_both(|join| {
        let outcome = attack("log_flood").policy(&json!({ "resources": { "maxLogBytes": 1000 } })).run(&join);
        assert!(outcome.bill.log_bytes <= 1000 && outcome.calls("log", "dropped") > 0, "{:?}", outcome.bill);
        let outcome = attack("measure_flood").policy(&json!({ "resources": { "maxMeasurements": 7 } })).run(&join);
        assert_eq!(outcome.measurements.len(), 7);
        assert!(outcome.calls("measure", "dropped") > 0);
        let outcome = attack("measure_bad").run(&join);
        let kept: Vec<_> = outcome.measurements.iter().map(|measurement| measurement.name.as_str()).collect();
        assert_eq!(kept, ["kept"], "only the one that keeps the rules");
        let outcome = attack("huge_report").set("bytes", 1 << 20).run(&join);
        assert_eq!(message(&outcome).len(), 4096);
    });
}

/// The memory of one guest is not seen by the next in its slot, and a store never lives on.
#[test]
fn a_hundred_runs_in_one_slot_are_alike() {
    block_on(async {
        let case = attack("good");
        let sandbox = case.sandbox(&health_watch_sandbox::Join::InProcess);
        let dirty = attack("fill").set("bytes", 64 << 10).set("times", 1);
        let first = case.run_in(&sandbox).await.bill.memory_peak_bytes;
        for _ in 0..100 {
            dirty.run_in(&sandbox).await;
            let outcome = case.run_in(&sandbox).await;
            assert_eq!((verdict(&outcome).as_str(), outcome.bill.memory_peak_bytes), ("up", first));
        }
    });
    assert!(!HOSTILE.is_empty());
}

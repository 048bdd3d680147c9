//! Probes that misbehave, for the tests of the host: the setting `attack` chooses one.
//!
//! One file per attack, each a function from the settings to what a probe may say. None of them works around the SDK:
//! what a host must withstand here is what any probe could do by accident or on purpose. What the host answered is
//! put into the report, as compact JSON, so that a test can see it from outside.

mod ask;
mod ask_flood;
mod escape_report;
mod fail;
mod fill;
mod good;
mod granted;
mod grow;
mod header_flood;
mod huge_report;
mod invalid;
mod log_bomb;
mod log_flood;
mod measure_bad;
mod measure_flood;
mod narrow;
mod narrow_flood;
mod now;
mod panic;
mod permits;
mod recurse;
mod request;
mod secrets;
mod settings;
mod sleep;
mod spin;
mod trap;

use health_watch_probe::{Failure, Report, probe};
use settings::Settings;

probe! {
    manifest: include_str!("manifest.toml"),
    check: check,
}

type Attack = fn(&Settings) -> Result<Report, Failure>;

const ATTACKS: [(&str, Attack); 26] = [
    ("ask", ask::run),
    ("ask_flood", ask_flood::run),
    ("escape_report", escape_report::run),
    ("fail", fail::run),
    ("fill", fill::run),
    ("good", good::run),
    ("granted", granted::run),
    ("grow", grow::run),
    ("header_flood", header_flood::run),
    ("huge_report", huge_report::run),
    ("invalid", invalid::run),
    ("log_bomb", log_bomb::run),
    ("log_flood", log_flood::run),
    ("measure_bad", measure_bad::run),
    ("measure_flood", measure_flood::run),
    ("narrow", narrow::run),
    ("narrow_flood", narrow_flood::run),
    ("now", now::run),
    ("panic", panic::run),
    ("permits", permits::run),
    ("recurse", recurse::run),
    ("request", request::run),
    ("secrets", secrets::run),
    ("sleep", sleep::run),
    ("spin", spin::run),
    ("trap", trap::run),
];

fn check(settings: Settings) -> Result<Report, Failure> {
    let attack = ATTACKS.iter().find(|(name, _)| *name == settings.attack);
    let (_, run) = attack.ok_or_else(|| {
        let names: Vec<_> = ATTACKS.iter().map(|(name, _)| *name).collect();
        Failure::invalid(format!("`attack`: `{}` is none of {}", settings.attack, names.join(", ")))
    })?;
    run(&settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use health_watch_probe::Status;
    use health_watch_probe::serde_json::json;

    fn run(settings: serde_json::Value) -> Result<Report, Failure> {
        check(serde_json::from_value(settings).unwrap())
    }

    #[test]
    fn an_attack_is_chosen_by_name() {
        let report = run(json!({"attack": "good"})).unwrap();
        assert_eq!((report.status, report.message.as_str()), (Status::Up, "fine"));
        match run(json!({"attack": "nice"})) {
            Err(Failure::InvalidSettings(message)) => assert!(message.contains("escape_report, fail"), "{message}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn attacks_that_need_no_host() {
        assert!(matches!(run(json!({"attack": "fail"})), Err(Failure::Internal(_))));
        assert!(matches!(run(json!({"attack": "invalid"})), Err(Failure::InvalidSettings(_))));
        assert_eq!(run(json!({"attack": "huge_report", "bytes": 5000})).unwrap().message.len(), 5000);
        assert!(run(json!({"attack": "escape_report"})).unwrap().message.contains("\u{1b}["));
        let filled = run(json!({"attack": "fill", "bytes": 4096, "times": 3})).unwrap();
        assert_eq!(filled.message, "filled 4096 bytes 3 times");
    }

    #[test]
    fn the_schema_and_the_attacks_know_the_same_keys() {
        let manifest: toml::Table = toml::from_str(MANIFEST).unwrap();
        let properties = manifest["settings"]["properties"].as_table().unwrap();
        let example = json!({
            "attack": "", "url": "", "secret": "", "bytes": 1, "times": 1, "sleep_ms": 1, "attack_url": "",
            "attack_urls": [""], "method": "", "headers": [["", ""]], "body": "", "credential": {"bearer": ""},
            "timeout_ms": 1, "max_body_bytes": 1, "origins": [""], "status": "up"
        });
        serde_json::from_value::<Settings>(example.clone()).unwrap();
        let known: Vec<_> = example.as_object().unwrap().keys().collect();
        let mut described: Vec<_> = properties.keys().collect();
        described.sort();
        assert_eq!(described, known);
    }
}

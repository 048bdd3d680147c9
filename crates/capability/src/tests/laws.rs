//! The laws of grants, over generated policies, manifests and requests that overlap often.

use super::{asks_for_everything, grant_of, holds, manifest};
use crate::address::Cidr;
use crate::decision::{DEFAULT_DENY, decide_target};
use crate::manifest::Wanted;
use crate::pattern::{HostPattern, HttpRule, Method, Methods, Ports};
use crate::policy::{AddressWord, Clock, LimitWishes, SecretUse, address_word};
use crate::{Denial, DenialReason, Grant, Host, Limits, Manifest, Origin, Policy, Scheme, judge_address, negotiate};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Hosts close to one another: names below names, addresses in blocks in blocks.
const HOSTS: &[&str] = &[
    "example",
    "a.example",
    "b.a.example",
    "c.example",
    "xa.example",
    "10.0.0.1",
    "10.1.0.1",
    "8.8.8.8",
    "127.0.0.1",
    "[::1]",
    "[fd00::1]",
];
const PATTERNS: &[&str] = &[
    "*",
    "*",
    "example",
    "a.example",
    "b.a.example",
    "*.example",
    "*.a.example",
    "*.b.a.example",
    "10.0.0.1",
    "10.0.0.0/8",
    "10.0.0.0/16",
    "0.0.0.0/0",
    "8.8.8.8",
    "127.0.0.0/8",
    "::/0",
    "::1",
    "fd00::/8",
    "fc00::/7",
];
const ADDRESSES: &[&str] = &[
    "10.0.0.1",
    "10.1.0.1",
    "8.8.8.8",
    "127.0.0.1",
    "::1",
    "fd00::1",
    "169.254.169.254",
    "0.0.0.0",
    "224.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2606:4700::1",
    "fd00:ec2::254",
];

fn hosts() -> impl Strategy<Value = Host> {
    select(HOSTS).prop_map(|host| host.parse().unwrap())
}

fn patterns() -> impl Strategy<Value = HostPattern> {
    prop_oneof![2 => Just(HostPattern::Any), 3 => select(PATTERNS).prop_map(|pattern| pattern.parse().unwrap())]
}

fn schemes() -> impl Strategy<Value = Scheme> {
    select(vec![Scheme::Http, Scheme::Https])
}

fn ports() -> impl Strategy<Value = Ports> {
    let (low, high) = (select(vec![1_u16, 80, 443, 444]), select(vec![80_u16, 443, 8080, u16::MAX]));
    prop_oneof![
        2 => Just(Ports { low: 1, high: u16::MAX }),
        2 => (low, high).prop_map(|(a, b)| Ports { low: a.min(b), high: a.max(b) }),
        1 => select(vec![80_u16, 443]).prop_map(Ports::one),
    ]
}

fn methods() -> impl Strategy<Value = Methods> {
    prop_oneof![
        2 => Just(Methods::ANY),
        1 => subsequence(Method::ALL.to_vec(), 0..7).prop_map(Methods::from_iter),
    ]
}

fn rules() -> impl Strategy<Value = HttpRule> {
    (proptest::option::weighted(0.3, schemes()), patterns(), ports(), methods(), "[a-c]")
        .prop_map(|(scheme, host, ports, methods, source)| HttpRule { scheme, host, ports, methods, source })
}

fn origins() -> impl Strategy<Value = Origin> {
    (schemes(), hosts(), select(vec![80_u16, 443, 8080])).prop_map(|(scheme, host, port)| Origin { scheme, host, port })
}

fn requests() -> impl Strategy<Value = (Origin, Method)> {
    (origins(), select(Method::ALL.to_vec()))
}

fn limits() -> impl Strategy<Value = LimitWishes> {
    proptest::collection::vec(proptest::option::of(0_u64..2_000_000_000), 12).prop_map(|wishes| {
        let mut wishes = wishes.into_iter().map(Option::unwrap_or_default).map(|n| Some(n).filter(|n| n % 3 != 0));
        let mut next = || wishes.next().flatten();
        LimitWishes {
            memory_bytes: next(),
            cpu_ms: next().map(|n| n % 100_000),
            wall_ms: next().map(|n| n % 1_000_000),
            effect_ms: next().map(|n| n % 1_000_000),
            requests: next().map(|n| n % 2_000),
            connections: next().map(|n| n % 100),
            bytes_in: next(),
            bytes_out: next(),
            sleeps: next().map(|n| n % 2_000),
            log_bytes: next(),
            measurements: next().map(|n| n % 2_000),
            denials: next().map(|n| n % 2_000),
        }
    })
}

fn clocks() -> impl Strategy<Value = Option<Clock>> {
    let clock = (0_u32..1_000, proptest::option::of(0_u64..100));
    proptest::option::of(clock.prop_map(|(max_sleep_ms, max_sleeps)| Clock { max_sleep_ms, max_sleeps }))
}

fn secrets() -> impl Strategy<Value = BTreeMap<String, SecretUse>> {
    let usage = (proptest::collection::vec(origins(), 0..4), any::<bool>());
    let usage = usage.prop_map(|(origins, in_clear)| SecretUse { origins, in_clear, where_settings_point: false });
    proptest::collection::btree_map(select(vec!["token".to_owned(), "key".to_owned()]), usage, 0..3)
}

fn policies() -> impl Strategy<Value = Policy> {
    (proptest::collection::vec(rules(), 0..6), clocks(), secrets(), limits()).prop_map(
        |(http, clock, secrets, limits)| {
            let special = http.iter().filter_map(address_word).collect();
            Policy { http, special, clock, secrets, limits, ..Policy::default() }
        },
    )
}

/// A manifest and settings for it.
fn manifests() -> impl Strategy<Value = (Manifest, Value)> {
    let origin = prop_oneof![
        4 => Just("*".to_owned()),
        2 => origins().prop_map(|origin| origin.to_string()),
        1 => Just("{settings.url.origin}".to_owned()),
    ];
    let some = subsequence(Method::ALL.map(Method::as_str).to_vec(), 0..6);
    let methods = prop_oneof![2 => Just(Vec::new()), 1 => some];
    let http = (origin, methods)
        .prop_map(|(origin, methods)| json!({ "kind": "http", "origin": origin, "methods": methods, "reason": "r" }));
    let secret = select(vec!["token", "key"]).prop_map(|name| json!({ "kind": "secret", "name": name, "reason": "r" }));
    let clock = (0_u32..1_000).prop_map(|ms| json!({ "kind": "clock", "maxSleepMs": ms, "reason": "r" }));
    let ask = prop_oneof![4 => http.boxed(), 1 => secret.boxed(), 1 => clock.boxed()];
    (proptest::collection::vec(ask, 0..6), origins())
        .prop_map(|(asks, url)| (manifest(&json!([]), &json!(asks)), json!({ "url": format!("{url}/") })))
}

fn allows(grant: &Grant, (origin, method): &(Origin, Method)) -> bool {
    decide_target(grant, method.as_str(), &format!("{origin}/")).is_ok()
}

fn covered(policy: &Policy, (origin, method): &(Origin, Method)) -> bool {
    policy.http.iter().any(|rule| rule.matches(origin, *method))
}

/// Asserts that `part` of `all` is at least a tenth and at most nine tenths.
fn check_share(part: &Cell<u32>, all: &Cell<u32>) {
    let percent = part.get() * 100 / all.get().max(1);
    assert!((10..=90).contains(&percent), "{percent} % of {}", all.get());
}

fn count(cell: &Cell<u32>, yes: bool) {
    cell.set(cell.get() + u32::from(yes));
}

fn many<S: Strategy>(of: S) -> impl Strategy<Value = Vec<S::Value>> {
    proptest::collection::vec(of, 8)
}

#[test]
fn nothing_is_allowed_that_nobody_allowed() {
    let asked = (manifests(), many(requests()), many(select(ADDRESSES)));
    holds(256, &asked, |((probe, _), requests, addresses)| {
        // Settings without the URL, so that nothing comes from the operator.
        let granted = negotiate(&probe, &json!({}), None, &Policy::default()).unwrap().grant;
        for grant in [granted, Grant::nothing()] {
            assert!(grant.rules().is_empty() && grant.clock().is_none() && grant.secret_names().next().is_none());
            assert!(requests.iter().all(|request| !allows(&grant, request)));
            for (request, address) in requests.iter().zip(&addresses) {
                let address: IpAddr = address.parse().unwrap();
                let public = crate::address::range(address) == crate::address::Range::Public;
                assert_eq!(judge_address(&grant, &request.0, address).is_ok(), public, "{address}");
            }
        }
    });
}

#[test]
fn a_grant_allows_only_what_the_manifest_asks_allow_covers_and_the_ceiling_covers() {
    let (all, allowed) = (Cell::new(0), Cell::new(0));
    let values = (manifests(), policies(), policies(), many(requests()));
    holds(2_000, &values, |((probe, settings), ceiling, allow, requests)| {
        let grant = negotiate(&probe, &settings, Some(&ceiling), &allow).unwrap().grant;
        let asks = probe.asks(&settings).unwrap();
        for request in &requests {
            let yes = allows(&grant, request);
            count(&all, true);
            count(&allowed, yes);
            if yes {
                let asked = |named_by_operator: bool| {
                    asks.iter().filter(|ask| ask.from_settings || !named_by_operator).any(|ask| match &ask.what {
                        Wanted::Http { origin, methods } => {
                            origin.as_ref().is_none_or(|origin| *origin == request.0) && methods.contains(request.1)
                        }
                        _ => false,
                    })
                };
                assert!(asked(false), "not asked for: {request:?}");
                assert!(covered(&allow, request) || asked(true), "not allowed: {request:?}");
                assert!(covered(&ceiling, request), "beyond the ceiling: {request:?}");
            }
        }
        for name in grant.secret_names() {
            let usage = &grant.secrets[name];
            assert!(asks.iter().any(|ask| ask.what == Wanted::Secret(name.to_owned())));
            assert!(allow.secrets.contains_key(name));
            assert!(usage.origins.iter().all(|origin| ceiling.secrets[name].origins.contains(origin)));
            assert!(!usage.in_clear || (allow.secrets[name].in_clear && ceiling.secrets[name].in_clear));
        }
        if let Some(clock) = grant.clock() {
            for parent in [ceiling.clock.unwrap(), allow.clock.unwrap()] {
                assert!(clock.max_sleep_ms <= parent.max_sleep_ms);
                assert!(parent.max_sleeps.is_none_or(|most| clock.max_sleeps.is_some_and(|n| n <= most)));
            }
        }
    });
    let percent = allowed.get() * 100 / all.get();
    assert!(percent >= 10, "{percent} % allowed");
}

#[test]
fn an_address_is_admitted_only_where_allow_and_the_ceiling_both_name_it() {
    let (special, admitted) = (Cell::new(0), Cell::new(0));
    let blocks = || {
        select(vec![
            "10.0.0.0/8",
            "10.0.0.0/16",
            "10.0.0.1",
            "127.0.0.0/8",
            "::1",
            "fd00::/8",
            "fc00::/7",
            "0.0.0.0/0",
            "169.254.169.254",
            "169.254.0.0/16",
        ])
    };
    let words = || proptest::collection::vec((blocks(), ports()), 2..8);
    let named = |(mut policy, words): (Policy, Vec<(&str, Ports)>)| {
        policy.special.extend(words.into_iter().map(|(pattern, ports)| {
            let HostPattern::Block(block) = pattern.parse().unwrap() else { panic!("{pattern}") };
            AddressWord { block, ports, source: String::new() }
        }));
        policy
    };
    let values = ((policies(), words()), (policies(), words()), many((origins(), select(ADDRESSES))));
    holds(1_000, &values, |(ceiling, allow, asked)| {
        let (ceiling, allow) = (named(ceiling), named(allow));
        let grant = negotiate(&asks_for_everything(), &json!({}), Some(&ceiling), &allow).unwrap().grant;
        for (origin, address) in asked {
            let address: IpAddr = address.parse().unwrap();
            let names = |word: &AddressWord| word.ports.contains(origin.port) && word.block.admits_special(address);
            let yes = judge_address(&grant, &origin, address).is_ok();
            if crate::address::range(address) == crate::address::Range::Public {
                assert!(yes);
                continue;
            }
            count(&special, true);
            count(&admitted, yes);
            let both = allow.special.iter().any(names) && ceiling.special.iter().any(names);
            assert_eq!(yes, both, "{origin} {address}");
        }
    });
    check_share(&admitted, &special);
}

#[test]
fn limits_never_exceed_those_of_any_parent() {
    holds(512, &((policies(), policies()), 1_u64..=64), |((ceiling, allow), memory_mb)| {
        let written =
            json!({ "manifestVersion": 1, "name": "a", "version": "1", "resources": { "maxMemoryMB": memory_mb } });
        let probe = Manifest::from_json(&written.to_string()).unwrap();
        for ceiling in [None, Some(&ceiling)] {
            let limits = negotiate(&probe, &json!({}), ceiling, &allow).unwrap().grant.limits().clone();
            let mut parents =
                vec![allow.limits.over(&Limits::DEFAULT), probe.limits().over(&Limits::CEILING), Limits::CEILING];
            parents.extend(ceiling.map(|ceiling| ceiling.limits.over(&Limits::CEILING)));
            for parent in &parents {
                assert_eq!(limits.least(parent), limits, "{parent:?}");
            }
            // And they are one of the parents' words, not less than all.
            let least = parents.iter().fold(Limits::CEILING, |least, parent| least.least(parent));
            assert_eq!(limits, least);
        }
    });
}

#[test]
fn the_meet_of_two_patterns_is_exactly_what_both_match() {
    let (all, met) = (Cell::new(0), Cell::new(0));
    let hosts: Vec<Host> = HOSTS.iter().map(|host| host.parse().unwrap()).collect();
    holds(2_000, &(patterns(), patterns(), patterns()), |(a, b, c)| {
        let ab = a.meet(&b);
        count(&all, true);
        count(&met, ab.is_some());
        for host in &hosts {
            let both = a.matches(host) && b.matches(host);
            assert_eq!(ab.as_ref().is_some_and(|pattern| pattern.matches(host)), both, "{a} {b} {host}");
        }
        assert_eq!(ab, b.meet(&a), "{a} {b}");
        assert_eq!(a.meet(&a), Some(a.clone()));
        let left = ab.and_then(|ab| ab.meet(&c));
        assert_eq!(left, b.meet(&c).and_then(|bc| a.meet(&bc)), "{a} {b} {c}");
    });
    check_share(&met, &all);
}

#[test]
fn the_meet_of_two_rules_is_exactly_what_both_match() {
    let (all, met, matched) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let plain = |rule: Option<HttpRule>| rule.map(|rule| HttpRule { source: String::new(), ..rule });
    holds(2_000, &(rules(), rules(), rules(), many(requests())), |(a, b, c, requests)| {
        let ab = a.meet(&b);
        count(&all, true);
        count(&met, ab.is_some());
        for (origin, method) in &requests {
            let both = a.matches(origin, *method) && b.matches(origin, *method);
            count(&matched, both);
            assert_eq!(ab.as_ref().is_some_and(|rule| rule.matches(origin, *method)), both, "{a} {b}");
        }
        assert_eq!(plain(ab.clone()), plain(b.meet(&a)));
        assert_eq!(a.meet(&a), Some(a.clone()).filter(|a| !a.methods.is_empty()));
        let left = ab.and_then(|ab| ab.meet(&c));
        assert_eq!(plain(left), plain(b.meet(&c).and_then(|bc| a.meet(&bc))));
    });
    check_share(&met, &all);
    assert!(matched.get() > 100, "{}", matched.get());
}

#[test]
fn the_meet_of_two_blocks_is_exactly_what_both_hold() {
    let block = |(bits, prefix): (u32, u8)| -> Cidr {
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        format!("{}/{prefix}", std::net::Ipv4Addr::from_bits(bits & mask)).parse().unwrap()
    };
    // The first octet is 10 or 11, so that blocks are often nested.
    let one = || (any::<u32>().prop_map(|bits| 0x0a00_0000 | (bits & 0x0100_00ff)), 0_u8..=32);
    let (all, met) = (Cell::new(0), Cell::new(0));
    holds(1_000, &(one(), one(), many(one())), |(a, b, probes)| {
        let (a, b) = (block(a), block(b));
        let both = a.meet(&b);
        assert_eq!(both, b.meet(&a));
        assert_eq!(a.within(&b), both == Some(a));
        count(&all, true);
        count(&met, both.is_some());
        for (bits, _) in probes {
            let address = IpAddr::from(std::net::Ipv4Addr::from_bits(bits));
            assert_eq!(both.is_some_and(|c| c.contains(address)), a.contains(address) && b.contains(address));
        }
    });
    check_share(&met, &all);
}

#[test]
fn a_narrowed_grant_allows_what_was_allowed_to_the_origins_that_are_kept_and_nothing_else() {
    let (all, kept) = (Cell::new(0), Cell::new(0));
    let values = (policies(), proptest::collection::vec(origins(), 0..12), many(requests()));
    holds(1_000, &values, |(allow, origins, mut requests)| {
        let grant = grant_of(&allow);
        let narrowed = grant.narrowed(&origins);
        requests.extend(origins.iter().map(|origin| (origin.clone(), Method::Get)));
        for request in &requests {
            let before = allows(&grant, request);
            assert_eq!(allows(&narrowed, request), before && origins.contains(&request.0), "{request:?}");
            count(&all, before);
            count(&kept, allows(&narrowed, request));
        }
        assert_eq!(Grant { http: grant.http.clone(), ..narrowed.clone() }, grant, "only HTTP is narrowed");
        assert!(requests.iter().all(|request| !allows(&grant.narrowed(&[]), request)));
    });
    check_share(&kept, &all);
}

#[test]
fn another_allow_rule_never_turns_an_allow_into_a_denial() {
    let (all, before) = (Cell::new(0), Cell::new(0));
    let values =
        (manifests(), policies(), policies(), proptest::option::of(policies()), many((requests(), select(ADDRESSES))));
    holds(1_000, &values, |((probe, settings), allow, more, ceiling, asked)| {
        let wider = allow.clone().join(more);
        let [old, new] =
            [&allow, &wider].map(|allow| negotiate(&probe, &settings, ceiling.as_ref(), allow).unwrap().grant);
        for (request, address) in &asked {
            count(&all, true);
            count(&before, allows(&old, request));
            assert!(!allows(&old, request) || allows(&new, request), "{request:?}");
            let judged = |grant| judge_address(grant, &request.0, address.parse().unwrap()).is_ok();
            assert!(!judged(&old) || judged(&new), "{address}");
        }
        let slept = |grant: &Grant| grant.clock().map(|clock| clock.max_sleep_ms);
        assert!(slept(&old) <= slept(&new));
    });
    check_share(&before, &all);
}

#[test]
fn a_decision_is_an_allow_by_a_rule_or_a_denial_whose_fix_would_allow_it() {
    let (all, allowed) = (Cell::new(0), Cell::new(0));
    let reasons = RefCell::new(BTreeMap::<&str, u32>::new());
    let upper = requests().prop_map(|(origin, method)| (origin, method.as_str().to_owned()));
    let lower = requests().prop_map(|(origin, method)| (origin, method.as_str().to_lowercase()));
    let asked = prop_oneof![12 => upper, 1 => lower];
    holds(1_000, &(policies(), many(asked)), |(allow, requests)| {
        let grant = grant_of(&allow);
        for (origin, method) in requests {
            let url = format!("{origin}/");
            count(&all, true);
            let denial = match decide_target(&grant, &method, &url) {
                Ok(decided) => {
                    count(&allowed, true);
                    let by = |rule: &&HttpRule| rule.matches(&origin, decided.method);
                    assert_eq!(Some(&decided.rule), grant.http.iter().find(by).map(|rule| &rule.source));
                    continue;
                }
                Err(denial) => denial,
            };
            *reasons.borrow_mut().entry(denial.reason.label()).or_default() += 1;
            check_denial(&grant, &origin, &method, &denial);
            if denial.reason != DenialReason::Spelling {
                let word = denial.fix.strip_prefix("--allow ").unwrap().split_once("   (").unwrap().0;
                let wider = allow.clone().join(Policy::from_word(word).unwrap());
                assert!(decide_target(&grant_of(&wider), &method, &url).is_ok(), "{denial}");
            }
        }
    });
    check_share(&allowed, &all);
    let reasons = reasons.into_inner();
    let hit: Vec<_> = reasons.keys().copied().collect();
    let every = [
        "capability-not-granted",
        "host-not-granted",
        "method-not-granted",
        "port-not-granted",
        "scheme-not-granted",
        "spelling",
    ];
    assert_eq!(hit, every, "{reasons:?}");
}

/// That the reason is true of the grant as a whole.
fn check_denial(grant: &Grant, origin: &Origin, method: &str, denial: &Denial) {
    let host = |rule: &&HttpRule| rule.host.matches(&origin.host);
    let port = |rule: &&HttpRule| rule.ports.contains(origin.port);
    let scheme = |rule: &&HttpRule| rule.scheme.is_none_or(|scheme| scheme == origin.scheme);
    let hosts = grant.http.iter().filter(host).count();
    let ports = grant.http.iter().filter(host).filter(port).count();
    let schemes = grant.http.iter().filter(host).filter(port).filter(scheme).count();
    let expected = match (method.parse::<Method>().is_ok(), grant.http.len(), hosts, ports, schemes) {
        (false, ..) => DenialReason::Spelling,
        (_, 0, ..) => DenialReason::CapabilityNotGranted,
        (_, _, 0, ..) => DenialReason::HostNotGranted,
        (_, _, _, 0, _) => DenialReason::PortNotGranted,
        (_, _, _, _, 0) => DenialReason::SchemeNotGranted,
        _ => DenialReason::MethodNotGranted,
    };
    assert_eq!(denial.reason, expected, "{denial}");
    assert_eq!(denial.rule.starts_with(DEFAULT_DENY), expected != DenialReason::Spelling, "{denial}");
}

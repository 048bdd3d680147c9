//! Secrets: sent where they are granted, seen by nobody else.

use crate::servers::{self, Alpn, Behaviour, Identity};
use crate::support::{Case, assert_outcome, message, on_both, verdict};
use health_watch_capability::DenialReason;
use serde_json::json;

const VALUE: &str = "s3cr3t-value";

#[test]
fn a_secret_is_attached_after_the_request_has_left_the_guest() {
    let cases = [
        (json!({ "bearer": "token" }), "authorization", "Bearer s3cr3t-value"),
        (json!({ "basic": { "user": "ann", "secret": "token" } }), "authorization", "Basic YW5uOnMzY3IzdC12YWx1ZQ=="),
        (json!({ "header": { "name": "x-api-key", "secret": "token" } }), "x-api-key", VALUE),
    ];
    for (auth, header, sent) in cases {
        on_both(|join| {
            let target = servers::http(Behaviour::ok());
            let outcome = Case::http(&target.url("/")).set("auth", auth.clone()).secret("token", VALUE).run(&join);
            assert_outcome("auth", &join, &outcome, "up", "200 OK");
            assert_eq!(target.wait_for_requests(1)[0].header(header), Some(sent));
            let everything = serde_json::to_string(&outcome).unwrap();
            assert!(!everything.contains(VALUE), "the outcome holds the secret: {everything}");
            assert!(everything.contains("token"), "the record names the secret");
        });
    }
}

#[test]
fn a_secret_that_was_not_granted_is_not_sent() {
    on_both(|join| {
        let target = servers::http(Behaviour::ok());
        let outcome = Case::http(&target.url("/")).set("auth", json!({ "bearer": "token" })).run(&join);
        assert_eq!(verdict(&outcome), "unknown (denied)", "{}", message(&outcome));
        assert_eq!(outcome.denials[0].reason, DenialReason::SecretNotGranted);
        assert_eq!(target.connections(), 0);
    });
}

/// An empty list allows nothing, here as everywhere.
#[test]
fn a_policy_that_lists_no_origin_allows_none() {
    on_both(|join| {
        let target = servers::http(Behaviour::ok());
        let nowhere = json!({ "secrets": { "token": { "allowedOrigins": [] } } });
        let case = Case::http(&target.url("/")).set("auth", json!({ "bearer": "token" })).policy(&nowhere);
        let outcome = case.run(&join);
        assert_eq!(outcome.denials[0].reason, DenialReason::SecretNotGranted, "{}", message(&outcome));
        assert_eq!(target.connections(), 0);
    });
}

/// A secret goes to the origin it was given for, even if another origin may be reached.
#[test]
fn a_secret_stays_with_its_origin() {
    on_both(|join| {
        let (own, other) = (servers::http(Behaviour::ok()), servers::http(Behaviour::ok()));
        let case = Case::hostile("request", &own.url("/")).set("secret", "token").secret("token", VALUE);
        let case = case.set("attack_url", other.url("/")).set("credential", json!({ "bearer": "token" }));
        let both = json!({ "network": { "allowedOrigins": [own.url(""), other.url("")] } });
        let outcome = case.policy(&both).run(&join);
        assert_eq!(outcome.denials.len(), 1, "{}", message(&outcome));
        assert_eq!(other.connections(), 0);
    });
}

/// A redirect to another origin carries no credential, although both may be reached.
#[test]
fn a_redirect_elsewhere_carries_no_credential() {
    on_both(|join| {
        let there = servers::http(Behaviour::ok());
        let target = servers::http(Behaviour::redirect(302, there.url("/")));
        let case = Case::http(&target.url("/")).set("auth", json!({ "bearer": "token" })).secret("token", VALUE);
        let outcome = case.allow(&format!("http://127.0.0.1:{}", there.port())).run(&join);
        assert_outcome("redirect", &join, &outcome, "up", "200 OK");
        assert_eq!(target.wait_for_requests(1)[0].header("authorization"), Some("Bearer s3cr3t-value"), "the control");
        assert_eq!(there.wait_for_requests(1)[0].header("authorization"), None);
    });
}

#[test]
fn a_secret_does_not_cross_a_network_in_clear() {
    on_both(|join| {
        let dns = servers::dns(&[("api.example", servers::Reply::address([127, 0, 0, 1]))]);
        let target = servers::http(Behaviour::ok());
        let url = target.url_with_host("api.example", "/");
        let case = Case::http(&url).set("auth", json!({ "bearer": "token" })).secret("token", VALUE).dns(dns.addr());
        let outcome = case.allow(&format!("127.0.0.1:{}", target.port())).run(&join);
        assert_eq!(outcome.denials[0].reason, DenialReason::SecretInClear, "{}", message(&outcome));
        assert_eq!(target.connections(), 0);
    });
}

#[test]
fn a_secret_crosses_encrypted() {
    on_both(|join| {
        let target = servers::https(Behaviour::ok(), Identity::Valid, Alpn::Both);
        let outcome =
            Case::http(&target.url("/")).set("auth", json!({ "bearer": "token" })).secret("token", VALUE).run(&join);
        assert_outcome("tls", &join, &outcome, "up", "200 OK");
        assert_eq!(target.wait_for_requests(1)[0].header("authorization"), Some("Bearer s3cr3t-value"));
    });
}

#[test]
fn a_guest_sees_names_only() {
    on_both(|join| {
        let outcome =
            Case::hostile("secrets", "http://127.0.0.1:9/").set("secret", "token").secret("token", VALUE).run(&join);
        assert!(message(&outcome).contains("token") && !message(&outcome).contains(VALUE), "{}", message(&outcome));
    });
}

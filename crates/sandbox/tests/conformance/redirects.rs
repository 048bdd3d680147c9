//! Redirects: each hop is a request of its own, decided on anew.

use crate::servers::{self, Alpn, Behaviour, Identity};
use crate::support::{Case, assert_outcome, message, on_both};
use health_watch_capability::DenialReason;

#[test]
fn a_hop_on_the_same_origin_is_followed() {
    on_both(|join| {
        let target =
            servers::http(Behaviour::route([("/", Behaviour::redirect(302, "/there")), ("/there", Behaviour::ok())]));
        let outcome = Case::http(&target.url("/")).run(&join);
        assert_outcome("same origin", &join, &outcome, "up", "200 OK");
        assert_eq!(outcome.effects.len(), 2);
    });
}

/// The report names the origin that was refused and the line that allows it.
#[test]
fn a_hop_elsewhere_ends_with_the_line_to_add() {
    on_both(|join| {
        let forbidden = servers::forbidden();
        let target = servers::http(Behaviour::redirect(302, forbidden.url("/x")));
        let outcome = Case::http(&target.url("/")).run(&join);
        let line = format!("--allow http://127.0.0.1:{}", forbidden.port());
        assert_outcome("elsewhere", &join, &outcome, "unknown (denied)", &line);
        assert_eq!(outcome.denials[0].reason, DenialReason::PortNotGranted);
        assert_eq!(forbidden.connections(), 0);
    });
}

/// A channel that follows redirects to a second origin asks for it in its own settings or not at all: the line that
/// the report names must be enough.
#[test]
fn the_line_to_add_is_enough() {
    on_both(|join| {
        let there = servers::http(Behaviour::ok());
        let target = servers::http(Behaviour::redirect(307, there.url("/x")));
        let word = format!("http://127.0.0.1:{}", there.port());
        let outcome = Case::http(&target.url("/")).allow(&word).run(&join);
        assert_outcome("allowed elsewhere", &join, &outcome, "up", "200 OK");
        assert_eq!(there.connections(), 1);
    });
}

#[test]
fn an_upgrade_to_https_on_the_same_host_is_granted() {
    on_both(|join| {
        // Port 443 is not ours to listen on; what counts is that the decision allows it and the connection is tried.
        let target = servers::http(Behaviour::redirect(301, "https://127.0.0.1/"));
        let outcome = Case::http(&target.url("/")).run(&join);
        assert!(outcome.denials.is_empty(), "{}", message(&outcome));
        assert_eq!(outcome.effects.len(), 2);
    });
}

#[test]
fn a_hop_from_https_to_http_is_not() {
    on_both(|join| {
        let plain = servers::forbidden();
        let target = servers::https(Behaviour::redirect(302, plain.url("/")), Identity::Valid, Alpn::Http1);
        let outcome = Case::http(&target.url("/")).run(&join);
        assert_outcome("downgrade", &join, &outcome, "unknown (denied)", "--allow http://127.0.0.1");
        assert_eq!(plain.connections(), 0);
    });
}

#[test]
fn circles_end() {
    on_both(|join| {
        let target = servers::http(Behaviour::redirect(302, "/"));
        let outcome = Case::http(&target.url("/")).run(&join);
        assert_outcome("circle", &join, &outcome, "down", "redirect");
        assert!(target.connections() <= 6, "{}", target.connections());
    });
}

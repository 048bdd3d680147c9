//! Sends the request and follows redirects: each hop is a new request, which the host decides about anew.
//!
//! A hop to another origin carries no credential and none of the headers that act as one, and they never come back,
//! not even when the chain returns to where it began: whoever redirected may not choose where a secret goes.

use crate::plan::Plan;
use crate::settings::Method;
use crate::url::Url;
use health_watch_probe::http::{self, Request, Response};
use health_watch_probe::types::{EffectError, Phases};
use health_watch_probe::{Measurement, shorten};

/// The world outside of the probe: the host, or a test.
pub(crate) trait World {
    /// Sends one request.
    fn send(&mut self, request: &Request) -> Result<Response, EffectError>;
    /// Keeps a measurement at once.
    fn observe(&mut self, measurement: &Measurement);
}

/// The host.
pub(crate) struct Host;

impl World for Host {
    fn send(&mut self, request: &Request) -> Result<Response, EffectError> {
        http::send(request)
    }

    fn observe(&mut self, measurement: &Measurement) {
        measurement.observe();
    }
}

/// What became of the request and its redirects.
#[derive(Debug)]
pub(crate) struct Trip {
    /// The URLs that were requested, in order.
    pub(crate) urls: Vec<Url>,
    /// All hops together.
    pub(crate) phases: Phases,
    pub(crate) end: End,
}

/// How a trip ended.
#[derive(Debug)]
pub(crate) enum End {
    /// With a response that is no redirect, or one that is not to be followed.
    Response(Box<Response>),
    /// With a request that did not succeed.
    Error(EffectError),
    /// With a redirect that cannot be followed; the text says why.
    Astray(String),
}

impl Trip {
    pub(crate) fn redirects(&self) -> usize {
        self.urls.len().saturating_sub(1)
    }
}

/// Sends the plan's request and follows where it leads.
pub(crate) fn follow(plan: &Plan, world: &mut impl World) -> Trip {
    let mut request = plan.request.clone();
    let mut urls = vec![plan.url.clone()];
    let mut visited = vec![(request.method.clone(), plan.url.clone())];
    let mut phases = no_phases();
    let end = loop {
        let response = match world.send(&request) {
            Ok(response) => response,
            Err(error) => break End::Error(error),
        };
        add(&mut phases, &response.phases);
        let (Some(location), Some(here)) = (redirection(&response), urls.last()) else {
            break End::Response(Box::new(response));
        };
        if plan.redirects_max == 0 {
            break End::Response(Box::new(response));
        }
        let next = match here.join(location) {
            Ok(next) => next,
            Err(problem) => break End::Astray(format!("redirected to `{}`, which {problem}", shorten(location, 200))),
        };
        request = redirected(request, response.status, here, &next);
        let hop = (request.method.clone(), next.clone());
        if visited.contains(&hop) {
            break End::Astray(format!("redirect loop: {}", chain(&urls, &next)));
        }
        if urls.len() > plan.redirects_max as usize {
            let limit = plan.redirects_max;
            break End::Astray(format!("more redirects than `max_redirects` = {limit}: {}", chain(&urls, &next)));
        }
        visited.push(hop);
        urls.push(next);
    };
    Trip { urls, phases, end }
}

/// Where a response redirects to, if it does.
fn redirection(response: &Response) -> Option<&str> {
    matches!(response.status, 301 | 302 | 303 | 307 | 308).then(|| response.header("location"))?
}

/// The request of the next hop (RFC 9110 §15.4).
fn redirected(request: Request, status: u16, from: &Url, to: &Url) -> Request {
    let mut next = Request { url: to.to_string(), ..request };
    if becomes_get(status, &next.method) {
        next.method = Method::Get.name().to_string();
        next.body = Vec::new();
        next.headers.retain(|header| !header.name.starts_with("content-"));
    }
    if from.origin() != to.origin() {
        next.credential = None;
        next.headers.retain(|header| !acts_as_credential(&header.name));
    }
    next
}

fn becomes_get(status: u16, method: &str) -> bool {
    match status {
        301 | 302 => method == "POST",
        303 => method != "HEAD",
        _ => false,
    }
}

fn acts_as_credential(header: &str) -> bool {
    matches!(header, "authorization" | "cookie" | "proxy-authorization")
}

fn chain(urls: &[Url], next: &Url) -> String {
    let urls: Vec<_> = urls.iter().chain([next]).map(|url| shorten(&url.to_string(), 120)).collect();
    urls.join(" → ")
}

fn no_phases() -> Phases {
    Phases { resolve_us: 0, connect_us: 0, tls_us: None, send_us: 0, wait_us: 0, receive_us: 0, total_us: 0 }
}

fn add(sum: &mut Phases, hop: &Phases) {
    sum.resolve_us += hop.resolve_us;
    sum.connect_us += hop.connect_us;
    sum.tls_us = hop.tls_us.map(|tls_us| tls_us + sum.tls_us.unwrap_or(0)).or(sum.tls_us);
    sum.send_us += hop.send_us;
    sum.wait_us += hop.wait_us;
    sum.receive_us += hop.receive_us;
    sum.total_us += hop.total_us;
}

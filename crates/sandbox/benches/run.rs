//! What a run costs, as ratios from one run of this program: `cargo bench -p health-watch-sandbox`.
//!
//! Nothing here passes or fails. Every figure is the median of interleaved rounds, with the least and the most beside
//! it, so that a busy machine shows as spread and not as a result. CPU time is of this process alone: the HTTP target
//! is a process of its own.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, reason = "a benchmark prints and stops")]
#![expect(clippy::disallowed_methods, reason = "it starts its own target")]

use bytes::Bytes;
use health_watch_capability::Policy;
use health_watch_sandbox::{Config, Join, Prepared, Sandbox, Secrets, Status};
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::rt::TokioIo;
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

const EMPTY: &[u8] = include_bytes!("../../../guests/dist/empty.wasm");
const HTTP: &[u8] = include_bytes!("../../../guests/dist/http.wasm");

const ROUNDS: usize = 7;

fn main() {
    if std::env::args().any(|argument| argument == "--serve") {
        return serve();
    }
    let in_process = Arc::new(Sandbox::new(Config { cache: cache(), ..Config::default() }).unwrap());
    empty(&in_process);
    http(&in_process);
}

fn cache() -> Option<PathBuf> {
    Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compiled"))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// What this process has spent: CPU time in user and system mode, and page faults.
#[derive(Clone, Copy)]
struct Spent {
    user: Duration,
    system: Duration,
    faults: i64,
}

impl Spent {
    fn now() -> Self {
        let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
        let time = |t: nix::sys::time::TimeVal| Duration::from_micros((t.tv_sec() * 1_000_000 + t.tv_usec()) as u64);
        Self { user: time(usage.user_time()), system: time(usage.system_time()), faults: usage.minor_page_faults() }
    }
}

/// One round: runs, how long each took, and what they cost together.
#[derive(Clone, Default)]
struct Round {
    per_second: f64,
    median_us: f64,
    p99_us: f64,
    cpu_us: f64,
    system_us: f64,
    faults: f64,
}

impl Round {
    fn new(began: Instant, before: Spent, mut each: Vec<Duration>) -> Self {
        let (elapsed, after) = (began.elapsed(), Spent::now());
        each.sort_unstable();
        let runs = each.len() as f64;
        let us = |d: Duration| d.as_secs_f64() * 1e6;
        let system = us(after.system.saturating_sub(before.system));
        Self {
            per_second: runs / elapsed.as_secs_f64(),
            median_us: us(each[each.len() / 2]),
            p99_us: us(each[each.len() * 99 / 100]),
            cpu_us: (us(after.user.saturating_sub(before.user)) + system) / runs,
            system_us: system / runs,
            faults: (after.faults - before.faults) as f64 / runs,
        }
    }
}

/// Median, least and most of one figure over rounds.
fn spread(rounds: &[Round], figure: impl Fn(&Round) -> f64) -> [f64; 3] {
    let mut values: Vec<f64> = rounds.iter().map(figure).collect();
    values.sort_by(f64::total_cmp);
    [values[values.len() / 2], values[0], values[values.len() - 1]]
}

fn row(name: &str, rounds: &[Round]) {
    let show = |[median, least, most]: [f64; 3], digits: usize| {
        format!("{median:.digits$} ({least:.digits$}–{most:.digits$})")
    };
    println!(
        "| {name} | {} | {} | {} | {} | {} | {} |",
        show(spread(rounds, |r| r.per_second), 0),
        show(spread(rounds, |r| r.median_us), 1),
        show(spread(rounds, |r| r.p99_us), 1),
        show(spread(rounds, |r| r.cpu_us), 2),
        show(spread(rounds, |r| r.system_us), 2),
        show(spread(rounds, |r| r.faults), 3),
    );
}

fn head(title: &str) {
    println!("\n{title}\n");
    println!("| what | per second | median, µs | p99, µs | CPU, µs each | of it system | page faults each |");
    println!("|---|---|---|---|---|---|---|");
}

fn prepare(sandbox: &Sandbox, component: &[u8], settings: &serde_json::Value) -> Prepared {
    let probe = sandbox.load(component, None).unwrap();
    let long = Policy::from_json(r#"{"resources":{"maxCpuTimeMs":10000}}"#).unwrap();
    sandbox.prepare(&probe, settings, None, &long, Secrets::default()).unwrap()
}

// --- the empty probe ---

/// A fresh store per run, everything on: CPU, wall and memory meters, a supervisor session, a record.
fn empty(in_process: &Arc<Sandbox>) {
    let prepared = Arc::new(prepare(in_process, EMPTY, &json!({})));
    let (mut one, mut two, mut far) = (Vec::new(), Vec::new(), Vec::new());
    let far_runtime = runtime();
    let program = PathBuf::from(env!("CARGO_BIN_EXE_health-watch-runner"));
    let remote = far_runtime.block_on(async {
        Sandbox::new(Config { join: Join::Process(program), cache: cache(), ..Config::default() }).unwrap()
    });
    let remote_prepared = prepare(&remote, EMPTY, &json!({}));
    for round in 0..=ROUNDS {
        let results = [
            threads(in_process, &prepared, 1),
            threads(in_process, &prepared, 2),
            socket(&far_runtime, &remote, &remote_prepared),
        ];
        // The first round warms up.
        if round > 0 {
            let [a, b, c] = results;
            one.push(a);
            two.push(b);
            far.push(c);
        }
    }
    head("Empty Rust probe, fresh store each");
    row("in process, 1 thread", &one);
    row("in process, 2 threads, together", &two);
    row("runner process, one at a time (CPU of the supervisor only)", &far);
    let ratio = spread(&two, |r| r.per_second)[0] / spread(&one, |r| r.per_second)[0];
    println!("\nTwo threads against one: {ratio:.2} ×");
}

fn threads(sandbox: &Arc<Sandbox>, prepared: &Arc<Prepared>, count: usize) -> Round {
    let (began, before, stop) = (Instant::now(), Spent::now(), Arc::new(AtomicBool::new(false)));
    let workers: Vec<_> = (0..count)
        .map(|_| {
            let (sandbox, prepared, stop) = (Arc::clone(sandbox), Arc::clone(prepared), Arc::clone(&stop));
            std::thread::spawn(move || runtime().block_on(one_after_another(&sandbox, &prepared, &stop)))
        })
        .collect();
    std::thread::sleep(Duration::from_millis(700));
    stop.store(true, Relaxed);
    let each = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    Round::new(began, before, each)
}

async fn one_after_another(sandbox: &Sandbox, prepared: &Prepared, stop: &AtomicBool) -> Vec<Duration> {
    let mut each = Vec::with_capacity(1 << 19);
    while !stop.load(Relaxed) {
        let began = Instant::now();
        let outcome = sandbox.run(prepared).await.unwrap();
        each.push(began.elapsed());
        assert_eq!(outcome.status, Status::Up);
    }
    each
}

fn socket(runtime: &tokio::runtime::Runtime, sandbox: &Sandbox, prepared: &Prepared) -> Round {
    let (began, before) = (Instant::now(), Spent::now());
    let each = runtime.block_on(async {
        let mut each = Vec::new();
        while began.elapsed() < Duration::from_millis(700) {
            let began = Instant::now();
            assert_eq!(sandbox.run(prepared).await.unwrap().status, Status::Up);
            each.push(began.elapsed());
        }
        each
    });
    Round::new(began, before, each)
}

// --- the HTTP probe ---

/// The target: a process of its own, so that its CPU is not counted.
struct Target(Child);

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start() -> (Target, SocketAddr) {
    let mut child =
        Command::new(std::env::current_exe().unwrap()).arg("--serve").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Target(child), line.trim().parse().unwrap())
}

fn serve() {
    runtime().block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        let answer = |_| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(Full::new(Bytes::from_static(
                b"{\"status\":\"ok\"}",
            ))))
        };
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), hyper::service::service_fn(answer));
            tokio::spawn(connection);
        }
    });
}

/// A new connection per check, against the same check written natively: connect, request, read, compare the status.
fn http(sandbox: &Arc<Sandbox>) {
    let (_target, address) = start();
    let prepared = Arc::new(prepare(sandbox, HTTP, &json!({ "url": format!("http://{address}/") })));
    head("HTTP check, a new connection each");
    for in_flight in [1, 64] {
        let (mut probes, mut natives) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let probe = {
                let (sandbox, prepared) = (Arc::clone(sandbox), Arc::clone(&prepared));
                many(in_flight, move || {
                    let (sandbox, prepared) = (Arc::clone(&sandbox), Arc::clone(&prepared));
                    async move { assert_eq!(sandbox.run(&prepared).await.unwrap().status, Status::Up) }
                })
            };
            let native = many(in_flight, move || native(address));
            if round > 0 {
                probes.push(probe);
                natives.push(native);
            }
        }
        row(&format!("native hyper, {in_flight} in flight"), &natives);
        row(&format!("HTTP probe, {in_flight} in flight"), &probes);
        let ratio = spread(&probes, |r| r.cpu_us)[0] / spread(&natives, |r| r.cpu_us)[0];
        println!("| **probe against native, {in_flight} in flight, CPU** | | | | **{ratio:.2} ×** | | |");
    }
}

fn many<F: Future<Output = ()> + Send + 'static>(
    in_flight: usize,
    check: impl Fn() -> F + Clone + Send + 'static,
) -> Round {
    let (began, before) = (Instant::now(), Spent::now());
    let each = runtime().block_on(async {
        let mut lanes = tokio::task::JoinSet::new();
        for _ in 0..in_flight {
            let check = check.clone();
            lanes.spawn(async move {
                let mut each = Vec::new();
                while began.elapsed() < Duration::from_millis(700) {
                    let began = Instant::now();
                    check().await;
                    each.push(began.elapsed());
                }
                each
            });
        }
        lanes.join_all().await.into_iter().flatten().collect()
    });
    Round::new(began, before, each)
}

async fn native(address: SocketAddr) {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("/").header("host", address.to_string()).body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(!body.is_empty());
    connection.abort();
}

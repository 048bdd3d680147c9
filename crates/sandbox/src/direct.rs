//! The join in one process: the seam is a function call.

use crate::Broken;
use crate::outcome::Outcome;
use crate::prepare::Prepared;
use health_watch_capability::{Answer, Request};
use health_watch_runner::{Runner, Seam};
use health_watch_supervisor::{Session, Supervisor};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Mutex;

/// The guest's end of the call.
struct Direct(Arc<Mutex<Session>>);

impl Seam for Direct {
    fn ask(&mut self, request: Request) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>> {
        Box::pin(async move { self.0.lock().await.ask(request).await })
    }
}

pub(crate) async fn run(runner: &Runner, supervisor: &Arc<Supervisor>, prepared: &Prepared) -> Result<Outcome, Broken> {
    let started = Instant::now();
    let session = Arc::new(Mutex::new(supervisor.open(prepared.opening(started))));
    let seam = Box::new(Direct(Arc::clone(&session)));
    let clock = prepared.grant.clock().is_some();
    let ended = runner.run(&prepared.probe.loaded, &prepared.settings, prepared.limits(), clock, seam, started).await;
    let ended = ended.map_err(Broken)?;
    let session = Arc::into_inner(session).ok_or_else(|| Broken("a run left its seam behind".to_owned()))?;
    Ok(Outcome::new(ended, session.into_inner()))
}

//! The child's side: a runner whose guests' requests go out over the socket.

use super::frame::{self, FromChild, ToChild, VERSION};
use crate::Broken;
use health_watch_capability::{Answer, Denial, DenialReason, Request};
use health_watch_runner::{Loaded, Runner, RunnerConfig, Seam};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

/// The guest's end of the socket.
struct Far {
    run: u64,
    outbox: mpsc::Sender<FromChild>,
    answers: mpsc::Receiver<Answer>,
}

impl Seam for Far {
    fn ask(&mut self, request: Request) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>> {
        Box::pin(async move {
            let sent = self.outbox.send(FromChild::Ask { run: self.run, request }).await;
            match (sent, self.answers.recv().await) {
                (Ok(()), Some(answer)) => answer,
                _ => Answer::Denied(orphaned()),
            }
        })
    }
}

/// Without a supervisor nothing can be decided, so nothing is allowed.
fn orphaned() -> Denial {
    Denial {
        reason: DenialReason::RecordUnavailable,
        request: "any call".to_owned(),
        rule: "the supervisor is gone".to_owned(),
        fix: String::new(),
    }
}

/// Serves runs on `socket` until it closes. This is all that a runner process does.
///
/// # Errors
/// The engine does not start, or the other side does not keep the protocol.
pub fn serve(socket: StdStream) -> Result<(), Broken> {
    let broken = |error: io::Error| Broken(format!("the runner process: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
    socket.set_nonblocking(true).map_err(broken)?;
    let runner = Arc::new(Runner::new(RunnerConfig::default()).map_err(|error| Broken(error.to_string()))?);
    runtime.block_on(async move {
        let stream = UnixStream::from_std(socket).map_err(broken)?;
        attend(stream, runner).await
    })
}

async fn attend(stream: UnixStream, runner: Arc<Runner>) -> Result<(), Broken> {
    let (mut read, mut write) = stream.into_split();
    let (outbox, mut queue) = mpsc::channel(64);
    tokio::spawn(async move {
        while let Some(frame) = queue.recv().await {
            if frame::write(&mut write, &frame).await.is_err() {
                return;
            }
        }
    });
    let _ = outbox.send(FromChild::Hello { version: VERSION }).await;
    let mut probes: HashMap<u32, Arc<Loaded>> = HashMap::new();
    let mut answers: HashMap<u64, mpsc::Sender<Answer>> = HashMap::new();
    while let Ok(frame) = frame::read::<ToChild>(&mut read).await {
        match frame {
            ToChild::Hello { version } if version == VERSION => {}
            ToChild::Hello { .. } => return Err(Broken("the supervisor speaks another version".to_owned())),
            ToChild::Load { probe, compiled } => {
                // SAFETY: the supervisor is the parent of this process and the same program; it compiled these bytes
                // or authenticated them.
                #[expect(unsafe_code, reason = "the child runs the machine code that its parent gives it")]
                let loaded = unsafe { runner.load(&compiled) };
                probes.insert(probe, Arc::new(loaded.map_err(|error| Broken(error.to_string()))?));
            }
            ToChild::Run { run, probe, settings, limits, clock } => {
                let Some(loaded) = probes.get(&probe).cloned() else {
                    return Err(Broken("the supervisor asks for a probe it did not give".to_owned()));
                };
                let (sender, receiver) = mpsc::channel(1);
                answers.retain(|_, sender| !sender.is_closed());
                answers.insert(run, sender);
                let (runner, outbox) = (Arc::clone(&runner), outbox.clone());
                tokio::spawn(async move {
                    let seam = Box::new(Far { run, outbox: outbox.clone(), answers: receiver });
                    let ended = runner.run(&loaded, &settings, &limits, clock, seam, Instant::now()).await;
                    let _ = outbox.send(FromChild::Ended { run, ended }).await;
                });
            }
            ToChild::Answer { run, answer } => {
                if let Some(sender) = answers.get(&run) {
                    let _ = sender.try_send(answer);
                }
            }
        }
    }
    Ok(())
}

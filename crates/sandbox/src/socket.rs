//! The join across a socket: the runner is a child process, and the same messages travel as frames.
//!
//! The parent trusts nothing that the child says: a request is decided on as in process, a frame for a run that does
//! not exist, or one that cannot be read, ends the child. The child trusts the parent, which gives it machine code.

mod child;
mod frame;

use crate::Broken;
use crate::outcome::Outcome;
use crate::prepare::Prepared;
pub use child::serve;
use frame::{FromChild, ToChild, VERSION};
use health_watch_runner::Ended;
use health_watch_supervisor::{Session, Supervisor};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OnceCell, mpsc};

fn gone() -> Broken {
    Broken("the runner process is gone".to_owned())
}

fn out_of_step() -> Broken {
    Broken("the runner process is out of step".to_owned())
}

/// How much longer than a run's wall time the parent waits for the child to say that it ended.
const GRACE: Duration = Duration::from_secs(2);

/// Frames that may wait for a run's supervisor, or for the child. A run has one request under way at a time.
const QUEUE: usize = 16;

/// The parent's side.
pub(crate) struct Remote {
    outbox: mpsc::Sender<ToChild>,
    runs: Runs,
    next_run: AtomicU64,
    next_probe: AtomicU32,
    child: Mutex<Child>,
}

/// A compiled probe, and whether the child has it.
pub(crate) struct RemoteProbe {
    number: u32,
    compiled: Mutex<Option<Vec<u8>>>,
    given: OnceCell<()>,
}

/// Who is waiting for frames of which run; nobody any more once the child is gone.
type Runs = Arc<Mutex<Option<HashMap<u64, mpsc::Sender<FromChild>>>>>;

impl Remote {
    /// Starts the child from `program`, which must call [`serve`]. Its end of the socket pair is its standard input;
    /// it inherits no environment.
    #[expect(clippy::disallowed_methods, reason = "the runner is a process of its own")]
    pub(crate) fn start(program: &Path) -> Result<Self, Broken> {
        let failed = |error: std::io::Error| Broken(format!("the runner process does not start: {error}"));
        let (ours, theirs) = StdStream::pair().map_err(failed)?;
        ours.set_nonblocking(true).map_err(failed)?;
        let child = Command::new(program)
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| Broken(format!("the runner process `{}` does not start: {error}", program.display())))?;
        let (read, write) = UnixStream::from_std(ours).map_err(failed)?.into_split();
        let (outbox, queue) = mpsc::channel(QUEUE);
        let runs: Runs = Arc::new(Mutex::new(Some(HashMap::new())));
        tokio::spawn(send(queue, write));
        tokio::spawn(receive(read, Arc::clone(&runs)));
        let remote =
            Self { outbox, runs, next_run: AtomicU64::new(0), next_probe: AtomicU32::new(0), child: Mutex::new(child) };
        // The queue is empty, so there is room.
        let _ = remote.outbox.try_send(ToChild::Hello { version: VERSION });
        Ok(remote)
    }

    /// Names a compiled probe for the child, which gets it before its first run.
    pub(crate) fn load(&self, compiled: Vec<u8>) -> RemoteProbe {
        let number = self.next_probe.fetch_add(1, Ordering::Relaxed);
        RemoteProbe { number, compiled: Mutex::new(Some(compiled)), given: OnceCell::new() }
    }

    /// Gives the child a probe, once. Frames keep their order, so a run that is asked for later finds it.
    async fn give(&self, probe: &RemoteProbe) -> Result<(), Broken> {
        let give = || async {
            let compiled = probe.compiled.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(gone)?;
            self.outbox.send(ToChild::Load { probe: probe.number, compiled }).await.map_err(|_| gone())
        };
        probe.given.get_or_try_init(give).await.copied()
    }

    pub(crate) async fn run(
        &self,
        supervisor: &Arc<Supervisor>,
        probe: &RemoteProbe,
        prepared: &Prepared,
    ) -> Result<Outcome, Broken> {
        self.give(probe).await?;
        let started = Instant::now();
        let mut session = supervisor.open(prepared.opening(started));
        let run = self.next_run.fetch_add(1, Ordering::Relaxed);
        let (inbox, frames) = mpsc::channel(QUEUE);
        self.lock_runs().as_mut().ok_or_else(gone)?.insert(run, inbox);
        let begin = ToChild::Run {
            run,
            probe: probe.number,
            settings: prepared.settings.clone(),
            limits: prepared.limits().clone(),
            clock: prepared.grant.clock().is_some(),
        };
        let deadline = started + Duration::from_millis(prepared.limits().wall_ms) + GRACE;
        let ended = tokio::time::timeout_at(deadline.into(), self.attend(run, begin, frames, &mut session)).await;
        self.lock_runs().as_mut().and_then(|runs| runs.remove(&run));
        match ended {
            Ok(ended) => Ok(Outcome::new(ended?, session)),
            Err(_elapsed) => {
                self.kill();
                Err(Broken("the runner process did not end a run in time and was killed".to_owned()))
            }
        }
    }

    /// Answers a run's requests until it has ended.
    async fn attend(
        &self,
        run: u64,
        begin: ToChild,
        mut frames: mpsc::Receiver<FromChild>,
        session: &mut Session,
    ) -> Result<Ended, Broken> {
        self.outbox.send(begin).await.map_err(|_| gone())?;
        loop {
            match frames.recv().await.ok_or_else(gone)? {
                FromChild::Ask { request, .. } => {
                    // A guest that is ended while it waits wants no answer any more.
                    let answer = tokio::select! {
                        answer = session.ask(request) => answer,
                        frame = frames.recv() => match frame.ok_or_else(gone)? {
                            FromChild::Ended { ended, .. } => return ended.map_err(Broken),
                            _ => return Err(out_of_step()),
                        },
                    };
                    self.outbox.send(ToChild::Answer { run, answer }).await.map_err(|_| gone())?;
                }
                FromChild::Ended { ended, .. } => return ended.map_err(Broken),
                FromChild::Hello { .. } => return Err(out_of_step()),
            }
        }
    }

    fn lock_runs(&self) -> std::sync::MutexGuard<'_, Option<HashMap<u64, mpsc::Sender<FromChild>>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kill(&self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn send(mut queue: mpsc::Receiver<ToChild>, mut write: OwnedWriteHalf) {
    while let Some(frame) = queue.recv().await {
        if frame::write(&mut write, &frame).await.is_err() {
            return;
        }
    }
}

/// Hands frames to their runs. When it ends, for whatever reason, every waiting run learns that the child is gone.
async fn receive(mut read: OwnedReadHalf, runs: Runs) {
    let mut greeted = false;
    while let Ok(frame) = frame::read::<FromChild>(&mut read).await {
        let run = match &frame {
            FromChild::Hello { version } if *version == VERSION && !greeted => {
                greeted = true;
                continue;
            }
            FromChild::Ask { run, .. } | FromChild::Ended { run, .. } if greeted => *run,
            _ => break,
        };
        let inbox =
            runs.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|runs| runs.get(&run).cloned());
        let Some(inbox) = inbox else { break };
        // More frames of one run than it can have outstanding is a child that does not keep the protocol.
        if inbox.try_send(frame).is_err() {
            break;
        }
    }
    *runs.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

#[cfg(test)]
mod tests {
    use super::*;
    use health_watch_capability::Request;
    use tokio::io::AsyncWriteExt;

    /// What `receive` makes of bytes from a child, with run 1 waiting: whether the child still counts as there.
    fn survives(bytes: &[u8]) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (ours, mut theirs) = UnixStream::pair().expect("a pair");
            let (inbox, mut frames) = mpsc::channel(QUEUE);
            let runs: Runs = Arc::new(Mutex::new(Some(HashMap::from([(1, inbox)]))));
            let receiving = tokio::spawn(receive(ours.into_split().0, Arc::clone(&runs)));
            theirs.write_all(bytes).await.expect("written");
            let alive = tokio::select! {
                frame = frames.recv() => frame.is_some(),
                ended = receiving => { ended.expect("no panic"); false }
            };
            assert_eq!(alive, runs.lock().expect("unpoisoned").is_some());
            alive
        })
    }

    fn bytes(frames: &[FromChild]) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| runtime.block_on(frame::write(&mut bytes, frame)).expect("encoded"));
        bytes
    }

    #[test]
    fn a_child_that_does_not_keep_the_protocol_is_gone() {
        let hello = || FromChild::Hello { version: VERSION };
        let ask = |run| FromChild::Ask { run, request: Request::Secrets };
        assert!(survives(&bytes(&[hello(), ask(1)])), "the control");
        assert!(!survives(&bytes(&[ask(1)])), "no greeting");
        assert!(!survives(&bytes(&[hello(), hello()])), "two greetings");
        assert!(!survives(&bytes(&[FromChild::Hello { version: VERSION + 1 }])), "another version");
        assert!(!survives(&bytes(&[hello(), ask(2)])), "a run that does not exist");
        assert!(!survives(&[0xff; 8]), "a frame without end");
        assert!(!survives(&[3, 0, 0, 0, 0xff, 0xff, 0xff]), "no frame at all");
    }
}

//! A bounded recorder: where a run's entries go while it lasts.
//!
//! Nothing is ever dropped. When an entry does not fit, the call that wanted it must be denied, so the bound is a
//! bound on what a guest can do, not on what is known about it. An intent reserves the room for its settlement, and
//! the closing entry's room is reserved from the start.

use crate::record::{Event, Record};

/// The place of an entry in its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seq(u32);

impl Seq {
    /// As a number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

/// There is no room for another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The entries of one run.
#[derive(Debug)]
pub struct Recorder {
    records: Vec<Record>,
    capacity: usize,
    /// Entries that were promised room: the closing one and one per open intent.
    promised: usize,
}

impl Recorder {
    /// A recorder for at most `capacity` entries, of which one is kept for the end.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { records: Vec::with_capacity(4), capacity, promised: 1 }
    }

    /// Adds an entry that stands alone.
    ///
    /// # Errors
    /// [`Full`]: nothing was added.
    pub fn add(&mut self, at_us: u64, event: Event) -> Result<Seq, Full> {
        self.room(1)?;
        Ok(self.push(at_us, event))
    }

    /// Adds an intent and keeps room for its settlement.
    ///
    /// # Errors
    /// [`Full`]: nothing was added.
    pub fn intend(&mut self, at_us: u64, event: Event) -> Result<Seq, Full> {
        self.room(2)?;
        self.promised += 1;
        Ok(self.push(at_us, event))
    }

    /// Adds the settlement of an intent.
    pub fn settle(&mut self, at_us: u64, event: Event) {
        self.promised = self.promised.saturating_sub(1);
        self.push(at_us, event);
    }

    /// Adds the closing entry and hands over all of them.
    #[must_use]
    pub fn close(mut self, at_us: u64, event: Event) -> Vec<Record> {
        self.push(at_us, event);
        self.records
    }

    fn room(&self, wanted: usize) -> Result<(), Full> {
        if self.records.len() + self.promised + wanted <= self.capacity { Ok(()) } else { Err(Full) }
    }

    fn push(&mut self, at_us: u64, event: Event) -> Seq {
        let seq = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        self.records.push(Record { seq, at_us, event });
        Seq(seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event::Intent { request: "GET http://a".into(), rule: "r".into(), secret: None }
    }

    #[test]
    fn a_full_recorder_refuses_and_still_settles_and_closes() {
        let mut recorder = Recorder::new(4);
        assert!(recorder.intend(0, event()).is_ok());
        assert!(recorder.add(1, event()).is_ok());
        assert_eq!(recorder.add(2, event()), Err(Full));
        assert_eq!(recorder.intend(2, event()), Err(Full));
        recorder.settle(3, event());
        let records = recorder.close(4, event());
        assert_eq!(records.iter().map(|record| record.seq).collect::<Vec<_>>(), [0, 1, 2, 3]);
    }
}

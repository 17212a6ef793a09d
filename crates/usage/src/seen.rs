//! Step 3 of usage in: what was seen before, in memory and in runs.
//!
//! Keys of unflushed rows are in maps that only the writer changes; a flush turns a map into a
//! run. Callers ask the runs, so that the writer only has to ask what is newer.

use std::collections::HashMap;
use std::sync::Arc;

use domain::event::Fingerprint;

pub(crate) mod key;
pub(crate) mod merge;
pub(crate) mod run;

use crate::error::Result;
use key::{Key, KeyBitsBuilder, KeyMaker};
use run::{Entry, Run};

/// Folder of the runs inside the store's.
pub(crate) const FOLDER: &str = "keys";

/// What is remembered of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// What its event said.
    pub(crate) fingerprint: Fingerprint,
    /// Sequence of its event.
    pub(crate) sequence: u64,
}

/// Keys of unflushed rows.
pub(crate) type KeyMap = HashMap<Key, Known, KeyBitsBuilder>;

/// The runs of one manifest generation, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunSet {
    /// The runs.
    pub(crate) runs: Vec<Arc<Run>>,
    /// Last sequence whose key is inside each of them.
    pub(crate) lasts: Vec<u64>,
    /// Last sequence whose key is in any of them.
    pub(crate) through: u64,
}

impl RunSet {
    /// Whether a run with keys of rows after `after` may hold the key. Reads memory only.
    pub(crate) fn may_hold(&self, key: Key, after: u64) -> bool {
        self.newer(after).any(|run| run.may_hold(key))
    }

    /// Finds a key in the runs with keys of rows after `after`.
    pub(crate) fn find(&self, key: Key, after: u64) -> Result<Option<Known>> {
        for run in self.newer(after) {
            if let Some(Entry {
                fingerprint,
                sequence,
                ..
            }) = run.find(key)?
            {
                return Ok(Some(Known {
                    fingerprint,
                    sequence,
                }));
            }
        }
        Ok(None)
    }

    fn newer(&self, after: u64) -> impl Iterator<Item = &Arc<Run>> {
        let runs = self.runs.iter().zip(&self.lasts).rev();
        runs.take_while(move |(_, last)| **last > after)
            .map(|(run, _)| run)
    }
}

/// An event to be told apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// Its key.
    pub(crate) key: Key,
    /// What it says.
    pub(crate) fingerprint: Fingerprint,
    /// What the runs up to `checked_through` know of the key.
    pub(crate) known: Option<Known>,
    /// Whether these runs know the same conflicting copy.
    pub(crate) known_conflict: bool,
    /// Last sequence of the runs asked for the key.
    pub(crate) checked_through: u64,
    /// Last sequence of the runs asked for the conflicting copy; 0 when none was.
    pub(crate) conflict_checked_through: u64,
}

/// What an event turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Never seen.
    Fresh,
    /// Seen, and it said the same.
    Duplicate {
        /// Sequence of the first copy.
        sequence: u64,
    },
    /// Seen, and it said something else.
    Conflict {
        /// Sequence of the first copy.
        sequence: u64,
        /// Key under which this very copy is to be remembered; `None` when it is stored already.
        own_key: Option<Key>,
    },
}

/// Keys of unflushed rows, and the changes of a frame that is not durable yet.
#[derive(Debug)]
pub(crate) struct Seen {
    keys: KeyMaker,
    active: KeyMap,
    flushing: Option<(u64, Arc<KeyMap>)>,
    undo: Vec<Key>,
}

impl Seen {
    /// Takes the keys recovery read from the journal.
    pub(crate) fn new(keys: KeyMaker, active: KeyMap) -> Self {
        Self {
            keys,
            active,
            flushing: None,
            undo: Vec::new(),
        }
    }

    /// Tells an event apart.
    pub(crate) fn judge(&self, asked: &Asked, runs: &RunSet) -> Result<Verdict> {
        let known = match self.recall(asked.key).or(asked.known) {
            Some(known) => Some(known),
            None => runs.find(asked.key, asked.checked_through)?,
        };
        let Some(Known {
            fingerprint,
            sequence,
        }) = known
        else {
            return Ok(Verdict::Fresh);
        };
        if fingerprint.matches(asked.fingerprint) {
            return Ok(Verdict::Duplicate { sequence });
        }
        let own_key = self.keys.conflict(asked.key, asked.fingerprint);
        let stored = asked.known_conflict
            || self.recall(own_key).is_some()
            || runs
                .find(own_key, asked.conflict_checked_through)?
                .is_some();
        let own_key = (!stored).then_some(own_key);
        Ok(Verdict::Conflict { sequence, own_key })
    }

    fn recall(&self, key: Key) -> Option<Known> {
        let flushing = || self.flushing.as_ref().and_then(|(_, map)| map.get(&key));
        self.active.get(&key).or_else(flushing).copied()
    }

    /// Remembers a key of the frame being put together.
    pub(crate) fn remember(&mut self, key: Key, known: Known) {
        self.active.insert(key, known);
        self.undo.push(key);
    }

    /// Keeps what was remembered since the last call: it is durable.
    pub(crate) fn keep(&mut self) {
        self.undo.clear();
    }

    /// Forgets what was remembered since the last [`Self::keep`]: the frame was not written.
    pub(crate) fn undo(&mut self) {
        for key in self.undo.drain(..) {
            self.active.remove(&key);
        }
    }

    /// Hands the keys of rows up to `through` to a flush; they are known here until it ends.
    pub(crate) fn hand_over(&mut self, through: u64) -> Arc<KeyMap> {
        let room = self.active.len() / 2;
        let next = KeyMap::with_capacity_and_hasher(room, KeyBitsBuilder::default());
        let map = Arc::new(std::mem::replace(&mut self.active, next));
        self.flushing = Some((through, Arc::clone(&map)));
        map
    }

    /// Forgets keys that a run holds now.
    pub(crate) fn forget(&mut self, through: u64) {
        self.flushing = self.flushing.take().filter(|(held, _)| *held > through);
    }
}

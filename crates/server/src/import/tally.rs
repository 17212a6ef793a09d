//! What became of the records of an import.

use serde::Serialize;

use super::NAMED_MAX;

/// Counts of outcomes: `received = accepted + duplicate + conflict + refused`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    /// Events read in this run.
    pub(crate) received: u64,
    /// New and durable.
    pub(crate) accepted: u64,
    /// Known already and the same.
    pub(crate) duplicate: u64,
    /// Known already but different.
    pub(crate) conflict: u64,
    /// Not taken.
    pub(crate) refused: u64,
    /// Records an earlier, interrupted run had finished.
    pub(crate) skipped: u64,
    /// Whether the input was read to its end.
    pub(crate) complete: bool,
    /// The first events that conflict or were refused, by record.
    #[serde(rename = "notAccepted")]
    pub(crate) named: Vec<NotAccepted>,
}

/// One event that was not taken as new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NotAccepted {
    /// Number of the record in the file, from 1.
    pub(crate) record: u64,
    /// Stable code: a refusal's, or `conflict`.
    pub(crate) code: String,
    /// What is wrong.
    pub(crate) message: String,
}

impl Tally {
    /// Adds the outcomes of a block that starts after `first` records.
    pub(crate) fn add(&mut self, block: &Self, first: u64) {
        self.received += block.received;
        self.accepted += block.accepted;
        self.duplicate += block.duplicate;
        self.conflict += block.conflict;
        self.refused += block.refused;
        let free = NAMED_MAX.saturating_sub(self.named.len());
        let named = block.named.iter().take(free).cloned();
        self.named.extend(named.map(|mut named| {
            named.record += first;
            named
        }));
    }

    /// Names an event of the block by its place from 1, as long as few are.
    pub(crate) fn name(&mut self, place: u64, code: &str, message: &str) {
        if self.named.len() < NAMED_MAX {
            self.named.push(NotAccepted {
                record: place,
                code: code.to_owned(),
                message: message.to_owned(),
            });
        }
    }

    /// The result in words, for people.
    pub(crate) fn sentence(&self) -> String {
        let skipped = match self.skipped {
            0 => String::new(),
            records => format!(" ({records} records were done by an earlier run)"),
        };
        let new = if self.accepted == 0 && self.conflict == 0 {
            "nothing new: "
        } else {
            ""
        };
        let rest = if self.complete {
            ""
        } else {
            "; more records are left, run it again to go on"
        };
        format!(
            "{new}{} events: {} accepted, {} duplicate, {} conflict, {} refused{skipped}{rest}",
            self.received, self.accepted, self.duplicate, self.conflict, self.refused
        )
    }
}

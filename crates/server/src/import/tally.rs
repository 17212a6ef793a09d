//! What became of the records of an import.

use serde::Serialize;

use super::NAMED_MAX;
use super::cutter::Refused;

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

    /// Adds records of the block that were refused here, and so were not among the events whose
    /// outcomes are counted yet: their numbers count from those events alone.
    pub(crate) fn add_refused(&mut self, refused: &[Refused]) {
        let count = refused.len() as u64;
        self.received += count;
        self.refused += count;
        for named in &mut self.named {
            for refused in refused {
                named.record += u64::from(refused.record <= named.record);
            }
        }
        for refused in refused.iter().take(NAMED_MAX) {
            self.named.push(NotAccepted {
                record: refused.record,
                code: refused.code.to_owned(),
                message: refused.message.clone(),
            });
        }
        self.named.sort_by_key(|named| named.record);
        self.named.truncate(NAMED_MAX);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_refused_before_the_events_keep_the_numbers_of_the_file() {
        let refused = |record| Refused {
            record,
            code: "malformed_record",
            message: String::new(),
        };
        let mut tally = Tally {
            received: 3,
            accepted: 1,
            refused: 2,
            ..Tally::default()
        };
        // Of records 1 to 6 the first, third and fourth never were events.
        tally.name(1, "invalid_time", "");
        tally.name(3, "invalid_time", "");
        tally.add_refused(&[refused(1), refused(3), refused(4)]);
        assert_eq!((tally.received, tally.refused), (6, 5));
        let records: Vec<u64> = tally.named.iter().map(|named| named.record).collect();
        assert_eq!(records, [1, 2, 3, 4, 6]);
    }
}

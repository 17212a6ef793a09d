//! Rows of the flights table, turned into lines of CloudEvents for the import.

use domain::Timestamp;

use super::{Flight, FlightEvent, Planes};
use crate::import::Block;

/// Turns rows of a flights table into CloudEvents.
#[derive(Debug)]
pub(crate) struct FlightRows {
    header: csv::StringRecord,
    planes: Planes,
    replay: Option<Replay>,
}

/// Keeps the flights of one day and moves them into the 24 hours before `now`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replay {
    /// Month the flight was scheduled in.
    pub(crate) month: u8,
    /// Day of that month.
    pub(crate) day: u8,
    /// Where the moved day ends.
    pub(crate) now: Timestamp,
}

impl FlightRows {
    /// Takes the header of a table and what to do with its rows.
    pub(crate) fn new(header: csv::StringRecord, planes: Planes, replay: Option<Replay>) -> Self {
        Self {
            header,
            planes,
            replay,
        }
    }

    /// One line of JSON per flight; a row that is none becomes a text the intake refuses.
    pub(crate) fn lines(&self, block: &Block) -> Vec<u8> {
        let mut rows = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(block.text.as_slice());
        let mut lines = Vec::with_capacity(block.text.len() * 3);
        for (index, record) in (block.first + 1..).zip(rows.records()) {
            match self.event(index, record) {
                Ok(Some(line)) => lines.extend_from_slice(line.as_bytes()),
                Ok(None) => continue,
                Err(reason) => crate::import::write_refused(&mut lines, &reason),
            }
            lines.push(b'\n');
        }
        lines
    }

    fn event(
        &self,
        index: u64,
        record: csv::Result<csv::StringRecord>,
    ) -> Result<Option<String>, String> {
        let record = record.map_err(|error| error.to_string())?;
        let flight: Flight<'_> = record
            .deserialize(Some(&self.header))
            .map_err(|error| error.to_string())?;
        let event = flight
            .event(flight.row.unwrap_or(index), &self.planes)
            .map_err(|error| error.to_string())?;
        let event = match self.replay {
            Some(replay) if flight.is_on(replay.month, replay.day) => {
                event.moved_before(replay.now)
            }
            Some(_) => return Ok(None),
            None => event,
        };
        Ok(Some(spell(&event)))
    }
}

fn spell(event: &FlightEvent<'_>) -> String {
    serde_json::to_string(event).expect("texts, instants and decimals always are JSON")
}

//! Rows of the flights table, turned into lines of CloudEvents for the import.

use domain::Timestamp;

use super::{Flight, FlightEvent, Planes};
use crate::import::Row;

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
    pub(crate) fn new(header: Vec<String>, planes: Planes, replay: Option<Replay>) -> Self {
        Self {
            header: header.into(),
            planes,
            replay,
        }
    }

    /// Columns of the table.
    pub(crate) fn width(&self) -> usize {
        self.header.len()
    }

    /// Writes the line of JSON of a flight that is kept; an error says why a row is none.
    pub(crate) fn line(
        &self,
        number: u64,
        row: Row<'_>,
        lines: &mut Vec<u8>,
    ) -> Result<(), String> {
        let record = row.fields().collect();
        if let Some(line) = self.event(number, &record)? {
            lines.extend_from_slice(line.as_bytes());
            lines.push(b'\n');
        }
        Ok(())
    }

    fn event(&self, index: u64, record: &csv::StringRecord) -> Result<Option<String>, String> {
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

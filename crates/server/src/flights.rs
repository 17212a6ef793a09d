//! The real input at hand: flights as metered jobs, each row of the table one event.
//!
//! The organization is the carrier, the project the origin, the folder the destination, the asset
//! the aircraft, the task the flight and the run the row. The demo imports what this gives.

mod planes;
mod rows;

use domain::Timestamp;
use domain::quantity::Quantity;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

pub(crate) use planes::Planes;
pub(crate) use rows::{FlightRows, Replay};

/// CloudEvents `type` of every flight.
pub(crate) const EVENT_TYPE: &str = "flight";
/// CloudEvents `source` of the flights of 2013.
pub(crate) const SOURCE: &str = "flights";
/// CloudEvents `source` of flights moved to the last day.
pub(crate) const SOURCE_LIVE: &str = "flights-live";

/// The January and March flights that come with the program, as zstd-compressed CSV.
pub(crate) const TABLE: &[u8] = include_bytes!("../../../data/flights/flights.csv.zst");

/// Minutes of departure delay after which a flight counts as troubled.
const DELAY_MINUTES_MAX: i32 = 60;
/// Marks a missing value in the table.
const MISSING: &str = "NA";

/// One row of the table, as far as it is metered.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Flight<'a> {
    /// Number in the full year's file; that file itself is counted.
    pub(crate) row: Option<u64>,
    month: u8,
    day: u8,
    dep_delay: &'a str,
    /// The carrier's two-character code.
    pub(crate) carrier: &'a str,
    #[serde(rename = "flight")]
    number: &'a str,
    tailnum: &'a str,
    origin: &'a str,
    dest: &'a str,
    air_time: &'a str,
    distance: &'a str,
    minute: i32,
    time_hour: &'a str,
}

/// Why a row is no flight.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{column} is {text:?}: expected {expected}")]
pub(crate) struct FlightError {
    column: &'static str,
    text: String,
    expected: &'static str,
}

/// What a flight says in CloudEvents form.
#[derive(Debug, Serialize)]
pub(crate) struct FlightEvent<'a> {
    specversion: &'static str,
    id: String,
    source: &'static str,
    #[serde(rename = "type")]
    event_type: &'static str,
    subject: &'a str,
    pub(crate) time: Timestamp,
    organization: &'a str,
    data: FlightUse<'a>,
}

/// The data of a flight's event; names follow [`domain::dimension::Dimension::key`].
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FlightUse<'a> {
    project: &'a str,
    folder: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    asset: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asset_type: Option<&'a str>,
    task_id: &'a str,
    task_name: &'a str,
    task_run_id: u64,
    start: Timestamp,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hours: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    miles: Option<Quantity>,
}

impl<'a> Flight<'a> {
    /// The event of the flight, `row` being its number in the full year's file.
    ///
    /// Without air time nothing was used: the event stands at the scheduled instant as an error.
    pub(crate) fn event(
        &self,
        row: u64,
        planes: &'a Planes,
    ) -> Result<FlightEvent<'a>, FlightError> {
        let hour: Timestamp = self
            .time_hour
            .parse()
            .map_err(|_| refuse("time_hour", self.time_hour, "an instant"))?;
        let later = |from: Timestamp, minutes: i32| {
            from.checked_add(SignedDuration::from_mins(i64::from(minutes)))
                .map_err(|_| refuse("time_hour", self.time_hour, "a year before 9999"))
        };
        let scheduled = later(hour, self.minute)?;
        let air_minutes = whole("air_time", self.air_time)?;
        let delay_minutes = whole("dep_delay", self.dep_delay)?.unwrap_or(0);
        let (start, end) = match air_minutes {
            None => (scheduled, scheduled),
            Some(minutes) => {
                let start = later(scheduled, delay_minutes)?;
                (start, later(start, minutes)?)
            }
        };
        let status = match air_minutes {
            None => "ERROR",
            Some(_) if delay_minutes > DELAY_MINUTES_MAX => "WARNING",
            Some(_) => "SUCCESS",
        };
        let miles = whole("distance", self.distance)?;
        let asset = present(self.tailnum);
        Ok(FlightEvent {
            specversion: "1.0",
            id: row.to_string(),
            source: SOURCE,
            event_type: EVENT_TYPE,
            subject: asset.unwrap_or(self.carrier),
            time: end,
            organization: self.carrier,
            data: FlightUse {
                project: self.origin,
                folder: self.dest,
                asset,
                asset_type: asset.and_then(|tail| planes.type_of(tail)),
                task_id: self.number,
                task_name: self.number,
                task_run_id: row,
                start,
                status,
                hours: air_minutes.and_then(hours),
                miles: air_minutes.and(miles).and_then(units),
            },
        })
    }

    /// Whether the flight was scheduled on a day of the year, New York time.
    pub(crate) fn is_on(&self, month: u8, day: u8) -> bool {
        (self.month, self.day) == (month, day)
    }
}

impl FlightEvent<'_> {
    /// Moves the flight by whole days into the 24 hours that end `now`, as an event of its own.
    fn moved_before(mut self, now: Timestamp) -> Self {
        let day = SignedDuration::from_hours(24);
        let days = now
            .duration_since(self.time)
            .as_secs()
            .div_euclid(day.as_secs());
        let shift = day * i32::try_from(days).unwrap_or(0);
        self.time = self.time.saturating_add(shift).unwrap_or(now);
        self.data.start = self.data.start.saturating_add(shift).unwrap_or(now);
        self.source = SOURCE_LIVE;
        let date = self.time.to_zoned(jiff::tz::TimeZone::UTC).date();
        self.id = format!("{}@{date}", self.id);
        self
    }
}

fn present(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty() && *text != MISSING)
}

fn whole(column: &'static str, text: &str) -> Result<Option<i32>, FlightError> {
    present(text)
        .map(str::parse)
        .transpose()
        .map_err(|_| refuse(column, text, "a whole number or NA"))
}

fn refuse(column: &'static str, text: &str, expected: &'static str) -> FlightError {
    let text = text.chars().take(64).collect();
    FlightError {
        column,
        text,
        expected,
    }
}

/// Hours of so many minutes, rounded half away from zero to six decimals.
fn hours(minutes: i32) -> Option<Quantity> {
    let minutes = i128::from(minutes);
    let millionths = (minutes * 1_000_000 * 2 + 60 * minutes.signum()) / (60 * 2);
    Quantity::from_units(millionths * 1_000_000)
}

fn units(number: i32) -> Option<Quantity> {
    Quantity::from_units(i128::from(number) * Quantity::ONE.units())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "row,year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,\
        sched_arr_time,arr_delay,carrier,flight,tailnum,origin,dest,air_time,distance,hour,minute,\
        time_hour";

    fn record(line: &str) -> (csv::StringRecord, csv::StringRecord) {
        let split = |line: &str| line.split(',').collect::<csv::StringRecord>();
        (split(HEADER), split(line))
    }

    fn event(line: &str) -> serde_json::Value {
        let (header, record) = record(line);
        let flight: Flight<'_> = record.deserialize(Some(&header)).unwrap();
        let planes = Planes::read().unwrap();
        serde_json::to_value(flight.event(flight.row.unwrap(), &planes).unwrap()).unwrap()
    }

    #[test]
    fn a_flight_is_a_metered_job_of_its_carrier() {
        let event = event(
            "1,2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,\
             2013-01-01T10:00:00Z",
        );
        insta::assert_snapshot!(serde_json::to_string_pretty(&event).unwrap(), @r#"
        {
          "data": {
            "asset": "N14228",
            "assetType": "Fixed wing multi engine",
            "folder": "IAH",
            "hours": 3.783333,
            "miles": 1400,
            "project": "EWR",
            "start": "2013-01-01T10:17:00Z",
            "status": "SUCCESS",
            "taskId": "1545",
            "taskName": "1545",
            "taskRunId": 1
          },
          "id": "1",
          "organization": "UA",
          "source": "flights",
          "specversion": "1.0",
          "subject": "N14228",
          "time": "2013-01-01T14:04:00Z",
          "type": "flight"
        }
        "#);
    }

    #[test]
    fn a_night_flight_over_the_clock_change_of_march_lasts_its_air_time() {
        let event = event(
            "144512,2013,3,9,2345,2315,30,406,357,9,B6,707,N292JB,JFK,SJU,183,1598,23,15,\
             2013-03-10T04:00:00Z",
        );
        assert_eq!(event["data"]["start"], "2013-03-10T04:45:00Z");
        assert_eq!(event["time"], "2013-03-10T07:48:00Z");
        assert_eq!(event["data"]["hours"].to_string(), "3.05");
    }

    #[test]
    fn the_first_morning_of_summer_time_starts_an_hour_earlier_in_utc() {
        let event = event(
            "144529,2013,3,10,553,600,-7,815,830,-15,DL,461,N643DL,LGA,ATL,110,762,6,0,\
             2013-03-10T10:00:00Z",
        );
        assert_eq!(event["data"]["start"], "2013-03-10T09:53:00Z");
        assert_eq!(event["time"], "2013-03-10T11:43:00Z");
    }

    #[test]
    fn a_cancelled_flight_is_an_error_at_its_scheduled_instant_and_uses_nothing() {
        let event = event(
            "144513,2013,3,9,NA,1238,NA,NA,1433,NA,EV,4960,NA,EWR,DTW,NA,488,12,38,\
             2013-03-09T17:00:00Z",
        );
        assert_eq!(event["time"], "2013-03-09T17:38:00Z");
        assert_eq!(event["data"]["status"], "ERROR");
        assert_eq!(event["subject"], "EV");
        for absent in ["hours", "miles", "asset", "assetType"] {
            assert_eq!(event["data"].get(absent), None, "{absent}");
        }
    }

    #[test]
    fn only_more_than_an_hour_of_delay_is_a_warning() {
        let status = |delay: &str| {
            let line = format!(
                "9,2013,1,1,1,1,{delay},1,1,1,UA,1,N1,EWR,IAH,60,1,5,15,2013-01-01T10:00:00Z"
            );
            event(&line)["data"]["status"].clone()
        };
        assert_eq!(status("60"), "SUCCESS");
        assert_eq!(status("61"), "WARNING");
    }

    #[test]
    fn hours_are_rounded_half_away_from_zero_to_six_decimals() {
        let spell = |minutes| hours(minutes).unwrap().to_string();
        assert_eq!(spell(20), "0.333333");
        assert_eq!(spell(40), "0.666667");
        assert_eq!(spell(-40), "-0.666667");
        assert_eq!(spell(90), "1.5");
    }

    #[test]
    fn a_row_that_makes_no_sense_names_its_column() {
        let (header, record) =
            record("1,2013,1,1,1,1,soon,1,1,1,UA,1,N1,EWR,IAH,60,1,5,15,2013-01-01T10:00:00Z");
        let flight: Flight<'_> = record.deserialize(Some(&header)).unwrap();
        let error = flight.event(1, &Planes::read().unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "dep_delay is \"soon\": expected a whole number or NA"
        );
    }

    #[test]
    fn a_replayed_flight_ends_at_its_own_time_of_day_within_the_last_day() {
        let (header, record) =
            record("7,2013,1,15,1,1,0,1,1,1,UA,1,N1,EWR,IAH,60,1,5,15,2013-01-15T10:00:00Z");
        let flight: Flight<'_> = record.deserialize(Some(&header)).unwrap();
        let planes = Planes::read().unwrap();
        let moved = |now: &str| {
            let event = flight
                .event(7, &planes)
                .unwrap()
                .moved_before(now.parse().unwrap());
            format!("{} {} from {}", event.id, event.time, event.data.start)
        };
        assert_eq!(
            moved("2026-05-02T11:15:00Z"),
            "7@2026-05-02 2026-05-02T11:15:00Z from 2026-05-02T10:15:00Z"
        );
        assert_eq!(
            moved("2026-05-02T11:14:59Z"),
            "7@2026-05-01 2026-05-01T11:15:00Z from 2026-05-01T10:15:00Z"
        );
    }
}

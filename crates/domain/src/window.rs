//! Windows of time in a time zone, right across clock changes.

use jiff::Timestamp;
use jiff::ToSpan;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Length of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WindowSize {
    /// A minute of the clock.
    Minute,
    /// An hour of the clock.
    Hour,
    /// A calendar day.
    Day,
    /// A calendar month.
    Month,
}

/// Windows of one size in one time zone.
#[derive(Debug, Clone)]
pub struct Windows {
    /// Length of each window.
    pub size: WindowSize,
    /// Zone whose clock and calendar cut the windows.
    pub zone: TimeZone,
}

/// One window: `start` included, `end` excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// First instant inside.
    pub start: Timestamp,
    /// First instant after.
    pub end: Timestamp,
}

impl Window {
    /// Whether `instant` lies inside.
    pub fn contains(&self, instant: Timestamp) -> bool {
        self.start <= instant && instant < self.end
    }
}

impl Windows {
    /// The window `instant` lies in.
    ///
    /// An hour the clock repeats is two windows, a skipped one is none, a day is 23 to 25 hours.
    pub fn around(&self, instant: Timestamp) -> Window {
        match self.size {
            WindowSize::Minute => self.clock(instant, 60),
            WindowSize::Hour => self.clock(instant, 3600),
            WindowSize::Day | WindowSize::Month => self.calendar(instant),
        }
    }

    fn clock(&self, instant: Timestamp, seconds: i64) -> Window {
        let offset = i64::from(self.zone.to_offset(instant).seconds());
        let local = instant.as_nanosecond().div_euclid(1_000_000_000);
        let local = i64::try_from(local).unwrap_or(0) + offset;
        let start = at(local.div_euclid(seconds) * seconds - offset);
        let end = at(local.div_euclid(seconds) * seconds + seconds - offset);
        let changed = self
            .zone
            .preceding(next(instant))
            .next()
            .map(|change| change.timestamp());
        let changes = self
            .zone
            .following(instant)
            .next()
            .map(|change| change.timestamp());
        Window {
            start: changed.map_or(start, |change| start.max(change)),
            end: changes.map_or(end, |change| end.min(change)),
        }
    }

    fn calendar(&self, instant: Timestamp) -> Window {
        let date = instant.to_zoned(self.zone.clone()).date();
        let (first, after) = match self.size {
            WindowSize::Month => (
                date.first_of_month(),
                date.first_of_month().saturating_add(1.month()),
            ),
            _ => (date, date.saturating_add(1.day())),
        };
        let start_of = |date: jiff::civil::Date| {
            let midnight = date.to_zoned(self.zone.clone());
            midnight.map(|zoned| zoned.timestamp())
        };
        Window {
            start: start_of(first).unwrap_or(Timestamp::MIN),
            end: start_of(after).unwrap_or(Timestamp::MAX),
        }
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(if second < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

fn next(instant: Timestamp) -> Timestamp {
    instant.saturating_add(1.nanosecond()).unwrap_or(instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(size: WindowSize, zone: &str, instant: &str) -> String {
        let windows = Windows {
            size,
            zone: TimeZone::get(zone).unwrap(),
        };
        let Window { start, end } = windows.around(instant.parse().unwrap());
        format!("{start}..{end}")
    }

    #[test]
    fn a_day_of_a_clock_change_has_23_or_25_hours() {
        assert_eq!(
            window(WindowSize::Day, "America/New_York", "2013-03-10T12:00:00Z"),
            "2013-03-10T05:00:00Z..2013-03-11T04:00:00Z"
        );
        assert_eq!(
            window(WindowSize::Day, "America/New_York", "2013-11-03T12:00:00Z"),
            "2013-11-03T04:00:00Z..2013-11-04T05:00:00Z"
        );
    }

    #[test]
    fn a_repeated_hour_is_two_windows() {
        let zone = "America/New_York";
        assert_eq!(
            window(WindowSize::Hour, zone, "2013-11-03T05:30:00Z"),
            "2013-11-03T05:00:00Z..2013-11-03T06:00:00Z"
        );
        assert_eq!(
            window(WindowSize::Hour, zone, "2013-11-03T06:00:00Z"),
            "2013-11-03T06:00:00Z..2013-11-03T07:00:00Z"
        );
    }

    #[test]
    fn a_half_hour_change_cuts_its_hour() {
        let zone = "Australia/Lord_Howe";
        assert_eq!(
            window(WindowSize::Hour, zone, "2013-04-06T14:45:00Z"),
            "2013-04-06T14:00:00Z..2013-04-06T15:00:00Z"
        );
        assert_eq!(
            window(WindowSize::Hour, zone, "2013-04-06T15:10:00Z"),
            "2013-04-06T15:00:00Z..2013-04-06T15:30:00Z"
        );
    }

    #[test]
    fn months_and_minutes_follow_the_zone() {
        assert_eq!(
            window(WindowSize::Month, "Asia/Kathmandu", "2024-02-29T23:59:59Z"),
            "2024-02-29T18:15:00Z..2024-03-31T18:15:00Z"
        );
        assert_eq!(
            window(WindowSize::Minute, "UTC", "1969-12-31T23:59:59.5Z"),
            "1969-12-31T23:59:00Z..1970-01-01T00:00:00Z"
        );
    }
}

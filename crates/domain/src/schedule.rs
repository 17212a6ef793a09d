//! Rhythms of export schedules: which whole UTC days a run covers, and when it is due.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::export::midnight;

/// Hours after a period's end that its export may wait for late usage.
pub const DELAY_HOURS_MAX: u8 = 72;

/// How often a schedule asks for an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rhythm {
    /// Once for each UTC day.
    Daily,
    /// Once for each calendar month of UTC days.
    Monthly,
}

/// Whole UTC days: `from` included, `to` not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// First day inside.
    pub from: Date,
    /// First day after.
    pub to: Date,
}

impl Rhythm {
    /// The word used in JSON and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Monthly => "monthly",
        }
    }

    /// The period a day lies in.
    pub fn around(self, day: Date) -> Period {
        let from = match self {
            Self::Daily => day,
            Self::Monthly => day.first_of_month(),
        };
        let to = match self {
            Self::Daily => from.saturating_add(1.day()),
            Self::Monthly => from.saturating_add(1.month()),
        };
        Period { from, to }
    }

    /// The period right after another.
    pub fn after(self, period: Period) -> Period {
        self.around(period.to)
    }
}

impl Period {
    /// Last day inside.
    pub fn last(self) -> Date {
        self.to.saturating_sub(1.day())
    }

    /// When the period's export is due: so many hours after its end.
    pub fn due_at(self, delay_hours: u8) -> Timestamp {
        let delay = SignedDuration::from_hours(i64::from(delay_hours));
        let due = midnight(self.to).saturating_add(delay);
        due.unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three(rhythm: Rhythm, day: &str) -> String {
        let mut period = rhythm.around(day.parse().unwrap());
        let mut told = Vec::new();
        for _ in 0..3 {
            told.push(format!("{}..{}", period.from, period.last()));
            period = rhythm.after(period);
        }
        told.join(" ")
    }

    #[test]
    fn periods_follow_each_other_without_gaps() {
        let days = three(Rhythm::Daily, "2024-02-28");
        assert_eq!(
            days,
            "2024-02-28..2024-02-28 2024-02-29..2024-02-29 2024-03-01..2024-03-01"
        );
        let months = three(Rhythm::Monthly, "2023-12-31");
        assert_eq!(
            months,
            "2023-12-01..2023-12-31 2024-01-01..2024-01-31 2024-02-01..2024-02-29"
        );
    }

    #[test]
    fn an_export_is_due_some_hours_after_the_period_ended() {
        let period = Rhythm::Monthly.around("2024-02-10".parse().unwrap());
        assert_eq!(period.due_at(1).to_string(), "2024-03-01T01:00:00Z");
        assert_eq!(period.due_at(0), midnight(period.to));
    }
}

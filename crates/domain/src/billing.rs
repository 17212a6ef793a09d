//! Billing periods: months or years of UTC days that start on an anchor day.

use jiff::ToSpan;
use jiff::civil::Date;

/// When the billing periods of an organization start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BillingCycle {
    /// Day of the month on which periods start, 1 to 31; a short month's last day stands in.
    pub anchor_day: u8,
    /// Length of a period.
    pub length: CycleLength,
}

/// Length of a billing period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CycleLength {
    /// From anchor day to anchor day.
    Monthly,
    /// From the anchor day in this month, 1 to 12, to the same a year later.
    Annual(u8),
}

/// One billing period: `start` included, `end` excluded, in days of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BillingPeriod {
    /// First day inside.
    pub start: Date,
    /// First day after.
    pub end: Date,
}

impl BillingCycle {
    /// Calendar months.
    pub const CALENDAR_MONTH: Self = Self {
        anchor_day: 1,
        length: CycleLength::Monthly,
    };

    /// The period `date` lies in.
    pub fn around(self, date: Date) -> BillingPeriod {
        let months = match self.length {
            CycleLength::Monthly => 1,
            CycleLength::Annual(_) => 12,
        };
        let candidate = match self.length {
            CycleLength::Monthly => date.first_of_month(),
            CycleLength::Annual(month) => {
                let month = i8::try_from(month.clamp(1, 12)).expect("at most 12");
                Date::new(date.year(), month, 1).expect("the first of a month exists")
            }
        };
        let first = if self.anchored(candidate) <= date {
            candidate
        } else {
            candidate.saturating_sub(months.months())
        };
        BillingPeriod {
            start: self.anchored(first),
            end: self.anchored(first.saturating_add(months.months())),
        }
    }

    /// The anchor day in the month that starts on `first`.
    fn anchored(self, first: Date) -> Date {
        let last = first.days_in_month();
        let day = i8::try_from(self.anchor_day).unwrap_or(last).clamp(1, last);
        first.saturating_add(i64::from(day - 1).days())
    }
}

impl BillingPeriod {
    /// The last day inside, as printed.
    pub fn last_day(&self) -> Date {
        self.end.yesterday().unwrap_or(self.end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn period(anchor_day: u8, length: CycleLength, date: &str) -> String {
        let cycle = BillingCycle { anchor_day, length };
        let period = cycle.around(date.parse().unwrap());
        format!("{}..{}", period.start, period.last_day())
    }

    #[test]
    fn months_start_on_the_anchor_day_or_a_short_months_last() {
        let month = |day, date| period(day, CycleLength::Monthly, date);
        assert_eq!(month(1, "2013-01-31"), "2013-01-01..2013-01-31");
        assert_eq!(month(15, "2013-01-14"), "2012-12-15..2013-01-14");
        assert_eq!(month(15, "2013-01-15"), "2013-01-15..2013-02-14");
        assert_eq!(month(31, "2013-02-27"), "2013-01-31..2013-02-27");
        assert_eq!(month(31, "2013-02-28"), "2013-02-28..2013-03-30");
        assert_eq!(month(30, "2024-02-29"), "2024-02-29..2024-03-29");
        assert_eq!(month(29, "2013-03-28"), "2013-02-28..2013-03-28");
    }

    #[test]
    fn years_start_in_their_month() {
        let year = |day, month, date| period(day, CycleLength::Annual(month), date);
        assert_eq!(year(1, 1, "2013-12-31"), "2013-01-01..2013-12-31");
        assert_eq!(year(15, 6, "2013-06-14"), "2012-06-15..2013-06-14");
        assert_eq!(year(29, 2, "2024-02-28"), "2023-02-28..2024-02-28");
        assert_eq!(year(29, 2, "2024-02-29"), "2024-02-29..2025-02-27");
    }

    proptest! {
        #[test]
        fn every_day_lies_in_its_period_and_periods_touch(
            anchor_day in 1_u8..=31,
            month in 0_u8..=12,
            day in 0_i64..20_000,
        ) {
            let length = match month {
                0 => CycleLength::Monthly,
                month => CycleLength::Annual(month),
            };
            let cycle = BillingCycle { anchor_day, length };
            let date = Date::constant(1990, 1, 1).saturating_add(day.days());
            let period = cycle.around(date);
            prop_assert!(period.start <= date && date < period.end);
            prop_assert_eq!(cycle.around(period.start), period);
            prop_assert_eq!(cycle.around(period.end).start, period.end);
        }
    }
}

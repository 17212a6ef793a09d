//! Typed forms of cells: a typed file holds what a CSV prints, no more and no less.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::column::NULL;
use super::usage::UsageCell;
use super::{AssetCell, JobCell, ProcessCell, ProjectCell, SummaryCell};
use crate::quantity::{PLACES, Quantity};

/// Digits of a typed decimal: the most that common readers know.
pub const DECIMAL_DIGITS: u32 = 38;

/// What the cells of a column are when they are not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Any text, and whatever may be printed just as sent.
    Text,
    /// A UTC day.
    Date,
    /// An instant, cut to microseconds.
    Instant,
    /// A whole number.
    Count,
    /// A decimal with so many places.
    Decimal(u32),
}

/// One typed cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'t> {
    /// `null` or nothing.
    Null,
    /// A text.
    Text(&'t str),
    /// A UTC day.
    Date(Date),
    /// An instant.
    Instant(Timestamp),
    /// A whole number.
    Count(i64),
    /// A decimal, in units of its form's last place.
    Decimal(i128),
}

/// What the cells of one column hold.
pub trait Cell: Copy {
    /// Their typed form.
    fn form(self) -> Form;
}

impl Form {
    /// The value a cell prints; `None` when it does not fit the form, digit for digit.
    pub fn read(self, text: &str) -> Option<Value<'_>> {
        if text.is_empty() || text == NULL {
            return Some(Value::Null);
        }
        match self {
            Self::Text => Some(Value::Text(text)),
            Self::Date => text.get(..10)?.parse().ok().map(Value::Date),
            Self::Instant => instant(text).map(Value::Instant),
            Self::Count => text.parse().ok().map(Value::Count),
            Self::Decimal(places) => decimal(text, places).map(Value::Decimal),
        }
    }
}

fn instant(text: &str) -> Option<Timestamp> {
    let local = || {
        let time: DateTime = text.parse().ok()?;
        time.to_zoned(TimeZone::UTC).ok()
    };
    let instant = text.parse().ok();
    instant.or_else(|| local().map(|zoned| zoned.timestamp()))
}

/// Units of the last of `places`.
fn decimal(text: &str, places: u32) -> Option<i128> {
    if text.contains('E') {
        let units = text.parse::<Quantity>().ok()?.units();
        let unit = 10_i128.pow(PLACES.checked_sub(places)?);
        return (units % unit == 0).then_some(units / unit);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    let missing = usize::try_from(places).ok()?.checked_sub(fraction.len())?;
    let digits = [whole, fraction, &"0".repeat(missing)].concat();
    let units: i128 = digits.parse().ok()?;
    (units.unsigned_abs() < 10_u128.pow(DECIMAL_DIGITS)).then_some(units)
}

impl Cell for SummaryCell {
    fn form(self) -> Form {
        match self {
            Self::Date | Self::PeriodStart | Self::PeriodEnd => Form::Date,
            Self::Usage => Form::Decimal(super::summary::USAGE_DECIMALS),
            Self::Ipu => Form::Decimal(super::summary::IPU_DECIMALS),
            Self::Price => Form::Decimal(super::summary::PRICE_DECIMALS),
            Self::OrganizationId
            | Self::MeterId
            | Self::MeterName
            | Self::Scalar
            | Self::Category
            | Self::OrganizationName
            | Self::OrganizationType => Form::Text,
        }
    }
}

impl Cell for ProjectCell {
    fn form(self) -> Form {
        match self {
            Self::Date => Form::Date,
            Self::Ipu => Form::Decimal(super::detail::AMOUNT_DECIMALS),
            Self::Project | Self::Folder | Self::OrganizationId | Self::OrganizationType => {
                Form::Text
            }
        }
    }
}

impl Cell for AssetCell {
    fn form(self) -> Form {
        match self {
            Self::Date => Form::Date,
            Self::Price => Form::Decimal(super::detail::PRICE_DECIMALS),
            Self::Usage | Self::Ipu => Form::Decimal(super::detail::AMOUNT_DECIMALS),
            Self::MeterId
            | Self::MeterName
            | Self::Key(_)
            | Self::OrganizationId
            | Self::OrganizationType
            | Self::Tier => Form::Text,
        }
    }
}

impl Cell for JobCell {
    fn form(self) -> Form {
        match self {
            Self::End | Self::Time => Form::Instant,
            Self::Metered => Form::Decimal(super::job_level::METERED_DECIMALS),
            Self::Quantity => Form::Decimal(PLACES),
            // The start and the cores are printed as sent where they are no time and no number.
            Self::Text(_)
            | Self::Whole(_)
            | Self::Double(_)
            | Self::Start
            | Self::Organization
            | Self::Subject
            | Self::MeterId
            | Self::MeterName
            | Self::Unit => Form::Text,
        }
    }
}

impl Cell for ProcessCell {
    fn form(self) -> Form {
        match self {
            Self::Date => Form::Date,
            Self::Count => Form::Count,
            Self::Hours => Form::Decimal(super::job_level::HOURS_DECIMALS),
            Self::AverageSeconds => Form::Decimal(super::job_level::SECONDS_DECIMALS),
            Self::Organization
            | Self::Type
            | Self::Asset
            | Self::InvokedBy
            | Self::Environment
            | Self::Status => Form::Text,
        }
    }
}

impl Cell for UsageCell {
    fn form(self) -> Form {
        match self {
            Self::Date => Form::Date,
            Self::Usage => Form::Decimal(PLACES),
            Self::OrganizationId
            | Self::Organization
            | Self::MeterId
            | Self::Meter
            | Self::MeterName
            | Self::Unit
            | Self::Key(_) => Form::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_cell_is_read_to_its_last_digit_or_not_at_all() {
        let decimal = |text: &str| match Form::Decimal(6).read(text) {
            Some(Value::Decimal(units)) => Some(units),
            _ => None,
        };
        assert_eq!(decimal("-1.5000000000"), Some(-1_500_000));
        assert_eq!(decimal("1.234567825E7"), Some(12_345_678_250_000));
        assert_eq!(decimal("8.33E-4"), Some(833));
        assert_eq!(decimal("0.0000001"), None);
        assert_eq!(decimal("8.3E-8"), None);
        assert_eq!(decimal(&"9".repeat(32)), Some(10_i128.pow(38) - 1_000_000));
        assert_eq!(decimal(&"9".repeat(33)), None);
        assert_eq!(Form::Decimal(6).read("null"), Some(Value::Null));
        assert_eq!(Form::Text.read(""), Some(Value::Null));
    }

    #[test]
    fn days_and_instants_are_read_in_every_spelling_of_the_files() {
        let day = Some(Value::Date(Date::constant(2013, 1, 31)));
        for text in [
            "2013-01-31",
            "2013-01-31 00:00:00.0",
            "2013-01-31T00:00:00Z",
        ] {
            assert_eq!(Form::Date.read(text), day, "{text}");
        }
        let instant = Some(Value::Instant("2013-01-31T16:30:00.9Z".parse().unwrap()));
        for text in ["2013-01-31 16:30:00.9", "2013-01-31T16:30:00.9Z"] {
            assert_eq!(Form::Instant.read(text), instant, "{text}");
        }
        assert_eq!(Form::Instant.read("soon"), None);
    }
}

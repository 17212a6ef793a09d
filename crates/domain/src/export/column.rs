//! Columns as values, and how their cells spell dates.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::quantity::Total;

/// What stands where the summary knows no value.
pub(crate) const NULL: &str = "null";

/// One column: its header, which is a public contract, and what its cells hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column<C> {
    /// First line of the column.
    pub header: &'static str,
    /// What the cells below hold.
    pub cell: C,
}

pub(crate) const fn column<C>(header: &'static str, cell: C) -> Column<C> {
    Column { header, cell }
}

/// Something printed as one line of a file.
pub trait Row {
    /// What a cell may hold.
    type Cell: Copy;

    /// Appends the text of one cell, without quotes.
    fn write(&self, cell: Self::Cell, text: &mut String);
}

/// Appends `2013-01-31 00:00:00.0`.
pub(crate) fn write_day(date: Date, text: &mut String) {
    push(text, format_args!("{date} 00:00:00.0"));
}

/// Appends `2013-01-31 16:30:00.0`, in UTC; the one decimal is cut, not rounded.
pub(crate) fn write_instant(instant: Timestamp, text: &mut String) {
    let time = instant.to_zoned(TimeZone::UTC).datetime();
    let tenths = time.subsec_nanosecond() / 100_000_000;
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    push(
        text,
        format_args!("{} {hour:02}:{minute:02}:{second:02}.{tenths}", time.date()),
    );
}

/// Appends exactly `decimals` places, rounded half away from zero.
pub(crate) fn write_fixed(total: Total, decimals: u32, text: &mut String) {
    text.push_str(&total.fixed(decimals));
}

pub(crate) fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a string takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_show_one_decimal_of_the_second() {
        let instant = |text: &str| {
            let mut cell = String::new();
            write_instant(text.parse().unwrap(), &mut cell);
            cell
        };
        assert_eq!(instant("2013-01-01T05:07:09Z"), "2013-01-01 05:07:09.0");
        assert_eq!(
            instant("2013-01-01T00:00:00.98+01:00"),
            "2012-12-31 23:00:00.9"
        );
    }
}

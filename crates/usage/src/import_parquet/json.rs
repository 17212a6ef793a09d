//! One cell of a column as JSON text.

use std::fmt::{self, Display, Write};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Decimal256Type, DecimalType, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use domain::Timestamp;

/// Whether [`write`] knows the type by itself.
pub(super) fn is_scalar(column_type: &DataType) -> bool {
    use DataType as T;
    matches!(
        column_type,
        T::Boolean
            | T::Int8
            | T::Int16
            | T::Int32
            | T::Int64
            | T::UInt8
            | T::UInt16
            | T::UInt32
            | T::UInt64
            | T::Float32
            | T::Float64
            | T::Decimal128(..)
            | T::Decimal256(..)
            | T::Date32
            | T::Timestamp(..)
            | T::Binary
    )
}

/// A text that is not UTF-8: the byte that does not belong there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotUtf8 {
    byte: u8,
    /// Its place in the text, from 0.
    offset: usize,
}

/// Writes the members of an object that have a value in `row`; the name says which one cannot be
/// written.
pub(super) fn write_object<'n>(
    names: &[&'n str],
    columns: &[ArrayRef],
    row: usize,
    out: &mut String,
) -> Result<(), (&'n str, NotUtf8)> {
    out.push('{');
    let mut first = true;
    for (name, column) in names.iter().zip(columns) {
        if column.is_null(row) {
            continue;
        }
        if !first {
            out.push(',');
        }
        first = false;
        write_text(name, out);
        out.push(':');
        write(column.as_ref(), row, out).map_err(|error| (*name, error))?;
    }
    out.push('}');
    Ok(())
}

fn write(column: &dyn Array, row: usize, out: &mut String) -> Result<(), NotUtf8> {
    use DataType as T;
    if column.is_null(row) {
        out.push_str("null");
        return Ok(());
    }
    match column.data_type() {
        T::Boolean => show(column.as_boolean().value(row), out),
        T::Int8 => show(value::<Int8Type>(column, row), out),
        T::Int16 => show(value::<Int16Type>(column, row), out),
        T::Int32 => show(value::<Int32Type>(column, row), out),
        T::Int64 => show(value::<Int64Type>(column, row), out),
        T::UInt8 => show(value::<UInt8Type>(column, row), out),
        T::UInt16 => show(value::<UInt16Type>(column, row), out),
        T::UInt32 => show(value::<UInt32Type>(column, row), out),
        T::UInt64 => show(value::<UInt64Type>(column, row), out),
        T::Float32 => write_number(value::<Float32Type>(column, row), out),
        T::Float64 => write_number(value::<Float64Type>(column, row), out),
        T::Decimal128(precision, scale) => {
            let value = value::<Decimal128Type>(column, row);
            out.push_str(&Decimal128Type::format_decimal(value, *precision, *scale));
        }
        T::Decimal256(precision, scale) => {
            let value = value::<Decimal256Type>(column, row);
            out.push_str(&Decimal256Type::format_decimal(value, *precision, *scale));
        }
        T::Date32 => write_date(value::<Date32Type>(column, row), out),
        T::Timestamp(unit, _) => write_instant(column, *unit, row, out),
        T::Binary => write_text(text(column.as_binary::<i32>().value(row))?, out),
        T::List(_) => write_list(column.as_list::<i32>().value(row).as_ref(), out)?,
        T::Struct(fields) => {
            let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
            let columns = column.as_struct().columns();
            write_object(&names, columns, row, out).map_err(|(_, error)| error)?;
        }
        _ => out.push_str("null"),
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<&str, NotUtf8> {
    std::str::from_utf8(bytes).map_err(|error| NotUtf8 {
        byte: bytes[error.valid_up_to()],
        offset: error.valid_up_to(),
    })
}

fn value<T: ArrowPrimitiveType>(column: &dyn Array, row: usize) -> T::Native {
    column.as_primitive::<T>().value(row)
}

fn show(value: impl Display, out: &mut String) {
    write!(out, "{value}").expect("writing to a string cannot fail");
}

/// The shortest decimal that reads back as the number; no number becomes a text.
fn write_number(value: impl Display + Into<f64> + Copy, out: &mut String) {
    if value.into().is_finite() {
        show(value, out);
    } else {
        write_text(&value.to_string(), out);
    }
}

fn write_list(items: &dyn Array, out: &mut String) -> Result<(), NotUtf8> {
    out.push('[');
    for item in 0..items.len() {
        if item > 0 {
            out.push(',');
        }
        write(items, item, out)?;
    }
    out.push(']');
    Ok(())
}

impl Display for NotUtf8 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { byte, offset } = self;
        write!(
            formatter,
            "byte 0x{byte:02X} at offset {offset} of its value"
        )
    }
}

fn write_date(days: i32, out: &mut String) {
    let seconds = i64::from(days) * 86_400;
    match Timestamp::from_second(seconds) {
        Ok(instant) => {
            let date = instant.to_zoned(jiff::tz::TimeZone::UTC).date();
            write_text(&date.to_string(), out);
        }
        Err(_) => show(days, out),
    }
}

/// RFC 3339 in UTC; outside the calendar the bare number, which no event takes as its time.
fn write_instant(column: &dyn Array, unit: TimeUnit, row: usize, out: &mut String) {
    let (units, instant) = match unit {
        TimeUnit::Second => {
            let units = value::<TimestampSecondType>(column, row);
            (units, Timestamp::from_second(units))
        }
        TimeUnit::Millisecond => {
            let units = value::<TimestampMillisecondType>(column, row);
            (units, Timestamp::from_millisecond(units))
        }
        TimeUnit::Microsecond => {
            let units = value::<TimestampMicrosecondType>(column, row);
            (units, Timestamp::from_microsecond(units))
        }
        TimeUnit::Nanosecond => {
            let units = value::<TimestampNanosecondType>(column, row);
            (units, Timestamp::from_nanosecond(i128::from(units)))
        }
    };
    match instant {
        Ok(instant) => write_text(&instant.to_string(), out),
        Err(_) => show(units, out),
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("a text always is JSON"));
}

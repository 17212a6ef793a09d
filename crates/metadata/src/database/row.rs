//! Rows read back, column by column, into the domain's types.

use std::fmt::Display;
use std::str::FromStr;

use domain::Timestamp;
use domain::ids::{
    AccountId, DeliveryId, ExportId, KeyId, MeterId, OrganizationId, RateId, RequestId, ScheduleId,
    UserId, WebhookId,
};
use domain::number::NumberRule;
use domain::path::JsonPath;
use domain::quantity::Quantity;
use domain::range::TimeRange;
use domain::webhook::Secret;
use jiff::civil::Date;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type};

use crate::error::{Error, Result};

/// One row of either database.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// One of the three stored types.
pub(crate) trait Stored: Display + Type<Sqlite> + Type<Postgres>
where
    Self: for<'r> Decode<'r, Sqlite> + for<'r> Decode<'r, Postgres>,
{
}

impl Stored for i64 {}
impl Stored for String {}
impl Stored for bool {}

/// A type that is kept in one column.
pub(crate) trait Column: Sized {
    /// How it is stored.
    type Stored: Stored;

    /// The value, when what is stored is one.
    fn read(stored: &Self::Stored) -> Option<Self>;
}

impl Row {
    /// A column that is never null.
    pub(crate) fn get<T: Column>(&self, column: &'static str) -> Result<T> {
        self.maybe(column)?
            .ok_or_else(|| corrupt(column, "NULL", "expected a value"))
    }

    /// A column that may be null.
    pub(crate) fn maybe<T: Column>(&self, column: &'static str) -> Result<Option<T>> {
        let stored: Option<T::Stored> = match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        };
        let Some(stored) = stored else {
            return Ok(None);
        };
        match T::read(&stored) {
            Some(value) => Ok(Some(value)),
            None => Err(corrupt(
                column,
                &stored.to_string(),
                "expected another form",
            )),
        }
    }

    /// The columns `valid_from` and `valid_to`.
    pub(crate) fn valid(&self) -> Result<TimeRange> {
        let bound = |column, open: i64| -> Result<Option<Timestamp>> {
            let value: i64 = self.get(column)?;
            if value == open {
                return Ok(None);
            }
            let instant = Timestamp::from_microsecond(value);
            instant
                .map(Some)
                .map_err(|_| corrupt(column, &value.to_string(), "expected microseconds"))
        };
        Ok(TimeRange {
            start: bound("valid_from", i64::MIN)?,
            end: bound("valid_to", i64::MAX)?,
        })
    }

    /// A column that holds a value's serialized name.
    pub(crate) fn word<T: DeserializeOwned>(&self, column: &'static str) -> Result<T> {
        self.maybe_word(column)?
            .ok_or_else(|| corrupt(column, "NULL", "expected a word"))
    }

    /// A column that holds a value's serialized name, or null.
    pub(crate) fn maybe_word<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>> {
        let Some(text) = self.maybe::<String>(column)? else {
            return Ok(None);
        };
        let word = serde_json::from_value(serde_json::Value::String(text.clone()));
        word.map(Some)
            .map_err(|error| corrupt(column, &text, &error.to_string()))
    }

    /// A column that holds JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T> {
        let text: String = self.get(column)?;
        serde_json::from_str(&text).map_err(|error| corrupt(column, &text, &error.to_string()))
    }
}

/// The stored bounds of a range: the open ones are the ends of what an integer holds.
pub(crate) fn micros(range: &TimeRange) -> (i64, i64) {
    let micros = |bound: Option<Timestamp>| bound.map(Timestamp::as_microsecond);
    (
        micros(range.start).unwrap_or(i64::MIN),
        micros(range.end).unwrap_or(i64::MAX),
    )
}

/// The stored form of a value whose type has no column of its own.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("maps with text keys and plain values have a JSON form")
}

/// The serialized name of an enum's value.
pub(crate) fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("an enum of plain values is serialized as a word: {other:?}"),
    }
}

fn corrupt(column: &str, value: &str, reason: &str) -> Error {
    Error::Corrupt {
        column: column.to_owned(),
        value: value.chars().take(64).collect(),
        reason: reason.to_owned(),
    }
}

macro_rules! parsed {
    ($($type:ty),*) => {
        $(impl Column for $type {
            type Stored = String;

            fn read(stored: &String) -> Option<Self> {
                Self::from_str(stored).ok()
            }
        })*
    };
}

parsed!(
    AccountId,
    OrganizationId,
    UserId,
    KeyId,
    MeterId,
    RateId,
    ExportId,
    RequestId,
    ScheduleId,
    DeliveryId,
    Date,
    WebhookId,
    Secret,
    JsonPath,
    Quantity
);

macro_rules! number {
    ($($type:ty),*) => {
        $(impl Column for $type {
            type Stored = i64;

            fn read(stored: &i64) -> Option<Self> {
                Self::try_from(*stored).ok()
            }
        })*
    };
}

number!(i64, u64, u32, u8);

impl Column for NumberRule {
    type Stored = i64;

    fn read(stored: &i64) -> Option<Self> {
        Self::try_from(u32::try_from(*stored).ok()?).ok()
    }
}

impl Column for bool {
    type Stored = Self;

    fn read(stored: &Self) -> Option<Self> {
        Some(*stored)
    }
}

impl Column for String {
    type Stored = Self;

    fn read(stored: &Self) -> Option<Self> {
        Some(stored.clone())
    }
}

impl Column for Timestamp {
    type Stored = i64;

    fn read(stored: &i64) -> Option<Self> {
        Self::from_microsecond(*stored).ok()
    }
}

impl Column for [u8; 32] {
    type Stored = String;

    fn read(stored: &String) -> Option<Self> {
        let digits = stored.as_bytes();
        let mut bytes = Self::default();
        if digits.len() != bytes.len() * 2 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(bytes)
    }
}

/// The range as it is stored: to the microsecond.
pub(crate) fn stored_range(range: &TimeRange) -> TimeRange {
    TimeRange {
        start: range.start.map(stored),
        end: range.end.map(stored),
    }
}

/// The instant as it is stored: to the microsecond.
pub(crate) fn stored(instant: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(instant.as_microsecond()).unwrap_or(instant)
}

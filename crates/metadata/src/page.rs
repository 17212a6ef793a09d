//! Pages of a list: bounded, by key, with an opaque cursor.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Items of a page when the caller names no limit.
pub const PAGE_LIMIT_DEFAULT: u32 = 100;
/// Items one page may hold.
pub const PAGE_LIMIT_MAX: u32 = 1_000;

const CURSOR_BYTES_MAX: usize = 4_096;

/// Where the next page starts; opaque outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(String);

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    after: Option<Cursor>,
    limit: u32,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<Cursor>,
}

impl PageRequest {
    /// The part of at most `limit` (1 to 1,000) items after a cursor, or from the start.
    pub fn new(after: Option<Cursor>, limit: u32) -> Result<Self> {
        if !(1..=PAGE_LIMIT_MAX).contains(&limit) {
            let reason = format!("is {limit}: expected 1 to {PAGE_LIMIT_MAX}");
            return Err(Error::invalid("limit", reason));
        }
        Ok(Self { after, limit })
    }

    /// The key the page starts after.
    pub(crate) fn after(&self) -> Option<&str> {
        self.after.as_ref().map(|cursor| cursor.0.as_str())
    }

    /// Rows to read: one more than the page, to know whether there is another.
    pub(crate) fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Cuts the rows read to the page and names the next one by the last item's key.
    pub(crate) fn cut<T>(&self, mut items: Vec<T>, key: impl Fn(&T) -> String) -> Page<T> {
        let limit = self.limit as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|last| Cursor(key(last)));
        Page { items, next }
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self {
            after: None,
            limit: PAGE_LIMIT_DEFAULT,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.0.bytes();
        bytes.try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = || Error::invalid("cursor", "is not a cursor of this list");
        if text.len() > CURSOR_BYTES_MAX || !text.len().is_multiple_of(2) || !text.is_ascii() {
            return Err(refused());
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let bytes = text.as_bytes().chunks(2).map(|pair| {
            let (high, low) = (digit(pair[0])?, digit(pair[1])?);
            u8::try_from(high * 16 + low).ok()
        });
        let bytes: Option<Vec<u8>> = bytes.collect();
        let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        key.map(Self).ok_or_else(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_wire() {
        let cursor = Cursor("17:abcé".into());
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        for text in ["0", "zz", "ff", "é0"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_the_last_page_has_no_next() {
        let request = PageRequest::new(None, 2).unwrap();
        let next = |items: Vec<u32>| request.cut(items, u32::to_string).next;
        assert_eq!(next(vec![1, 2, 3]), Some(Cursor("2".into())));
        assert_eq!(next(vec![1, 2]), None);
        assert_eq!(next(vec![]), None);
        assert!(PageRequest::new(None, 0).is_err());
        assert!(PageRequest::new(None, 1_001).is_err());
    }
}

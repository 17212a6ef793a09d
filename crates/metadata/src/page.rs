//! Pages of a list: bounded, by key, with an opaque cursor.

use std::fmt;
use std::str::FromStr;

use xxhash_rust::xxh3::Xxh3;

use crate::database::Bind;
use crate::error::{Error, Result};

/// Items of a page when the caller names no limit.
pub const PAGE_LIMIT_DEFAULT: u32 = 100;
/// Items one page may hold.
pub const PAGE_LIMIT_MAX: u32 = 1_000;

/// Characters a cursor may have.
const CURSOR_CHARS_MAX: usize = 4_096;
/// Characters of a refused cursor that an error shows.
const SHOWN_CHARS_MAX: usize = 40;
/// Hexadecimal digits before the key: which list the cursor is of.
const LIST_DIGITS: usize = 16;

/// Where the next page starts; opaque outside, and of use in one list only.
///
/// Its text is a digest of the list and the key of the last item, in hexadecimal. The digest
/// catches mistakes; it is no secret, because a cursor gives no rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    list: u64,
    key: String,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    after: Option<Cursor>,
    limit: u32,
    reader: Option<String>,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<Cursor>,
}

/// The wanted part of one list, whose cursors no other list takes.
#[derive(Debug)]
pub(crate) struct Part<'r> {
    after: Option<&'r Cursor>,
    limit: u32,
    list: u64,
}

impl PageRequest {
    /// The part of at most `limit` (1 to 1,000) items after a cursor, or from the start.
    pub fn new(after: Option<Cursor>, limit: u32) -> Result<Self> {
        if !(1..=PAGE_LIMIT_MAX).contains(&limit) {
            return Err(Error::Page {
                parameter: "limit",
                value: limit.to_string(),
                expected: format!("1 to {PAGE_LIMIT_MAX}"),
            });
        }
        Ok(Self {
            after,
            limit,
            reader: None,
        })
    }

    /// The same for a reader, such as an organization: cursors given to others are refused.
    #[must_use]
    pub fn read_by(self, reader: impl fmt::Display) -> Self {
        Self {
            reader: Some(reader.to_string()),
            ..self
        }
    }

    /// The part of the list with this name and these filters; a cursor of another one is refused.
    pub(crate) fn of(&self, name: &str, filters: Vec<Bind>) -> Result<Part<'_>> {
        let mut hash = Xxh3::new();
        let names = [Bind::from(name), Bind::from(self.reader.clone())];
        for value in names.into_iter().chain(filters) {
            let text = match value {
                Bind::Integer(value) => value.map(|value| value.to_string()),
                Bind::Text(value) => value,
                Bind::Flag(value) => value.map(|value| value.to_string()),
            };
            // A value that is missing is told from an empty one.
            let length = text.as_ref().map_or(u64::MAX, |text| text.len() as u64);
            hash.update(&length.to_le_bytes());
            hash.update(text.unwrap_or_default().as_bytes());
        }
        let list = hash.digest();
        if let Some(other) = self.after.as_ref().filter(|after| after.list != list) {
            return Err(refused(&other.to_string()));
        }
        Ok(Part {
            after: self.after.as_ref(),
            limit: self.limit,
            list,
        })
    }
}

impl<'r> Part<'r> {
    /// The key the page starts after.
    pub(crate) fn after(&self) -> Option<&'r str> {
        self.after.map(|cursor| cursor.key.as_str())
    }

    /// What a key of several values is made of; a cursor without them is refused.
    pub(crate) fn after_of<V>(&self, read: impl Fn(&'r str) -> Option<V>) -> Result<Option<V>> {
        let read =
            |cursor: &'r Cursor| read(&cursor.key).ok_or_else(|| refused(&cursor.to_string()));
        self.after.map(read).transpose()
    }

    /// Rows to read: one more than the page, to know whether there is another.
    pub(crate) fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Whether so many rows read are more than the page.
    pub(crate) fn is_more(&self, rows: usize) -> bool {
        rows > self.limit as usize
    }

    /// Cuts the rows read to the page and names the next one by the last item's key.
    pub(crate) fn cut<T>(&self, mut items: Vec<T>, key: impl Fn(&T) -> String) -> Page<T> {
        let limit = self.limit as usize;
        let more = self.is_more(items.len());
        items.truncate(limit);
        let last = items.last().filter(|_| more);
        let next = last.map(|last| Cursor {
            list: self.list,
            key: key(last),
        });
        Page { items, next }
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self {
            after: None,
            limit: PAGE_LIMIT_DEFAULT,
            reader: None,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:0width$x}", self.list, width = LIST_DIGITS)?;
        let mut bytes = self.key.bytes();
        bytes.try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        read(text).ok_or_else(|| refused(text))
    }
}

fn read(text: &str) -> Option<Cursor> {
    let is_hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.len() > CURSOR_CHARS_MAX || !text.len().is_multiple_of(2) || !is_hexadecimal {
        return None;
    }
    let (list, key) = text.split_at_checked(LIST_DIGITS)?;
    let pairs = key.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
    let key = String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()?;
    // No key holds one, and PostgreSQL takes no such text.
    if key.contains('\0') {
        return None;
    }
    let list = u64::from_str_radix(list, 16).ok()?;
    Some(Cursor { list, key })
}

fn refused(text: &str) -> Error {
    let more = text.chars().count() > SHOWN_CHARS_MAX;
    let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    let more = if more { " and more" } else { "" };
    let expected = "one that this list gave to the same organization with the same filters; start \
                    again without cursor";
    Error::Page {
        parameter: "cursor",
        value: format!("{shown:?}{more}"),
        expected: expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(list: u64, key: &str) -> Cursor {
        let key = key.to_owned();
        Cursor { list, key }
    }

    #[test]
    fn a_cursor_survives_the_wire() {
        let cursor = cursor(17, "17:abcé");
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        let nul = "00".repeat(9);
        for text in ["", "0", "zz", "ff", "é0", "+1", &"f".repeat(18), &nul] {
            let refused = text.parse::<Cursor>().unwrap_err().to_string();
            assert!(refused.starts_with(&format!("cursor is {text:?}: expected ")));
        }
        let long = "0".repeat(CURSOR_CHARS_MAX + 2);
        let refused = long.parse::<Cursor>().unwrap_err().to_string();
        assert!(refused.len() < 200, "{refused}");
    }

    #[test]
    fn only_the_last_page_has_no_next() {
        let request = PageRequest::new(None, 2).unwrap();
        let part = request.of("numbers", Vec::new()).unwrap();
        let next = |items: Vec<u32>| part.cut(items, u32::to_string).next;
        assert_eq!(next(vec![1, 2, 3]), Some(cursor(part.list, "2")));
        assert_eq!(next(vec![1, 2]), None);
        assert_eq!(next(vec![]), None);
        assert!(PageRequest::new(None, 0).is_err());
        assert!(PageRequest::new(None, 1_001).is_err());
    }

    #[test]
    fn a_cursor_is_of_one_list_one_choice_of_filters_and_one_reader() {
        let first = PageRequest::new(None, 1).unwrap().read_by("a");
        let filters = || vec![Bind::from("x"), Bind::Text(None)];
        let page = first.of("numbers", filters()).unwrap();
        let next = page.cut(vec![1, 2], u32::to_string).next;
        let second = |limit, reader: &str| {
            let request = PageRequest::new(next.clone(), limit).unwrap();
            request.read_by(reader)
        };
        let same = second(7, "a");
        assert_eq!(same.of("numbers", filters()).unwrap().after(), Some("1"));
        let empty = || vec![Bind::from("x"), Bind::from("")];
        let moved = || vec![Bind::Text(None), Bind::from("x")];
        for (reader, name, filters) in [
            ("b", "numbers", filters()),
            ("a", "letters", filters()),
            ("a", "numbers", empty()),
            ("a", "numbers", moved()),
            ("a", "numbers", Vec::new()),
        ] {
            let refused = second(1, reader).of(name, filters).map(drop);
            assert!(refused.is_err(), "{reader} {name}");
        }
    }
}

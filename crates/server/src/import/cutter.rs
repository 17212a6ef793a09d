//! Cuts a stream of lines into blocks.

use std::io::Read;

use super::encoding::Wanted;
use super::text::{Text, TextError};
use super::{BLOCK_BYTES, RECORD_BYTES_MAX};
use crate::lines::{is_blank, line_length};

/// Bytes of text that may come at once.
const READ_BYTES: usize = 256 * 1024;

/// Some consecutive whole records of an input.
#[derive(Debug, Default)]
pub(crate) struct Block {
    /// Records before it.
    pub(crate) first: u64,
    /// Records inside; blank lines are none.
    pub(crate) records: u64,
    /// The records, each ended by a line feed, but for those that are refused.
    pub(crate) text: Vec<u8>,
    /// Records that cannot become events, in order.
    pub(crate) refused: Vec<Refused>,
}

/// A record that cannot become an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Its number in its block, from 1.
    pub(crate) record: u64,
    /// Stable code.
    pub(crate) code: &'static str,
    /// What is wrong.
    pub(crate) message: String,
}

impl Block {
    /// The numbers from 1 of the records that have a line in the text.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        let find = |number: &u64| {
            self.refused
                .binary_search_by_key(number, |refused| refused.record)
        };
        (1..=self.records).filter(move |number| find(number).is_err())
    }
}

/// Reads lines.
pub(super) struct Cutter {
    input: Text,
    rest: Vec<u8>,
    records: u64,
    ended: bool,
    failed: Option<TextError>,
}

/// Why no block could be cut.
#[derive(Debug)]
pub(super) enum CutError {
    /// The input cannot be read, or is not in its encoding.
    Text {
        /// Number of the record, from 1; `None` for the header.
        record: Option<u64>,
        /// What is wrong.
        error: TextError,
    },
    /// A record is over [`RECORD_BYTES_MAX`].
    TooLong {
        /// Its number, from 1; `None` for the header.
        record: Option<u64>,
    },
    /// A quote is still open at the end of the file.
    OpenQuote {
        /// Number of the record, from 1; `None` for the header.
        record: Option<u64>,
    },
}

impl Cutter {
    /// Reads from `input`.
    pub(super) fn new(input: Box<dyn Read + Send>, wanted: Wanted) -> Self {
        Self {
            input: Text::new(input, wanted),
            rest: Vec::new(),
            records: 0,
            ended: false,
            failed: None,
        }
    }

    /// The next block of at most `records_max` records; `None` at the end.
    pub(super) fn next(&mut self, records_max: u64) -> Result<Option<Block>, CutError> {
        let mut bytes = BLOCK_BYTES;
        loop {
            self.fill(bytes);
            let (end, records) = scan(&self.rest, records_max);
            if records > 0 {
                return Ok(Some(self.cut(end, records)));
            }
            // Blank lines are not kept.
            self.rest.drain(..end);
            let record = Some(self.records + 1);
            if let Some(error) = self.failed.take() {
                return Err(CutError::Text { record, error });
            }
            if self.ended {
                return Ok(None);
            }
            if bytes > RECORD_BYTES_MAX {
                return Err(CutError::TooLong { record });
            }
            bytes *= 2;
        }
    }

    fn cut(&mut self, end: usize, records: u64) -> Block {
        let after = self.rest.get(end..).unwrap_or_default();
        // Room for a whole block at once, and for the read that finds its end.
        let mut rest = Vec::with_capacity(after.len().max(BLOCK_BYTES) + READ_BYTES);
        rest.extend_from_slice(after);
        self.rest.truncate(end);
        let text = std::mem::replace(&mut self.rest, rest);
        let first = self.records;
        self.records += records;
        Block {
            first,
            records,
            text,
            refused: Vec::new(),
        }
    }

    /// Holds at least `bytes` unless the input ends before; its last record gets a line feed.
    fn fill(&mut self, bytes: usize) {
        while !self.ended && self.failed.is_none() && self.rest.len() < bytes {
            match self.input.read(&mut self.rest) {
                Ok(more) => self.ended = !more,
                // What is whole before it goes first.
                Err(error) => self.failed = Some(error),
            }
        }
        if self.ended && self.rest.last().is_some_and(|last| *last != b'\n') {
            self.rest.push(b'\n');
        }
    }
}

/// Where the last of at most `records_max` whole records ends, and how many there are.
fn scan(text: &[u8], records_max: u64) -> (usize, u64) {
    let (mut end, mut records) = (0, 0);
    while records < records_max {
        let Some(length) = line_length(&text[end..]) else {
            break;
        };
        records += u64::from(!is_blank(&text[end..end + length]));
        end += length + 1;
    }
    (end, records)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::import::encoding::Encoding;

    fn blocks(text: &'static str, records_max: u64) -> Vec<String> {
        let mut cutter = Cutter::new(Box::new(text.as_bytes()), Wanted::AsIs);
        let mut blocks = Vec::new();
        while let Some(block) = cutter.next(records_max).unwrap() {
            let text = String::from_utf8(block.text).unwrap();
            blocks.push(format!("{}+{} {text:?}", block.first, block.records));
        }
        blocks
    }

    #[test]
    fn lines_keep_their_numbers_whatever_the_blocks() {
        assert_eq!(
            blocks("a\n\nb\nc", 2),
            [r#"0+2 "a\n\nb\n""#, r#"2+1 "c\n""#]
        );
        assert_eq!(blocks("a\n\nb\nc", 9), [r#"0+3 "a\n\nb\nc\n""#]);
        assert_eq!(blocks("\n \n", 9), [""; 0]);
    }

    #[test]
    fn a_record_longer_than_a_block_stays_whole_up_to_the_limit() {
        let long = |bytes: usize| {
            let text = std::iter::repeat_n(b'x', bytes)
                .chain(*b"\ny\n")
                .collect::<Vec<u8>>();
            Cutter::new(Box::new(Cursor::new(text)), Wanted::AsIs).next(9)
        };
        assert_eq!(long(BLOCK_BYTES + 1).unwrap().unwrap().records, 2);
        let refused = long(RECORD_BYTES_MAX * 3);
        assert!(matches!(
            refused,
            Err(CutError::TooLong { record: Some(1) })
        ));
    }

    #[test]
    fn lines_before_a_byte_that_does_not_belong_come_first() {
        let wanted = Wanted::Whole(Encoding::Utf8);
        let mut cutter = Cutter::new(Box::new(&b"a\nb\n\xE4\nc\n"[..]), wanted);
        assert_eq!(cutter.next(9).unwrap().unwrap().records, 2);
        let refused = cutter.next(9);
        assert!(matches!(
            refused,
            Err(CutError::Text {
                record: Some(3),
                ..
            })
        ));
    }
}

//! Cuts a stream of text into blocks of whole records.

use std::io::{self, Read};

use super::{BLOCK_BYTES, RECORD_BYTES_MAX};
use crate::lines::{is_blank, line_length};

/// Bytes that must be free for a read not to need more room.
const READ_BYTES_MIN: usize = 64;

/// Some consecutive whole records of an input.
#[derive(Debug)]
pub(crate) struct Block {
    /// Records before it.
    pub(crate) first: u64,
    /// Records inside; blank lines are none.
    pub(crate) records: u64,
    /// The records, each ended by a line feed.
    pub(crate) text: Vec<u8>,
}

/// Reads lines, or CSV records whose quoted fields may hold line feeds.
pub(crate) struct Cutter {
    input: Box<dyn Read + Send>,
    rest: Vec<u8>,
    quoted: bool,
    records: u64,
    ended: bool,
}

/// Why no block could be cut.
#[derive(Debug)]
pub(crate) enum CutError {
    /// The input cannot be read.
    Io(io::Error),
    /// A record is over [`RECORD_BYTES_MAX`].
    TooLong {
        /// Its number, from 1.
        record: u64,
    },
}

impl Cutter {
    /// Reads from `input`; `quoted` keeps line feeds inside double quotes with their record.
    pub(crate) fn new(input: Box<dyn Read + Send>, quoted: bool) -> Self {
        Self {
            input,
            rest: Vec::new(),
            quoted,
            records: 0,
            ended: false,
        }
    }

    /// Takes the first record, which then counts as none.
    pub(crate) fn header(&mut self) -> Result<Vec<u8>, CutError> {
        self.fill(BLOCK_BYTES)?;
        let (end, _) = scan(&self.rest, self.quoted, 1);
        Ok(self.rest.drain(..end).collect())
    }

    /// The next block of at most `records_max` records; `None` at the end.
    pub(crate) fn next(&mut self, records_max: u64) -> Result<Option<Block>, CutError> {
        let mut bytes = BLOCK_BYTES;
        loop {
            self.fill(bytes)?;
            let (end, records) = scan(&self.rest, self.quoted, records_max);
            if records == 0 && !self.ended {
                if bytes > RECORD_BYTES_MAX {
                    let record = self.records + 1;
                    return Err(CutError::TooLong { record });
                }
                bytes *= 2;
                continue;
            }
            if records == 0 {
                return Ok(None);
            }
            let after = self.rest.get(end..).unwrap_or_default();
            // Room for a whole block at once, and for the read that finds its end.
            let mut rest = Vec::with_capacity(after.len().max(BLOCK_BYTES) + READ_BYTES_MIN);
            rest.extend_from_slice(after);
            self.rest.truncate(end);
            let text = std::mem::replace(&mut self.rest, rest);
            let first = self.records;
            self.records += records;
            return Ok(Some(Block {
                first,
                records,
                text,
            }));
        }
    }

    /// Holds at least `bytes` unless the input ends before; its last record gets a line feed.
    fn fill(&mut self, bytes: usize) -> Result<(), CutError> {
        if self.ended || self.rest.len() >= bytes {
            return Ok(());
        }
        let missing = (bytes - self.rest.len()) as u64;
        let read = self
            .input
            .by_ref()
            .take(missing)
            .read_to_end(&mut self.rest);
        if (read.map_err(CutError::Io)? as u64) < missing {
            self.ended = true;
            if self.rest.last().is_some_and(|last| *last != b'\n') {
                self.rest.push(b'\n');
            }
        }
        Ok(())
    }
}

/// Where the last of at most `records_max` whole records ends, and how many there are.
fn scan(text: &[u8], quoted: bool, records_max: u64) -> (usize, u64) {
    let (mut end, mut records, mut inside) = (0, 0, false);
    let mut at = 0;
    while records < records_max {
        let Some(length) = line_length(&text[at..]) else {
            break;
        };
        let line = &text[at..at + length];
        at += length + 1;
        // A quote inside quotes is written twice, so an odd number leaves a field open.
        inside ^= quoted && line.split(|byte| *byte == b'"').count().is_multiple_of(2);
        if !inside {
            records += u64::from(!is_blank(&text[end..at]));
            end = at;
        }
    }
    (end, records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(text: &'static str, quoted: bool, records_max: u64) -> Vec<String> {
        let mut cutter = Cutter::new(Box::new(text.as_bytes()), quoted);
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
            blocks("a\n\nb\nc", false, 2),
            [r#"0+2 "a\n\nb\n""#, r#"2+1 "c\n""#]
        );
        assert_eq!(blocks("a\n\nb\nc", false, 9), [r#"0+3 "a\n\nb\nc\n""#]);
        assert_eq!(blocks("\n \n", false, 9), [""; 0]);
    }

    #[test]
    fn a_quoted_field_may_hold_line_feeds() {
        let text = "1,\"two\nlines \"\"here\"\"\"\n2,x\n";
        assert_eq!(blocks(text, true, 1).len(), 2);
        assert_eq!(blocks(text, false, 1).len(), 3);
    }

    #[test]
    fn a_record_longer_than_a_block_stays_whole_up_to_the_limit() {
        let long = |bytes: usize| {
            let text = std::iter::repeat_n(b'x', bytes)
                .chain(*b"\ny\n")
                .collect::<Vec<u8>>();
            Cutter::new(Box::new(io::Cursor::new(text)), false).next(9)
        };
        assert_eq!(long(BLOCK_BYTES + 1).unwrap().unwrap().records, 2);
        let refused = long(RECORD_BYTES_MAX * 3);
        assert!(matches!(refused, Err(CutError::TooLong { record: 1 })));
    }
}

//! Cuts a stream of bytes into blocks of whole lines, in bounded memory.

use bytes::{Bytes, BytesMut};

use crate::bodies::STEP_BYTES;
use crate::lines::{line_feeds, line_length, lines};

/// Bytes of lines after which a block is full.
const BLOCK_BYTES: usize = 512 * 1024;

/// Lines after which a block is full: what is made of a line takes memory, however short it is.
const BLOCK_LINES_MAX: u64 = 8_192;

/// Bytes that what is made of a line takes beside its texts, about.
const LINE_BYTES: usize = 256;

/// Some whole lines and the number of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// Number of the first line, from 0.
    pub(super) first_line: u64,
    line_feeds: u64,
    bytes: Bytes,
}

impl Block {
    /// Bytes of memory that what is parsed from it takes, about.
    pub(super) fn parsed_bytes(&self) -> usize {
        let lines = usize::try_from(self.line_feeds).unwrap_or(usize::MAX);
        self.bytes.len() + lines.saturating_mul(LINE_BYTES)
    }

    /// The lines that are not blank, with their numbers.
    pub(super) fn lines(&self) -> impl Iterator<Item = (u64, &[u8])> {
        (self.first_line..)
            .zip(lines(&self.bytes).map(<[u8]>::trim_ascii))
            .filter(|(_, line)| !line.is_empty())
    }
}

/// The bytes that have come but are in no block yet.
#[derive(Debug)]
pub(super) struct Lines {
    buffer: BytesMut,
    next_line: u64,
    /// Line feeds in the buffer.
    line_feeds: u64,
    line_bytes_max: usize,
    /// The last line is over the limit: its further bytes are dropped, which it shows by being
    /// longer than the limit still.
    overlong: bool,
}

impl Lines {
    pub(super) fn new(line_bytes_max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            next_line: 0,
            line_feeds: 0,
            line_bytes_max,
            overlong: false,
        }
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        if self.overlong {
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                return;
            };
            bytes = &bytes[end..];
            self.overlong = false;
        }
        self.buffer.extend_from_slice(bytes);
        self.line_feeds += line_feeds(bytes);
        let start = last_newline(&self.buffer).map_or(0, |end| end + 1);
        if self.buffer.len() - start > self.line_bytes_max {
            self.buffer.truncate(start + self.line_bytes_max + 1);
            self.overlong = true;
        }
    }

    /// Lines that have come.
    pub(super) fn count(&self) -> u64 {
        self.next_line
    }

    /// Whether so many bytes have come that they need room.
    pub(super) fn needs_room(&self) -> bool {
        self.buffer.len() > STEP_BYTES
    }

    /// Bytes that are kept at most, about.
    pub(super) fn bytes_max(&self) -> usize {
        BLOCK_BYTES + self.line_bytes_max
    }

    /// The lines that are whole, once there are enough of them.
    pub(super) fn full_block(&mut self) -> Option<Block> {
        let is_full = self.buffer.len() >= BLOCK_BYTES || self.line_feeds >= BLOCK_LINES_MAX;
        is_full.then(|| self.whole_lines())?
    }

    /// The lines that are whole, or as many as a block may have.
    pub(super) fn whole_lines(&mut self) -> Option<Block> {
        let end = if self.line_feeds > BLOCK_LINES_MAX {
            end_of_lines(&self.buffer, BLOCK_LINES_MAX)
        } else {
            last_newline(&self.buffer)? + 1
        };
        Some(self.cut(end))
    }

    /// What is left at the end of the stream, block by block.
    pub(super) fn rest(&mut self) -> Option<Block> {
        if self.line_feeds > BLOCK_LINES_MAX {
            return self.whole_lines();
        }
        (!self.buffer.is_empty()).then(|| self.cut(self.buffer.len()))
    }

    fn cut(&mut self, end: usize) -> Block {
        let bytes = self.buffer.split_to(end).freeze();
        let first_line = self.next_line;
        let line_feeds = line_feeds(&bytes);
        self.next_line += line_feeds;
        self.line_feeds -= line_feeds;
        Block {
            first_line,
            line_feeds,
            bytes,
        }
    }
}

/// Where so many lines end.
fn end_of_lines(bytes: &[u8], lines: u64) -> usize {
    let mut end = 0;
    for _ in 0..lines {
        let Some(length) = bytes.get(end..).and_then(line_length) else {
            break;
        };
        end += length + 1;
    }
    end
}

fn last_newline(bytes: &[u8]) -> Option<usize> {
    bytes.iter().rposition(|byte| *byte == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&str]) -> Vec<(u64, String)> {
        let mut lines = Lines::new(8);
        let mut blocks = Vec::new();
        for chunk in chunks {
            lines.push(chunk.as_bytes());
            blocks.extend(lines.whole_lines());
        }
        blocks.extend(lines.rest());
        let text = |(number, line): (u64, &[u8])| {
            let line = std::str::from_utf8(line).unwrap();
            (number, line.to_owned())
        };
        blocks
            .iter()
            .flat_map(|block| block.lines().map(text).collect::<Vec<_>>())
            .collect()
    }

    fn named(lines: &[(u64, &str)]) -> Vec<(u64, String)> {
        lines
            .iter()
            .map(|(number, line)| (*number, (*line).to_owned()))
            .collect()
    }

    #[test]
    fn lines_are_numbered_however_the_bytes_arrive() {
        let expected = named(&[(0, "one"), (2, "two"), (3, "three")]);
        assert_eq!(read(&["one\n\r\ntwo\nthree"]), expected);
        assert_eq!(read(&["o", "ne\n", "\r", "\ntwo\nth", "ree"]), expected);
        assert_eq!(read(&["one\n\ntwo\nthree\n"]), expected);
    }

    #[test]
    fn a_block_has_so_many_lines_however_short_they_are() {
        let mut lines = Lines::new(8);
        lines.push("x\n".repeat(20_000).as_bytes());
        lines.push(b"end");
        let mut counts = Vec::new();
        while let Some(block) = lines.full_block() {
            counts.push(block.lines().count());
        }
        assert_eq!(counts, [8_192, 8_192]);
        let rest = lines.rest().unwrap();
        assert_eq!((rest.first_line, rest.lines().count()), (16_384, 3_617));
        assert_eq!(lines.rest(), None);
    }

    #[test]
    fn an_overlong_line_shows_itself_and_spoils_no_other() {
        let expected = named(&[(0, "a"), (1, "123456789"), (2, "b")]);
        assert_eq!(read(&["a\n12345678", "901", "2345", "6\nb"]), expected);
        let at_once = read(&["a\n1234567890123456\nb"]);
        assert!(at_once[1].1.len() > 8, "it is still over the limit");
        assert_eq!(at_once[2], expected[2]);
    }
}

//! CSV, taken apart by one parser from end to end: where a record ends and what its fields are is
//! found in one pass, so that nothing can be cut in one way and read in another.

use csv_core::ReadRecordResult as Parsed;

use super::cutter::CutError;
use super::encoding::{Encoding, Wanted};
use super::text::Text;
use super::{BLOCK_BYTES, RECORD_BYTES_MAX};
use crate::lines::is_blank;

/// Bytes for which there is room at first: a block and the record that fills it.
const ROOM_BYTES: usize = BLOCK_BYTES + 64 * 1024;
/// Fields for which there is room at first.
const ROOM_FIELDS: usize = 64 * 1024;

/// Some consecutive records, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Records before them.
    pub(crate) first: u64,
    /// The fields without quotes, one behind the other.
    text: Vec<u8>,
    /// Where each field ends, from the start of its record.
    ends: Vec<usize>,
    /// Where each record ends in `text` and in `ends`.
    records: Vec<(usize, usize)>,
}

/// The fields of one record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'t> {
    text: &'t str,
    ends: &'t [usize],
}

/// Reads the records of a CSV file.
pub(super) struct TableReader {
    text: Text,
    parser: csv_core::Reader,
    input: Vec<u8>,
    /// What of `input` is parsed.
    at: usize,
    ended: bool,
    /// Columns of the header.
    width: usize,
    /// Records read.
    records: u64,
    failed: Option<CutError>,
}

/// Room that fills with the records of a block.
struct Room {
    table: Table,
    text_end: usize,
    fields_end: usize,
}

impl Table {
    /// How many records.
    pub(crate) fn records(&self) -> u64 {
        self.records.len() as u64
    }

    /// Bytes of all fields.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The records in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        // What is read by an encoding is UTF-8, and fields end at ASCII characters.
        let text = std::str::from_utf8(&self.text).expect("only UTF-8 is read");
        let (mut text_start, mut start) = (0, 0);
        self.records.iter().map(move |(text_end, end)| {
            let row = Row {
                text: &text[text_start..*text_end],
                ends: &self.ends[start..*end],
            };
            (text_start, start) = (*text_end, *end);
            row
        })
    }
}

impl<'t> Row<'t> {
    /// How many fields.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// A field by its place from 0.
    pub(crate) fn get(&self, place: usize) -> Option<&'t str> {
        let start = match place.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.text.get(start..*self.ends.get(place)?)
    }

    /// The fields in order.
    pub(crate) fn fields(self) -> impl Iterator<Item = &'t str> {
        (0..self.len()).filter_map(move |place| self.get(place))
    }

    /// Whether no field holds anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl TableReader {
    /// Reads a text whose fields are parted by `delimiter`, from its header on.
    pub(super) fn new(
        input: Box<dyn std::io::Read + Send>,
        encoding: Encoding,
        delimiter: u8,
    ) -> Self {
        Self {
            text: Text::new(input, Wanted::Whole(encoding)),
            parser: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            input: Vec::new(),
            at: 0,
            ended: false,
            width: 0,
            records: 0,
            failed: None,
        }
    }

    /// Takes the header, which counts as no record; an empty file has one without columns.
    pub(super) fn header(&mut self) -> Result<Vec<String>, CutError> {
        let mut room = Room::new(0);
        self.record(&mut room, None)?;
        let table = room.finish();
        let fields = table.rows().flat_map(Row::fields);
        let header: Vec<_> = fields.map(|name| name.trim().to_owned()).collect();
        self.width = header.len();
        Ok(header)
    }

    /// The next block of at most `records_max` records; `None` at the end.
    pub(super) fn next(&mut self, records_max: u64) -> Result<Option<Table>, CutError> {
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        let mut room = Room::new(self.records);
        while room.table.records() < records_max && room.text_end < BLOCK_BYTES {
            match self.record(&mut room, Some(self.records + 1)) {
                Ok(true) => self.records += 1,
                Ok(false) => break,
                // What was read before it goes first.
                Err(failed) if room.table.records() > 0 => {
                    self.failed = Some(failed);
                    break;
                }
                Err(failed) => return Err(failed),
            }
        }
        Ok((room.table.records() > 0).then(|| room.finish()))
    }

    /// Parses one record; `false` at the end. `number` is its own, or `None` for the header.
    fn record(&mut self, room: &mut Room, number: Option<u64>) -> Result<bool, CutError> {
        loop {
            if self.at == self.input.len() && !self.refill(number)? {
                if room.is_inside_record() {
                    // Nothing but a quote holds the line feed that is read last.
                    return Err(CutError::OpenQuote { record: number });
                }
                return Ok(false);
            }
            let (text, ends) = room.free();
            let input = &self.input[self.at..];
            let (parsed, read, written, fields) = self.parser.read_record(input, text, ends);
            self.at += read;
            room.text_end += written;
            room.fields_end += fields;
            if room.record_bytes() > RECORD_BYTES_MAX {
                return Err(CutError::TooLong { record: number });
            }
            match parsed {
                Parsed::OutputFull => room.table.text.resize(2 * room.table.text.len(), 0),
                Parsed::OutputEndsFull => room.table.ends.resize(2 * room.table.ends.len(), 0),
                Parsed::Record if room.end_record(self.width) => return Ok(true),
                Parsed::InputEmpty | Parsed::Record => {}
                Parsed::End => return Ok(false),
            }
        }
    }

    /// Gets more text; `false` at the end, after a line feed that ends the last record.
    fn refill(&mut self, record: Option<u64>) -> Result<bool, CutError> {
        self.input.clear();
        self.at = 0;
        let failed = |error| CutError::Text { record, error };
        if self.ended || self.text.read(&mut self.input).map_err(failed)? {
            return Ok(!self.ended);
        }
        self.ended = true;
        self.input.push(b'\n');
        Ok(true)
    }
}

impl Room {
    fn new(first: u64) -> Self {
        let table = Table {
            first,
            text: vec![0; ROOM_BYTES],
            ends: vec![0; ROOM_FIELDS],
            records: Vec::new(),
        };
        Self {
            table,
            text_end: 0,
            fields_end: 0,
        }
    }

    /// Where the parser writes; never empty, which it would not go on with.
    fn free(&mut self) -> (&mut [u8], &mut [usize]) {
        let table = &mut self.table;
        (
            &mut table.text[self.text_end..],
            &mut table.ends[self.fields_end..],
        )
    }

    /// Where the record that is being parsed starts.
    fn start(&self) -> (usize, usize) {
        self.table.records.last().copied().unwrap_or_default()
    }

    fn is_inside_record(&self) -> bool {
        self.start() != (self.text_end, self.fields_end)
    }

    /// Bytes of the record that is being parsed, with its delimiters.
    fn record_bytes(&self) -> usize {
        let (text, fields) = self.start();
        self.text_end - text + self.fields_end - fields
    }

    /// Keeps the record that is whole now, unless it is a line of nothing but white space in a
    /// file of several columns.
    fn end_record(&mut self, width: usize) -> bool {
        let (text, fields) = self.start();
        if self.fields_end == fields + 1 && width > 1 {
            let field = &self.table.text[text..self.text_end];
            if !field.is_empty() && is_blank(field) {
                (self.text_end, self.fields_end) = (text, fields);
                return false;
            }
        }
        self.table.records.push((self.text_end, self.fields_end));
        true
    }

    fn finish(mut self) -> Table {
        self.table.text.truncate(self.text_end);
        self.table.ends.truncate(self.fields_end);
        self.table
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reader(text: impl Into<Vec<u8>>) -> TableReader {
        let input = std::io::Cursor::new(text.into());
        TableReader::new(Box::new(input), Encoding::Utf8, b',')
    }

    /// The records of a file, its header first, and what ended it.
    fn records(text: &[u8], records_max: u64) -> (Vec<Vec<String>>, Option<CutError>) {
        let mut reader = reader(text);
        let mut records = vec![reader.header().unwrap()];
        loop {
            match reader.next(records_max) {
                Ok(Some(table)) => {
                    assert_eq!(table.first + 1, records.len() as u64);
                    let row = |row: Row<'_>| row.fields().map(str::to_owned).collect();
                    records.extend(table.rows().map(row));
                }
                Ok(None) => return (records, None),
                Err(error) => return (records, Some(error)),
            }
        }
    }

    fn fields(text: &str) -> Vec<Vec<String>> {
        let (found, error) = records(text.as_bytes(), 1);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(records(text.as_bytes(), 9).0, found, "whatever the blocks");
        found
    }

    #[test]
    fn a_quote_inside_a_field_opens_nothing() {
        let text = "id,name\n1,5\" pipe\n2,\"two\nlines, \"\"here\"\"\"\n3,x\n";
        assert_eq!(
            fields(text),
            [
                ["id", "name"],
                ["1", "5\" pipe"],
                ["2", "two\nlines, \"here\""],
                ["3", "x"]
            ]
        );
    }

    #[test]
    fn a_line_ends_in_a_line_feed_or_a_carriage_return_or_both() {
        for end in ["\n", "\r", "\r\n"] {
            let text = ["a,b", "1,2", "", " ", "3,4"].join(end);
            assert_eq!(
                fields(&text),
                [["a", "b"], ["1", "2"], ["3", "4"]],
                "{end:?}"
            );
        }
        assert_eq!(fields("a\n1\n \n"), [["a"], ["1"], [" "]]);
        assert_eq!(
            fields("a,b\n,\n\"\"\n"),
            [vec!["a", "b"], vec!["", ""], vec![""]]
        );
    }

    #[test]
    fn a_quote_that_is_open_at_the_end_of_the_file_is_named() {
        for text in [
            "a,b\n1,2\n3,\"4\n5,6\n",
            "a,b\n1,2\n\"",
            "a,b\n1,2\n3,\"4\"\"",
        ] {
            let (found, error) = records(text.as_bytes(), 9);
            assert_eq!(found.len(), 2, "{text:?}");
            assert!(
                matches!(error, Some(CutError::OpenQuote { record: Some(2) })),
                "{error:?}"
            );
        }
        let header = reader("a,\"b\n1,2\n").header();
        assert!(matches!(header, Err(CutError::OpenQuote { record: None })));
        assert_eq!(reader("").header().unwrap(), [""; 0]);
    }

    #[test]
    fn the_record_of_a_byte_that_is_not_utf8_is_named_after_all_before_it() {
        let (found, error) = records(b"a,b\n1,2\n3,b\xE4r\n5,6\n", 1);
        assert_eq!(found.len(), 2);
        let Some(CutError::Text {
            record: Some(2), ..
        }) = error
        else {
            panic!("{error:?}");
        };
    }

    #[test]
    fn a_record_longer_than_a_block_stays_whole_up_to_the_limit() {
        let long = |bytes: usize| {
            let text = [b"a,b\n1,\"" as &[u8], &vec![b'x'; bytes], b"\"\n2,3\n"].concat();
            let mut reader = reader(text);
            reader.header().unwrap();
            reader.next(9)
        };
        let table = long(2 * BLOCK_BYTES).unwrap().unwrap();
        assert_eq!((table.records(), table.bytes()), (1, 2 * BLOCK_BYTES + 1));
        let refused = long(RECORD_BYTES_MAX + 1);
        assert!(matches!(
            refused,
            Err(CutError::TooLong { record: Some(1) })
        ));
    }

    proptest! {
        #[test]
        fn blocks_of_any_size_hold_what_the_reader_of_the_whole_file_sees(
            text in "[ab \",\r\n]{0,60}",
            records_max in 1_u64..4,
        ) {
            let text = format!("x,y\n{text}");
            let mut whole = csv::ReaderBuilder::new()
                .flexible(true)
                .has_headers(false)
                .from_reader(text.as_bytes());
            let mut expected: Vec<Vec<String>> = whole
                .records()
                .map(|record| record.unwrap().iter().map(str::to_owned).collect())
                .collect();
            let (found, error) = records(text.as_bytes(), records_max);
            if error.is_some() {
                expected.pop();
            }
            let blank = |row: &Vec<String>| {
                row.len() == 1 && !row[0].is_empty() && row[0].trim().is_empty()
            };
            expected.retain(|row| !blank(row));
            prop_assert_eq!(found, expected);
        }
    }
}

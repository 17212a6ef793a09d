//! The aircraft by tail number.

use std::collections::HashMap;

/// The complete table, as zstd-compressed CSV.
const TABLE: &[u8] = include_bytes!("../../../../data/flights/planes.csv.zst");

/// Kinds of aircraft by tail number.
#[derive(Debug)]
pub(crate) struct Planes {
    types: HashMap<String, String>,
}

impl Planes {
    /// Reads the table that comes with the program.
    pub(crate) fn read() -> std::io::Result<Self> {
        let mut table = csv::Reader::from_reader(zstd::Decoder::new(TABLE)?);
        let header = table.headers()?;
        let column = |name| header.iter().position(|column| column == name);
        let columns = column("tailnum").zip(column("type"));
        let (tail, kind) = columns.ok_or(std::io::ErrorKind::InvalidData)?;
        let mut types = HashMap::new();
        for record in table.records() {
            let record = record?;
            let cell = |index| record.get(index).unwrap_or_default().to_owned();
            types.insert(cell(tail), cell(kind));
        }
        Ok(Self { types })
    }

    /// The kind of one aircraft, where the table knows it.
    pub(crate) fn type_of(&self, tail: &str) -> Option<&str> {
        self.types.get(tail).map(String::as_str)
    }
}

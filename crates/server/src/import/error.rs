//! What can end an import.

use std::path::PathBuf;

use super::text::Malformed;

/// Why an import ended early. What was delivered before stays, and the next run goes on after it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file cannot be read or written.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried, such as "read".
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The name does not tell the form of the file.
    #[error("{} ends in no known form: name it with --format", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// A CSV file has no column of that name.
    #[error("there is no column {column:?}: the header has {header}")]
    UnknownColumn {
        /// What the mapping asks for.
        column: String,
        /// The columns there are.
        header: String,
    },
    /// A CSV file was given without a mapping.
    #[error("CSV needs a mapping file: name it with --mapping")]
    MappingMissing,
    /// The mapping file does not say what it should.
    #[error("the mapping file {} does not hold: {reason}", path.display())]
    Mapping {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A mapping names a column that the header has more than once.
    #[error(
        "the header has {column:?} {count} times: expected it once, because the mapping reads it"
    )]
    AmbiguousColumn {
        /// The name.
        column: String,
        /// How often it stands there.
        count: usize,
    },
    /// A mapping gives an encoding to a form that has none.
    #[error("encoding is {encoding}: expected none in the mapping of a Parquet file")]
    UnusedEncoding {
        /// What the mapping says.
        encoding: &'static str,
    },
    /// A file begins like another encoding than the one it is to be read as.
    #[error("{} {reason}", path.display())]
    Mark {
        /// The file.
        path: PathBuf,
        /// What it begins with, and what was expected.
        reason: String,
    },
    /// A file is not in its encoding.
    #[error(
        "{} is not {malformed}: expected that, or the file's own encoding in the mapping (encoding: \
         windows-1252, iso-8859-1 or utf-16)", name(*record)
    )]
    Malformed {
        /// Number of the record, from 1; `None` for the header.
        record: Option<u64>,
        /// The byte that does not belong there.
        malformed: Malformed,
    },
    /// A quote is still open where the file ends.
    #[error(
        "{} opens a quote that is not closed before the end of the file: expected \" behind the \
         field, and \"\" for each quote inside it", name(*record)
    )]
    OpenQuote {
        /// Number of the record, from 1; `None` for the header.
        record: Option<u64>,
    },
    /// A record is longer than any event may be.
    #[error(
        "{} is longer than {limit} bytes: expected less, and a quote that is closed", name(*record)
    )]
    RecordTooLong {
        /// Number of the record, from 1; `None` for the header.
        record: Option<u64>,
        /// The limit in bytes.
        limit: usize,
    },
    /// A ZIP file cannot be taken apart.
    #[error("{} is no ZIP this program reads: {reason}", path.display())]
    Zip {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A Parquet file cannot be read.
    #[error("could not read {} as Parquet", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: usage::import_parquet::ParquetError,
    },
    /// The store did not take the events.
    #[error("the store refused a batch")]
    Store(#[from] usage::Error),
    /// The server could not be reached or broke off.
    #[error("could not send events to {url}")]
    Unreachable {
        /// Where to.
        url: String,
        /// What the client said.
        source: reqwest::Error,
    },
    /// The server took no batch for a long time.
    #[error(
        "{url} took no batch of events for {patience_s} s ({reason}): what was taken before \
         stays, run the import again to go on"
    )]
    GaveUp {
        /// Where to.
        url: String,
        /// Why the last attempt failed.
        reason: String,
        /// How long it was tried, in seconds.
        patience_s: u64,
    },
    /// The server asks for a pause that is longer than an import waits.
    #[error(
        "{url} asks to send again in {asked_s} s, and an import waits at most {patience_s} s: what \
         was taken before stays, run the import again then"
    )]
    MuchLater {
        /// Where to.
        url: String,
        /// What `Retry-After` asks for, in seconds.
        asked_s: u64,
        /// How long an import waits, in seconds.
        patience_s: u64,
    },
    /// The server answered with something other than outcomes.
    #[error("{url} answered {status}: {body}")]
    Answer {
        /// Where to.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Start of the body.
        body: String,
    },
    /// A thread of the import ended unexpectedly.
    #[error("a thread of the import ended unexpectedly")]
    Broken,
}

fn name(record: Option<u64>) -> String {
    record.map_or_else(
        || "the header".to_owned(),
        |record| format!("record {record}"),
    )
}

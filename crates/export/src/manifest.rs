//! What an artifact says about itself, kept beside the ZIP.

use std::collections::BTreeMap;

use domain::ids::ExportId;
use metadata::Pins;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::archive::EntryFacts;

/// The manifest of an artifact. FORMAT.md describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    format: u32,
    layout: u32,
    export: ExportId,
    as_of: AsOfOut,
    archive: ArchiveOut,
    files: Vec<FileOut>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct AsOfOut {
    sequence: u64,
    revision: u64,
    time: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ArchiveOut {
    bytes: u64,
    sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct FileOut {
    name: String,
    rows: u64,
    bytes: u64,
    sha256: String,
    controls: BTreeMap<&'static str, String>,
}

/// A file of an export and what its rows add up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// The file in the archive.
    pub entry: EntryFacts,
    /// Rows without header and empty lines.
    pub rows: u64,
    /// Sums by name, as decimal texts.
    pub controls: BTreeMap<&'static str, String>,
}

impl Manifest {
    /// Describes a finished archive of `bytes` with this SHA-256.
    pub fn new(
        export: ExportId,
        pins: Pins,
        files: &[FileFacts],
        bytes: u64,
        sha256: &[u8],
    ) -> Self {
        let file = |file: &FileFacts| FileOut {
            name: file.entry.name.clone(),
            rows: file.rows,
            bytes: file.entry.bytes,
            sha256: hex(&file.entry.sha256),
            controls: file.controls.clone(),
        };
        Self {
            format: pins.archive_version,
            layout: pins.layout_version,
            export,
            as_of: AsOfOut {
                sequence: pins.as_of.sequence,
                revision: pins.as_of.revision,
                time: pins.as_of.time.to_string(),
            },
            archive: ArchiveOut {
                bytes,
                sha256: hex(sha256),
            },
            files: files.iter().map(file).collect(),
        }
    }
}

/// The members of a stored manifest, of which one is replaced.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Members<'m, A> {
    #[serde(borrow)]
    format: &'m RawValue,
    layout: &'m RawValue,
    export: &'m RawValue,
    as_of: A,
    archive: &'m RawValue,
    files: &'m RawValue,
}

/// A stored manifest as it is given out: its watermark is a text, which does not show how much
/// others send.
pub fn with_text(stored: &[u8], as_of: Option<&str>) -> serde_json::Result<Vec<u8>> {
    let stored: Members<'_, IgnoredAny> = serde_json::from_slice(stored)?;
    serde_json::to_vec_pretty(&Members {
        as_of,
        format: stored.format,
        layout: stored.layout,
        export: stored.export,
        archive: stored.archive,
        files: stored.files,
    })
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).expect("a nibble");
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}

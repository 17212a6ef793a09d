//! What our own API may ask of an export beyond the fields of the metering family.

use serde::{Deserialize, Serialize};

use crate::ids::{MeterId, OrganizationId};

/// Version of the stored form.
const VERSION: u32 = 1;
/// Organizations one export may name.
pub const ORGANIZATIONS_MAX: usize = 1_000;
/// Meters one export may name.
pub const METERS_MAX: usize = 1_000;
/// Columns one export may name.
pub const COLUMNS_MAX: usize = 100;

/// Choices kept with a job's row as JSON; the default is what the metering family gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parameters {
    version: u32,
    /// Organizations wanted, each the requester or under it; empty for what the kind covers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organizations: Vec<OrganizationId>,
    /// Meters wanted; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meters: Vec<MeterId>,
    /// Headers of the columns wanted, in order; empty for all of the kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Form of each file.
    #[serde(default)]
    pub format: FileFormat,
    /// How files are given out.
    #[serde(default)]
    pub packing: Packing,
    /// Whether texts in CSV that spreadsheets may take for formulas get an apostrophe before them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub csv_safe: bool,
}

/// Form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// Lines of text.
    #[default]
    Csv,
    /// Typed columns.
    Parquet,
}

/// How the files of an export are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// Any number of files in one ZIP.
    #[default]
    Zip,
    /// Exactly one file, compressed by gzip.
    Gzip,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            version: VERSION,
            organizations: Vec::new(),
            meters: Vec::new(),
            columns: Vec::new(),
            format: FileFormat::default(),
            packing: Packing::default(),
            csv_safe: false,
        }
    }
}

impl Parameters {
    /// The stored form.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("names and words are JSON")
    }

    /// Reads the stored form; `None` when another release wrote it or it is damaged.
    pub fn from_json(text: &str) -> Option<Self> {
        let read: Self = serde_json::from_str(text).ok()?;
        (read.version == VERSION).then_some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_read_back_and_unknown_versions_are_not() {
        let parameters = Parameters {
            columns: vec!["Date".into(), "IPU".into()],
            format: FileFormat::Parquet,
            ..Parameters::default()
        };
        let stored = parameters.to_json();
        assert_eq!(
            stored,
            r#"{"version":1,"columns":["Date","IPU"],"format":"parquet","packing":"zip"}"#
        );
        assert_eq!(Parameters::from_json(&stored), Some(parameters));
        assert_eq!(Parameters::from_json(&stored.replace(":1,", ":2,")), None);
        let safe = Parameters {
            csv_safe: true,
            ..Parameters::default()
        };
        assert!(safe.to_json().ends_with(r#","csvSafe":true}"#));
        assert_eq!(Parameters::from_json(&safe.to_json()), Some(safe));
    }
}

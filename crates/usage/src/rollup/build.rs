//! Rolls up rows while they are written: they come sorted, so one hour at a time is enough.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, Decimal128Array, Decimal256Array, RecordBatch, StringArray, TimestampNanosecondArray,
    UInt64Array,
};
use arrow_buffer::i256;
use arrow_schema::ArrowError;
use domain::quantity::Total;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::{Rolled, SUM_PRECISION, dimensions, schema};
use crate::checked::CheckedWriter;
use crate::columns::{PRECISION, SCALE};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::manifest::RollupEntry;
use crate::segment::SEGMENT_FORMAT;

/// Groups gathered before they are written.
const BATCH_GROUPS: usize = 8 * 1024;
/// Groups of one hour held in memory; a level with more is given up.
const HOUR_GROUPS_MAX: usize = 256 * 1024;
/// Most rows of a row group.
const GROUP_ROWS_MAX: usize = 64 * 1024;

/// The hour that is being rolled up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Hour {
    organization: String,
    event_type: String,
    start: i64,
}

/// Values of a level's dimensions.
type Values = Vec<Option<Box<str>>>;

/// One row of the file.
#[derive(Debug)]
struct Group {
    hour: Hour,
    rule: usize,
    values: Values,
    rolled: Rolled,
}

/// One level's file in the making.
#[derive(Debug)]
pub(crate) struct RollupWriter {
    disk: Arc<dyn Disk>,
    level: u8,
    path: PathBuf,
    file: String,
    /// `None` once the level was given up.
    writer: Option<CheckedWriter>,
    rows: u64,
    rows_max: u64,
    hour: Hour,
    groups: Vec<(usize, Values, Rolled)>,
    /// Places in `groups` by rule and values, spelled as bytes.
    places: HashMap<Box<[u8]>, usize>,
    key: Vec<u8>,
    rules: Vec<String>,
    pending: Vec<Group>,
}

impl RollupWriter {
    /// Creates the file of a level that is worth `rows_max` rows; `rules` are the rules' keys.
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        folder: &Path,
        segment_file: &str,
        level: u8,
        rules: Vec<String>,
        rows_max: u64,
    ) -> Result<Self> {
        let stem = segment_file.strip_suffix(".parquet");
        let file = format!("{}.l{level}.parquet", stem.unwrap_or(segment_file));
        let path = folder.join(&file);
        let zstd = ZstdLevel::try_new(1).expect("zstd has level 1");
        let properties = WriterProperties::builder()
            .set_created_by("tallyport".into())
            .set_compression(Compression::ZSTD(zstd))
            .set_max_row_group_row_count(Some(GROUP_ROWS_MAX))
            .build();
        let writer = CheckedWriter::create(disk, &path, schema(level), properties)?;
        Ok(Self {
            disk: Arc::clone(disk),
            level,
            path,
            file,
            writer: Some(writer),
            rows: 0,
            rows_max,
            hour: Hour::default(),
            groups: Vec::new(),
            places: HashMap::new(),
            key: Vec::new(),
            rules,
            pending: Vec::new(),
        })
    }

    pub(crate) fn level(&self) -> u8 {
        self.level
    }

    /// Whether the level was given up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.writer.is_none()
    }

    /// Turns to an hour of an organization and event type; the same one may come again at once.
    pub(crate) fn turn_to(
        &mut self,
        organization: &str,
        event_type: &str,
        start: i64,
    ) -> Result<()> {
        let hour = &self.hour;
        let same = hour.start == start
            && hour.organization == organization
            && hour.event_type == event_type;
        if same {
            return Ok(());
        }
        self.end_hour()?;
        self.hour = Hour {
            organization: organization.to_owned(),
            event_type: event_type.to_owned(),
            start,
        };
        Ok(())
    }

    /// Adds a reading (units, time, sequence) to its group of the hour.
    pub(crate) fn add(
        &mut self,
        rule: usize,
        values: &[Option<&str>],
        (units, time, sequence): (i128, i64, u64),
    ) -> Result<()> {
        spell(&mut self.key, rule, values);
        if let Some(place) = self.places.get(self.key.as_slice()) {
            self.groups[*place].2.add(units, time, sequence);
            return Ok(());
        }
        let place = self.groups.len();
        self.places.insert(self.key.as_slice().into(), place);
        let values = values.iter().map(|value| value.map(Into::into)).collect();
        self.groups
            .push((rule, values, Rolled::new(units, time, sequence)));
        let worth = self.rows + self.groups.len() as u64 <= self.rows_max;
        if !worth || self.groups.len() > HOUR_GROUPS_MAX {
            return self.give_up();
        }
        Ok(())
    }

    fn end_hour(&mut self) -> Result<()> {
        self.rows += self.groups.len() as u64;
        self.places.clear();
        let mut groups = std::mem::take(&mut self.groups);
        groups.sort_unstable_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
        for (rule, values, rolled) in groups {
            self.pending.push(Group {
                hour: self.hour.clone(),
                rule,
                values,
                rolled,
            });
        }
        if self.pending.len() >= BATCH_GROUPS {
            self.write_pending()?;
        }
        Ok(())
    }

    /// Ends without a file: so many rows are no shorter way than the segment's own.
    fn give_up(&mut self) -> Result<()> {
        self.groups.clear();
        self.places.clear();
        self.pending.clear();
        if self.writer.take().is_some() {
            let removed = self.disk.remove(&self.path);
            removed.map_err(|source| Error::io("remove", &self.path, source))?;
        }
        Ok(())
    }

    fn write_pending(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return Ok(());
        }
        let batch = batch(self.level, &self.rules, &pending)?;
        self.writer.as_mut().map_or(Ok(()), |to| to.push(&batch))
    }

    /// Ends the file; `None` when the level was given up or holds nothing.
    pub(crate) fn finish(mut self) -> Result<Option<RollupEntry>> {
        self.end_hour()?;
        self.write_pending()?;
        if self.rows == 0 {
            self.give_up()?;
        }
        let Some(writer) = self.writer else {
            return Ok(None);
        };
        let written = writer.finish(vec![
            ("tallyport.format", SEGMENT_FORMAT.to_string()),
            ("tallyport.level", self.level.to_string()),
        ])?;
        Ok(Some(RollupEntry {
            level: self.level,
            file: self.file,
            rows: self.rows,
            bytes: written.bytes,
            checksum: written.checksum,
            tail_bytes: written.tail_bytes,
            tail_checksum: written.tail_checksum,
        }))
    }
}

/// Spells a rule and values so that different ones never look the same.
fn spell(key: &mut Vec<u8>, rule: usize, values: &[Option<&str>]) {
    key.clear();
    key.extend(rule.to_le_bytes());
    for value in values {
        key.push(u8::from(value.is_some()));
        let text = value.unwrap_or_default();
        key.extend(text.len().to_le_bytes());
        key.extend(text.as_bytes());
    }
}

fn batch(level: u8, rules: &[String], groups: &[Group]) -> Result<RecordBatch> {
    let each = || groups.iter();
    let rolled = || groups.iter().map(|group| &group.rolled);
    let mut arrays = vec![
        texts(each().map(|group| Some(group.hour.organization.as_str()))),
        texts(each().map(|group| Some(group.hour.event_type.as_str()))),
        instants(each().map(|group| group.hour.start)),
        texts(each().map(|group| rules.get(group.rule).map(String::as_str))),
        sums(rolled().map(|rolled| rolled.sum))?,
        numbers(rolled().map(|rolled| rolled.count)),
        quantities(rolled().map(|rolled| rolled.min))?,
        quantities(rolled().map(|rolled| rolled.max))?,
        quantities(rolled().map(|rolled| rolled.latest.2))?,
        instants(rolled().map(|rolled| rolled.latest.0)),
        numbers(rolled().map(|rolled| rolled.latest.1)),
    ];
    for index in 0..dimensions(level).len() {
        let values = each().map(|group| group.values[index].as_deref());
        arrays.push(texts(values));
    }
    RecordBatch::try_new(schema(level), arrays).map_err(|error| misfit(&error))
}

fn texts<'g>(values: impl Iterator<Item = Option<&'g str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn numbers(values: impl Iterator<Item = u64>) -> ArrayRef {
    Arc::new(UInt64Array::from_iter_values(values))
}

fn instants(values: impl Iterator<Item = i64>) -> ArrayRef {
    let array = TimestampNanosecondArray::from_iter_values(values);
    Arc::new(array.with_timezone("UTC"))
}

fn quantities(values: impl Iterator<Item = i128>) -> Result<ArrayRef> {
    let array = Decimal128Array::from_iter_values(values);
    let array = array.with_precision_and_scale(PRECISION, SCALE);
    Ok(Arc::new(array.map_err(|error| misfit(&error))?))
}

fn sums(values: impl Iterator<Item = Total>) -> Result<ArrayRef> {
    let values = values.map(|sum| i256::from_le_bytes(sum.units().to_le_bytes()));
    let array = Decimal256Array::from_iter_values(values);
    let array = array.with_precision_and_scale(SUM_PRECISION, SCALE);
    Ok(Arc::new(array.map_err(|error| misfit(&error))?))
}

fn misfit(error: &ArrowError) -> Error {
    Error::Internal(format!("a rollup does not fit its schema: {error}"))
}

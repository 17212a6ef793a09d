//! Rolls up rows while they are written: they come sorted, so one hour at a time is enough.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{
    Decimal128Builder, Decimal256Builder, StringBuilder, TimestampNanosecondBuilder, UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::i256;
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
pub(super) struct Hour {
    pub(super) organization: String,
    pub(super) event_type: String,
    pub(super) start: i64,
}

/// Values of a level's dimensions.
type Values = Vec<Option<Box<str>>>;

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
    pending: Vec<(Hour, usize, Values, Rolled)>,
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
            self.pending.push((self.hour.clone(), rule, values, rolled));
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

fn batch(
    level: u8,
    rules: &[String],
    groups: &[(Hour, usize, Values, Rolled)],
) -> Result<RecordBatch> {
    let text = |of: &dyn Fn(&(Hour, usize, Values, Rolled)) -> Option<String>| -> ArrayRef {
        let mut builder = StringBuilder::new();
        groups
            .iter()
            .for_each(|group| builder.append_option(of(group)));
        Arc::new(builder.finish())
    };
    let number = |of: &dyn Fn(&Rolled) -> u64| -> ArrayRef {
        let mut builder = UInt64Builder::with_capacity(groups.len());
        groups
            .iter()
            .for_each(|group| builder.append_value(of(&group.3)));
        Arc::new(builder.finish())
    };
    let instant = |of: &dyn Fn(&(Hour, usize, Values, Rolled)) -> i64| -> ArrayRef {
        let builder = TimestampNanosecondBuilder::with_capacity(groups.len());
        let mut builder = builder.with_timezone("UTC");
        groups
            .iter()
            .for_each(|group| builder.append_value(of(group)));
        Arc::new(builder.finish())
    };
    let quantity = |of: &dyn Fn(&Rolled) -> i128| -> ArrayRef {
        let builder = Decimal128Builder::with_capacity(groups.len());
        let builder = builder.with_precision_and_scale(PRECISION, SCALE);
        let mut builder = builder.expect("a decimal of 38 digits and 12 places exists");
        groups
            .iter()
            .for_each(|group| builder.append_value(of(&group.3)));
        Arc::new(builder.finish())
    };
    let mut arrays = vec![
        text(&|group| Some(group.0.organization.clone())),
        text(&|group| Some(group.0.event_type.clone())),
        instant(&|group| group.0.start),
        text(&|group| rules.get(group.1).cloned()),
        sums(groups),
        number(&|rolled| rolled.count),
        quantity(&|rolled| rolled.min),
        quantity(&|rolled| rolled.max),
        quantity(&|rolled| rolled.latest.2),
        instant(&|group| group.3.latest.0),
        number(&|rolled| rolled.latest.1),
    ];
    for index in 0..dimensions(level).len() {
        arrays.push(text(&|group| group.2[index].as_deref().map(str::to_owned)));
    }
    RecordBatch::try_new(schema(level), arrays)
        .map_err(|error| Error::Internal(format!("a rollup does not fit its schema: {error}")))
}

fn sums(groups: &[(Hour, usize, Values, Rolled)]) -> ArrayRef {
    let builder = Decimal256Builder::with_capacity(groups.len());
    let builder = builder.with_precision_and_scale(SUM_PRECISION, SCALE);
    let mut builder = builder.expect("a decimal of 76 digits and 12 places exists");
    for (_, _, _, rolled) in groups {
        builder.append_value(i256::from_le_bytes(rolled.sum.units().to_le_bytes()));
    }
    Arc::new(builder.finish())
}

//! Rolls up rows while they are written: they come sorted, so one hour at a time is enough.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
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
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{ROLLUP_FORMAT, Rolled, SUM_PRECISION, dimensions, schema};
use crate::checked::CheckedWriter;
use crate::columns::{PRECISION, SCALE};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::manifest::RollupEntry;

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
    hour: Arc<Hour>,
    rule: usize,
    values: Arc<Values>,
    rolled: Rolled,
}

/// What one hour and some values of the dimensions amount to, by rule.
#[derive(Debug)]
struct Cell {
    values: Arc<Values>,
    rolled: Vec<(usize, Rolled)>,
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
    hour: Arc<Hour>,
    /// Groups of the hour: pairs of a rule and a cell.
    groups: usize,
    cells: Vec<Cell>,
    /// Places in `cells` by values, spelled as bytes.
    places: HashMap<Box<[u8]>, usize, SpelledHash>,
    key: Vec<u8>,
    /// The values last asked for, and their place.
    recent: Option<(Vec<u8>, usize)>,
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
            hour: Arc::default(),
            groups: 0,
            cells: Vec::new(),
            places: HashMap::with_hasher(SpelledHash::new()),
            key: Vec::new(),
            recent: None,
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
        self.hour = Arc::new(Hour {
            organization: organization.to_owned(),
            event_type: event_type.to_owned(),
            start,
        });
        Ok(())
    }

    /// Adds the readings (rule, units) of a row to their groups of the hour.
    pub(crate) fn add(
        &mut self,
        values: &[Option<&str>],
        readings: impl Iterator<Item = (usize, i128)>,
        (time, sequence): (i64, u64),
    ) -> Result<()> {
        let place = self.place(values);
        let rolled = &mut self.cells[place].rolled;
        for (rule, units) in readings {
            if let Some((_, rolled)) = rolled.iter_mut().find(|(held, _)| *held == rule) {
                rolled.add(units, time, sequence);
            } else {
                rolled.push((rule, Rolled::new(units, time, sequence)));
                self.groups += 1;
            }
        }
        let worth = self.rows + self.groups as u64 <= self.rows_max;
        if !worth || self.groups > HOUR_GROUPS_MAX {
            return self.give_up();
        }
        Ok(())
    }

    /// The place in `cells` of the cell with these values.
    fn place(&mut self, values: &[Option<&str>]) -> usize {
        spell(&mut self.key, values);
        if let Some((key, place)) = &self.recent
            && *key == self.key
        {
            return *place;
        }
        let known = self.places.get(self.key.as_slice()).copied();
        let place = known.unwrap_or_else(|| {
            let values = values.iter().map(|value| value.map(Into::into)).collect();
            self.cells.push(Cell {
                values: Arc::new(values),
                rolled: Vec::new(),
            });
            let place = self.cells.len() - 1;
            self.places.insert(self.key.as_slice().into(), place);
            place
        });
        let (recent, held) = self.recent.get_or_insert_default();
        recent.clone_from(&self.key);
        *held = place;
        place
    }

    fn end_hour(&mut self) -> Result<()> {
        self.rows += self.groups as u64;
        self.clear_hour();
        let mut groups: Vec<(usize, Arc<Values>, Rolled)> = Vec::new();
        for Cell { values, rolled } in std::mem::take(&mut self.cells) {
            let rolled = rolled.into_iter();
            groups.extend(rolled.map(|(rule, rolled)| (rule, Arc::clone(&values), rolled)));
        }
        groups.sort_unstable_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
        for (rule, values, rolled) in groups {
            self.pending.push(Group {
                hour: Arc::clone(&self.hour),
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

    /// Forgets where the groups of the hour are.
    fn clear_hour(&mut self) {
        self.places.clear();
        self.recent = None;
        self.groups = 0;
    }

    /// Ends without a file: so many rows are no shorter way than the segment's own.
    fn give_up(&mut self) -> Result<()> {
        self.clear_hour();
        self.cells.clear();
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
            ("tallyport.format", ROLLUP_FORMAT.to_string()),
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

/// Hashes spelled values with a seed nobody outside knows.
#[derive(Debug, Clone)]
struct SpelledHash(u64);

impl SpelledHash {
    fn new() -> Self {
        Self(RandomState::new().hash_one(0))
    }
}

impl BuildHasher for SpelledHash {
    type Hasher = SpelledHasher;

    fn build_hasher(&self) -> SpelledHasher {
        SpelledHasher(self.0)
    }
}

struct SpelledHasher(u64);

impl Hasher for SpelledHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_usize(&mut self, length: usize) {
        self.0 ^= length as u64;
    }
}

/// Spells values so that different ones never look the same.
fn spell(key: &mut Vec<u8>, values: &[Option<&str>]) {
    key.clear();
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

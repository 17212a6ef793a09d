//! Writes sorted rows as a segment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;

use arrow_array::{Array, ArrayRef, RecordBatch};
use domain::ids::OrganizationId;
use domain::number::may_be_respelled;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::{EMPTY_KEY, SEGMENT_FORMAT};
use crate::checked::CheckedWriter;
use crate::columns::{self, Column, Keys, Strings, Texts};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::manifest::{Layout, SegmentEntry};
use crate::rollup::Rollups;
use crate::row::Row;

/// Rows turned into columns at once.
const CONVERT_ROWS: usize = 1024;
/// Batches of columns that may wait to be packed.
const BATCHES_AHEAD_MAX: usize = 2;
/// Bytes of a page's values at which it ends.
const PAGE_BYTES_MAX: usize = 128 * 1024;

/// How a segment's rows are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Most rows of a row group: what a read of one organization has to go through.
    pub group_rows_max: usize,
    /// Most rows of a page: what fetching one event has to go through.
    pub page_rows_max: usize,
    /// Fewest rows of a segment that are worth rollups.
    pub rollup_rows_min: u64,
    /// Fewest rows of a segment that are worth a rollup of level 2: smaller ones are joined soon.
    pub fine_rows_min: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            group_rows_max: 128 * 1024,
            page_rows_max: 16 * 1024,
            rollup_rows_min: 16 * 1024,
            fine_rows_min: 512 * 1024,
        }
    }
}

/// How much time the packing of columns may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Little: a join will write the rows again.
    Quick,
    /// As much as saves space for good.
    Tight,
}

/// Writes rows (at least one, in any order) as a segment file and its rollups.
///
/// The files are synced, the folder is not. Blocks: call it from a thread that may.
pub fn write(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    file: &str,
    rows: &[Row],
    layout: &Layout,
) -> Result<SegmentEntry> {
    write_shaped(disk, folder, file, rows, layout, Shape::default())
}

/// As [`write()`], with rows cut as `shape` says.
pub fn write_shaped(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    file: &str,
    rows: &[Row],
    layout: &Layout,
    shape: Shape,
) -> Result<SegmentEntry> {
    let rows: Vec<&Row> = rows.iter().collect();
    write_rows(disk, folder, file, &rows, layout, shape)
}

/// As [`write_shaped()`], from rows that others may hold, too.
pub(crate) fn write_rows(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    file: &str,
    rows: &[&Row],
    layout: &Layout,
    shape: Shape,
) -> Result<SegmentEntry> {
    let sequences = rows.iter().map(|row| row.sequence);
    let Some((first, last)) = sequences.clone().min().zip(sequences.max()) else {
        return Err(Error::Internal("a segment needs a row".into()));
    };
    let count = rows.len() as u64;
    let Sorted { rows, event_types } = sort(rows);
    let columns = Column::all(layout, |rule| {
        event_types.contains(rule.event_type.as_str())
    });
    let packing = (shape, Packing::Quick);
    let mut writer = SegmentWriter::create(disk, folder, file, columns.clone(), packing, count)?;
    convert(&rows, &columns, |batch| writer.push(&batch))?;
    writer.finish(first, last, layout)
}

/// Turns rows into columns on a thread of its own, while the batches before are packed here.
fn convert(
    rows: &[&Row],
    columns: &[Column],
    mut pack: impl FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let build = |chunk: &[&Row]| columns::build(chunk.iter().copied(), columns, Texts::Plain);
    if rows.len() <= CONVERT_ROWS {
        return pack(build(rows)?);
    }
    let (ready, batches) = mpsc::sync_channel(BATCHES_AHEAD_MAX);
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut built = rows.chunks(CONVERT_ROWS).map(build);
            // Once packing has failed nobody takes the rest.
            while built.next().is_some_and(|batch| ready.send(batch).is_ok()) {}
        });
        batches.into_iter().try_for_each(|batch| pack(batch?))
    })
}

/// Rows as segments hold them.
struct Sorted<'r> {
    rows: Vec<&'r Row>,
    event_types: BTreeSet<&'r str>,
}

/// Sorts rows as segments hold them. Texts are compared once per distinct pair of organization
/// and event type, numbers decide the rest; neighbours mostly share their pair.
fn sort<'r>(rows: &[&'r Row]) -> Sorted<'r> {
    let mut pairs: BTreeMap<(OrganizationId, &str), u32> = BTreeMap::new();
    let mut recent: Option<(&Row, u32)> = None;
    let mut keyed: Vec<(u32, i64, u64, &Row)> = Vec::with_capacity(rows.len());
    for row in rows {
        let pair = match recent {
            Some((held, pair)) if shares_pair(held, row) => pair,
            _ => {
                let next = u32::try_from(pairs.len()).expect("fewer rows than 2^32");
                *(pairs.entry((row.organization, row.texts.event_type()))).or_insert(next)
            }
        };
        recent = Some((row, pair));
        keyed.push((pair, row.time_ns, row.sequence, row));
    }
    let mut ranks = vec![0; pairs.len()];
    for (rank, pair) in (0..).zip(pairs.values()) {
        ranks[*pair as usize] = rank;
    }
    for (pair, ..) in &mut keyed {
        *pair = ranks[*pair as usize];
    }
    keyed.sort_unstable_by_key(|(rank, time, sequence, _)| (*rank, *time, *sequence));
    Sorted {
        rows: keyed.into_iter().map(|(.., row)| row).collect(),
        event_types: pairs.into_keys().map(|(_, held)| held).collect(),
    }
}

fn shares_pair(one: &Row, other: &Row) -> bool {
    let same_type = || one.texts.event_type() == other.texts.event_type();
    one.organization == other.organization && same_type()
}

/// A segment in the making: takes batches in order.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    writer: CheckedWriter,
    rollups: Option<Rollups>,
    file: String,
    columns: Vec<Column>,
    /// Whether a column holds a value.
    filled: Vec<bool>,
    /// Whether a dimension may hold a number with an exponent.
    exponents: bool,
    rows: u64,
    time_min_ns: i64,
    time_max_ns: i64,
    event_types: BTreeSet<String>,
}

impl SegmentWriter {
    /// Creates the files of a segment of at most `rows` rows.
    ///
    /// `columns` are those of every batch; they start with the key columns.
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        folder: &Path,
        file: &str,
        columns: Vec<Column>,
        (shape, packing): (Shape, Packing),
        rows: u64,
    ) -> Result<Self> {
        let schema = columns::schema(&columns, Texts::Plain);
        let path = folder.join(file);
        let properties = properties(&columns, shape, packing);
        let writer = CheckedWriter::create(disk, &path, schema, properties)?;
        let rollups = (rows >= shape.rollup_rows_min)
            .then(|| Rollups::create(disk, folder, file, &columns, (rows, shape.fine_rows_min)));
        Ok(Self {
            writer,
            rollups: rollups.transpose()?,
            file: file.to_owned(),
            filled: vec![false; columns.len()],
            columns,
            exponents: false,
            rows: 0,
            time_min_ns: i64::MAX,
            time_max_ns: i64::MIN,
            event_types: BTreeSet::new(),
        })
    }

    /// Adds rows that come after all earlier ones.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let keys = Keys::of(batch);
        for time in keys.time {
            self.time_min_ns = self.time_min_ns.min(*time);
            self.time_max_ns = self.time_max_ns.max(*time);
        }
        for row in 0..batch.num_rows() {
            let repeated = row > 0 && keys.event_type.same(row - 1, row);
            if !repeated && !self.event_types.contains(keys.event_type.at(row)) {
                let event_type = keys.event_type.at(row).to_owned();
                self.event_types.insert(event_type);
            }
        }
        for (filled, column) in self.filled.iter_mut().zip(batch.columns()) {
            *filled |= column.null_count() < column.len();
        }
        let columns = self.columns.iter().zip(batch.columns());
        let mut dimensions = columns.filter(|(column, _)| matches!(column, Column::Dimension(_)));
        self.exponents = self.exponents || dimensions.any(|(_, texts)| may_hold_exponents(texts));
        if let Some(rollups) = &mut self.rollups {
            rollups.push(batch)?;
        }
        self.rows += batch.num_rows() as u64;
        self.writer.push(batch)
    }

    /// Ends the file; it holds the sequences from `first` to `last`.
    pub(crate) fn finish(self, first: u64, last: u64, layout: &Layout) -> Result<SegmentEntry> {
        let layout_json = serde_json::to_string(layout)
            .map_err(|error| Error::Internal(format!("a layout has no JSON form: {error}")))?;
        let rollups = self.rollups.map(Rollups::finish).transpose()?;
        let columns = self.columns.iter().zip(&self.filled);
        let empty = columns.filter(|(_, filled)| !**filled);
        let empty: Vec<String> = empty.map(|(column, _)| column.name()).collect();
        let written = self.writer.finish(vec![
            ("tallyport.format", SEGMENT_FORMAT.to_string()),
            ("tallyport.sequences", format!("{first}-{last}")),
            ("tallyport.layout", layout_json),
            (EMPTY_KEY, empty.join(",")),
        ])?;
        Ok(SegmentEntry {
            format: SEGMENT_FORMAT,
            file: self.file,
            first,
            last,
            rows: self.rows,
            bytes: written.bytes,
            checksum: written.checksum,
            tail_bytes: written.tail_bytes,
            tail_checksum: written.tail_checksum,
            time_min_ns: self.time_min_ns,
            time_max_ns: self.time_max_ns,
            event_types: self.event_types.into_iter().collect(),
            layout: layout.clone(),
            rollups: rollups.unwrap_or_default(),
            exponents: Some(self.exponents),
        })
    }
}

/// Whether a text of a dimension may be a number that is spelled otherwise than it was sent.
fn may_hold_exponents(texts: &ArrayRef) -> bool {
    if texts.null_count() == texts.len() {
        return false;
    }
    let (mut rows, texts) = (0..texts.len(), Strings::of(texts));
    rows.any(|row| texts.get(row).is_some_and(may_be_respelled))
}

fn properties(columns: &[Column], shape: Shape, packing: Packing) -> WriterProperties {
    let place = |wanted: &Column| columns.iter().position(|column| column == wanted);
    let order = [
        Column::Organization,
        Column::EventType,
        Column::Time,
        Column::Sequence,
    ];
    let order = order.iter().filter_map(place).filter_map(|index| {
        let index = i32::try_from(index).ok()?;
        Some(SortingColumn {
            column_idx: index,
            descending: false,
            nulls_first: false,
        })
    });
    let zstd = Compression::ZSTD(ZstdLevel::try_new(1).expect("zstd has level 1"));
    // Whoever packs or unpacks a column with zstd holds about 100 KB for it.
    let (most, data) = match packing {
        Packing::Quick => (Compression::UNCOMPRESSED, zstd),
        Packing::Tight => (zstd, zstd),
    };
    let mut properties = WriterProperties::builder()
        .set_created_by("tallyport".into())
        .set_compression(most)
        .set_column_compression(ColumnPath::from(Column::Data.name()), data)
        .set_data_page_size_limit(PAGE_BYTES_MAX)
        .set_max_row_group_row_count(Some(shape.group_rows_max))
        .set_data_page_row_count_limit(shape.page_rows_max)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_sorting_columns(Some(order.collect()));
    for column in columns {
        let path = ColumnPath::from(column.name());
        if !column.repeats() {
            properties = properties.set_column_dictionary_enabled(path.clone(), false);
        }
        properties = match column {
            Column::Sequence | Column::Time => {
                properties.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
            }
            Column::Received => properties
                .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED)
                .set_column_statistics_enabled(path, EnabledStatistics::None),
            Column::Organization | Column::EventType => {
                properties.set_column_statistics_enabled(path, EnabledStatistics::Page)
            }
            // Reads choose row groups by the four columns above.
            _ => properties.set_column_statistics_enabled(path, EnabledStatistics::None),
        };
    }
    properties.build()
}

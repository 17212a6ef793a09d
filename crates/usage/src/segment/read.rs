//! Reads columns of a segment, row group by row group.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, RecordBatch, new_null_array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use domain::dimension::Dimension;
use domain::number::NumberRule;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use super::{EMPTY_KEY, Segment};
use crate::checked::{CheckedFile, Written};
use crate::columns::{self, Column, Stored, Strings, Texts};
use crate::error::{Error, Result};

/// What to read of a segment.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// Columns of each batch, in this order.
    pub(crate) columns: Vec<Column>,
    /// How texts are given.
    pub(crate) texts: Texts,
    /// Most rows of one batch.
    pub(crate) batch_rows: usize,
}

/// The footer of a segment, read once.
#[derive(Debug)]
pub(crate) struct Footer {
    file: CheckedFile,
    plain: ArrowReaderMetadata,
    coded: ArrowReaderMetadata,
    groups: Vec<GroupBounds>,
    /// Columns that hold nothing but nulls, as far as they are known.
    empty: Vec<String>,
}

/// The least and the largest of some values.
pub(crate) type Bounds<T> = (T, T);

/// Bounds of one row group: no row lies outside.
#[derive(Debug, Clone)]
pub(crate) struct GroupBounds {
    pub(crate) rows: usize,
    pub(crate) organization: Bounds<Vec<u8>>,
    pub(crate) event_type: Bounds<Vec<u8>>,
    pub(crate) time_ns: Bounds<i64>,
    pub(crate) sequence: Bounds<u64>,
}

impl Segment {
    /// The bounds of each row group.
    pub(crate) fn groups(&self) -> Result<&[GroupBounds]> {
        self.footer().map(|footer| footer.groups.as_slice())
    }

    /// Reads row groups in the order given.
    pub(crate) fn read(self: &Arc<Self>, groups: Vec<usize>, ask: &Ask) -> Result<SegmentRows> {
        let plan = Plan::new(self, ask)?;
        Ok(SegmentRows {
            segment: Arc::clone(self),
            plan,
            groups: groups.into(),
            current: None,
        })
    }

    /// Reads some rows of one row group.
    pub(crate) fn read_rows(
        self: &Arc<Self>,
        group: usize,
        selection: RowSelection,
        ask: &Ask,
    ) -> Result<SegmentRows> {
        let mut rows = self.read(Vec::new(), ask)?;
        rows.current = Some(rows.open(group, Some(selection))?);
        Ok(rows)
    }

    fn footer(&self) -> Result<&Footer> {
        if let Some(footer) = self.footer.get() {
            return Ok(footer);
        }
        let footer = Footer::read(self)?;
        Ok(self.footer.get_or_init(|| footer))
    }
}

impl Footer {
    fn read(segment: &Segment) -> Result<Self> {
        let entry = &segment.entry;
        let written = Written {
            bytes: entry.bytes,
            checksum: entry.checksum.clone(),
            tail_bytes: entry.tail_bytes,
            tail_checksum: entry.tail_checksum.clone(),
        };
        let path = segment.folder.join(&entry.file);
        let (file, metadata) = CheckedFile::open(&segment.disk, &path, &written)?;
        let metadata = Arc::new(metadata);
        let plain = ArrowReaderMetadata::try_new(Arc::clone(&metadata), ArrowReaderOptions::new())
            .map_err(|error| file.error(error))?;
        let options = ArrowReaderOptions::new().with_schema(coded_schema(plain.schema()));
        let coded = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options)
            .map_err(|error| file.error(error))?;
        let groups = group_bounds(&metadata).ok_or_else(|| {
            let offset = entry.bytes - entry.tail_bytes;
            Error::corrupt(&path, offset, "a row group has no bounds")
        })?;
        Ok(Self {
            file,
            plain,
            coded,
            groups,
            empty: empty_columns(&metadata),
        })
    }
}

fn empty_columns(metadata: &ParquetMetaData) -> Vec<String> {
    let entries = metadata.file_metadata().key_value_metadata();
    let mut entries = entries.into_iter().flatten();
    let names = entries
        .find(|entry| entry.key == EMPTY_KEY)
        .and_then(|entry| entry.value.as_deref());
    let names = names.unwrap_or_default().split(',');
    names.map(str::to_owned).collect()
}

/// The same columns with texts coded, but for those that hardly repeat.
fn coded_schema(plain: &SchemaRef) -> SchemaRef {
    let run_id = Column::Dimension(Dimension::TaskRunId);
    let spelled_out = [Column::Data, Column::Id, run_id].map(|column| column.name());
    let fields = plain.fields().iter().map(|field| {
        if *field.data_type() == DataType::Utf8 && !spelled_out.contains(field.name()) {
            Field::new(field.name(), columns::coded(), field.is_nullable())
        } else {
            field.as_ref().clone()
        }
    });
    SchemaRef::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn group_bounds(metadata: &ParquetMetaData) -> Option<Vec<GroupBounds>> {
    let schema = metadata.file_metadata().schema_descr();
    let place = |column: &Column| {
        let name = column.name();
        (0..schema.num_columns()).find(|index| schema.column(*index).name() == name)
    };
    let organization = place(&Column::Organization)?;
    let event_type = place(&Column::EventType)?;
    let (time, sequence) = (place(&Column::Time)?, place(&Column::Sequence)?);
    let bounds = |group: &RowGroupMetaData| {
        let (first, last) = number_bounds(group, sequence)?;
        Some(GroupBounds {
            rows: usize::try_from(group.num_rows()).ok()?,
            organization: text_bounds(group, organization)?,
            event_type: text_bounds(group, event_type)?,
            time_ns: number_bounds(group, time)?,
            sequence: (first.cast_unsigned(), last.cast_unsigned()),
        })
    };
    metadata.row_groups().iter().map(bounds).collect()
}

/// The bounds of a column of numbers or instants.
pub(crate) fn number_bounds(group: &RowGroupMetaData, column: usize) -> Option<Bounds<i64>> {
    match group.column(column).statistics()? {
        Statistics::Int64(values) => Some((*values.min_opt()?, *values.max_opt()?)),
        _ => None,
    }
}

/// The bounds of a text column; long ones are cut so that they still hold.
pub(crate) fn text_bounds(group: &RowGroupMetaData, column: usize) -> Option<Bounds<Vec<u8>>> {
    let statistics = group.column(column).statistics()?;
    Some((
        statistics.min_bytes_opt()?.to_vec(),
        statistics.max_bytes_opt()?.to_vec(),
    ))
}

/// Where each asked column comes from.
#[derive(Debug)]
struct Plan {
    places: Vec<Place>,
    derived: Vec<Column>,
    mask: ProjectionMask,
    schema: SchemaRef,
    ask: Ask,
}

#[derive(Debug, Clone)]
enum Place {
    Read(String),
    Derived(usize),
    Null,
}

impl Plan {
    fn new(segment: &Segment, ask: &Ask) -> Result<Self> {
        let footer = segment.footer()?;
        let file_schema = footer.plain.schema();
        let mut derived = Vec::new();
        let places: Vec<Place> = ask
            .columns
            .iter()
            .map(|column| {
                let name = column.name();
                if segment.respells(column) && !footer.empty.contains(&name) {
                    derived.push(column.clone());
                    Place::Derived(derived.len() - 1)
                } else if file_schema.column_with_name(&name).is_some() {
                    Place::Read(name)
                } else if segment.lacks(column) {
                    derived.push(column.clone());
                    Place::Derived(derived.len() - 1)
                } else {
                    Place::Null
                }
            })
            .collect();
        let mut names: Vec<String> = places
            .iter()
            .filter_map(|place| match place {
                Place::Read(name) => Some(name.clone()),
                _ => None,
            })
            .collect();
        if !derived.is_empty() {
            names.extend(DERIVED_FROM.iter().map(Column::name));
        }
        let mask = ProjectionMask::columns(
            footer.plain.parquet_schema(),
            names.iter().map(String::as_str),
        );
        Ok(Self {
            places,
            derived,
            mask,
            schema: columns::schema(&ask.columns, ask.texts),
            ask: ask.clone(),
        })
    }

    /// Brings what was read into the shape asked for.
    fn shape(&self, read: &RecordBatch) -> Result<RecordBatch> {
        let column = |name: &str| {
            read.column_by_name(name)
                .cloned()
                .ok_or_else(|| Error::Internal(format!("column {name} was not read")))
        };
        let derived = if self.derived.is_empty() {
            Vec::new()
        } else {
            self.derive(&column)?
        };
        let fields = self.schema.fields();
        let arrays: Result<Vec<ArrayRef>> = self
            .places
            .iter()
            .zip(fields)
            .map(|(place, field)| match place {
                Place::Read(name) => column(name),
                Place::Derived(index) => Ok(Arc::clone(&derived[*index])),
                Place::Null => Ok(new_null_array(field.data_type(), read.num_rows())),
            })
            .collect();
        RecordBatch::try_new(Arc::clone(&self.schema), arrays?)
            .map_err(|error| Error::Internal(format!("a segment's columns differ: {error}")))
    }

    fn derive(&self, column: &impl Fn(&str) -> Result<ArrayRef>) -> Result<Vec<ArrayRef>> {
        let [sequence, event_type, conflict_with, data] = DERIVED_FROM.map(|from| from.name());
        let (sequence, event_type) = (column(&sequence)?, column(&event_type)?);
        let (conflict_with, data) = (column(&conflict_with)?, column(&data)?);
        let stored = Stored {
            sequence: sequence.as_primitive::<UInt64Type>().values(),
            event_type: Strings::of(&event_type),
            conflict_with: &conflict_with,
            data: Strings::of(&data),
        };
        columns::derive(&self.derived, self.ask.texts, &stored)
    }
}

/// What derived columns are folded from.
const DERIVED_FROM: [Column; 4] = [
    Column::Sequence,
    Column::EventType,
    Column::ConflictWith,
    Column::Data,
];

impl Segment {
    /// Whether a row may have a value in the column, written or folded from data.
    pub(crate) fn may_hold(&self, column: &Column) -> Result<bool> {
        let (footer, name) = (self.footer()?, column.name());
        let is_written = footer.plain.schema().column_with_name(&name).is_some();
        Ok(!footer.empty.contains(&name) && (is_written || self.lacks(column)))
    }

    /// Whether its dimensions are stored as meters of a rule for numbers show them.
    pub(crate) fn shows_dimensions(&self, numbers: NumberRule) -> bool {
        numbers == NumberRule::Spelling || self.entry.exponents == Some(false)
    }

    /// Whether the file may spell values of the column otherwise than is asked.
    fn respells(&self, column: &Column) -> bool {
        let is_sent = matches!(column, Column::SentDimension(_));
        is_sent && !self.shows_dimensions(NumberRule::Value)
    }

    /// Whether a column that the file does not have must be folded from data.
    ///
    /// A column that was known when the file was written is left out only when it holds nothing.
    fn lacks(&self, column: &Column) -> bool {
        let layout = &self.entry.layout;
        match column {
            Column::Reading(rule) => {
                let key = rule.key();
                self.entry.event_types.contains(&rule.event_type)
                    && layout.rules.iter().all(|known| known.key() != key)
            }
            Column::Path(path) => !layout.paths.contains(path),
            Column::PathValue(path) => !layout.values.contains(path),
            _ => false,
        }
    }
}

/// Batches of a segment, with exactly the columns asked for.
#[derive(Debug)]
pub(crate) struct SegmentRows {
    segment: Arc<Segment>,
    plan: Plan,
    groups: VecDeque<usize>,
    current: Option<Opened>,
}

struct Opened {
    file: CheckedFile,
    reader: ParquetRecordBatchReader,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Opened")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl SegmentRows {
    fn open(&self, group: usize, selection: Option<RowSelection>) -> Result<Opened> {
        let footer = self.segment.footer()?;
        let file = footer.file.again();
        let metadata = match self.plan.ask.texts {
            Texts::Plain => footer.plain.clone(),
            Texts::Coded => footer.coded.clone(),
        };
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), metadata)
                .with_projection(self.plan.mask.clone())
                .with_batch_size(self.plan.ask.batch_rows)
                .with_row_groups(vec![group]);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let reader = builder.build().map_err(|error| file.error(error))?;
        Ok(Opened { file, reader })
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(opened) = &mut self.current {
                if let Some(read) = opened.reader.next() {
                    let read = read.map_err(|error| opened.file.error(error))?;
                    return self.plan.shape(&read).map(Some);
                }
                self.current = None;
            }
            let Some(group) = self.groups.pop_front() else {
                return Ok(None);
            };
            self.current = Some(self.open(group, None)?);
        }
    }
}

impl Iterator for SegmentRows {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

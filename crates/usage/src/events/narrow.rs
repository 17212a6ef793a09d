//! Which events a list is narrowed to.

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{RecordBatch, TimestampNanosecondArray};
use domain::Timestamp;

use crate::columns::{Column, KEY_COLUMNS, Strings};
use crate::query::{EventText, EventsQuery};
use crate::row::instant;

/// Whether an event with these texts and instants is listed.
pub(super) fn lists<'t>(
    query: &EventsQuery,
    text: impl Fn(EventText) -> &'t str,
    time: Timestamp,
    received: impl Fn() -> Timestamp,
) -> bool {
    let mut texts = query.texts.iter();
    texts.all(|(name, condition)| condition.holds(Some(text(*name))))
        && query
            .time
            .as_ref()
            .is_none_or(|condition| condition.holds(time))
        && (query.received.as_ref()).is_none_or(|condition| condition.holds(received()))
}

/// The columns that must be read to find the events of a query.
pub(super) fn columns(query: &EventsQuery) -> Vec<Column> {
    let mut columns = KEY_COLUMNS.to_vec();
    columns.extend(further(query));
    columns
}

/// Those after the columns of every read.
fn further(query: &EventsQuery) -> Vec<Column> {
    let texts = query.texts.iter().filter_map(|(text, _)| column(*text));
    let mut columns = Vec::new();
    for column in texts {
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    columns.extend(query.received.as_ref().map(|_| Column::Received));
    columns.extend(query.with_error.map(|_| Column::Data));
    columns
}

/// The column of a text; the type is among those of every read.
fn column(text: EventText) -> Option<Column> {
    match text {
        EventText::Id => Some(Column::Id),
        EventText::Source => Some(Column::Source),
        EventText::Subject => Some(Column::Subject),
        EventText::Type => None,
    }
}

/// A batch of [`columns`].
pub(super) struct View<'b> {
    query: &'b EventsQuery,
    id: Option<Strings<'b>>,
    source: Option<Strings<'b>>,
    subject: Option<Strings<'b>>,
    received: Option<&'b TimestampNanosecondArray>,
    data: Option<Strings<'b>>,
}

impl<'b> View<'b> {
    pub(super) fn of(batch: &'b RecordBatch, query: &'b EventsQuery) -> Self {
        let further = further(query);
        let found = |wanted: &Column| {
            let place = further.iter().position(|column| column == wanted)?;
            Some(batch.column(KEY_COLUMNS.len() + place))
        };
        let texts = |wanted| found(wanted).map(Strings::of);
        let received = found(&Column::Received);
        Self {
            query,
            id: texts(&Column::Id),
            source: texts(&Column::Source),
            subject: texts(&Column::Subject),
            received: received.map(AsArray::as_primitive::<TimestampNanosecondType>),
            data: texts(&Column::Data),
        }
    }

    /// Whether the event of a row is listed.
    pub(super) fn lists(&self, row: usize, event_type: &str, time_ns: i64) -> bool {
        let at = |column: Option<Strings<'b>>| column.map_or("", |column| column.at(row));
        let text = |text| match text {
            EventText::Id => at(self.id),
            EventText::Source => at(self.source),
            EventText::Subject => at(self.subject),
            EventText::Type => event_type,
        };
        let received = || {
            let received = self.received.map_or(0, |received| received.value(row));
            instant(received)
        };
        lists(self.query, text, instant(time_ns), received)
    }

    /// The data of a row, where it is read.
    pub(super) fn data(&self, row: usize) -> Option<&'b str> {
        self.data.and_then(|data| data.get(row))
    }
}

//! A store so plain that it cannot be wrong: a sorted map of rows, read one by one.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::aggregation::{Fold, Value};
use domain::dimension::Dimension;
use domain::json::Json;
use domain::limits::DIMENSION_BYTES_MAX;
use domain::meter::{ReadingRule, validation_error};
use domain::number::NumberRule;
use domain::tree::Scope;
use domain::window::Window;

use crate::query::{
    Batch, EventText, EventsQuery, GroupKey, ScanQuery, StoredEvent, TotalRow, TotalsQuery,
};
use crate::row::{Row, instant};

/// Rows by sequence.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    rows: BTreeMap<u64, Row>,
}

/// One row of a scan, as values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanRow {
    /// Number of the event.
    pub sequence: u64,
    /// Organization the use belongs to.
    pub organization: String,
    /// CloudEvents `type`.
    pub event_type: String,
    /// Event time.
    pub time: Timestamp,
    /// CloudEvents `subject`.
    pub subject: String,
    /// The asked dimensions.
    pub dimensions: Vec<Option<String>>,
    /// The asked readings.
    pub readings: Vec<Option<Value>>,
}

impl ScanRow {
    /// The rows of a batch that answers `query`.
    pub fn all_of(batch: &Batch, query: &ScanQuery) -> Vec<Self> {
        let reading = |row: usize, index: usize, rule: &ReadingRule| {
            if rule.aggregation.reads_text() {
                let text = batch.text(row, index);
                return text.map(|text| Value::Text(text.to_owned()));
            }
            batch.quantity(row, index).map(Value::Number)
        };
        let read = |row: usize| Self {
            sequence: batch.sequence(row),
            organization: batch.organization(row).to_owned(),
            event_type: batch.event_type(row).to_owned(),
            time: batch.time(row),
            subject: batch.subject(row).to_owned(),
            dimensions: (0..query.dimensions.len())
                .map(|index| batch.dimension(row, index).map(str::to_owned))
                .collect(),
            readings: (query.rules.iter().enumerate())
                .map(|(index, rule)| reading(row, index, rule))
                .collect(),
        };
        (0..batch.len()).map(read).collect()
    }
}

impl Oracle {
    /// Keeps rows.
    pub fn insert(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.rows
            .extend(rows.into_iter().map(|row| (row.sequence, row)));
    }

    /// The newest sequence.
    pub fn watermark(&self) -> u64 {
        self.rows.last_key_value().map_or(0, |(last, _)| *last)
    }

    /// What a scan gives.
    pub fn scan(&self, query: &ScanQuery, as_of: u64) -> Vec<ScanRow> {
        let listed = |row: &&Row| {
            let types = &query.event_types;
            types.is_empty() || types.iter().any(|listed| listed == row.texts.event_type())
        };
        let mut rows: Vec<&Row> = self.known(&query.scope, as_of).filter(listed).collect();
        rows.retain(|row| row.conflict_with.is_none());
        rows.sort_by_key(|row| {
            (
                row.organization,
                row.texts.event_type().to_owned(),
                row.time_ns,
                row.sequence,
            )
        });
        rows.into_iter().map(|row| scan_row(row, query)).collect()
    }

    /// What totals give.
    pub fn totals(&self, query: &TotalsQuery, as_of: u64) -> Vec<TotalRow> {
        type Group = (usize, Option<Window>, Vec<Option<String>>);
        let mut folds: BTreeMap<Group, (Fold, Timestamp, Timestamp)> = BTreeMap::new();
        let numbers = query.numbers();
        for row in self.known(&query.scope, as_of) {
            let data = json(row);
            let passes = query.filters.iter().all(|filter| {
                let found = key(&filter.key, row, &data, numbers);
                filter.values.holds(found.as_deref())
            });
            if row.conflict_with.is_some() || !passes {
                continue;
            }
            let window = query.windows.as_ref();
            let window = window.map(|windows| windows.around(row.time()));
            let keys = query.group_by.iter();
            let keys: Vec<Option<String>> = keys.map(|by| key(by, row, &data, numbers)).collect();
            for (index, meter) in query.meters.iter().enumerate() {
                let Ok(Some(value)) = meter.rule.read(row.texts.event_type(), &data) else {
                    continue;
                };
                if !meter.valid.contains(row.time()) {
                    continue;
                }
                let fold = folds.entry((index, window, keys.clone()));
                let new = || (Fold::new(meter.rule.aggregation), row.time(), row.time());
                let (fold, first, last) = fold.or_insert_with(new);
                (*first, *last) = ((*first).min(row.time()), (*last).max(row.time()));
                match value {
                    Value::Number(number) => fold.add(number, row.time(), row.sequence),
                    Value::Text(text) => fold.add_text(&text),
                }
            }
        }
        let total = |((meter, window, keys), (fold, first, last))| TotalRow {
            meter,
            window,
            keys,
            fold,
            span: (query.spans && query.windows.is_none()).then_some((first, last)),
        };
        folds.into_iter().map(total).collect()
    }

    /// What a list of events gives, but for the wording of errors.
    pub fn events(&self, query: &EventsQuery, as_of: u64) -> Vec<StoredEvent> {
        let mut rows: Vec<&Row> = self.known(&query.scope, as_of).collect();
        rows.retain(|row| {
            let after = |(time, sequence)| (row.time(), row.sequence) < (time, sequence);
            let received = || instant(row.received_ns);
            query.range.contains(row.time())
                && query
                    .texts
                    .iter()
                    .all(|(text, condition)| condition.holds(Some(text_of(*text, row))))
                && query
                    .time
                    .as_ref()
                    .is_none_or(|time| time.holds(row.time()))
                && query
                    .received
                    .as_ref()
                    .is_none_or(|time| time.holds(received()))
                && query.after.is_none_or(after)
        });
        rows.sort_by_key(|row| std::cmp::Reverse((row.time_ns, row.sequence)));
        let events = rows.into_iter().map(|row| event(row, query));
        let listed = |event: &StoredEvent| {
            let failed = event.validation_error.is_some();
            query.with_error.is_none_or(|wanted| wanted == failed)
        };
        events.filter(listed).take(query.limit).collect()
    }

    fn known<'o>(&'o self, scope: &'o Scope, as_of: u64) -> impl Iterator<Item = &'o Row> {
        let known = self.rows.range(..=as_of).map(|(_, row)| row);
        known.filter(|row| scope.contains(row.organization, row.time()))
    }
}

fn json(row: &Row) -> Json<'_> {
    let parsed = row.texts.data().map(Json::parse);
    parsed.map_or(Json::Null, |parsed| parsed.unwrap_or(Json::Null))
}

fn scan_row(row: &Row, query: &ScanQuery) -> ScanRow {
    let (data, numbers) = (json(row), query.numbers());
    let value = |dimension: &Dimension| Some(dimension.value(&data, numbers)?.into_owned());
    let read = |rule: &ReadingRule| rule.read(row.texts.event_type(), &data).unwrap_or_default();
    ScanRow {
        sequence: row.sequence,
        organization: row.organization.to_string(),
        event_type: row.texts.event_type().to_owned(),
        time: row.time(),
        subject: row.texts.subject().to_owned(),
        dimensions: query.dimensions.iter().map(value).collect(),
        readings: query.rules.iter().map(read).collect(),
    }
}

fn key(key: &GroupKey, row: &Row, data: &Json<'_>, numbers: NumberRule) -> Option<String> {
    match key {
        GroupKey::Organization => Some(row.organization.to_string()),
        GroupKey::Subject => Some(row.texts.subject().to_owned()),
        GroupKey::Dimension(dimension) => Some(dimension.value(data, numbers)?.into_owned()),
        GroupKey::Path(path) => {
            let text = path.find(data).and_then(Json::scalar)?.counted(numbers);
            (text.len() <= DIMENSION_BYTES_MAX).then(|| text.into_owned())
        }
    }
}

fn text_of(text: EventText, row: &Row) -> &str {
    let texts = row.texts.parts();
    match text {
        EventText::Id => texts.id,
        EventText::Source => texts.source,
        EventText::Subject => texts.subject,
        EventText::Type => texts.event_type,
    }
}

fn event(row: &Row, query: &EventsQuery) -> StoredEvent {
    let error = match row.conflict_with {
        Some(_) => Some("conflicts with an earlier event of the same source and id".into()),
        None => validation_error(&query.meters, row.texts.event_type(), &json(row)),
    };
    let texts = row.texts.parts();
    StoredEvent {
        sequence: row.sequence,
        organization: row.organization,
        event_type: texts.event_type.to_owned(),
        subject: texts.subject.to_owned(),
        source: texts.source.to_owned(),
        id: texts.id.to_owned(),
        time: row.time(),
        received: instant(row.received_ns),
        data: texts.data.map(Into::into),
        validation_error: error,
    }
}

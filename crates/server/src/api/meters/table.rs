//! The rows of a meter query, as JSON and as CSV.

use std::collections::{BTreeMap, HashMap};

use axum::http::header;
use axum::response::{IntoResponse, Response};
use domain::Timestamp;
use domain::aggregation::Fold;
use domain::export::make_safe;
use domain::quantity::Total;
use domain::range::TimeRange;
use domain::window::{Window, WindowSize, Windows};
use jiff::tz::TimeZone;
use serde::Serialize;
use usage::query::TotalRow;
use utoipa::ToSchema;

use super::asked::WindowSizeOut;
use crate::error::{ApiError, ApiResult};

/// What a query asked for.
#[derive(Debug)]
pub(super) struct Asked {
    /// The range of time.
    pub(super) range: TimeRange,
    /// The size of the windows, where there are any.
    pub(super) window_size: Option<WindowSize>,
    /// Names of the groups, in order.
    pub(super) names: Vec<String>,
    /// What a single row says where nothing was read.
    pub(super) empty: Option<Fold>,
}

/// Totals of a meter.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeterTable {
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Timestamp>,
    /// The size of the windows, where they were asked for.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    window_size: Option<WindowSizeOut>,
    /// Rows by time, then by group.
    data: Vec<TableRow>,
    #[serde(skip)]
    names: Vec<String>,
}

/// One total.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TableRow {
    /// The number with all its digits.
    #[schema(value_type = f64)]
    value: Total,
    /// Start of the window; without windows `from`, else the start of the first reading's minute.
    #[schema(value_type = Option<String>)]
    window_start: Option<Timestamp>,
    /// End of the window; without windows `to`, else the end of the last reading's minute.
    #[schema(value_type = Option<String>)]
    window_end: Option<Timestamp>,
    subject: Option<String>,
    group_by: BTreeMap<String, Option<String>>,
}

/// A window and the values of its groups.
type Place = (Option<Window>, Vec<Option<String>>);

impl MeterTable {
    /// Joins the versions of a meter and drops groups without a number.
    pub(super) fn new(totals: Vec<TotalRow>, asked: &Asked) -> Self {
        let mut totals = join_versions(totals);
        if let Some(empty) = &asked.empty
            && totals.is_empty()
        {
            totals.insert((None, Vec::new()), (empty.clone(), None));
        }
        let mut data: Vec<TableRow> = totals
            .into_iter()
            .filter_map(|((window, keys), (fold, span))| {
                let value = fold.value()?;
                let bounds = bounds(window, span, asked.range);
                Some(TableRow::new(value, bounds, keys, asked))
            })
            .collect();
        data.sort_by(|left, right| left.place().cmp(&right.place()));
        Self {
            from: asked.range.start,
            to: asked.range.end,
            window_size: asked.window_size.map(WindowSizeOut::from),
            data,
            names: asked.names.clone(),
        }
    }

    /// The rows as CSV; with `is_safe` no text in it is one that spreadsheets run.
    pub(super) fn csv(&self, is_safe: bool) -> ApiResult<Response> {
        let text = |mut text: String| {
            if is_safe {
                make_safe(&mut text);
            }
            text
        };
        let failed = |error: csv::Error| ApiError::internal(error);
        let mut writer = csv::Writer::from_writer(Vec::new());
        let fixed = ["window_start", "window_end"].map(str::to_owned);
        let names = self.names.iter().cloned().map(text);
        let names = fixed.into_iter().chain(names);
        let value = "value".to_owned();
        writer.write_record(names.chain([value])).map_err(failed)?;
        for row in &self.data {
            writer
                .write_record(row.cells(&self.names, text))
                .map_err(failed)?;
        }
        let bytes = writer
            .into_inner()
            .map_err(|error| failed(error.into_error().into()))?;
        Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], bytes).into_response())
    }
}

/// Event times of the first and the last reading.
type Span = Option<(Timestamp, Timestamp)>;

/// Start and end that a row shows.
fn bounds(
    window: Option<Window>,
    span: Span,
    asked: TimeRange,
) -> (Option<Timestamp>, Option<Timestamp>) {
    if let Some(window) = window {
        return (Some(window.start), Some(window.end));
    }
    let minutes = Windows {
        size: WindowSize::Minute,
        zone: TimeZone::UTC,
    };
    let first = span.map(|(first, _)| minutes.around(first).start);
    let last = span.map(|(_, last)| minutes.around(last).end);
    (asked.start.or(first), asked.end.or(last))
}

fn join_spans(left: Span, right: Span) -> Span {
    match (left, right) {
        (Some((first, last)), Some((start, end))) => Some((first.min(start), last.max(end))),
        (left, right) => left.or(right),
    }
}

fn join_versions(totals: Vec<TotalRow>) -> HashMap<Place, (Fold, Span)> {
    let mut joined: HashMap<Place, (Fold, Span)> = HashMap::new();
    for row in totals {
        let place = (row.window, row.keys);
        match joined.get_mut(&place) {
            Some((fold, span)) => {
                fold.merge(row.fold);
                *span = join_spans(*span, row.span);
            }
            None => {
                joined.insert(place, (row.fold, row.span));
            }
        }
    }
    joined
}

impl TableRow {
    fn new(
        value: Total,
        (start, end): (Option<Timestamp>, Option<Timestamp>),
        keys: Vec<Option<String>>,
        asked: &Asked,
    ) -> Self {
        let mut group_by: BTreeMap<_, _> = asked.names.iter().cloned().zip(keys).collect();
        Self {
            value,
            window_start: start,
            window_end: end,
            subject: group_by.remove("subject").flatten(),
            group_by,
        }
    }

    fn place(
        &self,
    ) -> (
        Option<Timestamp>,
        Option<&str>,
        &BTreeMap<String, Option<String>>,
    ) {
        (self.window_start, self.subject.as_deref(), &self.group_by)
    }

    fn cells(&self, names: &[String], text: impl Fn(String) -> String) -> Vec<String> {
        let instant = |at: Option<Timestamp>| at.map_or(String::new(), |at| at.to_string());
        let group = |name: &String| {
            let value = match name.as_str() {
                "subject" => self.subject.clone(),
                name => self.group_by.get(name).cloned().flatten(),
            };
            text(value.unwrap_or_default())
        };
        let times = [instant(self.window_start), instant(self.window_end)];
        let groups = names.iter().map(group);
        times
            .into_iter()
            .chain(groups)
            .chain([self.value.to_string()])
            .collect()
    }
}

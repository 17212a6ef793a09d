//! The rows of a meter query, as JSON and as CSV.

use std::collections::{BTreeMap, HashMap};

use axum::http::header;
use axum::response::{IntoResponse, Response};
use domain::Timestamp;
use domain::aggregation::Fold;
use domain::export::make_safe;
use domain::quantity::Total;
use domain::range::TimeRange;
use domain::window::Window;
use serde::Serialize;
use usage::query::TotalRow;
use utoipa::ToSchema;

use crate::error::{ApiError, ApiResult};

/// What a query asked for.
#[derive(Debug)]
pub(super) struct Asked {
    /// The range of time.
    pub(super) range: TimeRange,
    /// Names of the groups, in order.
    pub(super) names: Vec<String>,
    /// What a single row says where nothing was read.
    pub(super) empty: Option<Fold>,
}

/// Totals of a meter.
#[derive(Debug, Serialize, ToSchema)]
pub struct MeterTable {
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Timestamp>,
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
    #[schema(value_type = Option<String>)]
    window_start: Option<Timestamp>,
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
            totals.insert((None, Vec::new()), empty.clone());
        }
        let mut data: Vec<TableRow> = totals
            .into_iter()
            .filter_map(|((window, keys), fold)| {
                let value = fold.value()?;
                Some(TableRow::new(value, window, keys, asked))
            })
            .collect();
        data.sort_by(|left, right| left.place().cmp(&right.place()));
        Self {
            from: asked.range.start,
            to: asked.range.end,
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

fn join_versions(totals: Vec<TotalRow>) -> HashMap<Place, Fold> {
    let mut joined: HashMap<Place, Fold> = HashMap::new();
    for row in totals {
        let place = (row.window, row.keys);
        match joined.get_mut(&place) {
            Some(fold) => fold.merge(row.fold),
            None => {
                joined.insert(place, row.fold);
            }
        }
    }
    joined
}

impl TableRow {
    fn new(value: Total, window: Option<Window>, keys: Vec<Option<String>>, asked: &Asked) -> Self {
        let mut group_by: BTreeMap<_, _> = asked.names.iter().cloned().zip(keys).collect();
        Self {
            value,
            window_start: window.map_or(asked.range.start, |window| Some(window.start)),
            window_end: window.map_or(asked.range.end, |window| Some(window.end)),
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

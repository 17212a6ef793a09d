//! Rows and queries the cases are made of.

use domain::Timestamp;
use domain::aggregation::Aggregation;
use domain::event::{EventTexts, TextParts};
use domain::ids::{MeterId, OrganizationId};
use domain::meter::{Meter, ReadingRule, Scalar};
use domain::number::NumberRule;
use domain::range::TimeRange;
use domain::tree::{Edge, Scope};
use futures::TryStreamExt;

use crate::query::{ScanQuery, TotalsQuery};
use crate::row::{Row, nanoseconds};
use crate::sim::oracle::{Oracle, ScanRow};
use crate::traits::{SequencedBatch, UsageStore};

/// The event type of every row unless a case says otherwise.
pub(super) const EVENT_TYPE: &str = "job.run";

/// An organization that only the case with this number uses.
pub(super) fn organization(case: u8, number: u8) -> OrganizationId {
    OrganizationId::from_random(u128::from(case) << 64 | u128::from(number))
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().expect("cases spell instants rightly")
}

/// A row without a number yet.
pub(super) fn row(organization: OrganizationId, time: &str, data: &str) -> Row {
    let time_ns = nanoseconds(at(time));
    let texts = TextParts {
        event_type: EVENT_TYPE,
        subject: "subject",
        source: "suite",
        id: "",
        data: Some(data),
    };
    Row {
        sequence: 0,
        namespace: organization,
        organization,
        texts: texts.into(),
        time_ns,
        received_ns: time_ns,
        conflict_with: None,
    }
}

/// Numbers rows after the newest and inserts them; gives them back with their numbers.
pub(super) async fn insert(store: &dyn UsageStore, mut rows: Vec<Row>) -> Vec<Row> {
    let watermark = store.watermark().await.expect("a watermark");
    for (row, sequence) in rows.iter_mut().zip(watermark + 1..) {
        row.sequence = sequence;
        let id = format!("event {sequence}");
        row.texts = EventTexts::from(TextParts {
            id: &id,
            ..row.texts.parts()
        });
    }
    let batch = SequencedBatch { rows: rows.clone() };
    store.insert(batch).await.expect("rows are taken");
    rows
}

/// A rule that reads `$.n`; COUNT reads nothing.
pub(super) fn rule(aggregation: Aggregation) -> ReadingRule {
    let path = "$.n".parse().expect("a path");
    ReadingRule {
        event_type: EVENT_TYPE.into(),
        filters: Vec::new(),
        value_property: (aggregation != Aggregation::Count).then_some(path),
        aggregation,
        numbers: NumberRule::Value,
    }
}

pub(super) fn meter(aggregation: Aggregation) -> Meter {
    Meter {
        id: MeterId::from_random(1),
        slug: "suite".into(),
        name: "Suite".into(),
        description: String::new(),
        service: String::new(),
        category: String::new(),
        feature: "suite".into(),
        unit: "runs".into(),
        rule: rule(aggregation),
        group_by: std::collections::BTreeMap::new(),
        scalar: Scalar {
            name: "RUNS".into(),
            factor: 1,
            metric_category: String::new(),
        },
        job_level: None,
        zero_rows: false,
        valid: TimeRange::ALWAYS,
    }
}

/// Organizations right under `parent` while the ranges say so.
pub(super) fn under(parent: OrganizationId, below: &[(OrganizationId, TimeRange)]) -> Scope {
    let edge = |(child, valid): &(OrganizationId, TimeRange)| Edge {
        child: *child,
        parent,
        valid: *valid,
    };
    Scope::under(parent, &below.iter().map(edge).collect::<Vec<_>>())
}

pub(super) fn scan_of(scope: Scope) -> ScanQuery {
    ScanQuery {
        scope,
        event_types: Vec::new(),
        dimensions: Vec::new(),
        rules: vec![rule(Aggregation::Sum)],
    }
}

pub(super) fn totals_of(scope: Scope, meters: Vec<Meter>) -> TotalsQuery {
    TotalsQuery {
        scope,
        meters,
        windows: None,
        group_by: Vec::new(),
        filters: Vec::new(),
        spans: false,
    }
}

pub(super) async fn scan(store: &dyn UsageStore, query: &ScanQuery, as_of: u64) -> Vec<ScanRow> {
    let stream = store.scan(query.clone(), as_of).await.expect("a scan");
    let batches: Vec<_> = stream.try_collect().await.expect("every batch");
    let rows = batches
        .iter()
        .flat_map(|batch| ScanRow::all_of(batch, query));
    rows.collect()
}

/// A model that knows just these rows.
pub(super) fn oracle(rows: &[Row]) -> Oracle {
    let mut oracle = Oracle::default();
    oracle.insert(rows.iter().cloned());
    oracle
}

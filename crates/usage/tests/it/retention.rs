//! What retention removed is refused, or left out of lists, never silently missing.

use std::sync::Arc;

use domain::aggregation::Aggregation;
use domain::meter::ReadingRule;
use domain::number::NumberRule;
use domain::range::TimeRange;
use domain::tree::Scope;
use usage::manifest::RetentionFloor;
use usage::query::{EventsQuery, TotalsQuery};
use usage::row::instant;
use usage::snapshot::{Snapshot, TailChunk};
use usage::{Error, events, totals};

use crate::model::usage_row;
use crate::random;

#[test]
fn totals_below_the_floor_are_refused_and_lists_begin_at_it() {
    let rows = [1, 2].map(|sequence| {
        let mut row = usage_row(sequence, 1);
        row.time_ns += i64::try_from(sequence).unwrap();
        row
    });
    let before_ns = rows[1].time_ns;
    let floor = RetentionFloor {
        organization: random::organization(1),
        before_ns,
    };
    let snapshot = Snapshot {
        segments: Vec::new(),
        flushed_through: 0,
        tail: vec![Arc::new(TailChunk::new(rows.to_vec()))],
        watermark: 2,
        retention: vec![floor],
    };
    let rule = ReadingRule {
        event_type: "a".into(),
        filters: Vec::new(),
        value_property: None,
        aggregation: Aggregation::Count,
        numbers: NumberRule::Value,
    };
    let mut query = TotalsQuery {
        scope: Scope::alone(random::organization(1)),
        meters: vec![random::plain_meter(rule)],
        windows: None,
        group_by: Vec::new(),
        filters: Vec::new(),
        spans: false,
    };
    let refused = totals::totals(&snapshot, &query, 2).unwrap_err();
    assert!(matches!(refused, Error::Retired { .. }), "{refused:?}");
    let kept = TimeRange::since(instant(before_ns));
    query.scope = query.scope.within(kept);
    let found = totals::totals(&snapshot, &query, 2).unwrap();
    assert_eq!(found[0].fold.value().unwrap().to_string(), "1");
    let query = EventsQuery {
        scope: Scope::alone(random::organization(1)),
        range: TimeRange::ALWAYS,
        texts: Vec::new(),
        time: None,
        received: None,
        after: None,
        meters: Vec::new(),
        with_error: None,
        limit: 10,
    };
    let listed = events::events(&snapshot, &query, 2).unwrap();
    let listed: Vec<u64> = listed.iter().map(|event| event.sequence).collect();
    assert_eq!(listed, [2]);
}

//! The cases: each a small story with its expected end.

use domain::aggregation::{Aggregation, Value};
use domain::condition::TimeCondition;
use domain::dimension::Dimension;
use domain::event::{EventTexts, TextParts};
use domain::range::TimeRange;
use domain::tree::Scope;
use domain::window::{WindowSize, Windows};
use jiff::tz::TimeZone;

use super::fixture::{
    at, insert, meter, oracle, organization, row, rule, scan, scan_of, totals_of, under,
};
use crate::error::Error;
use crate::query::{EventText, EventsQuery, GroupFilter, GroupKey};
use crate::traits::{SequencedBatch, UsageStore};

pub(super) async fn the_same_batch_again_changes_nothing(store: &dyn UsageStore) {
    let organization = organization(1, 1);
    let rows = insert(
        store,
        vec![row(organization, "2024-01-01T00:00:00Z", r#"{"n":1}"#)],
    )
    .await;
    let watermark = store.watermark().await.expect("a watermark");
    let again = SequencedBatch { rows: rows.clone() };
    store.insert(again).await.expect("a repeated batch is fine");
    assert_eq!(store.watermark().await.expect("a watermark"), watermark);
    let query = scan_of(Scope::alone(organization));
    assert_eq!(scan(store, &query, watermark).await.len(), 1);
}

pub(super) async fn rows_come_by_organization_type_time_and_sequence(store: &dyn UsageStore) {
    let (first, second) = (organization(2, 1), organization(2, 2));
    let mut rows = vec![
        row(second, "2024-01-01T00:00:00Z", "{}"),
        row(first, "2024-01-03T00:00:00Z", "{}"),
        row(first, "2024-01-02T00:00:00Z", "{}"),
        row(first, "2024-01-02T00:00:00Z", "{}"),
        row(first, "2024-01-09T00:00:00Z", "{}"),
    ];
    rows[4].texts = EventTexts::from(TextParts {
        event_type: "a.type.before",
        ..rows[4].texts.parts()
    });
    let rows = insert(store, rows).await;
    let scope = under(first, &[(second, TimeRange::ALWAYS)]);
    let found = scan(store, &scan_of(scope), rows[4].sequence).await;
    let found: Vec<u64> = found.iter().map(|row| row.sequence).collect();
    let expected = [4, 2, 3, 1, 0].map(|index: usize| rows[index].sequence);
    assert_eq!(found, expected);
}

pub(super) async fn an_old_watermark_gives_the_same_rows_for_ever(store: &dyn UsageStore) {
    let organization = organization(3, 1);
    let one = row(organization, "2024-01-02T00:00:00Z", r#"{"n":1}"#);
    let earlier = row(organization, "2024-01-01T00:00:00Z", r#"{"n":2}"#);
    let as_of = insert(store, vec![one]).await[0].sequence;
    let query = scan_of(Scope::alone(organization));
    let before = scan(store, &query, as_of).await;
    insert(store, vec![earlier]).await;
    assert_eq!(scan(store, &query, as_of).await, before);
    assert_eq!(scan(store, &query, as_of + 1).await.len(), 2);
}

pub(super) async fn a_sequence_that_is_not_there_yet_is_refused(store: &dyn UsageStore) {
    let beyond = store.watermark().await.expect("a watermark") + 1;
    let scope = Scope::alone(organization(4, 1));
    let scanned = store.scan(scan_of(scope.clone()), beyond).await;
    assert!(matches!(scanned, Err(Error::BeyondWatermark { .. })));
    let totals = totals_of(scope, vec![meter(Aggregation::Sum)]);
    let totals = store.totals(totals, beyond).await;
    assert!(matches!(totals, Err(Error::BeyondWatermark { .. })));
    let text = totals.expect_err("refused").to_string();
    let numberless = text.bytes().all(|byte| !byte.is_ascii_digit());
    assert!(numberless, "callers see it: {text}");
}

pub(super) async fn a_scope_sees_each_organization_only_while_it_lay_there(store: &dyn UsageStore) {
    let (parent, child, stranger) = (organization(5, 1), organization(5, 2), organization(5, 3));
    let rows = insert(
        store,
        vec![
            row(child, "2023-12-31T23:59:59.999999999Z", "{}"),
            row(child, "2024-01-01T00:00:00Z", "{}"),
            row(child, "2024-01-31T23:59:59.999999999Z", "{}"),
            row(child, "2024-02-01T00:00:00Z", "{}"),
            row(stranger, "2024-01-15T00:00:00Z", "{}"),
            row(parent, "1990-01-01T00:00:00Z", "{}"),
        ],
    )
    .await;
    let january = TimeRange::between(at("2024-01-01T00:00:00Z"), at("2024-02-01T00:00:00Z"));
    let scope = under(parent, &[(child, january)]);
    let found = scan(store, &scan_of(scope), rows[5].sequence).await;
    let found: Vec<u64> = found.iter().map(|row| row.sequence).collect();
    assert_eq!(found, [5, 1, 2].map(|index: usize| rows[index].sequence));
}

pub(super) async fn dimensions_come_as_they_were_sent(store: &dyn UsageStore) {
    let organization = organization(6, 1);
    let data = r#"{"project":"p \"1\"","taskRunId":7,"folder":"","appId":null,"user":true}"#;
    let none = row(organization, "2024-01-02T00:00:00Z", "{}");
    let rows = insert(
        store,
        vec![row(organization, "2024-01-01T00:00:00Z", data), none],
    )
    .await;
    let mut query = scan_of(Scope::alone(organization));
    query.dimensions = vec![
        Dimension::TaskRunId,
        Dimension::Project,
        Dimension::Folder,
        Dimension::AppId,
        Dimension::User,
    ];
    let found = scan(store, &query, rows[1].sequence).await;
    let texts: Vec<Option<&str>> = found[0].dimensions.iter().map(Option::as_deref).collect();
    let expected = [Some("7"), Some("p \"1\""), None, None, Some("true")];
    assert_eq!(texts, expected);
    assert!(found[1].dimensions.iter().all(Option::is_none));
}

pub(super) async fn readings_are_exact_and_conflicts_have_none(store: &dyn UsageStore) {
    let organization = organization(7, 1);
    let time = "2024-01-01T00:00:00Z";
    let texts = [
        r#"{"n":0.1}"#,
        r#"{"n":"-999999999999999999999999.999999999999"}"#,
        r#"{"n":"NaN"}"#,
        "{}",
    ];
    let mut rows: Vec<_> = texts
        .iter()
        .map(|data| row(organization, time, data))
        .collect();
    let mut conflict = row(organization, time, r#"{"n":5}"#);
    conflict.conflict_with = Some(1);
    rows.push(conflict);
    let rows = insert(store, rows).await;
    let query = scan_of(Scope::alone(organization));
    let found = scan(store, &query, rows[4].sequence).await;
    let spell = |value: &Option<Value>| match value {
        Some(Value::Number(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    let found: Vec<String> = found.iter().map(|row| spell(&row.readings[0])).collect();
    let large = "-999999999999999999999999.999999999999";
    assert_eq!(found, ["0.1", large, "None", "None"]);
}

pub(super) async fn a_rule_declared_later_reads_old_rows(store: &dyn UsageStore) {
    let organization = organization(8, 1);
    let data = r#"{"n":1,"late":{"value":"x"}}"#;
    let rows = insert(store, vec![row(organization, "2024-01-01T00:00:00Z", data)]).await;
    let mut query = scan_of(Scope::alone(organization));
    let mut late = rule(Aggregation::UniqueCount);
    late.value_property = Some("$.late.value".parse().expect("a path"));
    query.rules = vec![late, rule(Aggregation::Count)];
    let found = scan(store, &query, rows[0].sequence).await;
    let one = Value::Number(domain::quantity::Quantity::ONE);
    let expected = vec![Some(Value::Text("x".into())), Some(one)];
    assert_eq!(found[0].readings, expected);
}

pub(super) async fn windows_follow_the_clock_across_its_changes(store: &dyn UsageStore) {
    let organization = organization(9, 1);
    let times = [
        "2013-03-10T04:59:59Z",
        "2013-03-10T05:00:00Z",
        "2013-03-11T03:59:59Z",
        "2013-03-11T04:00:00Z",
    ];
    let rows = times
        .iter()
        .map(|time| row(organization, time, r#"{"n":1}"#));
    let rows = insert(store, rows.collect()).await;
    let mut query = totals_of(Scope::alone(organization), vec![meter(Aggregation::Sum)]);
    query.windows = Some(Windows {
        size: WindowSize::Day,
        zone: TimeZone::get("America/New_York").expect("the zone is built in"),
    });
    let totals = store.totals(query, rows[3].sequence).await;
    let totals = totals.expect("totals");
    let spelled: Vec<String> = totals
        .iter()
        .filter_map(|total| Some(format!("{} {}", total.window?.start, total.fold.value()?)))
        .collect();
    let expected = [
        "2013-03-09T05:00:00Z 1",
        "2013-03-10T05:00:00Z 2",
        "2013-03-11T04:00:00Z 1",
    ];
    assert_eq!(spelled, expected);
}

pub(super) async fn totals_equal_the_fold_of_a_scan(store: &dyn UsageStore) {
    let (parent, child) = (organization(10, 1), organization(10, 2));
    let mut rows = Vec::new();
    for number in 0..200_u32 {
        let owner = if number % 3 == 0 { child } else { parent };
        let (hour, project) = (number % 24, number % 5);
        let time = format!("2024-01-0{}T{hour:02}:30:00Z", 1 + number % 7);
        let data = format!(r#"{{"n":"{number}.{hour}","project":"p{project}"}}"#);
        rows.push(row(owner, &time, &data));
    }
    let rows = insert(store, rows).await;
    let as_of = rows[149].sequence;
    let all = [
        Aggregation::Sum,
        Aggregation::Count,
        Aggregation::Min,
        Aggregation::Max,
        Aggregation::Avg,
        Aggregation::UniqueCount,
        Aggregation::Latest,
    ];
    let range = TimeRange::since(at("2024-01-03T12:30:00Z"));
    let scope = under(parent, &[(child, range)]);
    let mut query = totals_of(scope, all.map(meter).to_vec());
    let plain = store.totals(query.clone(), as_of).await.expect("totals");
    assert_eq!(plain, oracle(&rows).totals(&query, as_of));
    query.group_by = vec![
        GroupKey::Organization,
        GroupKey::Dimension(Dimension::Project),
    ];
    query.filters = vec![GroupFilter {
        key: GroupKey::Path("$.project".parse().expect("a path")),
        values: vec!["p1".into(), "p2".into()].into(),
    }];
    query.spans = true;
    let grouped = store.totals(query.clone(), as_of).await.expect("totals");
    assert_eq!(grouped, oracle(&rows).totals(&query, as_of));
    assert_eq!(grouped.len(), 4 * all.len());
}

pub(super) async fn events_come_newest_first_with_their_errors(store: &dyn UsageStore) {
    let organization = organization(11, 1);
    let mut rows = vec![
        row(organization, "2024-01-01T00:00:00Z", r#"{"n":1}"#),
        row(organization, "2024-01-03T00:00:00Z", r#"{"n":"x"}"#),
        row(organization, "2024-01-02T00:00:00Z", r#"{"n":2}"#),
        row(organization, "2024-01-02T00:00:00Z", r#"{"n":3}"#),
    ];
    rows[2].conflict_with = Some(1);
    let rows = insert(store, rows).await;
    let mut query = EventsQuery {
        scope: Scope::alone(organization),
        range: TimeRange::ALWAYS,
        texts: Vec::new(),
        time: None,
        received: None,
        after: None,
        meters: vec![meter(Aggregation::Sum)],
        with_error: None,
        limit: 3,
    };
    let as_of = rows[3].sequence;
    let listed = async |query: &EventsQuery| {
        let events = store.events(query.clone(), as_of).await.expect("events");
        let place = |sequence: u64| rows.iter().position(|row| row.sequence == sequence);
        let spell = |event: &crate::query::StoredEvent| {
            (place(event.sequence), event.validation_error.is_some())
        };
        events.iter().map(spell).collect::<Vec<_>>()
    };
    let newest = [(Some(1), true), (Some(3), false), (Some(2), true)];
    assert_eq!(listed(&query).await, newest);
    query.after = Some((rows[3].time(), rows[3].sequence));
    assert_eq!(listed(&query).await, [(Some(2), true), (Some(0), false)]);
    query.after = None;
    query.with_error = Some(false);
    assert_eq!(listed(&query).await, [(Some(3), false), (Some(0), false)]);
    query.time = Some(TimeCondition::Less(rows[3].time()));
    assert_eq!(listed(&query).await, [(Some(0), false)]);
    let text = |row: usize| rows[row].texts.parts().id.to_owned();
    query.texts = vec![(EventText::Id, vec![text(1)].into())];
    assert_eq!(listed(&query).await, []);
}

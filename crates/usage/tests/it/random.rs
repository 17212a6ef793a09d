//! Random rows, layouts and queries for property tests.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::aggregation::Aggregation;
use domain::condition::{Pattern, TextCondition, TimeCondition};
use domain::dimension::Dimension;
use domain::event::{EventTexts, TextParts};
use domain::ids::{MeterId, OrganizationId};
use domain::meter::{Filter, Meter, ReadingRule, Scalar};
use domain::number::NumberRule;
use domain::range::TimeRange;
use domain::tree::{Edge, Scope};
use domain::window::{WindowSize, Windows};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use usage::manifest::Layout;
use usage::query::{EventText, EventsQuery, GroupFilter, GroupKey, ScanQuery, TotalsQuery};
use usage::row::Row;

const TYPES: [&str; 3] = ["a", "b", "c"];

/// 2013-11-01, two days before clocks change in New York.
const START_NS: i64 = 1_383_264_000_000_000_000;
const HOUR_NS: i64 = 3_600_000_000_000;

pub(crate) fn organization(number: u8) -> OrganizationId {
    OrganizationId::from_random(u128::from(number))
}

fn time_ns() -> impl Strategy<Value = i64> {
    let offset = prop_oneof![Just(0), Just(1), Just(HOUR_NS - 1), 0..HOUR_NS];
    (0..96_i64, offset).prop_map(|(hour, offset)| START_NS + hour * HOUR_NS + offset)
}

fn instant() -> impl Strategy<Value = Timestamp> {
    time_ns().prop_map(usage::row::instant)
}

fn range() -> impl Strategy<Value = TimeRange> {
    (prop::option::of(instant()), prop::option::of(instant()))
        .prop_map(|(start, end)| TimeRange { start, end })
}

fn data() -> impl Strategy<Value = Option<Box<str>>> {
    let number = prop_oneof![
        (0..50_i32).prop_map(|number| format!("\"n\":{number}.5,")),
        (-3..3_i32).prop_map(|number| format!("\"n\":\"{number}e20\",")),
        Just("\"n\":\"NaN\",".to_owned()),
        select(vec!["1e0", "1.0", "1E+0", "\"1\"", "1", "0.10", "1e-1"])
            .prop_map(|number| format!("\"n\":{number},")),
        Just("\"n\":\"999999999999999999999999\",".to_owned()),
        Just(String::new()),
    ];
    let project = prop::option::of(select(vec!["p1", "p2", "p \\u00e9\\n", ""]));
    let other = prop::option::of(select(vec![
        "\"app\\u0049d\":\"x\",",
        "\"folder\":7,",
        "\"folder\":7e0,\"project\":1E-1,",
        "\"folder\":\"7e0\",\"project\":0.1,",
        "\"environment\":\"e\",\"billingTag\":\"t\",",
        "\"asset\":null,",
    ]));
    let text = (number, project, other, 0..6_u8).prop_map(|(number, project, other, kind)| {
        let project = project.map_or(String::new(), |name| format!("\"project\":\"{name}\","));
        let other = other.unwrap_or_default();
        let kind = ["0", "1", "1.0", "2", "20e-1", "\"1.0\""][usize::from(kind)];
        format!("{{{number}{project}{other}\"deep\":{{\"kind\":[{kind}]}}}}").into()
    });
    prop_oneof![9 => text.prop_map(Some), 1 => Just(None)]
}

/// Rows with sequences from 1 on.
pub(crate) fn rows(count: usize) -> impl Strategy<Value = Vec<Row>> {
    let row = (
        0..4_u8,
        select(TYPES.to_vec()),
        time_ns(),
        data(),
        0..12_u64,
        0..3_u8,
    );
    let row = row.prop_map(|(owner, event_type, time_ns, data, conflict, subject)| {
        let texts = TextParts {
            event_type,
            subject: &format!("subject {subject}"),
            source: "random",
            id: "",
            data: data.as_deref(),
        };
        Row {
            sequence: 0,
            namespace: organization(0),
            organization: organization(owner),
            texts: texts.into(),
            time_ns,
            received_ns: START_NS,
            conflict_with: (conflict == 0).then_some(1),
        }
    });
    prop::collection::vec(row, 1..count).prop_map(|mut rows| {
        for (row, sequence) in rows.iter_mut().zip(1..) {
            row.sequence = sequence;
            row.texts = EventTexts::from(TextParts {
                id: &format!("event {sequence}"),
                ..row.texts.parts()
            });
        }
        rows
    })
}

fn rule() -> impl Strategy<Value = ReadingRule> {
    let aggregation = select(vec![
        Aggregation::Sum,
        Aggregation::Count,
        Aggregation::Min,
        Aggregation::Max,
        Aggregation::Avg,
        Aggregation::UniqueCount,
        Aggregation::Latest,
    ]);
    let path = select(vec!["$.n", "$.project"]);
    let numbers = select(vec![NumberRule::Spelling, NumberRule::Value]);
    (
        select(TYPES.to_vec()),
        aggregation,
        any::<bool>(),
        path,
        numbers,
    )
        .prop_map(
            |(event_type, aggregation, filtered, path, numbers)| ReadingRule {
                event_type: event_type.into(),
                filters: Vec::from_iter(filtered.then(|| Filter {
                    path: "$.deep.kind[0]".parse().unwrap(),
                    values: vec!["1".into(), "2".into()],
                })),
                value_property: (aggregation != Aggregation::Count).then(|| path.parse().unwrap()),
                aggregation,
                numbers,
            },
        )
}

pub(crate) fn layout() -> impl Strategy<Value = Layout> {
    let paths = subsequence(vec!["$.deep.kind[0]", "$.project"], 0..=2);
    let rules = prop::collection::vec(rule(), 0..20);
    (rules, paths.clone(), paths).prop_map(|(rules, paths, values)| {
        let parsed = |paths: Vec<&str>| {
            let paths = paths.into_iter().map(|path| path.parse().unwrap());
            paths.collect()
        };
        Layout {
            rules,
            paths: parsed(paths),
            values: parsed(values),
        }
    })
}

fn scope() -> impl Strategy<Value = Scope> {
    prop::collection::vec((1..4_u8, range()), 0..5).prop_map(|below| {
        let edge = |(child, valid): &(u8, TimeRange)| Edge {
            child: organization(*child),
            parent: organization(0),
            valid: *valid,
        };
        Scope::under(organization(0), &below.iter().map(edge).collect::<Vec<_>>())
    })
}

/// A scope, narrowed to whole hours, or to any instants, or not at all.
fn narrowed_scope() -> impl Strategy<Value = Scope> {
    let hours = (0..90_i64, 1..90_i64).prop_map(|(first, hours)| {
        let at = |hour: i64| usage::row::instant(START_NS + hour * HOUR_NS);
        TimeRange::between(at(first), at(first + hours))
    });
    let narrowing = prop_oneof![Just(TimeRange::ALWAYS), range(), hours];
    (scope(), narrowing).prop_map(|(scope, range)| scope.within(range))
}

pub(crate) fn scan_query() -> impl Strategy<Value = ScanQuery> {
    let dimensions = subsequence(Dimension::ALL.to_vec(), 0..6);
    let rules = prop::collection::vec(rule(), 0..4);
    let types = subsequence(TYPES.map(str::to_owned).to_vec(), 0..=2);
    (narrowed_scope(), types, dimensions, rules).prop_map(
        |(scope, event_types, dimensions, rules)| ScanQuery {
            scope,
            event_types,
            dimensions,
            rules,
        },
    )
}

fn meter() -> impl Strategy<Value = Meter> {
    let valid = prop_oneof![2 => Just(TimeRange::ALWAYS), 1 => range()];
    (rule(), valid).prop_map(|(rule, valid)| Meter {
        valid,
        ..plain_meter(rule)
    })
}

pub(crate) fn plain_meter(rule: ReadingRule) -> Meter {
    Meter {
        id: MeterId::from_random(1),
        slug: "m".into(),
        name: "m".into(),
        description: String::new(),
        service: String::new(),
        category: String::new(),
        feature: String::new(),
        unit: String::new(),
        rule,
        group_by: BTreeMap::new(),
        scalar: Scalar {
            name: "M".into(),
            factor: 1,
            metric_category: String::new(),
        },
        job_level: None,
        zero_rows: false,
        valid: TimeRange::ALWAYS,
    }
}

fn windows() -> impl Strategy<Value = Windows> {
    let sizes = vec![
        WindowSize::Minute,
        WindowSize::Hour,
        WindowSize::Day,
        WindowSize::Month,
    ];
    let zones = vec!["UTC", "America/New_York", "Asia/Kathmandu"];
    (select(sizes), select(zones)).prop_map(|(size, zone)| Windows {
        size,
        zone: TimeZone::get(zone).unwrap(),
    })
}

fn group_keys() -> Vec<GroupKey> {
    vec![
        GroupKey::Organization,
        GroupKey::Dimension(Dimension::Project),
        GroupKey::Dimension(Dimension::BillingTag),
        GroupKey::Dimension(Dimension::User),
        GroupKey::Subject,
        GroupKey::Dimension(Dimension::Folder),
        GroupKey::Path("$.deep.kind[0]".parse().unwrap()),
        GroupKey::Path("$.n".parse().unwrap()),
    ]
}

pub(crate) fn totals_query() -> impl Strategy<Value = TotalsQuery> {
    let filter = (
        select(group_keys()),
        select(vec!["p1", "1", "t", "subject 1", "7e0", "1.0"]),
    );
    let filter = (filter, condition()).prop_map(|((key, value), condition)| GroupFilter {
        key,
        values: condition(value),
    });
    (
        narrowed_scope(),
        prop::collection::vec(meter(), 1..4),
        prop::option::of(windows()),
        subsequence(group_keys(), 0..3),
        prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(filter, 1..3)],
        any::<bool>(),
    )
        .prop_map(
            |(scope, meters, windows, group_by, filters, spans)| TotalsQuery {
                scope,
                meters,
                windows,
                group_by,
                filters,
                spans,
            },
        )
}

/// How a text becomes a condition.
fn condition() -> impl Strategy<Value = fn(&str) -> TextCondition> {
    select(vec![
        (|text: &str| vec![text.to_owned(), "p2".to_owned()].into()) as fn(&str) -> TextCondition,
        |text: &str| TextCondition::NotIn(vec![text.to_owned()]),
        |text: &str| TextCondition::LessOrEqual(text.to_owned()),
        |text: &str| TextCondition::NotLike(Pattern::new(&format!("%{text}"), true)),
        |text: &str| {
            let one = TextCondition::In(vec![text.to_owned(), String::new()]);
            TextCondition::Any(vec![one, TextCondition::Greater("p".to_owned())])
        },
    ])
}

pub(crate) fn events_query() -> impl Strategy<Value = EventsQuery> {
    let subjects = subsequence(vec!["subject 0".to_owned(), "subject 1".to_owned()], 0..=2);
    let meters = prop::collection::vec(meter(), 0..3);
    let with_error = prop::option::of(any::<bool>());
    let text = select(vec![
        EventText::Id,
        EventText::Source,
        EventText::Subject,
        EventText::Type,
    ]);
    let texts = prop::collection::vec(
        (text, select(vec!["1", "t", "subject 1"]), condition()),
        0..2,
    );
    let bounds = (
        prop::option::of(range()),
        prop::option::of(range()),
        0..50_u64,
    );
    let narrowing = (subjects, texts, bounds);
    (scope(), range(), narrowing, meters, with_error, 0..40_usize).prop_map(
        |(scope, range, (subjects, texts, (time, after, sequence)), meters, with_error, limit)| {
            let texts = texts
                .into_iter()
                .map(|(text, value, condition)| (text, condition(value)));
            let subjects = (!subjects.is_empty()).then(|| (EventText::Subject, subjects.into()));
            let start = |range: Option<TimeRange>| range.and_then(|range| range.start);
            EventsQuery {
                scope,
                range,
                texts: texts.chain(subjects).collect(),
                time: start(time).map(TimeCondition::GreaterOrEqual),
                received: start(time).map(TimeCondition::LessOrEqual),
                after: start(after).map(|start| (start, sequence)),
                meters,
                with_error,
                limit,
            }
        },
    )
}

//! Random accounts: trees that move, meters of every aggregation that can be rated, tiers, billing
//! periods and usage.

use std::fmt::Write;

use proptest::prelude::*;
use proptest::sample::select;

use crate::story::named;

/// Who is in every account.
pub(super) const NAMES: [&str; 5] = ["Acme", "Lab", "Team", "East", "Crew"];

/// A fixed account with something of everything.
pub(super) const FIXED: &str = "
    org Acme production day 31
    org Lab sandbox in Acme day 15 month 1
    org East additional_production in Acme since 2013-01-05T00:00:00Z
    org Team sub_organization in Acme
    org Crew sub_organization in Lab
    move Team Lab 2013-01-20T12:00:00Z
    move Crew East 2013-01-22T07:00:00Z
    meter 1 Records SUM HUNDRED_RECORDS 100 RECORDS_STORED
    meter 2 Hours SUM HOURS 1 COMPUTE_UNITS
    meter 3 Runs COUNT THOUSAND_RUNS 1000 RUNS
    meter 4 Peak MAX HOURS 1 COMPUTE_UNITS
    meter 5 Users UNIQUE_COUNT HUNDRED_RECORDS 100 RECORDS_STORED
    meter 6 Stored LATEST HUNDRED_RECORDS 100 RECORDS_STORED zero
    rate 1 2:6 30:0.6 0.06 allowance 500
    rate 2 0.16
    rate 2 0.5 for Team since 2013-01-18T10:00:00Z
    rate 3 0.01:3 2
    rate 4 50:2 1
    rate 4 3 since 2013-01-23T13:00:00Z
    rate 5 1:6 2
    rate 6 9.5
";

fn time(hours: u32) -> String {
    let start: domain::Timestamp = "2013-01-01T00:00:00Z".parse().unwrap();
    let at = start + jiff::SignedDuration::from_hours(hours.into());
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn day(days: u32) -> String {
    time(days * 24)[..10].to_owned()
}

/// Usage of any organization and meter, spread over 45 days; every meter counts the same event.
fn event(number: usize, [owner, hours, amount, dimension]: [u32; 4]) -> String {
    let place = |name: &str, of: u32| match dimension / of % 4 {
        0 => String::new(),
        each => format!(r#""{name}":"{name}{each}","#),
    };
    let dimensions = [place("project", 1), place("folder", 4), place("asset", 16)].concat();
    let amount = i64::from(amount) - 200;
    let (whole, part) = (amount / 100, amount.unsigned_abs() % 100);
    let sign = if amount < 0 && whole == 0 { "-" } else { "" };
    let quantity = format!("{sign}{whole}.{part:02}");
    let fields = match dimension % 6 {
        0 => format!(r#""n1":{quantity},"n2":{quantity}"#),
        1 => format!(r#""n2":{quantity},"n4":{quantity}"#),
        2 => format!(r#""n4":{quantity},"n5":"u{}""#, amount.unsigned_abs() % 7),
        3 => format!(r#""n5":{},"n6":{quantity}"#, amount.unsigned_abs() % 5),
        4 => format!(r#""n1":"{quantity}","n6":"{quantity}""#),
        _ => format!(r#""n2":"none","n1":{quantity}"#),
    };
    let (owner, time) = (named(NAMES[owner as usize % 5]), time(hours % (45 * 24)));
    format!("{owner} {time} {{{dimensions}{fields},\"i\":{number}}}\n")
}

/// Usage that comes after a flush.
pub(super) fn more(seed: u32) -> String {
    (0..20)
        .map(|index| spread(1_000_000, index, seed))
        .collect()
}

/// So much usage of the fixed account.
pub(super) fn many(count: u32) -> String {
    (0..count).map(|index| spread(0, index, 17)).collect()
}

fn spread(from: usize, index: u32, seed: u32) -> String {
    let step = |factor: u32| index.wrapping_mul(factor).wrapping_add(seed) >> 3;
    let numbers = [
        step(2_654_435_761),
        step(40_503),
        step(97) % 4_000,
        step(7_919),
    ];
    event(from + index as usize, numbers)
}

fn tiers() -> impl Strategy<Value = String> {
    let price = || (0_u32..9_000).prop_map(|price| format!("{}.{:03}", price / 1000, price % 1000));
    let steps = proptest::collection::vec((1_u32..30, price()), 0..3);
    (steps, price()).prop_map(|(steps, last)| {
        let mut text = String::new();
        let mut bound = 0;
        for (more, price) in steps {
            bound += more;
            write!(text, "{bound}:{price} ").unwrap();
        }
        text + &last
    })
}

fn anchor() -> impl Strategy<Value = String> {
    let month = prop_oneof![3 => Just(0_u8), 1 => 1..=12_u8];
    (1_u8..=31, month).prop_map(|(day, month)| match month {
        0 => format!("day {day}"),
        month => format!("day {day} month {month}"),
    })
}

fn tree() -> impl Strategy<Value = String> {
    let moves = proptest::collection::btree_map(
        0_u32..45 * 24,
        (
            select(vec!["Team", "Crew"]),
            select(vec!["Acme", "Lab", "East"]),
        ),
        0..4,
    );
    let parents = (
        select(vec!["Acme", "Lab"]),
        select(vec!["Acme", "Lab", "East"]),
    );
    let anchors = proptest::collection::vec(anchor(), 5);
    (parents, anchors, moves).prop_map(|((team, crew), anchors, moves)| {
        let mut text = format!(
            "org Acme production {}
             org Lab sandbox in Acme {}
             org East additional_production in Acme {}
             org Team sub_organization in {team} {}
             org Crew sub_organization in {crew} {}\n",
            anchors[0], anchors[1], anchors[2], anchors[3], anchors[4],
        );
        for (hours, (child, parent)) in moves {
            writeln!(text, "move {child} {parent} {}", time(hours)).unwrap();
        }
        text
    })
}

fn meters() -> impl Strategy<Value = String> {
    let rates = proptest::collection::vec((tiers(), tiers(), 0_u32..45 * 24), 6);
    (rates, 0_u32..45 * 24).prop_map(|(rates, changed)| {
        let mut text = format!(
            "meter 1 Records SUM HUNDRED_RECORDS 100 RECORDS_STORED
             meter 2 Hours SUM HOURS 1 COMPUTE_UNITS
             meter 2 Hours SUM HUNDREDS 100 COMPUTE_UNITS since {}
             meter 3 Runs COUNT THOUSAND_RUNS 1000 RUNS
             meter 4 Peak MAX HOURS 1 COMPUTE_UNITS
             meter 5 Users UNIQUE_COUNT HUNDRED_RECORDS 100 RECORDS_STORED
             meter 6 Stored LATEST HUNDRED_RECORDS 100 RECORDS_STORED zero\n",
            time(changed),
        );
        for (meter, (first, second, since)) in (1..).zip(rates) {
            let (allowance, since) = (since % 50, time(since));
            writeln!(text, "rate {meter} {first} allowance {allowance}").unwrap();
            let own = if meter % 2 == 0 { "" } else { "for Team" };
            writeln!(text, "rate {meter} {second} {own} since {since}").unwrap();
        }
        text
    })
}

/// A story, the first and last day to ask for, and a seed of usage after a flush, 0 for no flush.
pub(super) fn stories() -> impl Strategy<Value = (String, String, String, u32)> {
    let numbers = [0_u32..5, 0..45 * 24, 0..4_000, 0..u32::MAX];
    let events = proptest::collection::vec(numbers, 0..60);
    let days = (0_u32..25, 0_u32..30);
    (tree(), meters(), events, days, 0_u32..4).prop_map(|(tree, meters, events, days, flushed)| {
        let mut text = tree + &meters;
        for (number, numbers) in events.into_iter().enumerate() {
            write!(text, "use {}", event(number, numbers)).unwrap();
        }
        (text, day(days.0), day(days.0 + days.1), flushed)
    })
}

//! Rows of parents: roll-ups and fees, and what moves do to them.

use super::summary::{brief, check};
use super::*;

#[test]
fn parents_repeat_their_childrens_consumption_and_pay_for_them() {
    check(
        "org A production
         org B sub
         org C sandbox
         under B A
         under C A since 2013-01-03T15:00
         meter M sum HOURS 1
         rate M 2
         use A M 2013-01-05T01:00 1
         use B M 2013-01-05T01:00 2
         use C M 2013-01-05T02:00 3
         use C M 2013-01-02T02:00 100",
        "A",
        ("01", "31"),
        &[
            "5 B M 2 4 2",
            "5 C M 3 6 2",
            "1 A sub-fee 1 6 6",
            "3 A sandbox-fee 1 6 6",
            "5 A M 1 2 2",
            "5 A subs null 4 null",
            "5 A sandboxes null 6 null",
        ],
    );
}

#[test]
fn usage_stays_where_it_was_when_an_organization_moves() {
    let story = "
        org A production
        org B sandbox
        org C sub
        under B A
        under C A until 2013-01-05T12:00
        under C B since 2013-01-05T12:00
        meter M sum HOURS 1
        rate M 10:2 1
        rate 5Ariu53Z8gobF4KYsmTg4Z 0.5
        use C M 2013-01-05T11:00 8
        use C M 2013-01-05T13:00 4";
    check(
        story,
        "B",
        ("01", "31"),
        &[
            "5 C M 4 6 1",
            "5 B sub-fee 1 0.5 0.5",
            "5 B subs null 6 null",
        ],
    );
    check(
        story,
        "A",
        ("02", "31"),
        &[
            "5 C M 12 22 1",
            "5 B sub-fee 1 0.5 0.5",
            "5 B subs null 6 null",
            "5 A subs null 16 null",
        ],
    );
}

#[test]
fn a_child_that_comes_back_is_charged_once_a_period() {
    let story = "
        org A production 10
        org B sub
        org C sub
        org D sandbox
        under B A until 2013-01-12
        under B A since 2013-01-20T08:00
        under C A since 2013-01-20T09:00
        under D A since 2013-01-20T10:00 until 2013-02-10";
    let days = |first: &str, last: &str| {
        let request = Story::request("A", first, last, true);
        Story::read(story).rows(&request, |row| format!("{} {}", row.date, brief(row)))
    };
    assert_eq!(
        days("2013-01-01", "2013-02-28"),
        [
            "2013-01-10 10 A sub-fee 1 6 6",
            "2013-01-20 20 A sandbox-fee 1 6 6",
            "2013-01-20 20 A sub-fee 1 6 6",
            "2013-02-10 10 A sub-fee 2 12 6",
        ]
    );
    // The range starts after the fee of the period was due: it is not due again.
    let late = days("2013-01-15", "2013-01-31");
    assert_eq!(
        late,
        [
            "2013-01-20 20 A sandbox-fee 1 6 6",
            "2013-01-20 20 A sub-fee 1 6 6"
        ]
    );
}

#[test]
fn fees_follow_the_day_the_billing_period_starts_on() {
    let starts = |anchor: &str, first: &str, last: &str| {
        let story = format!("org A production {anchor}\norg B sub\nunder B A");
        let request = Story::request("A", first, last, false);
        let row = |row: &SummaryRow<'_>| row.date.to_string();
        Story::read(&story).rows(&request, row).join(" ")
    };
    assert_eq!(
        starts("31", "2013-01-01", "2013-05-31"),
        "2013-01-31 2013-02-28 2013-03-31 2013-04-30 2013-05-31"
    );
    assert_eq!(
        starts("29", "2024-02-01", "2024-03-29"),
        "2024-02-29 2024-03-29"
    );
    assert_eq!(starts("15 6", "2012-06-16", "2013-06-15"), "2013-06-15");
    assert_eq!(starts("1", "9999-11-30", "9999-12-31"), "9999-12-01");
}

#[test]
fn a_fee_is_seen_by_whoever_sees_the_parent_when_it_is_due() {
    let story = "
        org A production
        org B sandbox
        org C sub
        org D sub
        under B A since 2013-01-10T12:00
        under C B since 2013-01-10T12:00
        under D B";
    check(
        story,
        "A",
        ("02", "31"),
        &["10 B sub-fee 1 6 6", "10 A sandbox-fee 1 6 6"],
    );
    check(
        story,
        "B",
        ("01", "31"),
        &["1 B sub-fee 1 6 6", "10 B sub-fee 1 6 6"],
    );
}

/// The fee rows of A between two days.
fn fees(story: &str, first: &str, last: &str) -> Vec<String> {
    let request = Story::request("A", first, last, false);
    Story::read(story).rows(&request, |row| {
        let count = row.usage.unwrap().fixed(0);
        format!("{} {} {count}", row.date, letter(row.meter_id.as_str()))
    })
}

#[test]
fn an_archived_organization_pays_in_no_period_that_begins_later() {
    let story = "
        org A production 10
        org B sub
        org C sub
        org D sandbox
        under B A
        under C A
        under D A since 2013-01-20
        archive B 2013-01-12T08:00
        archive C 2013-02-10
        archive D 2013-01-15";
    assert_eq!(
        fees(story, "2013-01-01", "2013-04-30"),
        ["2013-01-10 sub-fee 2"],
        "C left as its period began, D before it came"
    );
    let stays = story.replace("archive C 2013-02-10", "archive C 2013-02-10T00:01");
    assert_eq!(
        fees(&stays, "2013-01-01", "2013-04-30"),
        ["2013-01-10 sub-fee 2", "2013-02-10 sub-fee 1"]
    );
}

#[test]
fn a_period_cut_by_changed_billing_days_costs_only_those_who_come_in_it() {
    let story = "
        org A production
        org B sub
        org C sub
        org D sub
        under B A
        under C A until 2013-01-12
        under C A since 2013-01-25
        under D A since 2013-01-20
        bill A 15 since 2013-01-20";
    let all = [
        "2013-01-01 sub-fee 2",
        "2013-01-20 sub-fee 1",
        "2013-01-25 sub-fee 1",
        "2013-02-15 sub-fee 3",
    ];
    assert_eq!(fees(story, "2013-01-01", "2013-03-01"), all);
    // Whatever the range: a day has the same row in every file that holds it.
    assert_eq!(fees(story, "2013-01-01", "2013-01-19"), all[..1]);
    assert_eq!(fees(story, "2013-01-18", "2013-01-24"), all[1..2]);
    assert_eq!(fees(story, "2013-01-22", "2013-02-20"), all[2..]);
}

#[test]
fn fees_of_periods_to_come_stand_in_a_range_that_reaches_them() {
    let story = "
        org A production
        org B sub
        under B A";
    // The watermark of these tests is the first of January 2014.
    assert_eq!(
        fees(story, "2013-12-31", "2014-03-31"),
        [
            "2014-01-01 sub-fee 1",
            "2014-02-01 sub-fee 1",
            "2014-03-01 sub-fee 1"
        ]
    );
}

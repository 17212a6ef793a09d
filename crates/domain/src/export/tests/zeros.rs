//! Days without usage: which meters have rows for them, and from when to when.

use super::summary::check;
use super::*;

/// C moves from A to the sandbox B under it, and M has zero rows.
fn moved(when: &str, rest: &str) -> String {
    format!(
        "org A production
         org B sandbox
         org C sub
         under B A
         under C A until {when}
         under C B since {when}
         meter M latest TENK_RECORDS 10000 zero
         rate M 9.5
         {rest}"
    )
}

#[test]
fn a_meter_with_zero_rows_has_every_day_asked_for_once_it_is_in_use() {
    let story = "
        org A production
        meter M latest TENK_RECORDS 10000 zero
        meter N latest TENK_RECORDS 10000
        meter O sum HOURS 1 zero until 2013-01-06
        rate M 9.5
        use A M 2013-01-05T10:00 20000
        use A N 2013-01-05T10:00 20000
        use A O 2013-01-05T10:00 1";
    check(
        story,
        "A",
        ("04", "07"),
        &[
            "4 A M 0 0 9.5",
            "4 A O 0 0 0",
            "5 A M 20000 19 9.5",
            "5 A N 20000 0 0",
            "5 A O 1 0 0",
            "6 A M 0 0 9.5",
            "7 A M 0 0 9.5",
        ],
    );
    check(story, "A", ("06", "07"), &[]);
}

#[test]
fn tiers_make_no_meter_look_used_before_the_range() {
    check(
        "org A production
         meter M latest TENK_RECORDS 10000 zero
         rate M 1:9.5 4
         use A M 2013-01-05T10:00 20000",
        "A",
        ("06", "07"),
        &[],
    );
}

#[test]
fn zero_rows_end_with_the_day_of_the_watermark() {
    let story = Story::read(
        "org A production
         meter M latest TENK_RECORDS 10000 zero
         use A M 2013-12-30T10:00 1",
    );
    let request = Story::request("A", "2013-12-30", "2014-01-05", false);
    let days = story.rows(&request, |row| row.date.to_string());
    assert_eq!(days, ["2013-12-30", "2013-12-31"]);
}

#[test]
fn whoever_sees_no_use_of_a_meter_sees_no_zeros_of_it() {
    let story = &moved("2013-01-06", "use C M 2013-01-05T10:00 20000");
    check(story, "B", ("02", "08"), &["6 B sub-fee 1 6 6"]);
    check(
        story,
        "C",
        ("05", "06"),
        &["5 C M 20000 19 9.5", "6 C M 0 0 9.5"],
    );
}

#[test]
fn roll_ups_stand_wherever_an_organization_below_has_a_row_even_of_zeros() {
    let story = moved("2013-01-06T12:00", "use C M 2013-01-05T10:00 20000");
    check(
        &story,
        "A",
        ("04", "07"),
        &[
            "4 C M 0 0 9.5",
            "5 C M 20000 19 9.5",
            "6 C M 0 0 9.5",
            "7 C M 0 0 9.5",
            // On the day of the move C lies under one and then under the other.
            "6 B sub-fee 1 6 6",
            "6 B subs null 0 null",
            "7 B subs null 0 null",
            "4 A subs null 0 null",
            "5 A subs null 19 null",
            "6 A subs null 0 null",
        ],
    );
}

#[test]
fn a_day_seen_in_part_without_use_has_a_zero_row() {
    let story = moved(
        "2013-01-06T12:00",
        "rate M 4 for C since 2013-01-06T10:00
         use C M 2013-01-06T10:00 20000
         use C M 2013-01-07T10:00 10000",
    );
    check(
        &story,
        "B",
        ("05", "08"),
        &[
            "6 C M 0 0 4",
            "7 C M 10000 4 4",
            "8 C M 0 0 4",
            "6 B sub-fee 1 6 6",
            "6 B subs null 0 null",
            "7 B subs null 4 null",
            "8 B subs null 0 null",
        ],
    );
}

#[test]
fn what_is_one_number_a_day_rolls_up_as_one_though_the_organization_came_and_went() {
    check(
        "org A production
         org B sub
         under B A until 2013-01-05T08:00
         under B A since 2013-01-05T12:00
         meter M max HOURS 1
         rate M 2
         use B M 2013-01-05T07:00 4
         use B M 2013-01-05T09:00 50
         use B M 2013-01-05T13:00 3",
        "A",
        ("05", "05"),
        &["5 B M 4 8 2", "5 A subs null 8 null"],
    );
}

#[test]
fn a_version_that_prints_zeros_from_the_middle_of_a_day_prints_that_day() {
    check(
        "org A production
         meter M latest TENK_RECORDS 10000 until 2013-01-06T12:00
         meter M latest TENK_RECORDS 10000 zero since 2013-01-06T12:00
         rate M 9.5
         use A M 2013-01-04T10:00 20000
         use A M 2013-01-07T10:00 10000",
        "A",
        ("04", "08"),
        &[
            "4 A M 20000 19 9.5",
            "6 A M 0 0 9.5",
            "7 A M 10000 9.5 9.5",
            "8 A M 0 0 9.5",
        ],
    );
}

#[test]
fn a_zero_row_at_the_border_of_a_tier_has_the_price_of_the_tier_that_is_full() {
    check(
        "org A production
         meter M sum HUNDRED_RECORDS 100 zero
         rate M 2:6 0.5
         use A M 2013-01-05T10:00 200
         use A M 2013-01-07T10:00 1
         use A M 2013-01-07T11:00 99",
        "A",
        ("04", "08"),
        &[
            "4 A M 0 0 6",
            "5 A M 200 12 6",
            "6 A M 0 0 6",
            "7 A M 100 0.5 0.5",
            "8 A M 0 0 0.5",
        ],
    );
}

//! Days without usage: which meters have rows for them, and from when to when.

use super::summary::check;
use super::*;

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
    let story = "
        org A production
        org B sandbox
        org C sub
        under B A
        under C A until 2013-01-06
        under C B since 2013-01-06
        meter M latest TENK_RECORDS 10000 zero
        rate M 9.5
        use C M 2013-01-05T10:00 20000";
    check(story, "B", ("02", "08"), &["6 B sub-fee 1 6 6"]);
    check(
        story,
        "C",
        ("05", "06"),
        &["5 C M 20000 19 9.5", "6 C M 0 0 9.5"],
    );
}

//! The price of a day: that of the highest tier it reached.

use proptest::prelude::*;

use super::summary::check;
use super::*;

#[test]
fn a_tier_entered_and_left_on_one_day_shows_its_price() {
    check(
        "org A production
         meter M sum HUNDRED_RECORDS 100
         rate M 2:6 3:0.6 0.06
         use A M 2013-01-05T10:00 150
         use A M 2013-01-05T12:00 250
         use A M 2013-01-05T11:00 -50
         use A M 2013-01-05T13:00 -300
         use A M 2013-01-06T10:00 10
         use A M 2013-01-07T10:00 -1",
        "A",
        ("01", "31"),
        &["5 A M 50 3 0.06", "6 A M 10 0.6 6", "7 A M -1 -0.06 6"],
    );
}

#[test]
fn the_highest_tier_counts_across_the_cuts_of_a_day() {
    let story = "
        org A production
        org B sub
        under B A until 2013-01-05T10:00
        under B A since 2013-01-05T12:00
        meter M sum HOURS 1
        rate M 10:2 1
        use B M 2013-01-05T09:00 11
        use B M 2013-01-05T09:30 -2
        use B M 2013-01-05T11:00 -5
        use B M 2013-01-05T13:00 1";
    check(
        story,
        "A",
        ("05", "05"),
        &["5 B M 10 20 1", "5 A subs null 20 null"],
    );
    let hidden = story.replace("09:00 11\n", "11:00 11\n");
    check(
        &hidden,
        "A",
        ("05", "05"),
        &["5 B M -1 -2 2", "5 A subs null -2 null"],
    );
}

#[test]
fn the_tier_is_that_of_the_rate_in_force_last() {
    check(
        "org A production
         meter M sum HOURS 1
         rate M 10:2 1 until 2013-01-05T12:00
         rate M 100:4 3 since 2013-01-05T12:00
         use A M 2013-01-05T10:00 20
         use A M 2013-01-05T13:00 1",
        "A",
        ("01", "31"),
        &["5 A M 21 34 4"],
    );
}

#[test]
fn after_a_change_of_the_scalar_tiers_measure_all_usage_of_the_period_in_the_new_unit() {
    check(
        "org A production
         meter M sum HOURS 1 until 2013-01-06
         meter M sum HUNDREDS 100 since 2013-01-06
         rate M 2:6 0.5
         use A M 2013-01-05T10:00 50
         use A M 2013-01-06T10:00 150
         use A M 2013-01-07T10:00 100",
        "A",
        ("01", "31"),
        &["5 A M 50 36 0.5", "6 A M 150 9 6", "7 A M 100 0.5 0.5"],
    );
}

#[test]
fn tiers_start_anew_where_billing_days_change() {
    check(
        "org A production
         bill A 15 since 2013-01-20
         meter M sum HOURS 1
         rate M 10:2 1
         use A M 2013-01-16T10:00 12
         use A M 2013-01-20T10:00 5
         use A M 2013-01-21T10:00 6",
        "A",
        ("17", "31"),
        &["20 A M 5 10 2", "21 A M 6 11 1"],
    );
}

#[test]
fn one_number_a_day_has_the_price_in_force_when_the_last_of_it_is_read() {
    for (aggregation, usage) in [("max", "9"), ("latest", "4"), ("unique", "2")] {
        let story = format!(
            "org A production
             meter M {aggregation} HOURS 1
             rate M 2 until 2013-01-05T12:00
             rate M 3 since 2013-01-05T12:00
             use A M 2013-01-05T10:00 9
             use A M 2013-01-05T13:00 4
             use A M 2013-01-06T10:00 4"
        );
        let day: u32 = usage.parse().unwrap();
        let next = if aggregation == "unique" { 1 } else { 4 };
        let expected = [
            format!("5 A M {day} {} 3", day * 3),
            format!("6 A M {next} {} 3", next * 3),
        ];
        check(&story, "A", ("01", "31"), &[&expected[0], &expected[1]]);
        // Without the later reading the earlier price holds for all of it.
        let early = story.replace("13:00 4", "11:00 4");
        let early = early.replace("10:00 9", "09:00 9");
        let expected = format!("5 A M {day} {} 2", day * 2);
        check(&early, "A", ("05", "05"), &[&expected]);
    }
}

proptest! {
    #[test]
    fn the_price_of_a_day_is_that_of_the_highest_tier_its_events_reach(
        events in proptest::collection::vec((0_i64..6 * 24, -4_000_i128..5_000), 1..40),
    ) {
        let start = instant("2013-01-01");
        let mut story = Story::read(
            "org A production
             meter M sum HUNDRED_RECORDS 100
             rate M 0.2:6 0.5:0.6 0.9:0.3 0.06",
        );
        let mut events = events;
        events.sort_unstable();
        let mut expected = BTreeMap::new();
        let mut used = Total::ZERO;
        for (hours, units) in events {
            let time = start + jiff::SignedDuration::from_hours(hours);
            let quantity = Quantity::from_units(units * 10_i128.pow(10)).unwrap();
            story.events.push((organization_id("A"), meter_id("M"), time, quantity));
            let tier = story.control.rates[0].tier_reached(used, quantity.into(), 100);
            let reached = expected.entry(utc_date(time)).or_insert(0);
            *reached = tier.max(*reached);
            used += quantity.into();
        }
        let request = Story::request("A", "2013-01-02", "2013-01-05", false);
        for (date, price) in story.rows(&request, |row| (row.date, row.price.unwrap())) {
            let tier = &story.control.rates[0].tiers[expected[&date]];
            prop_assert_eq!(price, tier.price, "on {}", date);
        }
    }
}

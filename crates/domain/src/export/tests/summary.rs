//! The rows of summaries.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Prints day of January, organization, meter, usage, IPU and price.
pub(super) fn brief(row: &SummaryRow<'_>) -> String {
    let mut text = String::new();
    for cell in [SummaryCell::Usage, SummaryCell::Ipu, SummaryCell::Price] {
        let mut number = String::new();
        row.write(cell, &mut number);
        if number.contains('.') {
            number.truncate(number.trim_end_matches('0').trim_end_matches('.').len());
        }
        text = format!("{text} {number}");
    }
    let organization = letter(row.organization.id.as_str());
    format!(
        "{} {organization} {}{text}",
        row.date.day(),
        letter(row.meter_id.as_str())
    )
}

pub(super) fn check(story: &str, requester: &str, days: (&str, &str), expect: &[&str]) {
    let days = (format!("2013-01-{}", days.0), format!("2013-01-{}", days.1));
    let request = Story::request(requester, &days.0, &days.1, true);
    assert_eq!(Story::read(story).rows(&request, brief), expect);
}

#[test]
fn a_summary_line_has_the_vendors_columns_and_decimals() {
    let story = Story::read(
        "org A production 15
         meter M sum THOUSAND_RUNS 1000
         rate M 0.16
         use A M 2013-01-05T10:00 1500.25
         use A M 2013-01-05T23:59 0.00000000005",
    );
    let request = Story::request("A", "2013-01-01", "2013-01-31", false);
    let lines = story.rows(&request, |row| {
        let cells = SUMMARY.iter().map(|column| {
            let mut text = String::new();
            row.write(column.cell, &mut text);
            text
        });
        cells.collect::<Vec<_>>().join(",")
    });
    let headers: Vec<_> = SUMMARY.iter().map(|column| column.header).collect();
    assert_eq!(
        headers.join(","),
        "OrgId,MeterId,MeterName,Date,BillingPeriodStartDate,BillingPeriodEndDate,MeterUsage,IPU,\
         Scalar,MetricCategory,OrgName,OrgType,IPURate"
    );
    assert_eq!(
        lines,
        [
            "0000000000000000000013,000000000000000000001F,Meter M,2013-01-05 00:00:00.0,\
          2012-12-15 00:00:00.0,2013-01-14 00:00:00.0,1500.2500000001,0.240040000000,\
          THOUSAND_RUNS,COMPUTE_UNITS,Org A,Production,0.160000"
        ]
    );
}

#[test]
fn tiers_fill_from_the_start_of_the_period_even_before_the_range() {
    let story = "
        org A production 10
        meter M sum HUNDRED_RECORDS 100
        rate M 2:6 3:0.6 0.06
        use A M 2013-01-09T10:00 999
        use A M 2013-01-10T10:00 150
        use A M 2013-01-15T10:00 100
        use A M 2013-01-15T11:00 900
        use A M 2013-01-16T10:00 100";
    check(
        story,
        "A",
        ("15", "31"),
        &["15 A M 1000 4.11 0.06", "16 A M 100 0.06 0.06"],
    );
    let tail = [
        "10 A M 150 9 6",
        "15 A M 1000 4.11 0.06",
        "16 A M 100 0.06 0.06",
    ];
    check(
        story,
        "A",
        ("09", "31"),
        &[&["9 A M 999 13.0194 0.06"][..], &tail].concat(),
    );
}

#[test]
fn a_price_changed_in_the_middle_of_a_day_splits_the_day() {
    check(
        "org A production
         meter M sum HOURS 1
         rate M 2 until 2013-01-05T12:00
         rate M 3 since 2013-01-05T12:00
         rate M 7 for A since 2013-01-06
         use A M 2013-01-05T11:59 1
         use A M 2013-01-05T12:00 10
         use A M 2013-01-06T00:00 1",
        "A",
        ("01", "31"),
        &["5 A M 11 32 3", "6 A M 1 7 7"],
    );
}

#[test]
fn a_peak_or_a_level_is_one_number_per_day() {
    check(
        "org A production
         meter M max HOURS 1
         meter N latest HOURS 1 zero
         rate M 2
         rate N 10:1 5
         use A M 2013-01-05T01:00 4
         use A M 2013-01-05T02:00 3
         use A N 2013-01-05T02:00 8
         use A N 2013-01-05T01:00 99
         use A N 2013-01-07T01:00 8",
        "A",
        ("04", "08"),
        &[
            "4 A N 0 0 1",
            "5 A M 4 8 2",
            "5 A N 8 8 1",
            "6 A N 0 0 1",
            "7 A N 8 32 5",
            "8 A N 0 0 5",
        ],
    );
}

#[test]
fn without_linked_organizations_only_the_requester_has_a_file() {
    let story = Story::read(
        "org A production
         org B sub
         under B A
         meter M sum HOURS 1
         rate M 2
         use B M 2013-01-05T01:00 2",
    );
    let request = Story::request("A", "2013-01-02", "2013-01-31", false);
    assert_eq!(story.rows(&request, brief), ["5 A subs null 4 null"]);
}

proptest! {
    #[test]
    fn a_summary_adds_up_to_the_fold_of_its_events(
        events in proptest::collection::vec((0_i64..40 * 24, 0_i128..5_000), 0..60),
        anchor_day in 1_u8..=31,
        cut in 0_i64..40 * 24,
    ) {
        let start = instant("2013-01-01");
        let after = |hours: i64| start + jiff::SignedDuration::from_hours(hours);
        let mut story = Story::read(&format!(
            "org A production {anchor_day}
             meter M sum HUNDRED_RECORDS 100
             rate M 2:6 30:0.6 0.06 until {until}
             rate M 5:3 1 since {until}",
            until = after(cut).strftime("%Y-%m-%dT%H:%M"),
        ));
        let mut events = events;
        events.sort_unstable();
        for (hours, units) in events {
            let quantity = Quantity::from_units(units * 10_i128.pow(10)).unwrap();
            let (organization, meter) = (organization_id("A"), meter_id("M"));
            story.events.push((organization, meter, after(hours), quantity));
        }
        let request = Story::request("A", "2013-01-11", "2013-02-05", false);
        let (mut usage, mut ipu) = (Total::ZERO, Amount::from(Total::ZERO));
        for (more, worth) in story.rows(&request, |row| (row.usage.unwrap(), row.ipu)) {
            usage += more;
            ipu = ipu.checked_add(worth).unwrap();
        }
        let (expected_usage, expected_ipu) = event_by_event(&story, &request);
        prop_assert_eq!(usage, expected_usage);
        prop_assert_eq!(ipu.fixed(24), expected_ipu.fixed(24));
    }
}

/// Prices every event on its own after all before it in its period.
fn event_by_event(story: &Story, request: &ExportRequest) -> (Total, Amount) {
    let organization = &story.control.organizations[0];
    let (mut usage, mut ipu) = (Total::ZERO, Amount::from(Total::ZERO));
    let mut used = BTreeMap::new();
    for (_, _, time, quantity) in &story.events {
        let period = organization.billing_period(utc_date(*time));
        let used = used.entry(period.start).or_insert(Total::ZERO);
        let mut rates = story.control.rates.iter();
        let rate = rates.find(|rate| rate.valid.contains(*time)).unwrap();
        let worth = rate.price(*used, (*quantity).into(), 100).unwrap();
        *used += (*quantity).into();
        if request.range().contains(*time) {
            usage += (*quantity).into();
            ipu = ipu.checked_add(worth).unwrap();
        }
    }
    (usage, ipu)
}

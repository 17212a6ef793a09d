//! The rows of usage files: what is chosen splits them, and nothing is lost by it.

use proptest::prelude::*;

use super::*;
use crate::dimension::Dimension;
use crate::quantity::Total;

const STORY: &str = "
    org A production
    org B sub
    under B A since 2013-01-05T12:00
    meter M sum HOURS 1
    meter N max CORES 1
    use A M 2013-01-05T10:00 1
    use A M 2013-01-05T11:00 0.000000000001
    use A M 2013-01-06T10:00 2
    use A N 2013-01-05T10:00 5
    use A N 2013-01-05T11:00 3
    use A N 2013-01-06T10:00 4
    use B M 2013-01-05T10:00 100
    use B M 2013-01-05T13:00 7";

/// The value of a key in the event with a number: every third has none.
fn value(key: UsageKey, index: u64) -> Option<String> {
    match key {
        UsageKey::Subject => Some(format!("s{}", index % 2)),
        UsageKey::Dimension(_) => (!index.is_multiple_of(3)).then(|| format!("d{}", index % 3)),
    }
}

fn request(linked: bool, columns: &[&str]) -> ExportRequest {
    let mut request = Story::request("A", "2013-01-01", "2013-01-31", linked);
    let combined = false;
    request.kind = ExportKind::Usage { linked, combined };
    request.parameters.columns = columns.iter().map(|&column| column.to_owned()).collect();
    request
}

/// Headers, and the lines of all files.
fn lines(story: &Story, request: &ExportRequest) -> Vec<String> {
    let as_of = AsOf {
        sequence: 0,
        revision: 0,
        time: instant("2014-01-01"),
    };
    let Ok(ExportPlan::Usage(plan)) = ExportPlan::new(request, &story.control, as_of) else {
        unreachable!("usage was asked for");
    };
    let headers: Vec<_> = plan.columns.iter().map(|column| column.header).collect();
    let mut lines = vec![headers.join(",")];
    for member in &plan.files.members {
        for meter in &plan.meters {
            let sums = meter
                .units
                .iter()
                .map(|unit| read(story, &plan, member, unit));
            let sums = sums.collect();
            for row in plan.rows(member, meter, sums) {
                let cells = plan.columns.iter().map(|column| {
                    let mut text = String::new();
                    row.write(column.cell, &mut text);
                    text.trim_start_matches('0').to_owned()
                });
                lines.push(cells.collect::<Vec<_>>().join(","));
            }
        }
    }
    lines
}

/// The sums of one unit of a meter.
fn read<'c>(
    story: &Story,
    plan: &UsagePlan<'c>,
    member: &Member<'c>,
    unit: &UsageUnit<'c>,
) -> UsageSums {
    let totals = plan.totals(member, unit);
    let mut sums = UsageSums::default();
    for (index, (organization, of, time, quantity)) in (0..).zip(&story.events) {
        let versions = totals.meters.iter();
        let mut reading = versions.filter(|each| each.id == *of);
        let version = reading.find(|each| each.valid.contains(*time));
        let is_seen = totals.scope.contains(*organization, *time);
        let Some(version) = version.filter(|_| is_seen) else {
            continue;
        };
        let mut fold = Fold::new(version.rule.aggregation);
        fold.add(*quantity, *time, index);
        let keys = totals.keys.iter().map(|key| value(*key, index)).collect();
        let day = totals.by_day.then(|| midnight(utc_date(*time)));
        sums.add(day, keys, fold);
    }
    sums
}

#[test]
fn the_usual_columns_tell_days_and_meters_apart() {
    assert_eq!(
        lines(&Story::read(STORY), &request(true, &[])),
        [
            "date,organization_id,organization,meter_id,meter,unit,usage",
            "2013-01-05,14,Org B,1F,m,h,7",
            "2013-01-05,13,Org A,1F,m,h,1.000000000001",
            "2013-01-06,13,Org A,1F,m,h,2",
            "2013-01-05,13,Org A,1G,n,h,5",
            "2013-01-06,13,Org A,1G,n,h,4",
        ]
    );
}

#[test]
fn rows_are_sums_over_what_is_not_chosen() {
    let story = Story::read(STORY);
    assert_eq!(
        lines(&story, &request(false, &["usage", "meter"])),
        ["usage,meter", "3.000000000001,m", "9,n"],
        "a peak is one number per day, and days add up"
    );
    assert_eq!(
        lines(
            &story,
            &request(false, &["meter", "project", "subject", "usage"])
        ),
        [
            "meter,project,subject,usage",
            "m,,s0,1",
            "m,d1,s1,.000000000001",
            "m,d2,s0,2",
            "n,,,9",
        ],
        "a peak has no dimensions"
    );
}

#[test]
fn a_meter_whose_unit_changes_has_rows_of_its_own_for_each() {
    let mut story = Story::read(
        "org A production
         meter M sum HOURS 1 until 2013-01-05T12:00
         meter M sum HOURS 1 since 2013-01-05T12:00
         use A M 2013-01-05T10:00 1
         use A M 2013-01-05T13:00 60",
    );
    let asked = request(false, &["date", "usage", "unit"]);
    assert_eq!(lines(&story, &asked)[1..], ["2013-01-05,61,h"]);
    story.control.meters[1].unit = "min".into();
    let both = ["2013-01-05,1,h", "2013-01-05,60,min"];
    assert_eq!(lines(&story, &asked)[1..], both);
}

#[test]
fn rows_go_by_day_and_keys_before_the_units_a_meter_had() {
    let mut story = Story::read(
        "org A production
         meter M sum HOURS 1 until 2013-01-05T12:00
         meter M sum HOURS 1 since 2013-01-05T12:00 until 2013-01-07
         meter M sum HOURS 1 since 2013-01-07
         use A M 2013-01-05T10:00 1
         use A M 2013-01-05T13:00 60
         use A M 2013-01-06T10:00 90
         use A M 2013-01-07T10:00 2
         use A M 2013-01-05T11:00 4",
    );
    story.control.meters[1].unit = "min".into();
    let days = request(false, &["date", "unit", "usage"]);
    assert_eq!(
        lines(&story, &days)[1..],
        [
            "2013-01-05,h,5",
            "2013-01-05,min,60",
            "2013-01-06,min,90",
            "2013-01-07,h,2"
        ]
    );
    let subjects = request(false, &["subject", "unit", "usage"]);
    assert_eq!(
        lines(&story, &subjects)[1..],
        ["s0,h,5", "s0,min,90", "s1,h,2", "s1,min,60"]
    );
}

#[test]
fn a_row_names_its_meter_as_it_was_called_that_day() {
    let mut story = Story::read(
        "org A production
         meter M sum HOURS 1 until 2013-01-06T12:00
         meter M sum HOURS 1 since 2013-01-06T12:00 until 2013-02-02
         meter M sum HOURS 1 since 2013-02-02
         use A M 2013-01-05T10:00 1
         use A M 2013-01-06T10:00 2
         use A M 2013-01-07T10:00 3",
    );
    let names = [("old", "Old"), ("new", "New"), ("later", "Later")];
    for (meter, (slug, name)) in story.control.meters.iter_mut().zip(names) {
        (meter.slug, meter.name) = (slug.into(), name.into());
    }
    let named = ["date", "meter", "meter_name", "usage"];
    assert_eq!(
        lines(&story, &request(false, &named))[1..],
        [
            "2013-01-05,old,Old,1",
            // The last name of the day on which it changed.
            "2013-01-06,new,New,2",
            "2013-01-07,new,New,3"
        ]
    );
    // Without days, as on the last day asked for.
    assert_eq!(
        lines(&story, &request(false, &named[1..]))[1..],
        ["new,New,6"]
    );
}

#[test]
fn every_dimension_has_a_column_and_no_name_stands_twice() {
    let columns = usage_columns();
    let mut headers: Vec<_> = columns.iter().map(|column| column.header).collect();
    assert_eq!(headers.len(), 9 + Dimension::ALL.len());
    headers.sort_unstable();
    headers.dedup();
    assert_eq!(headers.len(), columns.len());
}

proptest! {
    #[test]
    fn whatever_is_chosen_adds_up_to_the_same(
        events in proptest::collection::vec((0..30_u8, 1..500_u32), 1..30),
        chosen in proptest::collection::vec(0..usage_columns().len(), 0..6),
    ) {
        let used = events.into_iter().map(|(day, usage)| {
            let meter = if usage % 2 == 0 { "M" } else { "N" };
            format!("use A {meter} 2013-01-{:02}T10:00 {usage}.5", day + 1)
        });
        let head = "org A production\nmeter M sum HOURS 1\nmeter N max C 1".to_owned();
        let text: Vec<_> = std::iter::once(head).chain(used).collect();
        let story = Story::read(&text.join("\n"));
        let sum = |columns: &[&str]| {
            let place = columns.iter().position(|column| *column == "usage").unwrap();
            let lines = lines(&story, &request(false, columns));
            let cells = lines[1..].iter().map(|line| line.split(',').nth(place).unwrap());
            let zero = Total::ZERO;
            cells.fold(zero, |sum, cell| sum + Total::from(cell.parse::<Quantity>().unwrap()))
        };
        let all = usage_columns();
        let mut columns = vec!["usage"];
        for place in chosen {
            let header = all[place].header;
            if !columns.contains(&header) {
                columns.push(header);
            }
        }
        prop_assert_eq!(sum(&columns), sum(&["usage"]));
    }
}

//! The rows by project and folder and by asset, and that every grouping adds up alike.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const ASSETS: ExportKind = ExportKind::Asset {
    meter: None,
    linked: false,
    combined: false,
};

/// The project of an event: every fourth has none.
fn keys(detail: Detail, index: u64) -> Keys {
    let mut keys = vec![None; detail.dimensions().len()];
    if !index.is_multiple_of(4) {
        keys[0] = Some(format!("p{}", index % 4));
    }
    keys
}

/// Events by time that a version of a meter reads inside a scope.
fn read<'s>(
    story: &'s Story,
    meter: &Meter,
    scope: &crate::tree::Scope,
) -> Vec<(u64, Timestamp, Quantity)> {
    let events = (0..).zip(&story.events);
    let counts = |(_, (organization, of, time, _)): &(u64, &'s Event)| {
        *of == meter.id && meter.valid.contains(*time) && scope.contains(*organization, *time)
    };
    let read = events.filter(counts);
    let mut read: Vec<_> = read
        .map(|(index, (.., time, quantity))| (index, *time, *quantity))
        .collect();
    read.sort_by_key(|(index, time, _)| (*time, *index));
    read
}

fn lines<'c>(
    story: &'c Story,
    plan: &DetailPlan<'c>,
    member: &Member<'c>,
    meter: MeterId,
) -> Vec<DetailLine<'c>> {
    let (mut details, source) = plan.details(member, meter);
    match source {
        DetailSource::Groups(reads) => {
            for from in reads {
                for (place, version) in from.meters.iter().enumerate() {
                    for (index, time, quantity) in read(story, version, &from.scope) {
                        let mut fold = Fold::new(version.rule.aggregation);
                        fold.add(quantity, time, index);
                        let (day, keys) = (midnight(utc_date(time)), keys(plan.detail, index));
                        details.add_group(&from, place, day, &keys, &fold).unwrap();
                    }
                }
            }
        }
        DetailSource::Days(reads) => {
            for from in reads {
                for (place, version) in from.meters.iter().enumerate() {
                    for (index, time, quantity) in read(story, version, &from.scope) {
                        let mut fold = Fold::new(version.rule.aggregation);
                        fold.add(quantity, time, index);
                        details.add_day(&from, place, midnight(utc_date(time)), fold);
                    }
                }
            }
        }
        DetailSource::Events(reads) => {
            for from in reads {
                for (index, time, quantity) in read(story, from.meter, &from.scope) {
                    let keys = keys(plan.detail, index);
                    details
                        .add_event(&from, time, &keys, quantity.into())
                        .unwrap();
                }
            }
        }
    }
    details.lines().unwrap()
}

fn detail_lines<'c>(story: &'c Story, request: &ExportRequest) -> Vec<DetailLine<'c>> {
    let time = instant("2014-01-01");
    let as_of = AsOf {
        sequence: 0,
        revision: 0,
        time,
    };
    let Ok(ExportPlan::Detail(plan)) = ExportPlan::new(request, &story.control, as_of) else {
        unreachable!("details were asked for");
    };
    let mut all = Vec::new();
    for member in &plan.files.members {
        for meter in &plan.meters {
            let lines = lines(story, &plan, member, *meter);
            let rows = lines.iter().map(|line| (*meter, line.usage, line.ipu));
            story.recount(&plan.files, member, Some(*meter), rows);
            all.extend(lines);
        }
    }
    all
}

fn request(kind: ExportKind, requester: &str, last: &str) -> ExportRequest {
    let request = Story::request(requester, "2013-01-05", last, false);
    ExportRequest { kind, ..request }
}

fn print<R: Row>(columns: &[Column<R::Cell>], row: &R) -> String {
    let cells = columns.iter().map(|column| {
        let mut text = String::new();
        row.write(column.cell, &mut text);
        text
    });
    cells.collect::<Vec<_>>().join(",")
}

const TIERS: &str = "
    org A production 3
    meter M sum HUNDRED_RECORDS 100
    rate M 2:6 3:0.6 0.06
    meter N max HOURS 1
    rate N 2
    use A M 2013-01-04T10:00 150
    use A M 2013-01-05T10:00 25
    use A M 2013-01-05T11:00 50
    use A M 2013-01-05T09:00 25
    use A N 2013-01-05T11:00 3
    use A N 2013-01-05T12:00 2
    use A M 2013-01-06T12:00 80";

#[test]
fn an_asset_pays_the_tier_its_own_events_fall_into() {
    let story = Story::read(TIERS);
    let asset = request(ASSETS, "A", "2013-01-06");
    let lines = detail_lines(&story, &asset);
    let printed: Vec<_> = lines.iter().map(|line| print(ASSET, line)).collect();
    let a = "null,null,null,0000000000000000000013,Production,null,null";
    let m = "000000000000000000001F,Meter M";
    let unit = |date: &str, asset: &str, numbers: &str| {
        format!("{m},2013-01-{date}T00:00:00Z,{asset},{a},{numbers}")
    };
    let peak = format!(
        "000000000000000000001G,Meter N,2013-01-05T00:00:00Z,null,{a},\
         0.000 +,2.000000,3.000000000000,6.000000000000"
    );
    let (low, middle) = ("0.000 - 2.000,6.000000", "2.000 - 3.000,0.600000");
    let quarter = format!("{low},25.000000000000,1.500000000000");
    let half = format!("{middle},50.000000000000,0.300000000000");
    assert_eq!(
        printed,
        [
            unit("05", "p1", &quarter),
            unit("05", "p2", &half),
            unit("05", "p3", &quarter),
            unit("06", "p2", &half),
            unit(
                "06",
                "p2",
                "3.000 +,0.060000,30.000000000000,0.018000000000"
            ),
            peak,
        ]
    );
}

#[test]
fn a_line_without_usage_that_is_worth_something_stays() {
    let story = Story::read(
        "org A production
         meter M sum HOURS 1 until 2013-01-05T12:00
         meter M sum HUNDREDS 100 since 2013-01-05T12:00
         rate M 2
         use A M 2013-01-05T10:00 50
         use A M 2013-01-05T13:00 -50",
    );
    let kind = ExportKind::ProjectFolder {
        linked: false,
        combined: false,
    };
    let lines = detail_lines(&story, &request(kind, "A", "2013-01-06"));
    let worth = lines.iter().fold(DetailSum::default(), |mut sum, line| {
        sum.add(line.usage, line.ipu).unwrap();
        sum
    });
    assert_eq!(
        (worth.usage, worth.ipu.fixed(2)),
        (Total::ZERO, "99.00".into())
    );
}

#[test]
fn projects_list_the_newest_day_first() {
    let story = Story::read(TIERS);
    let kind = ExportKind::ProjectFolder {
        linked: false,
        combined: false,
    };
    let mut days = ProjectDays::default();
    days.add(detail_lines(&story, &request(kind, "A", "2013-01-06")))
        .unwrap();
    let organization = &story.control.organizations[0];
    let printed: Vec<_> = days
        .rows(organization)
        .map(|row| print(PROJECT_FOLDER, &row))
        .collect();
    let a = "null,0000000000000000000013,Production";
    assert_eq!(
        printed,
        [
            format!("2013-01-05T00:00:00Z,null,{a},6.000000000000"),
            format!("2013-01-05T00:00:00Z,p1,{a},1.500000000000"),
            format!("2013-01-06T00:00:00Z,p2,{a},0.318000000000"),
            format!("2013-01-05T00:00:00Z,p2,{a},0.300000000000"),
            format!("2013-01-05T00:00:00Z,p3,{a},1.500000000000"),
        ]
    );
}

type Sums = BTreeMap<OrganizationId, (Total, Amount)>;

fn add(sums: &mut Sums, organization: OrganizationId, usage: Total, ipu: Amount) {
    let zero = (Total::ZERO, Amount::from(Total::ZERO));
    let sum = sums.entry(organization).or_insert(zero);
    *sum = (sum.0 + usage, sum.1.checked_add(ipu).unwrap());
}

fn printed(sums: &Sums) -> Vec<String> {
    let used = sums
        .iter()
        .filter(|(_, (usage, ipu))| *usage != Total::ZERO || !ipu.is_zero());
    used.map(|(id, (usage, ipu))| format!("{} {usage} {}", letter(id.as_str()), ipu.fixed(24)))
        .collect()
}

fn by_detail(story: &Story, kind: ExportKind, requester: &str) -> Vec<String> {
    let mut sums = Sums::new();
    for line in detail_lines(story, &request(kind, requester, "2013-02-03")) {
        add(&mut sums, line.organization.id, line.usage, line.ipu);
    }
    printed(&sums)
}

fn by_summary(story: &Story, linked: bool, requester: &str) -> Vec<String> {
    let request = Story::request(requester, "2013-01-05", "2013-02-03", linked);
    let mut sums = Sums::new();
    let row = |row: &SummaryRow<'_>| {
        (
            row.organization.id,
            row.category != "ORGS",
            row.usage,
            row.ipu,
        )
    };
    for (organization, is_metered, usage, ipu) in story.rows(&request, row) {
        if is_metered {
            add(&mut sums, organization, usage.unwrap(), ipu);
        }
    }
    printed(&sums)
}

proptest! {
    #[test]
    fn every_grouping_adds_up_to_the_summary(
        events in proptest::collection::vec(
            (0_i64..45 * 24, 0..3_usize, 0..3_usize, -100_i128..4_000),
            0..60,
        ),
        anchor_day in 1_u8..=31,
        moved in 0_i64..45 * 24,
        repriced in 0_i64..45 * 24,
    ) {
        let start = instant("2013-01-01");
        let hour = |hours: i64| start + jiff::SignedDuration::from_hours(hours);
        let spell = |hours: i64| hour(hours).strftime("%Y-%m-%dT%H:%M").to_string();
        let (moved, repriced) = (spell(moved), spell(repriced));
        let mut story = Story::read(&format!(
            "org A production {anchor_day}
             org B sub {anchor_day}
             org C sandbox
             under C A
             under B A until {moved}
             under B C since {moved}
             meter M sum HUNDRED_RECORDS 100
             rate M 2:6 30:0.6 0.06 until {repriced}
             rate M 5:3 1 since {repriced}
             meter N max HOURS 1
             rate N 50:2 1
             meter O sum HOURS 1 until {moved}
             rate O 0.16 until {repriced}
             rate O 7 for B since {repriced}"
        ));
        for (hours, organization, meter, units) in events {
            let quantity = Quantity::from_units(units * 10_i128.pow(10)).unwrap();
            let organization = organization_id(["A", "B", "C"][organization]);
            let meter = meter_id(["M", "N", "O"][meter]);
            story.events.push((organization, meter, hour(hours), quantity));
        }
        for requester in ["A", "B", "C"] {
            let summary = by_summary(&story, true, requester);
            let projects = ExportKind::ProjectFolder { linked: true, combined: false };
            prop_assert_eq!(&by_detail(&story, projects, requester), &summary);
            let alone = by_summary(&story, false, requester);
            let assets = ASSETS;
            prop_assert_eq!(by_detail(&story, assets, requester), alone);
        }
    }
}

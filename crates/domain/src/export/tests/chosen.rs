//! What our own API chooses: organizations, meters, columns and packing.

use super::*;

const STORY: &str = "
    org A production
    org B sub
    org C sub
    under B A
    under C A until 2013-01-10T12:00
    meter M sum HOURS 1
    meter N sum HOURS 1
    rate M 2
    use A M 2013-01-05T10:00 1
    use A N 2013-01-05T10:00 10
    use B M 2013-01-05T10:00 2
    use C M 2013-01-10T10:00 3
    use C M 2013-01-10T13:00 4";

fn asks(parameters: Parameters) -> ExportRequest {
    let request = Story::request("A", "2013-01-05", "2013-01-31", false);
    ExportRequest {
        parameters,
        ..request
    }
}

fn rows(parameters: Parameters) -> Vec<String> {
    Story::read(STORY).rows(&asks(parameters), |row| {
        let organization = letter(row.organization.id.as_str());
        let meter = letter(row.meter_id.as_str());
        let usage = row.usage.map(|usage| usage.to_string());
        format!("{organization} {meter} {}", usage.unwrap_or_default())
    })
}

fn refusal(kind: ExportKind, requester: &str, parameters: Parameters) -> String {
    let request = ExportRequest {
        kind,
        requester: organization_id(requester),
        ..asks(parameters)
    };
    let as_of = AsOf {
        sequence: 0,
        revision: 0,
        time: instant("2014-01-01"),
    };
    let control = Story::read(STORY).control;
    let plan = ExportPlan::new(&request, &control, as_of);
    plan.map(|plan| plan.file_names()).unwrap_err().to_string()
}

fn choice(change: impl FnOnce(&mut Parameters)) -> Parameters {
    let mut parameters = Parameters::default();
    change(&mut parameters);
    parameters
}

fn organizations(letters: &[&str]) -> Parameters {
    choice(|all| all.organizations = letters.iter().map(|id| organization_id(id)).collect())
}

const SUMMARY_OF_ALL: ExportKind = ExportKind::Summary {
    linked: true,
    combined: false,
};

#[test]
fn named_organizations_alone_are_printed_while_they_lay_under_the_requester() {
    assert_eq!(rows(organizations(&["C"])), ["C M 3"]);
    // A parent's roll-ups say what its children used, printed or not.
    let both = [
        "B M 2",
        "A sub-fee 2",
        "A M 1",
        "A N 10",
        "A subs ",
        "A subs ",
    ];
    let mut printed = rows(organizations(&["A", "B"]));
    printed.retain(|row| !row.contains("fee"));
    let mut expected: Vec<_> = both
        .into_iter()
        .filter(|row| !row.contains("fee"))
        .collect();
    expected.sort_unstable();
    printed.sort_unstable();
    assert_eq!(printed, expected);
}

#[test]
fn an_organization_that_never_lay_under_the_requester_does_not_exist() {
    let refused = refusal(SUMMARY_OF_ALL, "B", organizations(&["B", "C"]));
    let expected = format!(
        "organization {} does not exist at this revision",
        organization_id("C")
    );
    assert_eq!(refused, expected);
    let jobs = ExportKind::JobLevel {
        meter: None,
        linked: true,
    };
    assert_eq!(refusal(jobs, "B", organizations(&["C"])), expected);
}

#[test]
fn a_choice_of_meters_leaves_out_roll_ups_and_fees() {
    let mut one = organizations(&["A", "B"]);
    one.meters = vec![meter_id("M")];
    assert_eq!(rows(one), ["B M 2", "A M 1"]);
    let unknown = choice(|all| all.meters = vec![meter_id("M"), meter_id("O")]);
    let expected = format!("meter {} does not exist at this revision", meter_id("O"));
    assert_eq!(refusal(SUMMARY_OF_ALL, "A", unknown), expected);
}

#[test]
fn unknown_and_repeated_columns_are_named() {
    let columns = |columns: &[&str]| {
        choice(|all| all.columns = columns.iter().map(|&column| column.to_owned()).collect())
    };
    let projects = ExportKind::ProjectFolder {
        linked: true,
        combined: true,
    };
    assert_eq!(
        refusal(projects, "A", columns(&["Date", "Asset"])),
        "column \"Asset\" does not exist: the columns are Date, Project, Folder, Org ID, Org Type, \
         Consumption (IPUs)"
    );
    assert_eq!(
        refusal(projects, "A", columns(&["Date", "Folder", "Date"])),
        "column \"Date\" is chosen twice"
    );
}

#[test]
fn gzip_takes_exactly_one_file() {
    let gzip = choice(|all| all.packing = Packing::Gzip);
    assert_eq!(
        refusal(SUMMARY_OF_ALL, "A", gzip),
        "gzip holds exactly one file and this export has 3: combine them, or take a ZIP"
    );
}

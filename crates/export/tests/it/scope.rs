//! Who is in the files, for every way to ask and everybody who may ask.

use metadata::{ExportKind, NewExport};

use crate::story::{named, told};
use crate::world::World;

const TREE: &str = r#"
    org Acme production
    org East additional_production in Acme
    org EastSub sub_organization in East
    org Lab sandbox in Acme
    org LabSub sub_organization in Lab
    org SalesA sub_organization in Acme
    org SalesB sub_organization in Acme
    org Idle sub_organization in Acme
    meter 1 Jobs SUM HOURS 1 COMPUTE_UNITS
    rate 1 2
    use Acme 2013-01-05T10:00:00Z {"n1":1}
    use East 2013-01-05T10:00:00Z {"n1":2}
    use EastSub 2013-01-05T10:00:00Z {"n1":3}
    use Lab 2013-01-05T10:00:00Z {"n1":4}
    use LabSub 2013-01-05T10:00:00Z {"n1":5}
    use SalesA 2013-01-05T10:00:00Z {"n1":6}
    use SalesB 2013-01-05T10:00:00Z {"n1":7}
"#;

/// Each requester with itself and what lies under it, in the order of files and blocks.
const SEEN: [(&str, &[&str]); 8] = [
    (
        "Acme",
        &[
            "Idle", "LabSub", "SalesA", "SalesB", "EastSub", "Lab", "East", "Acme",
        ],
    ),
    ("East", &["EastSub", "East"]),
    ("EastSub", &["EastSub"]),
    ("Lab", &["LabSub", "Lab"]),
    ("LabSub", &["LabSub"]),
    ("SalesA", &["SalesA"]),
    ("SalesB", &["SalesB"]),
    ("Idle", &["Idle"]),
];

/// A kind, the column of its files that names the organization, and whether `allLinkedOrgs` counts.
const KINDS: [(ExportKind, usize, bool); 3] = [
    (ExportKind::Summary, 0, true),
    (ExportKind::ProjectFolder, 3, true),
    (ExportKind::SummaryAllLinked, 0, false),
];

/// Names of the files, each with the organizations of its blocks.
fn listed(files: &[(String, String)], column: usize) -> Vec<(String, Vec<String>)> {
    let short = |name: &str| name.trim_start_matches('0').to_owned();
    let mut listed = Vec::new();
    for (name, text) in files {
        let name = name.strip_suffix(".csv").unwrap();
        let (_, rows) = text.split_once('\n').unwrap();
        let blocks = rows.split("\n\n").filter(|block| !block.is_empty());
        let owner = |line: &str| short(line.split(',').nth(column).unwrap());
        let owner = |block: &str| {
            let mut owners: Vec<_> = block.lines().map(owner).collect();
            owners.dedup();
            assert_eq!(owners.len(), 1, "a block is of one organization: {block}");
            owners.remove(0)
        };
        listed.push((short(name), blocks.map(owner).collect()));
    }
    listed
}

/// What must be listed of the organizations `seen`, of which one has no usage.
fn expected(requester: &str, seen: &[&str], combined: bool) -> Vec<(String, Vec<String>)> {
    let used = |name: &str| name != "Idle";
    if combined {
        let blocks = seen.iter().filter(|name| used(name));
        let blocks = blocks.map(|name| (*name).to_owned()).collect();
        return vec![(requester.to_owned(), blocks)];
    }
    let block = |name: &str| used(name).then(|| name.to_owned());
    let file = |name: &&str| ((*name).to_owned(), block(name).into_iter().collect());
    seen.iter().map(file).collect()
}

async fn check(world: &World, (kind, column, follows): (ExportKind, usize, bool)) {
    for (requester, under) in SEEN {
        for (linked, combined) in [(false, false), (false, true), (true, false), (true, true)] {
            let request = |new: &mut NewExport| {
                new.kind = kind;
                new.organization = named(requester);
                new.all_linked_orgs = linked;
                new.combined = combined;
            };
            let export = world.ask(request).await;
            world.worker(1).run_until_idle().await.unwrap();
            let own = [requester];
            let seen = if linked || !follows { under } else { &own };
            let found = listed(&world.texts(export).await, column);
            let asked = format!("{kind:?} linked {linked} combined {combined} by {requester}");
            assert_eq!(found, expected(requester, seen, combined), "{asked}");
        }
    }
}

#[tokio::test]
async fn a_requester_sees_itself_and_all_under_it_in_every_combination() {
    let world = told(TREE).await;
    for kind in KINDS {
        check(&world, kind).await;
    }
}

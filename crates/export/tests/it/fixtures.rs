//! The bytes of every layout, as files to be read beside the story they come from.

use domain::ids::MeterId;
use metadata::{ExportKind, ExportStatus, NewExport};

use crate::story::{named, told};
use crate::world::{World, meter_id};

const STORY: &str = include_str!("../fixtures/story.txt");

/// What the ZIP says of its entries, the way an unpacking program sees it.
const LISTING: &str = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    for entry in archive.infolist():
        year, month, day, hour, minute, second = entry.date_time
        print(entry.filename, 'flags', hex(entry.flag_bits), 'needs', entry.extract_version,
              'made by', entry.create_version, 'method', entry.compress_type,
              'at', f'{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}',
              'bytes', entry.file_size, 'lines', archive.read(entry).count(b'\\n'))
    print('comment', archive.comment, 'broken', archive.testzip())
";

/// Compares a fixture with what it should hold; `INSTA_UPDATE=always` writes it instead.
fn keep(name: &str, made: &str) {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(made, kept, "{name}: INSTA_UPDATE=always writes it anew");
}

async fn made(world: &World, change: impl FnOnce(&mut NewExport)) -> domain::ids::ExportId {
    let request = |new: &mut NewExport| {
        new.organization = named("Acme");
        new.start = "2013-01-05T12:34:56Z".into();
        new.end = "2013-01-21T00:00:00Z".into();
        change(new);
    };
    let export = world.ask(request).await;
    world.worker(2).run_until_idle().await.unwrap();
    let ended = world.export(export).await;
    assert_eq!(ended.status, ExportStatus::Success, "{ended:?}");
    export
}

/// The text of the one file an export has.
async fn file(world: &World, change: impl FnOnce(&mut NewExport)) -> String {
    let export = made(world, change).await;
    let files = world.files(export).await;
    let (name, text) = files.split_once('\n').unwrap();
    assert!(
        name.starts_with("== ") && !text.contains("\n== "),
        "{files}"
    );
    text.to_owned()
}

#[tokio::test]
async fn files_by_organization_are_the_fixtures_to_the_byte() {
    let world = told(STORY).await;
    for (name, kind, linked, combined) in [
        ("summary.csv", ExportKind::Summary, false, false),
        (
            "summary_combined.csv",
            ExportKind::SummaryAllLinked,
            false,
            true,
        ),
        (
            "project_folder.csv",
            ExportKind::ProjectFolder,
            false,
            false,
        ),
        (
            "project_folder_combined.csv",
            ExportKind::ProjectFolder,
            true,
            true,
        ),
        ("asset.csv", ExportKind::Asset, false, false),
    ] {
        let request = |new: &mut NewExport| {
            (new.kind, new.all_linked_orgs, new.combined) = (kind, linked, combined);
        };
        keep(name, &file(&world, request).await);
    }
}

#[tokio::test]
async fn job_level_reports_are_the_fixtures_to_the_byte() {
    let world = told(STORY).await;
    for (name, meter) in [
        ("data_integration.csv", 1),
        ("pushdown.csv", 6),
        ("application_integration.csv", 2),
        ("job_details.csv", 7),
    ] {
        let request = |new: &mut NewExport| {
            (new.kind, new.meter) = (ExportKind::JobLevel, Some(meter_id(meter)));
        };
        keep(name, &file(&world, request).await);
    }
}

#[tokio::test]
async fn entries_of_the_zip_are_the_fixture() {
    let world = told(STORY).await;
    let linked = made(&world, |new| new.all_linked_orgs = true).await;
    let all = |new: &mut NewExport| {
        (new.kind, new.all_meters) = (ExportKind::JobLevel, true);
        new.meter = Some(MeterId::from_random(1));
    };
    let all = made(&world, all).await;
    let linked = world.read_by_python(linked, LISTING).await;
    let all = world.read_by_python(all, LISTING).await;
    keep(
        "zip.txt",
        &format!("SUMMARY, allLinkedOrgs\n{linked}\njob-level, allMeters\n{all}"),
    );
}

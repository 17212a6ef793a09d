//! What our own API asks for besides: columns, forms and packing, in files that are read back by
//! other programs.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use domain::export::{FileFormat, Packing, Parameters};
use domain::quantity::{Quantity, Total};
use export::build::Gauge;
use jiff::civil::DateTime;
use metadata::{ExportKind, ExportSource, ExportStatus, NewExport};
use usage::query::{Batches, EventsQuery, ScanQuery, StoredEvent, TotalRow, TotalsQuery};
use usage::traits::SequencedBatch;
use usage::{EmbeddedStore, UsageStore, import_parquet};

use crate::world::{ROOT, SANDBOX, SUB, World, meter_id, organization};

const USAGE: &str = r#"
    000000000000000000Root 2013-01-05T10:00:00.25Z {"n1":1.5,"project":"P, \"quoted\"",
        +"taskId":"T1","coresUsed":2,"start":"2013-01-05T09:00:00Z","asset":"a"}
    000000000000000000Root 2013-01-05T11:00:00Z {"n1":"0.000833","project":"P"}
    000000000000000000Root 2013-01-31T23:59:59.999Z {"n1":1,"n3":"0.000000000001","user":"ada"}
    0000000000000000000Sub 2013-01-05T10:00:00Z {"n1":20000000.25,"folder":"null"}
    000000000000000Sandbox 2013-01-07T10:00:00Z {"n1":4,"project":"P"}
"#;

/// A kind that gives one file, with the column whose sum tells of it.
const KINDS: [(ExportKind, &str); 5] = [
    (ExportKind::Summary, "IPU"),
    (ExportKind::ProjectFolder, "Consumption (IPUs)"),
    (ExportKind::Asset, "Usage"),
    (ExportKind::JobLevel, "Metered Value"),
    (ExportKind::Usage, "usage"),
];

/// Reads a ZIP or gzip into a folder and prints its CSV files as JSON.
const UNPACK: &str = "
import csv, gzip, io, json, pathlib, sys, zipfile
path, folder = map(pathlib.Path, sys.argv[1:])
data = path.read_bytes()
if data[:2] == b'PK':
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
else:
    files = {'only': gzip.decompress(data)}
tables = []
for name, content in files.items():
    if content[:4] == b'PAR1':
        (folder / name).write_bytes(content)
        tables.append([name, None])
    else:
        lines = csv.reader(io.StringIO(content.decode(), newline=''))
        tables.append([name, [line for line in lines if line]])
print(json.dumps(tables))
";

type Rows = Vec<BTreeMap<String, String>>;

/// A file's columns, in order, and its rows without cells that say nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Table {
    columns: Vec<String>,
    rows: Rows,
}

fn choose(change: impl FnOnce(&mut Parameters)) -> Parameters {
    let mut parameters = Parameters::default();
    change(&mut parameters);
    parameters
}

/// Asks for a kind of everything under the root, combined.
fn asking(kind: ExportKind, parameters: &Parameters) -> impl FnOnce(&mut NewExport) {
    let stored = parameters.to_json();
    move |new| {
        new.kind = kind;
        new.meter = (kind == ExportKind::JobLevel).then(|| meter_id(1));
        new.all_linked_orgs = true;
        new.combined = true;
        new.parameters = Some(stored);
    }
}

async fn made(world: &World, kind: ExportKind, parameters: &Parameters) -> Vec<u8> {
    let export = world.ask(asking(kind, parameters)).await;
    world.worker(2).run_until_idle().await.unwrap();
    let done = world.export(export).await;
    assert_eq!(
        done.status,
        ExportStatus::Success,
        "{kind:?} {:?}",
        done.error_message
    );
    let extension = export::artifact::extension(parameters);
    assert!(
        done.artifact
            .unwrap()
            .path
            .ends_with(&format!("{export}.{extension}"))
    );
    world.zip(export).await
}

fn text_of(value: &serde_json::Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A cell in one spelling: numbers without trailing zeros, days and instants alike.
fn plain(cell: &str) -> String {
    let time = cell.strip_suffix('Z').unwrap_or(cell).parse::<DateTime>();
    if let Ok(time) = time.map(|time| time.to_string()) {
        return time;
    }
    match cell.parse::<Quantity>() {
        Ok(number) => number.to_string(),
        Err(_) => cell.to_owned(),
    }
}

fn table(columns: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> Table {
    let row = |cells: Vec<String>| {
        let named = columns.iter().cloned().zip(cells);
        let said = named.filter(|(_, cell)| !cell.is_empty() && cell != "null");
        said.map(|(column, cell)| (column, plain(&cell))).collect()
    };
    let rows = rows.map(row).collect();
    Table { columns, rows }
}

fn read_parquet(path: &Path, columns: &[String]) -> Table {
    let names: Vec<_> = columns.iter().map(String::as_str).collect();
    let mut rows = import_parquet::Rows::open(path, &names, false).unwrap();
    let mut read = Vec::new();
    while let Some(batch) = rows.next(1_000).unwrap() {
        for line in batch.json_lines().text.lines() {
            let object: serde_json::Map<_, _> = serde_json::from_str(line).unwrap();
            let cells = columns
                .iter()
                .map(|column| object.get(column).map_or_else(String::new, text_of));
            read.push(cells.collect());
        }
    }
    table(columns.to_vec(), read.into_iter())
}

/// The one file of an artifact; a Parquet file has `columns` and is kept as `kept`.
fn unpack(artifact: &[u8], columns: &[String], kept: &Path) -> Table {
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("artifact");
    std::fs::write(&packed, artifact).unwrap();
    let unpack = Command::new("python3")
        .args(["-c", UNPACK])
        .arg(&packed)
        .arg(folder.path())
        .output();
    let unpack = unpack.expect("python3 reads the artifact");
    assert!(
        unpack.status.success(),
        "{}",
        String::from_utf8_lossy(&unpack.stderr)
    );
    let mut tables: Vec<(String, Option<Vec<Vec<String>>>)> =
        serde_json::from_slice(&unpack.stdout).unwrap();
    let (name, lines) = tables.pop().unwrap();
    assert!(tables.is_empty(), "{tables:?}");
    let Some(lines) = lines else {
        std::fs::copy(folder.path().join(name), kept).unwrap();
        return read_parquet(kept, columns);
    };
    let mut lines = lines.into_iter();
    let header = lines.next().unwrap();
    table(header, lines)
}

fn sum(table: &Table, column: &str) -> Total {
    let cells = table.rows.iter().filter_map(|row| row.get(column));
    cells.fold(Total::ZERO, |sum, cell| {
        sum + cell.parse::<Quantity>().unwrap().into()
    })
}

/// Lets DuckDB add up a column, where `cargo xtask test` says which Python has it.
fn compare_with_duckdb(path: &Path, column: &str, csv: &Table) {
    let Ok(python) = std::env::var("TEST_DUCKDB") else {
        return;
    };
    let (rows, total) = (csv.rows.len().to_string(), sum(csv, column).to_string());
    let compared = Command::new(python)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../oracle/parquet.py"
        ))
        .arg(path)
        .args([column, &rows, &total])
        .output()
        .unwrap();
    assert!(
        compared.status.success(),
        "{}",
        String::from_utf8_lossy(&compared.stderr)
    );
}

#[tokio::test]
async fn every_kind_holds_the_same_rows_in_every_form_and_packing_and_the_same_bytes_again() {
    let world = World::new().await;
    world.take(USAGE).await;
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("table.parquet");
    for (kind, summed) in KINDS {
        let mut csv: Option<Table> = None;
        for format in [FileFormat::Csv, FileFormat::Parquet] {
            for packing in [Packing::Zip, Packing::Gzip] {
                let parameters = choose(|all| (all.format, all.packing) = (format, packing));
                let artifact = made(&world, kind, &parameters).await;
                world.store.flush_now().unwrap();
                let again = made(&world, kind, &parameters).await;
                let end = again.len();
                assert_eq!(artifact, again[..end], "{kind:?} {format:?} {packing:?}");
                let columns = csv.as_ref().map_or(&[][..], |csv| &csv.columns);
                let table = unpack(&artifact, columns, &kept);
                assert!(table.rows.len() > 2, "{kind:?} has rows");
                let first = csv.get_or_insert_with(|| table.clone());
                assert_eq!(*first, table, "{kind:?} {format:?} {packing:?}");
                if format == FileFormat::Parquet {
                    compare_with_duckdb(&kept, summed, &table);
                }
            }
        }
        assert_ne!(sum(&csv.unwrap(), summed), Total::ZERO, "{kind:?}");
    }
}

#[tokio::test]
async fn any_choice_of_columns_is_the_whole_file_with_the_others_dropped() {
    let world = World::new().await;
    world.take(USAGE).await;
    let unused = Path::new("unused");
    let mut state = 20_130_105_u64;
    for (kind, _) in KINDS
        .into_iter()
        .filter(|(kind, _)| *kind != ExportKind::Usage)
    {
        let whole = made(&world, kind, &Parameters::default()).await;
        let whole = unpack(&whole, &[], unused);
        for _ in 0..6 {
            let mut left = whole.columns.clone();
            let mut chosen = Vec::new();
            let count = 1 + usize::try_from(state >> 60).unwrap() % left.len();
            for _ in 0..count {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let place = usize::try_from(state >> 33).unwrap() % left.len();
                chosen.push(left.remove(place));
            }
            let parameters = choose(|all| all.columns.clone_from(&chosen));
            let part = unpack(&made(&world, kind, &parameters).await, &[], unused);
            let mut expected = whole.rows.clone();
            for row in &mut expected {
                row.retain(|column, _| chosen.contains(column));
            }
            // A line without any value reads as an empty one.
            let lines = |rows: &Rows| {
                rows.iter()
                    .filter(|row| !row.is_empty())
                    .cloned()
                    .collect::<Rows>()
            };
            assert_eq!(part.columns, chosen);
            assert_eq!(lines(&part.rows), lines(&expected), "{kind:?} {chosen:?}");
        }
    }
}

#[tokio::test]
async fn job_level_reports_of_several_organizations_are_ordered_by_organization_and_time() {
    let world = World::new().await;
    world.take(USAGE).await;
    let parameters = choose(|all| {
        all.organizations = vec![organization(SANDBOX), organization(ROOT), organization(SUB)];
        all.columns = vec!["Org ID".into(), "Audit Time".into()];
    });
    let artifact = made(&world, ExportKind::JobLevel, &parameters).await;
    let table = unpack(&artifact, &[], Path::new("unused"));
    let rows = table
        .rows
        .iter()
        .map(|row| (&row["Org ID"], &row["Audit Time"]));
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows.len(), 5);
    assert!(rows.is_sorted(), "{rows:?}");
}

#[tokio::test]
async fn usage_has_snake_case_columns_and_every_digit() {
    let world = World::new().await;
    world.take(USAGE).await;
    let parameters = choose(|all| all.organizations = vec![organization(ROOT)]);
    let export = world.ask(asking(ExportKind::Usage, &parameters)).await;
    world.worker(1).run_until_idle().await.unwrap();
    let root = organization(ROOT);
    let expected = format!(
        "== {root}.csv\n\
         date,organization_id,organization,meter_id,meter,unit,usage\n\
         2013-01-05,{root},The Root,0000000000000000000001,meter-1,hour,1.500833\n\
         2013-01-31,{root},The Root,0000000000000000000001,meter-1,hour,1\n\
         2013-01-31,{root},The Root,0000000000000000000003,meter-3,hour,0.000000000001\n"
    );
    assert_eq!(world.files(export).await, expected);
}

#[tokio::test]
async fn what_cannot_be_chosen_fails_the_job_with_its_reason() {
    let world = World::new().await;
    for (stored, reason) in [
        (
            r#"{"version":2}"#.to_owned(),
            "the parameters kept with the job are not those of this release: ask again".to_owned(),
        ),
        (
            choose(|all| all.columns = vec!["Colour".into()]).to_json(),
            "column \"Colour\" does not exist: the columns are Date, Project, Folder, Org ID, \
             Org Type, Consumption (IPUs)"
                .to_owned(),
        ),
    ] {
        let request = |new: &mut NewExport| {
            new.kind = ExportKind::ProjectFolder;
            new.parameters = Some(stored);
        };
        let export = world.ask(request).await;
        world.worker(1).run_until_idle().await.unwrap();
        let failed = world.export(export).await;
        assert_eq!(failed.status, ExportStatus::Failed);
        assert_eq!((failed.error_message, failed.attempts), (Some(reason), 1));
    }
}

#[tokio::test]
async fn the_vendors_door_gives_assets_of_the_requester_alone_whatever_else_it_says() {
    let world = World::new().await;
    world.take(USAGE).await;
    for (source, files) in [(ExportSource::Vendor, 1), (ExportSource::Own, 3)] {
        let request = |new: &mut NewExport| {
            (new.kind, new.source) = (ExportKind::Asset, source);
            new.all_linked_orgs = true;
        };
        let export = world.ask(request).await;
        world.worker(1).run_until_idle().await.unwrap();
        let text = world.files(export).await;
        let names = text.lines().filter(|line| line.starts_with("== "));
        assert_eq!(names.count(), files, "{text}");
    }
}

/// A store that notes how far a build says it is whenever it is asked.
#[derive(Debug)]
struct Watching(Arc<EmbeddedStore>, Arc<Gauge>, Mutex<Vec<u8>>);

impl Watching {
    fn note(&self) {
        self.2.lock().unwrap().push(self.1.percent());
    }
}

#[async_trait]
impl UsageStore for Watching {
    async fn insert(&self, batch: SequencedBatch) -> usage::Result<()> {
        self.0.insert(batch).await
    }

    async fn scan(&self, query: ScanQuery, as_of: u64) -> usage::Result<Batches> {
        self.note();
        self.0.scan(query, as_of).await
    }

    async fn totals(&self, query: TotalsQuery, as_of: u64) -> usage::Result<Vec<TotalRow>> {
        self.note();
        self.0.totals(query, as_of).await
    }

    async fn events(&self, query: EventsQuery, as_of: u64) -> usage::Result<Vec<StoredEvent>> {
        self.0.events(query, as_of).await
    }

    async fn watermark(&self) -> usage::Result<u64> {
        self.0.watermark().await
    }
}

#[tokio::test]
async fn the_percent_grows_while_files_are_made() {
    let world = World::new().await;
    world.take(USAGE).await;
    for (kind, _) in KINDS {
        world
            .ask(|new| {
                asking(kind, &Parameters::default())(new);
                (new.meter, new.all_meters) = (None, true);
            })
            .await;
        let gauge = Arc::new(Gauge::default());
        let store = Watching(
            Arc::clone(&world.store),
            Arc::clone(&gauge),
            Mutex::default(),
        );
        let store = Arc::new(store);
        let worker = world.worker_on(Arc::<Watching>::clone(&store), 1);
        let claimed = worker.claim().await.unwrap().unwrap();
        let built = worker.build(&claimed, &gauge).await.unwrap();
        assert_eq!(gauge.percent(), 100);
        let rows: u64 = built.files().iter().map(|file| file.rows).sum();
        assert_eq!(gauge.rows(), rows, "{kind:?}");
        let mut seen = store.2.lock().unwrap().clone();
        assert!(seen.is_sorted(), "{kind:?} {seen:?}");
        seen.dedup();
        assert!(seen.len() >= 3 && seen[0] == 0, "{kind:?} {seen:?}");
        world.pass(1);
    }
}

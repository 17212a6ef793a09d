//! `tallyport import`: the program from outside, on files of every form.

mod text;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use domain::tree::OrganizationKind;
use metadata::Role;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::TestServer;
use crate::proxy::Proxy;

/// Of the seven events one has no subject and one no time.
const TAKEN: u64 = 5;
const REFUSED: u64 = 2;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/import")
        .join(name)
}

/// Runs the program, which must succeed, and reads its document.
fn run(data_dir: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_tallyport"))
        .args(["import", "--json", "--data-dir"])
        .arg(data_dir)
        .args(arguments)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn import(data_dir: &Path, file: &Path, more: &[&str]) -> Value {
    let mut arguments = vec![file.to_str().unwrap()];
    arguments.extend(more);
    run(data_dir, &arguments)
}

/// accepted, duplicate, conflict, refused.
fn counts(report: &Value) -> [u64; 4] {
    ["accepted", "duplicate", "conflict", "refused"].map(|name| report[name].as_u64().unwrap())
}

/// The codes of what was not taken, with the number of their record.
fn named(report: &Value) -> Vec<String> {
    let named = report["files"][0]["notAccepted"].as_array().unwrap().iter();
    named
        .map(|named| format!("{} {}", named["record"], named["code"].as_str().unwrap()))
        .collect()
}

/// A data directory with the account of the first start, which nobody has open.
async fn free_directory() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_owned();
    let server = TestServer::start_with(|config| config.server.data_dir = data_dir).await;
    server.stop().await;
    folder
}

/// The events packed in some way, in a file of their own.
fn packed(folder: &Path, name: &str, pack: impl FnOnce(&[u8]) -> Vec<u8>) -> PathBuf {
    let path = folder.join(name);
    let plain = std::fs::read(fixture("events.ndjson")).unwrap();
    std::fs::write(&path, pack(&plain)).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_a_file_holds_the_same_events_with_the_same_outcomes() {
    let folder = free_directory().await;
    let refused = ["5 missing_attribute", "6 invalid_time"];
    let first = import(folder.path(), &fixture("events.ndjson"), &[]);
    assert_eq!(counts(&first), [TAKEN, 0, 0, REFUSED]);
    assert_eq!(named(&first), refused);

    let mapping = fixture("calls.yaml");
    let mapping = ["--mapping", mapping.to_str().unwrap()];
    let csv = import(folder.path(), &fixture("events.csv"), &mapping);
    assert_eq!(counts(&csv), [0, TAKEN, 0, REFUSED]);
    assert_eq!(named(&csv), refused);
    let parquet = import(folder.path(), &fixture("events.parquet"), &[]);
    assert_eq!(counts(&parquet), [0, TAKEN, 0, REFUSED]);
    assert_eq!(named(&parquet), refused);

    let gzip = packed(folder.path(), "events.ndjson.gz", |plain| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(plain).unwrap();
        packer.finish().unwrap()
    });
    let zstd = packed(folder.path(), "events.jsonl.zst", |plain| {
        zstd::encode_all(plain, 1).unwrap()
    });
    for file in [gzip, zstd] {
        assert_eq!(
            counts(&import(folder.path(), &file, &[])),
            [0, TAKEN, 0, REFUSED]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_import_goes_on_where_it_stopped_and_a_finished_one_changes_nothing() {
    let folder = free_directory().await;
    let file = fixture("events.ndjson");
    let part = import(folder.path(), &file, &["--limit", "3"]);
    assert_eq!(counts(&part), [3, 0, 0, 0]);
    assert_eq!(part["files"][0]["complete"], false);

    let rest = import(folder.path(), &file, &[]);
    assert_eq!(rest["files"][0]["skipped"], 3);
    assert_eq!(counts(&rest), [TAKEN - 3, 0, 0, REFUSED]);
    assert_eq!(named(&rest), ["5 missing_attribute", "6 invalid_time"]);

    let again = import(folder.path(), &file, &[]);
    assert_eq!(again["files"][0]["skipped"], 0);
    assert_eq!(counts(&again), [0, TAKEN, 0, REFUSED]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_breaks_off_keeps_what_came_before() {
    let folder = free_directory().await;
    let lines = |numbers: std::ops::Range<u32>| -> String {
        let line = |number| {
            format!(
                "{{\"specversion\":\"1.0\",\"id\":\"{number}\",\"source\":\"s\",\"type\":\"t\",\
                 \"subject\":\"u\",\"data\":{{\"text\":\"{}\"}}}}\n",
                "x".repeat(1000)
            )
        };
        numbers.map(line).collect()
    };
    let path = folder.path().join("events.ndjson.zst");
    let whole = zstd::encode_all(lines(0..3000).as_bytes(), 1).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 100]).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tallyport"))
        .args(["import", "--data-dir"])
        .args([folder.path(), &path])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("ended early"), "{told}");

    std::fs::write(&path, &whole).unwrap();
    let report = import(folder.path(), &path, &[]);
    let [accepted, duplicate, conflict, refused] = counts(&report);
    assert_eq!((accepted + duplicate, conflict, refused), (3000, 0, 0));
    assert!(
        duplicate > 0,
        "the first blocks were stored before the file broke off"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_takes_the_same_file_with_the_same_outcomes() {
    let server = TestServer::start().await;
    let data_dir = server.data_dir();
    let import = move || import(&data_dir, &fixture("events.ndjson"), &[]);
    let first = tokio::task::spawn_blocking(import.clone()).await.unwrap();
    assert_eq!(counts(&first), [TAKEN, 0, 0, REFUSED]);
    let again = tokio::task::spawn_blocking(import).await.unwrap();
    assert_eq!(counts(&again), [0, TAKEN, 0, REFUSED]);
    assert_eq!(named(&again), ["5 missing_attribute", "6 invalid_time"]);
}

/// A checkpoint is kept on this machine; the servers have data directories of their own.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_belongs_to_store_and_organization_whatever_url_leads_there() {
    let (one, other) = (TestServer::start().await, TestServer::start().await);
    let root = one.root().await;
    let key = one.key(root, Role::Writer).await;
    let other_key = other.key(other.root().await, Role::Writer).await;
    let below = one
        .organization("Below", OrganizationKind::SubOrganization, root)
        .await;
    let key_below = one.key(below, Role::Writer).await;
    let proxy = Proxy::before(&one, false).await;
    let here = tempfile::tempdir().unwrap();
    let skipped = async |url: String, key: &str, limit: &str| {
        let (folder, key, limit) = (here.path().to_owned(), key.to_owned(), limit.to_owned());
        let run = move || {
            let more = ["--url", &url, "--key", &key, "--limit", &limit];
            import(&folder, &fixture("events.ndjson"), &more)
        };
        let report = tokio::task::spawn_blocking(run).await.unwrap();
        report["files"][0]["skipped"].as_u64().unwrap()
    };
    assert_eq!(skipped(one.url(""), &key, "2").await, 0);
    assert_eq!(
        skipped(proxy.url.clone(), &key, "1").await,
        2,
        "the same store goes on"
    );
    assert_eq!(
        skipped(proxy.url.clone(), &key_below, "1").await,
        0,
        "as another sender"
    );
    proxy.lead_to(&other);
    assert_eq!(
        skipped(proxy.url.clone(), &other_key, "1").await,
        0,
        "another store starts anew"
    );
    assert_eq!(skipped(one.url(""), &key, "100").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_through_a_server_goes_on_in_its_free_directory() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_owned();
    let server = TestServer::start_with(|config| config.server.data_dir = data_dir).await;
    let data_dir = folder.path().to_owned();
    let begin = move || import(&data_dir, &fixture("events.ndjson"), &["--limit", "3"]);
    let part = tokio::task::spawn_blocking(begin).await.unwrap();
    assert_eq!(counts(&part), [3, 0, 0, 0]);
    server.stop().await;
    let rest = import(folder.path(), &fixture("events.ndjson"), &[]);
    assert_eq!(rest["files"][0]["skipped"], 3);
    assert_eq!(counts(&rest), [TAKEN - 3, 0, 0, REFUSED]);
}

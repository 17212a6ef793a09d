//! The order inside one stream or file decides which of two copies counts, and which of two events
//! of one instant is the latest.

use std::path::{Path, PathBuf};

use metadata::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, TestServer};
use crate::proxy::Proxy;

/// Events of each block whose first copies are small and many.
const SMALL: u64 = 3_500;
/// Later copies in the block behind it, which is large, few and so prepared sooner.
const LARGE: u64 = 18;
/// Pairs of such blocks.
const PAIRS: u64 = 4;

fn line(id: &str, amount: u64, number: u64, note: &str) -> String {
    let event = json!({
        "specversion": "1.0", "id": id, "source": "order", "type": "ordered", "subject": "s",
        "time": "2026-06-01T11:00:00Z",
        "data": {"amount": amount, "number": number, "note": note},
    });
    format!("{event}\n")
}

/// Every id comes first with 1 and, for some a block later, with a million; the last line of each
/// pair has an id of its own.
fn lines() -> String {
    let (short, long) = ("s".repeat(80), "l".repeat(60_000));
    let mut lines = String::new();
    for pair in 0..PAIRS {
        for place in 0..SMALL {
            lines += &line(&format!("{pair}-{place}"), 1, place, &short);
        }
        for place in SMALL - LARGE..SMALL {
            lines += &line(&format!("{pair}-{place}"), 1_000_000, place, &long);
        }
        lines += &line(&format!("{pair}-last"), 1, 10_000 + pair, &short);
    }
    lines
}

async fn declare_meters(server: &TestServer) {
    let key = server.key(server.root().await, Role::Operator).await;
    for (slug, aggregation, property) in
        [("sum", "SUM", "$.amount"), ("latest", "LATEST", "$.number")]
    {
        let meter = json!({
            "slug": slug, "eventType": "ordered", "aggregation": aggregation,
            "valueProperty": property,
        });
        let created = server
            .post(&key, "/api/v1/meters", &meter.to_string())
            .await;
        assert_eq!(created.status, 201, "{}", created.body);
    }
}

/// The first copies and the last lines, and nothing else, count.
async fn check(server: &TestServer) {
    let key = server.key(server.root().await, Role::Owner).await;
    let value = async |meter: &str| {
        let path = format!("/api/v1/meters/{meter}/query?from=2026-06-01T00:00:00Z");
        let answer = server.get(&key, &path).await.json();
        answer["data"][0]["value"].as_f64().unwrap_or_default()
    };
    let expected = u32::try_from(PAIRS * (SMALL + 1)).unwrap();
    assert!((value("sum").await - f64::from(expected)).abs() < 0.5);
    let latest = u32::try_from(10_000 + PAIRS - 1).unwrap();
    assert!((value("latest").await - f64::from(latest)).abs() < 0.5);
}

fn file(folder: &Path) -> PathBuf {
    let path = folder.join("ordered.ndjson");
    std::fs::write(&path, lines()).unwrap();
    path
}

async fn import(arguments: Vec<String>) -> Value {
    let run = move || {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_tallyport"));
        program.args(["import", "--json"]).args(arguments).output()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_decided_in_the_order_of_its_lines() {
    for _ in 0..2 {
        let server = TestServer::start().await;
        declare_meters(&server).await;
        let key = server.key(server.root().await, Role::Writer).await;
        let request = server.request(Method::POST, "/api/v1/events");
        let request = request
            .bearer_auth(&key)
            .header("content-type", "application/x-ndjson")
            .header("prefer", "return=representation")
            .body(lines());
        let counts = Answer::of(request).await.json()["counts"].clone();
        assert_eq!(counts["conflict"], PAIRS * LARGE);
        check(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_into_a_free_directory_is_decided_in_the_order_of_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_owned();
    let start = || {
        let data_dir = data_dir.clone();
        TestServer::start_with(|config| config.server.data_dir = data_dir)
    };
    let server = start().await;
    declare_meters(&server).await;
    server.stop().await;
    let path = file(folder.path());
    let arguments = [
        path.to_str().unwrap(),
        "--data-dir",
        data_dir.to_str().unwrap(),
    ];
    let report = import(arguments.map(str::to_owned).to_vec()).await;
    assert_eq!(report["conflict"], PAIRS * LARGE);
    check(&start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_through_a_server_is_decided_in_the_order_of_its_records() {
    let server = TestServer::start().await;
    declare_meters(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let (path, data_dir) = (file(folder.path()), server.data_dir());
    let arguments = [
        path.to_str().unwrap(),
        "--data-dir",
        data_dir.to_str().unwrap(),
    ];
    let report = import(arguments.map(str::to_owned).to_vec()).await;
    assert_eq!(report["conflict"], PAIRS * LARGE);
    check(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_must_be_sent_again_holds_back_all_behind_it() {
    let server = TestServer::start().await;
    declare_meters(&server).await;
    let key = server.key(server.root().await, Role::Writer).await;
    let overloaded = Proxy::before(&server, true).await;
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    let free = folder.path().join("none");
    let arguments = [
        path.to_str().unwrap(),
        "--data-dir",
        free.to_str().unwrap(),
        "--url",
        &overloaded.url,
        "--key",
        &key,
    ];
    let report = import(arguments.map(str::to_owned).to_vec()).await;
    assert_eq!(report["conflict"], PAIRS * LARGE);
    assert!(overloaded.refused() >= 2);
    check(&server).await;
}

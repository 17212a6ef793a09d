//! What a finished export gives out: its file in parts, and its manifest, for three days.

use std::io::Read;
use std::process::Command;

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::json;

use super::{analyst, ask, january, path};
use crate::harness::{Answer, TestServer, redact};

#[tokio::test]
async fn the_manifest_tells_rows_and_control_sums_of_the_file_that_is_there() {
    let (server, key) = analyst().await;
    let asked = ask(&server, &key, &january("SUMMARY")).await;
    server.run_jobs_until_idle().await;
    let export = server.get(&key, &path(&asked)).await.json();
    let manifest = server
        .get(&key, &format!("{}/manifest", path(&asked)))
        .await;
    assert_eq!(manifest.header("content-type"), "application/json");
    let json = manifest.json();
    assert_eq!(json["export"], export["id"]);
    assert_eq!(json["archive"]["sha256"], export["artifact"]["sha256"]);
    assert_eq!(json["archive"]["bytes"], export["artifact"]["bytes"]);
    let file = &json["files"][0];
    assert_snapshot!(redact(&file["name"].to_string()), @r#""[id].csv""#);
    assert_eq!(file["rows"], export["progress"]["rows"]);
    let controls = &file["controls"];
    assert_eq!(controls["ipu"], "0.600000000000000000000000");
    assert_eq!(controls["usage"], "303.750000000000");
}

#[tokio::test]
async fn a_file_comes_whole_in_parts_or_not_again() {
    let (server, key) = analyst().await;
    let asked = ask(&server, &key, &january("SUMMARY")).await;
    server.run_jobs_until_idle().await;
    let export = server.get(&key, &path(&asked)).await.json();
    let url = format!("{}/download", path(&asked));
    let fetch = async |name: &'static str, value: String| {
        let request = server.request(Method::GET, &url).bearer_auth(&key);
        let response = request.header(name, value).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, headers, response.bytes().await.unwrap())
    };
    let (status, headers, whole) = fetch("accept", "*/*".to_owned()).await;
    assert_eq!(status, 200);
    assert_eq!(
        whole.len() as u64,
        export["artifact"]["bytes"].as_u64().unwrap()
    );
    let tag = headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(tag.trim_matches('"'), export["artifact"]["sha256"]);
    let name = export["artifact"]["fileName"].as_str().unwrap();
    let disposition = headers["content-disposition"].to_str().unwrap();
    assert_eq!(disposition, format!("attachment; filename=\"{name}\""));
    assert_eq!(headers["content-type"], "application/zip");
    let (status, headers, part) = fetch("range", "bytes=4-13".to_owned()).await;
    assert_eq!((status, &part[..]), (206, &whole[4..14]));
    let sizes = format!("bytes 4-13/{}", whole.len());
    assert_eq!(headers["content-range"], sizes.as_str());
    assert_eq!(fetch("if-none-match", tag).await.0, 304);
    assert_eq!(fetch("range", "bytes=999999-".to_owned()).await.0, 416);
}

/// The one file of a gzip export of usage, and the sum its manifest tells.
async fn usage_as(server: &TestServer, key: &str, format: &str) -> (Vec<u8>, String) {
    let mut body = january("USAGE");
    body["format"] = json!(format);
    body["packing"] = json!("gzip");
    body["combined"] = json!(true);
    body["columns"] = json!(["usage", "meter", "folder"]);
    let asked = ask(server, key, &body).await;
    server.run_jobs_until_idle().await;
    let made = server.get(key, &path(&asked)).await.json();
    assert_eq!(made["status"], "SUCCESS");
    let name = made["artifact"]["fileName"].as_str().unwrap();
    assert!(name.ends_with(&format!(".{format}.gz")), "{name}");
    let manifest = server.get(key, &format!("{}/manifest", path(&asked))).await;
    let file = manifest.json()["files"][0].clone();
    assert_eq!(file["rows"], made["progress"]["rows"]);
    let url = format!("{}/download", path(&asked));
    let request = server.request(Method::GET, &url).bearer_auth(key);
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/gzip");
    let packed = response.bytes().await.unwrap();
    let mut bytes = Vec::new();
    let mut unpacked = flate2::read::GzDecoder::new(&packed[..]);
    unpacked.read_to_end(&mut bytes).unwrap();
    let sum = file["controls"]["usage"].as_str().unwrap();
    (bytes, sum.to_owned())
}

#[tokio::test]
async fn usage_comes_as_one_packed_file_of_lines_or_of_typed_columns() {
    let (server, key) = analyst().await;
    let (csv, sum) = usage_as(&server, &key, "csv").await;
    let csv = String::from_utf8(csv).unwrap();
    assert!(csv.starts_with("usage,meter,folder\n"), "{csv}");
    let rows = csv.lines().count() - 1;
    assert!(rows > 1, "{csv}");
    let (parquet, same) = usage_as(&server, &key, "parquet").await;
    assert_eq!((&parquet[..4], same), (&b"PAR1"[..], sum.clone()));
    // `cargo xtask test` names a Python that has DuckDB.
    if let Ok(python) = std::env::var("TEST_DUCKDB") {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("usage.parquet");
        std::fs::write(&table, parquet).unwrap();
        let mut compare = Command::new(python);
        compare.arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../oracle/parquet.py"
        ));
        compare.arg(&table).args(["usage", &rows.to_string(), &sum]);
        let compared = compare.output().unwrap();
        assert!(compared.status.success(), "{compared:?}");
    }
}

#[tokio::test]
async fn after_three_days_file_and_manifest_are_gone_and_the_export_stays() {
    let (server, key) = analyst().await;
    let asked = ask(&server, &key, &january("SUMMARY")).await;
    server.run_jobs_until_idle().await;
    let before = server.get(&key, &path(&asked)).await.json();
    server.advance(3 * 24 * 3_600);
    let gone = async |what: &str| {
        let gone = server.get(&key, &format!("{}/{what}", path(&asked))).await;
        (gone.status, gone.json()["code"].clone())
    };
    let expected = (410, json!("export_expired"));
    for what in ["download", "manifest"] {
        assert_eq!(gone(what).await, expected);
    }
    server.app().exports.worker.sweep().await.unwrap();
    for what in ["download", "manifest"] {
        assert_eq!(gone(what).await, expected);
    }
    let after = server.get(&key, &path(&asked)).await.json();
    assert_eq!(
        (&after["status"], &after["outcome"]),
        (&json!("EXPIRED"), &json!("SUCCESS"))
    );
    assert_eq!(after["artifact"], json!(null));
    assert_eq!(after["expiresAt"], before["expiresAt"]);
}

#[tokio::test]
async fn what_is_not_there_yet_is_told() {
    let (server, key) = analyst().await;
    let asked = ask(&server, &key, &january("SUMMARY")).await;
    for what in ["download", "manifest"] {
        let url = format!("{}/{what}", path(&asked));
        let early = server.get(&key, &url).await;
        assert_eq!(early.status, 409);
        assert_eq!(early.json()["code"], "export_not_ready");
        assert_eq!(
            Answer::of(server.request(Method::GET, &url)).await.status,
            401
        );
    }
}

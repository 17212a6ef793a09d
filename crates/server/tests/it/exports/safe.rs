//! CSV that spreadsheets open: texts that they would run, as they are and made safe.

use std::io::Read;

use metadata::Role;
use reqwest::Method;
use serde_json::json;

use super::{EXPORTS, analyst, ask, january, path};
use crate::harness::TestServer;

/// One event a project, with hours below zero.
async fn send(server: &TestServer, projects: &[&str]) {
    let writer = server.key(server.root().await, Role::Writer).await;
    let events = projects.iter().enumerate().map(|(index, project)| {
        json!({
            "specversion": "1.0", "id": format!("risky {index}"), "source": "test",
            "type": "flight", "subject": "@cmd", "time": "2026-01-09T10:00:00Z",
            "data": {"hours": "-1.5", "project": project},
        })
    });
    let events = json!(events.collect::<Vec<_>>()).to_string();
    let media = "application/cloudevents-batch+json";
    let sent = server.send(&writer, "/api/v1/events", media, &events).await;
    assert_eq!(sent.status, 204, "{}", sent.body);
}

#[tokio::test]
async fn texts_that_spreadsheets_run_get_an_apostrophe_where_it_is_asked_for() {
    let (server, key) = analyst().await;
    send(&server, &["=1+1", "+a", "-b", "@c", "\td", "\re", "f=1"]).await;
    let mut body = january("USAGE");
    body["columns"] = json!(["project", "subject", "date", "usage"]);
    body["meters"] = json!(["hours"]);
    body["packing"] = json!("gzip");
    body["combined"] = json!(true);
    let mut shas = Vec::new();
    let mut lines = Vec::new();
    for csv_safe in [false, true, true] {
        body["csvSafe"] = json!(csv_safe);
        if let Some(first) = shas.first() {
            let first: &serde_json::Value = first;
            body["asOf"] = first["asOf"].clone();
        }
        let asked = ask(&server, &key, &body).await;
        assert_eq!(asked.status, 202, "{}", asked.body);
        server.run_jobs_until_idle().await;
        let made = server.get(&key, &path(&asked)).await.json();
        assert_eq!(made["status"], "SUCCESS", "{made}");
        assert_eq!(made["request"]["csvSafe"], json!(csv_safe));
        let url = path(&asked) + "/download";
        let request = server.request(Method::GET, &url).bearer_auth(&key);
        let packed = request.send().await.unwrap().bytes().await.unwrap();
        let mut text = String::new();
        let mut unpacked = flate2::read::GzDecoder::new(&packed[..]);
        unpacked.read_to_string(&mut text).unwrap();
        lines.push(text);
        shas.push(made);
    }
    let plain = [
        "=1+1,@cmd,2026-01-09,-1.5",
        "+a,@cmd,2026-01-09,-1.5",
        "-b,@cmd,2026-01-09,-1.5",
        "@c,@cmd,2026-01-09,-1.5",
        "\td,@cmd,2026-01-09,-1.5",
        "\"\re\",@cmd,2026-01-09,-1.5",
        "f=1,@cmd,2026-01-09,-1.5",
    ];
    let safe = [
        "'=1+1,'@cmd,2026-01-09,-1.5",
        "'+a,'@cmd,2026-01-09,-1.5",
        "'-b,'@cmd,2026-01-09,-1.5",
        "'@c,'@cmd,2026-01-09,-1.5",
        "'\td,'@cmd,2026-01-09,-1.5",
        "\"'\re\",'@cmd,2026-01-09,-1.5",
        "f=1,'@cmd,2026-01-09,-1.5",
    ];
    for (text, expected) in lines.iter().zip([plain, safe]) {
        for line in expected {
            assert!(text.contains(&format!("\n{line}")), "{line:?} in {text}");
        }
    }
    let sha256 = |index: usize| shas[index]["artifact"]["sha256"].clone();
    assert_eq!(sha256(1), sha256(2), "an equal request gives equal bytes");
    assert_ne!(sha256(0), sha256(1));
}

#[tokio::test]
async fn a_schedule_keeps_the_choice_and_typed_files_refuse_it() {
    let (server, key) = analyst().await;
    let schedule = json!({"every": "daily", "kind": "USAGE", "csvSafe": true});
    let path = "/api/v1/export-schedules";
    let made = server.post(&key, path, &schedule.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.json()["request"]["csvSafe"], true);
    let mut body = january("USAGE");
    body["csvSafe"] = json!(true);
    body["format"] = json!("parquet");
    let refused = server.post(&key, EXPORTS, &body.to_string()).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert_eq!(refused.json()["code"], "invalid_export");
    let expected = "csvSafe is true: expected false, or format csv";
    assert_eq!(refused.json()["detail"], expected);
}

//! Files of text as other programs write them: each is read as it is meant or refused by number,
//! and none in two ways.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::{counts, fixture, free_directory, named};
use crate::harness::TestServer;

const MAPPING: &str = "
attributes:
  id: {column: id}
  source: {constant: text}
  type: {constant: call}
  subject: {constant: ann}
  time: {column: time}
data:
  n: {column: n, type: number}
";

/// A folder with a mapping and files, and the data directory they are imported into.
struct World {
    folder: tempfile::TempDir,
    data_dir: PathBuf,
}

/// What the program said: its document, which is empty where it ended early, and its messages.
struct Said {
    report: Value,
    messages: String,
}

impl World {
    async fn new() -> Self {
        let folder = free_directory().await;
        let data_dir = folder.path().to_owned();
        Self { folder, data_dir }
    }

    fn import(&self, name: &str, bytes: impl AsRef<[u8]>, mapping: Option<&str>) -> Said {
        let file = self.folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let mut import = Command::new(env!("CARGO_BIN_EXE_tallyport"));
        import.args(["import", "--json", "--data-dir"]);
        import.args([&self.data_dir, &file]);
        if let Some(mapping) = mapping {
            let path = self.folder.path().join("mapping.yaml");
            std::fs::write(&path, mapping).unwrap();
            import.arg("--mapping").arg(path);
        }
        let output = import.output().unwrap();
        let messages = String::from_utf8(output.stderr).unwrap();
        let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        assert!(output.status.success() || report.is_null() || counts(&report)[3] > 0);
        Said { report, messages }
    }

    fn csv(&self, text: impl AsRef<[u8]>) -> Said {
        self.import("file.csv", text, Some(MAPPING))
    }
}

impl Said {
    fn counts(&self) -> [u64; 4] {
        assert!(self.report.is_object(), "{}", self.messages);
        counts(&self.report)
    }

    /// What ended the import before its end.
    fn error(&self) -> &str {
        assert!(self.report.is_null(), "{}", self.report);
        &self.messages
    }

    fn reasons(&self) -> Vec<String> {
        let named = self.report["files"][0]["notAccepted"].as_array().unwrap();
        let reason = |named: &Value| named["message"].as_str().unwrap().to_owned();
        named.iter().map(reason).collect()
    }
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_utf8_is_refused_by_record_and_byte_unless_its_encoding_is_given() {
    let world = World::new().await;
    let latin1 = b"id,time,n\nbar,2026-05-01,1\nb\xE4r,2026-05-01,2\nb\xF6r,2026-05-01,3\n";
    let text = "id,time,n\nbar,2026-05-01T00:00:00Z,1\nb\u{e4}r,2026-05-01T00:00:00Z,2\n";
    let refused = world.csv(latin1);
    let reason = "record 2 is not utf-8: byte 0xE4 at offset 28 of the unpacked file";
    assert!(refused.error().contains(reason), "{}", refused.error());
    let header = world.csv(b"id,time,n,gr\xF6\xDFe\n");
    assert!(
        header
            .error()
            .contains("the header is not utf-8: byte 0xF6")
    );

    let marked = format!("\u{feff}{text}");
    let (low, high) = (
        utf16(&marked, u16::to_le_bytes),
        utf16(&marked, u16::to_be_bytes),
    );
    let refused = world.csv(&low);
    let reason = "begins with the byte order mark of utf-16le";
    assert!(refused.error().contains(reason), "{}", refused.error());

    let one_byte: Vec<u8> = text.chars().map(|c| u8::try_from(c).unwrap()).collect();
    // The record before the one that was refused is stored.
    let mut accepted = 1;
    for (encoding, bytes) in [
        ("windows-1252", one_byte.clone()),
        ("iso-8859-1", one_byte),
        ("utf-16", low),
        ("utf-16", high),
        ("utf-8", marked.into_bytes()),
    ] {
        let mapping = format!("encoding: {encoding}\n{MAPPING}");
        let said = world.import("file.csv", bytes, Some(&mapping));
        assert_eq!(said.counts(), [accepted, 2 - accepted, 0, 0], "{encoding}");
        accepted = 0;
    }
    let server = TestServer::start_with(|config| config.server.data_dir = world.data_dir.clone());
    let server = server.await;
    let key = server.key(server.root().await, metadata::Role::Owner).await;
    let listed = server
        .get(&key, "/api/v1/events?from=2026-01-01T00:00:00Z")
        .await;
    assert!(
        listed.body.contains("\"id\":\"b\u{e4}r\""),
        "{}",
        listed.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_json_are_looked_at_one_by_one_or_decoded() {
    let world = World::new().await;
    let line = |id: &str| {
        format!(
            "{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"s\",\"type\":\"t\",\
             \"subject\":\"u\"}}\n"
        )
    };
    let latin1 = [
        line("1").as_bytes(),
        b"{\"id\":\"b\xE4r\"}\n",
        line("3").as_bytes(),
    ]
    .concat();
    let said = world.import("file.ndjson", &latin1, None);
    assert_eq!(said.counts(), [2, 0, 0, 1]);
    assert_eq!(named(&said.report), ["2 malformed_event"]);
    assert!(said.reasons()[0].contains("UTF-8"), "{:?}", said.reasons());

    let mark = world.import("file.ndjson", utf16("\u{feff}{}", u16::to_be_bytes), None);
    assert!(
        mark.error().contains("mark of utf-16be"),
        "{}",
        mark.error()
    );

    let row = "{\"id\":\"b\u{e4}r\",\"time\":\"2026-05-01T00:00:00Z\",\"n\":1}\n";
    let utf16 = utf16(&format!("\u{feff}{row}"), u16::to_le_bytes);
    let mapping = format!("encoding: utf-16\n{MAPPING}");
    let said = world.import("file.ndjson", utf16, Some(&mapping));
    assert_eq!(said.counts(), [1, 0, 0, 0]);
    let twice = "{\"id\":\"x\",\"time\":\"2026-05-01T00:00:00Z\",\"n\":1,\"n\":2}\n";
    let said = world.import("file.ndjson", format!("{twice}{row}"), Some(MAPPING));
    assert_eq!(said.counts(), [0, 1, 0, 1]);
    assert_eq!(named(&said.report), ["1 malformed_record"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_a_parquet_file_that_are_not_utf8_are_refused_by_record() {
    let world = World::new().await;
    let bytes = std::fs::read(fixture("binary.parquet")).unwrap();
    let said = world.import("binary.parquet", &bytes, None);
    assert_eq!(said.counts(), [1, 0, 0, 3]);
    let refused = ["2 not_utf8", "3 not_utf8", "4 invalid_time"];
    assert_eq!(named(&said.report), refused);
    let reason = "id is not UTF-8: byte 0xE4 at offset 1 of its value";
    assert_eq!(said.reasons()[0], reason);
    let mapping = format!("encoding: utf-16\n{MAPPING}");
    let said = world.import("binary.parquet", &bytes, Some(&mapping));
    assert!(said.error().contains("encoding is utf-16: expected none"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_inside_a_field_takes_no_record_with_it() {
    let world = World::new().await;
    let row = |number: u64| match number {
        501 => "501 5\" pipe,2026-05-01T00:00:00Z,1\n".to_owned(),
        number => format!("{number},2026-05-01T00:00:00Z,1\n"),
    };
    let rows: String = (1..=1000).map(row).collect();
    let said = world.csv(format!("id,time,n\n{rows}"));
    assert_eq!(said.counts(), [1000, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_record_of_the_header_is_refused_by_number() {
    let world = World::new().await;
    let said = world.csv(
        "id,time,n\n\
         1,2026-05-01T00:00:00Z,1\n\
         2,2026-05-01T00:00:00Z,1,234\n\
         3,2026-05-01T00:00:00Z\n\
         ,,\n\
         \n   \n\
         5,,1\n\
         6,2026-05-01T00:00:00Z,\"1,234\"\n\
         7,2026-05-01T00:00:00Z,1\n",
    );
    assert_eq!(said.counts(), [3, 0, 0, 4]);
    assert_eq!(
        named(&said.report),
        [
            "2 malformed_record",
            "3 malformed_record",
            "4 malformed_record",
            "5 invalid_time"
        ]
    );
    let reasons = said.reasons();
    assert!(
        reasons[0].starts_with("the record has 4 fields: expected 3"),
        "{reasons:?}"
    );
    assert!(
        reasons[1].starts_with("the record has 2 fields: expected 3"),
        "{reasons:?}"
    );
    assert!(
        reasons[2].starts_with("each of the 3 fields"),
        "{reasons:?}"
    );
    assert!(reasons[3].starts_with("time is \"\""), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_end_in_carriage_returns_alone_are_lines() {
    let world = World::new().await;
    let rows = [
        "id,time,n",
        "1,2026-05-01T00:00:00Z,1",
        "2,2026-05-01T00:00:00Z,2",
    ];
    assert_eq!(world.csv(rows.join("\r")).counts(), [2, 0, 0, 0]);
    assert_eq!(world.csv(rows.join("\r\n")).counts(), [0, 2, 0, 0]);
    assert_eq!(world.csv(rows.join("\n")).counts(), [0, 2, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_can_be_read_in_two_ways_is_refused_as_a_whole() {
    let world = World::new().await;
    let said = world.csv("id,time,n\n1,2026-05-01,1\n2,\"2026-05-01,1\n3,2026-05-01,1\n");
    let reason = "record 2 opens a quote that is not closed before the end of the file";
    assert!(said.error().contains(reason), "{}", said.error());
    let said = world.csv("id,time,n,n\n1,2026-05-01T00:00:00Z,1,2\n");
    let reason = "the header has \"n\" 2 times: expected it once";
    assert!(said.error().contains(reason), "{}", said.error());
    let said = world.csv("id,time,n,x,x\n9,2026-05-01T00:00:00Z,1,2,3\n");
    assert_eq!(said.counts(), [1, 0, 0, 0], "the mapping does not read x");
    let said = world.csv("");
    assert!(
        said.error().contains("there is no column"),
        "{}",
        said.error()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_names_the_same_records_as_the_open_directory() {
    let text =
        "id,time,n\n1,2026-05-01T00:00:00Z,1\n2,x\n3,never,1\n4\n5,,1\n6,,,\n7,2026-05-01,x\n";
    let free = World::new().await;
    let direct = free.csv(text);
    let server = TestServer::start().await;
    let world = World {
        folder: tempfile::tempdir().unwrap(),
        data_dir: server.data_dir(),
    };
    let sent = tokio::task::spawn_blocking(move || world.csv(text));
    let sent = sent.await.unwrap();
    assert_eq!(
        sent.report["files"][0]["notAccepted"],
        direct.report["files"][0]["notAccepted"]
    );
    assert_eq!(sent.counts(), direct.counts());
    let records = named(&sent.report);
    assert_eq!(records[0], "2 malformed_record", "{records:?}");
    assert_eq!(records[1], "3 invalid_time", "{records:?}");
}

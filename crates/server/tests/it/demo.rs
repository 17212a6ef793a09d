//! `tallyport demo`, on a sample of the flights: the program from outside.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Every so many flights are in the sample.
const SAMPLED: usize = 40;

/// Writes a sample of the table, and says how many flights it holds.
fn sample(path: &Path) -> usize {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/flights/flights.csv.zst");
    let table = zstd::Decoder::new(std::fs::File::open(table).unwrap()).unwrap();
    let mut lines = BufReader::new(table).lines().map(Result::unwrap);
    let mut file = std::fs::File::create(path).unwrap();
    writeln!(file, "{}", lines.next().unwrap()).unwrap();
    let flights = lines.step_by(SAMPLED);
    flights
        .map(|line| writeln!(file, "{line}").unwrap())
        .count()
}

/// Runs the demo to its end; gives its document and what it told on the way.
fn demo(folder: &Path) -> (Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tallyport"))
        .args([
            "demo",
            "--once",
            "--json",
            "--no-live",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
        ])
        .arg(folder.join("data"))
        .arg("--flights")
        .arg(folder.join("flights.csv"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    (serde_json::from_slice(&output.stdout).unwrap(), told)
}

#[test]
fn the_demo_shows_the_whole_way_and_a_second_run_imports_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let flights = sample(&folder.path().join("flights.csv"));
    let (first, told) = demo(folder.path());
    assert!(
        told.contains(&format!("{flights} events: {flights} accepted")),
        "{told}"
    );

    let organizations = first["organizations"].as_array().unwrap();
    assert_eq!(organizations.len(), 16);
    assert_eq!(organizations[0]["kind"], "production");
    assert_eq!(organizations[0]["parentId"], Value::Null);
    assert_eq!(first["meters"][0]["slug"], "hours");
    let exports = first["exports"].as_array().unwrap();
    let kinds: Vec<_> = exports
        .iter()
        .map(|export| export["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "SUMMARY",
            "SUMMARY",
            "SUMMARY",
            "JOB_LEVEL",
            "JOB_LEVEL",
            "JOB_LEVEL",
            "SUMMARY_ALL_LINKED",
            "PROJECT_FOLDER",
            "ASSET",
            "JOB_LEVEL_ALL_METERS"
        ]
    );
    for export in exports {
        let path = export["path"].as_str().unwrap();
        assert!(Path::new(path).is_file());
        assert_eq!(export["organizationId"], organizations[0]["id"]);
        // The sample has flights of January and March.
        let has_usage = path.contains("2013-01-01");
        assert_eq!(
            export["rows"] != 0 && export["total"] != 0,
            has_usage,
            "{export}"
        );
    }

    let (second, told) = demo(folder.path());
    assert!(told.contains("nothing new"), "{told}");
    assert!(told.contains("declared already"), "{told}");
    for same in ["admin", "apiKey", "organizations", "meters"] {
        assert_eq!(first[same], second[same], "{same}");
    }
    let totals = |document: &Value| {
        let exports = document["exports"].as_array().unwrap().iter();
        exports
            .map(|export| export["total"].to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(totals(&first), totals(&second));
}

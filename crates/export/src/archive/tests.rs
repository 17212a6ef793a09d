//! Archives as other programs read them, and their bytes.

use std::fmt::Write as _;
use std::io::Cursor;
use std::process::Command;

use super::*;
use crate::manifest::hex;

const TIME: &str = "2026-02-03T04:05:07Z";

/// Lines as reports have them, `lines` a day.
fn line(day: u32, index: u32) -> String {
    let mut state = u64::from(day) << 32 | u64::from(index);
    let mut line = format!("2013-01-{day:02},task {index}");
    for _ in 0..6 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        write!(line, ",{}", state >> 40).unwrap();
    }
    line.push('\n');
    line
}

fn archive(threads: usize, zip64_from: u64, days: &[u32]) -> (Vec<u8>, Vec<EntryFacts>) {
    let time = TIME.parse().unwrap();
    let sink = Cursor::new(Vec::new());
    let mut archive = Archive::with_zip64_from(sink, time, threads, zip64_from).unwrap();
    archive.start("first.csv").unwrap();
    archive.write(None, b"Date,Task\n").unwrap();
    for (day, lines) in (1..).zip(days) {
        let date = Date::constant(2013, 1, 1)
            .checked_add(jiff::Span::new().days(day - 1))
            .unwrap();
        for index in 0..*lines {
            archive
                .write(Some(date), line(day, index).as_bytes())
                .unwrap();
        }
    }
    let first = archive.end().unwrap();
    archive.start("second.csv").unwrap();
    archive.write(None, b"Date,Task\n").unwrap();
    let second = archive.end().unwrap();
    (archive.finish().unwrap().into_inner(), vec![first, second])
}

/// Runs a Python program on the archive; the machine that tests must have Python.
fn python(zip: &[u8], program: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.zip");
    std::fs::write(&path, zip).unwrap();
    let output = Command::new("python3")
        .arg("-c")
        .arg(program)
        .arg(&path)
        .output();
    let output = output.expect("python3 reads the archive");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    String::from_utf8(output.stdout).unwrap()
}

const LIST: &str = "
import hashlib, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    assert archive.testzip() is None
    for entry in archive.infolist():
        data = archive.read(entry)
        print(entry.filename, hex(entry.flag_bits), entry.extract_version, entry.date_time,
              len(data), hashlib.sha256(data).hexdigest())
";

fn listing(version: u16, facts: &[EntryFacts]) -> String {
    let mut text = String::new();
    for entry in facts {
        let sha256 = hex(&entry.sha256);
        let (name, bytes) = (&entry.name, entry.bytes);
        let stamp = "(2026, 2, 3, 4, 5, 6)";
        writeln!(text, "{name} 0x808 {version} {stamp} {bytes} {sha256}").unwrap();
    }
    text
}

const DAYS: [u32; 5] = [3, 20_000, 900, 1_000, 10];

#[test]
fn another_program_reads_every_file_back() {
    let (zip, facts) = archive(2, ZIP64_FROM, &DAYS);
    assert!(
        facts[0].bytes > 5 * 256 * 1024,
        "several pieces: {} bytes",
        facts[0].bytes
    );
    assert_eq!(python(&zip, LIST), listing(20, &facts));
}

#[test]
fn large_entries_use_zip64_and_are_read_back() {
    let (zip, facts) = archive(2, 5, &DAYS);
    assert_eq!(python(&zip, LIST), listing(45, &facts));
}

#[test]
fn threads_do_not_change_a_byte() {
    let (one, _) = archive(1, ZIP64_FROM, &DAYS);
    for threads in [2, 5] {
        assert!(
            archive(threads, ZIP64_FROM, &DAYS).0 == one,
            "{threads} threads"
        );
    }
}

#[test]
fn the_bytes_of_format_1_stay() {
    let (zip, _) = archive(1, ZIP64_FROM, &[3, 900, 1_200]);
    let sha256 = hex(&Sha256::digest(&zip));
    assert_eq!(zip.len(), 58_797, "another codec needs another format");
    assert_eq!(
        sha256,
        "9d6a6b998c2c7b689f38cc5eb0d4266544fbddf42b2f7820c042f81314f45657"
    );
}

//! Generated requests, by a program of others that reads the server's own OpenAPI document.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Findings, Setting};
use crate::bench::report;
use crate::bench::server::Server;
use crate::process::Signal;
use crate::test::{needs, python};
use crate::workspace::root;

/// What no answer may be, whatever was asked.
const CHECKS: &str = "not_a_server_error";
/// Cases for each operation in one pass; passes repeat until the time is over.
const EXAMPLES: u32 = 200;

pub(super) fn run(setting: &mut Setting) -> Result<Findings> {
    needs::ensure(&needs::ALL)?;
    let python = python::environment("attack", &root().join("oracle/attack-requirements.txt"))?;
    let server = Server::fresh(&setting.binary, &setting.folder)?;
    let access = server.access();
    let folder = crate::workspace::scratch("attack-schema-report")?;
    let report_file = folder.join("report.json");
    let seed = setting.random.below(1 << 31);
    let mut command = Command::new(python);
    command
        .current_dir(&folder)
        .args(["-m", "schemathesis.cli", "run"]);
    command.arg(format!("{}/openapi.json", access.url()));
    command
        .arg("--header")
        .arg(access.credential().replacen(": ", ":", 1));
    command.args([
        "--checks",
        CHECKS,
        "--phases",
        "examples,coverage,fuzzing,stateful",
    ]);
    command.args(["--mode", "all", "--workers", "2", "--continue-on-failure"]);
    command.args([
        "--max-examples",
        &EXAMPLES.to_string(),
        "--seed",
        &seed.to_string(),
    ]);
    command.args(["--max-time", &setting.time.as_secs().max(1).to_string()]);
    command.args(["--request-timeout", "30", "--warnings", "off"]);
    command
        .args(["--report", "json", "--report-json-path"])
        .arg(&report_file);
    // Logins are limited, and ending the administrator's own session ends the attack.
    command.args(["--exclude-path-regex", "log(in|out)|password"]);
    let status = command.stdin(Stdio::null()).status()?;
    let sound = access.client()?.get("/readyz")?.status == 200;
    server.end(Signal::Terminate)?;
    ensure!(sound, "the server is not ready after generated requests");
    let text = fs::read(&report_file).context("schemathesis wrote no report")?;
    let outcome: Value = serde_json::from_slice(&text)?;
    let mut findings = Findings::default();
    let count = |section: &str, member: &str| {
        let count = outcome[section][member].as_u64();
        count.with_context(|| format!("the report has no {section}.{member}"))
    };
    let generated = count("test_cases", "generated")?;
    let failures = count("test_cases", "unique_failures")?;
    let errored = count("operations", "errored")?;
    findings.add("operations tested", count("operations", "tested")?);
    findings.add("generated requests", report::count(generated));
    findings.add_losses("kinds of answers that are errors of the server", failures);
    ensure!(
        generated > 0 && errored == 0,
        "{errored} operations could not be tested"
    );
    ensure!(
        status.success() || failures > 0,
        "schemathesis ended with {status}"
    );
    Ok(findings)
}

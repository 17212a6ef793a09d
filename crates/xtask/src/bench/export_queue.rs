//! `bench export-queue`: many organizations queue export jobs at once, and one more asks behind
//! them for something small.

mod crowd;

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::{Value, json};

use super::machine::Machine;
use super::metering::{self, METERING};
use super::report;
use super::server::{self, Server};
use crate::process::{Signal, peak_mib};
use crate::workspace::scratch;

const SMALL_JOB_LIMIT: Duration = Duration::from_secs(5);
const QUEUE_LIMIT: Duration = Duration::from_hours(1);
/// Connections that ask at once.
const CONNECTIONS: usize = 8;
/// Time between looks at the small job, and at the others.
const POLL: Duration = Duration::from_millis(20);
const QUEUE_POLL: Duration = Duration::from_millis(100);
const JSON: &str = "application/json";

/// How long the queue is.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Organizations that queue jobs; one more asks behind them.
    #[arg(long, default_value_t = 200)]
    organizations: usize,
    /// Events to take in before, spread over all organizations.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
}

/// A job that was accepted, with what its requester is known by.
#[derive(Debug)]
struct Job {
    session: String,
    id: String,
}

/// What was measured.
#[derive(Debug)]
struct Measured {
    jobs: usize,
    failed: usize,
    posts: Vec<Duration>,
    small: Duration,
    /// From the small job's request to the end of all jobs that were there before it.
    first_come: Duration,
    /// From the first request to the end of the last job.
    makespan: Duration,
    peak_mib: f64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(options.organizations > 0, "somebody must queue jobs");
    let binary = server::build()?;
    let folder = scratch("bench-export-queue")?;
    let setup = scratch("bench-export-queue-setup")?.join("setup.yaml");
    fs::write(&setup, crowd::setup(options.organizations + 1))?;
    let server = Server::declared(&binary, &folder, &setup)?;
    crowd::take(&server, options.organizations + 1, options.events)?;
    let sessions = (0..=options.organizations).map(|number| crowd::session(&server, number));
    let mut sessions: Vec<_> = sessions.collect::<Result<_>>()?;
    let last = sessions.pop().context("there is one more organization")?;
    let measured = measure(&server, &sessions, &last)?;
    let machine = Machine::read(&folder)?;
    server.end(Signal::Terminate)?;
    fs::remove_dir_all(&folder)?;
    report::publish("export-queue", &document(&machine, options, &measured))?;
    ensure!(measured.failed == 0, "{} jobs failed", measured.failed);
    Ok(())
}

fn measure(server: &Server, sessions: &[String], last: &str) -> Result<Measured> {
    let requests = requests(server)?;
    let start = Instant::now();
    let (jobs, mut posts) = queue(server, sessions, &requests)?;
    println!("{} jobs are queued after {:?}", jobs.len(), start.elapsed());
    let asked = Instant::now();
    let (path, body) = &requests[0];
    let small = ask(server, last, path, body)?;
    while status(server, &small)? != "SUCCESS" {
        ensure!(asked.elapsed() < QUEUE_LIMIT, "the small job did not end");
        thread::sleep(POLL);
    }
    let small = asked.elapsed();
    println!("the small job took {small:?}");
    let failed = drain(server, &jobs)?;
    posts.sort_unstable();
    Ok(Measured {
        jobs: jobs.len(),
        failed,
        posts,
        small,
        first_come: asked.elapsed(),
        makespan: start.elapsed(),
        peak_mib: peak_mib(server.pid())?,
    })
}

/// Path and body of each job of an organization, the small one first.
fn requests(server: &Server) -> Result<Vec<(String, Vec<u8>)>> {
    let meter = metering::meter(server, "flight-hours")?;
    let summary = format!("{METERING}/ExportMeteringData");
    let of = |kind: &str| json!({"jobType": kind});
    let asset = json!({"jobType": "ASSET", "meterId": meter});
    let job_level = format!("{METERING}/ExportServiceJobLevelMeteringData");
    let wanted = [
        (&summary, of("SUMMARY")),
        (&summary, of("PROJECT_FOLDER")),
        (&summary, asset),
        (&job_level, json!({"meterId": meter})),
        (&job_level, json!({"allMeters": "TRUE"})),
    ];
    let whole = |(path, mut body): (&String, Value)| {
        body["startDate"] = json!("2026-01-01T00:00:00Z");
        body["endDate"] = json!("2026-01-31T23:59:59Z");
        Ok((path.clone(), serde_json::to_vec(&body)?))
    };
    wanted.into_iter().map(whole).collect()
}

/// Asks for every job of every organization over several connections; gives how long each took to
/// be accepted.
fn queue(
    server: &Server,
    sessions: &[String],
    requests: &[(String, Vec<u8>)],
) -> Result<(Vec<Job>, Vec<Duration>)> {
    let (next, made) = (AtomicUsize::new(0), Mutex::new((Vec::new(), Vec::new())));
    let work = || -> Result<()> {
        while let Some(session) = sessions.get(next.fetch_add(1, Ordering::Relaxed)) {
            for (path, body) in requests {
                let start = Instant::now();
                let job = ask(server, session, path, body)?;
                let took = start.elapsed();
                let mut made = made.lock().expect("no other asker panics");
                made.0.push(job);
                made.1.push(took);
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let askers: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(work)).collect();
        let mut ended = askers.into_iter().map(ScopedJoinHandle::join);
        ended.try_for_each(|ended| ended.expect("an asker returns"))
    })?;
    Ok(made.into_inner().expect("no asker panicked"))
}

fn ask(server: &Server, session: &str, path: &str, body: &[u8]) -> Result<Job> {
    let answer = server.client_with(session)?.post(path, JSON, body)?;
    let answer = answer.json(200)?;
    let id = answer["jobId"]
        .as_str()
        .context("the answer names no job")?;
    Ok(Job {
        session: session.to_owned(),
        id: id.to_owned(),
    })
}

fn status(server: &Server, job: &Job) -> Result<String> {
    let path = format!("{METERING}/ExportMeteringData/{}", job.id);
    let answer = server.client_with(&job.session)?.get(&path)?.json(200)?;
    let status = answer["status"].as_str().context("a job has no status")?;
    Ok(status.to_owned())
}

/// Waits until every job has ended; gives how many did not succeed.
fn drain(server: &Server, jobs: &[Job]) -> Result<usize> {
    let (start, mut failed) = (Instant::now(), 0);
    for job in jobs {
        loop {
            match status(server, job)?.as_str() {
                "CREATED" | "PROCESSING" => thread::sleep(QUEUE_POLL),
                "SUCCESS" => break,
                other => {
                    println!("job {} is {other}", job.id);
                    failed += 1;
                    break;
                }
            }
            if start.elapsed() > QUEUE_LIMIT {
                bail!("the queue did not end within {} s", QUEUE_LIMIT.as_secs());
            }
        }
    }
    Ok(failed)
}

fn document(machine: &Machine, options: &Options, measured: &Measured) -> String {
    let (organizations, events) = (options.organizations, report::count(options.events));
    let seconds = |duration: Duration| format!("{:.2}", duration.as_secs_f64());
    let millis = |duration: Duration| format!("{:.1}", duration.as_secs_f64() * 1000.0);
    let verdict = if measured.small <= SMALL_JOB_LIMIT {
        "met"
    } else {
        "missed"
    };
    let limit = format!("{} {verdict}", SMALL_JOB_LIMIT.as_secs());
    #[expect(clippy::cast_precision_loss, reason = "a printed rate has few digits")]
    let rate = measured.jobs as f64 / measured.makespan.as_secs_f64();
    let ratio = measured.first_come.as_secs_f64() / measured.small.as_secs_f64();
    let none = || String::new();
    let rows = [
        (
            "small job behind all others: request to SUCCESS, s",
            seconds(measured.small),
            limit,
        ),
        (
            "the same, first come first served, s",
            seconds(measured.first_come),
            none(),
        ),
        ("ratio of the two", format!("{ratio:.1}"), none()),
        (
            "all jobs: first request to last end, s",
            seconds(measured.makespan),
            none(),
        ),
        ("jobs per second", format!("{rate:.1}"), none()),
        (
            "jobs that failed",
            measured.failed.to_string(),
            "0".to_owned(),
        ),
        (
            "request accepted, p50, ms",
            millis(report::quantile(&measured.posts, 50)),
            none(),
        ),
        (
            "request accepted, p99, ms",
            millis(report::quantile(&measured.posts, 99)),
            none(),
        ),
        (
            "peak RSS of the server, MiB",
            format!("{:.0}", measured.peak_mib),
            none(),
        ),
    ];
    let rows = rows.map(|(name, value, limit)| vec![name.to_owned(), value, limit]);
    let table = report::table(&["what", "measured", "limit"], &rows);
    format!(
        "# {} export jobs of {organizations} organizations at once\n\n\
         Machine: {machine}.\n\n\
         {events} events are stored. Each organization asks for a summary, for usage by project \
         and folder and by asset, and for the job-level reports of one meter and of all, over \
         {CONNECTIONS} connections; then one more organization asks for a summary. First come \
         first served, that one would have ended with the last of the jobs that were there before \
         it, so this time is taken from the same run. Written by `cargo xtask bench \
         export-queue`.\n\n\
         {table}",
        report::count(measured.jobs as u64),
    )
}

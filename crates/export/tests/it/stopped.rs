//! A real process that is stopped in the middle of a job, replaced, and woken again.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use domain::Timestamp;
use export::{Artifacts, Options, Worker};
use metadata::{ExportStatus, Metadata};
use rustix::process::{Pid, Signal, kill_process};
use usage::EmbeddedStore;
use usage::disk::real::RealDisk;
use usage::manifest::Layout;

use crate::jobs::{linked, usage};
use crate::leases::Gated;
use crate::world::{LEASE_SECONDS, World};

/// Set for the process that is to be stopped: the folder of the world.
const FOLDER: &str = "TALLYPORT_STOPPED_FOLDER";
/// Set for it too: the second it lives in.
const SECOND: &str = "TALLYPORT_STOPPED_SECOND";
/// What it says when it is in the middle of the job.
const IN_THE_MIDDLE: &str = "in the middle";
/// What it says at its end.
const AWAKE: &str = "awake";
/// Its own copy of the usage: a store is opened by one process.
const COPY: &str = "copy";

/// Works on a job until it waits for usage, and goes on when told.
async fn work(folder: &Path) {
    let options = usage::Options::new(folder.join(COPY));
    let store = EmbeddedStore::open(options, Arc::new(RealDisk), Layout::default()).unwrap();
    let database = metadata::Options::file(folder.join("metadata.db"));
    let metadata = Metadata::open(database).await.unwrap();
    let artifacts = Artifacts::folder(&folder.join("artifacts")).unwrap();
    let second = std::env::var(SECOND).unwrap().parse().unwrap();
    let now = Timestamp::from_second(second).unwrap();
    let gated = Gated::new(&store);
    let options = Options {
        lease_ms: u32::try_from(LEASE_SECONDS * 1000).unwrap(),
        ..Options::new("stopped", folder.join("scratch"))
    };
    let clock = Arc::new(move || now);
    let usage = Arc::<Gated>::clone(&gated);
    let worker = Worker::new(usage, metadata, artifacts, clock, options).unwrap();
    let job = tokio::spawn(async move { worker.tick().await });
    gated.is_waited_for().await;
    println!("{IN_THE_MIDDLE}");
    let told = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    told.await.unwrap().unwrap();
    gated.open();
    assert!(job.await.unwrap().unwrap().is_some(), "it found its job");
    println!("{AWAKE}");
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Waits until the kernel says that a process is stopped.
fn until_stopped(child: &Child) {
    let stat = format!("/proc/{}/stat", child.id());
    while !std::fs::read_to_string(&stat).unwrap().contains(") T ") {
        std::thread::yield_now();
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let (path, name) = entry
            .map(|entry| (entry.path(), entry.file_name()))
            .unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

fn start(world: &World) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("stopped::a_stopped_process_is_replaced_and_publishes_nothing_when_it_goes_on")
        .env(FOLDER, world.folder())
        .env(SECOND, world.now().as_second().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// This test is also the process that it stops.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_process_is_replaced_and_publishes_nothing_when_it_goes_on() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return work(Path::new(&folder)).await;
    }
    let world = World::new().await;
    world.take(&usage(0, 10)).await;
    world.store.flush_now().unwrap();
    copy(&world.folder().join("usage"), &world.folder().join(COPY));
    let export = world.ask(linked).await;
    let mut child = start(&world);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = |line: std::io::Result<String>, what: &str| line.unwrap().contains(what);
    assert!(lines.any(|line| said(line, IN_THE_MIDDLE)));
    signal(&child, Signal::STOP);
    until_stopped(&child);
    let held = world.export(export).await;
    assert_eq!((held.status, held.fence), (ExportStatus::Processing, 1));

    assert_eq!(
        world.worker(1).tick().await.unwrap(),
        None,
        "the lease holds"
    );
    world.pass(LEASE_SECONDS + 1);
    assert_eq!(world.worker(1).tick().await.unwrap(), Some(export));
    let done = world.export(export).await;
    assert_eq!((done.status, done.fence), (ExportStatus::Success, 2));
    let path = &done.artifact.as_ref().unwrap().path;
    let path = world.folder().join("artifacts").join(path);
    let file = std::fs::metadata(&path).unwrap();

    signal(&child, Signal::CONT);
    child.stdin.take().unwrap().write_all(b"go on\n").unwrap();
    assert!(lines.any(|line| said(line, AWAKE)), "it ends its job");
    assert!(child.wait().unwrap().success());
    assert_eq!(world.export(export).await, done);
    let now = std::fs::metadata(&path).unwrap();
    assert_eq!(
        (now.ino(), now.len()),
        (file.ino(), file.len()),
        "nothing was put again"
    );
}

//! A real process on a real disk, killed at random moments of ingest, flush and compaction.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime};

use usage::disk::real::RealDisk;
use usage::manifest::Layout;
use usage::traits::Outcome;
use usage::{EmbeddedStore, Intake, Options};

use super::fixture::*;

/// Set for the process that is to be killed: the store's folder.
const FOLDER: &str = "TALLYPORT_KILL_FOLDER";
/// Set for it too: the number of its life, which its ids begin with.
const LIFE: &str = "TALLYPORT_KILL_LIFE";
/// Kills per run; 200 in the long form.
const ROUNDS: &str = "TEST_KILL_ROUNDS";
/// Repeats a run whose seed was printed.
const SEED: &str = "TEST_KILL_SEED";
/// Batches after which the process ends by itself, should nobody kill it.
const BATCHES_MAX: u64 = 5_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn open(folder: &Path) -> Arc<EmbeddedStore> {
    let mut options = Options::new(folder);
    options.flush_rows = 150;
    options.flush_age_ms = 5;
    EmbeddedStore::open(options, Arc::new(RealDisk), Layout::default()).unwrap()
}

/// This test is also the process that it kills.
#[test]
fn acknowledged_events_count_once_after_kills_at_random_moments() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        return runtime.block_on(ingest(Path::new(&folder), number(LIFE).unwrap()));
    }
    let clock = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let seed = number(SEED).unwrap_or(u64::from(clock.subsec_nanos()));
    let rounds = number(ROUNDS).unwrap_or(20);
    println!("{rounds} kills, {SEED}={seed}");
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    for life in 0..rounds {
        ledger.take(kill_one(folder.path(), life, &mut random));
        let store = open(folder.path());
        runtime.block_on(ledger.check(&store, &format!("seed {seed}, kill {life}")));
        if random.below(4) == 0 {
            store.close().unwrap();
        }
    }
    let report = usage::verify::verify(&disk(), folder.path()).unwrap();
    assert_eq!(report.damage, [], "seed {seed}");
    assert!(
        ledger.acknowledged.len() as u64 > rounds,
        "the kills came too early to tell"
    );
}

fn disk() -> Arc<dyn usage::disk::Disk> {
    Arc::new(RealDisk)
}

/// The process: four clients that say what they send, and what was acknowledged.
async fn ingest(folder: &Path, life: u64) {
    let store = open(folder);
    let clients = (0..4).map(|client| client_of(&store, life, client));
    futures::future::join_all(clients).await;
}

async fn client_of(store: &EmbeddedStore, life: u64, client: u64) {
    let mut random = Random(life * 4 + client);
    for batch in 0..BATCHES_MAX {
        let ids: Vec<String> = (0..=random.below(30))
            .map(|number| match random.below(8) {
                0 => format!("shared-{}", random.below(500)),
                _ => format!("{life}-{client}-{batch}-{number}"),
            })
            .collect();
        say(ids.iter().map(|id| format!("sent {id}\n")));
        let drafts = ids.iter().map(|id| event(id, 1)).collect();
        let outcomes = store.accept(organization(OWN), drafts).await.unwrap();
        say(ids.iter().zip(outcomes).map(|(id, outcome)| match outcome {
            Outcome::Accepted { sequence } | Outcome::Duplicate { sequence } => {
                format!("ack {id} {sequence}\n")
            }
            other => panic!("{id}: {}", spell(&other)),
        }));
    }
}

/// Tells the parent; without one there is nothing left to do.
fn say(lines: impl Iterator<Item = String>) {
    let text: String = lines.collect();
    if std::io::stdout().lock().write_all(text.as_bytes()).is_err() {
        std::process::exit(1);
    }
}

/// Starts the process, kills it after some of its lines, and gives all of them.
fn kill_one(folder: &Path, life: u64, random: &mut Random) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "intake::kill::acknowledged_events_count_once_after_kills_at_random_moments",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .env(LIFE, life.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = listen(&mut child);
    let mut heard = Vec::new();
    let enough = usize::try_from(random.below(1_200)).unwrap();
    while heard.len() < enough {
        match lines.recv_timeout(Duration::from_mins(1)) {
            Ok(line) => heard.push(line),
            Err(error) => panic!("the process says nothing: {error}"),
        }
    }
    // A moment more, so that the end does not always come right behind an answer.
    let moment = Duration::from_micros(random.below(3_000));
    heard.extend(lines.recv_timeout(moment));
    child.kill().unwrap();
    heard.extend(lines);
    child.wait().unwrap();
    heard
}

fn listen(child: &mut Child) -> Receiver<String> {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut line = Vec::new();
        // A line without its end was being written when the process died.
        while output
            .read_until(b'\n', &mut line)
            .is_ok_and(|_| line.pop() == Some(b'\n'))
        {
            let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
            if sender.send(text).is_err() {
                break;
            }
        }
    });
    receiver
}

/// What the processes said.
#[derive(Debug, Default)]
struct Ledger {
    sent: BTreeSet<String>,
    acknowledged: BTreeMap<String, u64>,
}

impl Ledger {
    fn take(&mut self, lines: Vec<String>) {
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            match *words.as_slice() {
                ["sent", id] => {
                    self.sent.insert(id.to_owned());
                }
                ["ack", id, sequence] => {
                    let sequence = sequence.parse().unwrap();
                    let before = self.acknowledged.insert(id.to_owned(), sequence);
                    assert!(before.is_none_or(|before| before == sequence), "{id} moved");
                }
                _ => {}
            }
        }
    }

    async fn check(&self, store: &EmbeddedStore, story: &str) {
        assert_eq!(store.read_only_reason(), None, "{story}");
        let counted = counted(store).await;
        for (id, sequence) in &self.acknowledged {
            assert_eq!(
                counted.get(id),
                Some(sequence),
                "{story}: {id} was acknowledged"
            );
        }
        let invented = counted.keys().find(|id| !self.sent.contains(*id));
        assert_eq!(invented, None, "{story}: it was never sent");
        let counts = conserved(store);
        assert_eq!(counts.stored, counted.len() as u64, "{story}");
    }
}

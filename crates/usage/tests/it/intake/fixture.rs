//! A store on a disk in memory, and events to send to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::event::{Draft, Event, Receipt, Refusal};
use domain::ids::OrganizationId;
use domain::tree::Scope;
use futures::StreamExt;
use usage::disk::Disk;
use usage::disk::faulty::FaultyDisk;
use usage::manifest::{Counters, Layout};
use usage::query::ScanQuery;
use usage::traits::Outcome;
use usage::{EmbeddedStore, Intake, Options, UsageStore};

/// The organization most stories are about.
pub(crate) const OWN: u8 = 1;

/// What a batch of drafts is.
pub(crate) type Drafts = Vec<Result<Event, Refusal>>;

pub(crate) fn organization(number: u8) -> OrganizationId {
    OrganizationId::from_random(u128::from(number))
}

/// Validates an event as the server does.
pub(crate) fn validate(text: &str) -> Result<Event, Refusal> {
    let receipt = Receipt {
        own: organization(OWN),
        received: "2026-06-01T00:00:00Z".parse().unwrap(),
        resolve: |_: &str| None,
    };
    Draft::parse(text)?.validate(&receipt)
}

/// An event without time whose subject is its id, so that scans show it.
pub(crate) fn event(id: &str, value: u64) -> Result<Event, Refusal> {
    timed(id, value, "")
}

/// The same with `,"time":"..."` or nothing.
pub(crate) fn timed(id: &str, value: u64, time: &str) -> Result<Event, Refusal> {
    validate(&format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"s","type":"t","subject":"{id}"{time},
            "data":{{"value":{value}}}}}"#
    ))
}

/// A disk in memory with one store on it.
pub(crate) struct Ground {
    pub(crate) disk: FaultyDisk,
    pub(crate) options: Options,
    pub(crate) layout: Layout,
}

impl Ground {
    pub(crate) fn new(seed: u64) -> Self {
        let mut options = Options::new("/store");
        "a test".clone_into(&mut options.holder);
        // Stories say themselves when a frame is marked: a store that is dropped marks its last.
        options.mark_after_ms = 3_600_000;
        let disk = FaultyDisk::new(seed);
        Self {
            disk,
            options,
            layout: Layout::default(),
        }
    }

    pub(crate) fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.disk.clone())
    }

    pub(crate) fn open(&self) -> Arc<EmbeddedStore> {
        self.try_open().unwrap()
    }

    pub(crate) fn try_open(&self) -> usage::Result<Arc<EmbeddedStore>> {
        EmbeddedStore::open(self.options.clone(), self.disk(), self.layout.clone())
    }

    /// The only file with this ending.
    pub(crate) fn file(&self, ending: &str) -> PathBuf {
        let mut files = self.files(ending);
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    }

    pub(crate) fn files(&self, ending: &str) -> Vec<PathBuf> {
        let mut files = self.disk.paths();
        files.retain(|path| path.to_string_lossy().ends_with(ending));
        files
    }

    /// Flips bits of one byte, durably.
    pub(crate) fn flip(&self, path: &Path, offset: usize, mask: u8) {
        let mut bytes = self.disk.bytes(path).unwrap();
        bytes[offset] ^= mask;
        self.disk.replace(path, &bytes);
    }

    pub(crate) fn verify(&self) -> usage::verify::Report {
        usage::verify::verify(&self.disk(), &self.options.folder).unwrap()
    }
}

/// Sends drafts and spells the outcomes.
pub(crate) async fn send(store: &EmbeddedStore, drafts: Drafts) -> Vec<String> {
    let outcomes = store.accept(organization(OWN), drafts).await.unwrap();
    outcomes.iter().map(spell).collect()
}

pub(crate) fn spell(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted { sequence } => format!("accepted {sequence}"),
        Outcome::Duplicate { sequence } => format!("duplicate of {sequence}"),
        Outcome::Conflict { sequence } => format!("conflict with {sequence}"),
        Outcome::Refused(refusal) => format!("refused {}", refusal.code.as_str()),
    }
}

/// Sequences of everything that counts, by subject; fails on an event that counts twice.
pub(crate) async fn counted(store: &EmbeddedStore) -> BTreeMap<String, u64> {
    let as_of = store.watermark().await.unwrap();
    counted_at(store, as_of).await
}

/// Everything of the organization.
pub(crate) fn scan_query() -> ScanQuery {
    ScanQuery {
        scope: Scope::alone(organization(OWN)),
        event_types: Vec::new(),
        dimensions: Vec::new(),
        rules: Vec::new(),
    }
}

/// The same at a sequence.
pub(crate) async fn counted_at(store: &EmbeddedStore, as_of: u64) -> BTreeMap<String, u64> {
    let mut batches = store.scan(scan_query(), as_of).await.unwrap();
    let mut counted = BTreeMap::new();
    while let Some(batch) = batches.next().await {
        let batch = batch.unwrap();
        for row in 0..batch.len() {
            let subject = batch.subject(row).to_owned();
            let before = counted.insert(subject.clone(), batch.sequence(row));
            assert_eq!(before, None, "{subject} counts twice");
        }
    }
    counted
}

/// Counters of all organizations together; fails when the law does not hold for one of them.
pub(crate) fn conserved(store: &EmbeddedStore) -> Counters {
    let mut sum = Counters::default();
    for (organization, counts) in store.counters() {
        let told = counts.stored + counts.duplicate + counts.conflict + counts.refused;
        assert_eq!(counts.received, told, "{organization}");
        sum.received += counts.received;
        sum.stored += counts.stored;
        sum.duplicate += counts.duplicate;
        sum.conflict += counts.conflict;
        sum.refused += counts.refused;
    }
    sum
}

/// Numbers by the splitmix sequence.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

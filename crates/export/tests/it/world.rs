//! A small account on a real database and a real usage store.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use domain::Timestamp;
use domain::aggregation::Aggregation;
use domain::event::{Draft, Event, Receipt};
use domain::ids::{AccountId, ExportId, MeterId, OrganizationId, RateId};
use domain::meter::{JobLevelLayout, Meter, ReadingRule, Scalar};
use domain::number::NumberRule;
use domain::quantity::Quantity;
use domain::range::TimeRange;
use domain::rate::{Rate, RateKind, Tier};
use domain::tree::OrganizationKind;
use export::worker::Clock;
use export::{Artifacts, Options, Worker};
use futures::TryStreamExt;
use metadata::{
    Export, ExportKind, ExportSource, Metadata, NewAccount, NewExport, NewOrganization,
    OrganizationAttributes,
};
use usage::disk::real::RealDisk;
use usage::manifest::Layout;
use usage::{EmbeddedStore, Intake, UsageStore};

/// The production root and its sub-organization and sandbox.
pub(crate) const ROOT: &str = "000000000000000000Root";
pub(crate) const SUB: &str = "0000000000000000000Sub";
pub(crate) const SANDBOX: &str = "000000000000000Sandbox";

/// Length of a lease, in seconds.
pub(crate) const LEASE_SECONDS: i64 = 30;

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    clock: Arc<AtomicI64>,
    pub(crate) store: Arc<EmbeddedStore>,
    pub(crate) metadata: Metadata,
    pub(crate) artifacts: Artifacts,
    pub(crate) account: AccountId,
    taken: Mutex<Vec<Event>>,
}

pub(crate) fn organization(id: &str) -> OrganizationId {
    id.parse().unwrap()
}

pub(crate) fn meter_id(number: u8) -> MeterId {
    MeterId::from_random(u128::from(number))
}

fn node(id: &str, kind: OrganizationKind, parent: Option<&str>) -> NewOrganization {
    NewOrganization {
        id: Some(organization(id)),
        kind,
        attributes: OrganizationAttributes::named(format!("The {}", id.trim_start_matches('0'))),
        aliases: Vec::new(),
        parent: parent.map(|parent| (organization(parent), None)),
    }
}

pub(crate) fn meter(number: u8, layout: Option<JobLevelLayout>) -> Meter {
    let property = format!("$.n{number}");
    Meter {
        id: meter_id(number),
        slug: format!("meter-{number}"),
        name: format!("Meter {number}"),
        description: String::new(),
        service: String::new(),
        category: String::new(),
        feature: format!("meter-{number}"),
        unit: "hour".into(),
        rule: ReadingRule {
            event_type: "job".into(),
            filters: Vec::new(),
            value_property: Some(property.parse().unwrap()),
            aggregation: Aggregation::Sum,
            numbers: NumberRule::Value,
        },
        group_by: std::collections::BTreeMap::new(),
        scalar: Scalar {
            name: "HOURS".into(),
            factor: 1,
            metric_category: "COMPUTE_UNITS".into(),
        },
        job_level: layout,
        zero_rows: false,
        valid: TimeRange::ALWAYS,
    }
}

pub(crate) fn rate(number: u8, price: &str) -> Rate {
    Rate {
        id: RateId::from_random(u128::from(number)),
        meter: meter_id(number),
        organization: None,
        kind: RateKind::Ipu,
        valid: TimeRange::ALWAYS,
        per: 1,
        unit: String::new(),
        tiers: vec![Tier {
            up_to: None,
            price: price.parse().unwrap(),
        }],
        allowance: Quantity::ZERO,
        billable: true,
        list_price: None,
        subscription_id: None,
        charge_number: None,
        currency: None,
    }
}

/// Opens, or makes, the stores in a folder.
async fn open(folder: &Path) -> (Arc<EmbeddedStore>, Metadata, Artifacts) {
    let options = usage::Options::new(folder.join("usage"));
    let store = EmbeddedStore::open(options, Arc::new(RealDisk), Layout::default()).unwrap();
    let database = metadata::Options::file(folder.join("metadata.db"));
    let metadata = Metadata::open(database).await.unwrap();
    let artifacts = Artifacts::folder(&folder.join("artifacts")).unwrap();
    (store, metadata, artifacts)
}

impl World {
    /// An account with a root, a sub-organization, a sandbox, and a meter per layout.
    pub(crate) async fn new() -> Self {
        let world = Self::empty().await;
        world.declare().await;
        world
    }

    /// Stores without any account.
    pub(crate) async fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, metadata, artifacts) = open(folder.path()).await;
        let start: Timestamp = "2014-02-03T04:05:06Z".parse().unwrap();
        Self {
            folder,
            clock: Arc::new(AtomicI64::new(start.as_second())),
            store,
            metadata,
            artifacts,
            account: AccountId::from_random(1),
            taken: Mutex::default(),
        }
    }

    async fn declare(&self) {
        let mut change = self.metadata.begin_change(self.now()).await.unwrap();
        let root = NewAccount {
            id: Some(self.account),
            root: node(ROOT, OrganizationKind::Production, None),
        };
        change.insert_account(root).await.unwrap();
        for (id, kind) in [
            (SUB, OrganizationKind::SubOrganization),
            (SANDBOX, OrganizationKind::Sandbox),
        ] {
            let node = node(id, kind, Some(ROOT));
            change
                .insert_organization(self.account, node)
                .await
                .unwrap();
        }
        for (number, layout) in [
            (1, Some(JobLevelLayout::DataIntegration)),
            (2, Some(JobLevelLayout::ApplicationIntegration)),
            (3, Some(JobLevelLayout::Generic)),
            (4, None),
        ] {
            let meter = meter(number, layout);
            change.insert_meter(self.account, &meter).await.unwrap();
        }
        change
            .insert_rate(self.account, &rate(1, "0.16"))
            .await
            .unwrap();
        change.commit().await.unwrap();
    }

    /// Closes every store and opens it again.
    pub(crate) async fn restart(&mut self) {
        self.store.close().unwrap();
        self.metadata.close().await;
        (self.store, self.metadata, self.artifacts) = open(self.folder.path()).await;
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.clock.load(Ordering::SeqCst)).unwrap()
    }

    pub(crate) fn clock(&self) -> Clock {
        let clock = Arc::clone(&self.clock);
        Arc::new(move || Timestamp::from_second(clock.load(Ordering::SeqCst)).unwrap())
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// A worker with so many deflating threads on this world's stores.
    pub(crate) fn worker(&self, deflate_threads: usize) -> Worker {
        self.worker_on(Arc::<EmbeddedStore>::clone(&self.store), deflate_threads)
    }

    pub(crate) fn worker_on(&self, store: Arc<dyn UsageStore>, deflate_threads: usize) -> Worker {
        self.worker_with(store, |options| options.deflate_threads = deflate_threads)
    }

    pub(crate) fn worker_with(
        &self,
        store: Arc<dyn UsageStore>,
        change: impl FnOnce(&mut Options),
    ) -> Worker {
        let clock = self.clock();
        let scratch: PathBuf = self.folder.path().join("scratch");
        let mut options = Options {
            lease_ms: u32::try_from(LEASE_SECONDS * 1000).unwrap(),
            ..Options::new("test", scratch)
        };
        change(&mut options);
        let (metadata, artifacts) = (self.metadata.clone(), self.artifacts.clone());
        Worker::new(store, metadata, artifacts, clock, options).unwrap()
    }

    /// Takes events, one `organization time data` per line; the line is the event's id.
    ///
    /// A line that starts with `+` goes on with the one before.
    pub(crate) async fn take(&self, lines: &str) {
        let now = self.now();
        let event = |line: &str| {
            let mut words = line.splitn(3, ' ');
            let mut word = || words.next().unwrap();
            let (owner, time, data) = (organization(word()), word(), word());
            let id = serde_json::to_string(line).unwrap();
            let text = format!(
                r#"{{"specversion":"1.0","id":{id},"source":"test","type":"job","subject":"s",
                    "time":"{time}","data":{data}}}"#
            );
            let receipt = Receipt {
                own: owner,
                received: now,
                resolve: |_: &str| None,
            };
            Draft::parse(&text).unwrap().validate(&receipt)
        };
        let whole: Vec<_> = lines.lines().map(str::trim).collect();
        let whole = whole.join("\n").replace("\n+", "");
        let lines = whole.lines().filter(|line| !line.is_empty());
        let drafts: Vec<_> = lines.map(event).collect();
        let refused = drafts.iter().find(|draft| draft.is_err());
        assert!(refused.is_none(), "{refused:?}");
        let taken = drafts.iter().flatten().cloned();
        self.taken.lock().unwrap().extend(taken);
        self.store.accept(organization(ROOT), drafts).await.unwrap();
    }

    /// All events taken, in order.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.taken.lock().unwrap().clone()
    }

    /// Creates the job of a request.
    pub(crate) async fn ask(&self, change: impl FnOnce(&mut NewExport)) -> ExportId {
        let mut new = NewExport {
            id: None,
            kind: ExportKind::Summary,
            source: ExportSource::Own,
            organization: organization(ROOT),
            user: None,
            start: "2013-01-02T00:00:00Z".into(),
            end: "2013-01-31T00:00:00Z".into(),
            meter: None,
            all_meters: false,
            combined: false,
            all_linked_orgs: false,
            parameters: None,
            callback_url: None,
            idempotency_key: None,
            as_of: None,
            request_id: None,
            request_sha256: None,
        };
        change(&mut new);
        self.metadata
            .insert_export(new, self.now())
            .await
            .unwrap()
            .id
    }

    pub(crate) async fn export(&self, id: ExportId) -> Export {
        self.metadata.find_export(id).await.unwrap().unwrap()
    }

    pub(crate) async fn zip(&self, id: ExportId) -> Vec<u8> {
        let artifact = self.export(id).await.artifact.unwrap();
        let stream = self.artifacts.read(&artifact.path, None).await.unwrap();
        let parts: Vec<_> = stream.try_collect().await.unwrap();
        parts.concat()
    }

    /// The same as [`Self::files`], without another program: for tests that look at many.
    pub(crate) async fn texts(&self, id: ExportId) -> Vec<(String, String)> {
        let zip = self.zip(id).await;
        let number = |at: usize, bytes: usize| {
            let part = zip[at..at + bytes].iter().rev();
            part.fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte))
        };
        let end = zip.len() - 22;
        let (mut at, mut texts) = (number(end + 16, 4), Vec::new());
        while at < end {
            let (packed, length) = (number(at + 20, 4), number(at + 28, 2));
            let name = String::from_utf8(zip[at + 46..at + 46 + length].to_vec()).unwrap();
            let data = number(at + 42, 4) + 30 + length;
            let mut text = String::new();
            flate2::read::DeflateDecoder::new(&zip[data..data + packed])
                .read_to_string(&mut text)
                .unwrap();
            texts.push((name, text));
            at += 46 + length + number(at + 30, 2) + number(at + 32, 2);
        }
        texts
    }

    /// The files of an export as `== name` and their text.
    pub(crate) async fn files(&self, id: ExportId) -> String {
        let program = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    for entry in archive.infolist():
        sys.stdout.write('== ' + entry.filename + '\\n' + archive.read(entry).decode())
";
        self.read_by_python(id, program).await
    }

    /// What a program of Python, which finds the archive's path as its argument, says of it.
    pub(crate) async fn read_by_python(&self, id: ExportId, program: &str) -> String {
        let zip = self.folder.path().join("download.zip");
        std::fs::write(&zip, self.zip(id).await).unwrap();
        let output = Command::new("python3")
            .args(["-c", program])
            .arg(&zip)
            .output();
        let output = output.expect("python3 reads the archive");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

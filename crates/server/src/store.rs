//! The usage store behind the routes: the embedded one, or none where another server has it.

mod elsewhere;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use domain::Timestamp;
use domain::kind::Kind;
use domain::meter::ReadingRule;
use domain::number::NumberRule;
use domain::path::JsonPath;
use metadata::{Account, ControlSnapshot, KnownUsage, Metadata, PAGE_LIMIT_MAX, PageRequest};
use usage::disk::Disk;
use usage::disk::real::RealDisk;
use usage::manifest::{Counters, Layout};
use usage::metrics::Metrics;
use usage::store::Progress;
use usage::verify::Report;
use usage::{EmbeddedStore, Intake, Options, Result, UsageStore};

use self::elsewhere::NoStore;
use crate::clock::Clock;
use crate::config::{Config, StoreMode};

/// Gives the readings of declared meters columns of their own, and tells how the store is.
pub trait Readings: Send + Sync + std::fmt::Debug {
    /// Declares which readings and paths get columns; the work goes on in the background.
    fn set_layout(&self, layout: Layout);

    /// How far the columns of a reading and of the paths its meter groups by are.
    fn progress(&self, rule: &ReadingRule, paths: &BTreeMap<String, JsonPath>) -> Progress;

    /// Why the store refuses writes; `None` while it takes them.
    fn read_only_reason(&self) -> Option<String>;

    /// What had no space, while events are refused for it.
    fn waits_for_space(&self) -> Option<String>;

    /// Identity of the store; `None` where another server has it.
    fn store_id(&self) -> Option<String>;

    /// Conservation counters by organization id or `unattributed`.
    fn counters(&self) -> BTreeMap<String, Counters>;

    /// Plain numbers for monitoring.
    fn metrics(&self) -> Metrics;

    /// Reads every byte and checks every count; blocks until done.
    fn verify(&self) -> Result<Report>;

    /// Flushes and stops; blocks until done.
    fn close(&self) -> Result<()>;
}

impl Readings for EmbeddedStore {
    fn set_layout(&self, layout: Layout) {
        Self::set_layout(self, layout);
    }

    fn progress(&self, rule: &ReadingRule, paths: &BTreeMap<String, JsonPath>) -> Progress {
        Self::progress(self, rule, paths)
    }

    fn read_only_reason(&self) -> Option<String> {
        Self::read_only_reason(self)
    }

    fn waits_for_space(&self) -> Option<String> {
        Self::waits_for_space(self)
    }

    fn store_id(&self) -> Option<String> {
        Some(Self::store_id(self))
    }

    fn counters(&self) -> BTreeMap<String, Counters> {
        Self::counters(self)
    }

    fn metrics(&self) -> Metrics {
        Self::metrics(self)
    }

    fn verify(&self) -> Result<Report> {
        Self::verify(self)
    }

    fn close(&self) -> Result<()> {
        Self::close(self)
    }
}

/// The three faces of one store.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Takes events in.
    pub intake: Arc<dyn Intake>,
    /// Gives usage out.
    pub usage: Arc<dyn UsageStore>,
    /// Gives meters columns.
    pub readings: Arc<dyn Readings>,
}

impl Opened {
    fn new<S: Intake + UsageStore + Readings + 'static>(store: Arc<S>) -> Self {
        Self {
            intake: Arc::clone(&store) as Arc<dyn Intake>,
            usage: Arc::clone(&store) as Arc<dyn UsageStore>,
            readings: store,
        }
    }
}

/// Opens the store the configuration names.
///
/// Fails where the folder holds no store or another one than the database knows usage of; one that
/// ends before what the database knows is opened as damaged.
pub async fn open(config: &Config, metadata: &Metadata, clock: &Clock) -> anyhow::Result<Opened> {
    if config.store.mode == StoreMode::None {
        let (metadata, clock) = (metadata.clone(), clock.clone());
        return Ok(Opened::new(Arc::new(NoStore { metadata, clock })));
    }
    let known = metadata.known_usage().await?;
    open_embedded(config, metadata, known).await
}

/// Opens the store that is there, whatever the database knows of usage, and forgets that.
///
/// Where it cannot be opened nothing is forgotten.
pub async fn open_accepting_loss(
    config: &Config,
    metadata: &Metadata,
    clock: &Clock,
) -> anyhow::Result<Opened> {
    if config.store.mode == StoreMode::None {
        anyhow::bail!("this server keeps no usage: accept its loss at the one that does");
    }
    let known = metadata.known_usage().await?;
    let opened = open_embedded(config, metadata, KnownUsage::default()).await?;
    metadata.forget_usage(clock.now()).await?;
    let (through, store) = (known.durable_through, known.store.unwrap_or_default());
    tracing::warn!("usage of store {store} up to sequence {through} is no longer expected");
    Ok(opened)
}

/// When usage was last given up as lost, if ever.
#[derive(Debug, Clone, Copy)]
pub enum GivenUp {
    /// It changes only when this server starts.
    Known(Option<Timestamp>),
    /// Another server keeps the usage, and may start at any time.
    Elsewhere,
}

impl GivenUp {
    /// Reads it once, where that is enough.
    pub async fn read(config: &Config, metadata: &Metadata) -> metadata::Result<Self> {
        if config.store.mode == StoreMode::None {
            return Ok(Self::Elsewhere);
        }
        metadata.usage_forgotten_at().await.map(Self::Known)
    }

    /// The instant; sequences of before name other events now.
    pub async fn at(self, metadata: &Metadata) -> metadata::Result<Option<Timestamp>> {
        match self {
            Self::Known(at) => Ok(at),
            Self::Elsewhere => metadata.usage_forgotten_at().await,
        }
    }
}

async fn open_embedded(
    config: &Config,
    metadata: &Metadata,
    known: KnownUsage,
) -> anyhow::Result<Opened> {
    let data_dir = config.server.data_dir.clone();
    let layout = layout(metadata).await?;
    let open = move || {
        let mut options = Options::new(data_dir.join("usage"));
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let found = EmbeddedStore::identity_in(&disk, &options.folder)?;
        check_known(&options.folder, found, &known)?;
        options.durable_through = known.durable_through;
        anyhow::Ok(EmbeddedStore::open(options, disk, layout)?)
    };
    Ok(Opened::new(tokio::task::spawn_blocking(open).await??))
}

/// Refuses a folder that is not the store whose usage the database knows.
fn check_known(folder: &Path, found: Option<String>, known: &KnownUsage) -> anyhow::Result<()> {
    let through = known.durable_through;
    let is_known = match (&found, &known.store) {
        (Some(found), Some(known)) => found == known,
        (Some(_), None) => true,
        (None, _) => false,
    };
    if through == 0 || is_known {
        return Ok(());
    }
    let found = found.map_or("no store".to_owned(), |found| format!("store {found}"));
    let expected = known
        .store
        .as_deref()
        .unwrap_or("whose name it does not know");
    anyhow::bail!(
        "{} holds {found}: expected store {expected}, of which the database knows events up to \
         sequence {through}; put that folder back, or run `tallyport serve --accept-usage-loss` \
         once to go on without them",
        folder.display()
    )
}

/// The readings and paths of every account's meters.
pub async fn layout(metadata: &Metadata) -> metadata::Result<Layout> {
    let mut layout = Layout::default();
    let mut after = None;
    loop {
        let page = PageRequest::new(after, PAGE_LIMIT_MAX)?;
        let accounts = metadata.list_accounts(&page).await?;
        for account in accounts.items {
            let control = metadata.snapshot(account.id, None).await;
            let read = control.and_then(|control| read_by_meters(&mut layout, &control));
            read.or_else(|error| spared(&account, error))?;
        }
        after = accounts.next;
        if after.is_none() {
            break;
        }
    }
    layout.rules.sort_by_cached_key(ReadingRule::key);
    layout.rules.dedup_by_key(|rule| rule.key());
    for paths in [&mut layout.paths, &mut layout.values] {
        paths.sort();
        paths.dedup();
    }
    Ok(layout)
}

fn read_by_meters(layout: &mut Layout, control: &ControlSnapshot) -> metadata::Result<()> {
    for meter in control.meters()? {
        layout.rules.push(meter.rule.clone());
        // Job-level files list events without a reading too: which, no file should parse.
        let listed = meter.job_level.and_then(|_| meter.rule.matching());
        layout.rules.extend(listed);
        let paths = match meter.rule.numbers {
            NumberRule::Spelling => &mut layout.paths,
            NumberRule::Value => &mut layout.values,
        };
        paths.extend(meter.group_by.values().cloned());
    }
    Ok(())
}

/// Damage in one account keeps no other from being served: its columns are folded when read.
fn spared(account: &Account, error: metadata::Error) -> metadata::Result<()> {
    if error.kind() != Kind::Corrupt {
        return Err(error);
    }
    tracing::error!("control data of account {} is damaged: {error}", account.id);
    Ok(())
}

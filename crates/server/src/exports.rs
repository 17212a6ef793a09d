//! Usage out inside the server: where artifacts are kept and who makes them.

use std::sync::Arc;

use anyhow::Context;
use domain::ids::ExportId;
use export::{Artifacts, Options, Outbox, Schedules, Worker, Workers};
use metadata::Metadata;
use tokio::sync::{Notify, Semaphore, broadcast};
use usage::UsageStore;

use crate::clock::Clock;
use crate::config::{Config, StoreMode};
use crate::random;

/// Requests that may wait for jobs to end at once.
const WAITERS_MAX: usize = 1_000;
/// Starts of the names of environment variables that configure object stores.
const STORE_VARIABLES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];

/// Jobs and their artifacts.
#[derive(Debug)]
pub struct Exports {
    /// Makes artifacts; steps a job to its end where nobody works in the background.
    pub worker: Worker,
    /// Posts messages; steps them where nobody works in the background.
    pub outbox: Outbox,
    /// Makes exports by schedule; steps where nobody works in the background.
    pub schedules: Schedules,
    /// Room for requests that wait for a job to end.
    pub waiters: Semaphore,
    waker: Arc<Notify>,
}

impl Exports {
    /// Where artifacts are kept.
    pub fn artifacts(&self) -> &Artifacts {
        self.worker.artifacts()
    }

    /// Tells an idle worker that there is a new job.
    pub fn wake(&self) {
        self.waker.notify_one();
    }

    /// Names jobs as they end in this process.
    pub fn ends(&self) -> broadcast::Receiver<ExportId> {
        self.worker.ends().subscribe()
    }

    /// Tells a worker and everyone who waits that a job was cancelled.
    pub fn cancelled(&self, export: ExportId) {
        // Nobody may be listening.
        let _ = self.worker.ends().send(export);
    }
}

/// Opens the artifact store and starts as many workers as configured, and with them the outbox.
pub fn start(
    config: &Config,
    usage: Arc<dyn UsageStore>,
    metadata: Metadata,
    clock: Clock,
) -> anyhow::Result<(Exports, Option<Workers>)> {
    let data_dir = &config.server.data_dir;
    let artifacts = artifacts(config).context("could not open the artifact store")?;
    let name = format!("{}-{:x}", std::process::id(), random::bits());
    let mut options = Options::new(name, data_dir.join("scratch"));
    options.workers = config.exports.workers;
    options.express_budget_ms = config.exports.express_budget_ms;
    options.retention_hours = config.exports.artifact_days.saturating_mul(24);
    let now: export::worker::Clock = Arc::new(move || clock.now());
    let allowed = config.exports.callback_addresses.clone();
    let outbox = Outbox::new(metadata.clone(), Arc::clone(&now), allowed)?;
    let active_max = config.exports.active_per_organization;
    let store = Arc::clone(&usage);
    let schedules = Schedules::new(store, metadata.clone(), Arc::clone(&now), active_max);
    let worker = Worker::new(usage, metadata, artifacts, now, options)?;
    let is_idle = config.exports.workers == 0 || config.store.mode == StoreMode::None;
    let workers = (!is_idle).then(|| {
        let mut workers = Workers::start(&worker);
        workers.deliver(outbox.clone());
        workers.schedule(schedules.clone());
        workers
    });
    let waker = workers.as_ref().map(Workers::waker).unwrap_or_default();
    let exports = Exports {
        worker,
        outbox,
        schedules,
        waiters: Semaphore::new(WAITERS_MAX),
        waker,
    };
    Ok((exports, workers))
}

/// Opens the artifact store the configuration names.
pub fn artifacts(config: &Config) -> export::Result<Artifacts> {
    let url = &config.exports.artifacts_url;
    if url.is_empty() {
        return Artifacts::folder(&config.server.data_dir.join("artifacts"));
    }
    let parsed = url
        .parse()
        .map_err(|error: url::ParseError| export::Error::Location {
            url: url.clone(),
            reason: error.to_string(),
        })?;
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| STORE_VARIABLES.iter().any(|start| name.starts_with(start)))
        .map(|(name, value)| (name.to_lowercase(), value));
    Artifacts::bucket(&parsed, &variables.collect::<Vec<_>>())
}

//! Step 2 of usage out, and the order of all that follow: a claimed job becomes an artifact.
//!
//! A lease with a fencing number holds the job meanwhile. When its worker dies, another one starts
//! again and makes the same bytes; when it is only late, its result no longer counts.

mod attempt;
mod control;
mod lease;
mod pool;

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use domain::export::{AsOf, ExportPlan};
use domain::ids::ExportId;
use domain::kind::Kind;
use jiff::SignedDuration;
use metadata::{Artifact, Claim, Claimed, ExportStatus, Lane, Metadata, Progress, Settlement};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use usage::UsageStore;

use crate::artifact::{self, Artifacts, Stored};
use crate::build::{Build, Contents, Gauge, Missing};
use crate::error::{Error, Result};
use crate::manifest::{FileFacts, Manifest};
use crate::request;
use control::Controls;

pub use pool::Workers;

/// Ends of jobs that a listener may be behind before it misses some.
const ENDS_MAX: usize = 1_024;
/// Artifacts removed in one sweep.
const SWEEP_MAX: u32 = 100;

/// The time as the worker knows it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How workers work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Name of this process among those that share the database.
    pub name: String,
    /// Jobs worked on at once, besides the one of the express lane.
    pub workers: usize,
    /// Time a job may take in the express lane before it is handed back as long, in milliseconds;
    /// 0 for no express lane.
    pub express_budget_ms: u32,
    /// Threads that deflate, per job.
    pub deflate_threads: usize,
    /// Length of a lease, in milliseconds; it is extended three times as often.
    pub lease_ms: u32,
    /// Time between looks for new jobs when nobody wakes a worker, in milliseconds.
    pub poll_ms: u64,
    /// Hours an artifact may be fetched.
    pub retention_hours: u32,
    /// Folder for archives being written.
    pub scratch: PathBuf,
}

impl Options {
    /// Two jobs at once and one of up to two seconds, leases of 30 seconds, artifacts for three
    /// days.
    pub fn new(name: impl Into<String>, scratch: impl Into<PathBuf>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            name: name.into(),
            workers: 2,
            express_budget_ms: 2_000,
            deflate_threads: cores,
            lease_ms: 30_000,
            poll_ms: 1_000,
            retention_hours: 72,
            scratch: scratch.into(),
        }
    }
}

/// Makes artifacts of jobs, one at a time.
#[derive(Clone)]
pub struct Worker {
    usage: Arc<dyn UsageStore>,
    metadata: Metadata,
    artifacts: Artifacts,
    clock: Clock,
    options: Arc<Options>,
    ends: broadcast::Sender<ExportId>,
    lane: Lane,
    controls: Arc<Controls>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = formatter.debug_struct("Worker");
        fields
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A finished archive on its way to the artifact store.
#[derive(Debug)]
pub struct Built {
    archive: File,
    contents: Contents,
}

/// An archive that is safely in the artifact store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Where and what it is.
    pub stored: Stored,
    /// Rows in it.
    pub rows: u64,
    /// What should be in it and is not.
    pub missing: Option<String>,
}

impl Built {
    /// The files of the archive.
    pub fn files(&self) -> &[FileFacts] {
        &self.contents.files
    }

    /// SHA-256 of the archive; reads all of it.
    pub fn sha256(&self) -> Result<[u8; 32]> {
        let (mut archive, mut sha256) = (&self.archive, Sha256::new());
        archive.rewind()?;
        let mut part = vec![0; 64 * 1024];
        loop {
            match archive.read(&mut part)? {
                0 => return Ok(sha256.finalize().into()),
                length => sha256.update(&part[..length]),
            }
        }
    }

    fn rows(&self) -> u64 {
        self.contents.files.iter().map(|file| file.rows).sum()
    }

    /// What is missing, for the caller; `None` when nothing is.
    fn missing(&self) -> Option<String> {
        let missing = self.contents.missing.iter();
        let told: Vec<_> = missing
            .map(|Missing { organization, error }| {
                format!(
                    "organization {organization} is missing, here and in sums of its parent: {}",
                    reason(error)
                )
            })
            .collect();
        (!told.is_empty()).then(|| told.join("\n"))
    }
}

impl Worker {
    /// A worker on these stores; creates the scratch folder when missing.
    pub fn new(
        usage: Arc<dyn UsageStore>,
        metadata: Metadata,
        artifacts: Artifacts,
        clock: Clock,
        options: Options,
    ) -> Result<Self> {
        std::fs::create_dir_all(&options.scratch)?;
        let options = Arc::new(options);
        Ok(Self {
            usage,
            metadata,
            artifacts,
            clock,
            options,
            ends: broadcast::channel(ENDS_MAX).0,
            lane: Lane::Ordinary,
            controls: Arc::default(),
        })
    }

    /// The same worker in the express lane: what does not end in time there is handed back.
    #[must_use]
    pub fn express(&self) -> Self {
        let lane = Lane::Express;
        Self {
            lane,
            ..self.clone()
        }
    }

    /// Where this worker puts artifacts.
    pub fn artifacts(&self) -> &Artifacts {
        &self.artifacts
    }

    /// Names jobs as they end in this process; who cancels one says so here too, and a worker at
    /// it stops at once.
    pub fn ends(&self) -> &broadcast::Sender<ExportId> {
        &self.ends
    }

    /// Takes the next job and works on it to its end; `None` when there is none.
    pub async fn tick(&self) -> Result<Option<ExportId>> {
        let Some(claimed) = self.claim().await? else {
            return Ok(None);
        };
        let export = claimed.export.id;
        self.work(&claimed, &Arc::new(Gauge::default())).await?;
        Ok(Some(export))
    }

    /// Works until there is nothing to do; gives the number of jobs.
    pub async fn run_until_idle(&self) -> Result<usize> {
        let mut jobs = 0;
        while self.tick().await?.is_some() {
            jobs += 1;
        }
        Ok(jobs)
    }

    /// Step 2: takes the next job, whose watermark is pinned unless an earlier claim has done so.
    /// It is made in the versions of this release, whatever release began it.
    pub async fn claim(&self) -> Result<Option<Claimed>> {
        let now = (self.clock)();
        let as_of = AsOf {
            sequence: self.newest().await?,
            revision: self.metadata.control_revision().await?,
            time: now,
        };
        let claim = Claim {
            worker: self.options.name.clone(),
            pins: request::pins(as_of),
            lease_ms: self.options.lease_ms,
            lane: self.lane,
        };
        Ok(self.metadata.claim_export(&claim, now).await?)
    }

    /// The newest sequence; where later rows are missing, the first of them, so that a job which
    /// asks for no earlier one fails instead of counting too little.
    async fn newest(&self) -> Result<u64> {
        match self.usage.watermark().await {
            Err(usage::Error::Incomplete { first, .. }) => Ok(first),
            newest => Ok(newest?),
        }
    }

    async fn make(&self, claimed: &Claimed, gauge: &Arc<Gauge>) -> Result<Made> {
        let export = claimed.export.id;
        let built = self.build_in_time(claimed, gauge).await?;
        for Missing {
            organization,
            error,
        } in &built.contents.missing
        {
            let chain = chain(error);
            tracing::error!(
                export.id = %export,
                "export {export} goes on without organization {organization}: {chain}"
            );
        }
        self.publish(claimed, built, gauge).await
    }

    /// The express lane gives a job only so much time until it is built.
    async fn build_in_time(&self, claimed: &Claimed, gauge: &Arc<Gauge>) -> Result<Built> {
        let build = self.build(claimed, gauge);
        if self.lane == Lane::Ordinary {
            return build.await;
        }
        let budget = Duration::from_millis(u64::from(self.options.express_budget_ms));
        let built = tokio::time::timeout(budget, build).await;
        built.unwrap_or(Err(Error::TooLong))
    }

    /// Steps 3 to 6: depends on the job's row alone, so that a second run makes the same bytes.
    pub async fn build(&self, claimed: &Claimed, gauge: &Arc<Gauge>) -> Result<Built> {
        let request = request::request(claimed)?;
        let as_of = claimed.pins.as_of;
        self.expect_kept(as_of).await?;
        self.usage.check(as_of.sequence).await?;
        let account = self.account(&claimed.export).await?;
        let control = self.controls.at(&self.metadata, account, as_of.revision);
        let control = control.await?;
        let scratch = (
            tempfile::tempfile_in(&self.options.scratch)?,
            self.options.deflate_threads,
        );
        let (usage, gauge) = (Arc::clone(&self.usage), Arc::clone(gauge));
        let runtime = Handle::current();
        blocking(move || {
            let plan = ExportPlan::new(&request, &control, as_of)?;
            let asked = (&request.parameters, as_of);
            let build = Build::new(usage.as_ref(), &runtime, &gauge, asked, scratch)?;
            let (archive, contents) = build.run(&plan)?;
            Ok(Built { archive, contents })
        })
        .await
    }

    /// Refuses a watermark of usage that was given up: what was durable then is lost, and what came
    /// since has the same sequences.
    async fn expect_kept(&self, as_of: AsOf) -> Result<()> {
        let given_up = self.metadata.usage_forgotten_at().await?;
        if given_up.is_some_and(|at| as_of.time < at) {
            return Err(Error::GivenUp);
        }
        Ok(())
    }

    async fn account(&self, export: &metadata::Export) -> Result<domain::ids::AccountId> {
        let organization = export.request.organization;
        let found = self.metadata.find_organization(organization).await?;
        let missing = domain::export::PlanError::UnknownOrganization(organization);
        Ok(found.ok_or(missing)?.account)
    }

    /// Step 7: the artifact is in its store before the job says so; nothing is put without a lease.
    pub async fn publish(
        &self,
        claimed: &Claimed,
        built: Built,
        gauge: &Arc<Gauge>,
    ) -> Result<Made> {
        let (rows, missing) = (built.rows(), built.missing());
        self.hold(claimed, Progress { percent: 100, rows }).await?;
        let export = claimed.export.id;
        let parameters = request::parameters(&claimed.export.request)?;
        let (artifacts, runtime) = (self.artifacts.clone(), Handle::current());
        let Built {
            mut archive,
            contents,
        } = built;
        let gauge = Arc::clone(gauge);
        let named = (export, artifact::extension(&parameters));
        let put = move || artifacts.put_archive(&runtime, named, &mut archive, &gauge);
        let stored = blocking(put).await?;
        let manifest = Manifest::new(
            export,
            claimed.pins,
            &contents.files,
            stored.size_bytes,
            &stored.sha256,
        );
        let manifest = serde_json::to_vec_pretty(&manifest);
        let manifest = manifest.map_err(|error| Error::Internal(error.to_string()))?;
        let put = self.artifacts.put_manifest(export, &stored, manifest);
        put.await?;
        Ok(Made {
            stored,
            rows,
            missing,
        })
    }

    /// Ends a job with its artifact, together with the message to its caller.
    pub async fn settle(&self, claimed: &Claimed, made: Made) -> Result<()> {
        let now = (self.clock)();
        let retention = SignedDuration::from_hours(i64::from(self.options.retention_hours));
        let Made {
            stored,
            rows,
            missing,
        } = made;
        let artifact = Artifact {
            path: stored.path,
            size_bytes: stored.size_bytes,
            sha256: stored.sha256,
            expires_at: now.saturating_add(retention).unwrap_or(Timestamp::MAX),
        };
        let settlement = match missing {
            None => Settlement::Success { artifact, rows },
            Some(error_message) => Settlement::PartialSuccess {
                artifact,
                rows,
                error_message,
            },
        };
        let ended = self.end(claimed, &settlement).await;
        if let Err(Error::TakenOver(export)) = ended {
            self.clear_cancelled(export).await?;
        }
        ended
    }

    async fn end(&self, claimed: &Claimed, settlement: &Settlement) -> Result<()> {
        let (export, now) = (claimed.export.id, (self.clock)());
        let settled = self
            .metadata
            .settle_export(export, claimed.fence, settlement, now)
            .await;
        let settled = settled.map_err(|error| taken_over(export, error))?;
        if settled.status == ExportStatus::Failed && settled.damaged_at.is_some() {
            let reason = settled.error_message.as_deref().unwrap_or_default();
            tracing::error!(export.id = %export, "export {export} is lost: {reason}");
            // No row leads to what was there before.
            self.artifacts.remove(export).await?;
        }
        // Nobody may be listening.
        let _ = self.ends.send(export);
        Ok(())
    }

    /// Removes artifacts whose time is over; gives how many.
    ///
    /// An export is marked last: what could not be removed is tried again by the next sweep.
    pub async fn sweep(&self) -> Result<usize> {
        let now = (self.clock)();
        let (mut removed, mut failed) = (0, None);
        for export in self.metadata.overdue_exports(now, SWEEP_MAX).await? {
            match self.artifacts.remove(export).await {
                Ok(()) => removed += usize::from(self.metadata.expire_export(export, now).await?),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(removed), Err)
    }
}

fn taken_over(export: ExportId, error: metadata::Error) -> Error {
    match error {
        metadata::Error::Fenced { .. } => Error::TakenOver(export),
        error => error.into(),
    }
}

/// Runs work that blocks; a panic inside is an error like any other.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Error::Internal("a step of the export panicked".into())))
}

/// What the caller learns of an error: no paths or addresses of this machine.
fn reason(error: &Error) -> String {
    match error {
        Error::Usage(usage::Error::Corrupt { .. }) => {
            "usage could not be read: stored bytes are damaged".to_owned()
        }
        Error::Usage(usage::Error::Incomplete { .. }) => {
            "usage is damaged or missing: ask again once it is repaired".to_owned()
        }
        Error::Metadata(error) if error.kind() == Kind::Corrupt => {
            "control data is damaged".to_owned()
        }
        Error::Usage(retired @ usage::Error::Retired { .. }) => retired.to_string(),
        error => error.to_string(),
    }
}

/// An error with all its causes.
pub(crate) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

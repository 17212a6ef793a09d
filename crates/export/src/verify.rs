//! Reading every artifact that is kept, block by block.

use domain::Timestamp;
use domain::kind::Kind;
use metadata::Metadata;

use crate::artifact::Artifacts;
use crate::error::{Error, Result};

/// Artifacts whose rows are read at once.
const ROWS_MAX: u32 = 100;
/// Damaged artifacts told at most.
const DAMAGE_MAX: usize = 1_000;

/// What reading all artifacts came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArtifactReport {
    /// Artifacts read.
    pub artifacts: u64,
    /// Bytes read, with those of manifests.
    pub bytes: u64,
    /// Those that are missing or not what was put, up to 1,000.
    pub damage: Vec<ArtifactDamage>,
}

/// An artifact that is not what was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactDamage {
    /// Where it lies in the artifact store.
    pub path: String,
    /// What was expected and what is there.
    pub reason: String,
}

/// Reads every artifact and manifest that may still be fetched, and marks none: it is made again
/// when it is asked for.
pub async fn verify_artifacts(
    metadata: &Metadata,
    artifacts: &Artifacts,
    now: Timestamp,
) -> Result<ArtifactReport> {
    let mut report = ArtifactReport::default();
    let mut after = None;
    loop {
        let exports = metadata.kept_exports(after, ROWS_MAX, now).await?;
        let Some(last) = exports.last() else {
            return Ok(report);
        };
        after = Some(last.id);
        for export in &exports {
            let Some(artifact) = &export.artifact else {
                continue;
            };
            report.artifacts += 1;
            match artifacts.verify(export.id, artifact).await {
                Ok(bytes) => report.bytes += bytes,
                Err(error) => report.tell(&artifact.path, error)?,
            }
        }
    }
}

impl ArtifactReport {
    fn tell(&mut self, read: &str, error: Error) -> Result<()> {
        let (path, reason) = match error {
            Error::Damaged { path, reason } => (path, reason),
            error if error.kind() == Kind::Corrupt => (read.to_owned(), error.to_string()),
            error => return Err(error),
        };
        if self.damage.len() < DAMAGE_MAX {
            self.damage.push(ArtifactDamage { path, reason });
        }
        Ok(())
    }
}

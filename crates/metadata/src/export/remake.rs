//! Artifacts found damaged: the job goes back, so that a worker makes the same bytes again.

use domain::Timestamp;
use domain::ids::ExportId;

use crate::database::sql;
use crate::error::Result;
use crate::export::{Export, ExportStatus, Settlement};
use crate::open::Metadata;

/// Times the artifact of one export is made again; a disk that damages it more often is broken.
const REMAKES_MAX: u32 = 3;

/// What becomes of an export whose artifact is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remake {
    /// A worker makes it again.
    Due,
    /// It was made again too often: the export has failed.
    GivenUp,
    /// Nothing: it is being made again already, was since, or its time is over.
    Settled,
}

impl Metadata {
    /// Marks the artifact of an export as damaged, and gives the job back to be made again.
    ///
    /// `fence` is that of the row by which the artifact was read: what was made since is another.
    /// Pins, outcome and the end of its time stay. It does not count as active.
    pub async fn remake_export(&self, id: ExportId, fence: u64, now: Timestamp) -> Result<Remake> {
        let statement = sql("UPDATE exports SET
                 status = CASE WHEN remakes < $4 THEN 'CREATED' ELSE 'FAILED' END,
                 outcome = CASE WHEN remakes < $4 THEN outcome ELSE 'FAILED' END,
                 error_message = CASE WHEN remakes < $4 THEN error_message ELSE $5 END,
                 damaged_at = $3, remakes = remakes + 1, attempts = 0, progress_percent = 0,
                 progress_rows = 0, updated_at = $3
             WHERE id = $1 AND fence = $2 AND status IN ('SUCCESS', 'PARTIAL_SUCCESS')
                 AND artifact_expires_at > $3
             RETURNING status")
        .bind(id)
        .bind(fence)
        .bind(now)
        .bind(REMAKES_MAX)
        .bind(format!(
            "the file was damaged more than {REMAKES_MAX} times"
        ));
        match self.database.write_one(statement).await? {
            None => Ok(Remake::Settled),
            Some(row) if row.get::<ExportStatus>("status")? == ExportStatus::Failed => {
                Ok(Remake::GivenUp)
            }
            Some(_) => Ok(Remake::Due),
        }
    }
}

impl Settlement {
    /// What the end of making an artifact again means for the export it was damaged of: the same
    /// bytes until the same day, or a failure.
    pub(super) fn remade(&self, held: &Export) -> Self {
        let failed = |error_message: String| Self::Failed { error_message };
        let mut remade = self.clone();
        match (&mut remade, &held.artifact) {
            (Self::Failed { error_message }, _) => failed(format!(
                "the file was damaged and could not be made again: {error_message}"
            )),
            (
                Self::Success { artifact, .. } | Self::PartialSuccess { artifact, .. },
                Some(before),
            ) => {
                let is_whole = held.outcome == Some(ExportStatus::Success);
                if is_whole && artifact.sha256 != before.sha256 {
                    let message = "the file was damaged, and making it again gave other bytes";
                    return failed(message.to_owned());
                }
                artifact.expires_at = before.expires_at;
                remade
            }
            (_, None) => remade,
        }
    }
}

//! `POST /api/v1/verification`: what `tallyport verify` asks of a running server.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::kind::Kind;
use export::ArtifactReport;
use metadata::{ControlReport, KnownUsage};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::Caller;
use crate::error::{ApiError, ApiResult};

/// What verifying the usage store, control data and finished exports came to.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerificationOut {
    /// Files read.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// The newest sequence.
    pub watermark: u64,
    /// Events received and answered.
    pub received: u64,
    /// Accepted and stored.
    pub stored: u64,
    /// Known already and the same.
    pub duplicate: u64,
    /// Known already but different.
    pub conflict: u64,
    /// Not taken.
    pub refused: u64,
    /// Rows of control data compared with their checksums.
    pub control_rows: u64,
    /// `ok` or `damaged` by SQLite's own check of its file; `not applicable` to PostgreSQL.
    pub database_check: String,
    /// Files of finished exports read.
    pub artifacts: u64,
    /// Their bytes, with those of manifests.
    pub artifact_bytes: u64,
    /// Everything that does not fit; empty for a sound store.
    pub damage: Vec<DamageOut>,
    /// Ends of the journal that earlier starts cut off and kept: no damage, but they may hold
    /// events answered within 10 ms of a crash.
    pub kept: Vec<KeptOut>,
}

/// A file with the end of a journal file that was cut off at a start.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeptOut {
    /// Name of the file.
    pub file: String,
    /// Its length in bytes.
    pub size_bytes: u64,
}

/// Something that does not fit.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DamageOut {
    /// Name of the file, of an export's after `artifacts`; for control data `control data` and the
    /// table.
    pub file: String,
    /// Where it was noticed, in bytes; only in files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// What was expected and what is there.
    pub reason: String,
}

impl VerificationOut {
    /// All of it together.
    pub fn of(
        report: usage::verify::Report,
        control: ControlReport,
        artifacts: ArtifactReport,
    ) -> Self {
        let in_files = report.damage.into_iter().map(|damage| DamageOut {
            file: damage.path.display().to_string(),
            offset: Some(damage.offset),
            reason: damage.reason,
        });
        let kept = report.kept.into_iter().map(|kept| KeptOut {
            file: kept.path.display().to_string(),
            size_bytes: kept.size_bytes,
        });
        let in_rows = control.damage.into_iter().map(|damage| DamageOut {
            file: format!("control data, {}", damage.place),
            offset: None,
            reason: damage.reason,
        });
        let in_exports = artifacts.damage.into_iter().map(|damage| DamageOut {
            file: format!("artifacts, {}", damage.path),
            offset: None,
            reason: damage.reason,
        });
        let damage = in_files.chain(in_rows).chain(in_exports);
        Self {
            artifacts: artifacts.artifacts,
            artifact_bytes: artifacts.bytes,
            control_rows: control.rows,
            database_check: control.file_check.as_str().to_owned(),
            files: report.files,
            bytes: report.bytes,
            watermark: report.watermark,
            received: report.counters.received,
            stored: report.counters.stored,
            duplicate: report.counters.duplicate,
            conflict: report.counters.conflict,
            refused: report.counters.refused,
            damage: damage.collect(),
            kept: kept.collect(),
        }
    }

    /// Names a store that nobody has open as damaged when it ends before what the database knows.
    pub fn compare_with(&mut self, known: &KnownUsage) {
        let (found, expected) = (self.watermark, known.durable_through);
        if found < expected {
            self.damage.push(DamageOut {
                file: "usage".to_owned(),
                offset: None,
                reason: format!(
                    "usage ends with sequence {found}: expected {expected}, which the database \
                     knows to have been there"
                ),
            });
        }
    }
}

/// Reads every byte of the usage store and of finished exports and every row of control data, and
/// checks every count, while all stays in use.
#[utoipa::path(
    post, path = "/api/v1/verification", tag = "operations",
    responses((status = 200, body = VerificationOut), (status = 401), (status = 403)),
    security(("bearer" = []), ("session" = []))
)]
pub async fn verify_usage(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> ApiResult<Json<VerificationOut>> {
    caller.must_be_server_administrator()?;
    let readings = Arc::clone(&app.readings);
    let verified = tokio::task::spawn_blocking(move || readings.verify()).await;
    let report = verified.map_err(|error| ApiError::of_kind(Kind::Internal, error))??;
    let control = app.metadata.verify_control().await?;
    let artifacts = app.exports.artifacts();
    let artifacts = export::verify_artifacts(&app.metadata, artifacts, app.now()).await?;
    Ok(Json(VerificationOut::of(report, control, artifacts)))
}

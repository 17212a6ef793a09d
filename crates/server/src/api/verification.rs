//! `POST /api/v1/verification`: what `tallyport verify` asks of a running server.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::kind::Kind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::Caller;
use crate::error::{ApiError, ApiResult};

/// What verifying the usage store came to.
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
    /// Name of the file.
    pub file: String,
    /// Where it was noticed, in bytes.
    pub offset: u64,
    /// What was expected and what is there.
    pub reason: String,
}

impl From<usage::verify::Report> for VerificationOut {
    fn from(report: usage::verify::Report) -> Self {
        let damage = report.damage.into_iter().map(|damage| DamageOut {
            file: damage.path.display().to_string(),
            offset: damage.offset,
            reason: damage.reason,
        });
        let kept = report.kept.into_iter().map(|kept| KeptOut {
            file: kept.path.display().to_string(),
            size_bytes: kept.size_bytes,
        });
        Self {
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
}

/// Reads every byte of the usage store and checks every count, while it stays in use.
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
    Ok(Json(report.into()))
}

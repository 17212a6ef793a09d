//! The watermark a request names, when it is one that was given out and is reached.

use domain::export::AsOf;

use crate::app::App;
use crate::error::{ApiError, ApiResult, Code};
use crate::watermark::read_open;

/// The watermark a text stands for.
///
/// What was never given out is refused in the same words, whatever the store holds.
pub(super) async fn reached(app: &App, text: &str) -> ApiResult<AsOf> {
    let refused = |what: &str| ApiError::new(Code::InvalidAsOf, format!("asOf {what}"));
    let as_of = match app.seal.read(text) {
        Some(as_of) => Some(as_of),
        None => given_out(app, text).await?,
    };
    let as_of = as_of.ok_or_else(|| refused("is no watermark of this server"))?;
    let forgotten_at = app.given_up.at(&app.metadata).await?;
    if forgotten_at.is_some_and(|at| as_of.time < at) {
        let message = "asOf is of usage that was lost and given up since: ask without it";
        return Err(ApiError::new(Code::Gone, message));
    }
    let is_ahead = is_beyond(app.usage.check(as_of.sequence).await)?
        || as_of.revision > app.metadata.control_revision().await?
        || as_of.time > app.now();
    if is_ahead {
        return Err(refused("is ahead of now"));
    }
    Ok(as_of)
}

/// The watermark of an open text that an earlier release gave out: an export has it.
///
/// Watermarks of today are never open: who knows the instant of one could else try sequences until
/// one fits, and learn how far the store is.
async fn given_out(app: &App, text: &str) -> ApiResult<Option<AsOf>> {
    let is_older = |as_of: &AsOf| as_of.time < app.seal.since();
    let Some(as_of) = read_open(text).filter(is_older) else {
        return Ok(None);
    };
    let is_known = app.metadata.has_watermark(as_of).await?;
    Ok(is_known.then_some(as_of))
}

/// Whether a sequence is not there yet; damage before it is an error.
fn is_beyond(checked: usage::Result<()>) -> usage::Result<bool> {
    match checked {
        Err(usage::Error::BeyondWatermark { .. }) => Ok(true),
        checked => checked.map(|()| false),
    }
}

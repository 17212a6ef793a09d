//! Work that may block, so many pieces of a kind at once.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::error::{ApiError, ApiResult};

/// Runs `work` on a thread that may block, once it is its turn.
///
/// The turn lasts until the work ends, even when nobody waits for it any more. `turns` is never
/// closed.
pub(crate) async fn run<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> ApiResult<T> {
    let turn = Arc::clone(turns).acquire_owned().await;
    let turn = turn.expect("the semaphore is never closed");
    let task = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    task.await.map_err(ApiError::internal)
}

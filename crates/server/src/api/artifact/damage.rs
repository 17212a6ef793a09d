//! What happens when an artifact turns out to be damaged while it is read.

use std::sync::Arc;

use domain::ids::ExportId;
use domain::kind::Kind;
use metadata::{Export, Remake};

use crate::app::App;
use crate::error::{ApiError, ApiResult, Code};

/// Seconds after which a file may have been made again.
const RETRY_AFTER_S: u64 = 5;

/// Who reads the artifact of an export, by the row it was found in.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    app: Arc<App>,
    export: ExportId,
    fence: u64,
}

impl Reader {
    pub(super) fn of(app: &Arc<App>, export: &Export) -> Self {
        Self {
            app: Arc::clone(app),
            export: export.id,
            fence: export.fence,
        }
    }

    /// What was read; where it is damaged, the refusal of a request that has no answer yet.
    pub(super) async fn refuse<T>(&self, read: export::Result<T>) -> ApiResult<T> {
        match read {
            Err(error) if error.kind() == Kind::Corrupt => {
                self.give_back(&error).await;
                Err(being_made_again().caused_by(error))
            }
            read => Ok(read?),
        }
    }

    /// Passes on what was read; where it is damaged, the answer ends there, unfinished.
    pub(super) async fn notice<T>(self, read: export::Result<T>) -> export::Result<T> {
        if let Err(error) = &read
            && error.kind() == Kind::Corrupt
        {
            self.give_back(error).await;
        }
        read
    }

    /// Marks the artifact and has it made again.
    async fn give_back(&self, error: &export::Error) {
        let export = self.export;
        tracing::error!(export.id = %export, "{error}");
        let metadata = &self.app.metadata;
        match metadata
            .remake_export(export, self.fence, self.app.now())
            .await
        {
            Ok(Remake::Due) => {
                tracing::warn!(export.id = %export, "export {export} is made again");
                self.app.exports.wake();
            }
            Ok(Remake::GivenUp) => {
                tracing::error!(export.id = %export, "export {export} is not made again");
                let removed = self.app.exports.artifacts().remove(export).await;
                if let Err(error) = removed {
                    tracing::warn!(export.id = %export, "{error}");
                }
            }
            Ok(Remake::Settled) => {}
            Err(error) => {
                tracing::error!(export.id = %export, "export {export} was not marked: {error}");
            }
        }
    }
}

/// The refusal while a worker makes the file again.
pub(super) fn being_made_again() -> ApiError {
    let message = "the file was damaged and is being made again: repeat after Retry-After seconds";
    ApiError::new(Code::Unavailable, message).retry_after(RETRY_AFTER_S)
}

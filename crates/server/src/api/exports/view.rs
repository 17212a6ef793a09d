//! What names in a request stand for: the account and the caller's scope at one revision.

use domain::export::AsOf;
use domain::ids::{MeterId, OrganizationId};
use domain::tree::Scope;
use metadata::ControlSnapshot;

use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::error::{ApiError, ApiResult, Code};

/// Control data a request is read with, and what the caller sees of it.
///
/// A request for an earlier watermark is read at that revision: the same text at the same
/// watermark names the same organizations and meters for ever.
#[derive(Debug, Clone)]
pub(in crate::api) struct View {
    pub(in crate::api) control: ControlSnapshot,
    pub(super) scope: Scope,
}

impl View {
    /// What names stand for now.
    pub(in crate::api) fn newest(caller: &Caller) -> ApiResult<Self> {
        Ok(Self {
            control: caller.control.clone(),
            scope: caller.reach(Permission::Read)?.scope.clone(),
        })
    }

    /// What names stood for at a watermark.
    pub(super) async fn at(app: &App, caller: &Caller, as_of: AsOf) -> ApiResult<Self> {
        let control = app.metadata.snapshot(caller.account, Some(as_of.revision));
        let control = control.await.map_err(before_account)?;
        Ok(Self {
            scope: caller.reach(Permission::Read)?.scope_at(&control),
            control,
        })
    }

    /// An organization the caller sees, by id or alias; unknown and foreign ones look the same.
    pub(super) fn organization(&self, name: &str) -> ApiResult<OrganizationId> {
        let found = self.control.resolve(&self.scope, name);
        found
            .map(|organization| organization.id)
            .ok_or_else(|| ApiError::not_found("organization"))
    }

    /// A meter of the account, by id or slug.
    pub(super) fn meter(&self, name: &str) -> ApiResult<MeterId> {
        let found = self.control.meter(name)?;
        found
            .map(|meter| meter.id)
            .ok_or_else(|| ApiError::not_found("meter"))
    }
}

fn before_account(error: metadata::Error) -> ApiError {
    match error {
        metadata::Error::NotFound { .. } => {
            ApiError::new(Code::InvalidAsOf, "asOf is from before the account existed")
        }
        error => error.into(),
    }
}

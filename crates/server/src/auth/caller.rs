//! The caller of a request: who, for which organization, and what they may do there.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::Timestamp;
use domain::ids::{AccountId, KeyId, OrganizationId, UserId};
use domain::tree::Scope;
use metadata::{ControlSnapshot, Role};

use super::Presented;
use super::limiter::Limiter;
use crate::app::App;
use crate::error::body::Door;
use crate::error::{ApiError, ApiResult, Code};

/// Header by which a server administrator names the organization to act for, by id.
pub const ORGANIZATION_HEADER: &str = "tallyport-organization";

/// An authenticated caller; cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller(pub(super) Arc<Identity>);

/// What is known of a caller.
#[derive(Debug)]
pub struct Identity {
    /// Account of the organization.
    pub account: AccountId,
    /// Organization that owns the credential; the namespace of its events.
    pub organization: OrganizationId,
    /// What the caller may do there and below.
    pub role: Role,
    /// Whose credential it is.
    pub who: Who,
    /// Whether the caller may create accounts.
    pub server_administrator: bool,
    /// The account's control data, a few seconds old at most.
    pub control: ControlSnapshot,
    /// The organization and everything under it, by dated edges.
    pub scope: Scope,
    pub(super) limiter: Arc<Limiter>,
}

/// Whose credential it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// An API key.
    Key(KeyId),
    /// A user's login session.
    Session {
        /// The user.
        user: UserId,
        /// What the session is known by.
        token_sha256: [u8; 32],
    },
    /// The local administrator of `server.json`.
    Local,
}

/// Something a role may allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Read usage and control data, and export.
    Read,
    /// Send events and record groups.
    Write,
    /// Declare meters, rates, entitlements and corrections.
    Declare,
    /// Administer organizations, users and keys.
    Administer,
}

impl Deref for Caller {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.0
    }
}

impl Identity {
    /// The organization, when the role allows what is asked.
    pub fn may(&self, permission: Permission) -> ApiResult<OrganizationId> {
        if allows(self.role, permission) {
            return Ok(self.organization);
        }
        let message = format!("the role {} does not allow this", self.role.as_str());
        Err(ApiError::new(Code::Forbidden, message))
    }

    /// Refuses everyone but server administrators.
    pub fn must_be_server_administrator(&self) -> ApiResult<()> {
        if self.server_administrator {
            return Ok(());
        }
        let message = "only a server administrator may do this";
        Err(ApiError::new(Code::Forbidden, message))
    }

    /// An organization that is the caller's or under it at `now`; unknown and foreign ones look
    /// the same.
    pub fn under(&self, id: OrganizationId, now: Timestamp) -> ApiResult<OrganizationId> {
        if self.scope.contains(id, now) {
            return Ok(id);
        }
        Err(ApiError::not_found("organization"))
    }

    /// Refuses everyone who may not declare what the whole account shares: meters and rates.
    pub fn may_declare_for_account(&self) -> ApiResult<()> {
        if self.may(Permission::Declare)? == self.control.root() {
            return Ok(());
        }
        let message = "only the root of the account declares meters and rates";
        Err(ApiError::new(Code::Forbidden, message))
    }

    /// An organization the caller sees, by id or alias; unknown and foreign ones look the same.
    pub fn organization(&self, name_or_id: &str) -> ApiResult<OrganizationId> {
        let found = self.control.resolve(&self.scope, name_or_id);
        found
            .map(|organization| organization.id)
            .ok_or_else(|| ApiError::not_found("organization"))
    }
}

impl Identity {
    /// What the caller sees, or the part of it that lies under an organization.
    pub fn scope_under(&self, name_or_id: Option<&str>) -> ApiResult<Scope> {
        let Some(name_or_id) = name_or_id else {
            return Ok(self.scope.clone());
        };
        let below = self.control.scope_of(self.organization(name_or_id)?);
        Ok(below.intersect(&self.scope))
    }
}

fn allows(role: Role, permission: Permission) -> bool {
    match role {
        Role::Owner => true,
        Role::Operator => permission != Permission::Administer,
        Role::Writer => permission == Permission::Write,
        Role::Analyst => permission == Permission::Read,
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> ApiResult<Self> {
        let presented = Presented::find(&parts.headers, Door::of(parts.uri.path()))?;
        let acting_for = parts.headers.get(ORGANIZATION_HEADER);
        let acting_for = acting_for.and_then(|value| value.to_str().ok());
        let caller = app.credentials.caller(app, presented, acting_for).await?;
        let limit = app.config.limits.requests_per_second;
        if matches!(caller.who, Who::Key(_)) {
            let busy = |seconds| {
                let message = format!("over {limit} requests per second with one key");
                ApiError::new(Code::TooManyRequests, message).retry_after(seconds)
            };
            caller.limiter.take(limit, app.now()).map_err(busy)?;
        }
        Ok(caller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_writes_an_analyst_reads_and_only_an_owner_administers() {
        let all = [
            Permission::Read,
            Permission::Write,
            Permission::Declare,
            Permission::Administer,
        ];
        let row = |role: &Role| all.map(|permission| u8::from(allows(*role, permission)));
        let roles = [Role::Owner, Role::Operator, Role::Writer, Role::Analyst];
        let table: Vec<_> = roles.iter().map(row).collect();
        assert_eq!(
            table,
            [[1, 1, 1, 1], [1, 1, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]]
        );
    }
}

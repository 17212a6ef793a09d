//! The caller of a request: who, and what they may do in which organizations.

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
use super::reach::{Reach, Reaches};
use crate::app::App;
use crate::connections::Reading;
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
    /// Account of the organization that owns the credential.
    pub account: AccountId,
    /// The strongest role that counts anywhere.
    pub role: Role,
    /// Whose credential it is.
    pub who: Who,
    /// Whether the caller may create accounts.
    pub server_administrator: bool,
    /// The account's control data, a few seconds old at most.
    pub control: ControlSnapshot,
    /// Where each permission counts.
    pub(super) reaches: Reaches,
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

impl Permission {
    /// Every permission, each at its own number.
    pub(super) const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Declare, Self::Administer];

    /// Whether a role allows it.
    pub(super) fn is_allowed(self, role: Role) -> bool {
        match role {
            Role::Owner => true,
            Role::Operator => self != Self::Administer,
            Role::Writer => self == Self::Write,
            Role::Analyst => self == Self::Read,
        }
    }
}

impl Deref for Caller {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.0
    }
}

impl Identity {
    /// Where a permission counts, when it does anywhere.
    pub fn reach(&self, permission: Permission) -> ApiResult<&Reach> {
        let reach = self.reaches.of(permission);
        reach.ok_or_else(|| self.forbidden())
    }

    /// The organization whose share of the memory for bodies the caller's requests take.
    fn organization_of_body(&self) -> Option<OrganizationId> {
        let mut reaches = Permission::ALL
            .iter()
            .filter_map(|one| self.reaches.of(*one));
        reaches.next().map(|reach| reach.organization)
    }

    /// The organization the caller acts for, when a role allows what is asked.
    pub fn may(&self, permission: Permission) -> ApiResult<OrganizationId> {
        self.reach(permission).map(|reach| reach.organization)
    }

    fn forbidden(&self) -> ApiError {
        let message = format!("the role {} does not allow this", self.role.as_str());
        ApiError::new(Code::Forbidden, message)
    }

    /// Refuses everyone but server administrators.
    pub fn must_be_server_administrator(&self) -> ApiResult<()> {
        if self.server_administrator {
            return Ok(());
        }
        let message = "only a server administrator may do this";
        Err(ApiError::new(Code::Forbidden, message))
    }

    /// An organization where a permission counts at `now`; unknown and foreign ones look the same.
    pub fn under(
        &self,
        permission: Permission,
        id: OrganizationId,
        now: Timestamp,
    ) -> ApiResult<OrganizationId> {
        if self.reach(permission)?.scope.contains(id, now) {
            return Ok(id);
        }
        let mut others = Permission::ALL
            .iter()
            .filter_map(|one| self.reaches.of(*one));
        if others.any(|reach| reach.scope.contains(id, now)) {
            return Err(self.forbidden());
        }
        Err(ApiError::not_found("organization"))
    }

    /// Whether an organization lies under one that a permission was given for, and is not such a
    /// one itself.
    pub fn is_above(&self, permission: Permission, id: OrganizationId, now: Timestamp) -> bool {
        self.reach(permission)
            .is_ok_and(|reach| reach.scope.contains(id, now) && !reach.tops.contains(&id))
    }

    /// Whether an organization's metering gate, currency and billing days are the caller's to
    /// change: those above administer them, and owners of a root their own.
    pub fn may_bill(&self, id: OrganizationId, now: Timestamp) -> bool {
        let is_root = id == self.control.root();
        is_root || self.server_administrator || self.is_above(Permission::Administer, id, now)
    }

    /// Refuses everyone who may not declare what the whole account shares: meters and rates.
    pub fn may_declare_for_account(&self) -> ApiResult<()> {
        if self.may(Permission::Declare)? == self.control.root() {
            return Ok(());
        }
        let message = "only the root of the account declares meters and rates";
        Err(ApiError::new(Code::Forbidden, message))
    }

    /// An organization where a permission counts, by id or alias; unknown and foreign ones look the
    /// same.
    pub fn organization(
        &self,
        permission: Permission,
        name_or_id: &str,
    ) -> ApiResult<OrganizationId> {
        let scope = &self.reach(permission)?.scope;
        let found = self.control.resolve(scope, name_or_id);
        found
            .map(|organization| organization.id)
            .ok_or_else(|| ApiError::not_found("organization"))
    }

    /// What the caller may read, or the part of it that lies under an organization.
    pub fn scope_under(&self, name_or_id: Option<&str>) -> ApiResult<Scope> {
        let scope = &self.reach(Permission::Read)?.scope;
        let Some(name_or_id) = name_or_id else {
            return Ok(scope.clone());
        };
        let top = self.organization(Permission::Read, name_or_id)?;
        Ok(self.control.scope_of(top).intersect(scope))
    }

    /// The organization that may read all of `wanted`, which lie inside the reach: the one acted
    /// for, unless they lie under another one that a role was given for.
    pub fn reader_of(
        &self,
        control: &ControlSnapshot,
        wanted: &[OrganizationId],
    ) -> ApiResult<OrganizationId> {
        let reach = self.reach(Permission::Read)?;
        if reach.tops.len() == 1 || wanted.is_empty() {
            return Ok(reach.organization);
        }
        let covers = |top: &OrganizationId| {
            let scope = control.scope_of(*top);
            wanted.iter().all(|id| scope.knows(*id))
        };
        let found = reach.tops.iter().copied().find(covers);
        found.ok_or_else(|| {
            let message = "organizations lie under several your roles are for: expected ones \
                           under one of them, ask for the others apart";
            ApiError::invalid(message)
        })
    }
}

impl Caller {
    /// Who a request comes from, whatever limits hold for it.
    pub(crate) async fn find(parts: &Parts, app: &App) -> ApiResult<Self> {
        let presented = Presented::find(&parts.headers, Door::of(parts.uri.path()))?;
        let acting_for = parts.headers.get(ORGANIZATION_HEADER);
        let acting_for = acting_for.map(|value| {
            value.to_str().map_err(|_| {
                ApiError::invalid(format!(
                    "the header {ORGANIZATION_HEADER} is {value:?}: expected an organization's id"
                ))
            })
        });
        let acting_for = acting_for.transpose()?;
        app.credentials.caller(app, presented, acting_for).await
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> ApiResult<Self> {
        let caller = Self::find(parts, app).await?;
        let limit = app.config.limits.requests_per_second;
        if matches!(caller.who, Who::Key(_)) {
            let busy = |seconds| {
                let message = format!("over {limit} requests per second with one key");
                ApiError::new(Code::TooManyRequests, message).retry_after(seconds)
            };
            caller.limiter.take(limit, app.now()).map_err(busy)?;
        }
        if let Some(reading) = parts.extensions.get::<Arc<Reading>>() {
            reading.belongs_to(caller.organization_of_body());
        }
        Ok(caller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_writes_an_analyst_reads_and_only_an_owner_administers() {
        let row = |role: &Role| Permission::ALL.map(|one| u8::from(one.is_allowed(*role)));
        let roles = [Role::Owner, Role::Operator, Role::Writer, Role::Analyst];
        let table: Vec<_> = roles.iter().map(row).collect();
        assert_eq!(
            table,
            [[1, 1, 1, 1], [1, 1, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]]
        );
    }
}

//! Organizations: the tree an account consists of.

mod attributes;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use domain::Timestamp;
use domain::ids::{AccountId, OrganizationId};
use domain::tree::OrganizationKind;
use metadata::{
    Change, InheritedAnchor, NewAccount, NewOrganization, Organization, OrganizationAttributes,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::attributes::AttributesIn;
use super::field::Field;
use super::page::{PageOut, PageQuery, id};
use crate::api::body::Body;
use crate::api::parameters::Query;
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::error::{ApiError, ApiResult, Code};
use crate::setup::check::fields;

/// An organization.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationOut {
    #[schema(value_type = String)]
    id: OrganizationId,
    #[schema(value_type = String)]
    account_id: AccountId,
    name: String,
    /// `production`, `additional_production`, `sandbox` or `sub_organization`.
    kind: &'static str,
    /// The organization above; null for the root and where the caller sees none.
    #[schema(value_type = Option<String>)]
    parent_id: Option<OrganizationId>,
    realm_id: Option<String>,
    partner_id: Option<String>,
    aliases: Vec<String>,
    /// `monthly` or `annual`; its own or its parent's, like the two below.
    billing_period: &'static str,
    anchor_day: u8,
    anchor_month: u8,
    currency: String,
    metering_enabled: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    archived_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl OrganizationOut {
    fn of(organization: Organization, caller: &Caller) -> Self {
        let attributes = organization.attributes;
        let visible = |parent: &OrganizationId| {
            let reach = caller.reach(Permission::Read);
            reach.is_ok_and(|reach| reach.scope.knows(*parent))
        };
        Self {
            id: organization.id,
            account_id: organization.account,
            name: attributes.name,
            kind: organization.kind.as_str(),
            parent_id: organization.parent.filter(visible),
            realm_id: attributes.realm_id,
            partner_id: attributes.partner_id,
            aliases: organization.aliases,
            billing_period: attributes.anchor.period.as_str(),
            anchor_day: attributes.anchor.day,
            anchor_month: attributes.anchor.month,
            currency: attributes.currency,
            metering_enabled: attributes.metering_enabled,
            archived_at: organization.archived_at,
            created_at: organization.created_at,
        }
    }
}

/// An organization to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrganizationIn {
    #[schema(value_type = Option<String>)]
    id: Option<OrganizationId>,
    /// `production` makes a new account; only a server administrator may.
    #[schema(value_type = String)]
    kind: OrganizationKind,
    /// The organization above; the caller's own unless given.
    #[schema(value_type = Option<String>)]
    parent_id: Option<OrganizationId>,
    /// When it comes under its parent; the beginning of time unless given.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    #[serde(flatten)]
    attributes: AttributesIn,
}

/// Changes of an organization; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrganizationPatch {
    /// The new parent.
    #[schema(value_type = Option<String>)]
    parent_id: Option<OrganizationId>,
    /// From when on the changes hold; now unless given, null for all of time.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Field<Timestamp>,
    #[serde(flatten)]
    attributes: AttributesIn,
}

/// Lists the caller's organization and everything under it.
#[utoipa::path(
    get, path = "/api/v1/organizations", tag = "control", params(PageQuery),
    responses((status = 200, body = PageOut<OrganizationOut>), (status = 400), (status = 401))
)]
pub async fn list_organizations(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<PageOut<OrganizationOut>>> {
    let reach = caller.reach(Permission::Read)?;
    let (page, now) = (page.request(reach.organization)?, app.now());
    let found = app
        .metadata
        .list_organizations(reach.tops.as_slice(), now, &page)
        .await?;
    let wire = |organization| Some(OrganizationOut::of(organization, &caller));
    Ok(Json(PageOut::of(found, wire)))
}

/// Gives one organization.
#[utoipa::path(
    get, path = "/api/v1/organizations/{id}", tag = "control",
    responses((status = 200, body = OrganizationOut), (status = 401), (status = 404))
)]
pub async fn get_organization(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> ApiResult<Json<OrganizationOut>> {
    let id = caller.under(Permission::Read, id(&text, "organization")?, app.now())?;
    answer(&app, &caller, id).await
}

/// Creates an organization under another, or with kind `production` a new account.
#[utoipa::path(
    post, path = "/api/v1/organizations", tag = "control", request_body = OrganizationIn,
    responses(
        (status = 201, body = OrganizationOut), (status = 400), (status = 401), (status = 403),
        (status = 404, description = "The parent is not under the caller"), (status = 409)
    )
)]
pub async fn create_organization(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(body): Body<OrganizationIn>,
) -> ApiResult<(StatusCode, Json<OrganizationOut>)> {
    caller.may(Permission::Administer)?;
    let account = match body.kind {
        OrganizationKind::Production => None,
        _ => Some(caller.account),
    };
    let new = body.check(&app, &caller)?;
    let mut change = app.metadata.begin_change(app.now()).await?;
    let id = insert(&mut change, account, new).await?;
    app.commit(change).await?;
    Ok((StatusCode::CREATED, answer(&app, &caller, id).await?))
}

/// Changes attributes or the parent of an organization, from `since` on.
///
/// What is left out stays as it is at each time. `meteringEnabled`, `currency` and the billing days
/// are changed by roles above the organization; those of a root by its own owner.
///
/// After a move the old parent keeps the usage before `since` and the new one sees it from then
/// on.
#[utoipa::path(
    patch, path = "/api/v1/organizations/{id}", tag = "control", request_body = OrganizationPatch,
    responses(
        (status = 200, body = OrganizationOut), (status = 400), (status = 401), (status = 403),
        (status = 404), (status = 409)
    )
)]
pub async fn patch_organization(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
    Body(body): Body<OrganizationPatch>,
) -> ApiResult<Json<OrganizationOut>> {
    let now = app.now();
    let reached = |id| caller.under(Permission::Administer, id, now);
    let id = reached(id(&text, "organization")?)?;
    let parent = body.parent_id.map(reached);
    let mut change = app.metadata.begin_change(now).await?;
    let may_bill = caller.may_bill(id, now);
    body.put(&mut change, id, parent.transpose()?, may_bill, now)
        .await?;
    app.commit(change).await?;
    answer(&app, &caller, id).await
}

/// Archives an organization: it stays readable and takes nothing new.
#[utoipa::path(
    delete, path = "/api/v1/organizations/{id}", tag = "control",
    responses((status = 204), (status = 400), (status = 401), (status = 403), (status = 404))
)]
pub async fn archive_organization(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> ApiResult<StatusCode> {
    let now = app.now();
    let id = caller.under(Permission::Administer, id(&text, "organization")?, now)?;
    if !caller.is_above(Permission::Administer, id, now) {
        let message = "an organization is archived by one above it";
        return Err(ApiError::new(Code::Forbidden, message));
    }
    let mut change = app.metadata.begin_change(now).await?;
    change.archive_organization(id).await?;
    app.commit(change).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn insert(
    change: &mut Change,
    account: Option<AccountId>,
    new: NewOrganization,
) -> ApiResult<OrganizationId> {
    if let Some(account) = account {
        return Ok(change.insert_organization(account, new).await?);
    }
    let new = NewAccount {
        id: None,
        root: new,
    };
    Ok(change.insert_account(new).await?.root)
}

async fn answer(
    app: &App,
    caller: &Caller,
    id: OrganizationId,
) -> ApiResult<Json<OrganizationOut>> {
    let found = app.metadata.find_organization(id).await?;
    let found = found.ok_or_else(|| ApiError::not_found("organization"))?;
    Ok(Json(OrganizationOut::of(found, caller)))
}

impl OrganizationIn {
    fn check(self, app: &App, caller: &Caller) -> ApiResult<NewOrganization> {
        let name = self.attributes.name.clone().unwrap_or_default();
        fields::name(&name).map_err(ApiError::invalid)?;
        let aliases = self.attributes.aliases.clone().unwrap_or_default();
        let is_root = self.kind == OrganizationKind::Production;
        let parent = match (is_root, self.parent_id) {
            (true, Some(_)) => return Err(ApiError::invalid("a root has no parentId")),
            (true, None) => {
                caller.must_be_server_administrator()?;
                None
            }
            (false, None) => Some(caller.may(Permission::Administer)?),
            (false, Some(parent)) => {
                Some(caller.under(Permission::Administer, parent, app.now())?)
            }
        };
        let mut attributes = OrganizationAttributes::named(name);
        if !is_root {
            attributes.inherited = InheritedAnchor::ALL;
        }
        Ok(NewOrganization {
            id: self.id,
            kind: self.kind,
            attributes: self.attributes.over(attributes)?,
            aliases,
            parent: parent.map(|parent| (parent, self.since)),
        })
    }
}

impl OrganizationPatch {
    async fn put(
        mut self,
        change: &mut Change,
        id: OrganizationId,
        parent: Option<OrganizationId>,
        may_bill: bool,
        now: Timestamp,
    ) -> ApiResult<()> {
        let since = self.since.over(Some(now));
        if let Some(parent) = parent {
            change.move_organization(id, parent, since).await?;
        }
        if !may_bill && let Some(now) = change.find_organization(id).await? {
            self.attributes.leave_out_same(&now.attributes);
        }
        let edit = |before: &OrganizationAttributes| {
            let after = self.attributes.over(before.clone())?;
            if !may_bill {
                attributes::keeps_billing(before, &after)?;
            }
            Ok::<_, ApiError>(after)
        };
        change.edit_organization(id, since, edit).await?;
        if let Some(aliases) = &self.attributes.aliases {
            change.put_aliases(id, aliases).await?;
        }
        Ok(())
    }
}

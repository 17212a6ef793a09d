//! Carries a setup file out: control data in one revision per account, then users and keys.
//!
//! Repeatable: what was carried out before a failure is found by the next run and left alone.

use std::collections::HashMap;

use domain::Timestamp;
use domain::ids::AccountId;
use metadata::{Change, Key, Metadata, NewKey, NewUser, PAGE_LIMIT_MAX, PageRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::check::{Declared, FirstPassword, check};
use super::diff::{Edit, Present, diff};
use super::{Setup, SetupError, home};
use crate::auth::{new_key, password, sha256};
use crate::error::{ApiError, ApiResult, Code};
use crate::random;

/// What applying a setup file did or, asked for a dry run, would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// One line per change; empty when everything is as declared.
    pub changes: Vec<String>,
    /// Passwords and keys that were made; they are shown only now.
    pub secrets: Vec<MadeSecret>,
}

/// A secret made for a declared user or key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MadeSecret {
    /// Whose, such as `user "ann"`.
    pub of: String,
    /// The password or key.
    pub secret: String,
}

/// Whether changes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Written.
    Write,
    /// Only told.
    DryRun,
}

impl From<SetupError> for ApiError {
    fn from(error: SetupError) -> Self {
        Self::new(Code::InvalidSetup, error.to_string())
    }
}

/// Makes what is stored what the file declares; nothing is written when any account is refused.
pub async fn apply(
    metadata: &Metadata,
    setup: &Setup,
    mode: Mode,
    now: Timestamp,
) -> ApiResult<Applied> {
    let mut declared = Vec::with_capacity(setup.accounts.len());
    for form in &setup.accounts {
        declared.push(check(&home::find(metadata, form).await?)?);
    }
    let mut applied = Applied {
        dry_run: mode == Mode::DryRun,
        ..Applied::default()
    };
    for account in &declared {
        match mode {
            Mode::DryRun => {
                let present = read(metadata, account, now).await?;
                let edits = diff(account, &present, &mut random::bits)?;
                applied
                    .changes
                    .extend(edits.iter().map(ToString::to_string));
            }
            Mode::Write => write(metadata, account, now, &mut applied).await?,
        }
    }
    Ok(applied)
}

/// Reads, compares and writes one account while nobody else changes control data.
async fn write(
    metadata: &Metadata,
    declared: &Declared,
    now: Timestamp,
    applied: &mut Applied,
) -> ApiResult<()> {
    let mut change = metadata.begin_change(now).await?;
    let present = read(metadata, declared, now).await?;
    let mut account = present
        .snapshot
        .as_ref()
        .map(metadata::ControlSnapshot::account);
    let edits = diff(declared, &present, &mut random::bits)?;
    for edit in &edits {
        put_control(&mut change, &mut account, edit, now).await?;
    }
    change.commit().await?;
    applied
        .changes
        .extend(edits.iter().map(ToString::to_string));
    for edit in edits {
        applied
            .secrets
            .extend(put_people(metadata, edit, now).await?);
    }
    Ok(())
}

async fn put_control(
    change: &mut Change,
    account: &mut Option<AccountId>,
    edit: &Edit,
    now: Timestamp,
) -> ApiResult<()> {
    if let Edit::CreateAccount(new) = edit {
        *account = Some(change.insert_account(new.clone()).await?.id);
        return Ok(());
    }
    let account = account.expect("an account is created before what is in it");
    match edit {
        Edit::CreateOrganization(new) => {
            change.insert_organization(account, new.clone()).await?;
        }
        Edit::PutOrganization { id, after, .. } => {
            change.put_organization(*id, after, Some(now)).await?;
        }
        Edit::PutAliases { id, aliases, .. } => change.put_aliases(*id, aliases).await?,
        Edit::MoveOrganization { id, parent, at, .. } => {
            change.move_organization(*id, *parent, *at).await?;
        }
        Edit::CreateMeter(meter) => change.insert_meter(account, meter).await?,
        Edit::PutMeter(meter) => change.put_meter(account, meter).await?,
        Edit::CreateRate { rate, .. } => change.insert_rate(account, rate).await?,
        Edit::PutRate { rate, .. } => change.put_rate(rate).await?,
        Edit::CreateAccount(_)
        | Edit::CreateUser { .. }
        | Edit::PutProfile { .. }
        | Edit::GiveRole { .. }
        | Edit::CreateKey { .. } => {}
    }
    Ok(())
}

async fn put_people(
    metadata: &Metadata,
    edit: Edit,
    now: Timestamp,
) -> ApiResult<Option<MadeSecret>> {
    match edit {
        Edit::CreateUser {
            id,
            name,
            organization,
            profile,
            password,
        } => {
            let (password_hash, made) = first_password(password, &name).await?;
            let new = NewUser {
                id: Some(id),
                name,
                password_hash,
                organization,
                server_administrator: false,
                profile,
            };
            metadata.insert_user(new, now).await?;
            Ok(made)
        }
        Edit::PutProfile { id, profile, .. } => {
            metadata.put_user_profile(id, &profile, now).await?;
            Ok(None)
        }
        Edit::GiveRole { assignment, .. } => {
            metadata.insert_role(assignment, now).await?;
            Ok(None)
        }
        Edit::CreateKey {
            name,
            organization,
            role,
            secret,
        } => {
            let given = secret.as_ref().and_then(|secret| secret.reveal());
            let secret = given.map_or_else(new_key, str::to_owned);
            let made = given.is_none().then(|| MadeSecret {
                of: format!("key {name:?}"),
                secret: secret.clone(),
            });
            let new = NewKey {
                id: None,
                secret_sha256: sha256(&secret),
                name,
                organization,
                role,
                expires_at: None,
            };
            metadata.insert_key(new, now).await?;
            Ok(made)
        }
        _ => Ok(None),
    }
}

/// The hash to store, and the password when it was made here.
async fn first_password(
    declared: FirstPassword,
    user: &str,
) -> ApiResult<(String, Option<MadeSecret>)> {
    let text = |secret: &crate::config::Secret| secret.reveal().unwrap_or_default().to_owned();
    match declared {
        FirstPassword::Hash(hash) => Ok((text(&hash), None)),
        FirstPassword::Given(given) => Ok((password::hash(text(&given)).await?, None)),
        FirstPassword::Random => {
            let secret = random::password();
            let made = MadeSecret {
                of: format!("user {user:?}"),
                secret: secret.clone(),
            };
            Ok((password::hash(secret).await?, Some(made)))
        }
    }
}

async fn read(metadata: &Metadata, declared: &Declared, now: Timestamp) -> ApiResult<Present> {
    let account = find_account(metadata, declared).await?;
    let snapshot = match account {
        Some(account) => Some(metadata.snapshot(account, None).await?),
        None => None,
    };
    let mut users = HashMap::new();
    for user in &declared.users {
        if let Some(stored) = metadata.find_user_by_name(&user.name).await? {
            let roles = metadata.list_roles(stored.id).await?;
            users.insert(user.name.clone(), (stored, roles));
        }
    }
    let keys = match &snapshot {
        Some(snapshot) if !declared.keys.is_empty() => {
            all_keys(metadata, snapshot.root(), now).await?
        }
        _ => Vec::new(),
    };
    Ok(Present {
        snapshot,
        users,
        keys,
        now,
    })
}

/// The account a declaration means: by its id, by its root's id, or by its root's name.
async fn find_account(metadata: &Metadata, declared: &Declared) -> ApiResult<Option<AccountId>> {
    let root = &declared.organizations[0];
    if let Some(id) = declared.id {
        return Ok(metadata.find_account(id).await?.map(|account| account.id));
    }
    if let Some(id) = root.id {
        return Ok(metadata
            .find_account_of(id)
            .await?
            .map(|account| account.id));
    }
    let mut found = None;
    let mut page = PageRequest::new(None, PAGE_LIMIT_MAX)?;
    loop {
        let accounts = metadata.list_accounts(&page).await?;
        for account in accounts.items {
            let organization = metadata.find_organization(account.root).await?;
            if organization.is_none_or(|organization| organization.attributes.name != root.name) {
                continue;
            }
            if found.replace(account.id).is_some() {
                let message = "several accounts have a root of this name: give its id";
                return Err(SetupError::rule(
                    format!("organization {:?}", root.name),
                    message,
                ))?;
            }
        }
        match accounts.next {
            Some(next) => page = PageRequest::new(Some(next), PAGE_LIMIT_MAX)?,
            None => return Ok(found),
        }
    }
}

async fn all_keys(
    metadata: &Metadata,
    root: domain::ids::OrganizationId,
    now: Timestamp,
) -> ApiResult<Vec<Key>> {
    let mut keys = Vec::new();
    let mut page = PageRequest::new(None, PAGE_LIMIT_MAX)?;
    loop {
        let part = metadata.list_keys(root, now, &page).await?;
        keys.extend(part.items);
        match part.next {
            Some(next) => page = PageRequest::new(Some(next), PAGE_LIMIT_MAX)?,
            None => return Ok(keys),
        }
    }
}

//! Carries a setup file out: control data in one revision per account, then users and keys.
//!
//! Repeatable: what was carried out before a failure is found by the next run and left alone.

use domain::Timestamp;
use domain::ids::{AccountId, OrganizationId};
use domain::meter::Meter;
use metadata::{Change, Declaration, Maker, Metadata, NewKey, NewUser, OrganizationAttributes};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::check::{Declared, FirstPassword, check};
use super::diff::{Edit, diff, warnings};
use super::stored::Stored;
use super::{Authority, Setup, SetupError, home, present};
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
    /// What is stored though nothing comes of it, such as an allowance of a rate of kind `ipu`.
    #[serde(default)]
    pub warnings: Vec<String>,
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

impl Applied {
    /// Adds what became of an account, as lines.
    fn note(&mut self, edits: &[Edit], warnings: Vec<String>) {
        // What is only written again, behind a version that changes, is no change.
        let lines = edits.iter().map(ToString::to_string);
        self.changes.extend(lines.filter(|line| !line.is_empty()));
        self.warnings.extend(warnings);
    }
}

impl From<SetupError> for ApiError {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Damaged { cause } => {
                Self::new(Code::Corrupt, Code::Corrupt.meaning()).caused_by(cause)
            }
            error => Self::new(Code::InvalidSetup, error.to_string()),
        }
    }
}

/// Makes what is stored what the file declares; nothing is written when any account is refused.
pub async fn apply(
    metadata: &Metadata,
    stored: Stored<'_>,
    setup: &Setup,
    authority: Authority,
    mode: Mode,
    now: Timestamp,
) -> ApiResult<Applied> {
    let mut declared = Vec::with_capacity(setup.accounts.len());
    for form in &setup.accounts {
        let (form, known) = home::find(metadata, stored, form, authority).await?;
        declared.push(check(&form, &known)?);
    }
    let mut applied = Applied {
        dry_run: mode == Mode::DryRun,
        ..Applied::default()
    };
    let mut taken = Vec::new();
    for account in &declared {
        match mode {
            Mode::DryRun => {
                let present = present::read(metadata, stored, account, &taken, now).await?;
                let edits = diff(account, &present, &mut random::bits)?;
                applied.note(&edits, warnings(&present, &edits)?);
                taken.extend(present.first_start());
            }
            Mode::Write => write(metadata, stored, account, now, &mut applied).await?,
        }
    }
    Ok(applied)
}

/// Reads, compares and writes one account while nobody else changes control data.
async fn write(
    metadata: &Metadata,
    stored: Stored<'_>,
    declared: &Declared,
    now: Timestamp,
    applied: &mut Applied,
) -> ApiResult<()> {
    let mut change = metadata.begin_change(now).await?;
    let present = present::read(metadata, stored, declared, &[], now).await?;
    let mut account = present
        .snapshot
        .as_ref()
        .map(metadata::ControlSnapshot::account);
    let edits = diff(declared, &present, &mut random::bits)?;
    let warnings = warnings(&present, &edits)?;
    for edit in &edits {
        put_control(&mut change, &mut account, edit, now).await?;
    }
    change.commit().await?;
    applied.note(&edits, warnings);
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
    if let Edit::CreateAccount {
        new,
        replaces,
        maker,
    } = edit
    {
        let made = match replaces {
            Some((old, _)) => change.replace_account(old, new.clone()).await?,
            None => change.insert_account(new.clone()).await?,
        };
        *account = Some(made.id);
        let name = &new.root.attributes.name;
        return declare(change, made.id, made.root, name, *maker).await;
    }
    let account = account.expect("an account is created before what is in it");
    match edit {
        Edit::CreateOrganization(new) => {
            let id = change.insert_organization(account, new.clone()).await?;
            declare(change, account, id, &new.attributes.name, Maker::Setup).await?;
        }
        Edit::AdoptRoot { id, name, .. } => {
            change.drop_first_start(account).await?;
            declare(change, account, *id, name, Maker::Setup).await?;
        }
        Edit::PutBilling { id, since, own, .. } => {
            let edit = |before: &OrganizationAttributes| {
                let mut after = before.clone();
                own.replace(&mut after);
                Ok::<_, metadata::Error>(after)
            };
            change.edit_organization(*id, *since, edit).await?;
        }
        Edit::PutOrganization {
            id,
            after,
            for_ever,
            ..
        } => {
            let since = (!for_ever).then_some(now);
            change.put_organization(*id, after, since).await?;
        }
        Edit::PutAliases { id, aliases, .. } => change.put_aliases(*id, aliases).await?,
        Edit::MoveOrganization { id, parent, at, .. } => {
            change.move_organization(*id, *parent, *at).await?;
        }
        Edit::CreateMeter(meter) => change.insert_meter(account, &open_ended(meter)).await?,
        Edit::PutMeter { after, .. } => change.put_meter(account, &open_ended(after)).await?,
        Edit::CreateRate { rate, .. } => change.insert_rate(account, rate).await?,
        Edit::PutRate { after, .. } => change.put_rate(after).await?,
        // Writing the version before it has ended it.
        Edit::EndVersion { .. }
        | Edit::CreateAccount { .. }
        | Edit::CreateUser { .. }
        | Edit::PutProfile { .. }
        | Edit::GiveRole { .. }
        | Edit::CreateKey { .. } => {}
    }
    Ok(())
}

/// A version as it is written: the one after it ends it.
fn open_ended(meter: &Meter) -> Meter {
    let mut meter = meter.clone();
    meter.valid.end = None;
    meter
}

/// Lets files find an organization again by the name they have for it.
async fn declare(
    change: &mut Change,
    account: AccountId,
    organization: OrganizationId,
    name: &str,
    maker: Maker,
) -> ApiResult<()> {
    let declaration = Declaration {
        account,
        name: name.to_owned(),
        organization,
        maker,
    };
    Ok(change.put_declaration(&declaration).await?)
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
        Edit::PutProfile { id, after, .. } => {
            metadata.put_user_profile(id, &after, now).await?;
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
            ..
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

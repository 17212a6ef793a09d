//! What there is of the things a declaration names.

use std::collections::HashMap;

use domain::Timestamp;
use domain::ids::{AccountId, OrganizationId};
use metadata::{Key, Maker, Metadata, PAGE_LIMIT_MAX, PageRequest};

use super::SetupError;
use super::check::Declared;
use super::diff::{FirstRoot, Present};
use super::stored::Stored;
use crate::error::ApiResult;

/// What there is of the things a declaration names.
pub(super) async fn read(
    metadata: &Metadata,
    stored: Stored<'_>,
    declared: &Declared,
    now: Timestamp,
) -> ApiResult<Present> {
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
    let declarations = match account {
        Some(account) => metadata.list_declarations(account).await?,
        None => Vec::new(),
    };
    let first = declarations
        .iter()
        .find(|one| one.maker == Maker::FirstStart);
    let first_root = match (first, &snapshot) {
        (Some(first), Some(snapshot)) => {
            let root = snapshot.organization(first.organization);
            let is_used = root.is_none_or(|root| root.newest().name != first.name)
                || snapshot.organizations().len() > 1
                || has_keys(metadata, first.organization, now).await?
                || stored.is_used(metadata, first.organization).await?;
            Some(if is_used {
                FirstRoot::Used
            } else {
                FirstRoot::Unused
            })
        }
        _ => None,
    };
    let names = declarations
        .into_iter()
        .map(|one| (one.name, one.organization));
    Ok(Present {
        snapshot,
        declared: names.collect(),
        first_root,
        users,
        keys,
        now,
    })
}

/// The account a declaration means: by its id, by its root's id, or by the name under which files
/// declared its root.
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
    let refuse = |message: &str| {
        let place = format!("organization {:?}", root.name);
        Err(SetupError::rule(place, message))
    };
    match metadata.find_declared_roots(&root.name).await?.as_slice() {
        [only] => return Ok(Some(only.account)),
        [_, ..] => refuse("several accounts have a root of this name: give its id")?,
        [] => {}
    }
    if metadata.find_root_named(&root.name).await?.is_some() {
        refuse(
            "a root has this name that no setup file made: give its id, or one nobody has to \
             declare another",
        )?;
    }
    Ok(None)
}

async fn has_keys(metadata: &Metadata, root: OrganizationId, now: Timestamp) -> ApiResult<bool> {
    let page = PageRequest::new(None, 1)?;
    Ok(!metadata.list_keys(root, now, &page).await?.items.is_empty())
}

async fn all_keys(
    metadata: &Metadata,
    root: OrganizationId,
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

//! What there is of the things a declaration names.

use std::collections::HashMap;

use domain::Timestamp;
use domain::ids::{AccountId, OrganizationId};
use metadata::{Key, Maker, Metadata, PAGE_LIMIT_MAX, PageRequest, RoleAssignment, User};

use super::account::{Found, Search, TakeOver};
use super::check::Declared;
use super::diff::Present;
use super::form::Origin;
use super::stored::Stored;
use crate::error::ApiResult;

/// What there is of the things a declaration names.
///
/// `taken` are accounts of the first start that a dry run gave to earlier documents of the file.
pub(super) async fn read(
    metadata: &Metadata,
    stored: Stored<'_>,
    declared: &Declared,
    taken: &[AccountId],
    now: Timestamp,
) -> ApiResult<Present> {
    let search = Search {
        metadata,
        stored,
        taken,
    };
    let root = &declared.organizations[0];
    let found = search.find(declared.id, root.id, &root.name).await?;
    let (account, replaces, beside) = match found {
        Found::Known(account) | Found::FirstStart(account, _) => (Some(account.id), None, None),
        Found::New { replaces, beside } => (None, replaces, beside),
    };
    let snapshot = match account {
        Some(account) => Some(metadata.snapshot(account, None).await?),
        None => None,
    };
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
    // A root of the first start that a file declares by an id is declared from then on.
    let is_first = declarations
        .iter()
        .any(|one| one.maker == Maker::FirstStart);
    let takes_over = match found {
        Found::FirstStart(_, takes_over) => Some(takes_over),
        Found::Known(_) if is_first && root.origin == Origin::Written => Some(TakeOver::Used),
        _ => None,
    };
    let names = declarations
        .into_iter()
        .map(|one| (one.name, one.organization));
    Ok(Present {
        snapshot,
        declared: names.collect(),
        takes_over,
        replaces,
        beside,
        users: users(metadata, declared).await?,
        keys,
        now,
    })
}

/// The declared users that exist, with their roles.
async fn users(
    metadata: &Metadata,
    declared: &Declared,
) -> ApiResult<HashMap<String, (User, Vec<RoleAssignment>)>> {
    let mut users = HashMap::new();
    for user in &declared.users {
        if let Some(stored) = metadata.find_user_by_name(&user.name).await? {
            let roles = metadata.list_roles(stored.id).await?;
            users.insert(user.name.clone(), (stored, roles));
        }
    }
    Ok(users)
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

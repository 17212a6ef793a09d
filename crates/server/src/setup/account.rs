//! Which account a file means.

use domain::Timestamp;
use domain::ids::{AccountId, OrganizationId};
use metadata::{Account, Declaration, Maker, Metadata, PageRequest};

use super::SetupError;
use super::form::OrganizationForm;
use super::stored::Stored;
use crate::error::ApiResult;

/// The account a file means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// One that is there.
    Known(Account),
    /// The one that the first start made, which the file takes over.
    FirstStart(Account, TakeOver),
    /// None yet.
    New {
        /// The unused one of the first start, whose ids are others than the file demands.
        replaces: Option<Account>,
        /// The one of the first start, which is used and stays beside the new one.
        beside: Option<Account>,
    },
}

/// What a file takes over from the first start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeOver {
    /// A root that nobody used, whatever the file calls it.
    Unused,
    /// One in use, which the file names by an id or made organizations under before.
    Used,
}

/// Finds the account of a declared root: by its id, by the root's id, or by the name under which
/// files declared the root. Where there is none, an unused one of the first start is meant.
///
/// `taken` are accounts of the first start that a dry run gave to earlier documents of the file.
pub(super) async fn find(
    metadata: &Metadata,
    stored: Stored<'_>,
    id: Option<AccountId>,
    root: &OrganizationForm,
    taken: &[AccountId],
) -> ApiResult<Found> {
    Search {
        metadata,
        stored,
        taken,
    }
    .find(id, root.id, &root.name)
    .await
}

/// What a search looks into.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) metadata: &'a Metadata,
    pub(super) stored: Stored<'a>,
    pub(super) taken: &'a [AccountId],
}

impl Search<'_> {
    pub(super) async fn find(
        self,
        id: Option<AccountId>,
        root: Option<OrganizationId>,
        name: &str,
    ) -> ApiResult<Found> {
        let metadata = self.metadata;
        let by_id = match (id, root) {
            (Some(id), _) => metadata.find_account(id).await?,
            (None, Some(root)) => metadata.find_account_of(root).await?,
            (None, None) => return self.by_name(name).await,
        };
        match by_id {
            Some(account) => Ok(Found::Known(account)),
            None => self.none_yet(true).await,
        }
    }

    async fn by_name(self, name: &str) -> ApiResult<Found> {
        let refuse = |message: String| {
            let place = format!("organization {name:?}");
            Err(SetupError::rule(place, message))
        };
        let declared = self.metadata.find_declared_roots(name).await?;
        match declared.as_slice() {
            [only] if self.taken.contains(&only.account) => {}
            [only] => return self.declared(only).await,
            [] => {}
            several => {
                let ids: Vec<_> = several.iter().map(|one| one.account.to_string()).collect();
                refuse(format!(
                    "several accounts have a root of this name, such as {}: write `account: <id>` \
                     at the top of the file",
                    ids.join(" and ")
                ))?;
            }
        }
        if let Some(root) = self.metadata.find_root_named(name).await? {
            let is_taken = declared.iter().any(|one| one.organization == root);
            if !is_taken {
                refuse(format!(
                    "{root} is a root of this name that no setup file made: write `id: {root}` to \
                     declare that one, or an id nobody has to declare another"
                ))?;
            }
        }
        self.none_yet(false).await
    }

    async fn declared(self, root: &Declaration) -> ApiResult<Found> {
        let account = self.metadata.find_account(root.account).await?;
        let missing = || SetupError::rule(format!("account {}", root.account), "it is gone");
        let account = account.ok_or_else(missing)?;
        if root.maker == Maker::Setup {
            return Ok(Found::Known(account));
        }
        // Files of earlier releases found this root by its name, and made what is under it.
        let made = self.metadata.list_declarations(account.id).await?;
        if made.iter().any(|one| one.maker == Maker::Setup) {
            return Ok(Found::FirstStart(account, TakeOver::Used));
        }
        if self.is_unused(root).await? {
            return Ok(Found::FirstStart(account, TakeOver::Unused));
        }
        let (name, root) = (&root.name, account.root);
        let message = format!(
            "the first start made it and it has usage, organizations or keys: write `account: {}` \
             at the top of the file, or `id: {root}` here, to declare that one",
            account.id
        );
        Err(SetupError::rule(format!("organization {name:?}"), message))?
    }

    /// No account has what the file demands.
    async fn none_yet(self, has_ids: bool) -> ApiResult<Found> {
        let none = Found::New {
            replaces: None,
            beside: None,
        };
        let first = self.metadata.find_first_start().await?;
        let first = first.filter(|first| !self.taken.contains(&first.account));
        let Some(first) = first else {
            return Ok(none);
        };
        let Some(account) = self.metadata.find_account(first.account).await? else {
            return Ok(none);
        };
        let is_unused = self.is_unused(&first).await?;
        if is_unused && !has_ids {
            return Ok(Found::FirstStart(account, TakeOver::Unused));
        }
        let is_bare = is_unused && self.metadata.is_bare(&account).await?;
        Ok(Found::New {
            replaces: is_bare.then_some(account),
            beside: (!is_bare).then_some(account),
        })
    }

    /// Whether a root of the first start has its first name, no organization under it, no key and
    /// no usage.
    async fn is_unused(self, first: &Declaration) -> ApiResult<bool> {
        let snapshot = self.metadata.snapshot(first.account, None).await?;
        let root = snapshot.organization(first.organization);
        let is_renamed = root.is_none_or(|root| root.newest().name != first.name);
        let is_used = is_renamed
            || snapshot.organizations().len() > 1
            || has_keys(self.metadata, first.organization).await?
            || self.stored.is_used(first.organization).await?;
        Ok(!is_used)
    }
}

async fn has_keys(metadata: &Metadata, root: OrganizationId) -> ApiResult<bool> {
    let page = PageRequest::new(None, 1)?;
    let keys = metadata.list_keys(root, Timestamp::MAX, &page).await?;
    Ok(!keys.items.is_empty())
}

//! Files that declare no tree: what they declare goes into the account there is.

use metadata::{Account, Metadata, PageRequest};

use super::form::OrganizationForm;
use super::{AccountForm, SetupError};
use crate::bootstrap::FIRST_ROOT;
use crate::error::ApiResult;

/// Names the root of the account meant, where a file declares something and no organization.
///
/// It is the account of the file's `account`, else the only one; where there is none, it is the
/// one that the first start would create.
pub(super) async fn find(metadata: &Metadata, form: &AccountForm) -> ApiResult<AccountForm> {
    let mut form = form.clone();
    if !form.organizations.is_empty() || declares_nothing(&form) {
        return Ok(form);
    }
    let (id, name) = match account(metadata, &form).await? {
        Some(account) => {
            let root = metadata.find_organization(account.root).await?;
            let name = root.map(|root| root.attributes.name);
            (Some(account.root), name.unwrap_or_default())
        }
        None => (None, FIRST_ROOT.to_owned()),
    };
    form.organizations.push(OrganizationForm {
        name,
        id,
        ..OrganizationForm::default()
    });
    Ok(form)
}

fn declares_nothing(form: &AccountForm) -> bool {
    form.meters.is_empty() && form.users.is_empty() && form.keys.is_empty()
}

async fn account(metadata: &Metadata, form: &AccountForm) -> ApiResult<Option<Account>> {
    if let Some(id) = form.account {
        let found = metadata.find_account(id).await?;
        let missing = || SetupError::rule(format!("account {id}"), "there is no such account");
        return Ok(Some(found.ok_or_else(missing)?));
    }
    let page = PageRequest::new(None, 2)?;
    match metadata.list_accounts(&page).await?.items.as_slice() {
        [] => Ok(None),
        [account] => Ok(Some(*account)),
        _ => {
            let message = "there are several accounts: say which with `account`, or declare a root";
            Err(SetupError::rule("organizations", message))?
        }
    }
}

//! What a file means beyond what it declares: the account and root, and stored things it refers to.

use std::collections::HashSet;

use domain::ids::OrganizationId;
use metadata::{Account, ControlSnapshot, Declaration, Maker, Metadata, PageRequest};

use super::account::Found;
use super::check::Known;
use super::form::{OrganizationForm, Origin};
use super::stored::Stored;
use super::{AccountForm, Authority, SetupError, account};
use crate::bootstrap::FIRST_ROOT;
use crate::error::{ApiError, ApiResult, Code};

/// Adds to a file's account the root it leaves out and the stored organizations it refers to, and
/// finds the stored meters it may price.
///
/// Without a root the account is that of the file's `account`, else the only one; where there is
/// none, its root is the one that the first start would create.
pub(super) async fn find(
    metadata: &Metadata,
    stored: Stored<'_>,
    form: &AccountForm,
    authority: Authority,
) -> ApiResult<(AccountForm, Known)> {
    let mut form = form.clone();
    refuse_empty(&form)?;
    restrict(&mut form, authority)?;
    let root = form.organizations.iter().find(|one| one.parent.is_none());
    let account = match root {
        Some(root) => match account::find(metadata, stored, form.account, root, &[]).await? {
            Found::Known(account) | Found::FirstStart(account, _) => Some(account),
            Found::New { .. } => None,
        },
        None => implied(metadata, &mut form).await?,
    };
    let Some(account) = account else {
        return Ok((form, Known::default()));
    };
    let control = metadata.snapshot(account.id, None).await?;
    let declarations = metadata.list_declarations(account.id).await?;
    refer(&mut form, &control, &declarations)?;
    let root = control.organization(control.root());
    let mut known = Known {
        meters: Vec::new(),
        currency: root.map(|root| root.newest().currency.clone()),
    };
    if !form.rates.is_empty() {
        known.meters = control.live_meters()?.cloned().collect();
    }
    Ok((form, known))
}

fn refuse_empty(form: &AccountForm) -> Result<(), SetupError> {
    let sections = [
        form.organizations.len(),
        form.users.len(),
        form.keys.len(),
        form.meters.len(),
        form.rates.len(),
        form.entitlements.len(),
    ];
    if form.partner_id.is_some() || sections.iter().any(|entries| *entries > 0) {
        return Ok(());
    }
    Err(SetupError::nothing_declared())
}

/// Keeps whoever administers one account within it.
fn restrict(form: &mut AccountForm, authority: Authority) -> ApiResult<()> {
    let Authority::Account(own) = authority else {
        return Ok(());
    };
    match form.account {
        Some(other) if other != own => {
            let message = format!("account {other}: the credential administers account {own}");
            Err(ApiError::new(Code::Forbidden, message))
        }
        _ => {
            form.account = Some(own);
            Ok(())
        }
    }
}

/// Puts the root in front that the file leaves out.
async fn implied(metadata: &Metadata, form: &mut AccountForm) -> ApiResult<Option<Account>> {
    let account = only_account(metadata, form).await?;
    let root = match account {
        Some(account) => {
            let root = metadata.find_organization(account.root).await?;
            stored_form(account.root, root.map(|root| root.attributes.name))
        }
        None => OrganizationForm {
            name: FIRST_ROOT.to_owned(),
            origin: Origin::Implied,
            ..OrganizationForm::default()
        },
    };
    form.organizations.insert(0, root);
    Ok(account)
}

fn stored_form(id: OrganizationId, name: Option<String>) -> OrganizationForm {
    OrganizationForm {
        name: name.unwrap_or_default(),
        id: Some(id),
        origin: Origin::Stored,
        aliases: Some(Vec::new()),
        ..OrganizationForm::default()
    }
}

async fn only_account(metadata: &Metadata, form: &AccountForm) -> ApiResult<Option<Account>> {
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

/// Adds every stored organization that the file names without declaring it.
fn refer(
    form: &mut AccountForm,
    control: &ControlSnapshot,
    declarations: &[Declaration],
) -> Result<(), SetupError> {
    let mut declared = HashSet::new();
    names_of(&form.organizations, &mut declared);
    for name in references(form) {
        if !declared.insert(name.clone()) {
            continue;
        }
        let Some(id) = resolve(&name, control, declarations)? else {
            continue;
        };
        let mut stored = form.organizations.iter_mut();
        let same = |one: &&mut OrganizationForm| one.origin == Origin::Stored && one.id == Some(id);
        if let Some(references) = stored.find(same).and_then(|stored| stored.aliases.as_mut()) {
            references.push(name);
            continue;
        }
        let found = control.organization(id);
        let own = found.map(|found| found.newest().name.clone());
        let mut reference = stored_form(id, own);
        reference.aliases = Some(vec![name]);
        form.organizations.push(reference);
    }
    Ok(())
}

/// Names, ids and aliases of what a file writes.
fn names_of(forms: &[OrganizationForm], names: &mut HashSet<String>) {
    for form in forms.iter().filter(|form| form.origin != Origin::Stored) {
        names.insert(form.name.clone());
        names.extend(form.id.map(|id| id.to_string()));
        names.extend(form.aliases.iter().flatten().cloned());
        names_of(&form.organizations, names);
    }
}

/// Every place where a file names an organization.
fn references(form: &AccountForm) -> Vec<String> {
    let users = form.users.iter().flat_map(|user| {
        let roles = user.roles.iter().flat_map(|role| &role.organization);
        user.organization.iter().chain(roles)
    });
    let keys = form.keys.iter().flat_map(|key| &key.organization);
    let rates = form.rates.iter().flat_map(|rate| &rate.organization);
    let mut named: Vec<String> = users.chain(keys).chain(rates).cloned().collect();
    parents(&form.organizations, &mut named);
    named
}

fn parents(forms: &[OrganizationForm], named: &mut Vec<String>) {
    for form in forms {
        named.extend(form.parent.clone());
        named.extend(form.moves.iter().map(|step| step.parent.clone()));
        parents(&form.organizations, named);
    }
}

/// The stored organization a text means: by id, by the name files made it under, or else by an
/// alias or a name that one organization alone has. Archived ones are found by id only.
fn resolve(
    text: &str,
    control: &ControlSnapshot,
    declarations: &[Declaration],
) -> Result<Option<OrganizationId>, SetupError> {
    let by_id = text.parse().ok().and_then(|id| control.organization(id));
    if let Some(found) = by_id {
        return Ok(Some(found.id));
    }
    let is_live = |id: &OrganizationId| {
        let found = control.organization(*id);
        found.is_some_and(|found| found.archived_at.is_none())
    };
    let made = |one: &&Declaration| one.name == text && one.maker == Maker::Setup;
    let made = declarations.iter().find(made).map(|one| one.organization);
    if let Some(made) = made.filter(is_live) {
        return Ok(Some(made));
    }
    let live = control.organizations().iter();
    let live = live.filter(|one| one.archived_at.is_none());
    let called = live
        .filter(|one| one.newest().name == text || one.aliases.iter().any(|alias| alias == text));
    let found: Vec<_> = called.map(|one| one.id).collect();
    match found.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(*only)),
        several => {
            let ids: Vec<_> = several.iter().map(ToString::to_string).collect();
            let message = format!(
                "several organizations have this name or alias: give the id of one of {}",
                ids.join(", ")
            );
            Err(SetupError::rule(format!("organization {text:?}"), message))
        }
    }
}

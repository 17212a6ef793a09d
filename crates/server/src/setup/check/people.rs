//! Users and keys of a setup file.

use std::collections::HashSet;

use metadata::{Role, UserProfile};

use super::{DeclaredKey, DeclaredUser, FirstPassword, Names, fields, refer, role};
use crate::auth::credential::KEY_PREFIX;
use crate::auth::{is_key, password};
use crate::random::SECRET_CHARS;
use crate::setup::SetupError;
use crate::setup::form::{KeyForm, UserForm};

pub(super) fn users(forms: &[UserForm], names: &Names) -> Result<Vec<DeclaredUser>, SetupError> {
    let mut seen = HashSet::new();
    let mut declared = Vec::with_capacity(forms.len());
    for form in forms {
        let place = format!("user {:?}", form.name);
        let refuse = |message: String| SetupError::rule(place.clone(), message);
        fields::name(&form.name).map_err(refuse)?;
        [&form.first_name, &form.last_name]
            .into_iter()
            .chain(&form.emails)
            .try_for_each(|text| fields::text(text))
            .map_err(refuse)?;
        if !seen.insert(&form.name) {
            return Err(refuse("the file declares this user twice".to_owned()));
        }
        let organization = refer(names, &place, form.organization.as_ref())?;
        declared.push(DeclaredUser {
            name: form.name.clone(),
            organization,
            roles: roles(form, organization, &place, names)?,
            profile: UserProfile {
                first_name: form.first_name.clone(),
                last_name: form.last_name.clone(),
                emails: form.emails.clone(),
            },
            password: first_password(form).map_err(refuse)?,
        });
    }
    Ok(declared)
}

fn roles(
    form: &UserForm,
    own: usize,
    place: &str,
    names: &Names,
) -> Result<Vec<(usize, Role)>, SetupError> {
    let mut roles = Vec::with_capacity(form.roles.len());
    for entry in &form.roles {
        let organization = match &entry.organization {
            Some(text) => refer(names, place, Some(text))?,
            None => own,
        };
        roles.push((organization, role(place, &entry.role)?));
    }
    roles.sort_by_key(|(organization, role)| (*organization, role.as_str()));
    roles.dedup();
    Ok(roles)
}

fn first_password(form: &UserForm) -> Result<FirstPassword, String> {
    match (&form.password, &form.password_hash) {
        (Some(_), Some(_)) => Err("give a password or its hash, not both".to_owned()),
        (Some(given), None) => {
            password::check_length(given.reveal().unwrap_or_default())?;
            Ok(FirstPassword::Given(given.clone()))
        }
        (None, Some(hash)) if hash.reveal().is_some_and(password::is_hash) => {
            Ok(FirstPassword::Hash(hash.clone()))
        }
        (None, Some(_)) => Err("passwordHash is no argon2id PHC string".to_owned()),
        (None, None) => Ok(FirstPassword::Random),
    }
}

pub(super) fn keys(forms: &[KeyForm], names: &Names) -> Result<Vec<DeclaredKey>, SetupError> {
    let mut seen = HashSet::new();
    let mut declared = Vec::with_capacity(forms.len());
    for form in forms {
        let place = format!("key {:?}", form.name);
        let refuse = |message: &str| SetupError::rule(place.clone(), message);
        fields::name(&form.name).map_err(|message| refuse(&message))?;
        let organization = refer(names, &place, form.organization.as_ref())?;
        if !seen.insert((organization, &form.name)) {
            return Err(refuse("the file declares this key twice"));
        }
        if let Some(secret) = &form.secret {
            let given = secret.reveal().unwrap_or_default();
            check_key(given).map_err(|message| refuse(&message))?;
        }
        declared.push(DeclaredKey {
            name: form.name.clone(),
            organization,
            role: role(&place, &form.role)?,
            secret: form.secret.clone(),
        });
    }
    Ok(declared)
}

/// Refuses what has not the form of a key, without repeating it.
fn check_key(given: &str) -> Result<(), String> {
    if is_key(given) {
        return Ok(());
    }
    let (has, all) = (given.chars().count(), KEY_PREFIX.len() + SECRET_CHARS);
    Err(format!(
        "secret has {has} characters: expected {KEY_PREFIX} and {SECRET_CHARS} letters and digits, \
         {all} in all"
    ))
}

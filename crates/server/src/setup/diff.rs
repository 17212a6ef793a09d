//! What applying a declaration would change: a pure function of it and of what there is.
//!
//! Applying the edits and comparing again gives none. A file takes nothing away: what it does not
//! mention stays. Of what it does mention, its versions replace those stored.

mod find;
mod organizations;
mod people;
mod prices;
mod text;

use std::collections::HashMap;

use domain::Timestamp;
use domain::ids::{AccountId, OrganizationId, UserId};
use domain::meter::Meter;
use domain::rate::Rate;
use metadata::{
    ControlSnapshot, Key, NewAccount, NewOrganization, OrganizationAttributes, Role,
    RoleAssignment, User, UserProfile,
};

use super::SetupError;
use super::check::{Declared, FirstPassword};
use crate::config::Secret;

/// What there is of the things a declaration names.
#[derive(Debug)]
pub struct Present {
    /// Control data of the account, when it exists.
    pub snapshot: Option<ControlSnapshot>,
    /// Organizations that setup files made, by the name those have for them.
    pub declared: HashMap<String, OrganizationId>,
    /// The root of the account, when the first start made it and no file declared it since.
    pub first_root: Option<FirstRoot>,
    /// Declared users that exist, by login name, with their roles.
    pub users: HashMap<String, (User, Vec<RoleAssignment>)>,
    /// Keys of the account.
    pub keys: Vec<Key>,
    /// The current instant.
    pub now: Timestamp,
}

/// A root that the first start made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstRoot {
    /// It has no usage, no organization under it and no key: a file may declare it.
    Unused,
    /// It has some, so that it must be named by its id.
    Used,
}

/// One change, in the order in which they are made.
#[derive(Debug, Clone)]
pub enum Edit {
    /// Creates the account and its root.
    CreateAccount(NewAccount),
    /// Creates an organization.
    CreateOrganization(NewOrganization),
    /// Lets files find the unused root of the first start again by its name.
    AdoptRoot {
        /// Which.
        id: OrganizationId,
        /// Its name.
        name: String,
    },
    /// Sets attributes from the current instant on.
    PutOrganization {
        /// Which.
        id: OrganizationId,
        /// What it has.
        before: OrganizationAttributes,
        /// What it gets.
        after: OrganizationAttributes,
    },
    /// Replaces the aliases.
    PutAliases {
        /// Which.
        id: OrganizationId,
        /// Its name.
        name: String,
        /// What it gets.
        aliases: Vec<String>,
    },
    /// Moves an organization.
    MoveOrganization {
        /// Which.
        id: OrganizationId,
        /// Its name.
        name: String,
        /// Where.
        parent: OrganizationId,
        /// Name of the new parent.
        parent_name: String,
        /// From when on.
        at: Option<Timestamp>,
    },
    /// Creates a meter.
    CreateMeter(Meter),
    /// Makes a new version of a meter.
    PutMeter(Meter),
    /// Creates a rate.
    CreateRate {
        /// Slug of the meter.
        meter: String,
        /// The rate.
        rate: Rate,
    },
    /// Makes a new version of a rate.
    PutRate {
        /// Slug of the meter.
        meter: String,
        /// The rate.
        rate: Rate,
    },
    /// Creates a user.
    CreateUser {
        /// Identifier.
        id: UserId,
        /// Login name.
        name: String,
        /// Organization.
        organization: OrganizationId,
        /// Names and addresses.
        profile: UserProfile,
        /// Password.
        password: FirstPassword,
    },
    /// Sets names and addresses of a user.
    PutProfile {
        /// Which.
        id: UserId,
        /// Login name.
        name: String,
        /// What it gets.
        profile: UserProfile,
    },
    /// Gives a user a role.
    GiveRole {
        /// Login name.
        user: String,
        /// Name of the organization.
        organization: String,
        /// What is given.
        assignment: RoleAssignment,
    },
    /// Creates an API key.
    CreateKey {
        /// Name.
        name: String,
        /// Organization.
        organization: OrganizationId,
        /// Role.
        role: Role,
        /// The key; a random one otherwise.
        secret: Option<Secret>,
    },
}

/// The edits that make `present` what is `declared`; `draw` gives random bits for new ids.
pub fn diff(
    declared: &Declared,
    present: &Present,
    draw: &mut dyn FnMut() -> u128,
) -> Result<Vec<Edit>, SetupError> {
    let account = check_account(declared, present)?;
    let mut edits = Vec::new();
    let places = organizations::diff(declared, present, account, draw, &mut edits)?;
    let meters = prices::meters(declared, present, draw, &mut edits)?;
    prices::rates(declared, present, &places, &meters, draw, &mut edits)?;
    people::users(declared, present, &places, draw, &mut edits)?;
    people::keys(declared, present, &places, &mut edits)?;
    Ok(edits)
}

/// What the account keeps after these edits though nothing comes of it, one line each.
pub fn warnings(present: &Present, edits: &[Edit]) -> Result<Vec<String>, SetupError> {
    prices::ignored_terms(present, edits)
}

fn check_account(declared: &Declared, present: &Present) -> Result<Option<AccountId>, SetupError> {
    let found = present.snapshot.as_ref().map(ControlSnapshot::account);
    match (declared.id, found) {
        (Some(wanted), Some(found)) if wanted != found => {
            let message = format!("the declared root belongs to account {found}");
            Err(SetupError::rule(format!("account {wanted}"), message))
        }
        (wanted, found) => Ok(found.or(wanted)),
    }
}

/// The declared versions to write so that those stored become equal to them.
///
/// Writing a version drops whatever lies after its start, so everything from the first difference
/// on is written; where nothing differs but more is stored, the last declared one is repeated.
fn rewritten<'a, T: PartialEq>(stored: &[T], declared: &'a [T]) -> &'a [T] {
    let pairs = stored.iter().zip(declared);
    let same = pairs.take_while(|(left, right)| left == right).count();
    if same < declared.len() || stored.len() == same {
        &declared[same..]
    } else {
        &declared[same.saturating_sub(1)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_written_from_the_first_difference_on() {
        assert_eq!(rewritten(&[1, 2], &[1, 2]), &[] as &[i32]);
        assert_eq!(rewritten(&[], &[1, 2]), &[1, 2]);
        assert_eq!(rewritten(&[1], &[1, 2]), &[2]);
        assert_eq!(rewritten(&[1, 3, 4], &[1, 2, 4]), &[2, 4]);
        assert_eq!(rewritten(&[1, 2, 3], &[1, 2]), &[2]);
    }
}

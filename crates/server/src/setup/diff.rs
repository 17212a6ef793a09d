//! What applying a declaration would change: a pure function of it and of what there is.
//!
//! Applying the edits and comparing again gives none. A file takes nothing away: what it does not
//! mention stays. Of what it does mention, its versions replace those stored.

mod billing;
mod find;
mod organizations;
mod people;
mod prices;
mod rules;
mod text;

use std::collections::HashMap;

use domain::Timestamp;
use domain::ids::{AccountId, OrganizationId, UserId};
use domain::meter::Meter;
use domain::rate::Rate;
use metadata::{
    Account, ControlSnapshot, Key, Maker, NewAccount, NewOrganization, OrganizationAttributes,
    Role, RoleAssignment, User, UserProfile,
};

use super::SetupError;
use super::account::TakeOver;
use super::check::{Declared, FirstPassword, OwnAnchor};
use crate::config::Secret;

/// What there is of the things a declaration names.
#[derive(Debug)]
pub struct Present {
    /// Control data of the account, when it exists.
    pub snapshot: Option<ControlSnapshot>,
    /// Organizations that setup files made, by the name those have for them.
    pub declared: HashMap<String, OrganizationId>,
    /// What the file takes over, where the first start made the account.
    pub takes_over: Option<TakeOver>,
    /// The unused account of the first start that a new one comes in place of.
    pub replaces: Option<Account>,
    /// The used account of the first start that stays beside a new one.
    pub beside: Option<Account>,
    /// Declared users that exist, by login name, with their roles.
    pub users: HashMap<String, (User, Vec<RoleAssignment>)>,
    /// Keys of the account.
    pub keys: Vec<Key>,
    /// The current instant.
    pub now: Timestamp,
}

impl Present {
    /// The account of the first start that the file takes over or replaces.
    pub fn first_start(&self) -> Option<AccountId> {
        let adopted = self.snapshot.as_ref().filter(|_| self.takes_over.is_some());
        let adopted = adopted.map(ControlSnapshot::account);
        adopted.or(self.replaces.map(|replaced| replaced.id))
    }
}

/// One change, in the order in which they are made.
#[derive(Debug, Clone)]
pub enum Edit {
    /// Creates the account and its root.
    CreateAccount {
        /// What is created.
        new: NewAccount,
        /// The unused account of the first start that goes, and the name of its root.
        replaces: Option<(Account, String)>,
        /// What the root counts as made by.
        maker: Maker,
    },
    /// Creates an organization.
    CreateOrganization(NewOrganization),
    /// Lets files find the root of the first start again by a name.
    AdoptRoot {
        /// Which.
        id: OrganizationId,
        /// The name files have for it.
        name: String,
        /// Its name.
        before: String,
        /// Whether it is in use.
        takes_over: TakeOver,
    },
    /// Sets attributes from the current instant on, or for all of time.
    PutOrganization {
        /// Which.
        id: OrganizationId,
        /// What it has.
        before: OrganizationAttributes,
        /// What it gets.
        after: OrganizationAttributes,
        /// Whether they hold for all of time.
        for_ever: bool,
    },
    /// Sets the billing anchor from a time on.
    PutBilling {
        /// Which.
        id: OrganizationId,
        /// Its name.
        name: String,
        /// From when on.
        since: Option<Timestamp>,
        /// What it has then.
        before: OrganizationAttributes,
        /// The parts that are its own.
        own: OwnAnchor,
    },
    /// Replaces the aliases.
    PutAliases {
        /// Which.
        id: OrganizationId,
        /// Its name.
        name: String,
        /// What it has.
        before: Vec<String>,
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
        /// Names of the parent it has then and of the new one.
        names: (Option<String>, String),
        /// From when on.
        at: Option<Timestamp>,
    },
    /// Creates a meter.
    CreateMeter(Meter),
    /// Makes a new version of a meter.
    PutMeter {
        /// The version that holds then.
        before: Box<Meter>,
        /// The version.
        after: Box<Meter>,
    },
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
        /// The version that holds then.
        before: Box<Rate>,
        /// The version.
        after: Box<Rate>,
    },
    /// Ends a later version, which the one before it replaces.
    EndVersion {
        /// Of what, such as `meter "hours"`.
        of: String,
        /// Its start.
        since: Option<Timestamp>,
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
        /// What it has.
        before: UserProfile,
        /// What it gets.
        after: UserProfile,
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
        /// Its name.
        organization_name: String,
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
    let beside = present.beside.iter().map(|account| {
        format!(
            "account {} of the first start stays beside the new one, since it has usage, \
             organizations, keys or meters: write `account: {}` at the top of the file to declare \
             into it",
            account.id, account.id
        )
    });
    let ignored = prices::ignored_terms(present, edits)?;
    Ok(beside.chain(ignored).collect())
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

/// The starts of stored versions that writing the `rewritten` ones ends without another in their
/// place.
fn ended<T>(
    stored: &[T],
    rewritten: &[T],
    start: impl Fn(&T) -> Option<Timestamp>,
) -> Vec<Option<Timestamp>> {
    let Some(first) = rewritten.first().map(&start) else {
        return Vec::new();
    };
    let starts: Vec<_> = rewritten.iter().map(&start).collect();
    let later = stored.iter().map(start).filter(|since| *since > first);
    later.filter(|since| !starts.contains(since)).collect()
}

/// The stored version that holds at `since`, else the first one after it.
fn holding<T>(
    stored: &[T],
    since: Option<Timestamp>,
    start: impl Fn(&T) -> Option<Timestamp>,
) -> Option<&T> {
    let before = stored.iter().rfind(|version| start(version) <= since);
    before.or(stored.first())
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

//! Edits of users and keys.

use domain::ids::{OrganizationId, UserId};
use metadata::{KeyState, RoleAssignment, UserProfile};

use super::organizations::Places;
use super::{Edit, Present};
use crate::setup::SetupError;
use crate::setup::check::{Declared, DeclaredUser};

pub(super) fn users(
    declared: &Declared,
    present: &Present,
    places: &Places,
    draw: &mut dyn FnMut() -> u128,
    edits: &mut Vec<Edit>,
) -> Result<(), SetupError> {
    for user in &declared.users {
        let organization = places[user.organization];
        let id = match present.users.get(&user.name) {
            Some((stored, _)) if moved(present, places, stored.organization) != organization => {
                let message = "a user of this name belongs to another organization: give the user \
                               another name, or the organization it belongs to";
                return Err(SetupError::rule(format!("user {:?}", user.name), message));
            }
            Some((stored, _)) => {
                let after = mentioned(&user.profile, &stored.profile);
                if stored.profile != after {
                    edits.push(Edit::PutProfile {
                        id: stored.id,
                        name: user.name.clone(),
                        before: stored.profile.clone(),
                        after,
                    });
                }
                stored.id
            }
            None => {
                let id = UserId::from_random(draw());
                edits.push(Edit::CreateUser {
                    id,
                    name: user.name.clone(),
                    organization,
                    profile: user.profile.clone(),
                    password: user.password.clone(),
                });
                id
            }
        };
        roles(declared, user, id, present, places, edits);
    }
    Ok(())
}

/// A profile with what the file mentions of it; the rest stays.
fn mentioned(declared: &UserProfile, stored: &UserProfile) -> UserProfile {
    let text = |declared: &String, stored: &String| {
        let text = if declared.is_empty() {
            stored
        } else {
            declared
        };
        text.clone()
    };
    let emails = if declared.emails.is_empty() {
        &stored.emails
    } else {
        &declared.emails
    };
    UserProfile {
        first_name: text(&declared.first_name, &stored.first_name),
        last_name: text(&declared.last_name, &stored.last_name),
        emails: emails.clone(),
    }
}

/// Where what belongs to an organization is once the file is applied: users and roles of an
/// account that is replaced go over to the new root.
fn moved(present: &Present, places: &Places, organization: OrganizationId) -> OrganizationId {
    match present.replaces {
        Some(old) if old.root == organization => places[0],
        _ => organization,
    }
}

fn roles(
    declared: &Declared,
    user: &DeclaredUser,
    id: UserId,
    present: &Present,
    places: &Places,
    edits: &mut Vec<Edit>,
) {
    let held = present
        .users
        .get(&user.name)
        .map(|(_, held)| held.as_slice());
    for (organization, role) in &user.roles {
        let assignment = RoleAssignment {
            user: id,
            organization: places[*organization],
            role: *role,
        };
        let mut held = held.unwrap_or_default().iter();
        let holds = |one: &RoleAssignment| {
            let organization = moved(present, places, one.organization);
            organization == assignment.organization && one.role == assignment.role
        };
        if !held.any(holds) {
            edits.push(Edit::GiveRole {
                user: user.name.clone(),
                organization: declared.organizations[*organization].name.clone(),
                assignment,
            });
        }
    }
}

pub(super) fn keys(
    declared: &Declared,
    present: &Present,
    places: &Places,
    edits: &mut Vec<Edit>,
) -> Result<(), SetupError> {
    for key in &declared.keys {
        let organization = places[key.organization];
        let live = present
            .keys
            .iter()
            .filter(|stored| stored.state(present.now) == KeyState::Live)
            .find(|stored| stored.organization == organization && stored.name == key.name);
        match live {
            Some(stored) if stored.role != key.role => {
                let role = stored.role.as_str();
                let message = format!("it has the role {role}: revoke it to give it another");
                return Err(SetupError::rule(format!("key {:?}", key.name), message));
            }
            Some(_) => {}
            None => edits.push(Edit::CreateKey {
                name: key.name.clone(),
                organization,
                organization_name: declared.organizations[key.organization].name.clone(),
                role: key.role,
                secret: key.secret.clone(),
            }),
        }
    }
    Ok(())
}

//! Edits of users and keys.

use domain::ids::UserId;
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
            Some((stored, _)) if stored.organization != organization => {
                let message = "a user of this name belongs to another organization";
                return Err(SetupError::rule(format!("user {:?}", user.name), message));
            }
            Some((stored, _)) => {
                let mentions_profile = user.profile != UserProfile::default();
                if mentions_profile && stored.profile != user.profile {
                    edits.push(Edit::PutProfile {
                        id: stored.id,
                        name: user.name.clone(),
                        profile: user.profile.clone(),
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
        if !held.unwrap_or_default().contains(&assignment) {
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
                role: key.role,
                secret: key.secret.clone(),
            }),
        }
    }
    Ok(())
}

//! Billing anchors that follow the parent, and accounts that come in place of unused ones.

use domain::Timestamp;
use domain::ids::{AccountId, OrganizationId};
use domain::tree::OrganizationKind;
use metadata::{
    ControlSnapshot, InheritedAnchor, Metadata, NewAccount, NewOrganization,
    OrganizationAttributes, Role, RoleAssignment,
};

use crate::world::{World, at, organization};

fn day(mut attributes: OrganizationAttributes, day: u8) -> OrganizationAttributes {
    attributes.anchor.day = day;
    attributes.inherited.day = false;
    attributes
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "an edit of attributes may be refused"
)]
fn follow(before: &OrganizationAttributes) -> metadata::Result<OrganizationAttributes> {
    Ok(OrganizationAttributes {
        inherited: InheritedAnchor::ALL,
        ..before.clone()
    })
}

/// The anchor days of an organization, each with the second it starts at.
fn days(control: &ControlSnapshot, id: OrganizationId) -> String {
    let second = |start: Timestamp| start.as_second() - at(0).as_second();
    let versions = control.organization(id).unwrap().versions.iter();
    let days = versions.map(|version| {
        let start = version.valid.start.map(second);
        let start = start.map_or("ever".to_owned(), |start| start.to_string());
        format!("{} from {start}", version.attributes.anchor.day)
    });
    days.collect::<Vec<_>>().join(", ")
}

fn inheriting(name: &str, parent: OrganizationId, number: u128) -> NewOrganization {
    NewOrganization {
        id: Some(organization(number)),
        kind: OrganizationKind::SubOrganization,
        attributes: OrganizationAttributes {
            inherited: InheritedAnchor::ALL,
            ..OrganizationAttributes::named(name)
        },
        aliases: Vec::new(),
        parent: Some((parent, None)),
    }
}

pub(crate) async fn an_anchor_that_is_not_named_is_the_parents_at_each_time(metadata: Metadata) {
    let world = World::create(metadata).await;
    let child = organization(10);
    world
        .change(async |change| {
            let new = inheriting("Child", world.additional, 10);
            change.insert_organization(world.account, new).await
        })
        .await;
    // The one above follows the root from second 50 on, whose day is 15 from second 100 on.
    let before = world
        .change(async |change| {
            let since = |second| Some(at(second));
            let edit = |before: &OrganizationAttributes| Ok(day(before.clone(), 15));
            change
                .edit_organization::<metadata::Error>(world.root, since(100), edit)
                .await?;
            let seven = |before: &OrganizationAttributes| Ok(day(before.clone(), 7));
            change
                .edit_organization::<metadata::Error>(world.additional, None, seven)
                .await?;
            change
                .edit_organization(world.additional, since(50), follow)
                .await
        })
        .await;
    let snapshot = async |revision| {
        let read = world.metadata.snapshot(world.account, revision).await;
        read.unwrap()
    };
    let control = snapshot(None).await;
    assert_eq!(days(&control, child), "7 from ever, 1 from 50, 15 from 100");
    let now = world.metadata.find_organization(child).await.unwrap();
    assert_eq!(now.unwrap().attributes.anchor.day, 15);
    // Moved to one with a day of its own from 200 on; a day of its own from 300 on.
    world
        .change(async |change| {
            change
                .edit_organization::<metadata::Error>(world.sandbox, None, |before| {
                    Ok(day(before.clone(), 20))
                })
                .await?;
            change
                .move_organization(child, world.sandbox, Some(at(200)))
                .await?;
            change
                .edit_organization::<metadata::Error>(child, Some(at(300)), |before| {
                    Ok(day(before.clone(), 3))
                })
                .await
        })
        .await;
    let expected = "7 from ever, 1 from 50, 15 from 100, 20 from 200, 3 from 300";
    assert_eq!(days(&snapshot(None).await, child), expected);
    assert_eq!(
        days(&snapshot(Some(before)).await, child),
        days(&control, child)
    );
    let sound = world.metadata.verify_control().await.unwrap();
    assert!(sound.damage.is_empty(), "{sound:?}");
}

pub(crate) async fn a_root_inherits_no_anchor(metadata: Metadata) {
    let world = World::create(metadata).await;
    let refused = world
        .refused(async |change| change.edit_organization(world.root, None, follow).await)
        .await;
    assert_eq!(
        refused.to_string(),
        "anchor: is inherited: a root has no parent to inherit from"
    );
}

pub(crate) async fn a_bare_account_goes_for_one_with_other_ids_and_its_users_stay(
    metadata: Metadata,
) {
    let root = |number, name: &str| NewAccount {
        id: Some(AccountId::from_random(number)),
        root: NewOrganization {
            id: Some(organization(number)),
            kind: OrganizationKind::Production,
            attributes: OrganizationAttributes::named(name),
            aliases: Vec::new(),
            parent: None,
        },
    };
    let world = World::create(metadata).await;
    let mut change = world.metadata.begin_change(at(1)).await.unwrap();
    let old = change.insert_account(root(20, "Default")).await.unwrap();
    change.commit().await.unwrap();
    let user = world.user("ada", old.root).await;
    let role = RoleAssignment {
        user: user.id,
        organization: old.root,
        role: Role::Owner,
    };
    world.metadata.insert_role(role, at(1)).await.unwrap();
    assert!(world.metadata.is_bare(&old).await.unwrap());
    let own = world.metadata.find_account(world.account).await.unwrap();
    assert!(!world.metadata.is_bare(&own.unwrap()).await.unwrap());

    let mut change = world.metadata.begin_change(at(2)).await.unwrap();
    let made = change
        .replace_account(&old, root(30, "United"))
        .await
        .unwrap();
    change.commit().await.unwrap();
    assert_eq!(world.metadata.find_account(old.id).await.unwrap(), None);
    let gone = world.metadata.find_organization(old.root).await.unwrap();
    assert_eq!(gone, None);
    let user = world.metadata.find_user(user.id).await.unwrap().unwrap();
    assert_eq!(user.organization, made.root);
    let roles = world.metadata.list_roles(user.id).await.unwrap();
    assert_eq!(
        roles,
        [RoleAssignment {
            organization: made.root,
            ..role
        }]
    );

    // What something refers to stays, and nothing is half done.
    let mut change = world.metadata.begin_change(at(3)).await.unwrap();
    let own = world
        .metadata
        .find_account(world.account)
        .await
        .unwrap()
        .unwrap();
    assert!(
        change
            .replace_account(&own, root(40, "Other"))
            .await
            .is_err()
    );
    drop(change);
    let control = world.metadata.snapshot(world.account, None).await.unwrap();
    assert_eq!(control.root(), world.root);
}

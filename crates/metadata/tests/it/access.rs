//! Users, sessions, keys and roles.

use domain::Timestamp;
use domain::ids::UserId;
use metadata::{
    Error, Key, KeyState, Metadata, NewKey, Role, RoleAssignment, SESSION_IDLE_SECONDS_MAX,
    UserProfile, UserStatus,
};

use crate::world::{World, at};

async fn is_live(world: &World, token: u8, now: Timestamp) -> bool {
    let used = world.metadata.use_session(&[token; 32], now).await.unwrap();
    used.is_some()
}

async fn log_in(world: &World, token: u8, user: UserId, now: Timestamp) {
    let started = world.metadata.insert_session(&[token; 32], user, now).await;
    started.unwrap();
}

pub(crate) async fn a_session_ends_when_idle_deleted_or_disabled(metadata: Metadata) {
    let world = World::create(metadata).await;
    let user = world.user("ada", world.root).await;
    assert!(!world.metadata.has_server_administrator().await.unwrap());
    let found = world.metadata.find_user_by_name("ada").await.unwrap();
    assert_eq!(found.as_ref(), Some(&user));

    log_in(&world, 1, user.id, at(0)).await;
    let idle = SESSION_IDLE_SECONDS_MAX;
    assert!(is_live(&world, 1, at(idle - 1)).await, "used in time");
    assert!(
        is_live(&world, 1, at(2 * idle - 2)).await,
        "the use counted"
    );
    assert!(!is_live(&world, 1, at(4 * idle)).await, "idle for too long");
    assert_eq!(
        world
            .metadata
            .delete_idle_sessions(at(4 * idle))
            .await
            .unwrap(),
        1
    );

    log_in(&world, 2, user.id, at(0)).await;
    assert!(world.metadata.delete_session(&[2; 32]).await.unwrap());
    assert!(!world.metadata.delete_session(&[2; 32]).await.unwrap());
    assert!(!is_live(&world, 2, at(1)).await);

    log_in(&world, 3, user.id, at(0)).await;
    let disable = world
        .metadata
        .put_user_status(user.id, UserStatus::Disabled, at(1));
    disable.await.unwrap();
    assert!(!is_live(&world, 3, at(1)).await);
    let refused = world
        .metadata
        .insert_session(&[4; 32], user.id, at(2))
        .await;
    assert!(matches!(refused, Err(Error::NotFound { .. })));
}

pub(crate) async fn a_new_password_keeps_only_the_session_that_set_it(metadata: Metadata) {
    let world = World::create(metadata).await;
    let ada = world.user("ada", world.root).await;
    let bob = world.user("bob", world.sub).await;
    for token in 1..4 {
        log_in(&world, token, ada.id, at(0)).await;
    }
    log_in(&world, 9, bob.id, at(0)).await;
    let kept = [2; 32];
    let put = world
        .metadata
        .put_password(ada.id, "new hash", Some(&kept), at(1));
    put.await.unwrap();
    let mut live = Vec::new();
    for token in [1, 2, 3, 9] {
        live.push(is_live(&world, token, at(1)).await);
    }
    assert_eq!(live, [false, true, false, true]);
    assert_eq!(
        world.metadata.delete_sessions(ada.id, None).await.unwrap(),
        1
    );

    let profile = UserProfile {
        emails: vec!["a@b".to_owned(), "c@d".to_owned()],
        ..UserProfile::default()
    };
    let put = world.metadata.put_user_profile(ada.id, &profile, at(2));
    put.await.unwrap();
    let ada = world.metadata.find_user(ada.id).await.unwrap().unwrap();
    assert_eq!(ada.profile, profile);
    assert_eq!(ada.password_hash, "new hash");
    assert_eq!((ada.created_at, ada.updated_at), (at(0), at(2)));
}

fn key(world: &World) -> NewKey {
    NewKey {
        id: None,
        secret_sha256: [1; 32],
        name: "ci".to_owned(),
        organization: world.sub,
        role: Role::Operator,
        expires_at: Some(at(1_000)),
    }
}

async fn found(world: &World, secret: u8) -> Key {
    let key = world.metadata.find_key_by_hash(&[secret; 32]).await;
    key.unwrap().unwrap()
}

pub(crate) async fn a_rotated_key_works_until_its_overlap_is_over(metadata: Metadata) {
    let world = World::create(metadata).await;
    let metadata = &world.metadata;
    let first = metadata.insert_key(key(&world), at(0)).await.unwrap();
    let second = metadata.rotate_key(first.id, [2; 32], 60, at(10)).await;
    let second = second.unwrap();
    assert_eq!(second.replaces, Some(first.id));
    assert_eq!((second.name.as_str(), second.role), ("ci", Role::Operator));
    assert_eq!(second.organization, world.sub);
    assert_eq!(second.expires_at, Some(at(1_000)));
    let old = found(&world, 1).await;
    assert_eq!(old.state(at(69)), KeyState::Live);
    assert_eq!(old.state(at(70)), KeyState::Revoked);

    let at_once = metadata.rotate_key(second.id, [3; 32], 0, at(20)).await;
    assert_eq!(at_once.unwrap().replaces, Some(second.id));
    assert_eq!(found(&world, 2).await.state(at(20)), KeyState::Revoked);
    let again = metadata.rotate_key(second.id, [4; 32], 0, at(21)).await;
    assert!(matches!(again, Err(Error::Invalid { field: "key", .. })));
    assert!(metadata.find_key_by_hash(&[4; 32]).await.unwrap().is_none());
    assert_eq!(found(&world, 3).await.state(at(1_000)), KeyState::Expired);
}

pub(crate) async fn a_key_notes_its_use_and_ends_once(metadata: Metadata) {
    let world = World::create(metadata).await;
    let metadata = &world.metadata;
    let fresh = metadata.insert_key(key(&world), at(0)).await.unwrap();
    metadata.touch_key(&fresh, at(30)).await.unwrap();
    let touched = found(&world, 1).await;
    assert_eq!(touched.last_used_at, Some(at(30)));
    metadata.touch_key(&touched, at(89)).await.unwrap();
    let noted = found(&world, 1).await.last_used_at;
    assert_eq!(noted, Some(at(30)), "noted once a minute");
    metadata.touch_key(&touched, at(90)).await.unwrap();
    assert_eq!(found(&world, 1).await.last_used_at, Some(at(90)));
    metadata.revoke_key(fresh.id, at(100)).await.unwrap();
    let revoked = metadata.revoke_key(fresh.id, at(200)).await.unwrap();
    assert_eq!(revoked.revoked_at, Some(at(100)));
}

pub(crate) async fn roles_are_given_once_and_taken_back(metadata: Metadata) {
    let world = World::create(metadata).await;
    let user = world.user("ada", world.root).await.id;
    let assignment = |organization, role| RoleAssignment {
        user,
        organization,
        role,
    };
    let owner = assignment(world.sub, Role::Owner);
    let analyst = assignment(world.root, Role::Analyst);
    for assignment in [owner, analyst, owner] {
        world.metadata.insert_role(assignment, at(0)).await.unwrap();
    }
    let held = world.metadata.list_roles(user).await.unwrap();
    assert_eq!(held, [analyst, owner]);
    assert!(world.metadata.delete_role(owner).await.unwrap());
    assert!(!world.metadata.delete_role(owner).await.unwrap());
    assert_eq!(world.metadata.list_roles(user).await.unwrap(), [analyst]);
}

pub(crate) async fn failed_logins_are_counted_in_a_window(metadata: Metadata) {
    let metadata = &metadata;
    let fail = async |who, second| {
        let failures = metadata.take_login_attempt(who, 2, at(second), 60).await;
        failures.unwrap().map_or(0, |failures| failures.count)
    };
    let count = async |who, second| {
        let failures = metadata.find_login_failures(who, at(second), 60).await;
        failures.unwrap().map(|failures| failures.count)
    };
    assert_eq!(fail("user:ada", 0).await, 1);
    assert_eq!(fail("user:ada", 59).await, 2);
    assert_eq!(fail("user:ada", 59).await, 0, "no third one");
    assert_eq!(fail("address:::1", 59).await, 1);
    assert_eq!(count("user:ada", 59).await, Some(2));
    assert_eq!(count("user:ada", 60).await, None, "the window is over");
    assert_eq!(fail("user:ada", 60).await, 1, "and a new one starts");
    let taken = metadata.take_login_attempt("user:ada", 2, at(61), 60).await;
    let taken = taken.unwrap().unwrap();
    metadata
        .give_back_login_attempt("user:ada", taken)
        .await
        .unwrap();
    assert_eq!(count("user:ada", 61).await, Some(1), "given back");
    metadata.clear_login_failures("user:ada").await.unwrap();
    assert_eq!(count("user:ada", 60).await, None);
    assert_eq!(metadata.delete_login_failures(at(60)).await.unwrap(), 1);
}

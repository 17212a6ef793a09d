//! What control data refuses, and how it says so.

use domain::aggregation::Aggregation;
use domain::ids::{AccountId, KeyId, OrganizationId, UserId};
use domain::kind::Kind;
use domain::meter::Meter;
use domain::range::TimeRange;
use domain::rate::{Rate, RateKind};
use domain::tree::OrganizationKind;
use metadata::{
    Error, ExportKind, Metadata, NewAccount, NewKey, NewUser, OrganizationAttributes, Role,
    RoleAssignment, UserProfile,
};

use crate::world::{World, at, meter, node, organization, rate};

fn constraint(error: &Error) -> &str {
    assert_eq!(error.kind(), Kind::Conflict);
    match error {
        Error::Taken { constraint, .. } => constraint,
        other => panic!("expected a taken name, got {other:?}"),
    }
}

pub(crate) async fn names_that_must_be_unique_are_refused_by_the_name_of_their_constraint(
    metadata: Metadata,
) {
    let world = World::create(metadata.clone()).await;
    let other = World::numbered(metadata, 100).await;
    let realm = OrganizationAttributes {
        realm_id: Some("realm-1".to_owned()),
        ..OrganizationAttributes::named("Sub")
    };
    let alias = ["UA".to_owned()];
    for world in [&world, &other] {
        world
            .change(async |change| change.put_aliases(world.sub, &alias).await)
            .await;
    }
    world
        .change(async |change| change.put_organization(world.sub, &realm, None).await)
        .await;
    let found = world.metadata.find_organization_by_realm("realm-1").await;
    assert_eq!(found.unwrap().unwrap().id, world.sub);

    let error = other
        .refused(async |change| change.put_organization(other.sub, &realm, None).await)
        .await;
    assert_eq!(constraint(&error), "organizations_realm_unique");
    assert_eq!(error.to_string(), "realm id is already in use");
    let error = world
        .refused(async |change| change.put_aliases(world.root, &alias).await)
        .await;
    assert_eq!(constraint(&error), "organizations_alias_unique");
    let slug = meter(9, "hours");
    let error = world
        .refused(async |change| change.insert_meter(world.account, &slug).await)
        .await;
    assert_eq!(constraint(&error), "meters_slug_unique");
    let again = node(
        world.sub,
        OrganizationKind::Sandbox,
        "Again",
        Some(world.root),
    );
    let error = world
        .refused(async |change| change.insert_organization(world.account, again).await)
        .await;
    assert_eq!(constraint(&error), "organizations_id_unique");
    access_names(&world).await;
}

async fn access_names(world: &World) {
    let user = world.user("ada", world.root).await;
    let new = NewUser {
        id: None,
        name: "ada".to_owned(),
        password_hash: String::new(),
        organization: world.sub,
        server_administrator: false,
        profile: UserProfile::default(),
    };
    let error = world.metadata.insert_user(new, at(1)).await.unwrap_err();
    assert_eq!(constraint(&error), "users_name_unique");
    let key = NewKey {
        id: None,
        secret_sha256: [7; 32],
        name: "ci".to_owned(),
        organization: world.root,
        role: Role::Writer,
        expires_at: None,
    };
    world.metadata.insert_key(key.clone(), at(0)).await.unwrap();
    let error = world.metadata.insert_key(key, at(0)).await.unwrap_err();
    assert_eq!(constraint(&error), "keys_secret_unique");
    let session = [1; 32];
    let start = || world.metadata.insert_session(&session, user.id, at(0));
    start().await.unwrap();
    assert_eq!(
        constraint(&start().await.unwrap_err()),
        "sessions_token_unique"
    );
}

pub(crate) async fn organizations_lie_only_where_their_kind_may(metadata: Metadata) {
    let world = World::create(metadata.clone()).await;
    let other = World::numbered(metadata, 100).await;
    let moved = async |child, parent| {
        let error = world
            .refused(async |change| change.move_organization(child, parent, None).await)
            .await;
        error.to_string()
    };
    let root = "is the root of its account: it cannot be moved";
    assert!(moved(world.root, world.sub).await.ends_with(root));
    let nests = async |child, parent, kinds: &str| {
        let refusal = moved(child, parent).await;
        let text = format!("an organization of kind {kinds}: a production holds ");
        assert!(refusal.starts_with(&text), "{refusal}");
    };
    let under_sub = "additional_production may not lie under one of kind sub_organization";
    nests(world.additional, world.sub, under_sub).await;
    let under_additional = "sandbox may not lie under one of kind additional_production";
    nests(world.sandbox, world.additional, under_additional).await;
    let under_itself = "sub_organization may not lie under one of kind sub_organization";
    nests(world.sub, world.sub, under_itself).await;
    assert_eq!(
        moved(world.sub, other.additional).await,
        format!("no organization {}", other.additional)
    );
    let second_root = node(
        organization(50),
        OrganizationKind::Production,
        "R",
        Some(world.root),
    );
    let error = world
        .refused(async |change| change.insert_organization(world.account, second_root).await)
        .await;
    assert!(matches!(error, Error::RootStays { .. }), "{error}");
    let rootless = NewAccount {
        id: None,
        root: node(organization(51), OrganizationKind::Sandbox, "S", None),
    };
    let error = world
        .refused(async |change| change.insert_account(rootless).await)
        .await;
    assert_eq!(error.kind(), Kind::Invalid);
    let error = world
        .refused(async |change| change.archive_organization(world.root).await)
        .await;
    assert!(matches!(error, Error::RootStays { .. }));
}

pub(crate) async fn rates_neither_overlap_nor_price_what_cannot_be_rated(metadata: Metadata) {
    let world = World::create(metadata).await;
    let insert = async |rate: Rate| {
        let error = world
            .refused(async |change| change.insert_rate(world.account, &rate).await)
            .await;
        error.to_string()
    };
    let overlap = "already prices this meter for the same organization in that time";
    let mut second = rate(2, world.meter.id, None, "1");
    second.valid = TimeRange::between(at(5), at(6));
    assert!(insert(second.clone()).await.ends_with(overlap));

    // Another kind, an organization of its own, or the time after the end are free.
    let money = Rate {
        kind: RateKind::Money,
        currency: Some("EUR".to_owned()),
        ..rate(3, world.meter.id, None, "1")
    };
    let own = rate(4, world.meter.id, Some(world.sub), "1");
    world
        .change(async |change| {
            change.insert_rate(world.account, &money).await?;
            change.insert_rate(world.account, &own).await?;
            change.end_rate(world.rate.id, at(5)).await?;
            change.insert_rate(world.account, &second).await
        })
        .await;
    let mut longer = second.clone();
    longer.valid = TimeRange::between(at(4), at(6));
    let error = world
        .refused(async |change| change.put_rate(&longer).await)
        .await;
    assert!(matches!(error, Error::RateOverlap { rate } if rate == world.rate.id));

    let average = |number, slug: &str, aggregation| {
        let mut average = meter(number, slug);
        average.rule.aggregation = aggregation;
        average
    };
    for (number, aggregation) in [(20, Aggregation::Avg), (21, Aggregation::Min)] {
        let unrated = average(number, &format!("meter-{number}"), aggregation);
        let error = world
            .refused(async |change| {
                change.insert_meter(world.account, &unrated).await?;
                change
                    .insert_rate(world.account, &rate(9, unrated.id, None, "1"))
                    .await
            })
            .await;
        assert!(matches!(error, Error::NotRateable { .. }), "{error}");
    }
    let turned = Meter {
        id: world.meter.id,
        ..average(1, "hours", Aggregation::Avg)
    };
    let error = world
        .refused(async |change| change.put_meter(world.account, &turned).await)
        .await;
    assert!(matches!(error, Error::NotRateable { .. }), "{error}");
}

pub(crate) async fn fields_over_their_limits_are_refused_by_name(metadata: Metadata) {
    let world = World::create(metadata).await;
    let refused = async |attributes: OrganizationAttributes| {
        let error = world
            .refused(async |change| change.put_organization(world.sub, &attributes, None).await)
            .await;
        assert_eq!(error.kind(), Kind::Invalid);
        error.to_string()
    };
    let named = |name: &str| OrganizationAttributes::named(name);
    let long = named(&"x".repeat(256));
    assert_eq!(
        refused(long).await,
        "name: a name has 1 to 255 printable characters and no space around it"
    );
    assert_eq!(
        refused(named("a\0b")).await,
        "name: a name has 1 to 255 printable characters and no space around it"
    );
    let mut short = named("Sub");
    short.realm_id = Some("abcd".to_owned());
    assert_eq!(
        refused(short).await,
        "realm_id: has 4 characters: expected 5 to 30"
    );
    let mut partnered = named("Sub");
    partnered.partner_id = Some("partner".to_owned());
    assert_eq!(
        refused(partnered).await,
        "partner_id: only a root has a partner"
    );
    let mut late = named("Sub");
    late.anchor.day = 32;
    assert_eq!(refused(late).await, "anchor.day: is 32: expected 1 to 31");

    let slug = meter(8, "Not A Slug");
    let error = world
        .refused(async |change| change.insert_meter(world.account, &slug).await)
        .await;
    assert_eq!(
        error.to_string(),
        "slug: is \"Not A Slug\": expected a-z, 0-9, _ and -"
    );
    let mut open = rate(8, world.meter.id, Some(world.sub), "1");
    open.tiers.pop();
    let error = world
        .refused(async |change| change.insert_rate(world.account, &open).await)
        .await;
    assert_eq!(error.to_string(), "tiers: the last one must be open");
}

pub(crate) async fn what_is_not_there_is_not_found(metadata: Metadata) {
    let world = World::create(metadata).await;
    let metadata = &world.metadata;
    let nobody = OrganizationId::from_random(99);
    assert!(metadata.find_organization(nobody).await.unwrap().is_none());
    assert!(metadata.find_account_of(nobody).await.unwrap().is_none());
    let error = metadata.snapshot_for(nobody).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    let account = metadata.snapshot(AccountId::from_random(99), None).await;
    assert_eq!(account.unwrap_err().kind(), Kind::NotFound);
    let before_its_time = metadata.snapshot(world.account, Some(0)).await;
    assert_eq!(before_its_time.unwrap_err().kind(), Kind::NotFound);
    let slug = meter(9, "slug");
    let error = world
        .refused(async |change| change.insert_meter(AccountId::from_random(99), &slug).await)
        .await;
    assert_eq!(error.kind(), Kind::NotFound);
    let subject = metadata.put_subject(nobody, "key", None, None, at(0)).await;
    assert_eq!(subject.unwrap_err().kind(), Kind::NotFound);
    let assignment = RoleAssignment {
        user: UserId::from_random(99),
        organization: world.root,
        role: Role::Owner,
    };
    let role = metadata.insert_role(assignment, at(0)).await;
    assert_eq!(role.unwrap_err().kind(), Kind::NotFound);
    let user = metadata
        .put_password(UserId::from_random(99), "hash", None, at(0))
        .await;
    assert_eq!(user.unwrap_err().kind(), Kind::NotFound);
    let key = metadata.revoke_key(KeyId::from_random(99), at(0)).await;
    assert_eq!(key.unwrap_err().kind(), Kind::NotFound);
    let export = metadata
        .insert_export(world.request(nobody, ExportKind::Summary), at(0))
        .await;
    assert_eq!(export.unwrap_err().kind(), Kind::NotFound);
}

//! Control data: versions, revisions, scopes.

use domain::meter::Meter;
use domain::range::TimeRange;
use metadata::{ControlSnapshot, Error, Metadata, OrganizationAttributes};

use crate::world::{World, at, meter, rate};

pub(crate) fn spelled(snapshot: &ControlSnapshot) -> String {
    format!(
        "{:#?}\n{:#?}\n{:#?}\n{:#?}",
        snapshot.organizations(),
        snapshot.edges(),
        snapshot.meters().unwrap(),
        snapshot.rates().unwrap()
    )
}

pub(crate) async fn a_read_at_an_old_revision_is_unchanged_by_later_changes(metadata: Metadata) {
    let world = World::create(metadata).await;
    let first = world.metadata.snapshot(world.account, None).await.unwrap();
    let mut texts = vec![(first.revision(), spelled(&first))];
    for step in 0..8 {
        change_something(&world, step).await;
        let next = world.metadata.snapshot(world.account, None).await.unwrap();
        texts.push((next.revision(), spelled(&next)));
    }
    for pair in texts.windows(2) {
        assert_eq!(pair[0].0 + 1, pair[1].0);
        assert_ne!(pair[0].1, pair[1].1);
    }
    for (revision, text) in texts {
        let again = world.metadata.snapshot(world.account, Some(revision)).await;
        assert_eq!(spelled(&again.unwrap()), text, "revision {revision}");
    }
    let beyond = world.metadata.snapshot(world.account, Some(99)).await;
    assert!(matches!(
        beyond,
        Err(Error::BeyondRevision {
            asked: 99,
            newest: 9
        })
    ));
}

async fn change_something(world: &World, step: u32) {
    let renamed = OrganizationAttributes {
        currency: "EUR".to_owned(),
        ..OrganizationAttributes::named(format!("Name {step}"))
    };
    let meter = Meter {
        name: "Renamed".to_owned(),
        valid: TimeRange::since(at(50)),
        ..world.meter.clone()
    };
    let mut rate = world.rate.clone();
    rate.tiers[0].price = "9.5".parse().unwrap();
    world
        .change(async |change| match step {
            0 => {
                change
                    .put_organization(world.sub, &renamed, Some(at(100)))
                    .await
            }
            1 => change.put_organization(world.sub, &renamed, None).await,
            2 => {
                change
                    .move_organization(world.sub, world.sandbox, Some(at(70)))
                    .await
            }
            3 => change.put_meter(world.account, &meter).await,
            4 => change.put_rate(&rate).await,
            5 => change.put_aliases(world.sub, &["one".to_owned()]).await,
            6 => change.archive_organization(world.sub).await,
            _ => change.end_rate(world.rate.id, at(500)).await,
        })
        .await;
}

pub(crate) async fn a_move_splits_usage_between_the_old_parent_and_the_new(metadata: Metadata) {
    let world = World::create(metadata).await;
    world
        .change(async |change| {
            change
                .move_organization(world.sub, world.sandbox, Some(at(100)))
                .await
        })
        .await;
    let snapshot = world.metadata.snapshot_for(world.sub).await.unwrap();
    let sees = |organization, second| {
        let scope = snapshot.scope_of(organization);
        scope.contains(world.sub, at(second))
    };
    assert!(sees(world.additional, 99) && !sees(world.additional, 100));
    assert!(!sees(world.sandbox, 99) && sees(world.sandbox, 100));
    assert!(sees(world.root, 99) && sees(world.root, 100));
    assert!(sees(world.sub, 99) && sees(world.sub, 100));
    assert_eq!(snapshot.parent(world.sub, at(99)), Some(world.additional));
    assert_eq!(snapshot.parent(world.sub, at(100)), Some(world.sandbox));
    assert_eq!(snapshot.parent(world.root, at(100)), None);

    let found = world.metadata.find_organization(world.sub).await.unwrap();
    assert_eq!(found.unwrap().parent, Some(world.sandbox));
}

pub(crate) async fn attributes_change_from_a_date_on(metadata: Metadata) {
    let world = World::create(metadata).await;
    let named = OrganizationAttributes::named;
    for (name, second) in [
        ("Third", 300),
        ("Second", 200),
        ("Third", 300),
        ("Late", 400),
    ] {
        world
            .change(async |change| {
                change
                    .put_organization(world.sub, &named(name), Some(at(second)))
                    .await
            })
            .await;
    }
    let snapshot = world.metadata.snapshot_for(world.sub).await.unwrap();
    let sub = snapshot.organization(world.sub).unwrap();
    let names = [0, 199, 200, 299, 300, 399, 400].map(|second| sub.at(at(second)).name.as_str());
    assert_eq!(
        names,
        ["Sub", "Sub", "Second", "Second", "Third", "Third", "Late"]
    );
    assert_eq!(sub.newest().name, "Late");
    assert_eq!(sub.versions.len(), 4);
    let joined = sub.versions.windows(2);
    assert!(
        joined
            .clone()
            .all(|pair| pair[0].valid.end == pair[1].valid.start)
    );
}

pub(crate) async fn what_is_there_already_makes_no_revision(metadata: Metadata) {
    let world = World::create(metadata).await;
    let revision = world
        .change(async |change| {
            let same = OrganizationAttributes::named("Sub");
            change.put_organization(world.sub, &same, None).await?;
            change
                .put_organization(world.sub, &same, Some(at(5)))
                .await?;
            change.put_aliases(world.sub, &[]).await?;
            change
                .move_organization(world.sub, world.additional, None)
                .await?;
            change.put_meter(world.account, &world.meter).await?;
            assert!(change.is_empty());
            change.put_rate(&world.rate).await
        })
        .await;
    assert_eq!(revision, 1);
    assert_eq!(world.metadata.control_revision().await.unwrap(), 1);
}

pub(crate) async fn a_dropped_change_leaves_nothing_behind(metadata: Metadata) {
    let world = World::create(metadata).await;
    let mut change = world.metadata.begin_change(at(1)).await.unwrap();
    change
        .archive_meter(world.account, world.meter.id, at(1))
        .await
        .unwrap();
    assert!(!change.is_empty());
    drop(change);
    assert_eq!(world.metadata.control_revision().await.unwrap(), 1);
    let record = world
        .metadata
        .find_meter(world.account, world.meter.id)
        .await
        .unwrap();
    assert_eq!(record.unwrap().meter, world.meter);
}

pub(crate) async fn parallel_changes_get_revisions_of_their_own(metadata: Metadata) {
    let world = World::create(metadata).await;
    let tasks = (0..10_u32).map(|number| {
        let (metadata, sub) = (world.metadata.clone(), world.sub);
        tokio::spawn(async move {
            let mut change = metadata.begin_change(at(1)).await.unwrap();
            let renamed = OrganizationAttributes::named(format!("Name {number}"));
            change.put_organization(sub, &renamed, None).await.unwrap();
            change.commit().await.unwrap()
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut revisions = Vec::new();
    for task in tasks {
        revisions.push(task.await.unwrap());
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (2..12).collect::<Vec<_>>());
    let snapshot = world.metadata.snapshot_for(world.sub).await.unwrap();
    assert_eq!(snapshot.organization(world.sub).unwrap().versions.len(), 1);
}

pub(crate) async fn several_changes_of_one_thing_share_a_revision(metadata: Metadata) {
    let world = World::create(metadata).await;
    let revision = world
        .change(async |change| {
            for name in ["First", "Second"] {
                let renamed = OrganizationAttributes::named(name);
                change
                    .put_organization(world.sub, &renamed, Some(at(9)))
                    .await?;
            }
            let seen = change.find_organization(world.sub).await?.unwrap();
            assert_eq!(seen.attributes.name, "Second");
            change
                .move_organization(world.sub, world.sandbox, Some(at(5)))
                .await?;
            change
                .move_organization(world.sub, world.additional, Some(at(5)))
                .await
        })
        .await;
    assert_eq!(revision, 2);
    let snapshot = world.metadata.snapshot_for(world.sub).await.unwrap();
    let names = snapshot.organization(world.sub).unwrap().versions.iter();
    let names: Vec<_> = names
        .map(|version| version.attributes.name.as_str())
        .collect();
    assert_eq!(names, ["Sub", "Second"]);
    assert!(!snapshot.scope_of(world.sandbox).knows(world.sub));
}

pub(crate) async fn names_resolve_only_inside_the_scope(metadata: Metadata) {
    let world = World::create(metadata).await;
    let old = world
        .change(async |change| change.put_aliases(world.sub, &["UA".to_owned()]).await)
        .await;
    world
        .change(async |change| {
            change.put_aliases(world.sub, &[]).await?;
            change.put_aliases(world.sandbox, &["UA".to_owned()]).await
        })
        .await;
    let snapshot = world.metadata.snapshot(world.account, None).await.unwrap();
    let found = |requester, name: &str| {
        let scope = snapshot.scope_of(requester);
        snapshot.resolve(&scope, name).map(|one| one.id)
    };
    assert_eq!(found(world.root, "UA"), Some(world.sandbox));
    assert_eq!(found(world.additional, "UA"), None);
    assert_eq!(found(world.additional, world.sub.as_str()), Some(world.sub));
    assert_eq!(found(world.additional, world.root.as_str()), None);
    assert_eq!(found(world.root, "nobody"), None);

    let before = world
        .metadata
        .snapshot(world.account, Some(old))
        .await
        .unwrap();
    let scope = before.scope_of(world.root);
    assert_eq!(before.resolve(&scope, "UA").unwrap().id, world.sub);
}

pub(crate) async fn an_archived_meter_frees_its_slug(metadata: Metadata) {
    let world = World::create(metadata).await;
    let successor = Meter {
        valid: TimeRange::since(at(60)),
        ..meter(7, "hours")
    };
    world
        .change(async |change| {
            change
                .archive_meter(world.account, world.meter.id, at(60))
                .await?;
            change.insert_meter(world.account, &successor).await
        })
        .await;
    let snapshot = world.metadata.snapshot(world.account, None).await.unwrap();
    assert_eq!(snapshot.meter("hours").unwrap(), Some(&successor));
    assert_eq!(snapshot.live_meters().unwrap().count(), 1);
    let archived = snapshot.meter(world.meter.id.as_str()).unwrap().unwrap();
    assert_eq!(archived.valid.end, Some(at(60)));
    let by_slug = world
        .metadata
        .find_meter_by_slug(world.account, "hours")
        .await;
    assert_eq!(by_slug.unwrap().unwrap().meter, successor);

    // Archived at its very start, a meter still leaves a version to be found.
    world
        .change(async |change| {
            change
                .archive_meter(world.account, successor.id, at(0))
                .await
        })
        .await;
    let record = world
        .metadata
        .find_meter(world.account, successor.id)
        .await
        .unwrap()
        .unwrap();
    assert!(!record.meter.valid.is_empty() && record.meter.valid.end.is_some());
}

pub(crate) async fn two_accounts_may_have_meters_of_one_id(metadata: Metadata) {
    let one = World::create(metadata.clone()).await;
    let two = World::numbered(metadata.clone(), 1_000).await;
    let same = Meter {
        name: "Another's hours".to_owned(),
        slug: "same-id".to_owned(),
        ..one.meter.clone()
    };
    let price = rate(2_000, same.id, None, "7");
    two.change(async |change| {
        change.insert_meter(two.account, &same).await?;
        change.insert_rate(two.account, &price).await
    })
    .await;
    let error = two
        .refused(async |change| change.insert_meter(two.account, &same).await)
        .await;
    assert_eq!(error.to_string(), "meter id is already in use");
    let found = async |world: &World| {
        let found = metadata.find_meter(world.account, same.id).await.unwrap();
        found.unwrap().meter
    };
    assert_eq!(
        (found(&one).await, found(&two).await),
        (one.meter.clone(), same.clone())
    );

    let renamed = Meter {
        name: "Renamed".to_owned(),
        ..same.clone()
    };
    two.change(async |change| {
        change.put_meter(two.account, &renamed).await?;
        change.end_rate(price.id, at(50)).await
    })
    .await;
    one.change(async |change| change.archive_meter(one.account, same.id, at(60)).await)
        .await;
    assert_eq!(found(&two).await, renamed);
    assert_eq!(found(&one).await.valid.end, Some(at(60)));
    let rates = async |world: &World| {
        let snapshot = metadata.snapshot(world.account, None).await.unwrap();
        let of_meter = snapshot
            .rates()
            .unwrap()
            .iter()
            .filter(|rate| rate.meter == same.id);
        of_meter
            .map(|rate| (rate.id, rate.valid.end))
            .collect::<Vec<_>>()
    };
    assert_eq!(rates(&one).await, [(one.rate.id, None)]);
    assert_eq!(rates(&two).await, [(price.id, Some(at(50)))]);
}

pub(crate) async fn a_meter_keeps_every_field(metadata: Metadata) {
    let world = World::create(metadata).await;
    let later = Meter {
        job_level: None,
        group_by: std::collections::BTreeMap::new(),
        valid: TimeRange::since(at(10)),
        ..world.meter.clone()
    };
    world
        .change(async |change| change.put_meter(world.account, &later).await)
        .await;
    let snapshot = world.metadata.snapshot(world.account, None).await.unwrap();
    let before = Meter {
        valid: TimeRange {
            start: None,
            end: Some(at(10)),
        },
        ..world.meter.clone()
    };
    assert_eq!(
        snapshot.meter_versions(world.meter.id).unwrap(),
        [before, later]
    );
    assert_eq!(snapshot.rates().unwrap(), std::slice::from_ref(&world.rate));
    let record = world
        .metadata
        .find_meter(world.account, world.meter.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((record.created_at, record.updated_at), (at(0), at(1)));
}

/// Ends a story that hangs; nothing is measured by it.
const GUARD: std::time::Duration = std::time::Duration::from_mins(1);

pub(crate) async fn whoever_holds_a_change_can_read_while_many_wait_for_it(metadata: Metadata) {
    let world = World::create(metadata).await;
    let mut held = world.metadata.begin_change(at(1)).await.unwrap();
    let waiting = (0..20).map(|second| {
        let (metadata, account) = (world.metadata.clone(), world.account);
        let meter = world.meter.id;
        tokio::spawn(async move {
            let mut change = metadata.begin_change(at(second)).await?;
            change.archive_meter(account, meter, at(2)).await?;
            change.commit().await
        })
    });
    let waiting: Vec<_> = waiting.collect();
    tokio::task::yield_now().await;
    for _ in 0..20 {
        let snapshot = world.metadata.snapshot(world.account, None);
        let read = tokio::time::timeout(GUARD, snapshot).await;
        read.expect("a read does not wait for a change").unwrap();
        tokio::task::yield_now().await;
    }
    held.archive_meter(world.account, world.meter.id, at(2))
        .await
        .unwrap();
    held.commit().await.unwrap();
    for change in waiting {
        let ended = tokio::time::timeout(GUARD, change).await;
        ended.expect("every change ends").unwrap().unwrap();
    }
}

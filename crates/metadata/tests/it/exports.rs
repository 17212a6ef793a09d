//! Export jobs: the limit, leases, fencing, every kind and status.

use domain::ids::{ExportId, OrganizationId, RequestId};
use domain::kind::Kind;
use metadata::{
    ACTIVE_EXPORTS_MAX, Artifact, AsOf, Claim, Claimed, Error, Export, ExportKind, ExportSource,
    ExportStatus, Lane, Metadata, NewExport, Pins, Progress, Settlement,
};

use crate::world::{World, at};

/// What claims of these tests pin, as of a second.
fn pins(second: i64) -> Pins {
    Pins {
        as_of: AsOf {
            sequence: 42,
            revision: 1,
            time: at(second),
        },
        layout_version: 1,
        archive_version: 1,
    }
}

pub(crate) fn claim(worker: &str) -> Claim {
    Claim {
        worker: worker.to_owned(),
        pins: pins(1),
        lease_ms: 30_000,
        lane: Lane::Ordinary,
    }
}

pub(crate) fn artifact(expires_second: i64) -> Artifact {
    Artifact {
        path: "exports/a.zip".to_owned(),
        size_bytes: 1 << 40,
        sha256: [9; 32],
        expires_at: at(expires_second),
    }
}

pub(crate) fn success(expires_second: i64) -> Settlement {
    Settlement::Success {
        artifact: artifact(expires_second),
        rows: 7,
    }
}

pub(crate) async fn insert(world: &World, organization: OrganizationId, second: i64) -> ExportId {
    let request = world.request(organization, ExportKind::Summary);
    let export = world.metadata.insert_export(request, at(second)).await;
    export.unwrap().id
}

pub(crate) async fn take(world: &World, worker: &str, second: i64) -> Option<Claimed> {
    let claimed = world
        .metadata
        .claim_export(&claim(worker), at(second))
        .await;
    claimed.unwrap()
}

pub(crate) async fn fifty_parallel_requests_give_exactly_five_active_exports(metadata: Metadata) {
    let world = World::create(metadata).await;
    let tasks = (0..50).map(|_| {
        let request = world.request(world.additional, ExportKind::Summary);
        let metadata = world.metadata.clone();
        tokio::spawn(async move { metadata.insert_export(request, at(0)).await })
    });
    let tasks: Vec<_> = tasks.collect();
    let (mut made, mut refused) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => made += 1,
            Err(error) => {
                assert!(
                    matches!(error, Error::TooManyExports { limit: 5, .. }),
                    "{error:?}"
                );
                assert_eq!(error.kind(), Kind::Busy);
                refused += 1;
            }
        }
    }
    assert_eq!((made, refused), (ACTIVE_EXPORTS_MAX, 45));
    // Others have limits of their own, and an end makes room.
    insert(&world, world.sub, 1).await;
    let claimed = take(&world, "w", 2).await.unwrap();
    let settled = world
        .metadata
        .settle_export(claimed.export.id, claimed.fence, &success(9), at(3))
        .await;
    settled.unwrap();
    insert(&world, world.additional, 4).await;
    let request = world.request(world.additional, ExportKind::Summary);
    assert!(world.metadata.insert_export(request, at(5)).await.is_err());
}

pub(crate) async fn exports_of_our_own_api_take_no_room_at_the_vendors_door(metadata: Metadata) {
    let world = World::create(metadata).await;
    let own = || NewExport {
        source: ExportSource::Own,
        ..world.request(world.sub, ExportKind::Summary)
    };
    for second in 0..ACTIVE_EXPORTS_MAX {
        let made = world.metadata.insert_export(own(), at(second.into())).await;
        made.unwrap();
    }
    // Each kind of the vendor's three resources counts as the others do.
    let kinds = [
        ExportKind::Summary,
        ExportKind::SummaryAllLinked,
        ExportKind::ProjectFolder,
        ExportKind::Asset,
        ExportKind::JobLevel,
    ];
    for kind in kinds {
        let request = world.request(world.sub, kind);
        world.metadata.insert_export(request, at(9)).await.unwrap();
    }
    for kind in kinds {
        let request = world.request(world.sub, kind);
        let sixth = world.metadata.insert_export(request, at(10)).await;
        let refused = matches!(sixth, Err(Error::TooManyExports { limit: 5, .. }));
        assert!(refused, "{sixth:?}");
    }
    world.metadata.insert_export(own(), at(11)).await.unwrap();
}

pub(crate) async fn a_row_of_every_kind_takes_every_status(metadata: Metadata) {
    let world = World::create(metadata).await;
    let mut made = Vec::new();
    for kind in ExportKind::ALL {
        for status in ExportStatus::ALL {
            let request = NewExport {
                source: ExportSource::Own,
                start: format!("2013-01-01T05:06:07+01:00 {kind:?}"),
                callback_url: Some("https://MyExportJobStatus.com".to_owned()),
                parameters: Some(r#"{"groupBy":["project"]}"#.to_owned()),
                ..world.request(world.sub, *kind)
            };
            let created = world.metadata.insert_export(request.clone(), at(0)).await;
            let created = created.unwrap();
            let export = bring_to(&world, &created, *status).await;
            let expected = NewExport {
                id: Some(created.id),
                ..request
            };
            assert_eq!((&export.request, export.status), (&expected, *status));
            let found = world.metadata.find_export(created.id).await.unwrap();
            assert_eq!(found.as_ref(), Some(&export));
            made.push(export);
            // Out of the way of the next row's claim.
            if status.is_active() {
                world
                    .metadata
                    .cancel_export(created.id, at(9))
                    .await
                    .unwrap();
            }
        }
    }
    assert_eq!(made.len(), 7 * 7);
    let expired = made
        .iter()
        .filter(|export| export.status == ExportStatus::Expired);
    let outcomes: Vec<_> = expired.map(|export| export.outcome).collect();
    assert_eq!(outcomes, vec![Some(ExportStatus::Success); 7]);
}

/// Walks a fresh export to a status the way jobs get there.
async fn bring_to(world: &World, created: &Export, status: ExportStatus) -> Export {
    let metadata = &world.metadata;
    match status {
        ExportStatus::Created => return created.clone(),
        ExportStatus::Cancelled => return metadata.cancel_export(created.id, at(1)).await.unwrap(),
        _ => {}
    }
    let claimed = take(world, "w", 1).await.unwrap();
    assert_eq!(claimed.export.id, created.id);
    let error_message = "2 organizations could not be read".to_owned();
    let settlement = match status {
        ExportStatus::Processing => return claimed.export,
        ExportStatus::Failed => Settlement::Failed { error_message },
        ExportStatus::PartialSuccess => Settlement::PartialSuccess {
            artifact: artifact(1_000),
            rows: 3,
            error_message,
        },
        ExportStatus::Expired => success(5),
        _ => success(1_000),
    };
    let settled = metadata
        .settle_export(created.id, claimed.fence, &settlement, at(2))
        .await
        .unwrap();
    if status == ExportStatus::Expired {
        assert!(metadata.expire_export(settled.id, at(5)).await.unwrap());
        return metadata.find_export(settled.id).await.unwrap().unwrap();
    }
    settled
}

pub(crate) async fn a_stale_worker_settles_nothing(metadata: Metadata) {
    let world = World::create(metadata).await;
    let metadata = &world.metadata;
    let id = insert(&world, world.sub, 0).await;
    let slow = take(&world, "slow", 1).await.unwrap();
    assert!(
        take(&world, "quick", 30).await.is_none(),
        "the lease still holds"
    );
    let progress = Progress {
        percent: 40,
        rows: 4,
    };
    let beat = metadata.heartbeat_export(id, slow.fence, progress, 30_000, at(20));
    beat.await.unwrap();
    assert!(
        take(&world, "quick", 49).await.is_none(),
        "the heartbeat extended it"
    );
    let quick = take(&world, "quick", 50).await.unwrap();
    assert_eq!((slow.fence, quick.fence, quick.export.attempts), (1, 2, 2));

    let late = metadata
        .settle_export(id, slow.fence, &success(99), at(51))
        .await;
    assert!(matches!(late, Err(Error::Fenced { fence: 1, .. })));
    let late = metadata
        .heartbeat_export(id, slow.fence, progress, 30_000, at(51))
        .await;
    assert!(matches!(late, Err(Error::Fenced { .. })));
    assert!(
        metadata
            .release_export(id, slow.fence, at(51))
            .await
            .is_err()
    );
    let held = metadata.find_export(id).await.unwrap().unwrap();
    assert_eq!(held.status, ExportStatus::Processing);
    assert_eq!(held.lease_owner.as_deref(), Some("quick"));

    let settled = metadata
        .settle_export(id, quick.fence, &success(99), at(52))
        .await;
    let settled = settled.unwrap();
    assert_eq!(settled.status, ExportStatus::Success);
    assert_eq!(settled.artifact, Some(artifact(99)));
    assert_eq!(settled.progress.rows, 7);
    assert_eq!(settled.lease_owner, None);
    let again = metadata
        .settle_export(id, quick.fence, &success(99), at(53))
        .await;
    assert!(again.is_err(), "an end is an end");
}

pub(crate) async fn a_watermark_is_pinned_at_the_first_claim_and_versions_at_each(
    metadata: Metadata,
) {
    let world = World::create(metadata).await;
    let id = insert(&world, world.sub, 0).await;
    let created = world.metadata.find_export(id).await.unwrap().unwrap();
    assert_eq!(created.pins, None, "nothing is pinned before");
    let first = take(&world, "a", 1).await.unwrap();
    assert_eq!(first.pins, pins(1));
    world
        .metadata
        .release_export(id, first.fence, at(2))
        .await
        .unwrap();
    let later = Claim {
        pins: Pins {
            as_of: AsOf {
                sequence: 99,
                revision: 8,
                time: at(2),
            },
            layout_version: 2,
            archive_version: 3,
        },
        ..claim("b")
    };
    let second = world.metadata.claim_export(&later, at(2)).await.unwrap();
    let second = second.unwrap();
    assert_eq!(second.export.id, id);
    let made = Pins {
        layout_version: 2,
        archive_version: 3,
        ..pins(1)
    };
    assert_eq!(
        second.pins, made,
        "what this worker makes, at the first point"
    );
    assert_eq!(second.fence, first.fence + 1);
}

pub(crate) async fn a_watermark_that_is_asked_for_comes_with_its_time(metadata: Metadata) {
    let world = World::create(metadata).await;
    let asked = AsOf {
        sequence: 7,
        revision: 0,
        time: at(-1_000),
    };
    let request = NewExport {
        as_of: Some(asked),
        idempotency_key: Some("again".to_owned()),
        request_id: Some(RequestId::from_random(6)),
        ..world.request(world.sub, ExportKind::Summary)
    };
    let created = world.metadata.insert_export(request.clone(), at(0)).await;
    let created = created.unwrap();
    assert_eq!((created.request.as_of, created.pins), (Some(asked), None));
    let claimed = take(&world, "w", 1).await.unwrap();
    let expected = Pins {
        as_of: asked,
        ..pins(1)
    };
    assert_eq!(claimed.pins, expected);
    assert_eq!(claimed.export.request, created.request);
    let repeated = NewExport {
        request_id: Some(RequestId::from_random(7)),
        ..request.clone()
    };
    let again = world.metadata.insert_export(repeated, at(2)).await;
    assert_eq!(again.unwrap().id, created.id);
    let newest = NewExport {
        as_of: None,
        ..request
    };
    let other = world.metadata.insert_export(newest, at(3)).await;
    assert!(matches!(other, Err(Error::Taken { .. })));
}

pub(crate) async fn claims_are_fair_between_organizations(metadata: Metadata) {
    let world = World::create(metadata).await;
    for second in 0..5 {
        insert(&world, world.root, second).await;
    }
    insert(&world, world.sub, 5).await;
    insert(&world, world.sub, 6).await;
    insert(&world, world.sandbox, 7).await;
    let mut order = Vec::new();
    while let Some(claimed) = take(&world, "w", 10).await {
        let name = match claimed.export.request.organization {
            id if id == world.root => "root",
            id if id == world.sub => "sub",
            _ => "sandbox",
        };
        order.push(format!(
            "{name}{}",
            claimed.export.created_at.as_second() % 10
        ));
    }
    let expected = [
        "root0", "sub5", "sandbox7", "root1", "sub6", "root2", "root3", "root4",
    ];
    assert_eq!(order, expected);
}

pub(crate) async fn parallel_workers_never_share_an_export(metadata: Metadata) {
    let world = World::create(metadata).await;
    for organization in [world.root, world.sub, world.sandbox] {
        for second in 0..4 {
            insert(&world, organization, second).await;
        }
    }
    let workers = (0..8).map(|number| {
        let metadata = world.metadata.clone();
        tokio::spawn(async move {
            let mut taken = Vec::new();
            let claim = claim(&format!("worker {number}"));
            while let Some(claimed) = metadata.claim_export(&claim, at(9)).await.unwrap() {
                taken.push(claimed.export.id);
            }
            taken
        })
    });
    let workers: Vec<_> = workers.collect();
    let mut taken = Vec::new();
    for worker in workers {
        taken.extend(worker.await.unwrap());
    }
    assert_eq!(taken.len(), 12);
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 12);
}

pub(crate) async fn the_same_request_again_finds_its_export(metadata: Metadata) {
    let world = World::create(metadata).await;
    let request = NewExport {
        idempotency_key: Some("once".to_owned()),
        ..world.request(world.sub, ExportKind::Asset)
    };
    let first = world.metadata.insert_export(request.clone(), at(0)).await;
    let again = world.metadata.insert_export(request.clone(), at(5)).await;
    assert_eq!(first.unwrap(), again.unwrap());
    let other = NewExport {
        kind: ExportKind::Summary,
        ..request.clone()
    };
    let refused = world.metadata.insert_export(other, at(6)).await;
    assert!(matches!(
        refused,
        Err(Error::Taken {
            what: "idempotency key",
            ..
        })
    ));
    let elsewhere = NewExport {
        organization: world.root,
        ..request
    };
    world
        .metadata
        .insert_export(elsewhere, at(7))
        .await
        .unwrap();
}

pub(crate) async fn an_artifact_expires_and_the_row_stays(metadata: Metadata) {
    let world = World::create(metadata).await;
    let mut ids = Vec::new();
    for (organization, expires) in [(world.sub, 100), (world.root, 200), (world.sandbox, 300)] {
        let id = insert(&world, organization, 0).await;
        let claimed = take(&world, "w", 1).await.unwrap();
        assert_eq!(claimed.export.id, id);
        let settled = world
            .metadata
            .settle_export(id, claimed.fence, &success(expires), at(2))
            .await;
        settled.unwrap();
        ids.push(id);
    }
    let metadata = &world.metadata;
    let overdue = async |second, limit| metadata.overdue_exports(at(second), limit).await.unwrap();
    assert_eq!(overdue(99, 10).await, []);
    assert_eq!(overdue(200, 1).await, ids[..1]);
    assert_eq!(overdue(200, 10).await, ids[..2]);
    assert!(!metadata.expire_export(ids[0], at(99)).await.unwrap());
    assert!(metadata.expire_export(ids[0], at(200)).await.unwrap());
    assert!(!metadata.expire_export(ids[0], at(200)).await.unwrap());
    assert_eq!(overdue(200, 10).await, ids[1..2]);
    let row = metadata.find_export(ids[0]).await.unwrap().unwrap();
    assert_eq!(row.status, ExportStatus::Expired);
    assert_eq!(row.outcome, Some(ExportStatus::Success));
    assert_eq!(row.artifact, Some(artifact(100)), "its path is still known");
}

pub(crate) async fn only_our_own_exports_can_be_cancelled(metadata: Metadata) {
    let world = World::create(metadata).await;
    let vendor = insert(&world, world.sub, 0).await;
    let refused = world.metadata.cancel_export(vendor, at(1)).await;
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(matches!(
        error,
        Error::WrongStatus {
            status: "CREATED",
            ..
        }
    ));

    let request = NewExport {
        source: ExportSource::Own,
        ..world.request(world.root, ExportKind::Usage)
    };
    let own = world.metadata.insert_export(request, at(0)).await.unwrap();
    let (first, second) = (take(&world, "w", 1).await, take(&world, "w", 1).await);
    let mut claimed = [first, second].into_iter().flatten();
    let held = claimed.find(|claimed| claimed.export.id == own.id);
    let held = held.unwrap();
    let cancelled = world.metadata.cancel_export(own.id, at(2)).await.unwrap();
    assert_eq!(cancelled.status, ExportStatus::Cancelled);
    let late = world
        .metadata
        .settle_export(own.id, held.fence, &success(9), at(3))
        .await;
    assert!(matches!(late, Err(Error::Fenced { .. })));
    assert!(world.metadata.cancel_export(own.id, at(4)).await.is_err());
}

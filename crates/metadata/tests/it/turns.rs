//! Whose turn it is at the export workers, ordinary and express, in long queues.

use domain::ids::{ExportId, OrganizationId};
use domain::tree::OrganizationKind;
use metadata::{
    Claim, Claimed, ExportKind, ExportStatus, Lane, Metadata, NewExport, NewOrganization,
    OrganizationAttributes,
};

use crate::exports::{claim, success};
use crate::world::{World, at, organization};

/// Organizations in a long queue, and the jobs each has in it.
const ORGANIZATIONS: u128 = 200;
const JOBS_EACH: i64 = 5;

/// Adds organizations under the root; gives their ids.
async fn crowd(world: &World, count: u128) -> Vec<OrganizationId> {
    let ids: Vec<_> = (0..count)
        .map(|number| organization(1_000 + number))
        .collect();
    let mut change = world.metadata.begin_change(at(0)).await.unwrap();
    for id in &ids {
        let new = NewOrganization {
            id: Some(*id),
            kind: OrganizationKind::SubOrganization,
            attributes: OrganizationAttributes::named(format!("Organization {id}")),
            aliases: Vec::new(),
            parent: Some((world.root, None)),
        };
        change
            .insert_organization(world.account, new)
            .await
            .unwrap();
    }
    change.commit().await.unwrap();
    ids
}

async fn ask(world: &World, organization: OrganizationId, second: i64) -> ExportId {
    let request: NewExport = world.request(organization, ExportKind::Summary);
    let export = world.metadata.insert_export(request, at(second)).await;
    export.unwrap().id
}

async fn take(world: &World, lane: Lane, second: i64) -> Option<Claimed> {
    let claim = Claim { lane, ..claim("w") };
    let claimed = world.metadata.claim_export(&claim, at(second)).await;
    claimed.unwrap()
}

/// Takes a job and ends it at once; gives whose it was.
async fn serve(world: &World, lane: Lane, second: i64) -> Option<OrganizationId> {
    let claimed = take(world, lane, second).await?;
    let (id, fence) = (claimed.export.id, claimed.fence);
    let settled = world
        .metadata
        .settle_export(id, fence, &success(9_999), at(second))
        .await;
    assert_eq!(settled.unwrap().status, ExportStatus::Success);
    Some(claimed.export.request.organization)
}

pub(crate) async fn workers_serve_every_organization_once_before_any_twice(metadata: Metadata) {
    let world = World::create(metadata).await;
    let crowd = crowd(&world, 20).await;
    // The first ones asked for all of theirs before the last ones came.
    for (id, second) in crowd.iter().zip(0..) {
        for _ in 0..JOBS_EACH {
            ask(&world, *id, second).await;
        }
    }
    for round in 0..JOBS_EACH {
        let mut served = Vec::new();
        for turn in 0..20 {
            let second = 100 + round * 20 + turn;
            served.extend(serve(&world, Lane::Ordinary, second).await);
        }
        assert_eq!(served, crowd, "round {round}");
    }
    assert_eq!(serve(&world, Lane::Ordinary, 1_000).await, None);
}

pub(crate) async fn a_job_behind_a_thousand_is_the_next_of_the_express_lane(metadata: Metadata) {
    let world = World::create(metadata).await;
    let crowd = crowd(&world, ORGANIZATIONS).await;
    for id in &crowd {
        for second in 0..JOBS_EACH {
            ask(&world, *id, second).await;
        }
    }
    // The lane has begun with the crowd when a further organization comes.
    let mut seen = vec![serve(&world, Lane::Express, 10).await.unwrap()];
    ask(&world, world.sandbox, 11).await;
    assert_eq!(serve(&world, Lane::Express, 12).await, Some(world.sandbox));
    // Asking again and again does not keep the others out.
    ask(&world, world.sandbox, 13).await;
    for second in 14..18 {
        seen.push(serve(&world, Lane::Express, second).await.unwrap());
    }
    assert!(!seen.contains(&world.sandbox), "{seen:?}");
    let times = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), times, "each at most once");
    // A minute later its newest job goes first again.
    assert_eq!(serve(&world, Lane::Express, 80).await, Some(world.sandbox));
}

pub(crate) async fn a_long_job_is_left_to_ordinary_workers(metadata: Metadata) {
    let world = World::create(metadata).await;
    let id = ask(&world, world.sub, 0).await;
    let tried = take(&world, Lane::Express, 1).await.unwrap();
    assert_eq!((tried.export.id, tried.export.attempts), (id, 1));
    let metadata = &world.metadata;
    let stale = metadata.hand_back_export(id, tried.fence + 1, at(2)).await;
    assert!(stale.is_err(), "only who holds it gives it back");
    metadata
        .hand_back_export(id, tried.fence, at(2))
        .await
        .unwrap();
    assert!(take(&world, Lane::Express, 2).await.is_none());
    let taken = take(&world, Lane::Ordinary, 2).await.unwrap();
    assert_eq!(
        (taken.export.id, taken.export.attempts),
        (id, 1),
        "no try is lost"
    );
    assert_eq!((taken.fence, taken.pins), (2, tried.pins));
    // It stays long, should its worker die.
    assert!(take(&world, Lane::Express, 100).await.is_none());
    assert!(take(&world, Lane::Ordinary, 100).await.is_some());
}

pub(crate) async fn the_later_turn_stays_when_clocks_disagree(metadata: Metadata) {
    let world = World::create(metadata).await;
    ask(&world, world.sub, 0).await;
    assert_eq!(serve(&world, Lane::Ordinary, 10).await, Some(world.sub));
    ask(&world, world.root, 0).await;
    assert_eq!(serve(&world, Lane::Ordinary, 11).await, Some(world.root));
    ask(&world, world.root, 0).await;
    // A server whose clock is behind.
    assert_eq!(serve(&world, Lane::Ordinary, 3).await, Some(world.root));
    ask(&world, world.root, 0).await;
    ask(&world, world.sub, 1).await;
    assert_eq!(serve(&world, Lane::Ordinary, 12).await, Some(world.sub));
}

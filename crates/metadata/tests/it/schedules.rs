//! Schedules: exactly one export for each period, whoever tries and however late.

use domain::Timestamp;
use domain::ids::{OrganizationId, ScheduleId};
use domain::schedule::{Period, Rhythm};
use metadata::{
    Error, ExportFilter, ExportKind, ExportSource, Metadata, NewSchedule, PageRequest,
    SCHEDULES_MAX, SchedulePatch, Turn,
};

use crate::world::World;

/// Active exports an organization may have in these stories.
const ACTIVE_MAX: u32 = 20;

fn when(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn daily(organization: OrganizationId) -> NewSchedule {
    NewSchedule {
        organization,
        user: None,
        kind: ExportKind::Asset,
        combined: false,
        parameters: r#"{"version":1}"#.to_owned(),
        callback_url: Some("https://example.com/done".to_owned()),
        rhythm: Rhythm::Daily,
        delay_hours: 1,
    }
}

fn from(day: &str) -> Period {
    Rhythm::Daily.around(day.parse().unwrap())
}

async fn scheduled(world: &World, day: &str) -> ScheduleId {
    let new = daily(world.sub);
    let now = when("2026-01-01T12:00:00Z");
    let made = world.metadata.insert_schedule(&new, from(day), now).await;
    made.unwrap().id
}

/// First days of the periods that have exports, oldest first.
async fn periods(world: &World, schedule: ScheduleId) -> Vec<String> {
    let filter = ExportFilter {
        schedule: Some(schedule),
        ..ExportFilter::default()
    };
    let page = PageRequest::new(None, 1_000).unwrap();
    let now = when("2026-01-01T12:00:00Z");
    let exports = world.metadata.list_exports(world.root, now, filter, &page);
    let exports = exports.await.unwrap().items;
    let day = |export: &metadata::Export| {
        let scheduled = export.scheduled.unwrap();
        assert_eq!(export.request.start, scheduled.period.from.to_string());
        assert_eq!(export.request.source, ExportSource::Own);
        scheduled.period.from.to_string()
    };
    let mut days: Vec<_> = exports.iter().map(day).collect();
    days.sort_unstable();
    days
}

pub(crate) async fn a_period_gets_one_export_however_many_servers_try(metadata: Metadata) {
    let world = World::create(metadata).await;
    let id = scheduled(&world, "2026-01-01").await;
    let early = when("2026-01-02T00:59:59Z");
    assert!(
        world
            .metadata
            .due_schedules(early, 9)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        world
            .metadata
            .take_turn(id, ACTIVE_MAX, early)
            .await
            .unwrap(),
        Turn::Idle
    );
    let due = when("2026-01-02T01:00:00Z");
    assert_eq!(world.metadata.due_schedules(due, 9).await.unwrap(), [id]);
    let tries = (0..8).map(|_| {
        let metadata = world.metadata.clone();
        tokio::spawn(async move { metadata.take_turn(id, ACTIVE_MAX, due).await.unwrap() })
    });
    let tries: Vec<_> = tries.collect();
    let mut made = 0;
    for turn in tries {
        match turn.await.unwrap() {
            Turn::Made(_) => made += 1,
            other => assert_eq!(other, Turn::Idle),
        }
    }
    assert_eq!(made, 1);
    assert_eq!(periods(&world, id).await, ["2026-01-01"]);
    let schedule = world.metadata.find_schedule(id).await.unwrap().unwrap();
    assert_eq!(schedule.next, from("2026-01-02"));
    assert_eq!(schedule.due_at, when("2026-01-03T01:00:00Z"));
    assert_eq!(schedule.new, daily(world.sub));
}

pub(crate) async fn missed_periods_come_oldest_first_and_wait_at_the_limit(metadata: Metadata) {
    let world = World::create(metadata).await;
    let id = scheduled(&world, "2026-01-01").await;
    let now = when("2026-01-10T12:00:00Z");
    for _ in 0..3 {
        let turn = world.metadata.take_turn(id, 3, now).await.unwrap();
        assert!(matches!(turn, Turn::Made(_)), "{turn:?}");
    }
    let first = ["2026-01-01", "2026-01-02", "2026-01-03"];
    assert_eq!(periods(&world, id).await, first);
    assert_eq!(
        world.metadata.take_turn(id, 3, now).await.unwrap(),
        Turn::Waits
    );
    assert!(
        world
            .metadata
            .due_schedules(now, 9)
            .await
            .unwrap()
            .is_empty()
    );
    let later = when("2026-01-10T12:01:00Z");
    assert_eq!(world.metadata.due_schedules(later, 9).await.unwrap(), [id]);
    let turn = world.metadata.take_turn(id, 4, later).await.unwrap();
    assert!(matches!(turn, Turn::Made(_)), "{turn:?}");
    assert_eq!(periods(&world, id).await.last().unwrap(), "2026-01-04");
}

pub(crate) async fn a_pause_delays_and_a_deleted_schedule_leaves_its_exports(metadata: Metadata) {
    let world = World::create(metadata).await;
    let id = scheduled(&world, "2026-01-01").await;
    let metadata = &world.metadata;
    let now = when("2026-01-03T12:00:00Z");
    let pause = |is_paused| SchedulePatch {
        is_paused: Some(is_paused),
        ..SchedulePatch::default()
    };
    let paused = metadata.patch_schedule(id, &pause(true), now).await;
    assert!(paused.unwrap().is_paused);
    assert!(metadata.due_schedules(now, 9).await.unwrap().is_empty());
    let turn = metadata.take_turn(id, ACTIVE_MAX, now).await.unwrap();
    assert_eq!(turn, Turn::Idle);
    metadata
        .patch_schedule(id, &pause(false), now)
        .await
        .unwrap();
    metadata.take_turn(id, ACTIVE_MAX, now).await.unwrap();
    let patch = SchedulePatch {
        delay_hours: Some(72),
        callback_url: Some(None),
        ..SchedulePatch::default()
    };
    let patched = metadata.patch_schedule(id, &patch, now).await.unwrap();
    assert_eq!(patched.due_at, when("2026-01-06T00:00:00Z"));
    assert_eq!(patched.new.callback_url, None);
    metadata.delete_schedule(id).await.unwrap();
    assert_eq!(periods(&world, id).await, ["2026-01-01"]);
    let gone = metadata.delete_schedule(id).await.unwrap_err();
    assert!(matches!(
        gone,
        Error::NotFound {
            what: "schedule",
            ..
        }
    ));
    let turn = metadata.take_turn(id, ACTIVE_MAX, now).await.unwrap();
    assert_eq!(turn, Turn::Idle);
}

pub(crate) async fn schedules_are_listed_below_the_requester_and_bounded(metadata: Metadata) {
    let world = World::create(metadata).await;
    let now = when("2026-01-01T12:00:00Z");
    for _ in 0..SCHEDULES_MAX {
        scheduled(&world, "2026-01-01").await;
    }
    let new = daily(world.sub);
    let more = world
        .metadata
        .insert_schedule(&new, from("2026-01-01"), now);
    let refused = more.await.unwrap_err();
    assert!(
        matches!(refused, Error::TooManySchedules { .. }),
        "{refused:?}"
    );
    let listed = async |requester| {
        let page = PageRequest::new(None, 60).unwrap();
        let first = world.metadata.list_schedules(requester, now, &page).await;
        let first = first.unwrap();
        let page = PageRequest::new(first.next.clone(), 60).unwrap();
        let rest = world.metadata.list_schedules(requester, now, &page).await;
        (
            first.items.len(),
            first.next.map(|_| rest.unwrap().items.len()),
        )
    };
    assert_eq!(listed(world.root).await, (60, Some(40)));
    assert_eq!(listed(world.sandbox).await, (0, None));
}

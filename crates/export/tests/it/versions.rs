//! What versions of meters mean for files: each counts while it is in force, and no longer.

use domain::meter::JobLevelLayout;
use domain::range::TimeRange;
use metadata::{ExportKind, NewExport};

use crate::world::{World, meter, meter_id};

/// Meter 5 reads `$.n5` until the sixth and `$.late` afterwards; meter 6 reads until the eighth.
async fn with_versions() -> World {
    let world = World::new().await;
    let mut change = world.metadata.begin_change(world.now()).await.unwrap();
    let mut changed = meter(5, Some(JobLevelLayout::Generic));
    change.insert_meter(world.account, &changed).await.unwrap();
    changed.rule.value_property = Some("$.late".parse().unwrap());
    changed.valid = TimeRange::since("2013-01-06T12:00:00Z".parse().unwrap());
    change.put_meter(world.account, &changed).await.unwrap();
    let archived = meter(6, Some(JobLevelLayout::Generic));
    change.insert_meter(world.account, &archived).await.unwrap();
    let end = "2013-01-08T00:00:00Z".parse().unwrap();
    let ended = change.archive_meter(world.account, meter_id(6), end);
    ended.await.unwrap();
    change.commit().await.unwrap();
    world
}

#[tokio::test]
async fn a_meter_version_that_is_not_in_force_hides_no_job_of_another() {
    let world = with_versions().await;
    world
        .take(
            r#"
            000000000000000000Root 2013-01-06T11:59:59Z {"n5":1,"taskId":"read"}
            000000000000000000Root 2013-01-06T12:00:00Z {"n5":1,"taskId":"after"}
            000000000000000000Root 2013-01-06T11:00:00Z {"late":1,"taskId":"before"}
            000000000000000000Root 2013-01-07T11:00:00Z {"late":1,"taskId":"read late"}
            000000000000000000Root 2013-01-07T12:00:00Z {"n6":1,"taskId":"live"}
            000000000000000000Root 2013-01-08T00:00:00Z {"n6":1,"taskId":"archived"}
            000000000000000000Root 2013-01-09T10:00:00Z {"n1":0.5,"taskId":"own"}
            "#,
        )
        .await;
    let request = |new: &mut NewExport| {
        (new.kind, new.meter) = (ExportKind::JobLevel, Some(meter_id(1)));
    };
    let export = world.ask(request).await;
    world.worker(1).run_until_idle().await.unwrap();
    let texts = world.texts(export).await;
    let listed = texts[0].1.lines().skip(1).map(|line| {
        let fields: Vec<_> = line.split(',').collect();
        format!("{} {:?}", fields[0], fields[14])
    });
    assert_eq!(
        listed.collect::<Vec<_>>(),
        ["before \"\"", "after \"\"", "archived \"\"", "own \"0.5\""]
    );
}

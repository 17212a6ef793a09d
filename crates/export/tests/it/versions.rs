//! What versions of meters and tiers of rates mean for files: each counts where it holds.

use domain::meter::JobLevelLayout;
use domain::range::TimeRange;
use domain::rate::Tier;
use metadata::{ExportKind, NewExport};

use crate::world::{World, meter, meter_id, rate};

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

/// The lines of a summary of the root, without its id.
async fn summary(world: &World) -> Vec<String> {
    let export = world.ask(|_| {}).await;
    world.worker(1).run_until_idle().await.unwrap();
    let texts = world.texts(export).await;
    let line = |line: &str| line.split_once(',').unwrap().1.to_owned();
    texts[0].1.lines().skip(1).map(line).collect()
}

#[tokio::test]
async fn a_tier_entered_and_left_on_one_day_shows_its_price_from_segments_and_journal() {
    let world = World::new().await;
    let mut change = world.metadata.begin_change(world.now()).await.unwrap();
    let mut tiered = rate(1, "0.5");
    let first = Tier {
        up_to: Some("100".parse().unwrap()),
        price: "2".parse().unwrap(),
    };
    tiered.tiers.insert(0, first);
    change.put_rate(&tiered).await.unwrap();
    change.commit().await.unwrap();
    world
        .take(
            r#"
            000000000000000000Root 2013-01-05T10:00:00Z {"n1":90}
            000000000000000000Root 2013-01-05T12:00:00Z {"n1":-100}
            000000000000000000Root 2013-01-06T10:00:00Z {"n1":30}
            000000000000000000Root 2013-01-06T10:00:01Z {"n1":-10}
            "#,
        )
        .await;
    world.store.flush_now().unwrap();
    world
        .take(r#"000000000000000000Root 2013-01-05T11:00:00Z {"n1":20}"#)
        .await;
    let prices: Vec<_> = summary(&world).await;
    let price = |line: &String| {
        let fields: Vec<_> = line.split(',').collect();
        format!("{} {} {}", &fields[2][..10], fields[5], fields[11])
    };
    let prices: Vec<_> = prices
        .iter()
        .filter(|line| !line.contains("ORGS"))
        .map(price)
        .collect();
    assert_eq!(
        prices,
        [
            "2013-01-05 10.0000000000 0.500000",
            "2013-01-06 20.0000000000 2.000000"
        ]
    );
}

//! Random control changes: the past stays as it was, and timelines stay whole.

use domain::Timestamp;
use domain::range::TimeRange;
use domain::rate::Rate;
use metadata::{Change, ControlSnapshot, Metadata, OrganizationAttributes, Result};

use crate::control::spelled;
use crate::world::{World, at};

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn instant(&mut self) -> Option<Timestamp> {
        let second = i64::try_from(self.below(12)).unwrap();
        (second > 0).then(|| at(second * 10))
    }
}

pub(crate) async fn random_changes_leave_every_older_revision_alone(metadata: Metadata) {
    let world = World::create(metadata).await;
    let mut dice = Dice(0x5eed_0002);
    let mut past: Vec<(u64, String)> = Vec::new();
    for step in 0..60 {
        world
            .change(async |change| {
                for _ in 0..=dice.below(2) {
                    change_something(&world, &mut dice, change, step).await?;
                }
                Ok(())
            })
            .await;
        let snapshot = world.metadata.snapshot(world.account, None).await.unwrap();
        assert_whole(&world, &snapshot, step);
        past.push((snapshot.revision(), spelled(&snapshot)));
    }
    past.dedup();
    assert!(past.len() > 30, "most steps change something");
    for (revision, text) in past {
        let again = world.metadata.snapshot(world.account, Some(revision)).await;
        assert_eq!(spelled(&again.unwrap()), text, "revision {revision}");
    }
}

async fn change_something(
    world: &World,
    dice: &mut Dice,
    change: &mut Change,
    step: u32,
) -> Result<()> {
    let since = dice.instant();
    match dice.below(6) {
        0 => {
            let renamed = OrganizationAttributes::named(format!("Name {}", step % 7));
            change.put_organization(world.sub, &renamed, since).await
        }
        1 | 2 => {
            let parents = [world.additional, world.sandbox];
            let parent = parents[usize::from(dice.below(2) == 0)];
            change.move_organization(world.sub, parent, since).await
        }
        3 => {
            let mut meter = world.meter.clone();
            meter.unit = format!("unit {}", step % 5);
            meter.valid.start = since;
            change.put_meter(world.account, &meter).await
        }
        4 => {
            let mut rate = Rate {
                valid: TimeRange {
                    start: since,
                    end: None,
                },
                ..world.rate.clone()
            };
            rate.tiers[0].price = format!("0.{}", step + 1).parse().unwrap();
            change.put_rate(&rate).await
        }
        _ => {
            let alias = format!("alias {}", dice.below(3));
            change.put_aliases(world.sub, &[alias]).await
        }
    }
}

/// Ranges in order touch, and cover all of time.
fn assert_whole(world: &World, snapshot: &ControlSnapshot, step: u32) {
    let versions = &snapshot.organization(world.sub).unwrap().versions;
    let edges = snapshot.edges().iter();
    let edges = edges.filter(|edge| edge.child == world.sub);
    let timelines: [Vec<TimeRange>; 4] = [
        versions.iter().map(|version| version.valid).collect(),
        edges.map(|edge| edge.valid).collect(),
        snapshot
            .meters()
            .unwrap()
            .iter()
            .map(|meter| meter.valid)
            .collect(),
        snapshot
            .rates()
            .unwrap()
            .iter()
            .map(|rate| rate.valid)
            .collect(),
    ];
    for timeline in timelines {
        assert_eq!(timeline.first().unwrap().start, None, "step {step}");
        assert_eq!(timeline.last().unwrap().end, None, "step {step}");
        for pair in timeline.windows(2) {
            assert_eq!(pair[0].end, pair[1].start, "step {step}: {timeline:?}");
        }
    }
}

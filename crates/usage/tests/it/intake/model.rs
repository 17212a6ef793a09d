//! Intake against a naive model: random batches, duplicates, conflicts, flushes, reopenings.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use usage::UsageStore;

use super::fixture::*;

/// What a user of the store does.
#[derive(Debug, Clone)]
enum Step {
    /// Sends events: id and value of each.
    Send(Vec<(u8, u8)>),
    Flush,
    Compact,
    /// Stops well and starts again.
    Close,
    /// Is killed and starts again.
    Kill,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop::collection::vec((0..40_u8, 0..3_u8), 1..20).prop_map(Step::Send),
        2 => Just(Step::Flush),
        1 => Just(Step::Compact),
        1 => Just(Step::Close),
        1 => Just(Step::Kill),
    ];
    prop::collection::vec(step, 1..25)
}

/// The store as a list: no files, no keys, no threads.
#[derive(Debug, Default)]
struct Model {
    next: u64,
    first: BTreeMap<u8, (u8, u64)>,
    conflicts: BTreeSet<(u8, u8)>,
}

impl Model {
    fn send(&mut self, id: u8, value: u8) -> String {
        match self.first.get(&id) {
            None => {
                self.next += 1;
                self.first.insert(id, (value, self.next));
                format!("accepted {}", self.next)
            }
            Some((first, sequence)) if *first == value => format!("duplicate of {sequence}"),
            Some((_, sequence)) => {
                self.next += u64::from(self.conflicts.insert((id, value)));
                format!("conflict with {sequence}")
            }
        }
    }
}

async fn run(steps: Vec<Step>) {
    let ground = Ground::new(1);
    let mut store = ground.open();
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Send(events) => {
                let draft = |(id, value): &(u8, u8)| event(&id.to_string(), u64::from(*value));
                let told = send(&store, events.iter().map(draft).collect()).await;
                let expected: Vec<_> = events
                    .iter()
                    .map(|(id, value)| model.send(*id, *value))
                    .collect();
                assert_eq!(told, expected);
            }
            Step::Flush => store.flush_now().unwrap(),
            Step::Compact => store.compact_now().unwrap(),
            Step::Close => {
                store.close().unwrap();
                store = ground.open();
            }
            Step::Kill => {
                drop(store);
                ground.disk.kill();
                store = ground.open();
            }
        }
        assert_eq!(store.watermark().await.unwrap(), model.next);
    }
    let expected: BTreeMap<String, u64> = model
        .first
        .iter()
        .map(|(id, (_, sequence))| (id.to_string(), *sequence))
        .collect();
    assert_eq!(counted(&store).await, expected);
    conserved(&store);
    store.close().unwrap();
    assert_eq!(ground.verify().damage, []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn outcomes_and_rows_equal_the_models(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build().unwrap();
        runtime.block_on(run(steps));
    }
}

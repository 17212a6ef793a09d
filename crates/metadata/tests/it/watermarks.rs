//! What seals watermarks, and which of them were given out before.

use domain::export::AsOf;
use metadata::{ExportKind, Metadata, NewExport};

use crate::world::{World, at};

pub(crate) async fn servers_that_start_at_once_get_one_key(metadata: Metadata) {
    let mut starts = tokio::task::JoinSet::new();
    for second in 0..8 {
        let metadata = metadata.clone();
        starts.spawn(async move { metadata.server_key("watermarks", at(second)).await.unwrap() });
    }
    let keys = starts.join_all().await;
    assert!(keys.iter().all(|key| *key == keys[0]));
    let later = metadata.server_key("watermarks", at(99)).await.unwrap();
    assert_eq!(later, keys[0]);
    assert!(later.made_at < at(8));
    let other = metadata.server_key("other", at(99)).await.unwrap();
    assert_ne!(other.secret, later.secret);
    assert_eq!(other.made_at, at(99));
    assert!(!format!("{other:?}").contains("secret"), "{other:?}");
}

pub(crate) async fn only_the_very_watermark_of_an_export_is_found(metadata: Metadata) {
    let world = World::create(metadata).await;
    let as_of = AsOf {
        sequence: 7,
        revision: 0,
        time: at(-1_000),
    };
    let request = NewExport {
        as_of: Some(as_of),
        ..world.request(world.sub, ExportKind::Summary)
    };
    let has = async |as_of| world.metadata.has_watermark(as_of).await.unwrap();
    assert!(!has(as_of).await);
    world.metadata.insert_export(request, at(0)).await.unwrap();
    assert!(has(as_of).await);
    let (sequence, revision, time) = (8, 1, at(-999));
    for other in [
        AsOf { sequence, ..as_of },
        AsOf { revision, ..as_of },
        AsOf { time, ..as_of },
    ] {
        assert!(!has(other).await, "{other:?}");
    }
}

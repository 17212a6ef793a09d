//! Artifacts found damaged: their jobs go back and end again.

use metadata::{
    ACTIVE_EXPORTS_MAX, Export, ExportKind, ExportStatus, Metadata, NewExport, Remake, Settlement,
};

use crate::exports::{artifact, claim, insert, success, take};
use crate::messages::claim_due;
use crate::world::{World, at};

pub(crate) async fn a_damaged_artifact_goes_back_and_nobody_hears_of_its_end_again(
    metadata: Metadata,
) {
    let world = World::create(metadata).await;
    let metadata = &world.metadata;
    let request = NewExport {
        callback_url: Some("https://example.com/done".to_owned()),
        ..world.request(world.sub, ExportKind::Summary)
    };
    let id = metadata.insert_export(request, at(0)).await.unwrap().id;
    let first = take(&world, "w", 1).await.unwrap();
    let whole = success(1_000);
    let made = metadata
        .settle_export(id, first.fence, &whole, at(2))
        .await
        .unwrap();
    assert_eq!(claim_due(metadata, at(3)).await.len(), 1);

    let remake = async |fence, second| metadata.remake_export(id, fence, at(second)).await.unwrap();
    assert_eq!(remake(made.fence - 1, 5).await, Remake::Settled);
    assert_eq!(
        remake(made.fence, 1_000).await,
        Remake::Settled,
        "its time is over"
    );
    assert_eq!(remake(made.fence, 5).await, Remake::Due);
    assert_eq!(remake(made.fence, 6).await, Remake::Settled);
    let back = metadata.find_export(id).await.unwrap().unwrap();
    assert_eq!(
        (back.status, back.damaged_at),
        (ExportStatus::Created, Some(at(5)))
    );
    assert_eq!(back.outcome, Some(ExportStatus::Success));
    // It takes no room of the organization.
    for _ in 0..ACTIVE_EXPORTS_MAX {
        insert(&world, world.sub, 7).await;
    }
    // Another release makes it again: it must be the same file, and says that it is.
    let mut newer = claim("w");
    newer.pins.layout_version += 1;
    newer.pins.archive_version += 1;
    let again = metadata.claim_export(&newer, at(8)).await.unwrap().unwrap();
    assert_eq!((again.export.id, again.pins), (id, first.pins));
    let whole = success(9_000);
    let remade = metadata
        .settle_export(id, again.fence, &whole, at(9))
        .await
        .unwrap();
    assert_eq!(remade.damaged_at, None);
    assert_eq!(
        (remade.status, remade.artifact.clone()),
        (made.status, made.artifact),
        "until the same day"
    );

    other_bytes_are_not_what_was_there(&world, &remade).await;
}

async fn other_bytes_are_not_what_was_there(world: &World, remade: &Export) {
    let (metadata, id) = (&world.metadata, remade.id);
    let due = metadata
        .remake_export(id, remade.fence, at(10))
        .await
        .unwrap();
    assert_eq!(due, Remake::Due);
    let mut other = artifact(9_000);
    other.sha256 = [8; 32];
    let other = Settlement::Success {
        artifact: other,
        rows: 7,
    };
    let again = take(world, "w", 11).await.unwrap();
    assert_eq!(again.export.id, id);
    let lost = metadata
        .settle_export(id, again.fence, &other, at(12))
        .await
        .unwrap();
    assert_eq!(
        (lost.status, lost.damaged_at),
        (ExportStatus::Failed, Some(at(10)))
    );
    assert_eq!(claim_due(metadata, at(12)).await.len(), 0);
}

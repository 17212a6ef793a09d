//! States in which a stop can leave the journal, and what recovery makes of each.

use usage::{Error, Intake, UsageStore};

use super::fixture::*;

/// Three frames of one row each, and where each ends in the file.
async fn three_frames(ground: &Ground) -> (std::path::PathBuf, Vec<usize>) {
    let store = ground.open();
    let path = ground.file(".journal");
    let mut ends = vec![ground.disk.bytes(&path).unwrap().len()];
    for id in ["a", "b", "c"] {
        send(&store, vec![event(id, 1)]).await;
        ends.push(ground.disk.bytes(&path).unwrap().len());
    }
    drop(store);
    ground.disk.kill();
    (path, ends)
}

#[tokio::test]
async fn a_last_frame_torn_at_any_byte_is_cut_and_nothing_else() {
    let ground = Ground::new(1);
    let (path, ends) = three_frames(&ground).await;
    let whole = ground.disk.bytes(&path).unwrap();
    for end in ends[2]..ends[3] {
        ground.disk.replace(&path, &whole[..end]);
        let store = ground.open();
        assert_eq!(store.read_only_reason(), None, "torn at {end}");
        assert_eq!(store.watermark().await.unwrap(), 2, "torn at {end}");
        let told = send(&store, vec![event("b", 1), event("c", 1)]).await;
        assert_eq!(told, ["duplicate of 2", "accepted 3"], "torn at {end}");
    }
}

#[tokio::test]
async fn a_last_frame_with_any_byte_changed_is_cut() {
    let ground = Ground::new(1);
    let (path, ends) = three_frames(&ground).await;
    let whole = ground.disk.bytes(&path).unwrap();
    for at in ends[2]..ends[3] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        ground.disk.replace(&path, &bytes);
        assert_eq!(ground.verify().damage[0].offset, ends[2] as u64);
        let store = ground.open();
        assert_eq!(store.read_only_reason(), None, "changed at {at}");
        assert_eq!(store.watermark().await.unwrap(), 2, "changed at {at}");
    }
}

#[tokio::test]
async fn a_bad_frame_before_a_good_one_makes_the_store_read_only() {
    let ground = Ground::new(1);
    let (path, ends) = three_frames(&ground).await;
    let whole = ground.disk.bytes(&path).unwrap();
    for at in ends[1]..ends[2] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        ground.disk.replace(&path, &bytes);
        let store = ground.open();
        let reason = store.read_only_reason().unwrap();
        let place = format!("{} is damaged at byte {}: ", path.display(), ends[1]);
        assert!(reason.starts_with(&place), "{reason}");
        assert_eq!(
            counted(&store).await.len(),
            1,
            "what comes before can be read"
        );
        let error = store
            .accept(organization(OWN), vec![event("d", 1)])
            .await
            .unwrap_err();
        assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
        store.close().unwrap();
        assert_eq!(
            ground.disk.bytes(&path).unwrap(),
            bytes,
            "damage is left as it is"
        );
    }
}

#[tokio::test]
async fn a_frame_cut_out_of_the_middle_is_missed() {
    let ground = Ground::new(1);
    let (path, ends) = three_frames(&ground).await;
    let mut bytes = ground.disk.bytes(&path).unwrap();
    bytes.drain(ends[1]..ends[2]);
    ground.disk.replace(&path, &bytes);
    let reason = ground.open().read_only_reason().unwrap();
    assert!(reason.contains(&format!("byte {}", ends[1])), "{reason}");
}

#[tokio::test]
async fn a_missing_or_emptied_journal_file_is_damage() {
    let ground = Ground::new(1);
    let (path, _) = three_frames(&ground).await;
    let whole = ground.disk.bytes(&path).unwrap();
    ground.disk.lose(&path);
    let reason = ground.open().read_only_reason().unwrap();
    assert!(
        reason.ends_with("is damaged at byte 0: the file is missing"),
        "{reason}"
    );
    ground.disk.replace(&path, b"");
    assert!(ground.open().read_only_reason().is_some());
    ground.disk.replace(&path, &whole);
    assert_eq!(ground.open().read_only_reason(), None);
}

/// A flush that finds no space ends after it began a new journal file.
async fn two_files(ground: &Ground) -> (std::path::PathBuf, std::path::PathBuf) {
    let (first, _) = three_frames(ground).await;
    let store = ground.open();
    ground.disk.set_space(Some(200));
    store.flush_now().unwrap_err();
    let second = ground.files(".journal").remove(1);
    drop(store);
    ground.disk.kill();
    ground.disk.set_space(None);
    (first, second)
}

#[tokio::test]
async fn a_file_begun_and_never_used_does_no_harm() {
    let ground = Ground::new(1);
    let (_, second) = two_files(&ground).await;
    let store = ground.open();
    assert_eq!(store.watermark().await.unwrap(), 3);
    assert_eq!(send(&store, vec![event("d", 1)]).await, ["accepted 4"]);
    store.close().unwrap();
    assert!(
        ground.disk.bytes(&second).is_none(),
        "it is flushed like any other"
    );
    assert_eq!(counted(&ground.open()).await.len(), 4);
}

#[tokio::test]
async fn a_sealed_file_without_its_successor_is_damage() {
    let ground = Ground::new(1);
    let (first, second) = two_files(&ground).await;
    ground.disk.lose(&second);
    let reason = ground.open().read_only_reason().unwrap();
    assert!(reason.contains("000000000002.journal"), "{reason}");
    // Without its seal the first file is as before the second one was begun.
    let mut bytes = ground.disk.bytes(&first).unwrap();
    bytes.truncate(bytes.len() - 52);
    ground.disk.replace(&first, &bytes);
    assert_eq!(ground.open().read_only_reason(), None);
}

#[tokio::test]
async fn a_torn_header_of_an_unsealed_files_successor_is_removed() {
    let ground = Ground::new(1);
    let (first, second) = two_files(&ground).await;
    let mut bytes = ground.disk.bytes(&first).unwrap();
    bytes.truncate(bytes.len() - 52);
    ground.disk.replace(&first, &bytes);
    let header = ground.disk.bytes(&second).unwrap();
    ground.disk.replace(&second, &header[..30]);
    let store = ground.open();
    assert_eq!(store.read_only_reason(), None);
    assert_eq!(send(&store, vec![event("d", 1)]).await, ["accepted 4"]);
}

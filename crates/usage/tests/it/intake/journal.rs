//! States in which a stop can leave the journal, and what recovery makes of each.

use usage::{Error, Intake, UsageStore};

use super::fixture::*;

/// Three frames of one row each that no mark follows, and where each ends in the file.
async fn three_frames(ground: &Ground) -> (std::path::PathBuf, Vec<usize>) {
    let store = ground.open();
    let path = ground.file(".journal");
    let mut ends = vec![ground.disk.bytes(&path).unwrap().len()];
    for id in ["a", "b", "c"] {
        send(&store, vec![event(id, 1)]).await;
        ends.push(ground.disk.bytes(&path).unwrap().len());
    }
    ground.disk.kill();
    drop(store);
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
async fn a_last_frame_that_nothing_follows_is_cut_when_damaged_and_its_bytes_are_kept() {
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
        let kept = store.verify().unwrap().kept.pop().unwrap();
        let cut = &bytes[ends[2]..];
        assert_eq!(
            ground.disk.bytes(&kept.path).unwrap(),
            cut,
            "changed at {at}"
        );
        assert_eq!(kept.size_bytes, cut.len() as u64);
    }
    let kept = ground.files(".cut");
    assert_eq!(kept.len(), 16, "{kept:?}");
}

#[tokio::test]
async fn nothing_is_cut_before_there_is_room_to_keep_it() {
    let ground = Ground::new(1);
    let (path, ends) = three_frames(&ground).await;
    ground.flip(&path, ends[2] + 60, 1);
    let before = ground.disk.bytes(&path).unwrap();
    ground.disk.set_space(Some(100));
    let store = ground.open();
    assert!(
        store
            .read_only_reason()
            .unwrap()
            .contains("no space left to keep")
    );
    assert_eq!(counted(&store).await.len(), 2, "reads go on");
    drop(store);
    assert_eq!(ground.disk.bytes(&path).unwrap(), before);
    assert_eq!(ground.files(".cut"), [] as [&std::path::Path; 0]);
    ground.disk.set_space(None);
    assert_eq!(ground.open().read_only_reason(), None);
    assert_eq!(ground.files(".cut").len(), 1);
}

/// Bytes of a frame without rows: a mark or a seal.
const BARE_BYTES: usize = 52;

#[tokio::test]
async fn a_changed_byte_of_any_frame_that_is_marked_is_damage_and_never_cut() {
    let ground = Ground::new(1);
    let (path, ends) = three_frames(&ground).await;
    drop(ground.open());
    ground.disk.kill();
    let whole = ground.disk.bytes(&path).unwrap();
    assert_eq!(
        whole.len(),
        ends[3] + BARE_BYTES,
        "a stop marks the last frame"
    );
    for at in ends[0]..ends[3] {
        for mask in [1, 0x80] {
            let mut bytes = whole.clone();
            bytes[at] ^= mask;
            ground.disk.replace(&path, &bytes);
            let store = ground.open();
            let frame = ends.iter().rev().find(|start| **start <= at).unwrap();
            let place = format!("{} is damaged at byte {frame}: ", path.display());
            let reason = store.read_only_reason().unwrap();
            assert!(reason.starts_with(&place), "changed at {at}: {reason}");
            store.close().unwrap();
            assert_eq!(ground.disk.bytes(&path).unwrap(), bytes, "left as it is");
        }
    }
    assert_eq!(ground.files(".cut"), [] as [&std::path::Path; 0]);
}

#[tokio::test]
async fn a_torn_or_damaged_mark_is_cut_and_loses_nothing() {
    let ground = Ground::new(1);
    let (path, ends) = three_frames(&ground).await;
    drop(ground.open());
    ground.disk.kill();
    let whole = ground.disk.bytes(&path).unwrap();
    for at in ends[3]..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        for bytes in [&whole[..at], &flipped] {
            ground.disk.replace(&path, bytes);
            let store = ground.open();
            assert_eq!(store.read_only_reason(), None, "at {at}");
            let told = send(&store, vec![event("c", 1), event("d", 1)]).await;
            assert_eq!(told, ["duplicate of 3", "accepted 4"], "at {at}");
        }
    }
}

#[tokio::test]
async fn a_writer_that_is_idle_marks_its_last_frame_once() {
    let mut ground = Ground::new(1);
    ground.options.mark_after_ms = 0;
    let store = ground.open();
    send(&store, vec![event("a", 1)]).await;
    while store.metrics().syncs_total < 2 {
        std::thread::yield_now();
    }
    let path = ground.file(".journal");
    let marked = ground.disk.bytes(&path).unwrap();
    assert_eq!(store.metrics().frames_total, 1);
    drop(store);
    assert_eq!(
        ground.disk.bytes(&path).unwrap(),
        marked,
        "one mark is enough"
    );
    let store = ground.open();
    assert_eq!(send(&store, vec![event("b", 1)]).await, ["accepted 2"]);
    drop(store);
    assert_eq!(ground.verify().damage, []);
    assert_eq!(counted(&ground.open()).await.len(), 2);
}

#[tokio::test]
async fn a_mark_that_found_no_space_is_written_at_the_next_start() {
    let ground = Ground::new(1);
    let store = ground.open();
    send(&store, vec![event("a", 1)]).await;
    let path = ground.file(".journal");
    let end = ground.disk.bytes(&path).unwrap().len();
    ground.disk.set_space(Some(10));
    drop(store);
    assert_eq!(ground.disk.bytes(&path).unwrap().len(), end);
    ground.disk.set_space(None);
    drop(ground.open());
    assert_eq!(ground.disk.bytes(&path).unwrap().len(), end + BARE_BYTES);
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
        let before = counted_at(&store, 1).await;
        assert_eq!(before.len(), 1, "what comes before can be read");
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
    bytes.truncate(bytes.len() - BARE_BYTES);
    ground.disk.replace(&first, &bytes);
    assert_eq!(ground.open().read_only_reason(), None);
}

#[tokio::test]
async fn a_torn_header_of_an_unsealed_files_successor_is_removed() {
    let ground = Ground::new(1);
    let (first, second) = two_files(&ground).await;
    let mut bytes = ground.disk.bytes(&first).unwrap();
    bytes.truncate(bytes.len() - BARE_BYTES);
    ground.disk.replace(&first, &bytes);
    let header = ground.disk.bytes(&second).unwrap();
    ground.disk.replace(&second, &header[..30]);
    let store = ground.open();
    assert_eq!(store.read_only_reason(), None);
    assert_eq!(send(&store, vec![event("d", 1)]).await, ["accepted 4"]);
}

//! A changed bit in any file is found and named.

use std::path::Path;

use usage::{Error, Intake, UsageStore};

use super::fixture::*;

/// A closed store with some flushed keys, one of every kind of file, and a used journal.
async fn filled() -> Ground {
    let ground = Ground::new(1);
    let store = ground.open();
    for part in 0..3_u64 {
        let batch = (0..150)
            .map(|number| event(&format!("{part}-{number}"), 1))
            .collect();
        send(&store, batch).await;
        store.flush_now().unwrap();
    }
    send(&store, vec![event("x", 1)]).await;
    send(&store, vec![event("y", 1)]).await;
    drop(store);
    ground.disk.kill();
    assert_eq!(ground.verify().damage, []);
    ground
}

fn assert_found(ground: &Ground, path: &Path, offset: usize) {
    let found = ground.verify().damage;
    let named = found.iter().any(|damage| damage.path == path);
    assert!(named, "byte {offset} of {}: {found:?}", path.display());
}

#[tokio::test]
async fn verify_finds_a_changed_bit_in_every_file() {
    let ground = filled().await;
    let mut random = Random(7);
    for path in ground.disk.paths() {
        let length = ground.disk.bytes(&path).unwrap().len();
        let ends = [
            0,
            8,
            16,
            24,
            33,
            length - 60,
            length - 30,
            length - 9,
            length - 1,
        ];
        let some = (0..12).map(|_| usize::try_from(random.below(length as u64)).unwrap());
        for offset in ends.into_iter().chain(some.collect::<Vec<_>>()) {
            ground.flip(&path, offset, 0x10);
            assert_found(&ground, &path, offset);
            ground.flip(&path, offset, 0x10);
        }
    }
    assert_eq!(ground.verify().damage, []);
}

#[tokio::test]
async fn an_open_store_is_verified_while_it_takes_events() {
    let ground = filled().await;
    let store = ground.open();
    let report = store.verify().unwrap();
    assert_eq!((report.watermark, report.damage), (452, vec![]));
    assert_eq!(report.counters.stored, 452);
    let path = ground.files(".parquet").remove(1);
    ground.flip(&path, 100, 1);
    send(&store, vec![event("z", 1)]).await;
    assert_eq!(store.verify().unwrap().damage[0].path, path);
}

#[tokio::test]
async fn every_class_of_byte_of_a_run_is_checked_where_it_is_used() {
    let ground = filled().await;
    let path = ground.files(".keys").remove(0);
    let length = ground.disk.bytes(&path).unwrap().len();
    let page = 4096;
    let classes = [
        ("magic", 1),
        ("identity", 9),
        ("filter checksum", 3 * page),
        ("filter", 3 * page + 40),
        ("index", length - 64 - 20),
        ("footer", length - 10),
    ];
    for (class, offset) in classes {
        ground.flip(&path, offset, 1);
        let reason = ground.open().read_only_reason();
        assert!(
            reason.unwrap_or_default().contains(".keys is damaged"),
            "{class}"
        );
        ground.flip(&path, offset, 1);
    }
    for (class, offset) in [
        ("checksum", page),
        ("count", page + 8),
        ("entry", page + 2000),
    ] {
        ground.flip(&path, offset, 1);
        let store = ground.open();
        let copies = (0..150)
            .map(|number| event(&format!("0-{number}"), 1))
            .collect();
        let error = store.accept(organization(OWN), copies).await.unwrap_err();
        assert!(
            matches!(error, Error::Corrupt { offset: 4096, .. }),
            "{class}: {error}"
        );
        assert!(store.read_only_reason().is_some(), "{class}");
        drop(store);
        ground.flip(&path, offset, 1);
    }
}

#[tokio::test]
async fn a_damaged_manifest_is_never_guessed_at() {
    let ground = filled().await;
    let path = ground.options.folder.join("manifest");
    let bytes = ground.disk.bytes(&path).unwrap();
    for offset in (0..bytes.len()).step_by(bytes.len() / 50) {
        ground.flip(&path, offset, 4);
        let error = ground.try_open().unwrap_err();
        assert!(
            matches!(error, Error::Corrupt { .. }),
            "byte {offset}: {error}"
        );
        ground.flip(&path, offset, 4);
    }
    ground.disk.lose(&path);
    let error = ground.try_open().unwrap_err();
    assert!(error.to_string().contains("the file is missing"), "{error}");
}

#[tokio::test]
async fn filters_are_rebuilt_from_the_entries_beside_them() {
    let ground = filled().await;
    let path = ground.files(".keys").remove(0);
    ground.flip(&path, 3 * 4096 + 40, 1);
    let replaced = usage::verify::repair(&ground.disk(), &ground.options.folder).unwrap();
    assert_eq!(replaced, [path]);
    assert_eq!(ground.verify().damage, []);
    let store = ground.open();
    assert_eq!(store.read_only_reason(), None);
    let told = send(&store, vec![event("0-7", 1), event("2-149", 1)]).await;
    assert_eq!(told, ["duplicate of 8", "duplicate of 450"]);
    assert_eq!(store.watermark().await.unwrap(), 452);
}

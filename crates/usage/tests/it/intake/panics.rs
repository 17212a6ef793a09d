//! A thread of the store that panics: nothing more is taken in, and it is said why and counted.

use std::io;
use std::path::Path;
use std::sync::Arc;

use usage::EmbeddedStore;
use usage::disk::{Appender, Disk, Lock, Reader};

use super::fixture::*;

/// A disk on which beginning a segment panics.
#[derive(Debug)]
struct Defective(Arc<dyn Disk>);

impl Disk for Defective {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Appender>> {
        let is_segment = path.extension().is_some_and(|ending| ending == "parquet");
        assert!(!is_segment, "a defect of the disk");
        self.0.create(path)
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn Appender>> {
        self.0.append(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn Reader>> {
        self.0.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.0.list(folder)
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.0.create_folder(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.0.sync_folder(folder)
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Lock> {
        self.0.lock(path, holder)
    }
}

#[tokio::test]
async fn a_flush_that_panics_is_counted_and_the_store_takes_nothing_more_in() {
    let mut ground = Ground::new(1);
    ground.options.flush_rows = 1;
    let disk = Arc::new(Defective(ground.disk()));
    let store = EmbeddedStore::open(ground.options.clone(), disk, ground.layout.clone()).unwrap();
    assert_eq!(send(&store, vec![event("1", 1)]).await, ["accepted 1"]);
    while store.read_only_reason().is_none() {
        std::thread::yield_now();
    }
    assert_eq!(store.read_only_reason().unwrap(), "the flush panicked");
    assert_eq!(store.metrics().panics_total, 1);
    assert_eq!(counted(&store).await.len(), 1, "reads go on");
    drop(store);
    // What was acknowledged is there after the next start.
    let store = ground.open();
    assert_eq!(counted(&store).await.len(), 1);
    assert_eq!(store.metrics().panics_total, 0);
}

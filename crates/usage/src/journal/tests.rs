//! Frames of kinds that this release does not write.

use std::path::Path;
use std::sync::Arc;

use super::frame::{Chain, FrameBuilder, FrameKind};
use super::recovery::{Replayed, replay};
use super::{Journal, bare};
use crate::disk::Disk;
use crate::disk::faulty::FaultyDisk;
use crate::identity::Identity;

#[test]
fn a_frame_of_a_newer_release_is_damage_even_at_the_very_end() {
    let (disk, folder) = (FaultyDisk::new(1), Path::new("/journal"));
    let shared: Arc<dyn Disk> = Arc::new(disk);
    let identity = Identity {
        store: [1; 16],
        secret: [2; 16],
    };
    let chain = Chain {
        seed: identity.journal_seed(),
        next: 1,
        previous: 0,
    };
    let mut journal = Journal::create(&shared, folder, identity, 1, chain).unwrap();
    let mut builder = FrameBuilder::default();
    let newer = bare(&mut builder, FrameKind::Unknown(4), chain);
    journal.append(newer).unwrap();
    let replayed = replay(&shared, folder, &identity, 1, 1, |_| Ok(())).unwrap();
    let Replayed::Damaged(error) = replayed else {
        panic!("{replayed:?}");
    };
    let said = error.to_string();
    assert!(said.contains("of kind 4: expected 1, 2 or 3"), "{said}");
}

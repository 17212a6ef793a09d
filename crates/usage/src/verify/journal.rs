//! The journal's part of a verification.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Report, is_conserved};
use crate::disk::Disk;
use crate::error::Result;
use crate::flush::counted_as;
use crate::identity::Identity;
use crate::journal::frame::decode_body;
use crate::journal::recovery::{Cut, FrameRead, Replayed, replay};
use crate::manifest::{Counters, Manifest};
use crate::shared::{Folders, add};

/// Reads all frames, and counts rows and counters up to the journal's end; gives bad ends that the
/// next start will cut off.
pub(super) fn check(
    disk: &Arc<dyn Disk>,
    folders: &Folders,
    identity: &Identity,
    manifest: &Manifest,
    report: &mut Report,
) -> Result<Vec<Cut>> {
    report.watermark = manifest.flushed_through;
    for counts in manifest.counters.values() {
        add(&mut report.counters, counts);
    }
    let (from, first) = (manifest.journal_from, manifest.flushed_through + 1);
    let replayed = replay(disk, &folders.journal, identity, from, first, |frame| {
        report.bytes += frame.body.len() as u64;
        check_frame(frame, report)
    })?;
    match replayed {
        Replayed::Complete(end) => {
            report.files += end.number + 1 - from;
            Ok(end.cuts)
        }
        Replayed::Damaged(error) => {
            report.take(Err(error))?;
            Ok(Vec::new())
        }
    }
}

/// The counters of the manifest and of every frame since.
pub(super) fn counters(
    disk: &Arc<dyn Disk>,
    folders: &Folders,
    identity: &Identity,
    manifest: &Manifest,
) -> Result<BTreeMap<String, Counters>> {
    let mut counted = manifest.counters.clone();
    let (from, first) = (manifest.journal_from, manifest.flushed_through + 1);
    let replayed = replay(disk, &folders.journal, identity, from, first, |frame| {
        let counters = decode_body(&frame.header, frame.body, |_| ());
        for (organization, counts) in counters.ok_or("the frame's body cannot be read")? {
            add(
                counted.entry(counted_as(organization)).or_default(),
                &counts,
            );
        }
        Ok(())
    })?;
    match replayed {
        Replayed::Complete(_) => Ok(counted),
        Replayed::Damaged(error) => Err(error),
    }
}

fn check_frame(frame: &FrameRead<'_>, report: &mut Report) -> Result<(), String> {
    let (mut fresh, mut conflicting) = (0, 0);
    let counters = decode_body(&frame.header, frame.body, |read| {
        match read.row.conflict_with {
            None => fresh += 1,
            Some(_) => conflicting += 1,
        }
    });
    let counters = counters.ok_or("the frame's body cannot be read")?;
    let mut sum = Counters::default();
    for (_, counts) in &counters {
        add(&mut sum, counts);
        add(&mut report.counters, counts);
    }
    report.watermark += fresh + conflicting;
    let conserved = counters.iter().all(|(_, counts)| is_conserved(counts));
    if !conserved || sum.stored != fresh || sum.conflict < conflicting {
        return Err(format!(
            "counters do not fit {fresh} rows and {conflicting} conflicts"
        ));
    }
    Ok(())
}

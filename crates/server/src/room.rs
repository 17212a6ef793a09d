//! What a start says that fails because its disk has no room.

use std::io;
use std::path::Path;

/// Free mebibytes a start needs: the database's log, a file of the journal and its marks.
const START_MEBIBYTES: u64 = 64;

/// The error of a start; where the disk is full it names the folder and the room that is needed.
pub(crate) fn explained(error: anyhow::Error, data_dir: &Path) -> anyhow::Error {
    if !error.chain().any(is_full) {
        return error;
    }
    error.context(format!(
        "{} has no room for a start: free {START_MEBIBYTES} MiB there and start again; what was \
         acknowledged is on the disk",
        data_dir.display()
    ))
}

fn is_full(cause: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return is_full_kind(error.kind());
    }
    if let Some(error) = cause.downcast_ref::<metadata::Error>() {
        return error.is_full();
    }
    matches!(
        cause.downcast_ref::<usage::Error>(),
        Some(usage::Error::DiskFull { .. })
    )
}

fn is_full_kind(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_with_the_room_it_needs_and_other_errors_stay() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let full = anyhow::Error::new(full).context("could not write server.json");
        let said = explained(full, Path::new("/data")).to_string();
        assert!(
            said.starts_with("/data has no room for a start: free 64 MiB"),
            "{said}"
        );
        let other = anyhow::Error::new(io::Error::from(io::ErrorKind::PermissionDenied));
        let said = explained(other, Path::new("/data")).to_string();
        assert!(!said.contains("no room"), "{said}");
    }
}

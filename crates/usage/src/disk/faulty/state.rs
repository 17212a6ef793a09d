//! What the faulty disk holds, shows, and keeps when the power goes.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::Fault;

/// Bytes that reach the disk together.
const SECTOR_BYTES: usize = 512;

/// A file's bytes.
#[derive(Debug, Default)]
pub(super) struct Inode {
    /// What reads show.
    pub(super) shown: Vec<u8>,
    /// What survives for certain.
    durable: Vec<u8>,
    /// What the next sync makes durable, in order.
    pending: Vec<Change>,
}

/// A change of a file's bytes.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// Bytes at an offset.
    Write(u64, Vec<u8>),
    /// The file ends here.
    Cut(u64),
}

/// A change of a folder.
#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Set(PathBuf, u64),
    Move(PathBuf, PathBuf),
    Unset(PathBuf),
}

impl NameChange {
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Set(path, _) | Self::Move(_, path) | Self::Unset(path) => path.parent(),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Set(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Self::Move(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            Self::Unset(path) => {
                names.remove(path);
            }
        }
    }
}

/// The disk behind all handles.
#[derive(Debug)]
pub(super) struct State {
    pub(super) inodes: BTreeMap<u64, Inode>,
    pub(super) names: BTreeMap<PathBuf, u64>,
    pub(super) durable_names: BTreeMap<PathBuf, u64>,
    pending_names: Vec<NameChange>,
    pub(super) locks: BTreeMap<PathBuf, (u64, String)>,
    pub(super) plan: BTreeMap<u64, Fault>,
    pub(super) operations: u64,
    pub(super) space: Option<u64>,
    pub(super) epoch: u64,
    pub(super) off: bool,
    random: u64,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            inodes: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
            locks: BTreeMap::new(),
            plan: BTreeMap::new(),
            operations: 0,
            space: None,
            epoch: 0,
            off: false,
            random: seed,
        }
    }

    /// A number below `bound`, by the splitmix sequence.
    fn below(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let bound = bound.max(1) as u64;
        usize::try_from(mixed % bound).expect("below a usize")
    }

    pub(super) fn check_power(&self) -> io::Result<()> {
        if self.off {
            return Err(io::Error::other("the power is off"));
        }
        Ok(())
    }

    /// Counts an operation and fails it when that is planned.
    pub(super) fn operate(&mut self) -> io::Result<()> {
        self.check_power()?;
        let fault = self.plan.remove(&self.operations);
        self.operations += 1;
        match fault {
            None => Ok(()),
            Some(Fault::Error) => Err(io::Error::other("a planned error")),
            Some(Fault::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::PowerCut) => {
                self.off = true;
                self.check_power()
            }
        }
    }

    pub(super) fn new_inode(&mut self, bytes: Vec<u8>) -> u64 {
        let number = self.inodes.len() as u64;
        let inode = Inode {
            shown: bytes.clone(),
            durable: bytes,
            pending: Vec::new(),
        };
        self.inodes.insert(number, inode);
        number
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<u64> {
        self.check_power()?;
        self.names
            .get(path)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn inode(&self, inode: u64) -> io::Result<&Inode> {
        self.inodes
            .get(&inode)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }

    pub(super) fn sync_names(&mut self, folder: &Path) {
        let inside = |change: &mut NameChange| change.folder() == Some(folder);
        for change in self.pending_names.extract_if(.., inside) {
            change.apply(&mut self.durable_names);
        }
    }

    pub(super) fn change(&mut self, inode: u64, change: Change) -> io::Result<()> {
        let inode = self.inodes.get_mut(&inode).ok_or(io::ErrorKind::NotFound)?;
        apply(&change, &mut inode.shown);
        inode.pending.push(change);
        Ok(())
    }

    /// Writes; on a fault a part of the bytes. Gives how many were written.
    pub(super) fn write(&mut self, inode: u64, at: u64, bytes: &[u8]) -> (u64, io::Result<()>) {
        let mut result = self.operate();
        let mut length = bytes.len();
        if result.is_err() {
            length = self.below(bytes.len() + 1);
        } else if let Some(space) = self.space
            && (length as u64) > space
        {
            length = usize::try_from(space).expect("less than a length");
            result = Err(io::ErrorKind::StorageFull.into());
        }
        let written = bytes.get(..length).unwrap_or_default().to_vec();
        self.space = self.space.map(|space| space.saturating_sub(length as u64));
        let changed = self.change(inode, Change::Write(at, written));
        (length as u64, result.and(changed))
    }

    /// Makes a file's bytes durable; when it fails they are lost, though reads show them.
    pub(super) fn sync(&mut self, inode: u64) -> io::Result<()> {
        let result = self.operate();
        if self.off {
            return result;
        }
        let number = inode;
        let Some(inode) = self.inodes.get_mut(&number) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let pending = std::mem::take(&mut inode.pending);
        if result.is_ok() {
            for change in &pending {
                apply(change, &mut inode.durable);
            }
        }
        result
    }

    /// Keeps what is durable, and of the rest what chance lets through.
    pub(super) fn restart(&mut self) {
        let numbers: Vec<u64> = self.inodes.keys().copied().collect();
        for number in numbers {
            let pending = match self.inodes.get_mut(&number) {
                Some(inode) => std::mem::take(&mut inode.pending),
                None => continue,
            };
            for change in pending {
                let survivors = self.tear(change);
                if let Some(inode) = self.inodes.get_mut(&number) {
                    for change in &survivors {
                        apply(change, &mut inode.durable);
                    }
                }
            }
            if let Some(inode) = self.inodes.get_mut(&number) {
                inode.shown.clone_from(&inode.durable);
            }
        }
        let lucky = self.below(self.pending_names.len() + 1);
        for change in self.pending_names.drain(..).take(lucky) {
            change.apply(&mut self.durable_names);
        }
        self.names.clone_from(&self.durable_names);
        self.epoch += 1;
        self.locks.clear();
        self.plan.clear();
        self.off = false;
    }

    /// What of a change the disk holds after the power went: all, nothing, or some sectors.
    fn tear(&mut self, change: Change) -> Vec<Change> {
        let Change::Write(offset, bytes) = change else {
            return if self.below(2) == 0 {
                vec![change]
            } else {
                Vec::new()
            };
        };
        match self.below(4) {
            0 => Vec::new(),
            1 => vec![Change::Write(offset, bytes)],
            2 => {
                let length = self.below(bytes.len() + 1);
                vec![Change::Write(
                    offset,
                    bytes.get(..length).unwrap_or_default().to_vec(),
                )]
            }
            _ => {
                let sectors = bytes.chunks(SECTOR_BYTES).enumerate();
                let place = |(index, sector): (usize, &[u8])| {
                    Change::Write(offset + (index * SECTOR_BYTES) as u64, sector.to_vec())
                };
                let mut all: Vec<Change> = sectors.map(place).collect();
                all.retain(|_| self.below(2) == 0);
                all
            }
        }
    }
}

fn apply(change: &Change, bytes: &mut Vec<u8>) {
    match change {
        Change::Write(offset, new) => {
            let start = usize::try_from(*offset).expect("a file in memory");
            let end = start + new.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[start..end].copy_from_slice(new);
        }
        Change::Cut(length) => {
            bytes.resize(usize::try_from(*length).expect("a file in memory"), 0);
        }
    }
}

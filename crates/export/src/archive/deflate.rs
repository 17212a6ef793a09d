//! Deflating pieces on several threads.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use flate2::{Compress, Compression, FlushCompress};

use crate::error::{Error, Result};

/// The one level: another one gives other bytes.
const LEVEL: u32 = 6;

/// An empty last block with fixed codes: it ends the stream the pieces make up.
pub(super) const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// A piece, deflated and ended by a full flush: nothing after it refers to it.
#[derive(Debug)]
pub(super) struct Deflated {
    pub(super) bytes: Vec<u8>,
    pub(super) crc: crc32fast::Hasher,
}

/// A piece on its way.
#[derive(Debug)]
pub(super) struct Pending(Receiver<Deflated>);

struct Work {
    piece: Vec<u8>,
    done: SyncSender<Deflated>,
}

/// Threads that deflate pieces.
#[derive(Debug)]
pub(super) struct Deflater {
    work: Option<Sender<Work>>,
    threads: Vec<JoinHandle<()>>,
}

impl Deflater {
    pub(super) fn new(threads: usize) -> Result<Self> {
        let (work, queue) = channel::<Work>();
        let queue = Arc::new(Mutex::new(queue));
        let spawn = |_| {
            let queue = Arc::clone(&queue);
            let builder = std::thread::Builder::new().name("deflate".into());
            builder.spawn(move || serve(&queue))
        };
        let threads = (0..threads).map(spawn).collect::<Result<_, _>>()?;
        Ok(Self {
            work: Some(work),
            threads,
        })
    }

    /// Hands a piece to the next free thread; the caller bounds how many are on their way.
    pub(super) fn deflate(&self, piece: Vec<u8>) -> Result<Pending> {
        let (done, deflated) = sync_channel(1);
        let work = self.work.as_ref().ok_or_else(gone)?;
        work.send(Work { piece, done }).map_err(|_| gone())?;
        Ok(Pending(deflated))
    }
}

impl Drop for Deflater {
    fn drop(&mut self) {
        self.work = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has already failed the piece it held.
            let _ = thread.join();
        }
    }
}

impl Pending {
    pub(super) fn wait(self) -> Result<Deflated> {
        self.0.recv().map_err(|_| gone())
    }
}

fn gone() -> Error {
    Error::Internal("a deflating thread ended early".into())
}

fn serve(queue: &Mutex<Receiver<Work>>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        // The archive may have been given up meanwhile.
        let _ = work.done.send(deflate(&work.piece));
    }
}

fn deflate(piece: &[u8]) -> Deflated {
    // Incompressible input grows by 5 bytes per 16 KiB; with room to spare one call does it all.
    let mut bytes = Vec::with_capacity(piece.len() + piece.len() / 1024 + 256);
    let mut stream = Compress::new(Compression::new(LEVEL), false);
    stream
        .compress_vec(piece, &mut bytes, FlushCompress::Full)
        .expect("a fresh stream takes any bytes");
    assert_eq!(
        stream.total_in(),
        piece.len() as u64,
        "all of the piece is taken in one call"
    );
    assert!(bytes.len() < bytes.capacity(), "the flush is complete");
    let mut crc = crc32fast::Hasher::new();
    crc.update(piece);
    bytes.shrink_to_fit();
    Deflated { bytes, crc }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_without_any_pattern_fit_too() {
        let mut state = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .take(3 << 20)
        .collect();
        let deflated = deflate(&noise);
        assert!(deflated.bytes.len() > noise.len());
        assert!(deflated.bytes.ends_with(&[0, 0, 0, 0xff, 0xff]));
    }
}

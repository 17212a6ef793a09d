//! Usage in by file: records are cut into blocks, turned into CloudEvents on all cores and handed
//! to a running server or to the store of a free directory, in order.
//!
//! `source` opens and cuts, `convert` turns records into lines of CloudEvents, `pipeline` moves
//! blocks through threads, `target` delivers them, `checkpoint` remembers how far it came.

mod checkpoint;
mod convert;
mod cutter;
mod encoding;
mod error;
mod mapping;
mod members;
mod pipeline;
mod progress;
mod source;
mod table;
mod tally;
mod target;
mod text;
pub(crate) mod zip;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use checkpoint::{Checkpoint, sweep};
pub(crate) use convert::Convert;
pub(crate) use cutter::Block;
pub(crate) use error::Error;
pub(crate) use mapping::Mapping;
pub(crate) use progress::Progress;
pub(crate) use source::{Format, Source};
pub(crate) use table::Row;
pub(crate) use tally::Tally;
pub(crate) use target::{HttpTarget, StoreTarget, Target};

/// Bytes of input after which a block ends at the next record.
const BLOCK_BYTES: usize = 1024 * 1024;
/// Bytes of one record; a longer one is no record and ends the import.
const RECORD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Blocks read and not yet delivered; bounds memory.
const BLOCKS_MAX: usize = 12;
/// Records after which a block ends.
const BLOCK_RECORDS_MAX: u64 = 20_000;
/// Bytes of events one request to a server brings; a longer block goes alone.
const REQUEST_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Records one request to a server brings.
const REQUEST_RECORDS_MAX: u64 = 50_000;
/// Time without one batch taken after which an import ends.
const PATIENCE: Duration = Duration::from_mins(10);
/// Batches on their way into an open store at once.
const BATCHES_MAX: usize = 4;
/// Events that were not accepted and are named in the report.
const NAMED_MAX: usize = 20;
/// Blocks between two writings of the checkpoint.
const CHECKPOINT_BLOCKS: u64 = 8;

/// A result of an import.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// What to import, and how to read it.
#[derive(Debug)]
pub(crate) struct Request {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its form; `None` goes by the name.
    pub(crate) format: Option<Format>,
    /// Which column is what; CSV needs one.
    pub(crate) mapping: Option<Mapping>,
    /// Records after which to stop; the next run goes on from there.
    pub(crate) records_max: Option<u64>,
    /// Folder of checkpoints; `None` keeps none.
    pub(crate) checkpoints: Option<PathBuf>,
}

/// Imports one file and says what became of its events, which are decided in the file's order.
///
/// Every event counted as accepted is durable. Running it again after an interruption skips what
/// the checkpoint knows as done; anything sent twice comes back as a duplicate.
pub(crate) async fn run(request: Request, target: Arc<Target>) -> Result<Tally> {
    let progress = Progress::new(&request.path);
    let mut source = Source::open(&request.path, request.format, &progress)?;
    let convert = Convert::of(&mut source, request.mapping)?;
    let mut checkpoint = match &request.checkpoints {
        Some(folder) => {
            let plan = format!("{} {}", target.place().await?, convert.identity());
            Checkpoint::open(folder, &request.path, &plan)?
        }
        None => Checkpoint::none(),
    };
    source.limit(checkpoint.records(), request.records_max);
    let done = deliver(source, convert, target, &mut checkpoint, &progress).await;
    match &done {
        Ok(tally) if tally.complete => checkpoint.remove()?,
        _ => checkpoint.write()?,
    }
    done
}

/// Delivers an open source from where `checkpoint` stands.
pub(crate) async fn deliver(
    source: Source,
    convert: Convert,
    target: Arc<Target>,
    checkpoint: &mut Checkpoint,
    progress: &Progress,
) -> Result<Tally> {
    let mut tally = Tally {
        skipped: checkpoint.records(),
        ..Tally::default()
    };
    let ended = pipeline::run(source, convert, target, |block| {
        tally.add(&block.tally, block.first);
        progress.tell(&tally);
        checkpoint.advance(block.first + block.records)
    })
    .await;
    progress.finish();
    tally.complete = ended?;
    Ok(tally)
}

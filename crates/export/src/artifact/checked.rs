//! Reading artifacts with every block checked before a byte of it is given out.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use domain::ids::ExportId;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use metadata::Artifact;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStoreExt};
use sha2::{Digest, Sha256};

use super::blocks::{BLOCK_BYTES, Blocks, Summing};
use super::{Artifacts, failed};
use crate::error::{Error, Result};

/// An artifact's bytes on their way.
type Parts = BoxStream<'static, Result<Bytes>>;

/// A stream of blocks being checked.
struct Checking {
    parts: Parts,
    /// What came in and belongs to the next block.
    come: VecDeque<Bytes>,
    length: usize,
    next: u64,
    wanted: Range<u64>,
    blocks: Arc<Blocks>,
    path: String,
}

impl Artifacts {
    /// Streams an artifact, or the bytes of `range`, which lies inside it: each block is compared
    /// with its checksum first, and the first one before this returns.
    ///
    /// [`Error::Damaged`] where a block, or the whole artifact, is not what was put.
    pub async fn open(
        &self,
        export: ExportId,
        artifact: &Artifact,
        range: Option<Range<u64>>,
    ) -> Result<Parts> {
        let blocks = Arc::new(self.blocks(export, artifact).await?);
        let wanted = range.unwrap_or(0..artifact.size_bytes);
        let first = Blocks::index_of(wanted.start);
        let end = blocks
            .place(Blocks::index_of(wanted.end.saturating_sub(1)))
            .end;
        let span = blocks.place(first).start..end;
        let mut checking = Checking {
            parts: self.span(artifact, span).await?,
            come: VecDeque::new(),
            length: 0,
            next: first,
            wanted,
            blocks,
            path: artifact.path.clone(),
        };
        let first = checking.block().await?;
        let rest = stream::try_unfold(checking, |mut checking| async {
            let block = checking.block().await?;
            Ok(block.map(|block| (block, checking)))
        });
        Ok(stream::iter(first.map(Ok)).chain(rest).boxed())
    }

    /// The manifest of an export, compared with its checksum.
    pub async fn checked_manifest(&self, export: ExportId, artifact: &Artifact) -> Result<Bytes> {
        let blocks = self.blocks(export, artifact).await?;
        let manifest = self
            .manifest(export)
            .await
            .map_err(|error| missing(error, self.path(export, "json").as_ref()))?;
        let path = self.path(export, "json");
        if Sha256::digest(&manifest).as_slice() != blocks.manifest_sha256 {
            let reason = "its SHA-256 is not that of what was put";
            return Err(damaged(path.as_ref(), reason));
        }
        // Exports of equal bytes differ in this alone.
        let json = serde_json::from_slice::<serde_json::Value>(&manifest).unwrap_or_default();
        expect_own(export, &json, &path)?;
        Ok(manifest)
    }

    /// Reads all of an artifact and its manifest, and gives the bytes read.
    pub async fn verify(&self, export: ExportId, artifact: &Artifact) -> Result<u64> {
        let name = Path::from(artifact.path.as_str());
        let name = name.filename().and_then(|name| name.split('.').next());
        if name != Some(export.as_str()) {
            let reason = format!("it is named after another export than {export}");
            return Err(damaged(&artifact.path, &reason));
        }
        let manifest = self.checked_manifest(export, artifact).await?;
        let mut parts = self.open(export, artifact, None).await?;
        let mut bytes = manifest.len() as u64;
        while let Some(part) = parts.try_next().await? {
            bytes += part.len() as u64;
        }
        Ok(bytes)
    }

    /// The checksums beside an artifact.
    ///
    /// Where there are none that fit it (an earlier release made it, or they are damaged
    /// themselves) the whole artifact is compared with its SHA-256, and they are written.
    async fn blocks(&self, export: ExportId, artifact: &Artifact) -> Result<Blocks> {
        let path = self.path(export, "blocks");
        let found = match self.store.get(&path).await {
            Ok(found) => {
                Blocks::from_bytes(&found.bytes().await.map_err(failed("read checksums"))?)
            }
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => return Err(failed("read checksums")(error)),
        };
        let fits = |blocks: &Blocks| {
            (blocks.size_bytes, blocks.sha256) == (artifact.size_bytes, artifact.sha256)
        };
        if let Some(blocks) = found.filter(fits) {
            return Ok(blocks);
        }
        let blocks = self.sum_up(export, artifact).await?;
        let put = self.store.put(&path, blocks.to_bytes().into()).await;
        put.map_err(failed("put checksums"))?;
        Ok(blocks)
    }

    /// Checksums of an artifact that is what its row says, with a manifest that says so too.
    async fn sum_up(&self, export: ExportId, artifact: &Artifact) -> Result<Blocks> {
        let mut summing = Summing::default();
        let mut parts = self.span(artifact, 0..artifact.size_bytes).await?;
        while let Some(part) = parts.try_next().await? {
            summing.update(&part);
        }
        let (size_bytes, sha256, sums) = summing.finish();
        if (size_bytes, sha256) != (artifact.size_bytes, artifact.sha256) {
            let reason = "its SHA-256 is not that of what was put";
            return Err(damaged(&artifact.path, reason));
        }
        let path = self.path(export, "json");
        let manifest = self.manifest(export).await;
        let manifest = manifest.map_err(|error| missing(error, path.as_ref()))?;
        let json = serde_json::from_slice::<serde_json::Value>(&manifest).unwrap_or_default();
        if json["archive"]["sha256"] != crate::manifest::hex(&sha256) {
            return Err(damaged(
                path.as_ref(),
                "it does not name the artifact's SHA-256",
            ));
        }
        expect_own(export, &json, &path)?;
        Ok(Blocks {
            size_bytes,
            sha256,
            manifest_sha256: Sha256::digest(&manifest).into(),
            sums,
        })
    }

    /// The bytes of a part of an artifact as they are, when it is there and as long as it was.
    async fn span(&self, artifact: &Artifact, span: Range<u64>) -> Result<Parts> {
        let path = Path::from(artifact.path.as_str());
        let there = self.store.head(&path).await;
        let there = there.map_err(failed("read an archive"));
        let there = there.map_err(|error| missing(error, &artifact.path))?;
        if there.size != artifact.size_bytes {
            let (size, expected) = (there.size, artifact.size_bytes);
            let reason = format!("it has {size} bytes: expected {expected}");
            return Err(damaged(&artifact.path, &reason));
        }
        let options = GetOptions {
            range: (!span.is_empty()).then_some(GetRange::Bounded(span)),
            ..GetOptions::default()
        };
        let found = self.store.get_opts(&path, options).await;
        let found = found.map_err(failed("read an archive"));
        let found = found.map_err(|error| missing(error, &artifact.path))?;
        let parts = found.into_stream();
        Ok(parts.map_err(failed("read an archive")).boxed())
    }
}

impl Checking {
    /// What is wanted of the next block, once all of the block has come and fits.
    async fn block(&mut self) -> Result<Option<Bytes>> {
        let place = self.blocks.place(self.next);
        if place.start >= self.wanted.end {
            return Ok(None);
        }
        let length = usize::try_from(place.end - place.start).unwrap_or(BLOCK_BYTES);
        while self.length < length {
            let Some(part) = self.parts.try_next().await? else {
                return Err(damaged(&self.path, "it ends too early"));
            };
            self.length += part.len();
            self.come.push_back(part);
        }
        let block = self.cut(length);
        if !self.blocks.fits(self.next, &block) {
            let reason = format!(
                "the block at byte {} does not fit its checksum",
                place.start
            );
            return Err(damaged(&self.path, &reason));
        }
        self.next += 1;
        let skipped = self.wanted.start.saturating_sub(place.start);
        let left_out = place.end.saturating_sub(self.wanted.end);
        let skipped = usize::try_from(skipped).unwrap_or(length).min(length);
        let left_out = usize::try_from(left_out).unwrap_or(length).min(length);
        Ok(Some(block.slice(skipped..length - left_out)))
    }

    /// The first bytes of what has come, as one piece.
    fn cut(&mut self, length: usize) -> Bytes {
        let mut block = BytesMut::with_capacity(length);
        while block.len() < length
            && let Some(mut part) = self.come.pop_front()
        {
            let now = part.split_to(part.len().min(length - block.len()));
            block.extend_from_slice(&now);
            if !part.is_empty() {
                self.come.push_front(part);
            }
        }
        self.length -= block.len();
        block.freeze()
    }
}

/// Refuses the manifest of another export.
fn expect_own(export: ExportId, manifest: &serde_json::Value, path: &Path) -> Result<()> {
    let named = &manifest["export"];
    if *named == export.as_str() {
        return Ok(());
    }
    let reason = format!("it is of export {named}: expected {export}");
    Err(damaged(path.as_ref(), &reason))
}

/// What a row says is there must be there: that it is not is damage like any other.
fn missing(error: Error, path: &str) -> Error {
    match error {
        Error::Artifact {
            source: object_store::Error::NotFound { .. },
            ..
        } => damaged(path, "it is missing"),
        error => error,
    }
}

fn damaged(path: &str, reason: &str) -> Error {
    Error::Damaged {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

//! Step 7 of usage out: finished archives are put where they stay until they expire.

mod blocks;
mod checked;

use std::fs::File;
use std::io::{Read, Seek};
use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use domain::export::{FileFormat, Packing, Parameters};
use domain::ids::ExportId;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, WriteMultipart};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use url::Url;

use crate::build::Gauge;
use crate::error::{Error, Result};
use blocks::{Blocks, Summing};

/// Bytes of an archive in one part of an upload.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Parts on their way at once.
const PARTS_MAX: usize = 2;

/// What the name of an artifact may end in.
const EXTENSIONS: [&str; 3] = ["zip", "csv.gz", "parquet.gz"];

/// What the name of an artifact ends in, by how it is packed and what is inside.
pub fn extension(parameters: &Parameters) -> &'static str {
    match (parameters.packing, parameters.format) {
        (Packing::Zip, _) => EXTENSIONS[0],
        (Packing::Gzip, FileFormat::Csv) => EXTENSIONS[1],
        (Packing::Gzip, FileFormat::Parquet) => EXTENSIONS[2],
    }
}

/// Where artifacts are kept: a folder, or a bucket by URL.
#[derive(Debug, Clone)]
pub struct Artifacts {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

/// An artifact that is safely in its store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its place in the store.
    pub path: String,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// XXH3 of each of its blocks of 1 MiB.
    pub blocks: Vec<u64>,
}

impl Artifacts {
    /// Keeps artifacts in a folder, which is created when missing; what is put there is synced.
    pub fn folder(folder: &FilePath) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let store = LocalFileSystem::new_with_prefix(folder);
        let store = store.map_err(failed("open its folder"))?;
        Ok(Self {
            store: Arc::new(store.with_fsync(true).with_automatic_cleanup(false)),
            prefix: Path::default(),
        })
    }

    /// Keeps artifacts below an `s3://`, `gs://`, `az://` or `file://` URL.
    ///
    /// `options` are the store's own, such as `aws_region`. A TLS provider is installed before.
    pub fn bucket(url: &Url, options: &[(String, String)]) -> Result<Self> {
        if url.scheme() == "file"
            && let Ok(folder) = url.to_file_path()
        {
            return Self::folder(&folder);
        }
        let refused = |error: object_store::Error| Error::Location {
            url: url.host_str().unwrap_or_default().to_owned(),
            reason: error.to_string(),
        };
        let options = options.iter().map(|(key, value)| (key, value));
        let (store, prefix) = object_store::parse_url_opts(url, options).map_err(refused)?;
        let store = Arc::from(store);
        Ok(Self { store, prefix })
    }

    fn path(&self, export: ExportId, extension: &str) -> Path {
        let name = format!("{export}.{extension}");
        self.prefix.clone().join(name)
    }

    /// Puts an archive, whole or not at all. Blocks, and must not run on a runtime's own thread.
    ///
    /// The same export again replaces what is there by the same bytes. A stopped gauge gives up.
    pub fn put_archive(
        &self,
        runtime: &Handle,
        (export, extension): (ExportId, &str),
        archive: &mut File,
        gauge: &Gauge,
    ) -> Result<Stored> {
        let path = self.path(export, extension);
        let failed = || failed("put an archive");
        let upload = runtime.block_on(self.store.put_multipart(&path));
        let mut upload = WriteMultipart::new_with_chunk_size(upload.map_err(failed())?, PART_BYTES);
        let mut summing = Summing::default();
        archive.rewind()?;
        while let Some(part) = next_part(archive)? {
            if gauge.is_stopped() {
                runtime.block_on(upload.abort()).map_err(failed())?;
                return Err(Error::Stopping);
            }
            summing.update(&part);
            let free = runtime.block_on(upload.wait_for_capacity(PARTS_MAX));
            free.map_err(failed())?;
            // Parts are sent by tasks of the runtime.
            let _inside = runtime.enter();
            upload.put(part);
        }
        runtime.block_on(upload.finish()).map_err(failed())?;
        let (size_bytes, sha256, blocks) = summing.finish();
        Ok(Stored {
            path: path.to_string(),
            size_bytes,
            sha256,
            blocks,
        })
    }

    /// Puts the manifest of an export beside its archive, and the checksums of both.
    pub async fn put_manifest(
        &self,
        export: ExportId,
        stored: &Stored,
        manifest: Vec<u8>,
    ) -> Result<()> {
        let blocks = Blocks {
            size_bytes: stored.size_bytes,
            sha256: stored.sha256,
            manifest_sha256: Sha256::digest(&manifest).into(),
            sums: stored.blocks.clone(),
        };
        for (extension, bytes) in [("json", manifest), ("blocks", blocks.to_bytes())] {
            let path = self.path(export, extension);
            let put = self.store.put(&path, bytes.into()).await;
            put.map_err(failed("put a manifest"))?;
        }
        Ok(())
    }

    /// The manifest of an export, as JSON and as it lies there; see [`Self::checked_manifest`].
    pub async fn manifest(&self, export: ExportId) -> Result<Bytes> {
        let path = self.path(export, "json");
        let failed = || failed("read a manifest");
        let found = self.store.get(&path).await.map_err(failed())?;
        found.bytes().await.map_err(failed())
    }

    /// Streams what lies at a path, or the bytes of `range`, unchecked; see [`Self::open`].
    pub async fn read(
        &self,
        path: &str,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        let path = Path::from(path);
        let found = self.store.get_opts(&path, options).await;
        let found = found.map_err(failed("read an archive"))?;
        Ok(found
            .into_stream()
            .map_err(failed("read an archive"))
            .boxed())
    }

    /// Removes the archive of an export and what lies beside it; fine when they are gone.
    pub async fn remove(&self, export: ExportId) -> Result<()> {
        for extension in EXTENSIONS.into_iter().chain(["json", "blocks"]) {
            match self.store.delete(&self.path(export, extension)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failed("remove an artifact")(error)),
            }
        }
        Ok(())
    }
}

fn next_part(archive: &mut File) -> Result<Option<Bytes>> {
    let mut part = Vec::with_capacity(PART_BYTES);
    archive.take(PART_BYTES as u64).read_to_end(&mut part)?;
    Ok((!part.is_empty()).then(|| Bytes::from(part)))
}

fn failed(action: &'static str) -> impl Fn(object_store::Error) -> Error {
    move |source| Error::Artifact { action, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_may_be_named_by_url_and_keeps_what_is_put_there() {
        let folder = tempfile::tempdir().unwrap();
        let url = Url::from_directory_path(folder.path().join("new")).unwrap();
        let artifacts = Artifacts::bucket(&url, &[]).unwrap();
        let export = ExportId::from_random(1);
        let stored = Stored {
            path: "x".to_owned(),
            size_bytes: 0,
            sha256: [0; 32],
            blocks: Vec::new(),
        };
        artifacts
            .put_manifest(export, &stored, b"{}".to_vec())
            .await
            .unwrap();
        let again = Artifacts::bucket(&url, &[]).unwrap();
        assert_eq!(again.manifest(export).await.unwrap(), "{}");
        again.remove(export).await.unwrap();
        again.remove(export).await.unwrap();
        let gone = artifacts.manifest(export).await.unwrap_err();
        assert_eq!(gone.kind(), domain::kind::Kind::Gone);
    }

    #[tokio::test]
    async fn parts_of_an_archive_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::folder(folder.path()).unwrap();
        let mut archive = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut archive, b"0123456789").unwrap();
        let (runtime, export) = (Handle::current(), ExportId::from_random(2));
        let store = artifacts.clone();
        let put = move || {
            let gauge = Gauge::default();
            store
                .put_archive(&runtime, (export, "zip"), &mut archive, &gauge)
                .unwrap()
        };
        let stored = tokio::task::spawn_blocking(put).await.unwrap();
        assert_eq!(stored.size_bytes, 10);
        let part = artifacts.read(&stored.path, Some(2..5)).await.unwrap();
        let part: Vec<_> = part.try_collect().await.unwrap();
        assert_eq!(part.concat(), b"234");
    }

    #[test]
    fn an_unknown_kind_of_store_is_refused_without_its_secrets() {
        let url = "ftp://user:secret@host/path".parse().unwrap();
        let refused = Artifacts::bucket(&url, &[]).unwrap_err();
        assert!(
            matches!(&refused, Error::Location { url, .. } if url == "host"),
            "{refused}"
        );
    }
}

//! `tallyport import`: takes usage in from files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use domain::ids::OrganizationId;
use metadata::{Metadata, PageRequest};
use serde::Serialize;

use super::Global;
use crate::auth::caller::ORGANIZATION_HEADER;
use crate::clock::Clock;
use crate::config::Config;
use crate::import::{Format, HttpTarget, Mapping, Request, StoreTarget, Tally, Target};
use crate::instance::Lease;
use crate::server_file::ServerFile;
use crate::{import, log, run, store};

/// Folder of checkpoints in the data directory.
const CHECKPOINTS: &str = "imports";

/// Options of `tallyport import`.
#[derive(Debug, Args)]
pub struct Import {
    /// Files to take in, one after the other; .gz, .zst and .zip of one file are unpacked.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Form of the files; by their names unless given.
    #[arg(long)]
    format: Option<Format>,
    /// Which column is what (YAML, or TOML by its name); CSV needs one.
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Organization whose events these are, by id, name or alias; the only account's root unless
    /// given. With --url the key decides.
    #[arg(long, value_name = "ORGANIZATION", conflicts_with = "url")]
    namespace: Option<String>,
    /// Server to send to, instead of the one that has the data directory open.
    #[arg(long, requires = "key")]
    url: Option<String>,
    /// API key for --url.
    #[arg(long, env = "TALLYPORT_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Records of each file after which to stop; the next run goes on from there.
    #[arg(long, value_name = "RECORDS")]
    limit: Option<u64>,
}

/// What became of all files.
#[derive(Debug, Default, Serialize)]
struct Report {
    files: Vec<FileReport>,
    received: u64,
    accepted: u64,
    duplicate: u64,
    conflict: u64,
    refused: u64,
}

#[derive(Debug, Serialize)]
struct FileReport {
    file: String,
    #[serde(flatten)]
    tally: Tally,
}

/// An open target and what must be closed after it.
struct Opened {
    target: Arc<Target>,
    directory: Option<Directory>,
}

/// A data directory this process has open.
struct Directory {
    metadata: Metadata,
    store: store::Opened,
    lease: Option<Lease>,
}

impl Import {
    /// Runs the command.
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let config = global.config()?;
        log::start(&config.log)?;
        let opened = self.open(&config).await?;
        let taken = self.take(&opened.target, &config, global.json).await;
        opened.close().await?;
        let report = taken?;
        if global.json {
            println!("{}", serde_json::to_string(&report)?);
        }
        Ok(())
    }

    async fn take(
        &self,
        target: &Arc<Target>,
        config: &Config,
        json: bool,
    ) -> anyhow::Result<Report> {
        let data_dir = &config.server.data_dir;
        import::sweep(&data_dir.join(CHECKPOINTS), std::time::SystemTime::now());
        let mut report = Report::default();
        for file in &self.files {
            let request = Request {
                path: file.clone(),
                format: self.format,
                mapping: self.mapping.as_deref().map(Mapping::read).transpose()?,
                records_max: self.limit,
                checkpoints: data_dir.is_dir().then(|| data_dir.join(CHECKPOINTS)),
            };
            let tally = import::run(request, Arc::clone(target)).await;
            let tally =
                tally.with_context(|| format!("import of {} ended early", file.display()))?;
            if !json {
                tell(file, &tally);
            }
            report.add(file, tally);
        }
        Ok(report)
    }

    async fn open(&self, config: &Config) -> anyhow::Result<Opened> {
        if let Some(url) = &self.url {
            let key = self.key.as_deref().unwrap_or_default();
            return Ok(Opened::server(HttpTarget::new(url, key, false)?));
        }
        if let Some(server) = ServerFile::read(&config.server.data_dir)? {
            let mut http = HttpTarget::new(&server.url, &server.token, true)?;
            let id = self.namespace(config).await?;
            http.headers.push((ORGANIZATION_HEADER, id.to_string()));
            return Ok(Opened::server(http));
        }
        self.open_directory(config).await
    }

    async fn namespace(&self, config: &Config) -> anyhow::Result<OrganizationId> {
        let metadata = run::open_existing(config).await?;
        let found = find_namespace(&metadata, self.namespace.as_deref()).await;
        metadata.close().await;
        found
    }

    async fn open_directory(&self, config: &Config) -> anyhow::Result<Opened> {
        let data_dir = &config.server.data_dir;
        anyhow::ensure!(
            data_dir.is_dir(),
            "{} does not exist: `tallyport serve` or `tallyport apply` creates it",
            data_dir.display()
        );
        let metadata = run::open_existing(config).await?;
        let namespace = find_namespace(&metadata, self.namespace.as_deref()).await?;
        let control = metadata.snapshot_for(namespace).await?;
        let scope = control.scope_of(namespace);
        let clock = Clock::system();
        let store = store::open(config, &metadata, &clock).await?;
        let lease = Lease::take(config, &metadata, &clock, &store.readings, None).await?;
        let target = StoreTarget {
            intake: Arc::clone(&store.intake),
            namespace,
            resolve: Arc::new(move |name| control.resolve(&scope, name).map(|found| found.id)),
            clock,
        };
        Ok(Opened {
            target: Arc::new(Target::Store(target)),
            directory: Some(Directory {
                metadata,
                store,
                lease,
            }),
        })
    }
}

impl Opened {
    fn server(http: HttpTarget) -> Self {
        Self {
            target: Arc::new(Target::Http(http)),
            directory: None,
        }
    }

    async fn close(self) -> anyhow::Result<()> {
        drop(self.target);
        let Some(directory) = self.directory else {
            return Ok(());
        };
        let readings = directory.store.readings;
        let closed = tokio::task::spawn_blocking(move || readings.close()).await?;
        if let Some(lease) = directory.lease {
            lease.release().await;
        }
        directory.metadata.close().await;
        closed.context("the usage store did not close well")
    }
}

/// The organization a name means in any account; without one, the root of the only account.
async fn find_namespace(metadata: &Metadata, name: Option<&str>) -> anyhow::Result<OrganizationId> {
    let Some(name) = name else {
        let two = PageRequest::new(None, 2)?;
        return match metadata.list_accounts(&two).await?.items.as_slice() {
            [account] => Ok(account.root),
            [] => anyhow::bail!("there is no account: declare one first"),
            _ => anyhow::bail!("there are several accounts: name one by --namespace"),
        };
    };
    if let Ok(id) = name.parse()
        && metadata.find_organization(id).await?.is_some()
    {
        return Ok(id);
    }
    let mut found = metadata.find_organizations_by_alias(name).await?;
    found.extend(metadata.find_organizations_named(name).await?);
    found.sort();
    found.dedup();
    match found.as_slice() {
        [id] => Ok(*id),
        [] => anyhow::bail!("no organization has the id, name or alias {name:?}"),
        several => {
            let ids: Vec<_> = several.iter().map(ToString::to_string).collect();
            let ids = ids.join(", ");
            anyhow::bail!("several organizations are called {name:?}: give an id, such as {ids}")
        }
    }
}

fn tell(file: &Path, tally: &Tally) {
    println!("{}: {}", file.display(), tally.sentence());
    for named in &tally.named {
        eprintln!(
            "  record {}: {}: {}",
            named.record, named.code, named.message
        );
    }
}

impl Report {
    fn add(&mut self, file: &Path, tally: Tally) {
        self.received += tally.received;
        self.accepted += tally.accepted;
        self.duplicate += tally.duplicate;
        self.conflict += tally.conflict;
        self.refused += tally.refused;
        self.files.push(FileReport {
            file: file.display().to_string(),
            tally,
        });
    }
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use domain::tree::OrganizationKind;
    use metadata::{NewAccount, NewOrganization, Options, OrganizationAttributes};

    use super::*;

    #[tokio::test]
    async fn a_namespace_is_found_among_any_number_of_accounts() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::file(folder.path().join("metadata.sqlite"));
        let metadata = Metadata::open(options).await.unwrap();
        let mut change = metadata.begin_change(Timestamp::UNIX_EPOCH).await.unwrap();
        let mut roots = Vec::new();
        for number in 0..230 {
            let root = NewOrganization {
                id: None,
                kind: OrganizationKind::Production,
                attributes: OrganizationAttributes::named(format!("Root {number}")),
                aliases: vec![format!("root-{number}"), "everywhere".to_owned()],
                parent: None,
            };
            let account = NewAccount { id: None, root };
            roots.push(change.insert_account(account).await.unwrap().root);
        }
        change.commit().await.unwrap();
        for (number, root) in roots.iter().enumerate() {
            for name in [
                format!("root-{number}"),
                format!("Root {number}"),
                root.to_string(),
            ] {
                let found = find_namespace(&metadata, Some(&name)).await.unwrap();
                assert_eq!(found, *root, "{name}");
            }
        }
        for unclear in [None, Some("everywhere"), Some("nowhere")] {
            assert!(find_namespace(&metadata, unclear).await.is_err());
        }
        metadata.close().await;
    }
}

//! A running server: opens everything, serves, and closes in the opposite order.

use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use export::Workers;
use metadata::{Metadata, Options, Target};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::auth::Credentials;
use crate::auth::credential::KEY_PREFIX;
use crate::bodies::Bodies;
use crate::bootstrap::{self, FirstAdmin, first_start};
use crate::clock::Clock;
use crate::config::{Config, Server};
use crate::connections;
use crate::control::Control;
use crate::exports;
use crate::instance::Lease;
use crate::metrics::Metrics;
use crate::random;
use crate::room;
use crate::server_file::{Published, ServerFile};
use crate::store::{self, GivenUp};
use crate::watermark::Seal;

/// A server that answers requests until it is stopped.
#[derive(Debug)]
pub struct Running {
    app: Arc<App>,
    address: SocketAddr,
    token: String,
    first_admin: Option<FirstAdmin>,
    serving: JoinHandle<()>,
    workers: Option<Workers>,
    lease: Option<Lease>,
    published: Published,
}

/// What a start does where less usage is there than the database knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It fails, or opens the usage as damaged.
    Refused,
    /// It takes what is there for complete.
    Accepted,
}

/// Starts a server; when it returns, requests are answered.
pub async fn start(config: Config, clock: Clock) -> anyhow::Result<Running> {
    start_with(config, clock, Loss::Refused).await
}

/// The same, where usage may have been lost.
pub async fn start_with(config: Config, clock: Clock, loss: Loss) -> anyhow::Result<Running> {
    let data_dir = config.server.data_dir.clone();
    let started = begin(config, clock, loss).await;
    started.map_err(|error| room::explained(error, &data_dir))
}

async fn begin(config: Config, clock: Clock, loss: Loss) -> anyhow::Result<Running> {
    create_data_dir(&config.server)?;
    let (listener, address) = listen(&config.server).await?;
    let metadata = open_metadata(&config).await?;
    bootstrap::name_equals(&metadata).await?;
    let first_admin = first_start(&metadata, &config.admin, clock.now()).await?;
    let seal = Seal::of(&metadata, clock.now()).await?;
    let store = match loss {
        Loss::Refused => store::open(&config, &metadata, &clock).await?,
        Loss::Accepted => store::open_accepting_loss(&config, &metadata, &clock).await?,
    };
    let given_up = GivenUp::read(&config, &metadata).await?;
    let public_url = public_url(&config.server, address);
    let lease = Lease::take(
        &config,
        &metadata,
        &clock,
        &store.readings,
        Some(&public_url),
    )
    .await?;
    let (exports, workers) = exports::start(
        &config,
        Arc::clone(&store.usage),
        metadata.clone(),
        clock.clone(),
    )?;
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let token = format!("{KEY_PREFIX}local_{}", random::secret());
    let app = Arc::new(App {
        public_url,
        credentials: Credentials::new(&token),
        control: Control::default(),
        seal,
        metrics: Metrics::new(&store.readings),
        stopping: CancellationToken::new(),
        intake: store.intake,
        given_up,
        bodies: Arc::new(Bodies::new(&config.limits)),
        parsing: Arc::new(Semaphore::new((cores / 2).max(1))),
        usage: store.usage,
        readings: store.readings,
        exports,
        clock,
        metadata,
        config,
    });
    let file = ServerFile {
        url: format!("http://{address}"),
        token: token.clone(),
        pid: std::process::id(),
    };
    let published = file.publish(&app.config.server.data_dir)?;
    let serving = tokio::spawn(connections::serve(listener, Arc::clone(&app)));
    tracing::info!(%address, "listening on {address}");
    Ok(Running {
        app,
        address,
        token,
        first_admin,
        serving,
        workers,
        lease,
        published,
    })
}

impl Running {
    /// Base URL of the listener, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Token of the local administrator, good until the server stops.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The administrator this start created.
    pub fn first_admin(&self) -> Option<&FirstAdmin> {
        self.first_admin.as_ref()
    }

    /// The state behind the routes.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Stops accepting, lets running requests finish, closes the store, removes `server.json`.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.app.stopping.cancel();
        let patience = Duration::from_secs(self.app.config.server.shutdown_timeout_s);
        if tokio::time::timeout(patience, &mut self.serving)
            .await
            .is_err()
        {
            tracing::warn!("requests still running after {patience:?} are cut off");
            self.serving.abort();
        }
        if let Some(workers) = self.workers {
            workers.stop().await;
        }
        let readings = Arc::clone(&self.app.readings);
        let closed = tokio::task::spawn_blocking(move || readings.close()).await?;
        if let Some(lease) = self.lease {
            lease.release().await;
        }
        self.app.metadata.close().await;
        drop(self.published);
        closed.context("the usage store did not close well")?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Creates the data directory, readable by its owner only.
pub fn create_data_dir(server: &Server) -> anyhow::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(&server.data_dir)
        .with_context(|| format!("could not create {}", server.data_dir.display()))
}

async fn listen(server: &Server) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(server.listen).await;
    let listener = listener.with_context(|| format!("could not listen on {}", server.listen))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Opens the database the configuration names; the data directory exists.
pub async fn open_metadata(config: &Config) -> metadata::Result<Metadata> {
    Metadata::open(options(config)).await
}

/// The same for commands that need something to be there: a folder without a store stays so.
pub async fn open_existing(config: &Config) -> anyhow::Result<Metadata> {
    must_hold_store(config)?;
    Ok(open_metadata(config).await?)
}

/// Refuses a folder without a store.
pub fn must_hold_store(config: &Config) -> anyhow::Result<()> {
    anyhow::ensure!(
        has_database(config),
        "{} holds no store: name its folder by --data-dir, or create one by `tallyport serve` or \
         `tallyport apply`",
        config.server.data_dir.display()
    );
    Ok(())
}

/// Opens the database to read it alone; nothing is created, and an absent one is empty.
pub async fn read_metadata(config: &Config) -> metadata::Result<Metadata> {
    Metadata::open_to_read(options(config)).await
}

/// Whether there is a database; one of another server always is.
pub fn has_database(config: &Config) -> bool {
    match options(config).target {
        Target::File(path) => path.exists(),
        Target::Postgres(_) => true,
    }
}

fn options(config: &Config) -> Options {
    match config.database.url.reveal() {
        Some(url) => Options::postgres(url),
        None => Options::file(config.server.data_dir.join("metadata.sqlite")),
    }
}

fn public_url(server: &Server, address: SocketAddr) -> String {
    if server.public_url.is_empty() {
        format!("http://{address}")
    } else {
        // Clients append to it, and some look for one slash before `saas`.
        server.public_url.trim_end_matches('/').to_owned()
    }
}

//! A server of one test, and answers in a form snapshots can hold.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use domain::Timestamp;
use domain::ids::OrganizationId;
use domain::tree::OrganizationKind;
use metadata::{NewAccount, NewKey, NewOrganization, OrganizationAttributes, Role};
use reqwest::{Client, Method, RequestBuilder};
use server::app::App;
use server::auth::sha256;
use server::clock::Clock;
use server::config::Config;
use server::random;
use server::run::{Running, start};
use tempfile::TempDir;

/// What the clock of a test server tells at its start.
pub(crate) const NOW: &str = "2026-06-01T12:00:00Z";

/// The server as `serve` runs it, on a free port and in a folder of its own.
pub(crate) struct TestServer {
    running: Running,
    client: Client,
    seconds: Arc<AtomicI64>,
    folder: TempDir,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// Starts with a changed configuration.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        // Whichever test comes first installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::load(None, []).unwrap();
        config.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        config.server.data_dir = folder.path().join("data");
        config.exports.workers = 0;
        change(&mut config);
        let now: Timestamp = NOW.parse().unwrap();
        let seconds = Arc::new(AtomicI64::new(now.as_second()));
        Self::launch(config, seconds, folder).await.unwrap()
    }

    async fn launch(
        config: Config,
        seconds: Arc<AtomicI64>,
        folder: TempDir,
    ) -> anyhow::Result<Self> {
        let clock = {
            let seconds = Arc::clone(&seconds);
            Clock::new(move || Timestamp::from_second(seconds.load(Ordering::SeqCst)).unwrap())
        };
        let running = start(config, clock).await?;
        Ok(Self {
            running,
            client: Client::new(),
            seconds,
            folder,
        })
    }

    /// Stops, lets something happen to the data directory, and starts again.
    pub(crate) async fn restart(self, between: impl FnOnce(&std::path::Path)) -> Self {
        self.try_restart(between).await.unwrap()
    }

    /// The same where the start may fail.
    pub(crate) async fn try_restart(
        self,
        between: impl FnOnce(&std::path::Path),
    ) -> anyhow::Result<Self> {
        let (config, seconds) = (self.app().config.clone(), Arc::clone(&self.seconds));
        let folder = self.stop().await;
        between(&config.server.data_dir);
        Self::launch(config, seconds, folder).await
    }

    pub(crate) fn app(&self) -> &Arc<App> {
        self.running.app()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.running.url() + path
    }

    /// Token of the local administrator.
    pub(crate) fn token(&self) -> &str {
        self.running.token()
    }

    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    pub(crate) fn data_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// Moves the server's clock on.
    pub(crate) fn advance(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The root of the account of the first start.
    pub(crate) async fn root(&self) -> OrganizationId {
        let metadata = &self.app().metadata;
        let page = metadata::PageRequest::default();
        for account in metadata.list_accounts(&page).await.unwrap().items {
            let root = metadata
                .find_organization(account.root)
                .await
                .unwrap()
                .unwrap();
            if root.attributes.name == "Default" {
                return root.id;
            }
        }
        panic!("the first start created no account")
    }

    /// The only live organization of a name, in any account.
    pub(crate) async fn called(&self, name: &str) -> OrganizationId {
        let found = self.app().metadata.find_organizations_named(name).await;
        match found.unwrap().as_slice() {
            [only] => *only,
            several => panic!("{} organizations are called {name:?}", several.len()),
        }
    }

    /// Declares an organization under another.
    pub(crate) async fn organization(
        &self,
        name: &str,
        kind: OrganizationKind,
        parent: OrganizationId,
    ) -> OrganizationId {
        let app = self.app();
        let account = app.metadata.find_account_of(parent).await.unwrap().unwrap();
        let mut change = app.metadata.begin_change(app.now()).await.unwrap();
        let new = NewOrganization {
            id: None,
            kind,
            attributes: OrganizationAttributes::named(name),
            aliases: vec![name.to_lowercase()],
            parent: Some((parent, None)),
        };
        let id = change.insert_organization(account.id, new).await.unwrap();
        app.commit(change).await.unwrap();
        id
    }

    /// Declares another account and gives its root.
    pub(crate) async fn account(&self, name: &str) -> OrganizationId {
        let app = self.app();
        let mut change = app.metadata.begin_change(app.now()).await.unwrap();
        let root = NewOrganization {
            id: None,
            kind: OrganizationKind::Production,
            attributes: OrganizationAttributes::named(name),
            aliases: Vec::new(),
            parent: None,
        };
        let account = change
            .insert_account(NewAccount { id: None, root })
            .await
            .unwrap();
        app.commit(change).await.unwrap();
        account.root
    }

    /// Creates an API key and gives its secret.
    pub(crate) async fn key(&self, organization: OrganizationId, role: Role) -> String {
        let secret = format!("tp_{}", random::secret());
        let new = NewKey {
            id: None,
            secret_sha256: sha256(&secret),
            name: format!("{} of the test", role.as_str()),
            organization,
            role,
            expires_at: None,
        };
        let app = self.app();
        app.metadata.insert_key(new, app.now()).await.unwrap();
        app.credentials.forget_all();
        secret
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub(crate) async fn get(&self, key: &str, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).bearer_auth(key)).await
    }

    pub(crate) async fn delete(&self, key: &str, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path).bearer_auth(key)).await
    }

    pub(crate) async fn post(&self, key: &str, path: &str, body: &str) -> Answer {
        self.send(key, path, "application/json", body).await
    }

    /// Posts a body of any media type.
    pub(crate) async fn send(&self, key: &str, path: &str, media: &str, body: &str) -> Answer {
        let request = self.request(Method::POST, path).bearer_auth(key);
        let request = request.header("content-type", media).body(body.to_owned());
        Answer::of(request).await
    }

    pub(crate) async fn patch(&self, key: &str, path: &str, body: &str) -> Answer {
        self.change(Method::PATCH, key, path, body).await
    }

    pub(crate) async fn put(&self, key: &str, path: &str, body: &str) -> Answer {
        self.change(Method::PUT, key, path, body).await
    }

    async fn change(&self, method: Method, key: &str, path: &str, body: &str) -> Answer {
        let request = self.request(method, path).bearer_auth(key);
        let request = request.header("content-type", "application/json");
        Answer::of(request.body(body.to_owned())).await
    }

    /// Name and password of the administrator of the first start.
    pub(crate) fn admin(&self) -> (String, String) {
        let admin = self.running.first_admin().unwrap();
        (admin.user.clone(), admin.password.clone())
    }

    /// Logs in at the v3 door.
    pub(crate) async fn log_in(&self, user: &str, password: &str) -> Answer {
        let body = serde_json::json!({"username": user, "password": password}).to_string();
        let request = self.request(Method::POST, "/saas/public/core/v3/login");
        Answer::of(request.body(body)).await
    }

    /// The session of a user who may log in.
    pub(crate) async fn session(&self, user: &str, password: &str) -> String {
        let answer = self.log_in(user, password).await;
        let session = answer.json()["userInfo"]["sessionId"]
            .as_str()
            .map(str::to_owned);
        session.unwrap_or_else(|| panic!("{}", answer.body))
    }

    /// Sends a request with a session header.
    pub(crate) async fn in_session(
        &self,
        session: &str,
        method: Method,
        path: &str,
        body: &str,
    ) -> Answer {
        let request = self
            .request(method, path)
            .header("INFA-SESSION-ID", session);
        Answer::of(request.body(body.to_owned())).await
    }

    /// Works on export jobs until none is left.
    pub(crate) async fn run_jobs_until_idle(&self) {
        self.app().exports.worker.run_until_idle().await.unwrap();
    }

    pub(crate) async fn stop(self) -> TempDir {
        self.running.stop().await.unwrap();
        self.folder
    }
}

/// An answer, to be looked at or shown.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.unwrap(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Status, media type and body; ids and the test's instants replaced by what they are.
    pub(crate) fn show(&self) -> String {
        let media = self.header("content-type");
        let body = match serde_json::from_str::<serde_json::Value>(&self.body) {
            Ok(json) => serde_json::to_string_pretty(&json).unwrap(),
            Err(_) => self.body.trim_end().to_owned(),
        };
        fold(&redact(
            format!("{} {media}\n{body}", self.status).trim_end(),
        ))
    }
}

/// Breaks long lines at spaces, so that snapshots stay within the page.
pub(crate) fn fold(text: &str) -> String {
    const WIDTH: usize = 84;
    let mut folded = String::new();
    for line in text.lines() {
        let mut rest = line;
        while let Some(end) = rest.get(..WIDTH).and_then(|start| start.rfind(' ')) {
            folded += &format!("{}\n ", &rest[..end]);
            rest = &rest[end..];
        }
        folded += &format!("{rest}\n");
    }
    folded.trim_end().to_owned()
}

/// Replaces every id by `[id]`.
pub(crate) fn redact(text: &str) -> String {
    let word = |character: char| character.is_ascii_alphanumeric();
    let mut shown = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(word) {
        let (before, from) = rest.split_at(start);
        let end = from
            .find(|character| !word(character))
            .unwrap_or(from.len());
        shown.push_str(before);
        shown.push_str(if end == 22 { "[id]" } else { &from[..end] });
        rest = &from[end..];
    }
    shown + rest
}

//! How commands talk to a server: the one that has the data directory open, or one by URL.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Client, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::server_file::ServerFile;

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one request may take in all; verifying reads every byte.
const LOCAL_TIMEOUT: Duration = Duration::from_hours(24);
/// The same for a server by URL.
const REMOTE_TIMEOUT: Duration = Duration::from_mins(10);

/// A running server, as its local administrator or with an API key.
#[derive(Debug)]
pub struct Local {
    client: Client,
    url: String,
    token: String,
    hint: &'static str,
}

impl Local {
    /// Prepares to talk to the server of a `server.json`.
    pub fn new(server: &ServerFile) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().timeout(LOCAL_TIMEOUT);
        Ok(Self {
            client: client.connect_timeout(CONNECT_TIMEOUT).build()?,
            url: server.url.clone(),
            token: server.token.clone(),
            hint: "is server.json left from a crash?",
        })
    }

    /// Prepares to talk to the server at a URL with an API key.
    pub fn remote(url: &str, key: &str) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(REMOTE_TIMEOUT);
        Ok(Self {
            client: client.connect_timeout(CONNECT_TIMEOUT).build()?,
            url: url.trim_end_matches('/').to_owned(),
            token: key.to_owned(),
            hint: "is --url right?",
        })
    }

    /// Posts a body and reads the answer.
    pub async fn post<B: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> anyhow::Result<A> {
        self.send(Method::POST, path, body).await
    }

    /// Sends a body and reads the answer; a refusal becomes an error with what the server says.
    pub async fn send<B: Serialize, A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &B,
    ) -> anyhow::Result<A> {
        let request = self.client.request(method, format!("{}{path}", self.url));
        let answer = request.bearer_auth(&self.token).json(body).send().await;
        let answer =
            answer.with_context(|| format!("no answer from {}: {}", self.url, self.hint))?;
        let status = answer.status();
        let body = answer.text().await?;
        if !status.is_success() {
            let problem: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
            match problem["detail"].as_str() {
                Some(detail) => bail!("{detail}"),
                None => bail!("{} answers {status}: {body}", self.url),
            }
        }
        serde_json::from_str(&body).context("the server's answer is not as expected")
    }
}

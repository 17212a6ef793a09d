//! How commands talk to the server that has the data directory open.

use anyhow::{Context, bail};
use reqwest::{Client, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::server_file::ServerFile;

/// The running server, as its local administrator.
#[derive(Debug)]
pub struct Local {
    client: Client,
    url: String,
    token: String,
}

impl Local {
    /// Prepares to talk to the server of a `server.json`.
    pub fn new(server: &ServerFile) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::builder().no_proxy().build()?,
            url: server.url.clone(),
            token: server.token.clone(),
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
        let answer = answer.with_context(|| {
            format!(
                "no answer from {}: is server.json left from a crash?",
                self.url
            )
        })?;
        let status = answer.status();
        let body = answer.text().await?;
        if !status.is_success() {
            let problem: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
            bail!("{}", problem["detail"].as_str().unwrap_or(&body));
        }
        serde_json::from_str(&body).context("the server's answer is not as expected")
    }
}

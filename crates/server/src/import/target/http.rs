//! A server as the place an import goes to: requests of lines, sent again while it is busy.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::CONFLICT;
use crate::import::{Error, Result, Tally};

/// Characters of an unexpected answer that are told.
const ANSWER_CHARS: usize = 500;
/// Times a request of events is sent while the server is busy.
const ATTEMPTS_MAX: u32 = 10;
/// Time between two of them.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A server's door for events.
pub(crate) struct HttpTarget {
    client: reqwest::Client,
    url: String,
    key: String,
    /// Further headers of each request.
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// The answer to a stream of events.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    counts: Counts,
    not_accepted: Vec<Named>,
}

#[derive(Debug, Deserialize)]
struct Counts {
    received: u64,
    accepted: u64,
    duplicate: u64,
    conflict: u64,
    refused: u64,
}

/// An event of a stream that was not accepted.
#[derive(Debug, Deserialize)]
struct Named {
    index: u64,
    outcome: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

impl HttpTarget {
    /// Sends to the server at `url` with an API key; a local one is reached without any proxy.
    pub(crate) fn new(url: &str, key: &str, local: bool) -> Result<Self> {
        let builder = reqwest::Client::builder();
        let builder = if local { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|source| Error::Unreachable {
            url: url.to_owned(),
            source,
        })?;
        Ok(Self {
            client,
            url: url.trim_end_matches('/').to_owned(),
            key: key.to_owned(),
            headers: Vec::new(),
        })
    }

    /// The server's base, without a trailing slash.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    async fn answer(&self, request: reqwest::RequestBuilder, url: &str) -> Result<(u16, String)> {
        let unreachable = |source| Error::Unreachable {
            url: url.to_owned(),
            source,
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        Ok((status, response.text().await.map_err(unreachable)?))
    }

    /// Sends lines of events; the server answers once the accepted ones are durable.
    pub(super) async fn deliver(&self, body: Vec<u8>) -> Result<Tally> {
        let url = format!("{}/api/v1/events", self.url);
        let body = bytes::Bytes::from(body);
        let mut attempts = 1;
        let (status, body) = loop {
            let (status, body) = self.answer(self.request(&url, body.clone()), &url).await?;
            // Sending again is harmless: what was stored comes back as a duplicate.
            if !matches!(status, 429 | 503) || attempts == ATTEMPTS_MAX {
                break (status, body);
            }
            attempts += 1;
            tokio::time::sleep(RETRY_AFTER).await;
        };
        let answer: Answer = serde_json::from_str(&body).map_err(|_| Error::Answer {
            url,
            status,
            body: body.chars().take(ANSWER_CHARS).collect(),
        })?;
        Ok(answer.into())
    }

    fn request(&self, url: &str, body: bytes::Bytes) -> reqwest::RequestBuilder {
        let mut request = self.client.post(url).bearer_auth(&self.key);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request
            .header("content-type", "application/x-ndjson")
            .header("prefer", "return=representation")
            .body(body)
    }
}

impl From<Answer> for Tally {
    fn from(answer: Answer) -> Self {
        let Counts {
            received,
            accepted,
            duplicate,
            conflict,
            refused,
        } = answer.counts;
        let mut tally = Self {
            received,
            accepted,
            duplicate,
            conflict,
            refused,
            ..Self::default()
        };
        for named in answer.not_accepted {
            if named.outcome != "duplicate" {
                let code = named.code.unwrap_or(named.outcome);
                let message = named.message.unwrap_or_else(|| CONFLICT.to_owned());
                tally.name(named.index + 1, &code, &message);
            }
        }
        tally
    }
}

impl fmt::Debug for HttpTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut http = formatter.debug_struct("HttpTarget");
        http.field("url", &self.url).finish_non_exhaustive()
    }
}

//! A server as the place an import goes to: requests of lines, sent again while it is busy.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::CONFLICT;
use super::retry::{Patience, retry_after};
use crate::api::store::StoreOut;
use crate::clock::Clock;
use crate::import::{Error, PATIENCE, Result, Tally};

/// Characters of an unexpected answer that are told.
const ANSWER_CHARS: usize = 500;
/// Statuses of a server, or of what stands before it, that has no time just now.
const BUSY: [u16; 5] = [408, 429, 502, 503, 504];

/// A server's door for events.
pub(crate) struct HttpTarget {
    client: reqwest::Client,
    url: String,
    key: String,
    /// Further headers of each request.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Whether the server was reached before: a first failure is more likely a wrong URL.
    reached: AtomicBool,
}

/// An answer that says more than to come back.
struct Answered {
    status: u16,
    body: String,
}

/// What came of one attempt.
enum Attempt {
    /// The server answered.
    Answered(Answered),
    /// It may take the same events later.
    Later {
        reason: String,
        asked: Option<Duration>,
    },
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
            reached: AtomicBool::new(false),
        })
    }

    async fn attempt(&self, request: reqwest::RequestBuilder, url: &str) -> Result<Attempt> {
        let request = request.bearer_auth(&self.key);
        let request = self.headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, value)
        });
        match send(request).await {
            Ok(attempt) => {
                self.reached.store(true, Ordering::Relaxed);
                Ok(attempt)
            }
            Err(error) if error.is_connect() && !self.reached.load(Ordering::Relaxed) => {
                let url = url.to_owned();
                Err(Error::Unreachable { url, source: error })
            }
            // It broke off, maybe to answer before it has read everything.
            Err(error) => Ok(Attempt::Later {
                reason: error.to_string(),
                asked: None,
            }),
        }
    }

    /// Asks which store the server keeps, and whose events the key sends.
    pub(super) async fn store(&self) -> Result<StoreOut> {
        let url = format!("{}/api/v1/store", self.url);
        let answer = self.answer(&url, |client| client.get(&url)).await?;
        answer.read(url)
    }

    /// Sends lines of events; the server answers once the accepted ones are durable.
    pub(super) async fn deliver(&self, body: Vec<u8>) -> Result<Tally> {
        let url = format!("{}/api/v1/events", self.url);
        let body = bytes::Bytes::from(body);
        let request = |client: &reqwest::Client| {
            let request = client.post(&url).body(body.clone());
            let request = request.header("content-type", "application/x-ndjson");
            request.header("prefer", "return=representation")
        };
        let answer: Answer = self.answer(&url, request).await?.read(url)?;
        Ok(answer.into())
    }

    /// Sends a request again and again while the server has no time for it.
    async fn answer(
        &self,
        url: &str,
        request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder,
    ) -> Result<Answered> {
        let mut patience = Patience::new();
        loop {
            let attempt = self.attempt(request(&self.client), url);
            let attempt = tokio::time::timeout(patience.left(), attempt).await;
            let (reason, asked) = match attempt {
                Ok(attempt) => match attempt? {
                    Attempt::Answered(answered) => return Ok(answered),
                    Attempt::Later { reason, asked } => (reason, asked),
                },
                Err(_) => ("no answer".to_owned(), None),
            };
            // Sending again is harmless: what was stored comes back as a duplicate.
            let pause = patience.pause(asked);
            if pause >= patience.left() {
                return Err(gave_up(url.to_owned(), reason, asked));
            }
            tracing::warn!(
                "{url}: {reason}; sending again in {:.1} s",
                pause.as_secs_f64()
            );
            tokio::time::sleep(pause).await;
        }
    }
}

impl Answered {
    fn read<T: DeserializeOwned>(self, url: String) -> Result<T> {
        serde_json::from_str(&self.body).map_err(|_| Error::Answer {
            url,
            status: self.status,
            body: beginning(&self.body),
        })
    }
}

async fn send(request: reqwest::RequestBuilder) -> reqwest::Result<Attempt> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let asked = response.headers().get(RETRY_AFTER);
    let asked = asked.and_then(|text| retry_after(text.to_str().ok()?, Clock::system().now()));
    let body = text(response.bytes().await?.into());
    if !BUSY.contains(&status) {
        return Ok(Attempt::Answered(Answered { status, body }));
    }
    let reason = format!("status {status}, {}", beginning(&body));
    Ok(Attempt::Later { reason, asked })
}

/// An answer as text, with `\xNN` for each byte of one that is none.
fn text(body: Vec<u8>) -> String {
    String::from_utf8(body).unwrap_or_else(|error| error.as_bytes().escape_ascii().to_string())
}

fn beginning(body: &str) -> String {
    body.chars().take(ANSWER_CHARS).collect()
}

fn gave_up(url: String, reason: String, asked: Option<Duration>) -> Error {
    match asked.filter(|asked| *asked >= PATIENCE) {
        Some(asked) => Error::MuchLater {
            url,
            asked_s: asked.as_secs(),
            patience_s: PATIENCE.as_secs(),
        },
        None => Error::GaveUp {
            url,
            reason,
            patience_s: PATIENCE.as_secs(),
        },
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

//! Where an import goes: a running server, or the store of a directory nobody else has open.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::event::{Draft, Event, Receipt, Refusal, RefusalCode};
use domain::ids::OrganizationId;
use serde::Deserialize;
use usage::Intake;
use usage::traits::Outcome;

use super::{BATCHES_MAX, Block, Error, REQUESTS_MAX, Result, Tally};
use crate::clock::Clock;

/// Characters of an unexpected answer that are told.
const ANSWER_CHARS: usize = 500;

/// Times a request of events is sent while the server is busy.
const ATTEMPTS_MAX: u32 = 10;
/// Time between two of them.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Why an event conflicts.
const CONFLICT: &str = "another event had the same source and id first and says something else";

/// Finds an organization the import may write for, by id or alias.
pub(crate) type Resolve = Arc<dyn Fn(&str) -> Option<OrganizationId> + Send + Sync>;

/// Where events go.
#[derive(Debug)]
pub(crate) enum Target {
    /// The store, opened by this process.
    Store(StoreTarget),
    /// A server, by HTTP.
    Http(HttpTarget),
}

/// The intake of an open store.
pub(crate) struct StoreTarget {
    /// Decides and stores.
    pub(crate) intake: Arc<dyn Intake>,
    /// Organization whose events these are, as if it owned the credential.
    pub(crate) namespace: OrganizationId,
    /// Finds it and those under it.
    pub(crate) resolve: Resolve,
    /// What time it is.
    pub(crate) clock: Clock,
}

/// A server's door for events.
pub(crate) struct HttpTarget {
    client: reqwest::Client,
    url: String,
    key: String,
    /// Further headers of each request.
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// A block, ready to be delivered.
#[derive(Debug)]
pub(crate) struct Load {
    first: u64,
    records: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Drafts(Vec<Result<Event, Refusal>>),
    Body(Vec<u8>),
}

/// A block whose events all have their outcome.
#[derive(Debug)]
pub(crate) struct Delivered {
    /// Records before it.
    pub(crate) first: u64,
    /// Records inside.
    pub(crate) records: u64,
    /// What became of them; numbers count from the block's start.
    pub(crate) tally: Tally,
}

impl Target {
    /// Tells one place from another.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Store(store) => format!("store {}", store.namespace),
            Self::Http(http) => http.url.clone(),
        }
    }

    /// Blocks that may be on their way at once.
    pub(crate) fn loads_max(&self) -> usize {
        match self {
            Self::Store(_) => BATCHES_MAX,
            Self::Http(_) => REQUESTS_MAX,
        }
    }

    /// Does what can be done on any thread.
    pub(crate) fn load(&self, block: Block) -> Load {
        let (first, records) = (block.first, block.records);
        let content = match self {
            Self::Store(store) => Content::Drafts(store.validate(&block.text)),
            Self::Http(_) => Content::Body(without_blank_lines(block)),
        };
        Load {
            first,
            records,
            content,
        }
    }

    /// Delivers a block; its accepted events are durable when this returns.
    pub(crate) async fn deliver(&self, load: Load) -> Result<Delivered> {
        let tally = match (self, load.content) {
            (_, Content::Body(body)) if body.is_empty() => Tally::default(),
            (_, Content::Drafts(drafts)) if drafts.is_empty() => Tally::default(),
            (Self::Store(store), Content::Drafts(drafts)) => store.deliver(drafts).await?,
            (Self::Http(http), Content::Body(body)) => http.deliver(body).await?,
            _ => return Err(Error::Broken),
        };
        Ok(Delivered {
            first: load.first,
            records: load.records,
            tally,
        })
    }
}

/// The records alone, so that the server counts lines as the file counts records.
fn without_blank_lines(block: Block) -> Vec<u8> {
    let lines = block.text.split(|byte| *byte == b'\n').count() - 1;
    if lines as u64 == block.records {
        return block.text;
    }
    let lines = block.text.split_inclusive(|byte| *byte == b'\n');
    let records = lines.filter(|line| !line.trim_ascii().is_empty());
    records.flatten().copied().collect()
}

impl StoreTarget {
    fn validate(&self, lines: &[u8]) -> Vec<Result<Event, Refusal>> {
        let receipt = Receipt {
            own: self.namespace,
            received: self.clock.now(),
            resolve: self.resolve.as_ref(),
        };
        let lines = lines.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.trim_ascii().is_empty());
        let event = |line| {
            let text = std::str::from_utf8(line).map_err(|error| Refusal {
                code: RefusalCode::MalformedEvent,
                message: format!("the event is not UTF-8: {error}"),
                organization: None,
            })?;
            Draft::parse(text)?.validate(&receipt)
        };
        lines.map(event).collect()
    }

    async fn deliver(&self, drafts: Vec<Result<Event, Refusal>>) -> Result<Tally> {
        let outcomes = self.intake.accept(self.namespace, drafts).await?;
        let mut tally = Tally::default();
        for (place, outcome) in (1..).zip(outcomes) {
            tally.received += 1;
            match outcome {
                Outcome::Accepted { .. } => tally.accepted += 1,
                Outcome::Duplicate { .. } => tally.duplicate += 1,
                Outcome::Conflict { .. } => {
                    tally.conflict += 1;
                    tally.name(place, "conflict", CONFLICT);
                }
                Outcome::Refused(refusal) => {
                    tally.refused += 1;
                    tally.name(place, refusal.code.as_str(), &refusal.message);
                }
            }
        }
        Ok(tally)
    }
}

/// An organization, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Found {
    id: OrganizationId,
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
    /// Sends to the server at `url` with an API key.
    pub(crate) fn new(url: &str, key: &str) -> Self {
        Self {
            client: reqwest::Client::new(),
            url: url.trim_end_matches('/').to_owned(),
            key: key.to_owned(),
            headers: Vec::new(),
        }
    }

    /// The organization a name means to the server.
    pub(crate) async fn find_organization(&self, name: &str) -> Result<OrganizationId> {
        let url = format!("{}/api/v1/organizations/{name}", self.url);
        let request = self.client.get(&url).bearer_auth(&self.key);
        let (status, body) = self.answer(request, &url).await?;
        let found: Found = serde_json::from_str(&body).map_err(|_| Error::Answer {
            url,
            status,
            body: body.chars().take(ANSWER_CHARS).collect(),
        })?;
        Ok(found.id)
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

    async fn deliver(&self, body: Vec<u8>) -> Result<Tally> {
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

impl fmt::Debug for StoreTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut store = formatter.debug_struct("StoreTarget");
        store
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut http = formatter.debug_struct("HttpTarget");
        http.field("url", &self.url).finish_non_exhaustive()
    }
}

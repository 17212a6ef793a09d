//! One try of one message, and what it says about message, webhook and host.

use std::time::Instant;

use domain::webhook::Secret;
use domain::{Timestamp, retry_after};
use jiff::SignedDuration;
use metadata::{Delivery, HostNews, Tried, TryEnd};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER, USER_AGENT};
use reqwest::{Client, StatusCode};

use super::address::Addresses;
use super::chain;
use super::signature::signatures;

/// Pauses before the second and each later try, in seconds; together about a day.
const PAUSES_SECONDS: [i64; 8] = [10, 60, 300, 1_800, 7_200, 14_400, 28_800, 36_000];
/// Part of a pause, in percent, by which tries of different messages are spread.
const SPREAD_PERCENT: i64 = 20;
/// Longest pause a receiver may ask for, in seconds.
const RETRY_AFTER_SECONDS_MAX: i64 = 6 * 3_600;

/// What came back.
enum Answer {
    Status(StatusCode, HeaderMap),
    Nothing(String),
    /// The message cannot be sent, however often it is tried.
    Unsendable(String),
}

/// A try that is about to be made.
pub(super) struct Attempt<'a> {
    pub(super) client: &'a Client,
    pub(super) addresses: &'a Addresses,
    pub(super) delivery: &'a Delivery,
    pub(super) secrets: Vec<Secret>,
}

impl Attempt<'_> {
    /// Posts the message and says what becomes of it; `now` is asked before and after.
    pub(super) async fn make(self, now: impl Fn() -> Timestamp) -> Tried {
        let started = Instant::now();
        let answer = self.post(now()).await;
        let took = u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
        let (status, response_ms) = match &answer {
            Answer::Status(status, _) => (Some(u32::from(status.as_u16())), Some(took)),
            Answer::Nothing(_) => (None, Some(took)),
            Answer::Unsendable(_) => (None, None),
        };
        Tried {
            host: news(&answer),
            end: end(self.delivery, answer, now()),
            status,
            response_ms,
        }
    }

    async fn post(&self, now: Timestamp) -> Answer {
        let message = &self.delivery.message;
        let url = match self.addresses.acceptable(&message.url) {
            Ok(url) => url,
            Err(reason) => return Answer::Unsendable(reason),
        };
        let mut request = self.client.post(url);
        request = request.header(CONTENT_TYPE, &message.content_type);
        request = request.header(USER_AGENT, "Tallyport");
        if !self.secrets.is_empty() {
            let (id, seconds) = (self.delivery.id.as_str(), now.as_second());
            let signatures = signatures(&self.secrets, id, seconds, &message.body);
            request = request.header("webhook-id", id);
            request = request.header("webhook-timestamp", seconds);
            request = request.header("webhook-signature", signatures);
        }
        // The body of the answer is never read: only its status and headers count.
        match request.body(message.body.clone()).send().await {
            Ok(answer) => Answer::Status(answer.status(), answer.headers().clone()),
            Err(error) => Answer::Nothing(chain(&error.without_url())),
        }
    }
}

/// A host that answers is alive, unless it says that it is in trouble.
fn news(answer: &Answer) -> HostNews {
    match answer {
        Answer::Status(status, _) => match status.as_u16() {
            429 | 502 | 503 | 504 => HostNews::Failed,
            _ => HostNews::Alive,
        },
        Answer::Nothing(_) => HostNews::Failed,
        Answer::Unsendable(_) => HostNews::Unknown,
    }
}

fn end(delivery: &Delivery, answer: Answer, now: Timestamp) -> TryEnd {
    let (error, asked) = match answer {
        Answer::Status(status, _) if status.is_success() => return TryEnd::Delivered,
        Answer::Status(status, headers) => {
            let error = format!("the receiver answered {status}");
            if status == StatusCode::GONE {
                return TryEnd::Gone { error };
            }
            (error, asked(&headers, now))
        }
        Answer::Nothing(error) => (error, None),
        Answer::Unsendable(error) => return TryEnd::Failed { error },
    };
    let Some(pause) = pause(delivery) else {
        return TryEnd::Failed { error };
    };
    let pause = pause.max(asked.unwrap_or(SignedDuration::ZERO));
    let at = now.saturating_add(pause).unwrap_or(Timestamp::MAX);
    TryEnd::Again { at, error }
}

/// The pause after a failed try; `None` after the last.
fn pause(delivery: &Delivery) -> Option<SignedDuration> {
    let tried = usize::try_from(delivery.tries()).unwrap_or(usize::MAX);
    let seconds = *PAUSES_SECONDS.get(tried.saturating_sub(1))?;
    let last = delivery.id.as_str().bytes().last().unwrap_or_default();
    let spread = seconds * SPREAD_PERCENT / 100 * i64::from(last % 16) / 16;
    Some(SignedDuration::from_secs(seconds + spread))
}

/// What the receiver asks for, in seconds or as a date, within bounds.
fn asked(headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = i64::try_from(retry_after::seconds(text, now)?).unwrap_or(i64::MAX);
    Some(SignedDuration::from_secs(
        seconds.min(RETRY_AFTER_SECONDS_MAX),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_may_ask_for_time_in_two_forms_and_within_bounds() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let seconds = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            asked(&headers, now).map(|pause| pause.as_secs())
        };
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds("Thu, 01 Jan 2026 00:10:00 GMT"), Some(600));
        assert_eq!(seconds("999999999999999999"), Some(RETRY_AFTER_SECONDS_MAX));
        assert_eq!(seconds("soon"), None);
    }

    #[test]
    fn only_trouble_of_the_host_counts_against_it() {
        let news_of = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            news(&Answer::Status(status, HeaderMap::new()))
        };
        for status in [200, 302, 400, 404, 410, 500] {
            assert_eq!(news_of(status), HostNews::Alive, "{status}");
        }
        for status in [429, 502, 503, 504] {
            assert_eq!(news_of(status), HostNews::Failed, "{status}");
        }
        assert_eq!(news(&Answer::Nothing(String::new())), HostNews::Failed);
    }
}

//! An answer's body on its way out.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body as AxumBody, Bytes};
use hyper::body::{Body, Frame, SizeHint};

use super::activity::{Running, Turn};

/// Bytes of an HTTP/2 answer handed over at once: so small a piece is taken soon by whoever reads.
const PIECE_BYTES_MAX: usize = 16 * 1024;

/// The body of an answer; its request runs until it is given out.
#[derive(Debug)]
pub(super) struct Answer {
    inner: AxumBody,
    running: Running,
    /// Of HTTP/2, where each answer has a flow of its own; otherwise the socket shows who reads.
    flow: Option<Flow>,
}

#[derive(Debug)]
struct Flow {
    turn: Arc<Turn>,
    rest: Bytes,
}

impl Answer {
    pub(super) fn new(inner: AxumBody, running: Running, is_http2: bool) -> Self {
        let flow = is_http2.then(|| Flow {
            turn: running.activity().turn(),
            rest: Bytes::new(),
        });
        Self {
            inner,
            running,
            flow,
        }
    }

    fn set_turn(&self, is_readers: bool) {
        if let Some(flow) = &self.flow {
            self.running.activity().is_readers(&flow.turn, is_readers);
        }
    }

    /// The next piece of what is at hand.
    fn piece(&mut self) -> Option<Bytes> {
        let rest = &mut self.flow.as_mut()?.rest;
        let piece = rest.split_to(rest.len().min(PIECE_BYTES_MAX));
        (!piece.is_empty()).then_some(piece)
    }

    /// Keeps all of a frame but its first piece for later.
    fn cut(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        if self.flow.is_none() {
            return frame;
        }
        match frame.into_data() {
            Ok(data) => {
                if let Some(flow) = &mut self.flow {
                    flow.rest = data;
                }
                Frame::data(self.piece().unwrap_or_default())
            }
            Err(frame) => frame,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let answer = self.get_mut();
        answer.set_turn(false);
        let frame = if let Some(piece) = answer.piece() {
            Poll::Ready(Some(Ok(Frame::data(piece))))
        } else {
            let frame = Pin::new(&mut answer.inner).poll_frame(context);
            frame.map(|frame| Some(frame?.map(|frame| answer.cut(frame))))
        };
        answer.set_turn(matches!(&frame, Poll::Ready(Some(Ok(_)))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        let rest = self.flow.as_ref().is_none_or(|flow| flow.rest.is_empty());
        rest && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.inner.size_hint();
        let rest = self.flow.as_ref().map_or(0, |flow| flow.rest.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::super::activity::{Activity, Patience};
    use super::*;

    const PATIENCE: Patience = Patience {
        idle: Duration::from_mins(1),
        unread: Duration::from_secs(30),
    };

    async fn next(answer: &mut Answer) -> Option<usize> {
        let frame = poll_fn(|context| Pin::new(&mut *answer).poll_frame(context)).await;
        frame.map(|frame| frame.unwrap().into_data().unwrap().len())
    }

    /// What the connection is closed for within some seconds.
    async fn stuck_within(activity: &Activity, seconds: u64) -> Option<&'static str> {
        let stuck = activity.stuck(PATIENCE);
        timeout(Duration::from_secs(seconds), stuck).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn an_http2_answer_that_nobody_reads_ends_its_connection() {
        let activity = Activity::new();
        let body = AxumBody::from(vec![0; 40_000]);
        let mut answer = Answer::new(body, activity.begin(), true);
        for _ in 0..2 {
            assert_eq!(next(&mut answer).await, Some(PIECE_BYTES_MAX));
            assert_eq!(stuck_within(&activity, 25).await, None, "it is read slowly");
        }
        let reason = stuck_within(&activity, 10).await;
        assert_eq!(reason, Some("an answer was not read"));
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_the_server_has_nothing_to_send_does_not_count() {
        let activity = Activity::new();
        let body = AxumBody::from_stream(futures::stream::pending::<Result<Bytes, axum::Error>>());
        let mut answer = Answer::new(body, activity.begin(), true);
        let hour = Duration::from_hours(1);
        let waiting = timeout(hour, next(&mut answer));
        assert!(waiting.await.is_err());
        assert_eq!(stuck_within(&activity, 3_600).await, None);
        drop(answer);
        let reason = stuck_within(&activity, 70).await;
        assert_eq!(reason, Some("it asked nothing"));
    }

    #[tokio::test]
    async fn an_http1_answer_goes_out_in_the_pieces_it_came_in() {
        let activity = Activity::new();
        let body = AxumBody::from(vec![0; 40_000]);
        let mut answer = Answer::new(body, activity.begin(), false);
        assert_eq!(answer.size_hint().exact(), Some(40_000));
        assert_eq!(next(&mut answer).await, Some(40_000));
        assert_eq!(next(&mut answer).await, None);
    }
}

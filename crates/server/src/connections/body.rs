//! A request's body on its way in: it moves, or it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::activity::Activity;
use super::pace::{Pace, Rule};
use crate::config::Limits;
use crate::error::{ApiError, Code};

/// What handlers and the body of their request know of each other; lies in its extensions.
#[derive(Debug)]
pub(crate) struct Reading {
    limits: ReadingLimits,
    may_pause: AtomicBool,
    was_slow: AtomicBool,
}

/// How long a body may take, and what it is refused with.
#[derive(Debug, Clone, Copy)]
struct ReadingLimits {
    flow: Rule,
    pause: Rule,
}

/// The body moved too little while it was waited for.
#[derive(Debug, thiserror::Error)]
#[error("the body came too slowly")]
struct TooSlow;

impl Reading {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            limits: ReadingLimits {
                flow: limits.body_rule(),
                pause: limits.pause_rule(),
            },
            may_pause: AtomicBool::new(false),
            was_slow: AtomicBool::new(false),
        }
    }

    /// Lets the sender pause, as those of streams do: to be called once it is known who sends.
    pub(crate) fn allow_pauses(&self) {
        self.may_pause.store(true, Ordering::Release);
    }

    /// Why the body was read no further, if it was too slow.
    pub(crate) fn refusal(&self) -> Option<ApiError> {
        if !self.was_slow.load(Ordering::Acquire) {
            return None;
        }
        let Rule { window, bytes_min } = self.rule();
        let seconds = window.as_secs();
        let message = if self.may_pause.load(Ordering::Acquire) {
            format!(
                "nothing of the stream came within {seconds} s (limits.stream_pause_s): lines that \
                 came before are stored, and sending all again is harmless"
            )
        } else {
            format!(
                "less than {bytes_min} bytes of the body came within {seconds} s \
                 (limits.slow_bytes_per_s_min, limits.slow_window_s): send it faster"
            )
        };
        Some(ApiError::new(Code::RequestTimeout, message))
    }

    fn rule(&self) -> Rule {
        if self.may_pause.load(Ordering::Acquire) {
            self.limits.pause
        } else {
            self.limits.flow
        }
    }
}

/// A body that ends with an error once it is too slow.
#[derive(Debug)]
pub(super) struct TimedBody {
    inner: Incoming,
    pace: Pace,
    reading: Arc<Reading>,
    activity: Arc<Activity>,
}

impl TimedBody {
    pub(super) fn new(inner: Incoming, reading: Arc<Reading>, activity: Arc<Activity>) -> Self {
        Self {
            pace: Pace::new(reading.rule()),
            inner,
            reading,
            activity,
        }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = self.get_mut();
        if body.reading.was_slow.load(Ordering::Acquire) {
            return Poll::Ready(None);
        }
        body.pace.follow(body.reading.rule());
        if let Poll::Ready(frame) = Pin::new(&mut body.inner).poll_frame(context) {
            if let Some(Ok(frame)) = &frame {
                body.pace.moved(frame.data_ref().map_or(0, Bytes::len));
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)));
        }
        if body.pace.poll_too_slow(context).is_pending() {
            return Poll::Pending;
        }
        body.reading.was_slow.store(true, Ordering::Release);
        body.activity.end();
        Poll::Ready(Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

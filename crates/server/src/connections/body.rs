//! A request's body on its way in: it moves, or it ends.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use axum::body::Bytes;
use domain::ids::OrganizationId;
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use super::activity::Activity;
use super::pace::{Pace, Rule};
use crate::bodies::{Bodies, PARSED_FACTOR, STEP_BYTES, Share};
use crate::config::Limits;
use crate::error::{ApiError, ApiResult, Code};

/// Seconds after which a place that is not reserved may be free.
const RESERVE_RETRY_AFTER_S: u64 = 2;

/// What handlers and the body of their request know of each other; lies in its extensions.
#[derive(Debug)]
pub(crate) struct Reading {
    limits: ReadingLimits,
    /// What a body that comes through a reserved place may take.
    reserved: Option<Reserve>,
    may_pause: AtomicBool,
    /// Bytes of the body that are held at most; 0 when the handler sees to that.
    held_bytes_max: AtomicUsize,
    state: Mutex<State>,
}

/// How far a body is.
#[derive(Debug, Default)]
struct State {
    /// Memory for the body, until the request is answered.
    share: Share,
    /// Whose it is, once that is known.
    owner: Option<OrganizationId>,
    is_over: bool,
    refusal: Option<ApiError>,
}

/// What a body may take at most, however fast it comes.
#[derive(Debug, Clone, Copy)]
struct Reserve {
    time: Duration,
    bytes_max: usize,
}

/// How long a body may take, and what it is refused with.
#[derive(Debug, Clone, Copy)]
struct ReadingLimits {
    flow: Rule,
    pause: Rule,
}

/// The body is read no further; its [`Reading`] knows why.
#[derive(Debug, thiserror::Error)]
#[error("the body is read no further")]
struct BrokenOff;

impl Reading {
    pub(super) fn new(limits: &Limits, is_reserved: bool) -> Self {
        Self {
            limits: ReadingLimits {
                flow: limits.body_rule(),
                pause: limits.pause_rule(),
            },
            reserved: is_reserved.then(|| Reserve {
                time: limits.reserved_patience().0,
                bytes_max: limits.connections_reserved_bytes_max,
            }),
            may_pause: AtomicBool::new(false),
            held_bytes_max: AtomicUsize::new(limits.body_bytes_max),
            state: Mutex::default(),
        }
    }

    /// Says how many bytes of the body are held at most, 0 when the handler itself asks for room.
    pub(crate) fn hold(&self, bytes_max: usize) {
        self.held_bytes_max.store(bytes_max, Ordering::Release);
    }

    /// Says whose body it is, and so whose share of the memory it takes.
    pub(crate) fn belongs_to(&self, owner: Option<OrganizationId>) {
        self.state().owner = owner;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the sender pause, as those of streams do: to be called once it is known who sends.
    pub(crate) fn allow_pauses(&self) {
        self.may_pause.store(true, Ordering::Release);
    }

    /// Why the body was read no further, if the client is not the one who broke it off.
    pub(crate) fn refusal(&self) -> Option<ApiError> {
        self.state().refusal.take()
    }

    fn beyond_reserve(reserve: Reserve) -> ApiError {
        let Reserve { time, bytes_max } = reserve;
        let seconds = time.as_secs();
        let message = format!(
            "as many connections are open as there may be (limits.connections_max), and beyond \
             them a body has {seconds} s (limits.connections_reserved_s) and {bytes_max} bytes \
             (limits.connections_reserved_bytes_max): lines of a stream that came before are \
             stored, and sending all again is harmless"
        );
        ApiError::new(Code::Unavailable, message).retry_after(RESERVE_RETRY_AFTER_S)
    }

    fn too_slow(&self) -> ApiError {
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
        ApiError::new(Code::RequestTimeout, message)
    }

    fn rule(&self) -> Rule {
        if self.may_pause.load(Ordering::Acquire) {
            self.limits.pause
        } else {
            self.limits.flow
        }
    }
}

/// A body that is read as long as there is room for it, and ends with an error once it is too slow.
pub(super) struct TimedBody {
    inner: Incoming,
    pace: Pace,
    reading: Arc<Reading>,
    activity: Arc<Activity>,
    bodies: Arc<Bodies>,
    received: usize,
    room_bytes: usize,
    /// Ends with the time a reserved place is held for a body.
    reserve: Option<Pin<Box<Sleep>>>,
    waiting: Option<BoxFuture<'static, (Share, ApiResult<()>)>>,
}

impl TimedBody {
    pub(super) fn new(
        inner: Incoming,
        reading: Arc<Reading>,
        activity: Arc<Activity>,
        bodies: Arc<Bodies>,
    ) -> Self {
        Self {
            pace: Pace::new(reading.rule()),
            reserve: reading.reserved.map(|one| Box::pin(sleep(one.time))),
            inner,
            reading,
            activity,
            bodies,
            received: 0,
            room_bytes: 0,
            waiting: None,
        }
    }

    /// Waits for room for all of the body, or for its next step when its length is not known.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<ApiResult<()>> {
        let held_max = self.reading.held_bytes_max.load(Ordering::Acquire);
        let rest = self.inner.size_hint().exact();
        let rest = rest.map(|rest| usize::try_from(rest).unwrap_or(usize::MAX));
        let whole = rest.map(|rest| self.received.saturating_add(rest));
        let bytes = whole.unwrap_or(self.received + STEP_BYTES).min(held_max);
        if self.waiting.is_none() {
            if bytes <= self.room_bytes {
                return Poll::Ready(Ok(()));
            }
            self.room_bytes = bytes;
            let (mut share, owner) = {
                let mut state = self.reading.state();
                (std::mem::take(&mut state.share), state.owner)
            };
            let bodies = Arc::clone(&self.bodies);
            let bytes_max = whole.unwrap_or(held_max).min(held_max);
            let grow = async move {
                let pool = bodies.pool(bytes_max);
                let bytes = bytes * PARSED_FACTOR;
                let grown = pool.grow(&mut share, owner, bytes, bodies.wait());
                let grown = grown.await;
                (share, grown)
            };
            self.waiting = Some(grow.boxed());
        }
        let Some(waiting) = &mut self.waiting else {
            return Poll::Ready(Ok(()));
        };
        let (share, grown) = ready!(waiting.poll_unpin(context));
        self.waiting = None;
        self.reading.state().share = share;
        Poll::Ready(grown)
    }

    /// Whether a reserved place is held for longer, or for more bytes, than it may be.
    fn poll_reserve(&mut self, context: &mut Context<'_>) -> Poll<ApiError> {
        let Some(reserve) = self.reading.reserved else {
            return Poll::Pending;
        };
        let timer = self.reserve.as_mut();
        let is_late = timer.is_some_and(|timer| timer.as_mut().poll(context).is_ready());
        if is_late || self.received > reserve.bytes_max {
            return Poll::Ready(Reading::beyond_reserve(reserve));
        }
        Poll::Pending
    }

    /// Reads no further.
    fn end(&self, refusal: ApiError) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut state = self.reading.state();
        state.is_over = true;
        state.refusal = Some(refusal);
        self.activity.end();
        Poll::Ready(Some(Err(BrokenOff.into())))
    }
}

impl std::fmt::Debug for TimedBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("TimedBody");
        debug
            .field("received", &self.received)
            .finish_non_exhaustive()
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
        if body.reading.state().is_over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(refusal) = body.poll_reserve(context) {
            return body.end(refusal);
        }
        if let Err(refusal) = ready!(body.poll_room(context)) {
            return body.end(refusal);
        }
        body.pace.follow(body.reading.rule());
        if let Poll::Ready(frame) = Pin::new(&mut body.inner).poll_frame(context) {
            if let Some(Ok(frame)) = &frame {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                body.received = body.received.saturating_add(bytes);
                body.pace.moved(bytes);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)));
        }
        if body.pace.poll_too_slow(context).is_pending() {
            return Poll::Pending;
        }
        body.end(body.reading.too_slow())
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

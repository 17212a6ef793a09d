//! One budget in bytes for the bodies that are held in memory and for what is parsed from them.
//!
//! It has three parts, so that nobody who holds some of one part waits for more of it behind those
//! who wait for him: small bodies, other bodies, and what was parsed and waits for the writer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::config::Limits;
use crate::error::{ApiError, ApiResult, Code};

/// Bytes of a small body: logins and most requests are such.
pub(crate) const SMALL_BYTES_MAX: usize = 16 * 1024;

/// Bytes reserved at first for a body that does not say how long it is, and ahead of what has come.
pub(crate) const STEP_BYTES: usize = 64 * 1024;

/// Bytes that what is parsed from one byte of a body takes, about. Events as programs send them
/// take one to two.
pub(crate) const PARSED_FACTOR: usize = 2;

/// Bytes that count as one.
const UNIT_BYTES: usize = 1024;

/// Seconds after which there may be room.
const RETRY_AFTER_S: u64 = 1;

/// Bytes for bodies, as `limits.bodies_bytes_max` says.
#[derive(Debug)]
pub struct Bodies {
    /// An eighth, for small bodies: large ones that come slowly do not keep them out.
    pub(crate) small: Pool,
    /// Three eighths, for other bodies.
    pub(crate) large: Pool,
    /// A half, for what is parsed until it is stored.
    pub(crate) parsed: Pool,
    wait: Duration,
}

/// Bytes of one kind.
#[derive(Debug)]
pub(crate) struct Pool {
    free: Arc<Semaphore>,
    units: u32,
}

/// Bytes of a pool, given back when dropped.
#[derive(Debug, Default)]
pub(crate) struct Share {
    permit: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// All of it is free.
    pub(crate) fn new(limits: &Limits) -> Self {
        let eighth = limits.bodies_bytes_max / 8;
        Self {
            small: Pool::new(eighth),
            large: Pool::new(3 * eighth),
            parsed: Pool::new(4 * eighth),
            wait: Duration::from_millis(limits.bodies_wait_ms),
        }
    }

    /// Where a body of at most so many bytes belongs.
    pub(crate) fn pool(&self, bytes_max: usize) -> &Pool {
        if bytes_max <= SMALL_BYTES_MAX {
            &self.small
        } else {
            &self.large
        }
    }

    /// How long a request waits for room.
    pub(crate) fn wait(&self) -> Duration {
        self.wait
    }
}

impl Pool {
    fn new(bytes: usize) -> Self {
        let units = u32::try_from(bytes / UNIT_BYTES).unwrap_or(u32::MAX).max(1);
        let permits = usize::try_from(units).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))),
            units,
        }
    }

    /// Waits for room for `bytes`. Whatever is larger than the pool takes all of it.
    pub(crate) async fn take(&self, bytes: usize, wait: Duration) -> ApiResult<Share> {
        let mut share = Share::default();
        self.grow(&mut share, bytes, wait).await?;
        Ok(share)
    }

    /// Waits until a share has room for `bytes` in all.
    pub(crate) async fn grow(
        &self,
        share: &mut Share,
        bytes: usize,
        wait: Duration,
    ) -> ApiResult<()> {
        let wanted = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let more = wanted.min(self.units).saturating_sub(share.units());
        if more == 0 {
            return Ok(());
        }
        let permit = timeout(wait, Arc::clone(&self.free).acquire_many_owned(more));
        let permit = permit.await.map_err(|_| no_room())?;
        let permit = permit.expect("the semaphore is never closed");
        match &mut share.permit {
            Some(held) => held.merge(permit),
            None => share.permit = Some(permit),
        }
        Ok(())
    }
}

impl Share {
    fn units(&self) -> u32 {
        let units = self
            .permit
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        u32::try_from(units).unwrap_or(u32::MAX)
    }

    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.permit.is_none()
    }
}

fn no_room() -> ApiError {
    let message = "the bodies under way take all the memory there is for them \
                   (limits.bodies_bytes_max): send again later";
    ApiError::new(Code::Unavailable, message).retry_after(RETRY_AFTER_S)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const SHORT: Duration = Duration::from_millis(1);

    fn bodies(bytes_max: usize) -> Bodies {
        let mut limits = Config::load(None, []).unwrap().limits;
        limits.bodies_bytes_max = bytes_max;
        Bodies::new(&limits)
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_fit_waits_and_is_refused_for_now() {
        let large = &bodies(8 << 20).large;
        let held = large.take(2 << 20, SHORT).await.unwrap();
        let refused = large.take(2 << 20, SHORT).await.unwrap_err();
        assert_eq!(refused.code, Code::Unavailable);
        assert_eq!(refused.retry_after_s, Some(RETRY_AFTER_S));
        drop(held);
        large.take(2 << 20, SHORT).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_grows_and_gives_all_back() {
        let large = &bodies(8 << 20).large;
        let mut share = Share::default();
        assert!(share.is_empty());
        for megabytes in 1..=3 {
            large
                .grow(&mut share, megabytes << 20, SHORT)
                .await
                .unwrap();
        }
        large.take(1, SHORT).await.unwrap_err();
        drop(share);
        large.take(3 << 20, SHORT).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_larger_than_the_budget_waits_until_it_is_alone() {
        let large = &bodies(8 << 20).large;
        let held = large.take(1, SHORT).await.unwrap();
        large.take(1 << 30, SHORT).await.unwrap_err();
        drop(held);
        let all = large.take(1 << 30, SHORT).await.unwrap();
        large.take(1, SHORT).await.unwrap_err();
        drop(all);
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_leave_room_for_small_ones() {
        let bodies = bodies(8 << 20);
        let _held = bodies.pool(1 << 30).take(1 << 30, SHORT).await.unwrap();
        bodies.pool(SMALL_BYTES_MAX).take(100, SHORT).await.unwrap();
    }
}

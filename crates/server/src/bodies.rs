//! One budget in bytes for the bodies that are held in memory and for what is parsed from them.
//!
//! It has three parts, so that nobody who holds some of one part waits for more of it behind those
//! who wait for him: small bodies, other bodies, and what was parsed and waits for the writer. Of
//! each part one organization has a share at most, so that the rest is there for others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use domain::ids::OrganizationId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

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
    /// What one organization may take of it.
    organization_units: u32,
    /// What is left to organizations that hold some of it.
    organizations: Mutex<HashMap<OrganizationId, Weak<Semaphore>>>,
}

/// Bytes of a pool, given back when dropped.
#[derive(Debug, Default)]
pub(crate) struct Share {
    permit: Option<OwnedSemaphorePermit>,
    /// The same of what its organization may take.
    own: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// All of it is free.
    pub(crate) fn new(limits: &Limits) -> Self {
        let eighth = limits.bodies_bytes_max / 8;
        let pool = |bytes| Pool::new(bytes, limits.bodies_organization_percent_max);
        Self {
            small: pool(eighth),
            large: pool(3 * eighth),
            parsed: pool(4 * eighth),
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
    fn new(bytes: usize, organization_percent_max: u32) -> Self {
        let units = u32::try_from(bytes / UNIT_BYTES).unwrap_or(u32::MAX).max(1);
        Self {
            free: Arc::new(Semaphore::new(permits(units))),
            units,
            organization_units: percent(units, organization_percent_max),
            organizations: Mutex::default(),
        }
    }

    /// Waits for room for `bytes` of a request of `owner`. Whatever is larger than the pool, or
    /// than what an organization may take of it, takes all of that.
    pub(crate) async fn take(
        &self,
        owner: Option<OrganizationId>,
        bytes: usize,
        wait: Duration,
    ) -> ApiResult<Share> {
        let mut share = Share::default();
        self.grow(&mut share, owner, bytes, wait).await?;
        Ok(share)
    }

    /// Waits until a share has room for `bytes` in all.
    pub(crate) async fn grow(
        &self,
        share: &mut Share,
        owner: Option<OrganizationId>,
        bytes: usize,
        wait: Duration,
    ) -> ApiResult<()> {
        let until = Instant::now() + wait;
        let wanted = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let own = match owner {
            Some(owner) => {
                let most = wanted.min(self.organization_units);
                let left = self.left_to(owner, share.own.as_ref());
                acquire(left, most.saturating_sub(units(share.own.as_ref())), until)
                    .await
                    .map_err(|_| no_room_for_organization())?
            }
            None => None,
        };
        let more = wanted
            .min(self.units)
            .saturating_sub(units(share.permit.as_ref()));
        let permit = acquire(Arc::clone(&self.free), more, until)
            .await
            .map_err(|_| no_room())?;
        merge(&mut share.own, own);
        merge(&mut share.permit, permit);
        Ok(())
    }

    /// What is left to an organization.
    fn left_to(
        &self,
        owner: OrganizationId,
        held: Option<&OwnedSemaphorePermit>,
    ) -> Arc<Semaphore> {
        if let Some(held) = held {
            return Arc::clone(held.semaphore());
        }
        let mut all = self
            .organizations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(left) = all.get(&owner).and_then(Weak::upgrade) {
            return left;
        }
        // Only those that hold something are kept.
        all.retain(|_, left| left.strong_count() > 0);
        let left = Arc::new(Semaphore::new(permits(self.organization_units)));
        all.insert(owner, Arc::downgrade(&left));
        left
    }
}

/// So many units more, or nothing when there are none to take; fails when they do not come.
async fn acquire(
    from: Arc<Semaphore>,
    units: u32,
    until: Instant,
) -> Result<Option<OwnedSemaphorePermit>, Elapsed> {
    if units == 0 {
        return Ok(None);
    }
    let permit = timeout_at(until, from.acquire_many_owned(units)).await?;
    Ok(Some(permit.expect("the semaphore is never closed")))
}

fn merge(held: &mut Option<OwnedSemaphorePermit>, more: Option<OwnedSemaphorePermit>) {
    match (held, more) {
        (_, None) => {}
        (Some(held), Some(more)) => held.merge(more),
        (held @ None, more) => *held = more,
    }
}

fn units(held: Option<&OwnedSemaphorePermit>) -> u32 {
    let units = held.map_or(0, OwnedSemaphorePermit::num_permits);
    u32::try_from(units).unwrap_or(u32::MAX)
}

fn permits(units: u32) -> usize {
    let permits = usize::try_from(units).unwrap_or(Semaphore::MAX_PERMITS);
    permits.min(Semaphore::MAX_PERMITS)
}

/// A part of some units, at least one.
fn percent(units: u32, percent: u32) -> u32 {
    let part = u64::from(units) * u64::from(percent.min(100)) / 100;
    u32::try_from(part).unwrap_or(units).max(1)
}

impl Share {
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

fn no_room_for_organization() -> ApiError {
    let message = "requests of this organization take as much memory as one organization may \
                   (limits.bodies_organization_percent_max of limits.bodies_bytes_max): send again \
                   later";
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
        let held = large.take(None, 2 << 20, SHORT).await.unwrap();
        let refused = large.take(None, 2 << 20, SHORT).await.unwrap_err();
        assert_eq!(refused.code, Code::Unavailable);
        assert_eq!(refused.retry_after_s, Some(RETRY_AFTER_S));
        drop(held);
        large.take(None, 2 << 20, SHORT).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_grows_and_gives_all_back() {
        let large = &bodies(8 << 20).large;
        let mut share = Share::default();
        assert!(share.is_empty());
        for megabytes in 1..=3 {
            large
                .grow(&mut share, None, megabytes << 20, SHORT)
                .await
                .unwrap();
        }
        large.take(None, 1, SHORT).await.unwrap_err();
        drop(share);
        large.take(None, 3 << 20, SHORT).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_larger_than_the_budget_waits_until_it_is_alone() {
        let large = &bodies(8 << 20).large;
        let held = large.take(None, 1, SHORT).await.unwrap();
        large.take(None, 1 << 30, SHORT).await.unwrap_err();
        drop(held);
        let all = large.take(None, 1 << 30, SHORT).await.unwrap();
        large.take(None, 1, SHORT).await.unwrap_err();
        drop(all);
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_leave_room_for_small_ones() {
        let bodies = bodies(8 << 20);
        let _held = bodies
            .pool(1 << 30)
            .take(None, 1 << 30, SHORT)
            .await
            .unwrap();
        bodies
            .pool(SMALL_BYTES_MAX)
            .take(None, 100, SHORT)
            .await
            .unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_organization_leaves_room_for_the_others() {
        let large = &bodies(8 << 20).large;
        let (one, other) = (
            OrganizationId::from_random(1),
            OrganizationId::from_random(2),
        );
        let take = |owner, bytes| large.take(Some(owner), bytes, SHORT);
        // Three quarters of 3 MiB.
        let first = take(one, 2 << 20).await.unwrap();
        let second = take(one, 256 << 10).await.unwrap();
        let refused = take(one, 1).await.unwrap_err();
        assert!(
            refused.message.contains("bodies_organization_percent_max"),
            "{}",
            refused.message
        );
        let third = take(other, 512 << 10).await.unwrap();
        drop((first, second));
        let all = take(one, 1 << 30).await.unwrap_err();
        assert!(
            all.message.contains("limits.bodies_bytes_max"),
            "{}",
            all.message
        );
        drop(third);
        take(one, 1 << 30).await.unwrap();
        let held = large.organizations.lock().unwrap();
        assert!(held.values().all(|left| left.strong_count() == 0));
    }
}

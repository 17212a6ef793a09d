//! How many requests per second one key may make, without a lock.

use std::sync::atomic::{AtomicI64, Ordering};

use domain::Timestamp;

/// Lets `per_second` requests through each second, at most one second's worth at once.
#[derive(Debug, Default)]
pub struct Limiter {
    /// Instant up to which requests are paid for, in nanoseconds since 1970.
    paid_ns: AtomicI64,
}

const SECOND_NS: i64 = 1_000_000_000;

impl Limiter {
    /// Takes one request, or says how many seconds to wait; 0 per second means no limit.
    pub fn take(&self, per_second: u32, now: Timestamp) -> Result<(), u64> {
        if per_second == 0 {
            return Ok(());
        }
        let cost_ns = SECOND_NS / i64::from(per_second);
        let now_ns = i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX);
        let pay = |paid_ns: i64| {
            let next = paid_ns.clamp(now_ns, now_ns.saturating_add(SECOND_NS)) + cost_ns;
            (next <= now_ns.saturating_add(SECOND_NS)).then_some(next)
        };
        let paid = self
            .paid_ns
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay);
        paid.map(|_| ()).map_err(|_| 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lets_its_number_through_and_the_next_one_again() {
        let limiter = Limiter::default();
        let taken = |second: i64| {
            let now = Timestamp::from_second(second).unwrap();
            (0..10).filter(|_| limiter.take(3, now).is_ok()).count()
        };
        assert_eq!([taken(100), taken(101), taken(200)], [3, 3, 3]);
        assert_eq!(
            limiter.take(3, Timestamp::from_second(200).unwrap()),
            Err(1)
        );
        assert_eq!(
            limiter.take(0, Timestamp::from_second(200).unwrap()),
            Ok(())
        );
    }
}

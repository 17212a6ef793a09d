//! Places for connections: how many there are, and how many one address may take.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::login::network;

/// One address takes at most one of so many places.
const SHARES: usize = 4;

/// The places of a server.
#[derive(Debug)]
pub(super) struct Places {
    general: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
    taken: Arc<Mutex<HashMap<IpAddr, Taken>>>,
    per_address_max: Taken,
    /// Proxies, behind which many clients are.
    proxies: Vec<IpAddr>,
}

/// How many places an address has, or may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Taken {
    all: usize,
    reserved: usize,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    is_reserved: bool,
    _share: Option<Share>,
    _permit: OwnedSemaphorePermit,
}

/// What counts against the share of an address.
#[derive(Debug)]
struct Share {
    taken: Arc<Mutex<HashMap<IpAddr, Taken>>>,
    address: IpAddr,
    is_reserved: bool,
}

/// A place that is free, for a connection that has not come yet.
#[derive(Debug)]
pub(super) struct Free {
    permit: OwnedSemaphorePermit,
    is_reserved: bool,
}

impl Place {
    /// Whether it is one of those kept for callers who are known.
    pub(super) fn is_reserved(&self) -> bool {
        self.is_reserved
    }
}

impl Places {
    pub(super) fn new(general: usize, reserved: usize, proxies: &[IpAddr]) -> Self {
        let share = |places: usize| (places / SHARES).max(1);
        Self {
            general: Arc::new(Semaphore::new(general)),
            reserved: Arc::new(Semaphore::new(reserved)),
            taken: Arc::default(),
            per_address_max: Taken {
                all: share(general),
                reserved: share(reserved),
            },
            proxies: proxies.to_vec(),
        }
    }

    /// Waits until a place is free; a general one if there is one.
    pub(super) async fn free(&self) -> Free {
        let (permit, is_reserved) = tokio::select! {
            biased;
            permit = Arc::clone(&self.general).acquire_owned() => (permit, false),
            permit = Arc::clone(&self.reserved).acquire_owned() => (permit, true),
        };
        Free {
            permit: permit.expect("the semaphores are never closed"),
            is_reserved,
        }
    }

    /// Gives a free place to a connection; none to an address that has its share.
    pub(super) fn take(&self, free: Free, peer: IpAddr) -> Option<Place> {
        let Free {
            mut permit,
            mut is_reserved,
        } = free;
        if is_reserved && let Ok(general) = Arc::clone(&self.general).try_acquire_owned() {
            (permit, is_reserved) = (general, false);
        }
        let peer = peer.to_canonical();
        let is_counted = !peer.is_loopback() && !self.proxies.contains(&peer);
        let share = if is_counted {
            Some(self.share(network(peer), is_reserved)?)
        } else {
            None
        };
        Some(Place {
            is_reserved,
            _share: share,
            _permit: permit,
        })
    }

    /// Counts a connection of an address, unless it has its share.
    fn share(&self, address: IpAddr, is_reserved: bool) -> Option<Share> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let has = taken.get(&address).copied().unwrap_or_default();
        let most = self.per_address_max;
        if has.all >= most.all || (is_reserved && has.reserved >= most.reserved) {
            return None;
        }
        let now = Taken {
            all: has.all + 1,
            reserved: has.reserved + usize::from(is_reserved),
        };
        taken.insert(address, now);
        Some(Share {
            taken: Arc::clone(&self.taken),
            address,
            is_reserved,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(has) = taken.get_mut(&self.address) {
            has.all -= 1;
            has.reserved -= usize::from(self.is_reserved);
            if has.all == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(general: usize, reserved: usize) -> Places {
        Places::new(general, reserved, &["192.0.2.200".parse().unwrap()])
    }

    async fn take(places: &Places, peer: &str) -> Option<Place> {
        places.take(places.free().await, peer.parse().unwrap())
    }

    #[tokio::test]
    async fn one_address_takes_a_quarter_of_the_places() {
        let places = places(8, 4);
        let first = take(&places, "192.0.2.1").await.unwrap();
        let _second = take(&places, "::ffff:192.0.2.1").await.unwrap();
        assert!(take(&places, "192.0.2.1").await.is_none());
        assert!(take(&places, "192.0.2.2").await.is_some());
        drop(first);
        assert!(take(&places, "192.0.2.1").await.is_some());
    }

    #[tokio::test]
    async fn an_ipv6_network_is_one_address() {
        let places = places(8, 4);
        let _first = take(&places, "2001:db8::1").await.unwrap();
        let _second = take(&places, "2001:db8::2:3").await.unwrap();
        assert!(take(&places, "2001:db8::4").await.is_none());
        assert!(take(&places, "2001:db8:0:1::1").await.is_some());
    }

    #[tokio::test]
    async fn loopback_and_trusted_proxies_take_what_there_is() {
        let places = places(8, 4);
        let mut held = Vec::new();
        for peer in ["127.0.0.1", "::1", "192.0.2.200", "::ffff:192.0.2.200"] {
            held.push(take(&places, peer).await.unwrap());
            held.push(take(&places, peer).await.unwrap());
        }
        assert!(held.iter().all(|place| !place.is_reserved()));
        held.push(take(&places, "127.0.0.1").await.unwrap());
        assert!(held[8].is_reserved());
    }

    #[tokio::test]
    async fn a_reserved_place_is_given_only_while_no_other_is_free() {
        let places = places(8, 8);
        let mut held = Vec::new();
        for last in 1..=8 {
            held.push(take(&places, &format!("192.0.2.{last}")).await.unwrap());
        }
        let free = places.free().await;
        drop(held.pop());
        let next = places.take(free, "192.0.2.9".parse().unwrap()).unwrap();
        assert!(!next.is_reserved(), "it became free meanwhile");
        let reserved = take(&places, "192.0.2.10").await.unwrap();
        assert!(reserved.is_reserved());
    }

    #[tokio::test]
    async fn one_address_takes_a_quarter_of_the_reserved_places_too() {
        let mut places = places(1, 4);
        places.per_address_max.all = 8;
        let _general = take(&places, "192.0.2.1").await.unwrap();
        let _reserved = take(&places, "192.0.2.1").await.unwrap();
        assert!(take(&places, "192.0.2.1").await.is_none(), "a quarter of 4");
        assert!(take(&places, "192.0.2.3").await.unwrap().is_reserved());
    }
}

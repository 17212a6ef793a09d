//! Which messages are on their way, and which may join them.

use std::collections::{HashMap, HashSet};

use domain::ids::{DeliveryId, OrganizationId};
use metadata::{Due, HOST_FAILURES_MAX};

/// Messages on their way at once.
const FLIGHTS_MAX: usize = 32;
/// Messages of one organization on their way at once: whoever floods leaves room for others.
const ORGANIZATION_FLIGHTS_MAX: usize = 8;
/// Messages to one host on their way at once.
const HOST_FLIGHTS_MAX: usize = 4;

/// Messages on their way, and counts of them; never more entries than flights.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    flights: HashSet<DeliveryId>,
    organizations: HashMap<OrganizationId, usize>,
    hosts: HashMap<String, usize>,
}

impl Traffic {
    /// Whether another message may start.
    pub(super) fn has_room(&self) -> bool {
        self.flights.len() < FLIGHTS_MAX
    }

    /// Takes those of the due that may start now, organizations with little on its way first.
    pub(super) fn choose(&mut self, mut due: Vec<Due>) -> Vec<Due> {
        // The sort is stable: within equals the order of the database stays.
        due.sort_by_key(|one| self.organizations.get(&one.organization).copied());
        due.retain(|one| self.start(one));
        due
    }

    /// A message whose last try is not settled yet does not start again, even if its lease is over.
    fn start(&mut self, due: &Due) -> bool {
        // A host that has failed often is asked by one message whether it is back.
        let host_max = if due.host_failures >= HOST_FAILURES_MAX {
            1
        } else {
            HOST_FLIGHTS_MAX
        };
        let of_host = self.hosts.get(&due.host).copied().unwrap_or(0);
        let of_organization = self.organizations.get(&due.organization).copied();
        let of_organization = of_organization.unwrap_or(0);
        if !self.has_room() || of_host >= host_max || of_organization >= ORGANIZATION_FLIGHTS_MAX {
            return false;
        }
        if !self.flights.insert(due.id) {
            return false;
        }
        self.hosts.insert(due.host.clone(), of_host + 1);
        self.organizations
            .insert(due.organization, of_organization + 1);
        true
    }

    /// Notes that a message is no longer on its way.
    pub(super) fn end(&mut self, due: &Due) {
        if !self.flights.remove(&due.id) {
            return;
        }
        take_one(&mut self.hosts, &due.host);
        take_one(&mut self.organizations, &due.organization);
    }
}

fn take_one<K: Eq + std::hash::Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of its own at every call.
    fn due(organization: u128, host: &str, host_failures: u32) -> Due {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Due {
            id: DeliveryId::from_random(number.into()),
            organization: OrganizationId::from_random(organization),
            host: host.to_owned(),
            host_failures,
        }
    }

    #[test]
    fn a_flood_leaves_room_for_others() {
        let mut traffic = Traffic::default();
        let flood: Vec<_> = (0..100).map(|n| due(1, &format!("host{n}"), 0)).collect();
        assert_eq!(
            traffic.choose(flood.clone()).len(),
            ORGANIZATION_FLIGHTS_MAX
        );
        let (mut late, other) = (flood, due(2, "other", 0));
        late.push(other.clone());
        assert_eq!(traffic.choose(late), [other]);
    }

    #[test]
    fn a_host_gets_few_at_once_and_one_when_it_has_failed() {
        let mut traffic = Traffic::default();
        let many = |failures| (0..9).map(|n| due(n, "host", failures)).collect::<Vec<_>>();
        let chosen = traffic.choose(many(0));
        assert_eq!(chosen.len(), HOST_FLIGHTS_MAX);
        assert!(traffic.choose(many(HOST_FAILURES_MAX)).is_empty());
        for one in &chosen {
            traffic.end(one);
        }
        let probe = traffic.choose(many(HOST_FAILURES_MAX));
        assert_eq!(probe.len(), 1);
        traffic.end(&probe[0]);
        traffic.end(&probe[0]);
        assert!(traffic.hosts.is_empty() && traffic.organizations.is_empty());
    }

    #[test]
    fn a_message_on_its_way_does_not_start_again() {
        let mut traffic = Traffic::default();
        let one = due(1, "host", 0);
        assert_eq!(traffic.choose(vec![one.clone(), one.clone()]).len(), 1);
        assert!(traffic.choose(vec![one.clone()]).is_empty());
        traffic.end(&one);
        assert_eq!(traffic.choose(vec![one]).len(), 1);
    }

    #[test]
    fn there_is_an_end_to_what_is_on_its_way() {
        let mut traffic = Traffic::default();
        let all = (0..99).map(|n| due(n, &format!("host{n}"), 0)).collect();
        assert_eq!(traffic.choose(all).len(), FLIGHTS_MAX);
        assert!(!traffic.has_room());
    }
}

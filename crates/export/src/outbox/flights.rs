//! Messages on their way: each try is a task of its own, which settles its message when it ends.
//!
//! A try may hold the only connection that writes. As a task it goes on whatever the outbox itself
//! waits for, and one that panics gives its place back.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use metadata::Due;
use tokio::task::{Id, JoinError, JoinSet};

use super::traffic::Traffic;
use crate::error::{Error, Result};

/// The tries under way, a bounded number.
#[derive(Debug, Default)]
pub(super) struct Flights {
    traffic: Traffic,
    tries: JoinSet<Result<()>>,
    due: HashMap<Id, Due>,
}

impl Flights {
    /// Whether another message may start.
    pub(super) fn has_room(&self) -> bool {
        self.traffic.has_room()
    }

    /// Reserves places for those of the due that may start now.
    pub(super) fn choose(&mut self, due: Vec<Due>) -> Vec<Due> {
        self.traffic.choose(due)
    }

    /// Gives back the place of a message that was chosen and does not start.
    pub(super) fn give_back(&mut self, due: &Due) {
        self.traffic.end(due);
    }

    /// Starts the try of a chosen message.
    pub(super) fn start(
        &mut self,
        due: Due,
        attempt: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        let task = self.tries.spawn(attempt);
        self.due.insert(task.id(), due);
    }

    /// Waits for the end of one try; `None` when none is under way.
    pub(super) async fn next(&mut self) -> Option<Result<()>> {
        let ended = self.tries.join_next_with_id().await?;
        Some(self.end(ended))
    }

    /// The end of one try that has ended already.
    pub(super) fn ended(&mut self) -> Option<Result<()>> {
        let ended = self.tries.try_join_next_with_id()?;
        Some(self.end(ended))
    }

    /// Waits for every try, then breaks off those that outlast `patience`.
    pub(super) async fn land(mut self, patience: Duration) {
        let all = async { while self.next().await.is_some() {} };
        if tokio::time::timeout(patience, all).await.is_err() {
            let left = self.due.len();
            tracing::warn!("{left} messages are broken off: they are tried again later");
        }
        self.tries.shutdown().await;
    }

    fn end(&mut self, ended: std::result::Result<(Id, Result<()>), JoinError>) -> Result<()> {
        let (task, result) = match ended {
            Ok((task, result)) => (task, result),
            Err(error) => {
                let broken = Error::Internal(format!("a try of a message ended early: {error}"));
                (error.id(), Err(broken))
            }
        };
        if let Some(due) = self.due.remove(&task) {
            self.traffic.end(&due);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::{DeliveryId, OrganizationId};

    use super::*;

    fn due(number: u128) -> Due {
        Due {
            id: DeliveryId::from_random(number),
            organization: OrganizationId::from_random(1),
            host: "host".to_owned(),
            host_failures: 0,
        }
    }

    #[tokio::test]
    async fn a_try_that_panics_gives_its_place_back() {
        let mut flights = Flights::default();
        let waiting: Vec<_> = (0..9).map(due).collect();
        for chosen in flights.choose(waiting.clone()) {
            flights.start(chosen, async { panic!("a defect") });
        }
        assert!(flights.choose(waiting.clone()).is_empty());
        let mut ended = 0;
        while let Some(result) = flights.next().await {
            result.unwrap_err();
            ended += 1;
        }
        assert_eq!(flights.choose(waiting).len(), ended);
    }

    #[tokio::test(start_paused = true)]
    async fn what_outlasts_the_patience_is_broken_off() {
        let mut flights = Flights::default();
        let (held, released) = tokio::sync::oneshot::channel::<()>();
        flights.start(due(0), async move {
            let _held = held;
            std::future::pending().await
        });
        flights.land(Duration::from_secs(1)).await;
        released.await.unwrap_err();
    }
}

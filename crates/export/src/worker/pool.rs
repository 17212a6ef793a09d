//! Workers in the background, until they are told to stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::Worker;
use crate::build::Gauge;
use crate::error::Result;
use crate::outbox::Outbox;
use crate::schedules::Schedules;

/// Time between sweeps for expired artifacts.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);
/// Time a worker waits after its stores failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// Workers that look for jobs by themselves.
#[derive(Debug)]
pub struct Workers {
    wake: Arc<Notify>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Workers {
    /// Starts as many as the worker's options say, on the current runtime.
    pub fn start(worker: &Worker) -> Self {
        let wake = Arc::new(Notify::new());
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for index in 0..worker.options.workers.max(1) {
            let mut worker = worker.clone();
            let options = Arc::make_mut(&mut worker.options);
            options.name = format!("{}/{index}", options.name);
            tasks.spawn(run(worker, index == 0, Arc::clone(&wake), stopped.clone()));
        }
        Self { wake, stop, tasks }
    }

    /// Posts the messages of an outbox as well, until the workers are stopped.
    pub fn deliver(&mut self, outbox: Outbox) {
        self.tasks.spawn(outbox.run(self.stop.subscribe()));
    }

    /// Lets schedules take their turns as well, until the workers are stopped.
    pub fn schedule(&mut self, schedules: Schedules) {
        let (wake, stop) = (self.waker(), self.stop.subscribe());
        self.tasks.spawn(schedules.run(wake, stop));
    }

    /// Tells an idle worker that there is a new job.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// A handle by which others may tell of new jobs: `notify_one` on it wakes an idle worker.
    pub fn waker(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Gives jobs back that are not finished and waits until every worker has ended.
    pub async fn stop(mut self) {
        // Workers that have ended already need no telling.
        let _ = self.stop.send(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn run(worker: Worker, sweeps: bool, wake: Arc<Notify>, mut stop: watch::Receiver<bool>) {
    let mut swept = None::<Instant>;
    while !*stop.borrow() {
        if sweeps && swept.is_none_or(|last| last.elapsed() >= SWEEP_INTERVAL) {
            swept = Some(Instant::now());
            if let Err(error) = worker.sweep().await {
                tracing::warn!(
                    "expired artifacts could not be removed: {}",
                    super::chain(&error)
                );
            }
        }
        let pause = match next(&worker, &mut stop).await {
            Ok(true) => continue,
            Ok(false) => Duration::from_millis(worker.options.poll_ms),
            Err(error) => {
                tracing::warn!("a worker met a failure: {}", super::chain(&error));
                FAILURE_PAUSE
            }
        };
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Works on the next job, if any; a stop gives it back.
async fn next(worker: &Worker, stop: &mut watch::Receiver<bool>) -> Result<bool> {
    let Some(claimed) = worker.claim().await? else {
        return Ok(false);
    };
    let gauge = Arc::new(Gauge::default());
    let work = worker.work(&claimed, &gauge);
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done.map(|()| true),
        _ = stop.wait_for(|stop| *stop) => gauge.stop(),
    }
    work.await.map(|()| true)
}

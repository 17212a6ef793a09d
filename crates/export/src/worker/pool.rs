//! Workers in the background, until they are told to stop.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use metadata::Claimed;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::Worker;
use crate::build::Gauge;
use crate::error::{Error, Result};
use crate::outbox::Outbox;
use crate::schedules::Schedules;
use crate::tasks;

/// Time between sweeps for expired artifacts.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);
/// Time a worker waits after its stores failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);
/// Reads of jobs handed back that may still be ending while the express lane goes on.
const STRAYS_MAX: usize = 4;
/// Time between looks at them.
const STRAYS_PAUSE: Duration = Duration::from_millis(50);

/// Workers that look for jobs by themselves.
#[derive(Debug)]
pub struct Workers {
    wake: Arc<Notify>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// What the workers of a process share.
#[derive(Debug, Clone)]
struct Crew {
    wake: Arc<Notify>,
    /// Ordinary workers without a job.
    idle: Arc<watch::Sender<usize>>,
}

impl Workers {
    /// Starts as many as the worker's options say, on the current runtime; with a budget of time
    /// for it, the express lane too.
    pub fn start(worker: &Worker) -> Self {
        let wake = Arc::new(Notify::new());
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let count = worker.options.workers.max(1);
        let crew = Crew {
            wake: Arc::clone(&wake),
            idle: Arc::new(watch::Sender::new(count)),
        };
        for index in 0..count {
            let worker = named(worker, &index.to_string());
            let (crew, stopped) = (crew.clone(), stopped.clone());
            tasks.spawn(tasks::keep("export worker", ended(&stopped), move || {
                run(worker.clone(), index == 0, crew.clone(), stopped.clone())
            }));
        }
        if worker.options.express_budget_ms > 0 {
            let express = named(&worker.express(), "express");
            tasks.spawn(tasks::keep("express worker", ended(&stopped), move || {
                run_express(express.clone(), crew.clone(), stopped.clone())
            }));
        }
        Self { wake, stop, tasks }
    }

    /// Posts the messages of an outbox as well, until the workers are stopped.
    pub fn deliver(&mut self, outbox: Outbox) {
        let stop = self.stop.subscribe();
        self.tasks
            .spawn(tasks::keep("outbox", ended(&stop), move || {
                outbox.clone().run(stop.clone())
            }));
    }

    /// Lets schedules take their turns as well, until the workers are stopped.
    pub fn schedule(&mut self, schedules: Schedules) {
        let (wake, stop) = (self.waker(), self.stop.subscribe());
        self.tasks
            .spawn(tasks::keep("schedules", ended(&stop), move || {
                schedules.clone().run(Arc::clone(&wake), stop.clone())
            }));
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

/// Ends when the workers are told to stop.
fn ended(stop: &watch::Receiver<bool>) -> impl Future<Output = ()> + use<> {
    let mut stop = stop.clone();
    // Without a sender there is nobody left to work for.
    async move { drop(stop.wait_for(|stop| *stop).await) }
}

/// An ordinary worker's place among those without a job; a worker that panics is without one again.
struct Seat {
    crew: Crew,
    is_idle: bool,
}

impl Seat {
    /// Notes that the worker has a job now, or none.
    fn note(&mut self, is_idle: bool) {
        match (std::mem::replace(&mut self.is_idle, is_idle), is_idle) {
            (true, false) => self.crew.idle.send_modify(|idle| *idle -= 1),
            (false, true) => self.crew.idle.send_modify(|idle| *idle += 1),
            _ => {}
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.note(true);
    }
}

fn named(worker: &Worker, name: &str) -> Worker {
    let mut worker = worker.clone();
    let options = Arc::make_mut(&mut worker.options);
    options.name = format!("{}/{name}", options.name);
    worker
}

async fn run(worker: Worker, sweeps: bool, crew: Crew, mut stop: watch::Receiver<bool>) {
    let mut swept = None::<Instant>;
    let mut seat = Seat {
        crew,
        is_idle: true,
    };
    while !*stop.borrow() {
        if sweeps && swept.is_none_or(|last| last.elapsed() >= SWEEP_INTERVAL) {
            swept = Some(Instant::now());
            if let Err(error) = worker.sweep().await {
                let chain = super::chain(&error);
                tracing::warn!("expired artifacts could not be removed: {chain}");
            }
        }
        let pause = match worker.claim().await {
            Ok(Some(claimed)) => {
                seat.note(false);
                match work(&worker, &claimed, &Arc::default(), &mut stop).await {
                    Ok(()) => continue,
                    Err(error) => failure(&error),
                }
            }
            Ok(None) => {
                seat.note(true);
                Duration::from_millis(worker.options.poll_ms)
            }
            Err(error) => failure(&error),
        };
        tokio::select! {
            () = seat.crew.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
            _ = stop.changed() => {}
        }
    }
}

/// The express lane: works only while every ordinary worker has a job, as these take their time.
async fn run_express(worker: Worker, crew: Crew, mut stop: watch::Receiver<bool>) {
    let mut idle = crew.idle.subscribe();
    let mut strays: Vec<Weak<Gauge>> = Vec::new();
    while !*stop.borrow() {
        if *idle.borrow_and_update() > 0 {
            tokio::select! {
                _ = idle.changed() => {}
                _ = stop.changed() => {}
            }
            continue;
        }
        let pause = match take(&worker, &mut strays, &mut stop).await {
            Ok(true) => {
                // What was handed back may be taken by somebody who has become idle.
                crew.wake.notify_one();
                continue;
            }
            Ok(false) if strays.len() >= STRAYS_MAX => STRAYS_PAUSE,
            Ok(false) => Duration::from_millis(worker.options.poll_ms),
            Err(error) => failure(&error),
        };
        tokio::select! {
            () = crew.wake.notified() => {
                if *idle.borrow() > 0 {
                    crew.wake.notify_one();
                }
            }
            () = tokio::time::sleep(pause) => {}
            _ = idle.changed() => {}
            _ = stop.changed() => {}
        }
    }
}

/// Works on the next job of the express lane, unless reads of earlier ones have yet to end.
async fn take(
    worker: &Worker,
    strays: &mut Vec<Weak<Gauge>>,
    stop: &mut watch::Receiver<bool>,
) -> Result<bool> {
    strays.retain(|stray| stray.strong_count() > 0);
    if strays.len() >= STRAYS_MAX {
        return Ok(false);
    }
    let Some(claimed) = worker.claim().await? else {
        return Ok(false);
    };
    let gauge = Arc::new(Gauge::default());
    strays.push(Arc::downgrade(&gauge));
    work(worker, &claimed, &gauge, stop).await.map(|()| true)
}

/// Works on a job to its end; a stop gives it back.
async fn work(
    worker: &Worker,
    claimed: &Claimed,
    gauge: &Arc<Gauge>,
    stop: &mut watch::Receiver<bool>,
) -> Result<()> {
    let work = worker.work(claimed, gauge);
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        _ = stop.wait_for(|stop| *stop) => gauge.stop(),
    }
    work.await
}

/// Tells of a failure, and how long to wait after it.
fn failure(error: &Error) -> Duration {
    tracing::warn!("a worker met a failure: {}", super::chain(error));
    FAILURE_PAUSE
}

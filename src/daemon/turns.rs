//! Daemons of one fleet take turns: one of them schedules, the others stand by.
//!
//! In: leases, orders, what a scheduler is made of. Out: a scheduler for as long as it is this daemon's turn.
//! Always holds: what a scheduler puts down is refused once the turn is another's; who stands by writes nothing but what it was asked for, which whoever
//! schedules finds in the store. A daemon that is no fleet's has its turn from its start to its end.
//! Deliberately absent: who delivers (`pipeline`); whose run a job is ([`crate::pipeline::Runner`] asks for a lease of its own).

use super::door::{Order, Refused};
use super::scheduler::{Scheduler, Seat};
use super::work::Runs;
use crate::clock::Clock;
use crate::job::spec::Job;
use crate::lease::{Kept, Leases, Turn};
use crate::metrics::Metrics;
use crate::pipeline::Runner;
use crate::store::{FireCause, FireRecord, FireState, FireStore, StoreError};
use chrono::{SubsecRound as _, TimeDelta};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, watch};

/// The fleet that a daemon is of.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// Its name.
    pub name: String,
    /// The way to its lease.
    pub leases: Leases,
    /// In the home folder, which is this daemon's alone: see [`Leases::take_from`].
    pub note: PathBuf,
}

/// What a scheduler is made of.
pub struct Turns {
    /// `None`: the daemon is no fleet's.
    pub fleet: Option<Fleet>,
    /// Where fires are.
    pub store: Arc<dyn FireStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What runs are done by.
    pub runner: Runner,
    /// Runs that are on together at most.
    pub at_once: usize,
    /// This daemon.
    pub holder: String,
    /// What is counted.
    pub metrics: Arc<dyn Metrics>,
    /// Rung at the end of each run.
    pub bell: Arc<Notify>,
    /// Has this daemon's turn while it lasts: for what is done beside the runs by whoever schedules.
    pub turn: watch::Sender<Option<Turn>>,
}

impl std::fmt::Debug for Turns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turns").field("fleet", &self.fleet).finish_non_exhaustive()
    }
}

impl Turns {
    /// The first scheduler of a daemon that is no fleet's: `None` for any other, which waits for its turn.
    ///
    /// # Errors
    /// A store that cannot be read or written.
    pub async fn first(
        &self,
        jobs: &[Arc<Job>],
        stopping: &watch::Receiver<bool>,
    ) -> Result<Option<Scheduler>, StoreError> {
        if self.fleet.is_some() {
            return Ok(None);
        }
        self.metrics.schedules(!jobs.is_empty());
        self.scheduler(Arc::clone(&self.store), jobs.to_vec(), stopping.clone()).await.map(Some)
    }

    /// Schedules, or stands by, until it is told to stop. `first`: that of [`first`](Self::first).
    pub async fn run(
        &self,
        first: Option<Scheduler>,
        mut jobs: Vec<Arc<Job>>,
        mut orders: mpsc::Receiver<Order>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let Some(fleet) = &self.fleet else {
            if let Some(scheduler) = first {
                scheduler.run(stopping, &mut orders).await;
            }
            return;
        };
        let mut told = None;
        while !*stopping.borrow() {
            // One that has no jobs schedules none, and leaves it to others.
            if !jobs.is_empty() {
                match self.ask(fleet, &mut told).await {
                    Some(kept) => {
                        jobs = self.turn(fleet, kept, jobs, &mut orders, &stopping).await;
                        told = None;
                    }
                    None => self.metrics.schedules(false),
                }
            }
            tokio::select! {
                () = tokio::time::sleep(fleet.leases.between_asks()) => {}
                _ = stopping.changed() => {}
                Some(order) = orders.recv() => self.obey(order, &mut jobs).await,
            }
        }
    }

    /// Asks for the turn. `told`: whose it was by the last answer, which is said once.
    async fn ask(&self, fleet: &Fleet, told: &mut Option<String>) -> Option<Kept> {
        let (name, what) = (format!("schedules/{}", fleet.name), format!("process {}", std::process::id()));
        let said = match fleet.leases.take_from(&fleet.note, &name, &what).await {
            Ok(Ok(kept)) => return Some(kept),
            Ok(Err(other)) => format!("{} on {}", other.what, other.holder),
            Err(error) => {
                tracing::error!(event = "schedule_store_failed", %error, "schedules: the state store fails; whose turn it is cannot be asked");
                return None;
            }
        };
        if told.as_ref() != Some(&said) {
            tracing::info!(
                event = "standing_by",
                fleet = fleet.name,
                holder = said,
                "schedules: another daemon of the fleet schedules; this one stands by"
            );
            *told = Some(said);
        }
        None
    }

    async fn turn(
        &self,
        fleet: &Fleet,
        kept: Kept,
        jobs: Vec<Arc<Job>>,
        orders: &mut mpsc::Receiver<Order>,
        stopping: &watch::Receiver<bool>,
    ) -> Vec<Arc<Job>> {
        tracing::info!(
            event = "scheduling",
            fleet = fleet.name,
            epoch = kept.fence().epoch,
            "schedules: this daemon schedules"
        );
        self.metrics.schedules(true);
        self.turn.send_replace(Some(Turn::under(&fleet.leases, &kept)));
        let (end, ending) = watch::channel(false);
        let fenced = fleet.leases.fenced(std::slice::from_ref(kept.fence())) as Arc<dyn FireStore>;
        let jobs = match self.scheduler(fenced, jobs.clone(), ending.clone()).await {
            Ok(scheduler) => {
                let mut stopping = stopping.clone();
                let over = async {
                    tokio::select! {
                        () = kept.tenure().lost() => {}
                        _ = stopping.wait_for(|stop| *stop) => {}
                    }
                    let _ = end.send(true);
                };
                tokio::join!(scheduler.run(ending, orders), over).0
            }
            Err(error) => {
                tracing::error!(event = "schedule_store_failed", %error, "schedules: the state store fails; the turn is given back");
                jobs
            }
        };
        self.turn.send_replace(None);
        self.metrics.schedules(false);
        kept.end().await;
        jobs
    }

    async fn scheduler(
        &self,
        store: Arc<dyn FireStore>,
        jobs: Vec<Arc<Job>>,
        stop: watch::Receiver<bool>,
    ) -> Result<Scheduler, StoreError> {
        let work =
            Arc::new(Runs::new(Runner { stop, ..self.runner.clone() }, self.at_once).with_bell(Arc::clone(&self.bell)));
        let seat = Seat { holder: self.holder.clone(), is_shared: self.fleet.is_some() };
        let scheduler = Scheduler::new(jobs, store, Arc::clone(&self.clock), work, seat).await?;
        Ok(scheduler.with_metrics(Arc::clone(&self.metrics)))
    }

    /// What is asked for while this daemon stands by.
    async fn obey(&self, order: Order, jobs: &mut Vec<Arc<Job>>) {
        match order {
            Order::Run { job, answer } => {
                let told = match jobs.iter().find(|known| known.name == job) {
                    Some(job) => self.leave(job).await,
                    None => Err(Refused::Unknown),
                };
                let _ = answer.send(told);
            }
            Order::Replace { jobs: others, answer } => {
                *jobs = others;
                let _ = answer.send(Ok(()));
            }
        }
    }

    /// Leaves a fire in the store, for whoever schedules.
    async fn leave(&self, job: &Job) -> Result<FireRecord, Refused> {
        let open = self.store.open_fires().await?;
        let mut open = open.into_iter().filter(|fire| fire.job == job.name).collect::<Vec<_>>();
        if let Some(at) = open.iter().position(|fire| fire.state == FireState::Waiting) {
            return Ok(open.swap_remove(at));
        }
        if let Some(running) = open.first().filter(|_| !job.schedule.as_ref().is_some_and(|schedule| schedule.queues)) {
            return Err(Refused::Running { since: running.claimed_at });
        }
        let now = self.clock.now().trunc_subsecs(6);
        let mut fire = FireRecord {
            job: job.name.clone(),
            due: now,
            state: FireState::Waiting,
            holder: self.holder.clone(),
            claimed_at: now,
            ended_at: None,
            collapsed: 0,
            reason: None,
            cause: FireCause::Request,
            origin: None,
            seen: None,
        };
        while !self.store.claim_fire(&fire).await? {
            fire.due += TimeDelta::microseconds(1);
        }
        tracing::info!(event = "run_asked", job = job.name, due = %fire.due, state = fire.state.as_str(), "schedules: a run was asked for; whoever schedules begins it");
        Ok(fire)
    }
}

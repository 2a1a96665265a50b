//! Looks again and again at all jobs, and tells the channels what is new and what is over.

use super::channel::Channel;
use super::condition::{self, Condition, Kind, NextFire, Seen};
use super::line::Line;
use super::message::{self, Message};
use crate::clock::Clock;
use crate::job::problem::Problem;
use crate::job::spec::Job;
use crate::lease::Turn;
use crate::metrics::Metrics;
use crate::store::{AlertRecord, FireState, StateStore, StoreError};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Between two looks, unless the bell rings.
const LOOK: Duration = Duration::from_secs(30);
/// Runs and fires of a job that are looked at.
const RECENT: u32 = 100;

/// The jobs as they are now.
#[derive(Debug, Default)]
pub struct Jobs {
    /// Those that run, be it in the version before the last change of their files.
    pub sound: Vec<Arc<Job>>,
    /// Those whose files have mistakes, and which.
    pub faulty: Vec<(String, String)>,
}

impl Jobs {
    /// Of what was read. What a job is called cannot be known where its file has mistakes; so it goes by the file.
    pub fn new(sound: Vec<Job>, problems: &[Problem]) -> Self {
        let mut by_file: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for problem in problems {
            let job = problem
                .file
                .file_stem()
                .map_or_else(|| problem.file.display().to_string(), |stem| stem.to_string_lossy().into_owned());
            by_file.entry(job).or_default().push(problem.to_string());
        }
        let faulty = by_file.into_iter().map(|(job, problems)| (job, problems.join("; "))).collect();
        Jobs { sound: sound.into_iter().map(Arc::new).collect(), faulty }
    }
}

/// What is looked at, and who is told.
pub struct Watch {
    store: Arc<dyn StateStore>,
    clock: Arc<dyn Clock>,
    lines: Vec<Line>,
    jobs: Arc<dyn Fn() -> Jobs + Send + Sync>,
    no_success_for: Option<Duration>,
    next_fire: Option<Arc<NextFire>>,
    since: DateTime<Utc>,
    place: String,
    bell: Arc<Notify>,
    turn: watch::Receiver<Option<Turn>>,
    metrics: Arc<dyn Metrics>,
}

impl Watch {
    /// `jobs`: asked at each look, on a thread where it may block. A job that has never been through is waited for from now on.
    pub fn new(
        store: Arc<dyn StateStore>,
        clock: Arc<dyn Clock>,
        channels: Vec<Box<dyn Channel>>,
        jobs: Arc<dyn Fn() -> Jobs + Send + Sync>,
    ) -> Self {
        let (lines, since) = (channels.into_iter().map(Line::new).collect(), clock.now());
        let (bell, metrics, place) = (Arc::default(), Arc::new(()), String::new());
        let turn = watch::Sender::new(Some(Turn::alone(Arc::clone(&store)))).subscribe();
        Watch { store, clock, lines, jobs, no_success_for: None, next_fire: None, since, place, bell, turn, metrics }
    }

    /// Which daemon this is; one that comes after it in its place has the same. Jobs that are gone are its own.
    #[must_use]
    pub fn at(self, place: String) -> Self {
        Watch { place, ..self }
    }

    /// Scheduled jobs that have no such time of their own are to go through once in `limit`, or once by the first fire after it: `next_fire`.
    #[must_use]
    pub fn with_limit(self, limit: Option<Duration>, next_fire: Arc<NextFire>) -> Self {
        Watch { no_success_for: limit, next_fire: Some(next_fire), ..self }
    }

    /// Looks at once when the bell rings.
    #[must_use]
    pub fn with_bell(self, bell: Arc<Notify>) -> Self {
        Watch { bell, ..self }
    }

    /// Looks only while it has this turn, at once when it comes, and writes under it: of several daemons over one store one tells.
    #[must_use]
    pub fn in_turn(self, turn: watch::Receiver<Option<Turn>>) -> Self {
        Watch { turn, ..self }
    }

    /// Counts what is told.
    #[must_use]
    pub fn with_metrics(self, metrics: Arc<dyn Metrics>) -> Self {
        Watch { metrics, ..self }
    }

    /// What is wrong now. Tells nobody.
    ///
    /// # Errors
    /// A state store that cannot be read.
    pub async fn wrong(&self) -> Result<Vec<Condition>, StoreError> {
        self.conditions(&(self.jobs)(), self.clock.now()).await
    }

    /// Looks every half minute until it is told to stop. What is being sent then is ended; the rest waits for the next start.
    pub async fn run(self, mut stopping: watch::Receiver<bool>) {
        let (stop, mut turn) = (stopping.clone(), self.turn.clone());
        while !*stopping.borrow() {
            turn.borrow_and_update();
            match self.look(&stop).await {
                // Whose turn it is by now tells the rest.
                Ok(()) | Err(StoreError::LeaseLost(_)) => {}
                Err(error) => {
                    tracing::error!(event = "alert_store_failed", %error, "alerts: the state store fails; they wait for it");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.bell.notified() => {}
                Ok(()) = turn.changed() => {}
                _ = stopping.changed() => {}
            }
        }
    }

    /// Finds what is wrong, and tells what has changed since the last look, if it is this daemon's turn. `stop`: nothing more is told once it says so.
    ///
    /// # Errors
    /// A state store that cannot be read or written; what was told is remembered. It is another's turn by now.
    pub async fn look(&self, stop: &watch::Receiver<bool>) -> Result<(), StoreError> {
        let turn = self.turn.borrow().clone();
        let Some(turn) = turn else { return Ok(()) };
        let now = self.clock.now();
        let read = Arc::clone(&self.jobs);
        // What panics there has said so; the next look asks again.
        let Ok(jobs) = tokio::task::spawn_blocking(move || read()).await else { return Ok(()) };
        let mut wrong: BTreeMap<(String, &'static str), Condition> = BTreeMap::new();
        for condition in self.conditions(&jobs, now).await? {
            wrong.insert((condition.job.clone(), condition.kind.as_str()), condition);
        }
        for alert in turn.store().alerts().await? {
            let same = wrong.keys().find(|(job, kind)| *job == alert.job && *kind == alert.kind).cloned();
            let condition = same.and_then(|key| wrong.remove(&key));
            if *stop.borrow() {
                return Ok(());
            }
            match condition {
                // Another one of the same kind is told anew.
                Some(condition) if condition.about != alert.about || alert.ended_at.is_some() => {
                    self.raise(&turn, &condition, now).await?;
                }
                Some(condition) => _ = self.tell(&turn, alert, &message::raised(&condition), now).await?,
                // Nothing is known of a job whose file cannot be read, or which is another daemon's.
                None if !self.knows(&jobs, &alert) => {}
                None => self.end(&turn, alert, &jobs, now).await?,
            }
        }
        for condition in wrong.into_values() {
            if *stop.borrow() {
                return Ok(());
            }
            self.raise(&turn, &condition, now).await?;
        }
        Ok(())
    }

    async fn conditions(&self, jobs: &Jobs, now: DateTime<Utc>) -> Result<Vec<Condition>, StoreError> {
        let mut found: Vec<Condition> =
            jobs.faulty.iter().map(|(job, problems)| condition::faulty(job, problems)).collect();
        for job in &jobs.sound {
            let runs = self.store.runs(Some(&job.name), RECENT).await?;
            let fires = self.store.fires(Some(&job.name), RECENT).await?;
            let refusals = self.store.refusals(Some(&job.name)).await?;
            let after = job.destination.dead_letter_after;
            let destination = self.store.destination(&job.name).await?.filter(|record| !record.is_over(now));
            let own = job.alerts.no_success_for;
            found.extend(condition::conditions(&Seen {
                job,
                runs: &runs,
                fire: fires.iter().find(|fire| !matches!(fire.state, FireState::Running | FireState::Waiting)),
                destination: destination.as_ref(),
                dead_letters: refusals.iter().filter(|refusal| !refusal.dropped && refusal.is_given_up(after)).count()
                    as u64,
                watched_since: self.since,
                no_success_for: own.or(self.no_success_for.filter(|_| job.schedule.is_some())),
                next_fire: self.next_fire.as_deref().filter(|_| own.is_none()),
                now,
            }));
        }
        Ok(found)
    }

    /// Whether what is found here of the alert's job is all that there is to find.
    fn knows(&self, jobs: &Jobs, alert: &AlertRecord) -> bool {
        let is_mine = alert.place == self.place;
        if alert.kind == Kind::Faulty.as_str() {
            return is_mine;
        }
        jobs.sound.iter().any(|job| job.name == alert.job) || is_mine && jobs.faulty.is_empty()
    }

    async fn raise(&self, turn: &Turn, condition: &Condition, now: DateTime<Utc>) -> Result<(), StoreError> {
        let alert = AlertRecord {
            job: condition.job.clone(),
            kind: condition.kind.as_str().to_owned(),
            about: condition.about.clone(),
            place: self.place.clone(),
            since: now,
            ended_at: None,
            told: Vec::new(),
        };
        // First, so that a daemon that is killed now tells it after its next start.
        turn.store().put_alert(&alert).await?;
        self.metrics.alerted(condition.kind.as_str());
        tracing::error!(
            event = "alert_raised",
            job = alert.job,
            kind = alert.kind,
            what = condition.what,
            "alerts: raised"
        );
        failpoint!("alert.raised");
        self.tell(turn, alert, &message::raised(condition), now).await.map(drop)
    }

    async fn end(
        &self,
        turn: &Turn,
        mut alert: AlertRecord,
        jobs: &Jobs,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        if alert.ended_at.is_none() {
            // Whoever has not heard of it need not hear that it is over.
            let knew = std::mem::take(&mut alert.told);
            alert.told =
                self.lines.iter().map(|line| line.name().to_owned()).filter(|name| !knew.contains(name)).collect();
            alert.ended_at = Some(now);
            turn.store().put_alert(&alert).await?;
            tracing::warn!(event = "alert_ended", job = alert.job, kind = alert.kind, "alerts: right again");
            failpoint!("alert.ended");
        }
        let is_gone = !jobs.sound.iter().any(|job| job.name == alert.job);
        let message = message::over(&alert, alert.ended_at.unwrap_or(now), is_gone);
        let (job, kind) = (alert.job.clone(), alert.kind.clone());
        match self.tell(turn, alert, &message, now).await? {
            true => turn.store().forget_alert(&job, &kind).await,
            false => Ok(()),
        }
    }

    /// Whether all channels know by now.
    async fn tell(
        &self,
        turn: &Turn,
        mut alert: AlertRecord,
        message: &Message,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut all = true;
        for line in &self.lines {
            if alert.told.iter().any(|told| told == line.name()) {
                continue;
            }
            // Whose turn it is now tells what is not put down as told.
            let Some(is_taken) = turn.within(line.send(&alert, message, now, &*self.metrics)).await else {
                return Ok(false);
            };
            if !is_taken {
                all = false;
                continue;
            }
            failpoint!("alert.sent");
            alert.told.push(line.name().to_owned());
            turn.store().put_alert(&alert).await?;
        }
        Ok(all)
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

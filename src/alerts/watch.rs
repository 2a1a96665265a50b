//! Looks again and again at all jobs, and tells the channels what is new and what is over.

use super::channel::Channel;
use super::condition::{self, Condition, Seen};
use super::message::{self, Message};
use crate::clock::Clock;
use crate::job::problem::Problem;
use crate::job::spec::Job;
use crate::store::{AlertRecord, FireState, StateStore, StoreError};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(30);
/// Runs and fires of a job that are looked at.
const RECENT: u32 = 100;

/// The jobs as they are now, and what is wrong with the files of others.
pub type Jobs = Box<dyn Fn() -> (Vec<Job>, Vec<Problem>) + Send + Sync>;

/// What is looked at, and who is told.
pub struct Watch {
    store: Arc<dyn StateStore>,
    clock: Arc<dyn Clock>,
    channels: Vec<Box<dyn Channel>>,
    jobs: Jobs,
    no_success_for: Option<Duration>,
    since: DateTime<Utc>,
}

impl Watch {
    /// `no_success_for`: of jobs that have none of their own. A job that has never been through is waited for from now on.
    pub fn new(
        store: Arc<dyn StateStore>,
        clock: Arc<dyn Clock>,
        channels: Vec<Box<dyn Channel>>,
        jobs: Jobs,
        no_success_for: Option<Duration>,
    ) -> Self {
        let since = clock.now();
        Watch { store, clock, channels, jobs, no_success_for, since }
    }

    /// Looks every half minute until it is told to stop.
    pub async fn run(self, mut stopping: watch::Receiver<bool>) {
        while !*stopping.borrow() {
            if let Err(error) = self.look().await {
                tracing::error!(event = "alert_store_failed", %error, "alerts: the state store fails; they wait for it");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = stopping.changed() => {}
            }
        }
    }

    /// Finds what is wrong, and tells what has changed since the last look.
    ///
    /// # Errors
    /// A state store that cannot be read or written; what was told is remembered.
    pub async fn look(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut wrong: BTreeMap<(String, &'static str), Condition> = BTreeMap::new();
        for condition in self.conditions(now).await? {
            wrong.insert((condition.job.clone(), condition.kind.as_str()), condition);
        }
        for alert in self.store.alerts().await? {
            let still = wrong
                .iter()
                .find(|((job, kind), _)| *job == alert.job && *kind == alert.kind)
                .map(|(key, _)| key.clone());
            match still.and_then(|key| wrong.remove(&key)) {
                // Another one of the same kind is told anew.
                Some(condition) if condition.about != alert.about || alert.ended_at.is_some() => {
                    self.raise(&condition, now).await?
                }
                Some(condition) => self.tell(alert, &message::raised(&condition)).await?,
                None => self.end(alert, now).await?,
            }
        }
        for condition in wrong.into_values() {
            self.raise(&condition, now).await?;
        }
        Ok(())
    }

    async fn conditions(&self, now: DateTime<Utc>) -> Result<Vec<Condition>, StoreError> {
        let (jobs, problems) = (self.jobs)();
        let mut found: Vec<Condition> = faulty(&problems);
        for job in &jobs {
            let runs = self.store.runs(Some(&job.name), RECENT).await?;
            let fires = self.store.fires(Some(&job.name), RECENT).await?;
            let refusals = self.store.refusals(Some(&job.name)).await?;
            let after = job.destination.dead_letter_after;
            let destination = self.store.destination(&job.name).await?.filter(|record| !record.is_over(now));
            found.extend(condition::conditions(&Seen {
                job,
                runs: &runs,
                fire: fires.iter().find(|fire| fire.state != FireState::Running),
                destination: destination.as_ref(),
                dead_letters: refusals.iter().filter(|refusal| !refusal.dropped && refusal.is_given_up(after)).count()
                    as u64,
                watched_since: self.since,
                no_success_for: job.alerts.no_success_for.or(self.no_success_for.filter(|_| job.schedule.is_some())),
                now,
            }));
        }
        Ok(found)
    }

    async fn raise(&self, condition: &Condition, now: DateTime<Utc>) -> Result<(), StoreError> {
        let alert = AlertRecord {
            job: condition.job.clone(),
            kind: condition.kind.as_str().to_owned(),
            about: condition.about.clone(),
            since: now,
            ended_at: None,
            told: Vec::new(),
        };
        tracing::error!(
            event = "alert_raised",
            job = alert.job,
            kind = alert.kind,
            what = condition.what,
            "alerts: raised"
        );
        self.store.put_alert(&alert).await?;
        self.tell(alert, &message::raised(condition)).await
    }

    async fn end(&self, mut alert: AlertRecord, now: DateTime<Utc>) -> Result<(), StoreError> {
        if alert.ended_at.is_none() {
            tracing::warn!(event = "alert_ended", job = alert.job, kind = alert.kind, "alerts: right again");
            // Whoever has not heard of it need not hear that it is over.
            alert.told =
                self.names().filter(|name| !alert.told.iter().any(|told| told == name)).map(str::to_owned).collect();
            alert.ended_at = Some(now);
            self.store.put_alert(&alert).await?;
        }
        let message = message::recovered(&alert, alert.ended_at.unwrap_or(now));
        let (job, kind) = (alert.job.clone(), alert.kind.clone());
        match self.tell_all(alert, &message).await? {
            true => self.store.forget_alert(&job, &kind).await,
            false => Ok(()),
        }
    }

    async fn tell(&self, alert: AlertRecord, message: &Message) -> Result<(), StoreError> {
        self.tell_all(alert, message).await.map(drop)
    }

    /// Whether all channels know by now.
    async fn tell_all(&self, mut alert: AlertRecord, message: &Message) -> Result<bool, StoreError> {
        let mut all = true;
        for channel in &self.channels {
            if alert.told.iter().any(|told| told == channel.name()) {
                continue;
            }
            match channel.send(message).await {
                Ok(()) => {
                    alert.told.push(channel.name().to_owned());
                    self.store.put_alert(&alert).await?;
                }
                Err(error) => {
                    all = false;
                    tracing::error!(
                        event = "alert_not_told",
                        job = alert.job,
                        kind = alert.kind,
                        channel = channel.name(),
                        error,
                        "alerts: a message did not get through; it is tried again"
                    );
                }
            }
        }
        Ok(all)
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.channels.iter().map(|channel| channel.name())
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// One for each file. What a job is called cannot be known where its file has mistakes; so it goes by the file.
fn faulty(problems: &[Problem]) -> Vec<Condition> {
    let mut by_file: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for problem in problems {
        let job = problem
            .file
            .file_stem()
            .map_or_else(|| problem.file.display().to_string(), |stem| stem.to_string_lossy().into_owned());
        by_file.entry(job).or_default().push(problem.to_string());
    }
    by_file.into_iter().map(|(job, problems)| condition::faulty(&job, &problems.join("; "))).collect()
}

#[cfg(test)]
mod tests;

//! Another set of jobs takes over.

use super::Scheduler;
use super::watched::Watched;
use crate::job::spec::Job;
use crate::store::{FireRecord, FireState, StoreError};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Scheduler {
    /// Takes over these jobs in place of those before, all or none. Runs that are on go on as they began. What is the same job as before is left alone; of
    /// the others the store knows how far their fires have been dealt with, and a schedule that is another owes nothing for the time before. What is
    /// left to begin of a job that is gone is given up.
    ///
    /// # Errors
    /// A store that cannot be read or written: nothing has changed.
    pub(super) async fn replace(&mut self, jobs: Vec<Arc<Job>>) -> Result<(), StoreError> {
        self.write().await?;
        let now = self.clock.now();
        let open = self.store.open_fires().await?;
        let mut others = BTreeMap::new();
        for job in &jobs {
            let is_same = self.jobs.get(&job.name).is_some_and(|before| Arc::ptr_eq(&before.job, job));
            if !is_same {
                let mut other = Watched::load(Arc::clone(job), &*self.store, &open, &self.seat, now).await?;
                if self.on.contains_key(&job.name) {
                    // Its run is on, and was not cut off.
                    other.left = None;
                }
                others.insert(job.name.clone(), other);
            }
        }
        let is_gone = |name: &String| !jobs.iter().any(|job| job.name == *name);
        let gone: Vec<String> = self.jobs.keys().filter(|name| is_gone(name)).cloned().collect();
        for name in &gone {
            self.give_up(name).await?;
        }
        self.jobs.retain(|name, _| !gone.contains(name));
        self.jobs.extend(others);
        Ok(())
    }

    /// What a job that is gone has left to begin.
    async fn give_up(&self, name: &str) -> Result<(), StoreError> {
        let Some(watched) = self.jobs.get(name) else { return Ok(()) };
        for fire in watched.left.iter().map(|(fire, _)| fire).chain(&watched.waiting) {
            let reason = Some("the job's file is gone".to_owned());
            let given_up =
                FireRecord { state: FireState::Failed, ended_at: Some(self.clock.now()), reason, ..fire.clone() };
            if self.store.end_fire(&given_up).await? {
                self.metrics.fired(name, given_up.state.as_str());
            }
        }
        Ok(())
    }
}

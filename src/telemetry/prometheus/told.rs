//! Counts what happens.

use super::instruments::of;
use super::{Figures, seconds};
use crate::metrics::{LiveLimits, Metrics, Watched};
use crate::receipt::Counts;
use chrono::{DateTime, Utc};
use std::sync::PoisonError;
use std::time::Duration;

impl Metrics for Figures {
    fn watches(&self, jobs: Vec<Watched>) {
        jobs.iter().for_each(|watched| self.instruments.expect_job(&watched.job));
        let mut watched = self.watched.write().unwrap_or_else(PoisonError::into_inner);
        for gone in watched.iter().filter(|known| jobs.iter().all(|job| job.job != known.job)) {
            self.instruments.next_fire.remove(&of([("job_name", &gone.job)]));
            self.begins.lock().unwrap_or_else(PoisonError::into_inner).remove(&gone.job);
        }
        *watched = jobs;
    }

    fn run_began(&self, job: &str) {
        let labels = of([("job_name", job)]);
        self.instruments.running.get_or_create(&labels).inc();
        let due = self.begins.lock().unwrap_or_else(PoisonError::into_inner).remove(job);
        if let Some(due) = due {
            // A clock that was put back.
            let late = (self.clock.now() - due).to_std().unwrap_or_default();
            self.instruments.fire_delay.get_or_create(&labels).observe(late.as_secs_f64());
        }
    }

    fn run_planned(&self, job: &str, counts: &Counts) {
        for (stage, rows) in found(counts) {
            self.instruments.rows_found.get_or_create(&of([("job_name", job), ("stage", stage)])).inc_by(rows);
        }
    }

    fn run_ended(&self, job: &str, state: &'static str, took: Duration) {
        let instruments = &self.instruments;
        instruments.running.get_or_create(&of([("job_name", job)])).dec();
        instruments.runs.get_or_create(&of([("job_name", job), ("state", state)])).inc();
        instruments.run_duration.get_or_create(&of([("job_name", job)])).observe(took.as_secs_f64());
    }

    fn delivering(&self, job: &str, limits: LiveLimits) {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner).insert(job.to_owned(), limits);
    }

    fn attempted(&self, job: &str, verdict: &'static str, took: Duration) {
        self.instruments.attempts.get_or_create(&of([("job_name", job), ("verdict", verdict)])).inc();
        self.instruments.attempt_duration.get_or_create(&of([("job_name", job)])).observe(took.as_secs_f64());
    }

    fn paused(&self, job: &str, _time: Duration) {
        self.instruments.pauses.get_or_create(&of([("job_name", job)])).inc();
    }

    fn row(&self, job: &str, outcome: &'static str) {
        self.instruments.rows_delivered.get_or_create(&of([("job_name", job), ("outcome", outcome)])).inc();
    }

    fn schedules(&self, does: bool) {
        self.instruments.scheduling.set(f64::from(u8::from(does)));
        if !does {
            self.instruments.next_fire.clear();
        }
    }

    fn fire_begins(&self, job: &str, due: DateTime<Utc>) {
        self.begins.lock().unwrap_or_else(PoisonError::into_inner).insert(job.to_owned(), due);
    }

    fn fire_over(&self, job: &str) {
        self.begins.lock().unwrap_or_else(PoisonError::into_inner).remove(job);
    }

    fn next_fire(&self, job: &str, at: Option<DateTime<Utc>>) {
        let labels = of([("job_name", job)]);
        match at {
            Some(at) => _ = self.instruments.next_fire.get_or_create(&labels).set(seconds(at)),
            None => _ = self.instruments.next_fire.remove(&labels),
        }
    }

    fn fired(&self, job: &str, state: &'static str) {
        self.instruments.fires.get_or_create(&of([("job_name", job), ("state", state)])).inc();
    }

    fn alerted(&self, kind: &'static str) {
        self.instruments.alerts.get_or_create(&of([("kind", kind)])).inc();
    }

    fn told(&self, channel: &'static str, is_ok: bool) {
        self.instruments.messages.get_or_create(&of([("channel", channel), ("result", result(is_ok))])).inc();
    }

    fn pinged(&self, job: &str, is_ok: bool) {
        self.instruments.pings.get_or_create(&of([("job_name", job), ("result", result(is_ok))])).inc();
    }

    fn requested(&self, server: &'static str, status: Option<u16>, error: Option<&'static str>, took: Duration) {
        let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        let labels = of([("server", server), ("status", status.as_str()), ("error", error.unwrap_or(""))]);
        self.instruments.requests.get_or_create(&labels).inc();
        self.instruments.request_duration.get_or_create(&of([("server", server)])).observe(took.as_secs_f64());
    }

    fn updates(&self, result: &'static str, number: u64) {
        self.instruments.updates.get_or_create(&of([("result", result)])).inc_by(number);
    }

    fn stored(&self, operation: &'static str, took: Duration, is_ok: bool) {
        let labels = of([("operation", operation)]);
        self.instruments.store_duration.get_or_create(&labels).observe(took.as_secs_f64());
        let errors = self.instruments.store_errors.get_or_create(&labels);
        errors.inc_by(u64::from(!is_ok));
    }
}

fn result(is_ok: bool) -> &'static str {
    if is_ok { "sent" } else { "failed" }
}

/// What a run found, before anything is sent.
pub(super) fn found(counts: &Counts) -> [(&'static str, u64); 6] {
    [
        ("extracted", counts.extracted),
        ("rejected", counts.rejected),
        ("unchanged", counts.unchanged),
        ("added", counts.added),
        ("changed", counts.changed),
        ("removed", counts.removed),
    ]
}

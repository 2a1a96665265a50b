//! What is told, as text. The real binary's is in tests/it/metrics.rs.

use super::*;
use crate::clock::SystemClock;
use crate::metrics::{LimitsNow, Metrics};
use crate::receipt::Counts;
use std::time::Duration;

fn figures() -> Figures {
    Figures::new(Arc::new(SystemClock))
}

async fn text(figures: &Figures) -> String {
    figures.text().await.1
}

#[track_caller]
fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn what_happens_is_counted() {
    let figures = figures();
    figures.watches(vec![Watched { job: "orgs".to_owned(), dead_letter_after: 5 }]);
    let zero = text(&figures).await;
    has(
        &zero,
        &[
            "nightmark_fires_total{job_name=\"orgs\",state=\"missed\"} 0",
            "nightmark_delivery_pauses_total{job_name=\"orgs\"} 0",
        ],
    );
    figures.run_began("orgs");
    has(&text(&figures).await, &["nightmark_runs_in_progress{job_name=\"orgs\"} 1.0"]);
    figures.run_planned("orgs", &Counts { extracted: 7, changed: 2, ..Counts::default() });
    figures.attempted("orgs", "retry", Duration::from_millis(7));
    figures.attempted("orgs", "acknowledged", Duration::from_secs(40));
    figures.paused("orgs", Duration::from_secs(3));
    figures.row("orgs", "acknowledged");
    figures.run_ended("orgs", "delivering", Duration::from_secs(61));
    figures.fired("orgs", "missed");
    figures.requested("receiver", None, Some("gone"), Duration::ZERO);
    figures.updates("stale", 3);
    figures.stored("upsert_orgs", Duration::from_micros(700), false);
    has(
        &text(&figures).await,
        &[
            "nightmark_runs_in_progress{job_name=\"orgs\"} 0.0",
            "nightmark_run_rows_total{job_name=\"orgs\",stage=\"extracted\"} 7",
            "nightmark_run_rows_total{job_name=\"orgs\",stage=\"changed\"} 2",
            "nightmark_delivery_attempts_total{job_name=\"orgs\",verdict=\"retry\"} 1",
            // 40 s are beyond the last bucket.
            "nightmark_delivery_attempt_duration_seconds_bucket{job_name=\"orgs\",le=\"0.01\"} 1",
            "nightmark_delivery_attempt_duration_seconds_bucket{job_name=\"orgs\",le=\"30\"} 1",
            "nightmark_delivery_attempt_duration_seconds_bucket{job_name=\"orgs\",le=\"+Inf\"} 2",
            "nightmark_delivery_pauses_total{job_name=\"orgs\"} 1",
            "nightmark_runs_total{job_name=\"orgs\",state=\"delivering\"} 1",
            "nightmark_run_duration_seconds_bucket{job_name=\"orgs\",le=\"60\"} 0",
            "nightmark_run_duration_seconds_bucket{job_name=\"orgs\",le=\"300\"} 1",
            "nightmark_fires_total{job_name=\"orgs\",state=\"missed\"} 1",
            "nightmark_http_requests_total{server=\"receiver\",status=\"none\",error=\"gone\"} 1",
            "nightmark_receiver_updates_total{result=\"stale\"} 3",
            "nightmark_store_operation_errors_total{operation=\"upsert_orgs\"} 1",
        ],
    );
}

/// A clock that is set.
#[derive(Debug)]
struct Set(Mutex<DateTime<Utc>>);

impl Clock for Set {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    fn random(&self) -> u128 {
        7
    }
}

/// From when a fire was to begin until its run has the job's lock; runs that no fire of the schedule begins are not among them.
#[tokio::test]
async fn how_late_fires_begin_is_measured() {
    let due: DateTime<Utc> = "2026-11-27T02:30:00Z".parse().unwrap();
    let clock = Arc::new(Set(Mutex::new(due)));
    let figures = Figures::new(Arc::clone(&clock) as _);
    let late = |seconds: i64| *clock.0.lock().unwrap() = due + chrono::TimeDelta::seconds(seconds);
    figures.watches(vec![Watched { job: "orgs".to_owned(), dead_letter_after: 0 }]);
    let (count, sum) = ("nightmark_fire_delay_seconds_count", "nightmark_fire_delay_seconds_sum");
    let line = |name: &str, value: &str| format!("{name}{{job_name=\"orgs\"}} {value}");
    has(&text(&figures).await, &[&line(count, "0")]);
    figures.fire_begins("orgs", due);
    late(61);
    has(&text(&figures).await, &[&line(count, "0")]);
    figures.run_began("orgs");
    has(&text(&figures).await, &[&line(count, "1"), &line(sum, "61.0")]);
    // By hand.
    figures.run_began("orgs");
    // Another process had the job, so that the run of one fire never began: no run by hand is measured by it.
    figures.fire_begins("orgs", due);
    figures.fire_over("orgs");
    figures.run_began("orgs");
    // The same of a daemon that has not said so; the next is measured by its own time. And a clock was put back.
    figures.fire_begins("orgs", due);
    figures.fire_begins("orgs", due + chrono::TimeDelta::days(1));
    late(0);
    figures.run_began("orgs");
    let text = text(&figures).await;
    has(&text, &[&line(count, "2"), &line(sum, "61.0")]);
    has(&text, &["nightmark_fire_delay_seconds_bucket{job_name=\"orgs\",le=\"60\"} 1"]);
    has(&text, &["nightmark_fire_delay_seconds_bucket{job_name=\"orgs\",le=\"300\"} 2"]);
}

/// Limits are as they are when somebody asks, and stay as the last delivery has left them.
#[tokio::test]
async fn limits_are_looked_at_when_asked_for() {
    let figures = figures();
    let now = Arc::new(Mutex::new(LimitsNow { breaker: "closed", concurrency: 8, in_flight: 3 }));
    let seen = Arc::clone(&now);
    figures.delivering("orgs", Arc::new(move || *seen.lock().unwrap()));
    has(
        &text(&figures).await,
        &[
            "nightmark_delivery_breaker_state{job_name=\"orgs\",state=\"closed\"} 1.0",
            "nightmark_delivery_breaker_state{job_name=\"orgs\",state=\"open\"} 0.0",
            "nightmark_delivery_concurrency_limit{job_name=\"orgs\"} 8.0",
            "nightmark_delivery_requests_in_flight{job_name=\"orgs\"} 3.0",
        ],
    );
    *now.lock().unwrap() = LimitsNow { breaker: "half_open", concurrency: 1, in_flight: 1 };
    has(
        &text(&figures).await,
        &[
            "nightmark_delivery_breaker_state{job_name=\"orgs\",state=\"closed\"} 0.0",
            "nightmark_delivery_breaker_state{job_name=\"orgs\",state=\"half_open\"} 1.0",
            "nightmark_delivery_concurrency_limit{job_name=\"orgs\"} 1.0",
        ],
    );
}

/// A job that is no longer watched has no next fire any more.
#[tokio::test]
async fn a_job_that_is_gone_is_due_no_more() {
    let figures = figures();
    let watched = |job: &str| Watched { job: job.to_owned(), dead_letter_after: 0 };
    figures.watches(vec![watched("orgs"), watched("teams")]);
    ["orgs", "teams"].iter().for_each(|job| figures.next_fire(job, Some(DateTime::UNIX_EPOCH)));
    figures.watches(vec![watched("teams")]);
    let text = text(&figures).await;
    has(&text, &["nightmark_next_fire_timestamp_seconds{job_name=\"teams\"} 0.0"]);
    assert!(!text.contains("nightmark_next_fire_timestamp_seconds{job_name=\"orgs\"}"), "{text}");
}

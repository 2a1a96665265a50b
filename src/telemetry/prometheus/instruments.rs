//! Every metric: name, type, unit, labels, words. The names and labels are a contract (docs/METRICS.md).

use super::seconds;
use chrono::{DateTime, Utc};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use std::sync::atomic::AtomicU64;

/// Names and values of labels.
pub(super) type Labels<const N: usize> = [(&'static str, String); N];
pub(super) type Counters<const N: usize> = Family<Labels<N>, Counter>;
pub(super) type Gauges<const N: usize> = Family<Labels<N>, Gauge<f64, AtomicU64>>;
pub(super) type Histograms<const N: usize> = Family<Labels<N>, Histogram, Buckets>;

/// Upper bounds of a histogram's buckets, in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// From a second to a night.
const RUNS: Buckets = Buckets(&[1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0]);
/// From what a neighbour needs to the time-out of an attempt.
const REQUESTS: Buckets = Buckets(&[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]);
const STORE: Buckets = Buckets(&[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0]);

/// One label.
pub(super) fn of<const N: usize>(labels: [(&'static str, &str); N]) -> Labels<N> {
    labels.map(|(name, value)| (name, value.to_owned()))
}

pub(super) struct Instruments {
    pub(super) build: Gauges<1>,
    pub(super) started: Gauge<f64, AtomicU64>,
    // What happens.
    pub(super) runs: Counters<2>,
    pub(super) running: Gauges<1>,
    pub(super) run_duration: Histograms<1>,
    pub(super) rows_found: Counters<2>,
    pub(super) attempts: Counters<2>,
    pub(super) attempt_duration: Histograms<1>,
    pub(super) rows_delivered: Counters<2>,
    pub(super) pauses: Counters<1>,
    pub(super) fires: Counters<2>,
    pub(super) fire_delay: Histograms<1>,
    pub(super) scheduling: Gauge<f64, AtomicU64>,
    pub(super) next_fire: Gauges<1>,
    pub(super) alerts: Counters<1>,
    pub(super) messages: Counters<2>,
    pub(super) pings: Counters<2>,
    pub(super) requests: Counters<3>,
    pub(super) request_duration: Histograms<1>,
    pub(super) updates: Counters<1>,
    pub(super) store_duration: Histograms<1>,
    pub(super) store_errors: Counters<1>,
    // Where the jobs stand.
    pub(super) store_readable: Gauge<f64, AtomicU64>,
    pub(super) last_state: Gauges<2>,
    pub(super) last_start: Gauges<1>,
    pub(super) last_rows: Gauges<2>,
    pub(super) last_success: Gauges<1>,
    pub(super) snapshot_age: Gauges<1>,
    pub(super) undelivered: Gauges<2>,
    pub(super) dead_letters: Gauges<1>,
    pub(super) destination: Gauges<2>,
    pub(super) breaker: Gauges<2>,
    pub(super) concurrency: Gauges<1>,
    pub(super) in_flight: Gauges<1>,
}

impl Instruments {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let started = put(
            registry,
            "process_start_time_seconds",
            "When the process began, in seconds since 1970",
            Gauge::default(),
        );
        let r = &mut Names(registry.sub_registry_with_prefix("nightmark"));
        Instruments {
            started,
            build: r.gauges("build_info", "The version that is running; always 1"),
            runs: r.counters("runs", "Runs that have ended, by the state they ended in"),
            running: r.gauges("runs_in_progress", "Runs that are on"),
            run_duration: r.histograms("run_duration_seconds", "How long runs took, from lock to end", RUNS),
            rows_found: r.counters("run_rows", "Rows that runs found, by what became of them before delivery"),
            attempts: r.counters("delivery_attempts", "Requests to the destination, by verdict"),
            attempt_duration: r.histograms(
                "delivery_attempt_duration_seconds",
                "How long requests to the destination took, answer included",
                REQUESTS,
            ),
            rows_delivered: r.counters("delivery_rows", "Rows that deliveries have dealt with, by outcome"),
            pauses: r.counters("delivery_pauses", "Pauses of the whole destination within deliveries"),
            fires: r.counters("fires", "Fires of schedules that were dealt with, by what became of them"),
            fire_delay: r.histograms(
                "fire_delay_seconds",
                "From when fires of schedules were to begin until their runs had the job's lock",
                RUNS,
            ),
            scheduling: put(r.0, "scheduling", "Whether this daemon schedules: 1, else 0", Gauge::default()),
            next_fire: r.gauges("next_fire_timestamp_seconds", "When the schedule is due next, in seconds since 1970"),
            alerts: r.counters("alerts", "Alerts that were raised, by kind"),
            messages: r.counters("alert_messages", "Messages to channels of alerts, by whether they were taken over"),
            pings: r.counters("pings", "Calls of jobs' watchdogs after runs, by whether they got through"),
            requests: r.counters("http_requests", "Requests that were answered, by server, status and class of error"),
            request_duration: r.histograms(
                "http_request_duration_seconds",
                "How long requests took, from their first byte to the answer",
                REQUESTS,
            ),
            updates: r.counters("receiver_updates", "Updates of orgs that the receiver was sent, by result"),
            store_duration: r.histograms(
                "store_operation_duration_seconds",
                "How long operations of the state store took",
                STORE,
            ),
            store_errors: r.counters("store_operation_errors", "Operations of the state store that failed"),
            store_readable: put(
                r.0,
                "store_readable",
                "Whether this scrape could read the state store: 1, else 0",
                Gauge::default(),
            ),
            last_state: r.gauges("last_run_state", "1 for the state of the job's newest run, else 0"),
            last_start: r
                .gauges("last_run_start_timestamp_seconds", "When the job's newest run began, in seconds since 1970"),
            last_rows: r.gauges("last_run_rows", "Rows of the job's newest run, by what became of them"),
            last_success: r.gauges(
                "last_success_timestamp_seconds",
                "When the job's last finished run ended, in seconds since 1970",
            ),
            snapshot_age: r.gauges(
                "snapshot_age_seconds",
                "Seconds since the job's last run began whose changes were all acknowledged",
            ),
            undelivered: r.gauges(
                "undelivered_rows",
                "Rows of the published change set that are not acknowledged, by what is known of them",
            ),
            dead_letters: r
                .gauges("dead_letters", "Rows that are set aside because the destination keeps refusing them"),
            destination: r.gauges("destination_state", "1 for the state that the job's destination is in, else 0"),
            breaker: r.gauges(
                "delivery_breaker_state",
                "1 for the state of the destination's circuit breaker, else 0; between deliveries as the last left it",
            ),
            concurrency: r.gauges(
                "delivery_concurrency_limit",
                "Requests that may be in flight; between deliveries as the last left it",
            ),
            in_flight: r
                .gauges("delivery_requests_in_flight", "Requests to the destination that wait for their answer"),
        }
    }

    /// What is so from the beginning.
    pub(super) fn start(&self, at: DateTime<Utc>) {
        self.started.set(seconds(at));
        self.build.get_or_create(&of([("version", env!("CARGO_PKG_VERSION"))])).set(1.0);
        self.store_readable.set(0.0);
        for kind in ["failed", "held", "missed", "stale", "destination", "dead_letters", "volatile", "faulty"] {
            drop(self.alerts.get_or_create(&of([("kind", kind)])));
        }
        for (channel, result) in [("webhook", "sent"), ("webhook", "failed"), ("email", "sent"), ("email", "failed")] {
            drop(self.messages.get_or_create(&of([("channel", channel), ("result", result)])));
        }
        for result in ["created", "updated", "stale", "repeated", "ignored", "rejected"] {
            drop(self.updates.get_or_create(&of([("result", result)])));
        }
    }

    /// A job's counters begin at zero, so that the first event is an increase.
    pub(super) fn expect_job(&self, job: &str) {
        let both = |name, value| of([("job_name", job), (name, value)]);
        for state in ["finished", "held", "failed", "published", "delivering"] {
            drop(self.runs.get_or_create(&both("state", state)));
        }
        for verdict in ["acknowledged", "refused", "unknown", "retry", "config_fault"] {
            drop(self.attempts.get_or_create(&both("verdict", verdict)));
        }
        for outcome in ["acknowledged", "refused", "unknown", "pending"] {
            drop(self.rows_delivered.get_or_create(&both("outcome", outcome)));
        }
        for stage in ["extracted", "rejected", "unchanged", "added", "changed", "removed"] {
            drop(self.rows_found.get_or_create(&both("stage", stage)));
        }
        for state in ["done", "held", "failed", "skipped", "missed"] {
            drop(self.fires.get_or_create(&both("state", state)));
        }
        for result in ["sent", "failed"] {
            drop(self.pings.get_or_create(&both("result", result)));
        }
        let one = of([("job_name", job)]);
        drop(self.pauses.get_or_create(&one));
        drop(self.running.get_or_create(&one));
        drop(self.run_duration.get_or_create(&one));
        drop(self.fire_delay.get_or_create(&one));
        drop(self.attempt_duration.get_or_create(&one));
    }
}

/// Registers under the prefix.
struct Names<'a>(&'a mut Registry);

impl Names<'_> {
    /// The format adds `_total`.
    fn counters<const N: usize>(&mut self, name: &str, words: &str) -> Counters<N> {
        put(self.0, name, words, Counters::default())
    }

    fn gauges<const N: usize>(&mut self, name: &str, words: &str) -> Gauges<N> {
        put(self.0, name, words, Gauges::default())
    }

    fn histograms<const N: usize>(&mut self, name: &str, words: &str, buckets: Buckets) -> Histograms<N> {
        put(self.0, name, words, Histograms::new_with_constructor(buckets))
    }
}

fn put<M: Metric + Clone>(registry: &mut Registry, name: &str, words: &str, metric: M) -> M {
    registry.register(name, words, metric.clone());
    metric
}

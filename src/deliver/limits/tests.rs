use super::*;
use crate::deliver::verdict::{Answer, Fault, Peer, judge};
use crate::job::spec::{Form, Retry, Templated};
use chrono::DateTime;
use tokio::time::{sleep, sleep_until};

const SECOND: Duration = Duration::from_secs(1);

fn destination(concurrency: usize, rate: Option<Rate>) -> Destination {
    let url = Templated { written: String::new(), parts: Vec::new(), form: Form::Text };
    let retry = Retry { attempts: 5, base: SECOND, max: SECOND * 300 };
    Destination { rate, concurrency, retry, timeout: SECOND, ..Destination::plain(url) }
}

fn limits(concurrency: usize, rate: Option<Rate>) -> Arc<Limits> {
    Limits::new(&destination(concurrency, rate))
}

/// Waits as the desk does; a full one makes the test fail.
async fn admitted(limits: &Arc<Limits>, turn: Turn) -> Permit {
    loop {
        match limits.admit(turn) {
            Admission::Go(permit) => return permit,
            Admission::At(at) | Admission::NoBudget(at) => sleep_until(at).await,
            Admission::Full => panic!("full"),
        }
    }
}

fn answered(permit: Permit, status: u16) -> Option<Opened> {
    ended(permit, &Attempt::Answered(Answer::of(status, "")))
}

fn ended(permit: Permit, attempt: &Attempt) -> Option<Opened> {
    permit.ended(attempt, &judge(attempt, &Peer::plain(), DateTime::UNIX_EPOCH), 1 << 127)
}

#[tokio::test(start_paused = true)]
async fn rates_are_kept_by_the_runtimes_timers() {
    let ms = Duration::from_millis;
    for (quantity, per, admissions, least, most) in [
        (50, SECOND, 51, ms(1000), ms(1100)),
        (60, SECOND * 60, 11, SECOND * 10, SECOND * 11),
        (10_000, SECOND, 10_001, ms(980), ms(1150)),
        (u32::MAX, ms(1), 1000, ms(0), ms(1)),
    ] {
        let limits = limits(1, Some(Rate { quantity, per }));
        let start = Instant::now();
        for _ in 0..admissions {
            answered(admitted(&limits, Turn::First).await, 200);
        }
        let took = start.elapsed();
        assert!(took >= least && took <= most, "{admissions} at {quantity} in {per:?} took {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_everyone_and_is_never_shortened() {
    for rate in [None, Some(Rate { quantity: 1000, per: SECOND })] {
        let limits = limits(4, rate);
        let start = Instant::now();
        limits.pause(SECOND * 30);
        limits.pause(SECOND * 5);
        let (a, b) = tokio::join!(admitted(&limits, Turn::First), admitted(&limits, Turn::Retry(start)));
        assert!(start.elapsed() >= SECOND * 30, "{:?}", start.elapsed());
        assert!((limits.report().paused_seconds - 30.0).abs() < 0.1, "{:?}", limits.report());
        drop((a, b));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_reported_as_far_as_it_has_passed() {
    let limits = limits(4, None);
    limits.pause(SECOND * 30);
    sleep(SECOND * 10).await;
    limits.pause(SECOND * 60);
    sleep(SECOND * 10).await;
    assert!((limits.report().paused_seconds - 20.0).abs() < 0.1, "{:?}", limits.report());
}

#[tokio::test(start_paused = true)]
async fn places_bound_what_is_in_flight() {
    let limits = limits(2, None);
    let first = admitted(&limits, Turn::First).await;
    let _second = admitted(&limits, Turn::First).await;
    assert!(matches!(limits.admit(Turn::First), Admission::Full));
    drop(first);
    let _third = admitted(&limits, Turn::First).await;
}

#[tokio::test(start_paused = true)]
async fn trouble_takes_places_and_calm_gives_them_back() {
    let limits = limits(64, None);
    let round = async |status| {
        let permits: Vec<Permit> = std::iter::from_fn(|| match limits.admit(Turn::First) {
            Admission::Go(permit) => Some(permit),
            _ => None,
        })
        .collect();
        sleep(Duration::from_millis(1)).await;
        permits.into_iter().for_each(|permit| assert_eq!(answered(permit, status), None));
        limits.concurrency()
    };
    let mut found = Vec::new();
    for status in [200, 200, 200, 429, 503, 200, 404] {
        found.push(round(status).await);
    }
    assert_eq!(found, [16, 32, 64, 32, 16, 17, 18]);
    let report = limits.report();
    assert_eq!(report.concurrency, ConcurrencyReport { now: 18, max: 64, smallest: 8 });
}

#[tokio::test(start_paused = true)]
async fn the_breaker_lets_one_probe_through_and_then_everyone() {
    let limits = limits(8, None);
    let refused = Attempt::Failed(Fault { kind: FaultKind::Connect, text: String::new() });
    let opened = async {
        loop {
            if let Some(opened) = ended(admitted(&limits, Turn::First).await, &refused) {
                return opened;
            }
        }
    };
    let opened = opened.await;
    assert_eq!((opened.failures, opened.attempts, opened.too_long), (10, 10, false));
    let start = Instant::now();
    let probe = admitted(&limits, Turn::First).await;
    assert!(start.elapsed() >= SECOND * 27, "{:?}", start.elapsed());
    assert!(matches!(limits.admit(Turn::First), Admission::Full), "one probe");
    assert_eq!(answered(probe, 200), None);
    drop(admitted(&limits, Turn::First).await);
    assert_eq!(limits.report().breaker, BreakerReport { state: "closed".to_owned(), opened: 1 });
}

#[tokio::test(start_paused = true)]
async fn retries_wait_for_their_budget_and_first_attempts_do_not() {
    let limits = limits(1, None);
    let due = Instant::now();
    for _ in 0..100 {
        answered(admitted(&limits, Turn::Retry(due)).await, 200);
    }
    assert!(matches!(limits.admit(Turn::Retry(due)), Admission::NoBudget(_)));
    answered(admitted(&limits, Turn::First).await, 200);
    answered(admitted(&limits, Turn::Retry(due)).await, 200);
    assert!(due.elapsed() >= SECOND * 10, "{:?}", due.elapsed());
    let report = limits.report();
    assert_eq!((report.retries, report.retries_held, report.attempts.acknowledged), (101, 1, 102));
}

#[tokio::test(start_paused = true)]
async fn a_report_begins_with_its_run() {
    let limits = limits(1, Some(Rate { quantity: 30, per: SECOND * 60 }));
    let permit = admitted(&limits, Turn::First).await;
    sleep(SECOND / 10).await;
    answered(permit, 500);
    let report = limits.report();
    assert_eq!((report.attempts.retry, report.rate), (1, Some(0.5)));
    assert!((report.latency_ms.p95 - 100.0).abs() < 7.0 && report.latency_ms.max >= 100.0, "{report:?}");
    limits.begin();
    assert_eq!(limits.report().attempts, AttemptsReport::default());
}

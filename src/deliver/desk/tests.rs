use super::post::ranges;
use super::*;
use crate::deliver::Message;
use crate::deliver::limits::Permit;
use crate::deliver::verdict::{Answer, Attempt, Peer, judge};
use crate::job::spec::{Destination, Form, Rate, Retry, Templated};
use chrono::DateTime;
use std::time::Duration;
use tokio::time::timeout;

const SECOND: Duration = Duration::from_secs(1);

fn message(seq: u64) -> Parcel {
    Parcel::single(Message {
        seq,
        key: String::new(),
        id: String::new(),
        version: String::new(),
        operation: "added",
        body: "{}".into(),
        part: None,
        aside: None,
    })
}

fn seq(job: &Job) -> u64 {
    job.parcel.messages()[0].seq
}

fn pending() -> std::iter::Once<Word> {
    std::iter::once(Word::Pending)
}

fn desk(concurrency: usize, rate: Option<Rate>) -> Desk {
    let url = Templated { written: String::new(), parts: Vec::new(), form: Form::Text };
    let retry = Retry { attempts: 5, base: SECOND, max: SECOND * 300 };
    let destination = Destination { rate, concurrency, retry, timeout: SECOND, ..Destination::plain(url) };
    Desk::new(Limits::new(&destination), concurrency, Ahead::ROWS, Options::default())
}

/// Makes the next load durable; how many words and rows it had.
async fn commit(desk: &Desk) -> (usize, Vec<u64>) {
    let load = desk.load().await.unwrap();
    desk.release();
    (load.words.len(), load.grant.into_iter().flatten().collect())
}

async fn taken(desk: &Desk) -> (Job, Permit) {
    timeout(SECOND * 3600, desk.next()).await.expect("a row within the hour").unwrap()
}

async fn nothing_for(desk: &Desk, time: Duration) -> bool {
    timeout(time, desk.next()).await.is_err()
}

fn answered(permit: Permit, status: u16) {
    let attempt = Attempt::Answered(Answer::of(status, ""));
    permit.ended(&attempt, &judge(&attempt, &Peer::plain(), DateTime::UNIX_EPOCH), 1 << 127);
}

#[test]
fn grants_name_exactly_the_rows_that_can_be_sent() {
    for (rows, expected) in
        [(&[][..], &[][..]), (&[7], &[(7, 8)]), (&[0, 1, 2], &[(0, 3)]), (&[0, 1, 3, 4, 9], &[(0, 2), (3, 5), (9, 10)])]
    {
        let found = ranges(&rows.iter().copied().map(message).collect::<Vec<_>>());
        assert!(found.iter().map(|r| (r.start, r.end)).eq(expected.iter().copied()), "{rows:?}: {found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_row_is_handed_out_before_its_grant_is_durable() {
    let desk = desk(8, None);
    desk.put((0..20).map(message).collect(), Vec::new());
    assert!(nothing_for(&desk, SECOND).await, "rendered");
    let load = desk.load().await.unwrap();
    assert!(nothing_for(&desk, SECOND).await, "being made durable");
    assert_eq!(load.grant.len(), 1);
    assert_eq!((load.grant[0].start, load.grant[0].end), (0, 8), "as many as may be in flight");
    desk.release();
    assert_eq!(seq(&taken(&desk).await.0), 0);
}

#[tokio::test(start_paused = true)]
async fn a_grant_is_asked_for_ahead_and_takes_the_receipts_along() {
    let desk = desk(8, None);
    desk.put((0..100).map(message).collect(), Vec::new());
    assert_eq!(commit(&desk).await, (0, (0..8).collect()));
    for _ in 0..4 {
        answered(taken(&desk).await.1, 200);
        desk.finish(pending());
    }
    // Four of eight are left, and the first eight went quickly.
    assert_eq!(commit(&desk).await, (4, (8..24).collect()));
    assert!(timeout(SECOND * 3600, desk.load()).await.is_err(), "nothing to write");
}

#[tokio::test(start_paused = true)]
async fn a_receipt_waits_for_others_but_not_long() {
    let desk = desk(8, None);
    desk.put(vec![message(0)], Vec::new());
    commit(&desk).await;
    answered(taken(&desk).await.1, 200);
    let start = Instant::now();
    desk.finish(pending());
    assert_eq!(commit(&desk).await, (1, vec![]));
    let interval = Options::default().receipt_interval;
    assert!(start.elapsed() >= interval && start.elapsed() < interval * 2, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn no_more_is_granted_than_the_rate_lets_out() {
    for (quantity, expected) in [(1, 1), (50, 5), (1000, 8)] {
        let desk = desk(8, Some(Rate { quantity, per: SECOND }));
        desk.put((0..100).map(message).collect(), Vec::new());
        assert_eq!(commit(&desk).await.1.len(), expected, "{quantity}/s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_parked_row_comes_back_when_it_is_due_and_holds_nobody_up() {
    let desk = desk(1, None);
    desk.put((0..3).map(message).collect(), Vec::new());
    commit(&desk).await;
    let (first, permit) = taken(&desk).await;
    answered(permit, 200);
    let start = Instant::now();
    desk.park(first, start + SECOND);
    commit(&desk).await;
    let (second, permit) = taken(&desk).await;
    assert_eq!((seq(&second), start.elapsed()), (1, Duration::ZERO));
    tokio::time::sleep(SECOND * 2).await;
    answered(permit, 200);
    desk.finish(pending());
    assert_eq!(seq(&taken(&desk).await.0), 0, "before rows that have not been tried");
}

#[tokio::test(start_paused = true)]
async fn a_retry_without_budget_lets_first_attempts_pass() {
    let desk = desk(1, None);
    desk.put((0..3).map(message).collect(), Vec::new());
    commit(&desk).await;
    let (mut job, mut permit) = taken(&desk).await;
    for _ in 0..100 {
        answered(permit, 200);
        desk.park(job, Instant::now());
        (job, permit) = taken(&desk).await;
        assert_eq!(seq(&job), 0);
    }
    answered(permit, 200);
    let start = Instant::now();
    desk.park(job, start);
    commit(&desk).await;
    let (job, permit) = taken(&desk).await;
    assert_eq!((seq(&job), start.elapsed()), (1, Duration::ZERO));
    answered(permit, 200);
    desk.finish(pending());
    let (job, permit) = taken(&desk).await;
    assert_eq!((seq(&job), start.elapsed()), (2, Duration::ZERO), "granted with the first");
    answered(permit, 200);
    desk.finish(pending());
    assert_eq!(seq(&taken(&desk).await.0), 0);
    assert!(start.elapsed() > SECOND * 9 && start.elapsed() < SECOND * 11, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_probe_passes_an_open_breaker() {
    let desk = desk(8, None);
    desk.put((0..100).map(message).collect(), Vec::new());
    for _ in 0..10 {
        while timeout(Duration::ZERO, desk.load()).await.is_ok() {
            desk.release();
        }
        answered(taken(&desk).await.1, 500);
        desk.finish(pending());
    }
    assert!(nothing_for(&desk, SECOND * 26).await, "open");
    let (_, probe) = taken(&desk).await;
    assert!(nothing_for(&desk, SECOND * 3600).await, "one probe");
    answered(probe, 200);
    desk.finish(pending());
    let start = Instant::now();
    drop(taken(&desk).await);
    assert_eq!(start.elapsed(), Duration::ZERO, "closed");
}

/// Delivers `rows` with one worker to a destination that fails all of `bad`, and returns what it was asked for, in order. A row
/// is given up after five attempts.
async fn delivered(rows: u64, bad: std::ops::Range<u64>) -> (Desk, Vec<u64>) {
    let desk = desk(4, None);
    desk.put((0..rows).map(message).collect(), Vec::new());
    desk.drained();
    let (mut asked, mut attempts) = (Vec::new(), vec![0; usize::try_from(rows).unwrap()]);
    loop {
        while timeout(Duration::ZERO, desk.load()).await.is_ok() {
            desk.release();
        }
        let Ok(found) = timeout(SECOND * 3600, desk.next()).await else { panic!("stuck after {asked:?}") };
        let Some((job, permit)) = found else { return (desk, asked) };
        let seq = seq(&job);
        let made = &mut attempts[usize::try_from(seq).unwrap()];
        *made += 1;
        asked.push(seq);
        let is_bad = bad.contains(&seq);
        answered(permit, if is_bad { 500 } else { 200 });
        if is_bad && *made < 5 {
            desk.park(job, Instant::now() + SECOND);
        } else {
            desk.finish(pending());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rows_that_always_fail_do_not_keep_the_others_from_being_tried() {
    let start = Instant::now();
    let (desk, asked) = delivered(60, 0..12).await;
    // Ten failures open the breaker; the next two probes fail, each a row of its own, and the third closes it.
    assert_eq!(asked[..13], (0..13).collect::<Vec<_>>(), "{asked:?}");
    let first = |seq: u64| asked.iter().position(|n| *n == seq).unwrap();
    assert!((12..60).all(|seq| first(seq) < 13 + 2 * 48), "by turns with those that failed: {asked:?}");
    assert_eq!(asked.len(), 12 * 5 + 48);
    assert_eq!(desk.limits.report().breaker.opened, 3, "and the same rows do not open it again: {asked:?}");
    assert!(start.elapsed() < SECOND * 300, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn where_nothing_else_is_left_a_row_that_failed_is_the_probe() {
    let (_, asked) = delivered(10, 0..10).await;
    assert_eq!(asked.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn once_stopped_nothing_is_handed_out_and_everything_is_left_over() {
    let desk = desk(8, None);
    desk.put((0..100).map(message).collect(), Vec::new());
    commit(&desk).await;
    let (job, permit) = taken(&desk).await;
    answered(permit, 500);
    desk.park(job, Instant::now() + SECOND);
    let of = |kind, reason: &str| Stopped { kind, reason: reason.to_owned(), remedy: String::new(), until: None };
    let stopped = |reason| of(StopKind::Asked, reason);
    assert!(desk.throw(stopped("first")) && !desk.throw(stopped("second")));
    assert_eq!(desk.reason(), Some(stopped("first")));
    // What is under way is still answered, and may say more.
    for (kind, counts) in [
        (StopKind::Breaker, StopKind::Asked),
        (StopKind::Config, StopKind::Config),
        (StopKind::Asked, StopKind::Config),
        (StopKind::Disabled, StopKind::Disabled),
        (StopKind::Paused, StopKind::Disabled),
    ] {
        assert!(!desk.throw(of(kind, "later")));
        assert_eq!(desk.reason().map(|stopped| stopped.kind), Some(counts), "{kind:?}");
    }
    assert!(desk.next().await.is_none() && desk.room().await.is_none());
    let mut left: Vec<u64> = desk.leftovers().into_iter().map(|job| seq(&job)).collect();
    left.sort_unstable();
    assert!(left.into_iter().eq(0..100));
    desk.close();
    assert!(desk.load().await.is_none(), "and nothing more is granted");
}

//! Delivery against a destination on loopback that answers as each test wants it.

mod answers;
mod http2;
pub mod pki;
mod proxy;
pub mod server;
mod signing;
pub mod tls;

use async_trait::async_trait;
use nightmark::clock::SystemClock;
use nightmark::deliver::{
    Delivery, Entry, FailureKind, Item, Ledger, Message, Observer, Options, Resolved, StopKind, Summary,
};
use nightmark::job::spec::{Destination, Form, Part, Rate, Retry, Templated};
use nightmark::receipt::{Outcome, Receipt};
use secrecy::SecretString;
use server::{Reply, Server, body, header, status};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Barrier, watch};

const MS: Duration = Duration::from_millis(1);

#[derive(Default)]
struct TestLedger {
    granted: Mutex<Vec<Range<u64>>>,
    receipts: Mutex<Vec<Receipt>>,
    /// The most receipts in one write.
    largest: AtomicUsize,
    fails: AtomicBool,
}

#[async_trait]
impl Ledger for TestLedger {
    async fn commit(&self, entry: Entry) -> anyhow::Result<()> {
        anyhow::ensure!(entry.receipts.is_empty() || !self.fails.load(Ordering::SeqCst), "the disk is full");
        // Whoever does not wait for this to return gets ahead of the grant.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        let mut granted = self.granted.lock().unwrap();
        for range in entry.attempting {
            assert!(granted.last().is_none_or(|last| last.end <= range.start), "{range:?} after {granted:?}");
            granted.push(range);
        }
        self.largest.fetch_max(entry.receipts.len(), Ordering::SeqCst);
        self.receipts.lock().unwrap().extend(entry.receipts);
        Ok(())
    }
}

#[derive(Default)]
struct Seen(Mutex<Vec<Option<Outcome>>>);

impl Observer for Seen {
    fn done(&self, outcome: Option<Outcome>) {
        self.0.lock().unwrap().push(outcome);
    }
}

/// A destination, what to send to it, and what came of it.
struct Case {
    destination: Destination,
    resolved: Resolved,
    ledger: Arc<TestLedger>,
    observer: Arc<Seen>,
    stop: watch::Sender<bool>,
}

fn literal(text: &str) -> Templated {
    Templated { written: text.to_owned(), parts: vec![Part::Literal(text.to_owned())], form: Form::Text }
}

fn from_env() -> Templated {
    Templated { written: "${X}".to_owned(), parts: vec![Part::Env("X".to_owned())], form: Form::Text }
}

impl Case {
    fn at(url: &str) -> Case {
        Case {
            destination: Destination {
                retry: Retry { attempts: 3, base: MS, max: Duration::from_secs(5) },
                ..Destination::plain(literal(url))
            },
            resolved: Resolved::of(url),
            ledger: Arc::default(),
            observer: Arc::default(),
            stop: watch::Sender::new(false),
        }
    }

    fn new(server: &Server) -> Case {
        Case::at(&format!("http://{}/hook", server.addr))
    }

    fn attempts(mut self, attempts: u32) -> Case {
        self.destination.retry.attempts = attempts;
        self
    }

    fn concurrency(mut self, concurrency: usize) -> Case {
        self.destination.concurrency = concurrency;
        self
    }

    fn delivery(&self) -> Delivery {
        let options = Options { receipt_interval: MS, ..Options::default() };
        Delivery::new(&self.destination, self.resolved.clone(), Arc::new(SystemClock), options).unwrap()
    }

    async fn try_send(&self, messages: impl Iterator<Item = Message> + Send + 'static) -> anyhow::Result<Summary> {
        self.try_items(messages.map(Item::Send)).await
    }

    async fn try_items(&self, items: impl Iterator<Item = Item> + Send + 'static) -> anyhow::Result<Summary> {
        let ledger = Arc::clone(&self.ledger) as Arc<dyn Ledger>;
        let observer = Arc::clone(&self.observer) as Arc<dyn Observer>;
        self.delivery().run(items, ledger, observer, self.stop.subscribe()).await
    }

    async fn send(&self, rows: u64) -> Summary {
        let summary = self.try_send((0..rows).map(message)).await.unwrap();
        let recorded = summary.acknowledged + summary.refused + summary.unknown;
        assert_eq!(self.receipts().len() as u64, recorded, "every outcome has its receipt: {summary:?}");
        assert_eq!(self.observer.0.lock().unwrap().len() as u64, recorded + summary.pending);
        summary
    }

    fn receipts(&self) -> Vec<Receipt> {
        let mut receipts = self.ledger.receipts.lock().unwrap().clone();
        receipts.sort_by_key(|r| r.seq);
        receipts
    }

    /// Outcome, status and attempts of the only receipt.
    fn only_receipt(&self) -> (Outcome, Option<u16>, u32) {
        let receipts = self.receipts();
        assert_eq!(receipts.len(), 1, "{receipts:?}");
        (receipts[0].outcome, receipts[0].status, receipts[0].attempts)
    }
}

fn message(seq: u64) -> Message {
    let body = format!(r#"{{"seq":{seq}}}"#);
    let (id, version) = (format!("msg_{seq}"), format!("version_{seq}"));
    Message {
        seq,
        key: format!("org_{seq}"),
        id,
        version,
        operation: "changed",
        body: body.into(),
        part: None,
        aside: None,
    }
}

#[tokio::test]
async fn a_server_that_recovers_gets_every_row_once_more_with_the_same_id() {
    let server =
        Server::start(|seen| if seen.seq() % 3 == 0 && seen.nth < 2 { status(500) } else { status(200) }).await;
    let case = Case::new(&server).concurrency(4);
    let summary = case.send(30).await;
    assert_eq!(summary, Summary { acknowledged: 30, limits: summary.limits.clone(), ..Summary::default() });
    assert_eq!(
        (summary.limits.retries, summary.limits.attempts.retry, summary.limits.attempts.acknowledged),
        (20, 20, 30)
    );
    for receipt in case.receipts() {
        let attempts = if receipt.seq % 3 == 0 { 3 } else { 1 };
        assert_eq!((receipt.outcome, receipt.attempts), (Outcome::Acknowledged, attempts), "{receipt:?}");
        assert_eq!((receipt.status, receipt.detail), (Some(200), None));
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 30 + 2 * 10);
    for request in &seen {
        assert_eq!(request.line, "POST /hook HTTP/1.1");
        assert_eq!(request.id(), format!("msg_{}", request.seq()));
        assert_eq!(request.headers["idempotency-key"], request.id());
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.headers["nightmark-operation"], "changed");
        assert_eq!(request.headers["user-agent"], format!("nightmark/{}", env!("CARGO_PKG_VERSION")));
        assert!(request.headers["webhook-timestamp"].parse::<u64>().unwrap() > 1_700_000_000);
    }
}

#[tokio::test]
async fn outcomes_after_the_last_attempt() {
    use Outcome::{Acknowledged, Refused, Unknown};
    /// What the destination does, request by request; the last for ever.
    type Script = fn(usize) -> Reply;
    /// Outcome, last status, attempts.
    type Expected = (Outcome, Option<u16>, u32);
    let table: &[(&str, Script, Expected)] = &[
        ("refused at once", |_| status(422), (Refused, Some(422), 1)),
        ("never well", |_| status(500), (Unknown, Some(500), 3)),
        ("not implemented is not repeated", |_| status(501), (Unknown, Some(501), 1)),
        ("too early is surely not applied", |_| status(425), (Refused, Some(425), 3)),
        ("too busy is surely not applied", |_| status(429), (Refused, Some(429), 3)),
        ("closed after the body", |_| Reply::Close, (Unknown, None, 3)),
        ("reset after the body", |_| Reply::Reset, (Unknown, None, 3)),
        ("an answer that is not HTTP", |_| Reply::Gibberish, (Unknown, None, 3)),
        ("a success that breaks off", |_| Reply::Half, (Unknown, Some(200), 3)),
        ("a success taken back", |_| body(200, r#"{"success":false,"message":"no"}"#), (Refused, Some(200), 1)),
        ("an endless success", |_| Reply::Endless(200), (Acknowledged, Some(200), 1)),
        ("an endless refusal", |_| Reply::Endless(400), (Refused, Some(400), 1)),
        ("reset, then well", |n| if n == 0 { Reply::Reset } else { status(204) }, (Acknowledged, Some(204), 2)),
        ("unknown, then refused", |n| if n == 0 { status(502) } else { status(400) }, (Unknown, Some(400), 2)),
        ("unknown, then busy", |n| if n == 0 { Reply::Close } else { status(429) }, (Unknown, Some(429), 3)),
        ("busy, then unknown", |n| if n == 0 { status(429) } else { status(500) }, (Unknown, Some(500), 3)),
    ];
    for (name, script, expected) in table {
        let script = *script;
        let server = Server::start(move |seen| script(seen.nth)).await;
        let case = Case::new(&server);
        let summary = case.send(1).await;
        assert_eq!(case.only_receipt(), *expected, "{name}: {summary:?}");
        assert_eq!(summary.stopped, None, "{name}");
        let never_taken = u64::from(expected.0 == Refused && matches!(expected.1, Some(408 | 425 | 429)));
        assert_eq!(summary.undelivered, never_taken, "{name}");
        assert_eq!(server.seen().len(), expected.2 as usize, "{name}");
        let detail = case.receipts().remove(0).detail;
        assert!(detail.is_none_or(|d| d.chars().count() <= 500), "{name}");
    }
}

#[tokio::test]
async fn a_success_taken_back_is_reported_in_the_destinations_words() {
    let server = Server::start(|_| body(200, r#"{"success": false, "message": "plan is not known"}"#)).await;
    let summary = Case::new(&server).send(12).await;
    assert_eq!((summary.refused, summary.failures.len()), (12, Summary::MAX_FAILURES));
    let first = &summary.failures[0];
    assert_eq!((first.key.as_str(), first.status, first.kind), ("org_0", Some(200), FailureKind::Refused));
    assert_eq!(first.detail, r#"answered 200 with "success": false: plan is not known"#);
    assert_eq!(summary.undelivered, 0);
}

#[tokio::test]
async fn a_success_taken_back_counts_also_where_a_long_trace_follows() {
    let said = r#"{"success": false, "message": "plan is not known", "trace": ""#;
    let server = Server::start(move |_| body(200, &format!("{said}{}\"}}", "at line 1; ".repeat(2000)))).await;
    let case = Case::new(&server);
    let summary = case.send(1).await;
    assert_eq!(case.only_receipt(), (Outcome::Refused, Some(200), 1));
    assert_eq!(summary.failures[0].detail, r#"answered 200 with "success": false: plan is not known"#);
}

#[tokio::test]
async fn no_answer_within_the_time_out_is_unknown() {
    let server = Server::start(|_| Reply::Hang).await;
    let mut case = Case::new(&server).attempts(1);
    case.destination.timeout = Duration::from_millis(400);
    case.send(1).await;
    assert_eq!(case.only_receipt(), (Outcome::Unknown, None, 1));
}

#[tokio::test]
async fn a_refused_connection_is_surely_not_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr: SocketAddr = listener.local_addr().unwrap();
    drop(listener);
    let case = Case::at(&format!("http://{addr}/hook"));
    let summary = case.send(2).await;
    assert_eq!((summary.refused, summary.undelivered, summary.unknown), (2, 2, 0));
    assert_eq!(summary.failures[0].kind, FailureKind::NotDelivered);
    let receipt = case.receipts().remove(0);
    assert_eq!((receipt.outcome, receipt.status, receipt.attempts), (Outcome::Refused, None, 3));
    let detail = receipt.detail.unwrap();
    let expected = format!("no connection to {addr} (connection refused) after 3 attempts; check ");
    assert!(detail.starts_with(&expected) && !detail.contains("hook"), "{detail}");
}

#[tokio::test]
async fn a_config_fault_stops_and_leaves_the_rest_pending() {
    for (code, remedy) in [
        (301, "put the final address into destination.url"),
        (401, "its secret is missing or wrong"),
        (403, "the API key was not created with the Product Org Updates endpoint type"),
        (404, "check the host, path and API key"),
        (405, "takes no POST"),
        (410, "gone for good"),
    ] {
        let server = Server::start(move |seen| if seen.seq() == 2 { body(code, "no") } else { status(200) }).await;
        let case = Case::new(&server);
        let summary = case.send(1000).await;
        // One at a time and in order: nothing leaves after the fault.
        assert_eq!(server.seen().len(), 3, "{code}");
        assert_eq!((summary.acknowledged, summary.refused, summary.unknown), (2, 0, 0), "{code}");
        assert!(summary.pending >= 1, "{code}: {summary:?}");
        let stopped = summary.stopped.unwrap();
        assert_eq!(stopped.reason, format!("the destination answered {code}: no"));
        assert!(stopped.remedy.contains(remedy), "{code}: {}", stopped.remedy);
        assert_eq!(stopped.kind, if code == 410 { StopKind::Disabled } else { StopKind::Config }, "{code}");
    }
}

#[tokio::test]
async fn a_destination_that_is_down_is_left_alone() {
    let server = Server::start(|_| body(500, "down")).await;
    let case = Case::new(&server);
    let summary = case.send(1000).await;
    // The first cool-down is longer than this job waits, so the breaker's opening ends delivery.
    assert_eq!(server.seen().len(), 10);
    let stopped = summary.stopped.clone().unwrap();
    assert_eq!(stopped.kind, StopKind::Breaker);
    assert!(stopped.reason.starts_with("the destination failed 10 of the last 10 attempts; the last: "), "{stopped:?}");
    assert_eq!((summary.limits.breaker.state.as_str(), summary.limits.breaker.opened), ("open", 1));
    assert!(summary.unknown >= 1 && summary.acknowledged + summary.refused == 0, "{summary:?}");
    assert!(summary.pending > 0, "what was not tried is left to the next run: {summary:?}");
}

#[tokio::test]
async fn a_config_fault_does_not_hide_that_a_row_may_have_been_applied() {
    let server = Server::start(|seen| if seen.nth == 0 { status(500) } else { status(401) }).await;
    let case = Case::new(&server);
    let summary = case.send(1).await;
    assert_eq!(case.only_receipt(), (Outcome::Unknown, Some(401), 2));
    assert!(summary.stopped.is_some() && summary.pending == 0, "{summary:?}");
}

#[tokio::test]
async fn redirects_are_never_followed() {
    let elsewhere = Server::start(|_| status(200)).await;
    let to = format!("http://{}/hook", elsewhere.addr);
    for code in [301, 302, 303, 307, 308] {
        let to = to.clone();
        let server = Server::start(move |_| header(code, "location", &to)).await;
        let summary = Case::new(&server).send(1).await;
        assert!(summary.stopped.unwrap().remedy.contains("redirects are never followed"), "{code}");
        assert_eq!(server.seen().len(), 1, "{code}");
    }
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn retry_after_pauses_the_whole_destination() {
    let first = |seen: &server::Seen| seen.seq() == 0 && seen.nth == 0;
    let server =
        Server::start(move |seen| if first(seen) { header(429, "retry-after", "1") } else { status(200) }).await;
    let summary = Case::new(&server).send(3).await;
    assert_eq!((summary.acknowledged, summary.stopped), (3, None));
    let seen = server.seen();
    assert_eq!(seen.len(), 4);
    for later in &seen[1..] {
        assert!(later.at - seen[0].at >= Duration::from_secs(1), "{} came within the pause", later.id());
    }
}

#[tokio::test]
async fn a_pause_beyond_our_patience_ends_the_run() {
    for (code, expected) in [(429, None), (503, Some(Outcome::Unknown))] {
        let server = Server::start(move |_| header(code, "retry-after", "3600")).await;
        let case = Case::new(&server);
        let summary = case.send(100).await;
        assert_eq!(server.seen().len(), 1, "{code}");
        assert_eq!(case.receipts().first().map(|r| r.outcome), expected, "{code}");
        assert!(summary.pending >= 1, "{code}");
        let stopped = summary.stopped.unwrap();
        assert_eq!(stopped.kind, StopKind::Paused);
        assert!(stopped.reason.starts_with("the destination asks to wait until 2"), "{}", stopped.reason);
        assert!(stopped.remedy.contains("sends the rest"), "{}", stopped.remedy);
    }
}

#[tokio::test]
async fn as_many_at_once_as_the_job_says_and_no_more() {
    // Nobody is answered before four are there: fewer at once would never end, more would be seen.
    let barrier = Arc::new(Barrier::new(4));
    let server = Server::start(move |_| Reply::Together(Arc::clone(&barrier))).await;
    let summary = Case::new(&server).concurrency(4).send(40).await;
    assert_eq!(summary.acknowledged, 40);
    assert_eq!(server.most_in_flight(), 4);
}

#[tokio::test]
async fn the_rate_is_kept() {
    let server = Server::start(|_| status(200)).await;
    let mut case = Case::new(&server).concurrency(8);
    case.destination.rate = Some(Rate { quantity: 100, per: Duration::from_secs(1) });
    case.send(11).await;
    let seen = server.seen();
    let took = seen[10].at - seen[0].at;
    // Ten intervals of 10 ms, less what the way to the server may vary by.
    assert!(took >= Duration::from_millis(80), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_leaves_before_its_grant_is_durable() {
    let ledger = Arc::<TestLedger>::default();
    let ahead = Arc::new(AtomicUsize::new(0));
    let (marks, violations) = (Arc::clone(&ledger), Arc::clone(&ahead));
    let server = Server::start(move |seen| {
        if !marks.granted.lock().unwrap().iter().any(|range| range.contains(&seen.seq())) {
            violations.fetch_add(1, Ordering::SeqCst);
        }
        status(200)
    })
    .await;
    let case = Case { ledger, ..Case::new(&server).concurrency(16) };
    assert_eq!(case.send(2000).await.acknowledged, 2000);
    assert_eq!(ahead.load(Ordering::SeqCst), 0);
    let receipts = case.receipts();
    assert!(receipts.iter().map(|r| r.seq).eq(0..2000), "one receipt for each row");
}

#[tokio::test]
async fn rows_that_cannot_be_built_are_refused_in_order_and_never_granted() {
    let server = Server::start(|_| status(200)).await;
    let case = Case::new(&server).concurrency(4);
    // Nine out of ten, so that they would pile up if they were kept.
    let items = (0..20_000).map(|seq| match seq % 10 {
        0 => Item::Send(message(seq)),
        _ => Item::Unsendable { seq, key: format!("org_{seq}"), problem: "no such column".to_owned() },
    });
    let summary = case.try_items(items).await.unwrap();
    assert_eq!((summary.acknowledged, summary.refused, summary.undelivered), (2000, 18_000, 18_000));
    assert_eq!((summary.failures[0].key.as_str(), summary.failures[0].detail.as_str()), ("org_1", "no such column"));
    let granted: Vec<u64> = case.ledger.granted.lock().unwrap().iter().cloned().flatten().collect();
    assert!(granted.into_iter().eq((0..2000).map(|n| n * 10)), "exactly what can be sent");
    let refused = case.ledger.receipts.lock().unwrap().clone().into_iter().filter(|r| r.outcome == Outcome::Refused);
    let refused: Vec<Receipt> = refused.collect();
    assert!(refused.is_sorted_by_key(|receipt| receipt.seq), "in order");
    assert!(refused.iter().all(|r| r.attempts == 0 && r.status.is_none()));
    assert!(case.ledger.largest.load(Ordering::SeqCst) <= Options::default().receipt_rows);
}

#[tokio::test]
async fn a_ledger_that_fails_ends_the_run_with_its_error() {
    let server = Server::start(|_| status(200)).await;
    let case = Case::new(&server);
    case.ledger.fails.store(true, Ordering::SeqCst);
    let error = case.try_send((0..100_000).map(message)).await.unwrap_err();
    assert_eq!(format!("{error:#}"), "receipts could not be recorded: the disk is full");
    assert!(server.seen().len() < 100_000);
    assert!(case.observer.0.lock().unwrap().is_empty(), "nothing counts that is not recorded");
}

#[tokio::test]
async fn asked_to_stop_it_finishes_what_is_in_flight_and_takes_no_more() {
    let stop = watch::Sender::new(false);
    let trigger = stop.clone();
    let server = Server::start(move |seen| {
        if seen.seq() == 4 {
            trigger.send_replace(true);
        }
        status(200)
    })
    .await;
    let case = Case { stop, ..Case::new(&server) };
    let taken = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&taken);
    let messages = (0..1_000_000).map(message).inspect(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let summary = case.try_send(messages).await.unwrap();
    assert_eq!(summary.acknowledged, server.seen().len() as u64, "what was in flight is recorded");
    assert!(summary.acknowledged >= 5, "{summary:?}");
    assert_eq!(summary.acknowledged + summary.pending, taken.load(Ordering::SeqCst));
    assert!(summary.pending <= 257, "messages are taken as there is room for them: {summary:?}");
    let stopped = summary.stopped.unwrap();
    assert_eq!((stopped.kind, stopped.reason.as_str()), (StopKind::Asked, "delivery was asked to stop"));

    // Asked before the start, it does not even begin.
    let summary = case.try_send((0..10).map(message)).await.unwrap();
    assert_eq!((summary.acknowledged, summary.pending), (0, 0));
    assert!(summary.stopped.is_some());
}

#[tokio::test]
async fn rows_that_cannot_even_be_read_end_the_run_and_what_was_sent_is_recorded() {
    let server = Server::start(|_| status(200)).await;
    let case = Case::new(&server);
    let error = case
        .try_send((0..1000).map(|seq| {
            assert!(seq < 700, "this panic is part of the test");
            message(seq)
        }))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "a delivery task crashed");
    let recorded = case.receipts();
    assert!(!recorded.is_empty() && recorded.len() <= server.seen().len(), "{}", recorded.len());
}

#[tokio::test]
async fn dropped_it_breaks_off_and_records_what_it_knows() {
    let server = Server::start(|seen| if seen.seq() < 5 { status(200) } else { Reply::Hang }).await;
    let case = Case::new(&server);
    tokio::select! {
        ended = case.try_send((0..100).map(message)) => panic!("{ended:?}"),
        () = async {
            while server.seen().len() < 6 {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    // Nobody holds the ledger any more once the collector has ended.
    let ended = async {
        while Arc::strong_count(&case.ledger) > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap();
    assert!(case.receipts().iter().map(|receipt| receipt.seq).eq(0..5));
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn waiting_for_a_retry_does_not_hold_up_a_stop() {
    let server = Server::start(|_| status(500)).await;
    let stop = watch::Sender::new(false);
    let mut case = Case { stop: stop.clone(), ..Case::new(&server) };
    case.destination.retry =
        Retry { attempts: 2, base: Duration::from_secs(1 << 20), max: Duration::from_secs(1 << 20) };
    let (summary, ()) = tokio::join!(case.send(1), async {
        while server.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        stop.send_replace(true);
    });
    assert_eq!(case.only_receipt(), (Outcome::Unknown, Some(500), 1));
    assert!(summary.stopped.is_some());
}

#[tokio::test]
async fn tls_to_a_server_that_speaks_none_is_a_config_fault() {
    let server = Server::start(|_| status(200)).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read_u8().await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            // Until the client has gone: a reset would overtake the answer.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    let case = Case::at(&format!("https://{addr}/hook"));
    let options = Options::default();
    if let Err(error) = Delivery::new(&case.destination, case.resolved.clone(), Arc::new(SystemClock), options) {
        // A machine without any trusted certificate cannot get as far as the handshake.
        assert!(error.to_string().contains("ca-certificates"), "{error}");
        return;
    }
    let summary = case.send(3).await;
    let stopped = summary.stopped.unwrap();
    assert!(stopped.reason.starts_with("TLS: "), "{}", stopped.reason);
    assert!(stopped.remedy.contains("certificate"), "{}", stopped.remedy);
    assert!(case.receipts().is_empty() && server.seen().is_empty());
}

/// Everything that delivery logs, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn planted_secrets_show_up_nowhere_but_at_the_destination() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    // While there is but one subscriber, tracing asks the thread that meets a log line first whether anybody listens, and
    // that may be another test's.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    // A place that logs for the first time while another test's thread is there may be noted as one that nobody listens
    // to; so every place logs once, and then is asked again.
    let server = Server::start(|_| status(500)).await;
    Case::new(&server).send(1).await;
    tracing::callsite::rebuild_interest_cache();
    let mut shown = String::new();
    for code in [200, 400, 401, 429, 500] {
        // The destination echoes the request line and every header, and calls it no success.
        let server = Server::start(move |seen| {
            let echo = serde_json::json!({ "success": false, "path": seen.line, "headers": seen.headers });
            body(code, &echo.to_string())
        })
        .await;
        let base = format!("http://{}/hook/", server.addr);
        let mut case = Case::at(&format!("{base}planted-key?token=planted-token"));
        case.destination.url = Templated {
            written: String::new(),
            parts: vec![
                Part::Literal(base),
                Part::Env("KEY".to_owned()),
                Part::Literal("?token=".to_owned()),
                Part::Env("TOKEN".to_owned()),
            ],
            form: Form::Address,
        };
        case.destination.secret = Some(from_env());
        case.destination.headers = BTreeMap::from([("authorization".to_owned(), from_env())]);
        case.resolved.secret = Some(SecretString::from("planted-secret"));
        case.resolved.headers = vec![("authorization".to_owned(), SecretString::from("Bearer planted-bearer"))];
        let summary = case.send(2).await;
        let first = &server.seen()[0];
        assert!(first.line.contains("/hook/planted-key?token=planted-token"), "{}", first.line);
        assert_eq!(first.headers["x-api-secret"], "planted-secret");
        assert_eq!(first.headers["authorization"], "Bearer planted-bearer");
        shown += &format!("{summary:?} {:?} {:?} {:?}", case.receipts(), case.delivery(), case.resolved);
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("org_0") && shown.contains("[redacted]"),
        "the test looks at the right thing:\n{log}\n{shown}"
    );
    assert!(!shown.contains("planted"), "{shown}");
    assert!(!log.contains("planted") && !log.contains("/hook"), "{log}");
}

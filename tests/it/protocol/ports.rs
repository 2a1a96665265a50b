//! The ports of a process: its clock, its way to the destination, and its state store, watched.

use super::history::Answer;
use super::life::{Event, Life, Request, Word};
use super::source;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nightmark::clock::Clock;
use nightmark::deliver::verdict::{self, Attempt, Fault, FaultKind};
use nightmark::deliver::{Connect, DeliverError, Message, Parcel, Resolved, Transport};
use nightmark::job::spec::Destination;
use nightmark::receipt::{Progress, Receipt};
use nightmark::store::{
    DestinationRecord, FailedReceipt, Past, Refusal, RefusalChange, RefusalStore, RunEvent, RunRecord, RunStore,
    StoreError,
};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A millisecond goes by each time somebody looks.
#[derive(Debug, Default)]
pub struct Ticks(AtomicU64);

impl Ticks {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl Clock for Ticks {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(1_700_000_000_000 + self.next() as i64)
    }

    fn random(&self) -> u128 {
        // SplitMix64, twice.
        let mixed = |n: u64| {
            let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let n = self.next();
        u128::from(mixed(n)) << 64 | u128::from(mixed(!n))
    }
}

/// The way to the destination of the history.
pub struct Way(pub Arc<Life>);

impl Connect for Way {
    fn connect(&self, _: &Destination, _: &Resolved) -> Result<Box<dyn Transport>, DeliverError> {
        Ok(Box::new(Way(Arc::clone(&self.0))))
    }
}

impl Answer {
    fn attempt(self, together: usize) -> Attempt {
        let failed = |kind| Attempt::Failed(Fault { kind, text: "as the history says".to_owned() });
        let said = |status, body: String| {
            let body = body.into_bytes();
            Attempt::Answered(verdict::Answer {
                status,
                retry_after: Vec::new(),
                body,
                truncated: false,
                broken: None,
                content_type: None,
            })
        };
        let answered = |status, success: bool| said(status, format!("{{\"success\": {success}}}"));
        match self {
            Answer::Success => answered(200, true),
            Answer::Refusal => answered(422, false),
            Answer::TakenBack => answered(200, false),
            Answer::Busy => answered(429, false),
            Answer::Error(_) => answered(500, false),
            Answer::NotImplemented(_) => answered(501, false),
            Answer::TimeOut(_) => failed(FaultKind::Timeout),
            Answer::NoConnection => failed(FaultKind::Connect),
            Answer::Unauthorised => answered(401, false),
            // A row alone that is answered 207 is taken.
            Answer::InPart(rows) if rows % 3 == 0 && together > 1 => said(207, String::new()),
            Answer::InPart(rows) if rows % 3 == 1 => answered(422, false),
            Answer::InPart(_) => answered(200, false),
            Answer::Results(_) => {
                let result = |place| format!("{{\"success\": {}}}", self.applies(place, together));
                let results: Vec<String> = (0..together).map(result).collect();
                let success = (0..together).all(|place| self.applies(place, together));
                said(200, format!("{{\"success\": {success}, \"results\": [{}]}}", results.join(", ")))
            }
        }
    }
}

fn request(message: &Message) -> Request {
    let body: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
    let text = |field: &str| body[field].as_str().unwrap_or_default();
    let org = source::org(text("workspace_id")).unwrap_or(u8::MAX);
    assert_eq!(source::key(org), message.key, "the body is of the row: {body}");
    let says = body.get("op").is_none_or(|op| op == message.operation);
    assert!(says, "the header says {} and the body {body}", message.operation);
    let value = if message.operation == "removed" { None } else { source::value(text("plan_id")) };
    let (seq, id, operation) = (message.seq, message.id.clone(), message.operation);
    let (together, place) = (1, 0);
    Request { seq, id, operation, org, value, together, place, answer: Answer::Success, applied: false }
}

/// The rows of a parcel. Its body says what they say: alone as it is, in batches as a list.
fn requests(parcel: &Parcel) -> Vec<Request> {
    let rows: Vec<Request> = parcel.messages().iter().map(request).collect();
    let parsed = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).unwrap();
    let alone: Vec<_> = parcel.messages().iter().map(|message| parsed(&message.body)).collect();
    let body = parsed(&parcel.body());
    assert!(body.as_array().map_or(alone[0] == body, |list| *list == alone), "{body}");
    assert!(rows.iter().all(|row| row.operation == parcel.operation()), "{rows:?}");
    let together = rows.len();
    (0..).zip(rows).map(|(place, row)| Request { together, place, ..row }).collect()
}

#[async_trait]
impl Transport for Way {
    async fn send(&self, parcel: &Parcel, _: DateTime<Utc>) -> Attempt {
        let life = &self.0;
        life.place("request.before_arrival").await;
        let rows = requests(parcel);
        let orgs: Vec<source::Org> = rows.iter().map(|row| row.org).collect();
        life.world().composed(rows.iter().map(|row| row.id.clone()).collect(), parcel.id());
        let (places, answer) = life.arrives(rows);
        // Others may come while this one is under way.
        tokio::task::yield_now().await;
        if life.is_over() {
            std::future::pending::<()>().await;
        }
        let together = orgs.len();
        (0..).zip(places).filter(|(place, _)| answer.applies(*place, together)).for_each(|(_, at)| life.applies(at));
        life.place("request.before_answer").await;
        orgs.into_iter().for_each(|org| life.leaves(org));
        answer.attempt(together)
    }
}

/// A store, and what it makes durable is seen.
pub struct Watched {
    pub inner: Arc<dyn RunStore>,
    pub life: Arc<Life>,
}

impl Watched {
    async fn look<T>(&self, doing: impl Future<Output = T>) -> T {
        if self.life.is_over() {
            std::future::pending::<()>().await;
        }
        doing.await
    }
}

#[async_trait]
impl RunStore for Watched {
    async fn put_run(&self, run: &RunRecord, at: DateTime<Utc>) -> Result<(), StoreError> {
        self.life.write(None, self.inner.put_run(run, at)).await
    }

    async fn end_delivery(&self, run: &RunRecord, at: DateTime<Utc>) -> Result<(), StoreError> {
        let event = Event::Ended { run: run.id.clone() };
        self.life.write(Some(event), self.inner.end_delivery(run, at)).await
    }

    async fn begin_backfill(&self, backfill: &RunRecord, at: DateTime<Utc>) -> Result<Option<RunRecord>, StoreError> {
        self.life.write(None, self.inner.begin_backfill(backfill, at)).await
    }

    async fn runs(&self, job: Option<&str>, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        self.look(self.inner.runs(job, limit)).await
    }

    async fn backfills(&self, job: Option<&str>, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        self.look(self.inner.backfills(job, limit)).await
    }

    async fn open_backfill(&self, job: &str) -> Result<Option<RunRecord>, StoreError> {
        self.look(self.inner.open_backfill(job)).await
    }

    async fn open_runs(&self, job: &str) -> Result<Vec<RunRecord>, StoreError> {
        self.look(self.inner.open_runs(job)).await
    }

    async fn run(&self, id: &str) -> Result<Option<RunRecord>, StoreError> {
        self.look(self.inner.run(id)).await
    }

    async fn events(&self, run: &str) -> Result<Vec<RunEvent>, StoreError> {
        self.look(self.inner.events(run)).await
    }

    async fn commit(&self, run: &str, attempting: &[Range<u64>], receipts: &[Receipt]) -> Result<(), StoreError> {
        let word = |receipt: &Receipt| {
            let failure = receipt.failure.as_ref().map(|failure| (failure.kind, failure.webhook_id.clone()));
            Word { seq: receipt.seq, outcome: receipt.outcome, failure }
        };
        let (granted, words) = (attempting.to_vec(), receipts.iter().map(word).collect());
        let event = Event::Committed { run: run.to_owned(), granted, words };
        self.life.write(Some(event), self.inner.commit(run, attempting, receipts)).await
    }

    async fn cut_off(&self, run: &str) -> Result<(), StoreError> {
        let event = Event::CutOff { run: run.to_owned() };
        self.life.write(Some(event), self.inner.cut_off(run)).await
    }

    async fn progress(&self, run: &str) -> Result<Progress, StoreError> {
        self.look(self.inner.progress(run)).await
    }

    async fn forget_runs(&self, job: &str, past: &Past<'_>) -> Result<(), StoreError> {
        self.life.write(None, self.inner.forget_runs(job, past)).await
    }

    async fn failures(&self, run: &str, limit: u32) -> Result<Vec<FailedReceipt>, StoreError> {
        self.look(self.inner.failures(run, limit)).await
    }
}

#[async_trait]
impl RefusalStore for Watched {
    async fn refusals(&self, job: Option<&str>) -> Result<Vec<Refusal>, StoreError> {
        self.look(self.inner.refusals(job)).await
    }

    async fn change_refusals(&self, job: &str, ids: &[String], change: RefusalChange) -> Result<u64, StoreError> {
        self.life.write(None, self.inner.change_refusals(job, ids, change)).await
    }

    async fn destination(&self, job: &str) -> Result<Option<DestinationRecord>, StoreError> {
        self.look(self.inner.destination(job)).await
    }

    async fn destinations(&self) -> Result<Vec<DestinationRecord>, StoreError> {
        self.look(self.inner.destinations()).await
    }

    async fn put_destination(&self, record: &DestinationRecord) -> Result<(), StoreError> {
        self.life.write(None, self.inner.put_destination(record)).await
    }

    async fn clear_destination(&self, job: &str) -> Result<bool, StoreError> {
        self.life.write(None, self.inner.clear_destination(job)).await
    }
}

//! Messages out, receipts back.
//!
//! In: [`Item`]s, rendered, each row of the change set once. Out: a [`Receipt`] for each that the destination answered or that
//! cannot be sent, in batches through the [`Ledger`], and a [`Summary`].
//! Always holds: the ledger has been told (durably) that a message may be attempted before its first byte leaves; a
//! receipt counts only once the ledger has it; the resolved URL and secrets appear in no message, error or log line.
//! Deliberately absent: what is sent (`template`), what counts as changed (`diff`), where receipts live (`store`).
//!
//! A message travels engine → parcel (encode) → desk (grants, limits) → attempt → client (request, sign; resolve) → classify →
//! verdict, shares → desk (retry) or receipts. A [`Parcel`] is one request: a row, or several, each of which has its own outcome.
//! `address`, `blocked`, `parcel`, `encode`, `sign`, `classify`, `verdict`, `shares`, `remedy`, `words`, `retry`, `grants`, `redact`
//! and the single limits are pure.

mod address;
mod attempt;
mod blocked;
mod classify;
mod client;
mod desk;
mod encode;
mod engine;
mod error;
mod grants;
mod limits;
mod parcel;
mod probe;
mod receipts;
mod redact;
mod remedy;
mod request;
mod resolve;
pub mod retry;
mod shares;
mod sign;
mod trust;
pub mod verdict;
mod words;

pub use client::BODY_LIMIT;
pub use error::DeliverError;
pub use limits::{AttemptsReport, BreakerReport, ConcurrencyReport, LatencyReport, LimitsReport};
pub use parcel::Parcel;
pub use probe::{Probe, Unreached, probe};

use crate::clock::Clock;
use crate::job::spec::{Destination, PerOperation};
use crate::metrics::LiveLimits;
pub use crate::receipt::FailureKind;
use crate::receipt::{Outcome, Receipt};
use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use verdict::{Attempt, Peer};

/// One webhook, ready to go.
#[derive(Debug, Clone)]
pub struct Message {
    /// The position in the change set, from 0.
    pub seq: u64,
    /// The key as text, for logs.
    pub key: String,
    /// `webhook-id` and `Idempotency-Key`: the same for every repeat of the same body of a row.
    pub id: String,
    /// The id of the row's version, for which refusals are counted.
    pub version: String,
    /// `added`, `changed` or `removed`; sent as `nightmark-operation`.
    pub operation: &'static str,
    /// The JSON body; empty: the request has none, or it is made of `part`.
    pub body: Bytes,
    /// What makes one body of this row and others, where the destination takes batches.
    pub part: Option<Arc<dyn Part>>,
    /// What the row says outside of it.
    pub aside: Option<Box<Aside>>,
}

/// A row that has no body of its own, but one together with others. Implemented over a template by `pipeline`.
pub trait Part: Send + Sync + std::fmt::Debug {
    /// The body of these rows, all of the same template as this one, which is the first of them.
    ///
    /// # Errors
    /// What keeps these rows from having one, without secrets. Other rows may have one.
    fn join(&self, rows: &[&dyn Part]) -> Result<String, String>;

    /// For whoever implements it, to know its rows again.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// An address and headers that are a row's own. It shows nothing: secrets stand in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Aside {
    /// The whole address, of the same origin as the destination's; `None`: the destination's.
    pub url: Option<String>,
    /// Name and value, in place of the destination's of the same name.
    pub headers: Vec<(String, String)>,
}

impl std::fmt::Debug for Aside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aside").finish_non_exhaustive()
    }
}

/// One row of the change set, as the caller hands it over.
#[derive(Debug, Clone)]
pub enum Item {
    /// To be sent.
    Send(Message),
    /// Its body cannot be built, so it never leaves: recorded as refused, with no attempt.
    Unsendable {
        /// The position in the change set.
        seq: u64,
        /// The key as text.
        key: String,
        /// What is wrong, without secrets.
        problem: String,
    },
}

/// What is to be made durable in one go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Rows that may be attempted from now on, as ranges of `seq`, in the order of the items or, where a request carries
    /// several, of `seq`; disjoint from every earlier grant of this delivery.
    pub attempting: Vec<Range<u64>>,
    /// Final words, each row's once. In the order in which they came, not by `seq`.
    pub receipts: Vec<Receipt>,
}

/// Where attempts and receipts are made durable. Implemented over the state store by `pipeline`.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Returns once all of it is durable: all or nothing.
    async fn commit(&self, entry: Entry) -> anyhow::Result<()>;
}

/// The way to one destination.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends `parcel` once. Never fails: what went wrong is part of the attempt. Dropping the future breaks it off.
    async fn send(&self, parcel: &Parcel, now: DateTime<Utc>) -> Attempt;
}

/// Sets up the way to a destination. [`Http`] outside of tests.
pub trait Connect: Send + Sync {
    /// Sends nothing. To be called within a tokio runtime.
    ///
    /// # Errors
    /// An address or a header that cannot be, or no trusted certificates on this machine.
    fn connect(&self, destination: &Destination, resolved: &Resolved) -> Result<Box<dyn Transport>, DeliverError>;
}

/// By HTTP, as the destination is described.
#[derive(Debug, Clone, Copy, Default)]
pub struct Http;

impl Connect for Http {
    fn connect(&self, destination: &Destination, resolved: &Resolved) -> Result<Box<dyn Transport>, DeliverError> {
        Ok(Box::new(client::Client::new(destination, resolved)?))
    }
}

/// Told how delivery goes, for progress bars and metrics.
pub trait Observer: Send + Sync {
    /// A request has come to this ([`Verdict::as_str`](verdict::Verdict::as_str)), after that time.
    fn attempted(&self, _verdict: &'static str, _took: Duration) {}
    /// Nothing leaves for that long: the destination has asked for it, or is too busy.
    fn paused(&self, _time: Duration) {}
    /// One message has its final word, already recorded; `None`: it was taken and stays pending.
    fn done(&self, outcome: Option<Outcome>);
}

/// What a [`Destination`]'s `${…}` stand for, looked up by the caller.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The address.
    pub url: SecretString,
    /// The own addresses of operations.
    pub routes: PerOperation<Option<SecretString>>,
    /// User name and password.
    pub auth: Option<(SecretString, SecretString)>,
    /// For `X-Api-Secret`.
    pub secret: Option<SecretString>,
    /// For `webhook-signature`, the newest first.
    pub signing: Vec<SecretString>,
    /// Further headers: name and value.
    pub headers: Vec<(String, SecretString)>,
    /// The proxy's address.
    pub proxy: Option<SecretString>,
}

impl Resolved {
    /// An address and nothing else.
    pub fn of(url: impl Into<SecretString>) -> Self {
        Resolved {
            url: url.into(),
            routes: PerOperation::default(),
            auth: None,
            secret: None,
            signing: Vec::new(),
            headers: Vec::new(),
            proxy: None,
        }
    }
}

/// How receipts are batched.
#[derive(Debug, Clone)]
pub struct Options {
    /// A batch is recorded when it has so many receipts, …
    pub receipt_rows: usize,
    /// … or when its oldest has waited so long.
    pub receipt_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { receipt_rows: 256, receipt_interval: Duration::from_millis(100) }
    }
}

/// What [`Delivery::new`] checks, without this machine's own certificates. Sends nothing.
///
/// # Errors
/// An address, header, signing secret or file of certificates that cannot be.
pub fn check(destination: &Destination, resolved: &Resolved) -> Result<(), DeliverError> {
    client::Setup::new(destination, resolved).map(drop)
}

/// How the delivery of one change set went.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Applied.
    pub acknowledged: u64,
    /// Surely not applied.
    pub refused: u64,
    /// Of the refused: those that the destination never took ([`FailureKind::NotDelivered`]).
    pub undelivered: u64,
    /// Maybe applied.
    pub unknown: u64,
    /// Taken from the caller and not applied, because delivery stopped. Messages that were never taken are not counted.
    pub pending: u64,
    /// Why delivery stopped before the end, if it did.
    pub stopped: Option<Stopped>,
    /// The first rows that were refused or whose outcome is unknown, at most [`Summary::MAX_FAILURES`].
    pub failures: Vec<FailedRow>,
    /// What the destination's limits did.
    pub limits: LimitsReport,
}

/// Why delivery stopped and what to do. Without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stopped {
    /// For programs.
    pub kind: StopKind,
    /// What happened.
    pub reason: String,
    /// What to do.
    pub remedy: String,
    /// The destination asks for nothing before then ([`StopKind::Paused`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

impl Stopped {
    /// The caller wants it.
    pub fn asked() -> Self {
        Stopped {
            kind: StopKind::Asked,
            reason: "delivery was asked to stop".to_owned(),
            remedy: "nothing needs mending: the next run sends the rest".to_owned(),
            until: None,
        }
    }
}

/// Why delivery stopped, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopKind {
    /// The destination says that it is gone for good (410): nothing should be sent to it until someone has looked.
    Disabled,
    /// The job or the destination needs mending.
    Config,
    /// The destination asks for a longer pause than `retry.max`.
    Paused,
    /// The caller asked to stop.
    Asked,
    /// The destination has failed for longer than `retry.max`: its circuit breaker stays open.
    Breaker,
}

impl StopKind {
    /// The name that is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            StopKind::Disabled => "disabled",
            StopKind::Config => "config",
            StopKind::Paused => "paused",
            StopKind::Asked => "asked",
            StopKind::Breaker => "breaker",
        }
    }
}

/// A row that did not get through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRow {
    /// Its key.
    pub key: String,
    /// How far it got.
    pub kind: FailureKind,
    /// The last HTTP status, if one came.
    pub status: Option<u16>,
    /// What the destination said, or what went wrong. Without secrets.
    pub detail: String,
}

impl Summary {
    /// How many failures are kept for the report.
    pub const MAX_FAILURES: usize = 10;

    /// Takes in how a further part of the same delivery went.
    pub fn join(&mut self, part: Summary) {
        self.acknowledged += part.acknowledged;
        self.refused += part.refused;
        self.undelivered += part.undelivered;
        self.unknown += part.unknown;
        self.pending += part.pending;
        part.failures.into_iter().for_each(|row| self.note(row));
        (self.stopped, self.limits) = (part.stopped, part.limits);
    }

    fn note(&mut self, row: FailedRow) {
        if self.failures.len() < Self::MAX_FAILURES {
            self.failures.push(row);
        }
    }

    fn count(&mut self, outcome: Option<Outcome>) {
        let counter = match outcome {
            Some(Outcome::Acknowledged) => &mut self.acknowledged,
            Some(Outcome::Refused) => &mut self.refused,
            Some(Outcome::Unknown) => &mut self.unknown,
            None => &mut self.pending,
        };
        *counter += 1;
    }
}

/// The client of one destination. Its limits hold over all its runs.
pub struct Delivery {
    engine: Arc<engine::Engine>,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery").finish_non_exhaustive()
    }
}

impl Delivery {
    /// [`Delivery::over`] HTTP.
    ///
    /// # Errors
    /// As there.
    pub fn new(
        destination: &Destination,
        resolved: Resolved,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Self, DeliverError> {
        Delivery::over(&Http, destination, resolved, clock, options)
    }

    /// Sets the client up. Sends nothing. To be called within a tokio runtime.
    ///
    /// # Errors
    /// Those of [`Connect::connect`].
    pub fn over(
        connect: &dyn Connect,
        destination: &Destination,
        resolved: Resolved,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Self, DeliverError> {
        let peer = |name, route: &_| Ok::<_, DeliverError>(Peer::of(destination, name, route));
        let engine = engine::Engine {
            client: connect.connect(destination, &resolved)?,
            limits: limits::Limits::new(destination),
            peers: destination.routes.try_map(peer)?,
            redactor: redact::redactor(destination, &resolved),
            clock,
            destination: destination.clone(),
            options,
        };
        Ok(Delivery { engine: Arc::new(engine) })
    }

    /// How its limits are now, as long as anybody asks.
    pub fn limits(&self) -> LiveLimits {
        let limits = Arc::clone(&self.engine.limits);
        Arc::new(move || limits.now())
    }

    /// Sends every row that can be sent, and returns when each has its recorded final word; or when delivery has stopped in order,
    /// because the destination is not set up, asks for a longer pause than `retry.max`, or `stop` became true. Then what
    /// was in flight has its answer recorded, and the rest is pending. Dropping the future breaks delivery off instead.
    ///
    /// # Errors
    /// When the ledger fails. Nothing more is sent then; rows that were granted and have no receipt are unknown.
    pub async fn run(
        &self,
        items: impl Iterator<Item = Item> + Send + 'static,
        ledger: Arc<dyn Ledger>,
        observer: Arc<dyn Observer>,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Summary> {
        self.engine.limits.begin();
        self.go_on(items, ledger, observer, stop).await
    }

    /// The same with further rows of the same delivery: what is told of the limits is told of all of it.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn go_on(
        &self,
        items: impl Iterator<Item = Item> + Send + 'static,
        ledger: Arc<dyn Ledger>,
        observer: Arc<dyn Observer>,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Summary> {
        engine::run(Arc::clone(&self.engine), items, ledger, observer, stop).await
    }
}

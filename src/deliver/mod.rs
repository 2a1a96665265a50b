//! Messages out, receipts back.
//!
//! In: [`Message`]s, rendered and in change-set order. Out: a [`Receipt`] for each that the destination answered, in
//! batches through the [`Ledger`], and a [`Summary`].
//! Always holds: the ledger has been told (durably) that a message may be attempted before its first byte leaves; a
//! receipt counts only once the ledger has it; the resolved URL and secrets appear in no message, error or log line.
//! Deliberately absent: what is sent (`template`), what counts as changed (`diff`), where receipts live (`store`).
//!
//! A message travels engine → row → limits → client (request, sign; resolve) → classify → verdict → retry or receipts.
//! `address`, `blocked`, `sign`, `classify`, `verdict`, `words`, `retry`, `redact` and `spell` are pure.

mod address;
mod blocked;
mod classify;
mod client;
mod engine;
mod error;
mod halt;
mod limits;
mod receipts;
mod redact;
mod request;
mod resolve;
pub mod retry;
mod row;
mod sign;
mod spell;
mod trust;
pub mod verdict;
mod words;

pub use client::BODY_LIMIT;
pub use error::DeliverError;

use crate::clock::Clock;
use crate::job::spec::Destination;
use crate::receipt::{Outcome, Receipt};
use async_trait::async_trait;
use secrecy::SecretString;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// One webhook, ready to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The position in the change set, from 0, ascending.
    pub seq: u64,
    /// The key as text, for logs.
    pub key: String,
    /// `webhook-id` and `Idempotency-Key`: the same for every repeat of the same version of a row.
    pub id: String,
    /// `added`, `changed` or `removed`; sent as `nightmark-operation`.
    pub operation: &'static str,
    /// The JSON body.
    pub body: String,
}

/// Where attempts and receipts are made durable. Implemented over the state store by `pipeline`.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Rows with a `seq` below `before` may be attempted from now on. Returns once that is durable.
    async fn attempting(&self, before: u64) -> anyhow::Result<()>;
    /// Appends receipts. Returns once they are durable.
    async fn record(&self, receipts: Vec<Receipt>) -> anyhow::Result<()>;
}

/// Told how delivery goes, for progress bars.
pub trait Observer: Send + Sync {
    /// One message has its final word, already recorded; `None`: it was taken and stays pending.
    fn done(&self, outcome: Option<Outcome>);
}

/// What a [`Destination`]'s `${…}` stand for, looked up by the caller.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The address.
    pub url: SecretString,
    /// For `X-Api-Secret`.
    pub secret: Option<SecretString>,
    /// For `webhook-signature`, the newest first.
    pub signing: Vec<SecretString>,
    /// Further headers: name and value.
    pub headers: Vec<(String, SecretString)>,
    /// The proxy's address.
    pub proxy: Option<SecretString>,
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
}

/// Why delivery stopped and what to do. Without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// What happened.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

/// Why a row did not get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The destination never took it: it cannot be built, there was no connection, or the destination asked to come
    /// later (408, 425, 429) until the attempts were used up. Surely not applied.
    NotDelivered,
    /// The destination refused it, and would again. Surely not applied.
    Refused,
    /// It may have been applied.
    Unknown,
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

    /// Keeps a row that never became a request for the report, if there is still room. Counts nothing.
    pub fn note_failure(&mut self, key: &str, status: Option<u16>, detail: &str) {
        let kind = FailureKind::NotDelivered;
        self.note(FailedRow { key: key.to_owned(), kind, status, detail: detail.to_owned() });
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
    /// Sets the client up. Sends nothing. To be called within a tokio runtime.
    ///
    /// # Errors
    /// An address or a header that cannot be, or no trusted certificates on this machine.
    pub fn new(
        destination: &Destination,
        resolved: Resolved,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Self, DeliverError> {
        let engine = engine::Engine {
            client: client::Client::new(destination, &resolved)?,
            limits: limits::Limits::new(destination.concurrency, destination.rate),
            policy: destination.retry,
            redactor: redact::Redactor::new(destination, &resolved),
            clock,
            concurrency: destination.concurrency,
            options,
        };
        Ok(Delivery { engine: Arc::new(engine) })
    }

    /// Sends every message and returns when each has its recorded final word; or when delivery has stopped in order,
    /// because the destination is not set up, asks for a longer pause than `retry.max`, or `stop` became true. Then what
    /// was in flight has its answer recorded, and the rest is pending. Dropping the future breaks delivery off instead.
    ///
    /// # Errors
    /// When the ledger fails. Nothing more is sent then; rows below the attempt mark without a receipt are unknown.
    pub async fn run(
        &self,
        messages: impl Iterator<Item = Message> + Send + 'static,
        ledger: Arc<dyn Ledger>,
        observer: Arc<dyn Observer>,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Summary> {
        engine::run(Arc::clone(&self.engine), messages, ledger, observer, stop).await
    }
}

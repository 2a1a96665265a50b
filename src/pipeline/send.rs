//! From the published change set to receipts.

use super::{PipelineError, Planned, Runner};
use crate::deliver::{Delivery, Ledger, Message, Observer, Options, Resolved, Summary};
use crate::job::secrets::Secrets;
use crate::job::spec::Job;
use crate::receipt::{Outcome, Receipt};
use crate::snapshot::ChangeBatch;
use crate::store::{RunRecord, RunStore};
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError};

/// Told how a run goes, for progress bars.
pub trait Progress: Send + Sync {
    /// Delivery of so many changes begins.
    fn sending(&self, planned: u64);
    /// One change has its final word; `None`: it stays pending.
    fn sent(&self, outcome: Option<Outcome>);
}

/// Sets the client up, secrets included.
pub(super) fn client(runner: &Runner, job: &Job) -> Result<Delivery, PipelineError> {
    let secrets = Secrets::new(&runner.home);
    let resolved = resolve(&secrets, job)?;
    let delivery = &runner.settings.delivery;
    let options = Options { receipt_rows: delivery.receipt_rows, receipt_interval: delivery.receipt_interval };
    Ok(Delivery::new(&job.destination, resolved, Arc::clone(&runner.clock), options)?)
}

/// Looks up every secret that the destination names.
pub(super) fn resolve(secrets: &Secrets, job: &Job) -> Result<Resolved, PipelineError> {
    let destination = &job.destination;
    let headers = destination
        .headers
        .iter()
        .map(|(name, value)| Ok((name.clone(), secrets.resolve(&format!("destination.headers.{name}"), value)?)))
        .collect::<Result<Vec<_>, PipelineError>>()?;
    Ok(Resolved {
        url: secrets.resolve("destination.url", &destination.url)?,
        secret: destination.secret.as_ref().map(|s| secrets.resolve("destination.secret", s)).transpose()?,
        headers,
    })
}

/// Every secret that the job names and that cannot be had, in words.
pub fn missing_secrets(secrets: &Secrets, job: &Job) -> Vec<String> {
    let destination = &job.destination;
    let named = [
        ("destination.url".to_owned(), Some(&destination.url)),
        ("destination.secret".to_owned(), destination.secret.as_ref()),
    ];
    let headers = destination.headers.iter().map(|(name, value)| (format!("destination.headers.{name}"), Some(value)));
    let all = named.into_iter().chain(headers);
    all.filter_map(|(field, value)| secrets.resolve(&field, value?).err().map(|e| e.to_string())).collect()
}

/// Sends every change and records what came back.
pub(super) async fn send(
    runner: &Runner,
    planned: &Arc<Planned>,
    delivery: Delivery,
    record: &RunRecord,
) -> Result<Summary, PipelineError> {
    runner.progress.sending(planned.changes.len());
    let ledger = Arc::new(StoreLedger { store: Arc::clone(&runner.store), run: record.id.clone() });
    let unsendable = Arc::new(Mutex::new(Vec::new()));
    let broken = Arc::new(Mutex::new(None));
    let messages = Messages {
        planned: Arc::clone(planned),
        batches: Box::new(planned.batches()?),
        batch: None,
        next: 0,
        unsendable: Arc::clone(&unsendable),
        broken: Arc::clone(&broken),
        progress: Arc::clone(&runner.progress),
    };
    let observer = Arc::new(Relay(Arc::clone(&runner.progress)));
    let sent = delivery.run(messages, Arc::clone(&ledger) as Arc<dyn Ledger>, observer, runner.stop.clone()).await;
    let mut summary = sent.map_err(|e| PipelineError::Delivery(format!("{e:#}")))?;
    if let Some(error) = broken.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(PipelineError::Delivery(error.to_string()));
    }
    let unsendable = std::mem::take(&mut *unsendable.lock().unwrap_or_else(PoisonError::into_inner));
    if !unsendable.is_empty() {
        let now = runner.clock.now();
        summary.refused += unsendable.len() as u64;
        summary.undelivered += unsendable.len() as u64;
        for row in &unsendable {
            summary.note_failure(&row.key, None, &row.problem);
        }
        let receipts = unsendable.into_iter().map(|row| Receipt {
            seq: row.seq,
            outcome: Outcome::Refused,
            status: None,
            attempts: 0,
            detail: Some(row.problem),
            at: now,
        });
        ledger.record(receipts.collect()).await.map_err(|e| PipelineError::Delivery(format!("{e:#}")))?;
    }
    failpoint!("delivery.ended");
    let told = summary.acknowledged + summary.refused + summary.unknown;
    summary.pending = planned.changes.len().saturating_sub(told);
    Ok(summary)
}

/// A row whose body cannot be built: it never leaves.
struct Unsendable {
    seq: u64,
    key: String,
    problem: String,
}

/// Renders the change set row by row, as delivery asks for it.
struct Messages {
    planned: Arc<Planned>,
    batches: Box<dyn Iterator<Item = Result<ChangeBatch, PipelineError>> + Send>,
    batch: Option<ChangeBatch>,
    next: usize,
    unsendable: Arc<Mutex<Vec<Unsendable>>>,
    broken: Arc<Mutex<Option<PipelineError>>>,
    progress: Arc<dyn Progress>,
}

impl Messages {
    /// Goes on to the batch with the next row; `None` after the last, or when the file cannot be read on.
    fn turn(&mut self) -> Option<()> {
        while self.batch.as_ref().is_none_or(|batch| self.next >= batch.len()) {
            match self.batches.next()? {
                Ok(batch) => (self.batch, self.next) = (Some(batch), 0),
                Err(error) => {
                    *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    return None;
                }
            }
        }
        Some(())
    }
}

impl Iterator for Messages {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        loop {
            self.turn()?;
            let (planned, batch, at) = (&self.planned, self.batch.as_ref()?, self.next);
            self.next += 1;
            let (seq, row) = (batch.first + at as u64, &batch.rows[at]);
            let key = crate::row::key_text(batch.row(at), &batch.shape().key);
            match planned.body(batch, at) {
                Ok(body) => {
                    let (id, operation) = (row.webhook_id.clone(), row.operation.as_str());
                    return Some(Message { seq, key, id, operation, body });
                }
                Err(error) => {
                    self.progress.sent(Some(Outcome::Refused));
                    let row = Unsendable { seq, key, problem: format!("the payload: {error}") };
                    self.unsendable.lock().unwrap_or_else(PoisonError::into_inner).push(row);
                }
            }
        }
    }
}

struct StoreLedger {
    store: Arc<dyn RunStore>,
    run: String,
}

#[async_trait]
impl Ledger for StoreLedger {
    async fn attempting(&self, before: u64) -> anyhow::Result<()> {
        failpoint!("attempt.before_grant");
        self.store.mark_attempting(&self.run, before).await?;
        failpoint!("attempt.granted");
        Ok(())
    }

    async fn record(&self, receipts: Vec<Receipt>) -> anyhow::Result<()> {
        failpoint!("receipts.before_commit");
        self.store.append_receipts(&self.run, &receipts).await?;
        failpoint!("receipts.committed");
        Ok(())
    }
}

struct Relay(Arc<dyn Progress>);

impl Observer for Relay {
    fn done(&self, outcome: Option<Outcome>) {
        self.0.sent(outcome);
    }
}

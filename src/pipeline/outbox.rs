//! A published change set, and what makes messages of it.

use super::PipelineError;
use super::bodies::Bodies;
use crate::deliver::{Aside, Part};
use crate::job::secrets::Secrets;
use crate::job::spec::Job;
use crate::snapshot::{ChangeBatch, ChangeSet, Manifest};
use crate::template::{Meta, RenderError};
use chrono::{DateTime, Utc};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// What is to be sent.
#[derive(Clone)]
pub(super) struct Outbox {
    pub(super) changes: ChangeSet,
    pub(super) bodies: Arc<Bodies>,
    /// The job's name.
    pub(super) job: String,
    /// When the run started.
    pub(super) at: DateTime<Utc>,
    /// Only these rows; `None`: all.
    pub(super) rows: Option<Range<u64>>,
}

/// What a row says.
pub(super) struct Content {
    /// Empty if it has none, or one with others.
    pub(super) body: String,
    pub(super) part: Option<Arc<dyn Part>>,
    pub(super) aside: Option<Aside>,
}

impl Outbox {
    /// That of the run that is published, from its files. `at`: when it started.
    pub(super) fn published(
        job: &Job,
        dir: &Path,
        manifest: &Manifest,
        at: DateTime<Utc>,
    ) -> Result<Self, PipelineError> {
        let changes = ChangeSet::published_in_full(dir, manifest)?;
        let bodies = Arc::new(Bodies::compile(job, &changes.shape().schema)?);
        Ok(Outbox { changes, bodies, job: job.name.clone(), at, rows: None })
    }

    /// The same with these rows alone.
    pub(super) fn within(&self, rows: Range<u64>) -> Self {
        Outbox { rows: Some(rows), ..self.clone() }
    }

    /// Whether a row is one of those that are meant.
    pub(super) fn has(&self, seq: u64) -> bool {
        self.rows.as_ref().is_none_or(|rows| rows.contains(&seq))
    }

    /// The same with the secrets that addresses and headers need which differ by row.
    pub(super) fn with_secrets(mut self, job: &Job, secrets: &Secrets) -> Result<Self, PipelineError> {
        if self.bodies.has_asides() {
            let bodies = Bodies::compile(job, &self.changes.shape().schema)?;
            self.bodies = Arc::new(bodies.with_secrets(secrets)?);
        }
        Ok(self)
    }

    /// The body of a row that goes out under `id`, of a batch that has no other row.
    pub(super) fn body(&self, batch: &ChangeBatch, at: usize, id: &str) -> Result<String, RenderError> {
        let meta = self.meta(batch, at, id);
        self.bodies.aside(batch.row(at), &meta)?;
        self.bodies.render(batch.row(at), &meta)
    }

    /// What a row that goes out under `id` says.
    pub(super) fn content(&self, batch: &ChangeBatch, at: usize, id: &str) -> Result<Content, RenderError> {
        let (row, meta) = (batch.row(at), self.meta(batch, at, id));
        let aside = self.bodies.aside(row, &meta)?;
        let part = self.bodies.part(row, &meta);
        let body = if part.is_some() { String::new() } else { self.bodies.render(row, &meta)? };
        Ok(Content { body, part, aside })
    }

    fn meta<'a>(&'a self, batch: &ChangeBatch, at: usize, id: &'a str) -> Meta<'a> {
        let operation = batch.rows[at].operation.as_str();
        Meta { job: &self.job, webhook_id: id, operation, at: self.at }
    }

    /// The changes in order, batch by batch; there may be others around those that are meant.
    pub(super) fn batches(
        &self,
    ) -> Result<impl Iterator<Item = Result<ChangeBatch, PipelineError>> + Send + use<>, PipelineError> {
        let rows = self.rows.clone().unwrap_or(0..self.changes.len());
        Ok(self.changes.batches_around(&rows)?.map(|batch| Ok(batch?)))
    }
}

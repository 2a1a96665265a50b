//! What is said of a row: the payloads of a job, and what addresses and headers have of it, compiled against one schema.
//!
//! Always holds: a body for Segment or RudderStack is a group event that they take, since a 200 of theirs proves nothing; with
//! `conforms_to`, a body is what the destination's key takes.

use super::PipelineError;
use super::asides::Asides;
use crate::deliver::{Aside, Part};
use crate::job::secrets::Secrets;
use crate::job::spec::{Job, Method, Payload, PerOperation};
use crate::row::{RowRef, Schema};
use crate::template::{
    BatchMeta, BatchTemplate, Conformance, Meta, PreparedRow, RenderError, Template, TemplateError, check_event,
};
use chrono::{DateTime, Utc};
use std::any::Any;
use std::sync::Arc;

/// The compiled payloads of a job. Shared between threads.
#[derive(Debug)]
pub struct Bodies {
    of: PerOperation<Arc<Template>>,
    asides: Option<Asides>,
    takes_events: bool,
    conforms_to: PerOperation<Option<Conformance>>,
}

impl Bodies {
    /// Compiles every payload of the job.
    pub(super) fn compile(job: &Job, schema: &Schema) -> Result<Bodies, PipelineError> {
        let mut problems: Vec<TemplateError> = Vec::new();
        let mut compile = |payload: &Payload| {
            let compiled = Template::compile(payload, schema, &job.diff.key, &job.diff.ignore);
            compiled.map(Arc::new).map_err(|found| problems.extend(found)).ok()
        };
        let usual = compile(&job.payload);
        // Every payload is compiled before any is given up.
        let of = job.payload_of.map(|_, own| own.as_ref().map_or_else(|| usual.clone(), &mut compile));
        let of = of.try_map(|_, template| template.clone().ok_or(()));
        let asides = Asides::compile(job, schema).map_err(|found| problems.extend(found));
        match (of, asides) {
            (Ok(of), Ok(asides)) if problems.is_empty() => {
                let (takes_events, conforms_to) = (job.destination.kind.takes_events(), conformance(job, schema));
                Ok(Bodies { of, asides, takes_events, conforms_to })
            }
            _ => Err(PipelineError::Template { job: job.name.clone(), problems }),
        }
    }

    /// The same with the secrets of addresses and headers that differ by row.
    pub(super) fn with_secrets(mut self, secrets: &Secrets) -> Result<Bodies, PipelineError> {
        if let Some(asides) = &mut self.asides {
            asides.fill(secrets)?;
        }
        Ok(self)
    }

    /// Whether addresses or headers differ by row.
    pub(super) fn has_asides(&self) -> bool {
        self.asides.is_some()
    }

    /// What a row says outside of its body; `None`: nothing.
    ///
    /// # Errors
    /// A value that cannot stand there, such as NULL in an address.
    pub(super) fn aside(&self, row: RowRef<'_>, meta: &Meta<'_>) -> Result<Option<Aside>, RenderError> {
        self.asides.as_ref().map(|asides| asides.render(row, meta)).transpose()
    }

    /// A row whose body is made together with others; `None`: it has its own.
    pub(super) fn part(&self, row: RowRef<'_>, meta: &Meta<'_>) -> Option<Arc<dyn Part>> {
        let template = self.of.get(meta.operation);
        template.rows()?;
        let (template, job) = (Arc::clone(template), meta.job.to_owned());
        Some(Arc::new(BatchRow { row: BatchTemplate::prepare(row, meta), template, job, at: meta.at }))
    }

    /// The body of a row; empty: its request has none.
    ///
    /// # Errors
    /// A value that the payload cannot carry, or a body that the destination would not take.
    pub(super) fn render(&self, row: RowRef<'_>, meta: &Meta<'_>) -> Result<String, RenderError> {
        let body = self.of.get(meta.operation).render(row, meta)?;
        if self.takes_events {
            check_event(&body)?;
        }
        if let Some(conformance) = self.conforms_to(meta.operation) {
            conformance.check(&body)?;
        }
        Ok(body)
    }

    /// What the bodies of an operation have to conform to.
    pub fn conforms_to(&self, operation: &str) -> Option<&Conformance> {
        self.conforms_to.get(operation).as_ref()
    }
}

/// An operation with an address of its own, or without a body, has nothing to do with the key of the usual address; nor has
/// a DELETE, which updates no org.
fn conformance(job: &Job, schema: &Schema) -> PerOperation<Option<Conformance>> {
    job.payload_of.map(|operation, _| {
        let route = job.destination.routes.get(operation);
        let payload = job.payload_for(operation);
        let is_update = route.url.is_none() && !matches!(route.method, Method::Delete | Method::Get);
        let template = job
            .conforms_to
            .as_ref()
            .filter(|_| is_update && !matches!(payload, Payload::Empty | Payload::Rows { .. }))?;
        Some(Conformance::new(template, payload, schema, &job.diff.key, &job.diff.ignore))
    })
}

/// A row of a body that is rendered by a template over `rows`.
#[derive(Debug)]
struct BatchRow {
    row: PreparedRow,
    template: Arc<Template>,
    job: String,
    at: DateTime<Utc>,
}

impl Part for BatchRow {
    fn join(&self, rows: &[&dyn Part]) -> Result<String, String> {
        let rows = rows.iter().map(|row| Some(row.as_any().downcast_ref::<BatchRow>()?.row.clone()));
        // A row of another kind must not be left out of the body in silence.
        let (Some(rows), Some(template)) = (rows.collect::<Option<Vec<PreparedRow>>>(), self.template.rows()) else {
            return Err("the payload is not one of batches".to_owned());
        };
        let meta = BatchMeta { job: &self.job, at: self.at };
        template.render(&rows, &meta).map_err(|error| format!("the payload: {error}"))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

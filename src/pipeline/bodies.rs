//! What is said of a row: the payloads of a job, compiled against one schema.
//!
//! Always holds: a body for Segment or RudderStack is a group event that they take, since a 200 of theirs proves nothing.

use super::PipelineError;
use crate::job::spec::{Job, Payload, PerOperation};
use crate::row::{RowRef, Schema};
use crate::template::{Meta, RenderError, Template, TemplateError, check_event};
use std::sync::Arc;

/// The compiled payloads of a job. Shared between threads.
#[derive(Debug)]
pub struct Bodies {
    of: PerOperation<Arc<Template>>,
    takes_events: bool,
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
        let of = job.payload_of.try_map(|_, own| {
            // Every payload is compiled before any is given up.
            Ok::<_, ()>(own.as_ref().map_or_else(|| usual.clone(), &mut compile))
        });
        let of = of.and_then(|of| of.try_map(|_, template| template.clone().ok_or(())));
        match of {
            Ok(of) if problems.is_empty() => Ok(Bodies { of, takes_events: job.destination.kind.takes_events() }),
            _ => Err(PipelineError::Template { job: job.name.clone(), problems }),
        }
    }

    /// The body of a row; empty: its request has none.
    ///
    /// # Errors
    /// A value that the payload cannot carry, or an event that the destination would not take.
    pub fn render(&self, row: RowRef<'_>, meta: &Meta<'_>) -> Result<String, RenderError> {
        let body = self.of.get(meta.operation).render(row, meta)?;
        if self.takes_events {
            check_event(&body)?;
        }
        Ok(body)
    }
}

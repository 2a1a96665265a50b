//! Payloads: what a webhook says about a row.
//!
//! In: a [`spec::Payload`](crate::job::spec::Payload) and a schema, then rows. Out: JSON bodies, for one row
//! ([`Template`]) or several ([`BatchTemplate`]), URLs and header values ([`TextTemplate`]). Pure.
//! Always holds: a body is valid JSON (or empty, where the job has none), whatever the values are, or the row is an error that
//! names the place; a value
//! never ends the JSON string that it stands in; the same row and [`Meta`] give the same bytes.
//! Deliberately absent: HTTP, and any notion of what changed but the operation's name.
//!
//! A new preset is one file in `preset/` and one arm in [`Template::compile`].

mod batch;
mod conformance;
mod error;
mod event;
mod liquid;
mod mentions;
mod preset;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub use batch::{BatchMeta, BatchTemplate, PreparedRow};
pub use conformance::Conformance;
pub use error::{Place, RenderError, TemplateError};
pub use event::check_event;
pub use mentions::may_say;
pub use text::{TextKind, TextTemplate};

use crate::job::spec::Payload;
use crate::row::{RowRef, Schema};
use chrono::{DateTime, Utc};

/// What a body may say besides the row's columns.
#[derive(Debug, Clone, Copy)]
pub struct Meta<'a> {
    /// The job's name.
    pub job: &'a str,
    /// Stable per version of a row; under 100 characters.
    pub webhook_id: &'a str,
    /// `added`, `changed` or `removed`.
    pub operation: &'static str,
    /// When the run started.
    pub at: DateTime<Utc>,
}

impl<'a> Meta<'a> {
    /// As Liquid knows it.
    fn words(&self) -> liquid::Words<'a> {
        liquid::Words { job: self.job, operation: self.operation, webhook_id: self.webhook_id, at: self.at }
    }
}

/// A payload, compiled against one schema. Shared between threads.
pub struct Template(Compiled);

enum Compiled {
    Preset(preset::Preset),
    Liquid(liquid::Liquid),
    /// Several rows to a body.
    Rows(BatchTemplate),
    /// No body.
    Empty,
}

impl Template {
    /// Compiles a payload for rows of `schema`.
    ///
    /// `key`: the key columns. `ignore`: columns that a preset leaves out unless a field names them.
    ///
    /// # Errors
    /// All problems, each with its field or its line and column in the template.
    pub fn compile(
        payload: &Payload,
        schema: &Schema,
        key: &[String],
        ignore: &[String],
    ) -> Result<Template, Vec<TemplateError>> {
        let compiled = match payload {
            Payload::Flat { fields } => Compiled::Preset(preset::flat::compile(fields, schema, ignore)?),
            Payload::Group { fields } => Compiled::Preset(preset::group::compile(fields, schema, key, ignore)?),
            Payload::Liquid { template } => {
                let (about, makes) = (liquid::About::Row, liquid::Makes::Json);
                Compiled::Liquid(liquid::Liquid::compile(template, schema, about, makes)?)
            }
            Payload::Rows { template } => Compiled::Rows(BatchTemplate::compile(template, schema)?),
            Payload::Empty => Compiled::Empty,
        };
        Ok(Template(compiled))
    }

    /// The body for one row, whose schema is the one that the template was compiled for.
    ///
    /// # Errors
    /// When this row's values cannot make a valid body; other rows are not concerned.
    pub fn render(&self, row: RowRef<'_>, meta: &Meta<'_>) -> Result<String, RenderError> {
        match &self.0 {
            Compiled::Preset(preset) => preset.render(row, meta),
            Compiled::Liquid(template) => template.render(liquid::Subject::Row(liquid::Row::Arrow(row)), meta.words()),
            Compiled::Rows(template) => {
                let batch = BatchMeta { job: meta.job, at: meta.at };
                template.render(&[BatchTemplate::prepare(row, meta)], &batch)
            }
            Compiled::Empty => Ok(String::new()),
        }
    }

    /// The template, if it makes one body of several rows. [`Template::render`] makes one of a single row of it.
    pub fn rows(&self) -> Option<&BatchTemplate> {
        match &self.0 {
            Compiled::Rows(template) => Some(template),
            _ => None,
        }
    }
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Compiled::Preset(_) => "Template(preset)",
            Compiled::Liquid(_) => "Template(liquid)",
            Compiled::Rows(_) => "Template(rows)",
            Compiled::Empty => "Template(empty)",
        })
    }
}

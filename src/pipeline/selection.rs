//! Some orgs of an extract, by their keys or by what their rows say.

use super::PipelineError;
use super::extract::{Extract, Ready};
use super::planned::PlanInput;
use crate::row::{RowRef, key_text};
use crate::template::{Meta, TextKind, TextTemplate, may_say};
use arrow::array::{BooleanArray, RecordBatch};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Which orgs are meant: those for which all of this holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Their keys, as reports show them (those of several columns joined by ` / `); `None`: any.
    pub keys: Option<BTreeSet<String>>,
    /// A condition of Liquid over `row`, such as `row.plan_id == "pro" and row.mrr > 100`; `None`: none.
    pub condition: Option<String>,
}

impl Selection {
    /// Whether every org is meant.
    pub fn is_all(&self) -> bool {
        self.keys.is_none() && self.condition.is_none()
    }
}

/// A selection, ready for the rows of one extract.
pub(super) struct Chosen<'a> {
    selection: &'a Selection,
    condition: Option<TextTemplate>,
}

impl<'a> Chosen<'a> {
    /// # Errors
    /// A condition that is none, or names what the extract does not have.
    pub(super) fn new(
        selection: &'a Selection,
        extract: &Extract,
        input: &PlanInput,
    ) -> Result<Chosen<'a>, PipelineError> {
        let condition = selection.condition.as_ref().map(|text| {
            let ignored: Vec<&String> = input.job.diff.ignore.iter().filter(|column| may_say(text, column)).collect();
            if let Some(column) = ignored.first() {
                let why =
                    format!("--where: column `{column}` is ignored (diff.ignore), so that its values are not read");
                return Err(PipelineError::Columns(vec![why]));
            }
            let template = format!("{{% if {text} %}}1{{% endif %}}");
            TextTemplate::compile(&template, &extract.shape.schema, TextKind::Header).map_err(|problems| {
                let say = |problem: crate::template::TemplateError| match &problem.hint {
                    Some(hint) => format!("--where: {}; {hint}", problem.message),
                    None => format!("--where: {}", problem.message),
                };
                PipelineError::Columns(problems.into_iter().map(say).collect())
            })
        });
        Ok(Chosen { selection, condition: condition.transpose()? })
    }

    /// The rows of a batch that are meant; `None`: all. Rows without a usable key are not.
    fn rows(&self, extract: &Extract, input: &PlanInput, ready: &Ready) -> Result<Option<BooleanArray>, PipelineError> {
        let count = u32::try_from(ready.batch.num_rows()).map_err(|_| PipelineError::TooManyRows)?;
        let rows = extract.rows(&ready.batch, (0..count).collect())?;
        let mut chosen = Vec::with_capacity(rows.num_rows());
        for row in 0..rows.num_rows() {
            let is_keyless = ready.keyless.iter().any(|bad| bad.row == row as u64);
            chosen.push(!is_keyless && self.has(extract, input, &rows, row)?);
        }
        let is_all = chosen.iter().all(|is| *is);
        Ok((!is_all).then(|| chosen.into()))
    }

    fn has(&self, extract: &Extract, input: &PlanInput, rows: &RecordBatch, row: usize) -> Result<bool, PipelineError> {
        let row = RowRef { schema: &extract.shape.schema, batch: rows, row };
        if let Some(keys) = &self.selection.keys
            && !keys.contains(&key_text(row, &extract.shape.key))
        {
            return Ok(false);
        }
        let Some(condition) = &self.condition else { return Ok(true) };
        let meta = Meta { job: &input.job.name, webhook_id: "", operation: "changed", at: input.at };
        match condition.render(row, &meta) {
            Ok(text) => Ok(!text.is_empty()),
            Err(error) => Err(PipelineError::Columns(vec![format!(
                "--where, for {}: {error}",
                key_text(row, &extract.shape.key)
            )])),
        }
    }

    /// A batch, ready, with the rows alone that are meant.
    pub(super) fn ready(
        &self,
        extract: &Extract,
        input: &PlanInput,
        batch: &RecordBatch,
    ) -> Result<Ready, PipelineError> {
        let ready = extract.ready(batch)?;
        match self.rows(extract, input, &ready)? {
            None => Ok(ready),
            // What was found out goes by rows of the batch: it is found out anew.
            Some(chosen) => extract.ready(&arrow::compute::filter_record_batch(batch, &chosen)?),
        }
    }
}

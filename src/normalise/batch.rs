//! One batch in canonical form: what each thread of a run does with the batch that it holds.

use super::Misfit;
use super::convert::{self, Conversion};
use super::plan::{Plan, Role};
use crate::row::Kind;
use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use std::sync::Arc;

/// How many misfits of a batch carry the text of their value.
const SHOWN: usize = 20;

/// One batch in canonical form.
#[derive(Debug, Clone)]
pub struct Normalised {
    /// The columns of [`Plan::schema`] that the batch has, in the schema's order: of the canonical type
    /// ([`Kind::arrow_type`]) or, where the input was a dictionary, a dictionary with the same type of keys over canonical
    /// values. No key of a dictionary points to a NULL value.
    pub batch: RecordBatch,
    /// The values that do not fit, by row and within a row by column. They read as NULL in `batch`.
    pub misfits: Vec<Misfit>,
}

/// Why a batch cannot be normalised.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// An ignored column holds a value that does not fit its kind; see [`Plan::keep_text`].
    #[error("the ignored column `{column}` holds a value that does not fit it")]
    Ignored {
        /// The column.
        column: String,
    },
    /// What Arrow refuses.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

impl Plan {
    /// The canonical form of a batch. Many threads may share the plan. A column that the batch lacks (the source left it
    /// out because nobody needs it) is left out.
    ///
    /// # Errors
    /// [`BatchError::Ignored`] asks for [`Plan::keep_text`] and a new start.
    pub fn batch(&self, batch: &RecordBatch) -> Result<Normalised, BatchError> {
        let mut fields = Vec::with_capacity(self.schema.columns.len());
        let mut arrays = Vec::with_capacity(self.schema.columns.len());
        let mut found: Vec<(usize, usize)> = Vec::new();
        for (index, column) in self.schema.columns.iter().enumerate() {
            let Some(array) = batch.column_by_name(&column.name) else { continue };
            let Conversion { array, failures } = self.keeping_dictionaries(array, column.kind)?;
            match self.roles[index] {
                _ if failures.is_empty() => {}
                Role::Ignored if !self.text_kept[index] => {
                    return Err(BatchError::Ignored { column: column.name.clone() });
                }
                // What cannot even be text is NULL: nobody compares it.
                Role::Ignored => {}
                Role::Key | Role::Strict | Role::Payload => found.extend(failures.into_iter().map(|row| (row, index))),
            }
            fields.push(Field::new(&column.name, array.data_type().clone(), true));
            arrays.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let canonical = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?;
        Ok(Normalised { batch: canonical, misfits: self.misfits(batch, found) })
    }

    /// From now on an ignored column is kept as text, since it has values that do not fit its kind. The caller starts over
    /// with the first batch, so that all batches have the one schema.
    pub fn keep_text(&mut self, column: &str) {
        if let Some(index) = self.schema.index_of(column) {
            self.schema.columns[index].kind = Kind::Text;
            self.text_kept[index] = true;
        }
    }

    fn misfits(&self, batch: &RecordBatch, mut found: Vec<(usize, usize)>) -> Vec<Misfit> {
        found.sort_unstable();
        let reasons: Vec<Arc<str>> = (0..self.roles.len()).map(|column| Arc::from(self.reason(column))).collect();
        let misfit = |(order, (row, column)): (usize, (usize, usize))| {
            let name = &self.schema.columns[column].name;
            let array = batch.column_by_name(name).filter(|_| order < SHOWN);
            let value = array.map(|array| convert::shown(array, row));
            Misfit { row, column, value, reason: Arc::clone(&reasons[column]) }
        };
        found.into_iter().enumerate().map(misfit).collect()
    }

    fn reason(&self, column: usize) -> String {
        let kind = self.schema.columns[column].kind;
        if self.pinned[column] {
            format!("does not fit {kind}, the type that the column had when it was pinned")
        } else {
            format!("does not fit {kind}")
        }
    }

    fn keeping_dictionaries(&self, array: &ArrayRef, kind: Kind) -> Result<Conversion, ArrowError> {
        match array.data_type() {
            DataType::Dictionary(_, _) => self.dictionaries.convert(array, kind),
            _ => convert::convert(array, kind),
        }
    }
}

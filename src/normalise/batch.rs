//! One batch in canonical form, on any thread.

use super::convert::{self, Conversion};
use super::{Plan, Reject, Role};
use crate::row::Kind;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One batch in canonical form.
#[derive(Debug)]
pub struct Normalised {
    /// The columns of [`Plan::schema`] that the batch has, in the schema's order: canonical ([`Kind::arrow_type`]), or a
    /// dictionary whose values are, where the batch has a dictionary.
    pub batch: RecordBatch,
    /// Values that do not fit, by column, then by row; at most one for each row and column.
    pub misfits: Vec<Misfit>,
}

/// A value that does not fit its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The row of the batch.
    pub row: usize,
    /// The column.
    pub column: String,
    /// The value as the source had it, cut at 80 characters; only of the first 20 of a column.
    pub value: Option<String>,
    /// What it should have been.
    pub reason: String,
}

impl Misfit {
    /// The same for a report. `first`: the position of the batch's first row in the extract.
    pub fn reject(&self, first: u64) -> Reject {
        Reject {
            row: first + self.row as u64,
            column: self.column.clone(),
            value: self.value.clone().unwrap_or_default(),
            reason: self.reason.clone(),
        }
    }
}

/// Why a batch has no canonical form.
#[derive(Debug)]
pub enum BatchError {
    /// An ignored column holds a value that does not fit its kind: it is to be kept as text ([`Plan::keep_text`]), from the
    /// first row on.
    Ignored {
        /// The column.
        column: String,
    },
    /// What Arrow itself refuses.
    Arrow(ArrowError),
}

impl From<ArrowError> for BatchError {
    fn from(error: ArrowError) -> Self {
        BatchError::Arrow(error)
    }
}

/// Misfits whose values are shown, of a column and batch.
const SHOWN: usize = 20;

impl Plan {
    /// Makes a batch canonical. A column that it lacks is left out.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn batch(&self, batch: &RecordBatch) -> Result<Normalised, BatchError> {
        let (mut fields, mut columns, mut misfits) = (Vec::new(), Vec::new(), Vec::new());
        for (index, column) in self.schema().columns.iter().enumerate() {
            let Some(array) = batch.column_by_name(&column.name) else { continue };
            let (canonical, failures) = canonical(array, column.kind)?;
            if self.role(index) == Role::Ignored {
                if !failures.is_empty() && !self.is_text_kept(index) {
                    return Err(BatchError::Ignored { column: column.name.clone() });
                }
                // What fits nothing in an ignored column is NULL: nobody compares it.
            } else {
                misfits.extend(failures.into_iter().enumerate().map(|(number, row)| Misfit {
                    row,
                    column: column.name.clone(),
                    value: (number < SHOWN).then(|| convert::shown(array, row)),
                    reason: format!("does not fit {}, the type that the column had when it was pinned", column.kind),
                }));
            }
            fields.push(Field::new(&column.name, canonical.data_type().clone(), true));
            columns.push(canonical);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?;
        Ok(Normalised { batch, misfits })
    }
}

/// One array as the canonical array of a kind, or, of a dictionary, a dictionary of canonical values; and the rows with a
/// value that does not fit, which are NULL there.
///
/// # Errors
/// Only what Arrow itself refuses.
pub fn canonical(array: &ArrayRef, kind: Kind) -> Result<(ArrayRef, Vec<usize>), ArrowError> {
    let Some(dictionary) = array.as_any_dictionary_opt() else {
        let Conversion { array, failures } = convert::convert(array, kind)?;
        return Ok((array, failures));
    };
    if dictionary.values().len() > dictionary.len() {
        // A slice of a long dictionary: most values are not here.
        let DataType::Dictionary(_, values) = array.data_type() else { return canonical_values(array, kind) };
        return canonical_values(&cast(array, values)?, kind);
    }
    let Conversion { array: values, failures } = convert::convert(dictionary.values(), kind)?;
    let canonical = dictionary.with_values(values);
    if failures.is_empty() || dictionary.is_empty() {
        return Ok((canonical, Vec::new()));
    }
    let (failures, keys): (BTreeSet<usize>, _) = (failures.into_iter().collect(), dictionary.normalized_keys());
    let rows = (0..array.len()).filter(|&row| array.is_valid(row) && failures.contains(&keys[row])).collect();
    Ok((canonical, rows))
}

fn canonical_values(array: &ArrayRef, kind: Kind) -> Result<(ArrayRef, Vec<usize>), ArrowError> {
    let Conversion { array, failures } = convert::convert(array, kind)?;
    Ok((array, failures))
}

/// A dictionary as the plain array of its values; any other array as it is.
///
/// # Errors
/// Only what Arrow itself refuses.
pub fn plain(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Dictionary(_, values) => cast(array, values),
        _ => Ok(Arc::clone(array)),
    }
}

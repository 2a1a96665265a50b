//! A whole extract at once: what the tests hold [`Plan::batch`] against.

use super::convert::{self, Conversion};
use super::plan::{Plan, Role};
use super::{Reject, Rejects};
use crate::row::Kind;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::error::ArrowError;
use std::sync::Arc;

impl Plan {
    /// Turns all batches of an extract into canonical ones. Ignored columns with a value that does not fit become text
    /// first, which changes [`Plan::schema`].
    ///
    /// # Errors
    /// Only what Arrow itself refuses.
    pub(super) fn normalise(&mut self, batches: &[RecordBatch]) -> Result<(Vec<RecordBatch>, Rejects), ArrowError> {
        let mut rejects = Rejects::default();
        let mut columns: Vec<Vec<ArrayRef>> = vec![Vec::new(); batches.len()];
        for index in 0..self.roles.len() {
            for (array, out) in self.column(index, batches, &mut rejects)?.into_iter().zip(&mut columns) {
                out.push(array);
            }
        }
        let arrow = self.schema.arrow();
        let canonical = columns
            .into_iter()
            .zip(batches)
            .map(|(arrays, batch)| {
                let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                RecordBatch::try_new_with_options(Arc::clone(&arrow), arrays, &options)
            })
            .collect::<Result<_, _>>()?;
        Ok((canonical, rejects))
    }

    fn column(
        &mut self,
        index: usize,
        batches: &[RecordBatch],
        rejects: &mut Rejects,
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let kind = self.schema.columns[index].kind;
        let converted: Vec<Conversion> =
            batches.iter().map(|b| convert::convert(b.column(index), kind)).collect::<Result<_, _>>()?;
        let failed = converted.iter().any(|c| !c.failures.is_empty());
        if failed && self.roles[index] == Role::Ignored && !self.text_kept[index] {
            self.text_kept[index] = true;
            self.schema.columns[index].kind = Kind::Text;
            return self.column(index, batches, rejects);
        }
        let mut first_row = 0u64;
        let mut arrays = Vec::with_capacity(converted.len());
        for (conversion, batch) in converted.into_iter().zip(batches) {
            // What fits nothing in an ignored column is NULL: nobody compares it.
            let failures = conversion.failures.into_iter().filter(|_| self.roles[index] != Role::Ignored);
            for failure in failures {
                rejects.push(Reject {
                    row: first_row + failure as u64,
                    column: self.schema.columns[index].name.clone(),
                    value: convert::shown(batch.column(index), failure),
                    reason: format!("does not fit {kind}, the type that the column had when it was pinned"),
                });
            }
            first_row += batch.num_rows() as u64;
            arrays.push(conversion.array);
        }
        Ok(arrays)
    }
}

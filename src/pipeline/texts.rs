//! Keys as text, for messages about them: the extract is read once more, which only a bad one needs.

use super::PipelineError;
use super::extract::{Extract, source_error};
use crate::job::spec::Job;
use crate::row::{RowRef, key_text};

/// The keys of these rows of the extract, in the order asked for.
pub(super) fn keys(job: &Job, extract: &Extract, rows: &[u32]) -> Result<Vec<String>, PipelineError> {
    let mut texts = vec![String::new(); rows.len()];
    let (mut first, mut left) = (0u32, rows.len());
    while left > 0
        && let Some(piece) = extract.stream.rows.next().map_err(|e| source_error(job, e))?
    {
        for batch in piece.batches {
            let batch = batch.map_err(|e| source_error(job, e))?;
            let next = first + batch.num_rows() as u32;
            let wanted: Vec<usize> = (0..rows.len()).filter(|i| (first..next).contains(&rows[*i])).collect();
            if !wanted.is_empty() {
                let ready = extract.ready(&batch)?;
                let picked = extract.rows(&ready.batch, wanted.iter().map(|i| rows[*i] - first).collect())?;
                for (row, &i) in wanted.iter().enumerate() {
                    let row = RowRef { schema: &extract.shape.schema, batch: &picked, row };
                    texts[i] = key_text(row, &extract.shape.key);
                }
                left -= wanted.len();
            }
            first = next;
        }
    }
    Ok(texts)
}

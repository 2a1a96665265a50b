//! From a block to Arrow batches.

use super::feed::{Block, Input};
use super::rows::Reading;
use crate::source::SourceError;
use crate::source::files::partitions::{Partitions, repeated_text};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringViewBuilder};
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// Rows of a batch.
const ROWS: usize = 16 << 10;

/// What batches look like.
#[derive(Debug)]
pub struct Shape {
    /// What is read and how.
    pub input: Arc<Input>,
    /// The columns of the batches.
    pub schema: SchemaRef,
    /// For each column of the extract, its position in the batches; `None` if it is not wanted.
    pub slots: Vec<Option<usize>>,
    /// Columns that the files' folders say; they stand behind the extract's own, also in `slots`.
    pub said: Partitions,
}

/// The batches of one block.
pub struct Batches {
    shape: Arc<Shape>,
    state: State,
}

enum State {
    New(Block),
    Reading(Box<Reading>),
    Done,
}

impl Batches {
    /// Nothing of the block is looked at yet.
    pub fn new(shape: Arc<Shape>, block: Block) -> Self {
        Batches { shape, state: State::New(block) }
    }

    fn read(&self, reading: &mut Reading) -> Result<Option<RecordBatch>, SourceError> {
        let new = || StringViewBuilder::with_capacity(ROWS);
        let mut builders: Vec<StringViewBuilder> = self.shape.schema.fields().iter().map(|_| new()).collect();
        let slots = reading.places().iter().map(|&place| self.shape.slots[place]).enumerate();
        let wanted: Vec<(usize, usize)> = slots.filter_map(|(index, slot)| Some((index, slot?))).collect();
        let rows = reading.rows(ROWS, |row| {
            for &(index, slot) in &wanted {
                builders[slot].append_option(row.value(index));
            }
        })?;
        if rows == 0 {
            return Ok(None);
        }
        let mut columns: Vec<ArrayRef> =
            builders.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef).collect();
        let said = self.shape.said.values(reading.file()).iter();
        let behind = self.shape.slots.len() - self.shape.said.names.len();
        for (value, slot) in said.zip(&self.shape.slots[behind..]) {
            if let Some(slot) = slot {
                columns[*slot] = repeated_text(value.as_deref(), rows);
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.shape.schema), columns, &options);
        batch.map(Some).map_err(|e| SourceError::new(format!("putting columns together: {e}")))
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut reading = match std::mem::replace(&mut self.state, State::Done) {
            State::New(block) => match Reading::new(&self.shape.input, block) {
                Ok(reading) => Box::new(reading),
                Err(error) => return Some(Err(error)),
            },
            State::Reading(reading) => reading,
            State::Done => return None,
        };
        let batch = self.read(&mut reading).transpose()?;
        if batch.is_ok() {
            self.state = State::Reading(reading);
        }
        Some(batch)
    }
}

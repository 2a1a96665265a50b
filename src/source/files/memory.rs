//! Rows that are in memory already.

use crate::row::Schema;
use crate::source::{Piece, Rows, SourceError, Stream, Typing};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Rows of a piece, at most.
const ROWS: usize = 64 << 10;

/// An extract that is in memory.
pub struct Whole {
    /// As [`Stream::schema`].
    pub schema: SchemaRef,
    /// All rows in order.
    pub batches: Vec<RecordBatch>,
    /// As [`Stream::typing`].
    pub typing: Typing,
    /// As [`Stream::input`].
    pub input: Option<Schema>,
}

/// An extract as a stream. What was handed out is freed by whoever took it.
pub fn stream(whole: Whole) -> Stream {
    let Whole { schema, batches, typing, input } = whole;
    let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>() as u64;
    let left = Left { batches: batches.into(), at: 0, number: 0 };
    Stream {
        schema,
        typing,
        input,
        rows: Box::new(Memory { left: Mutex::new(left), rows }),
        files: None,
        partial: false,
    }
}

struct Memory {
    left: Mutex<Left>,
    rows: u64,
}

struct Left {
    batches: VecDeque<RecordBatch>,
    /// How many rows of the first batch were handed out.
    at: usize,
    number: u64,
}

impl Rows for Memory {
    fn next(&self) -> Result<Option<Piece>, SourceError> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(first) = left.batches.front() {
            let count = (first.num_rows() - left.at).min(ROWS);
            if count > 0 {
                let part = first.slice(left.at, count);
                let number = left.number;
                left.at += count;
                left.number += 1;
                return Ok(Some(Piece { number, batches: Box::new(std::iter::once(Ok(part))) }));
            }
            left.batches.pop_front();
            left.at = 0;
        }
        Ok(None)
    }

    fn estimate(&self) -> u64 {
        self.rows
    }
}

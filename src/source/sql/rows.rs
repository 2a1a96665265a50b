//! The pieces of a feed, decoded by whoever takes them.

use super::feed::Feed;
use super::tuples::Tuples;
use crate::source::{Ask, Piece, Rows, SourceError};
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Says which columns are wanted, and waits until rows will come. Returns their positions in the schema.
///
/// # Errors
/// Whatever keeps the rows from coming.
pub(super) fn choose<H>(
    feed: &Feed<H, Tuples>,
    schema: &Schema,
    ask: &Ask<'_>,
    chosen: oneshot::Sender<Vec<usize>>,
) -> Result<Vec<usize>, SourceError> {
    let wanted = |index: &usize| (ask.wanted)(schema.field(*index).name());
    let mut columns: Vec<usize> = (0..schema.fields().len()).filter(wanted).collect();
    if columns.is_empty() && !schema.fields().is_empty() {
        // Rows are counted by what they have.
        columns.push(0);
    }
    // If the thread is gone, it has said why.
    let _ = chosen.send(columns.clone());
    feed.ready()?;
    Ok(columns)
}

/// The rows of an extract. `H`: the head of its feed; `D`: what makes a batch of a piece.
pub(super) struct Extract<H, D> {
    feed: Feed<H, Tuples>,
    decode: Arc<D>,
    estimate: u64,
}

impl<H, D: Fn(&Tuples) -> Result<RecordBatch, SourceError>> Extract<H, D> {
    /// `estimate`: about how many rows there are.
    pub(super) fn new(feed: Feed<H, Tuples>, decode: D, estimate: u64) -> Self {
        Extract { feed, decode: Arc::new(decode), estimate }
    }
}

impl<H, D> Rows for Extract<H, D>
where
    H: Send,
    D: Fn(&Tuples) -> Result<RecordBatch, SourceError> + Send + Sync + 'static,
{
    fn next(&self) -> Result<Option<Piece>, SourceError> {
        let Some((number, tuples)) = self.feed.next()? else { return Ok(None) };
        let decode = Arc::clone(&self.decode);
        let batches = std::iter::once_with(move || decode(&tuples));
        Ok(Some(Piece { number, batches: Box::new(batches) }))
    }

    fn estimate(&self) -> u64 {
        self.estimate
    }
}

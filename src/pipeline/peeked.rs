//! A look at the first rows of an extract, which are still to come afterwards.

use super::extract::Extract;
use crate::row::KeyHash;
use crate::source::{Piece, Rows, SourceError};
use std::sync::{Mutex, PoisonError};

/// Rows whose first piece was looked at.
struct Peeked {
    first: Mutex<Option<Piece>>,
    rest: Box<dyn Rows>,
}

impl Rows for Peeked {
    fn next(&self) -> Result<Option<Piece>, SourceError> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.map_or_else(|| self.rest.next(), |first| Ok(Some(first)))
    }

    fn estimate(&self) -> u64 {
        self.rest.estimate()
    }
}

/// The hashes of the first batch's keys; none if there is none that can be read, which the rows tell when they come.
pub(super) fn first_keys(mut extract: Extract) -> (Extract, Vec<KeyHash>) {
    let Ok(Some(Piece { number, mut batches })) = extract.stream.rows.next() else { return (extract, Vec::new()) };
    let batch = batches.next();
    let ready = batch.as_ref().and_then(|batch| extract.ready(batch.as_ref().ok()?).ok());
    let keys = ready.map(|ready| ready.keys).unwrap_or_default();
    let first = Mutex::new(Some(Piece { number, batches: Box::new(batch.into_iter().chain(batches)) }));
    extract.stream.rows = Box::new(Peeked { first, rest: extract.stream.rows });
    (extract, keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct None3;

    impl Rows for None3 {
        fn next(&self) -> Result<Option<Piece>, SourceError> {
            Ok(None)
        }

        fn estimate(&self) -> u64 {
            3
        }
    }

    #[test]
    fn the_first_piece_comes_once() {
        let first = Piece { number: 0, batches: Box::new(std::iter::empty()) };
        let rows = Peeked { first: Mutex::new(Some(first)), rest: Box::new(None3) };
        assert_eq!(rows.next().unwrap().map(|piece| piece.number), Some(0));
        assert!(rows.next().unwrap().is_none());
        assert_eq!(rows.estimate(), 3);
    }
}

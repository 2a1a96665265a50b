//! A look at the first rows of an extract, which are still to come afterwards.

use super::extract::Extract;
use crate::row::KeyHash;
use crate::source::{Piece, Rows, SourceError};
use std::sync::{Mutex, PoisonError};

/// What a source said when it was asked for the first time.
type First = Result<Option<Piece>, SourceError>;

/// Rows whose first piece was looked at.
struct Peeked {
    first: Mutex<Option<First>>,
    rest: Box<dyn Rows>,
}

impl Rows for Peeked {
    fn next(&self) -> First {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.unwrap_or_else(|| self.rest.next())
    }

    fn estimate(&self) -> u64 {
        self.rest.estimate()
    }
}

/// The hashes of the first batch's keys; none if there is none that can be read. Whatever was read or failed comes again with
/// the rows: an error that got lost here would make the extract a shorter one.
pub(super) fn first_keys(mut extract: Extract) -> (Extract, Vec<KeyHash>) {
    let (mut first, mut keys) = (extract.stream.rows.next(), Vec::new());
    if let Ok(Some(piece)) = &mut first {
        let batch = piece.batches.next();
        let ready = batch.as_ref().and_then(|batch| extract.ready(batch.as_ref().ok()?).ok());
        keys = ready.map(|ready| ready.keys).unwrap_or_default();
        let rest = std::mem::replace(&mut piece.batches, Box::new(std::iter::empty()));
        piece.batches = Box::new(batch.into_iter().chain(rest));
    }
    extract.stream.rows = Box::new(Peeked { first: Mutex::new(Some(first)), rest: extract.stream.rows });
    (extract, keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows that come to nothing.
    struct Nothing;

    impl Rows for Nothing {
        fn next(&self) -> First {
            Ok(None)
        }

        fn estimate(&self) -> u64 {
            3
        }
    }

    #[test]
    fn what_the_source_said_first_comes_once_also_an_error() {
        let piece = Piece { number: 0, batches: Box::new(std::iter::empty()) };
        for (first, said) in [(Ok(Some(piece)), "0"), (Err(SourceError::new("torn")), "torn"), (Ok(None), "end")] {
            let rows = Peeked { first: Mutex::new(Some(first)), rest: Box::new(Nothing) };
            let first = match rows.next() {
                Ok(Some(piece)) => piece.number.to_string(),
                Ok(None) => "end".to_owned(),
                Err(error) => error.to_string(),
            };
            assert_eq!(first, said);
            assert!(rows.next().unwrap().is_none());
            assert_eq!(rows.estimate(), 3);
        }
    }
}

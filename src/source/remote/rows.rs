//! The rows of copies: the folder lives as long as they do, and messages name the files as the user knows them.

use super::folder::Folder;
use crate::source::{Piece, Rows, SourceError, Stream};
use arrow::array::RecordBatch;
use std::path::PathBuf;
use std::sync::Arc;

/// How copies are called, and how the files that they are of.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) folder: PathBuf,
    /// Ends in a `/`.
    pub(super) place: String,
}

impl Names {
    /// The error with the files' own names.
    pub(super) fn put_right(&self, error: SourceError) -> SourceError {
        let folder = format!("{}/", self.folder.display());
        SourceError {
            message: error.message.replace(&folder, &self.place),
            hint: error.hint.map(|hint| hint.replace(&folder, &self.place)),
            columns: error.columns,
        }
    }
}

/// The stream, which keeps the folder.
pub(super) fn keep(stream: Stream, folder: Folder, names: Names, held: Vec<String>) -> Stream {
    let kept = Arc::new(Kept { names, folder });
    Stream { rows: Box::new(KeptRows { rows: stream.rows, kept, held }), ..stream }
}

struct Kept {
    names: Names,
    #[expect(dead_code, reason = "it goes when nobody reads any more")]
    folder: Folder,
}

struct KeptRows {
    rows: Box<dyn Rows>,
    kept: Arc<Kept>,
    held: Vec<String>,
}

impl Rows for KeptRows {
    fn next(&self) -> Result<Option<Piece>, SourceError> {
        let Some(piece) = self.rows.next().map_err(|error| self.kept.names.put_right(error))? else { return Ok(None) };
        let batches = Box::new(KeptBatches { batches: piece.batches, kept: Arc::clone(&self.kept) });
        Ok(Some(Piece { number: piece.number, batches }))
    }

    fn estimate(&self) -> u64 {
        self.rows.estimate()
    }

    fn held(&self) -> Vec<String> {
        self.held.clone()
    }
}

struct KeptBatches {
    batches: Box<dyn Iterator<Item = Result<RecordBatch, SourceError>> + Send>,
    kept: Arc<Kept>,
}

impl Iterator for KeptBatches {
    type Item = Result<RecordBatch, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.batches.next()?.map_err(|error| self.kept.names.put_right(error)))
    }
}

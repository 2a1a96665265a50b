//! A CSV file in blocks of whole records.

use super::lexer::Dialect;
use crate::source::SourceError;
use crate::source::files::compress::Unpacked;
use std::path::{Path, PathBuf};

/// So many unpacked bytes a block has, unless a record is longer.
pub const BLOCK: usize = 4 << 20;

/// A longer record is no record: a quote was opened and never closed. Without this bound such a file would be held whole.
const LONGEST: usize = 64 << 20;

/// Cuts a file into blocks as it is read.
pub struct Blocks {
    path: PathBuf,
    file: Unpacked,
    dialect: Dialect,
    size: usize,
    longest: usize,
    /// The beginning of the record that the last block was cut before.
    rest: Vec<u8>,
    begun: bool,
    ended: bool,
}

impl Blocks {
    /// Opens a file; blocks are to have `size` bytes.
    pub fn open(path: &Path, dialect: Dialect, size: usize) -> Result<Self, SourceError> {
        let file = Unpacked::open(path)?;
        let (path, rest) = (path.to_owned(), Vec::new());
        Ok(Blocks { path, file, dialect, size, longest: LONGEST, rest, begun: false, ended: false })
    }

    /// The file.
    pub fn file(&self) -> &Unpacked {
        &self.file
    }

    /// Whether all of it is read.
    pub fn is_read(&self) -> bool {
        self.ended
    }

    /// The next block: it begins with a record (or blank lines) and ends after one.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, SourceError> {
        let mut target = self.size.max(1);
        let mut block = Vec::with_capacity(target + self.rest.len());
        block.append(&mut self.rest);
        loop {
            if !self.ended && block.len() < target {
                self.ended = self.file.append(&self.path, target - block.len(), &mut block)?;
            }
            if !self.begun && (self.ended || block.len() >= 3) {
                self.begun = true;
                begin(&self.path, &mut block)?;
            }
            if self.ended {
                return Ok((!block.is_empty()).then_some(block));
            }
            if let Some(cut) = self.dialect.boundary(&block) {
                self.rest = block.split_off(cut);
                return Ok(Some(block));
            }
            if block.len() > self.longest {
                return Err(self.too_long(&block));
            }
            target = target.max(block.len()) * 2;
        }
    }

    fn too_long(&self, block: &[u8]) -> SourceError {
        let start: String = String::from_utf8_lossy(&block[..block.len().min(60)]).into_owned();
        let (path, limit) = (self.path.display(), self.longest >> 20);
        SourceError::new(format!("{path} has a record of more than {limit} MiB; it begins with {start:?}"))
            .hint("a quote may be opened and never closed: double the quotes in a field, or set source.quote = \"\"")
    }
}

/// Takes the byte order mark off a file's first bytes.
fn begin(path: &Path, block: &mut Vec<u8>) -> Result<(), SourceError> {
    if block.starts_with(&[0xff, 0xfe]) || block.starts_with(&[0xfe, 0xff]) {
        return Err(SourceError::new(format!("{} is UTF-16, not UTF-8", path.display()))
            .hint("convert it, e.g. with: iconv -f utf16 -t utf8 IN > OUT"));
    }
    if block.starts_with(b"\xef\xbb\xbf") {
        block.drain(..3);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_that_is_never_closed_does_not_fill_the_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, format!("id,name\n1,a\n2,\"open\n{}", "3,b\n".repeat(10_000))).unwrap();
        let dialect = Dialect { delimiter: b',', quote: Some(b'"') };
        let mut blocks = Blocks { longest: 1000, ..Blocks::open(&path, dialect, 64).unwrap() };
        assert_eq!(blocks.next().unwrap().unwrap(), b"id,name\n1,a\n");
        let error = blocks.next().unwrap_err();
        assert!(error.message.contains("it begins with \"2,\\\"open\\n3,b"), "{error}");
        assert!(blocks.file.read() < 3000 && error.hint.is_some());
    }
}

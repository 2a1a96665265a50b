//! From a block to its rows, and to the error if it has none.

use super::check::{Checked, Problems};
use super::feed::{Block, Feed, Input};
use super::lexer::{Dialect, Field, Lexer, line_breaks};
use crate::source::SourceError;
use crate::source::files::stamp::changed;
use std::sync::Arc;

/// A block whose records are read one after the other.
#[derive(Debug)]
pub struct Reading {
    input: Arc<Input>,
    block: Block,
    /// The block's bytes, which are UTF-8.
    text: String,
    at: usize,
    line: u64,
    fields: Vec<Field>,
    scratch: String,
}

impl Reading {
    /// Begins with a block.
    ///
    /// # Errors
    /// The problems of the whole file, if the block is not UTF-8. For that the file is read once more: which lines are at
    /// fault matters only now.
    pub fn new(input: &Arc<Input>, mut block: Block) -> Result<Self, SourceError> {
        let Ok(text) = String::from_utf8(std::mem::take(&mut block.bytes)) else { return Err(survey(input, &block)) };
        let (at, line) = (block.start, block.line);
        let (fields, scratch) = (Vec::new(), String::new());
        Ok(Reading { input: Arc::clone(input), block, text, at, line, fields, scratch })
    }

    /// For each column of the file, its position in the extract.
    pub fn places(&self) -> &[usize] {
        &self.block.file.places
    }

    /// Which of the files it is of.
    pub fn file(&self) -> usize {
        self.block.file.index
    }

    /// Hands the next rows to `row`, at most `count`. Returns how many there were.
    ///
    /// # Errors
    /// As for [`Reading::new`], if a row's quotes or number of fields are wrong.
    pub fn rows(&mut self, count: usize, mut row: impl FnMut(&mut Row<'_>)) -> Result<usize, SourceError> {
        let mut lexer = Lexer::new(self.text.as_bytes(), self.at, Dialect::from(&self.input.options));
        let width = self.block.file.places.len();
        for done in 0..count {
            let from = lexer.at();
            let Some(record) = lexer.next(&mut self.fields) else {
                self.at = self.text.len();
                return Ok(done);
            };
            if record.fault.is_some() || self.fields.len() != width {
                return Err(survey(&self.input, &self.block));
            }
            let line = (self.line, from..record.start);
            row(&mut Row {
                of: &self.text,
                fields: &self.fields,
                input: &self.input,
                scratch: &mut self.scratch,
                line,
            });
        }
        self.at = lexer.at();
        Ok(count)
    }

    /// As [`Reading::rows`] for all rows of the block, each with its line.
    pub fn numbered(&mut self, mut row: impl FnMut(u64, &mut Row<'_>)) -> Result<usize, SourceError> {
        let mut line = self.line;
        let mut counted = self.at;
        self.rows(usize::MAX, |it| {
            line += line_breaks(&it.of.as_bytes()[counted..it.line.1.end]);
            counted = it.line.1.end;
            row(line, it);
        })
    }
}

/// A row whose quoting and number of fields are right.
pub struct Row<'a> {
    of: &'a str,
    fields: &'a [Field],
    input: &'a Input,
    scratch: &'a mut String,
    line: (u64, std::ops::Range<usize>),
}

impl Row<'_> {
    /// The value of the file's column at `index`; `None` is NULL, which is an unquoted spelling of it.
    pub fn value(&mut self, index: usize) -> Option<&str> {
        let field = self.fields.get(index)?;
        let text = self.of.get(field.start..field.end)?;
        if field.doubled {
            // Doubled quotes are in quoted fields only, and the byte before such a field is its quote.
            let quote = self.of.get(field.start - 1..field.start)?;
            unescape(text, quote, self.scratch);
            return Some(self.scratch);
        }
        let null = !field.quoted && self.input.options.null_values.iter().any(|null| null == text);
        (!null).then_some(text)
    }
}

/// Makes one of each two quotes.
fn unescape(text: &str, quote: &str, into: &mut String) {
    into.clear();
    let mut parts = text.split(quote);
    into.extend(parts.next());
    // `a""b` is split into `a`, `` and `b`: every other part begins after a pair.
    while let Some(between) = parts.next() {
        into.push_str(between);
        into.push_str(quote);
        into.extend(parts.next());
    }
}

/// The problems of the file that a block is from.
fn survey(input: &Input, block: &Block) -> SourceError {
    let file = &block.file;
    let alone = Input { paths: vec![file.path.clone()], limit: file.limit, ..input.clone() };
    let mut problems = Problems::default();
    let read = Feed::open(Arc::new(alone), Vec::new(), true).and_then(|mut feed| {
        while let Some(block) = feed.next()? {
            note(&block, Dialect::from(&input.options), &mut problems);
        }
        Ok(())
    });
    match read {
        _ if !problems.is_empty() => problems.into_error(&file.path),
        Err(error) => error,
        // It had a problem a moment ago.
        Ok(()) => changed(&file.path),
    }
}

fn note(block: &Block, dialect: Dialect, problems: &mut Problems) {
    let (bytes, mut line, mut counted) = (block.bytes.as_slice(), block.line, block.start);
    let (mut lexer, mut fields) = (Lexer::new(bytes, block.start, dialect), Vec::new());
    while let Some(record) = lexer.next(&mut fields) {
        line += line_breaks(&bytes[counted..record.start]);
        counted = record.start;
        Checked { bytes, record, fields: &fields, line }.check(&block.file.names, problems);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_quotes_are_one() {
        let check = |text: &str| {
            let mut out = "old".to_owned();
            unescape(text, "\"", &mut out);
            assert_eq!(out, text.replace("\"\"", "\""), "{text}");
        };
        for text in ["", "a", "\"\"", "a\"\"b", "\"\"\"\"", "a\"\"\"\"b\"\"", "\"\"a\"\"\"\"\"\"b"] {
            check(text);
        }
    }
}

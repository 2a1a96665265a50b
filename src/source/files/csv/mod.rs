//! CSV files: a stream of text columns, or one frame of them for a SQL model.
//!
//! `feed` (the files in order) → `blocks` (whole records, about 4 MiB; the only step under a lock) → `lexer` (where records
//! and fields stand) → `rows` (values and NULLs) → `batches`, `guess` or `frame`.
//!
//! Polars' own CSV reader is not used: it fills short rows with NULL, takes a quoted `"NULL"` for NULL, and splits work at
//! line breaks by counting quotes, so that a lone quote in a plain field can move rows.
//!
//! NULL: an *unquoted* field that is exactly one of `null_values` (by default the empty field). A quoted field is always
//! text, so `""` is the empty text. Blanks are part of a value.
//!
//! Always holds: a row with too few or too many fields, faulty quotes or bytes that are not UTF-8 is an error that names
//! its line. Lines are counted only then, by reading the file once more (`rows`). A file that is written to meanwhile is an
//! error as well.

mod batches;
mod blocks;
mod check;
mod feed;
mod frame;
mod guess;
mod head;
mod lexer;
mod rows;

pub use blocks::BLOCK;
pub use feed::Input;
pub use frame::{CsvTable, Origin, read};

use super::partitions::Partitions;
use super::typed::pinned_kind;
use crate::row::{Column, Kind, Schema};
use crate::source::{Ask, Piece, Rows, SourceError, Stream, Typing};
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema};
use batches::{Batches, Shape};
use feed::Feed;
use std::sync::{Arc, Mutex, PoisonError};

/// Opens the files. If there are wanted columns without a pinned kind, the rows are looked at beforehand, until it is
/// certain what these columns look like.
pub fn stream(input: Input, ask: &Ask<'_>) -> Result<Stream, SourceError> {
    let input = Arc::new(input);
    let mut feed = Feed::open(Arc::clone(&input), Vec::new(), false)?;
    let said = input.partitions.besides(feed.names());
    let own = feed.names().len();
    let names = [feed.names(), &said.names].concat();
    let wanted: Vec<bool> = names.iter().map(|name| (ask.wanted)(name)).collect();
    let pinned: Vec<Option<Kind>> = names.iter().map(|name| pinned_kind(ask.pinned, name)).collect();
    let mut estimate = feed.estimate();
    let unknown: Vec<bool> = wanted.iter().zip(&pinned).map(|(wanted, pinned)| *wanted && pinned.is_none()).collect();
    let mut guessed = vec![Kind::Text; names.len()];
    // What folders say is text.
    let unknown = &unknown[..own];
    if unknown.contains(&true) {
        let first = Mutex::new(feed);
        let found = guess::guess(&input, &first, unknown)?;
        estimate = found.rows.unwrap_or(estimate);
        guessed[..own].clone_from_slice(&found.kinds);
        let first = first.into_inner().unwrap_or_else(PoisonError::into_inner);
        feed = Feed::open(Arc::clone(&input), first.stamps(), false)?;
    }
    let kind = |index: usize| pinned[index].unwrap_or(guessed[index]);
    let columns = names.iter().enumerate().map(|(index, name)| Column { name: name.clone(), kind: kind(index) });
    let typing = Typing::Guess(Schema { columns: columns.collect() });
    let fields: Vec<Field> = names.iter().map(|name| Field::new(name, DataType::Utf8View, true)).collect();
    let schema = Arc::new(ArrowSchema::new(fields));
    let shape = Arc::new(shape(input, &schema, &wanted, said));
    let rows = Box::new(CsvRows { feed: Mutex::new((feed, 0)), shape, estimate });
    Ok(Stream { schema, typing, input: None, rows, files: None, partial: false })
}

fn shape(input: Arc<Input>, schema: &ArrowSchema, wanted: &[bool], said: Partitions) -> Shape {
    let kept: Vec<usize> = (0..wanted.len()).filter(|&index| wanted[index]).collect();
    let slots = (0..wanted.len()).map(|index| kept.iter().position(|&k| k == index)).collect();
    let fields: Vec<_> = kept.iter().map(|&index| Arc::clone(&schema.fields()[index])).collect();
    Shape { input, schema: Arc::new(ArrowSchema::new(fields)), slots, said }
}

struct CsvRows {
    feed: Mutex<(Feed, u64)>,
    shape: Arc<Shape>,
    estimate: u64,
}

impl Rows for CsvRows {
    fn next(&self) -> Result<Option<Piece>, SourceError> {
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        let (feed, number) = &mut *feed;
        let Some(block) = feed.next()? else { return Ok(None) };
        let piece = Piece { number: *number, batches: Box::new(Batches::new(Arc::clone(&self.shape), block)) };
        *number += 1;
        Ok(Some(piece))
    }

    fn estimate(&self) -> u64 {
        self.estimate
    }
}

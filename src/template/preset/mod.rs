//! Presets: bodies whose shape is fixed at compile time.
//!
//! A preset is a list of pieces: JSON text that is the same for every row, with the keys already escaped, and places
//! where this row's values go. Rendering walks the list once and writes into one string.

pub(super) mod flat;
pub(super) mod group;
mod tree;

use super::{Meta, RenderError, event, write};
use crate::row::RowRef;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A compiled preset.
pub(super) struct Preset {
    pieces: Vec<Piece>,
    /// Bytes that a body may have at most.
    limit: Option<usize>,
    /// The longest body so far: what the next one reserves.
    longest: AtomicUsize,
}

/// A part of a body.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    /// The same for every row.
    Literal(String),
    /// A column's value as JSON.
    Column(usize),
    /// A part of a group event that is more than a column.
    Group(group::Part),
}

impl Preset {
    fn new(pieces: Vec<Piece>, limit: Option<usize>) -> Self {
        Preset { pieces, limit, longest: AtomicUsize::new(0) }
    }

    pub(super) fn render(&self, row: RowRef<'_>, meta: &Meta<'_>) -> Result<String, RenderError> {
        let mut out = String::with_capacity(self.longest.load(Ordering::Relaxed) + 64);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Column(column) => write::value(row.value(*column), &mut out),
                Piece::Group(part) => part.render(row, meta, &mut out)?,
            }
        }
        if self.limit.is_some_and(|limit| out.len() > limit) {
            return Err(event::too_large(out.len()));
        }
        self.longest.fetch_max(out.len(), Ordering::Relaxed);
        Ok(out)
    }
}

/// Collects pieces, joining neighbouring literals.
#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn literal(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Piece::Literal(last)) => last.push_str(text),
            _ => self.0.push(Piece::Literal(text.to_owned())),
        }
    }

    /// A key with its colon.
    fn key(&mut self, name: &str) {
        let mut text = String::new();
        write::string(name, &mut text);
        text.push(':');
        self.literal(&text);
    }

    fn push(&mut self, piece: Piece) {
        self.0.push(piece);
    }
}

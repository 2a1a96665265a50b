//! What the names in a template stand for: columns, Nightmark's words, and the template's own variables.

use super::lex::{Piece, PieceKind, word};
use super::reader::Reader;
use super::syntax::{Expr, Property, Word};
use crate::row::Schema;
use crate::template::error::suggest;
use std::collections::BTreeMap;

/// The names of a row: `record` is what Census calls it.
const ROW: [&str; 2] = ["row", "record"];
const ROWS: &str = "rows";
const WORDS: [(&str, Word); 4] =
    [("job", Word::Job), ("op", Word::Op), ("run_at", Word::RunAt), ("message_id", Word::MessageId)];
const FORLOOP: &str = "forloop";
const PROPERTIES: [(&str, Property); 7] = [
    ("index", Property::Index),
    ("index0", Property::Index0),
    ("rindex", Property::Rindex),
    ("rindex0", Property::Rindex0),
    ("first", Property::First),
    ("last", Property::Last),
    ("length", Property::Length),
];

/// What the template is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::template) enum About {
    /// One row: `row`.
    Row,
    /// Several: `rows`.
    Rows,
}

/// What a name stands for.
pub(super) enum Named {
    /// A row whose columns are known; the slot of the loop that is at it, if it is one of `rows`.
    Row(Option<usize>),
    /// The `forloop` of a loop.
    Forloop(usize),
    Value(Expr),
    /// Nothing: what to say of it.
    Unknown(String),
}

pub(super) struct Scope<'t> {
    pub(super) schema: &'t Schema,
    about: About,
    /// Variables of `assign` and `capture`, with their slots.
    assigned: BTreeMap<String, usize>,
    counters: BTreeMap<String, usize>,
    /// The loops around: variable, slot, and whether it is one of `rows`.
    loops: Vec<(String, usize, bool)>,
    pub(super) slots: usize,
}

impl<'t> Scope<'t> {
    /// Notes what the template sets anywhere: a variable may be used above the place that sets it, in a loop.
    pub(super) fn new(template: &str, pieces: &[Piece], schema: &'t Schema, about: About) -> Scope<'t> {
        let (assigned, counters) = (BTreeMap::new(), BTreeMap::new());
        let mut scope = Scope { schema, about, assigned, counters, loops: Vec::new(), slots: 0 };
        for piece in pieces.iter().filter(|piece| piece.kind == PieceKind::Tag) {
            if word(template, piece) == Some("liquid") {
                let body = template[piece.inner.clone()].trim_start_matches("liquid");
                let mut at = piece.inner.end - body.len();
                for line in body.split_inclusive('\n') {
                    scope.declare(&mut Reader::new(template, at..at + line.len()));
                    at += line.len();
                }
            } else {
                scope.declare(&mut Reader::new(template, piece.inner.clone()));
            }
        }
        scope
    }

    fn declare(&mut self, reader: &mut Reader<'_>) {
        let tag = reader.word();
        let mut name = reader.word().to_owned();
        match tag {
            "assign" | "capture" => {
                if let (true, Ok(Some(quoted))) = (name.is_empty(), reader.quoted()) {
                    name = quoted;
                }
                let slot = self.slots;
                self.slots += usize::from(!self.assigned.contains_key(&name));
                self.assigned.entry(name).or_insert(slot);
            }
            "increment" | "decrement" => {
                let counter = self.counters.len();
                self.counters.entry(name).or_insert(counter);
            }
            _ => {}
        }
    }

    pub(super) fn counters(&self) -> usize {
        self.counters.len()
    }

    /// The slot of a variable that `assign` or `capture` sets.
    pub(super) fn assigned(&self, name: &str) -> usize {
        self.assigned.get(name).copied().unwrap_or(0)
    }

    pub(super) fn counter(&self, name: &str) -> usize {
        self.counters.get(name).copied().unwrap_or(0)
    }

    /// Whether the name is taken, so that a template may not set it.
    pub(super) fn is_given(name: &str) -> bool {
        ROW.contains(&name) || [ROWS, FORLOOP].contains(&name) || WORDS.iter().any(|(word, _)| *word == name)
    }

    /// Enters a loop; its slot and how many loops are around it.
    pub(super) fn enter(&mut self, name: &str, collection: &Expr) -> (usize, usize) {
        let (slot, depth) = (self.slots, self.loops.len());
        self.slots += 1;
        self.loops.push((name.to_owned(), slot, matches!(collection, Expr::Rows)));
        (slot, depth)
    }

    pub(super) fn leave(&mut self) {
        self.loops.pop();
    }

    pub(super) fn in_loop(&self) -> bool {
        !self.loops.is_empty()
    }

    pub(super) fn resolve(&self, name: &str) -> Named {
        if let Some((_, slot, is_row)) = self.loops.iter().rev().find(|(variable, ..)| variable == name) {
            let value = || Named::Value(Expr::Slot { slot: *slot, counter: None });
            return if *is_row { Named::Row(Some(*slot)) } else { value() };
        }
        let counter = self.counters.get(name).copied();
        if let Some(slot) = self.assigned.get(name) {
            return Named::Value(Expr::Slot { slot: *slot, counter });
        }
        if let Some(counter) = counter {
            // A slot that nothing sets.
            return Named::Value(Expr::Slot { slot: usize::MAX, counter: Some(counter) });
        }
        match name {
            FORLOOP if self.in_loop() => Named::Forloop(self.loops.len() - 1),
            ROWS if self.about == About::Rows => Named::Value(Expr::Rows),
            _ if ROW.contains(&name) && self.about == About::Row => Named::Row(None),
            _ => match WORDS.iter().find(|(word, _)| *word == name && self.has(word)) {
                Some((_, word)) => Named::Value(Expr::Meta(*word)),
                None => Named::Unknown(self.advice(name)),
            },
        }
    }

    /// A batch has many operations and ids.
    fn has(&self, word: &str) -> bool {
        self.about == About::Row || ["job", "run_at"].contains(&word)
    }

    fn advice(&self, name: &str) -> String {
        let columns = || self.schema.columns.iter().map(|column| column.name.as_str());
        let row = if self.about == About::Row { "row" } else { "rows[0]" };
        if self.about == About::Rows && (ROW.contains(&name) || WORDS.iter().any(|(word, _)| *word == name)) {
            return format!("a batch has `rows`: {{% for r in rows %}}{{{{ r.{} }}}}{{% endfor %}}", "COLUMN");
        }
        if columns().any(|column| column == name) {
            return format!("did you mean `{row}.{name}`?");
        }
        let given = WORDS.iter().map(|(word, _)| *word).filter(|word| self.has(word));
        let given = given.chain((self.about == About::Row).then_some("row"));
        let given = given.chain((self.about == About::Rows).then_some(ROWS));
        let own = self.assigned.keys().map(String::as_str).chain(self.loops.iter().map(|(name, ..)| name.as_str()));
        if let Some(near) = suggest(name, given.clone().chain(own)) {
            return format!("did you mean `{near}`?");
        }
        match suggest(name, columns()) {
            Some(near) => format!("did you mean `{row}.{near}`?"),
            None => {
                format!("columns are written `{row}.COLUMN`; there are also: {}", given.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// What `forloop.NAME` is; else what to say of it.
pub(super) fn property(name: &str) -> Result<Property, String> {
    let names = || PROPERTIES.iter().map(|(name, _)| *name);
    match PROPERTIES.iter().find(|(known, _)| *known == name) {
        Some((_, property)) => Ok(*property),
        None => Err(match suggest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", names().collect::<Vec<_>>().join(", ")),
        }),
    }
}

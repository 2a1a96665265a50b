//! Dot paths into nested objects, with their conflicts.

use super::{Piece, Pieces};
use crate::template::TemplateError;

/// An object under construction: members in the order in which they were first named.
#[derive(Default)]
pub(super) struct Tree(Vec<(String, Node)>);

enum Node {
    Column(usize),
    Object(Tree),
}

impl Tree {
    /// Puts a column at `segments`. `path` is the same place as the job file writes it.
    pub(super) fn insert(&mut self, path: &str, segments: &[&str], column: usize) -> Result<(), TemplateError> {
        let Some((first, rest)) = segments.split_first() else {
            return Err(TemplateError::field(path, "the path is empty"));
        };
        if first.is_empty() {
            return Err(TemplateError::field(path, "the path has an empty segment")
                .hint("dots nest objects: `metrics.total`; a name cannot hold a dot"));
        }
        let at = self.0.iter().position(|(name, _)| name == first);
        match (at.and_then(|at| self.0.get_mut(at)), rest.is_empty()) {
            (None, true) => self.0.push(((*first).to_owned(), Node::Column(column))),
            (None, false) => {
                let mut below = Tree::default();
                below.insert(path, rest, column)?;
                self.0.push(((*first).to_owned(), Node::Object(below)));
            }
            (Some((_, Node::Object(below))), false) => below.insert(path, rest, column)?,
            (Some((_, Node::Column(_))), true) => {
                return Err(TemplateError::field(path, "the field is set twice").hint("keep one of the two lines"));
            }
            (Some(_), _) => {
                return Err(TemplateError::field(path, "the field is both a value and an object")
                    .hint("rename it, or the field that has the same beginning"));
            }
        }
        Ok(())
    }

    /// Adds a member whose name is taken as it is, dots included.
    pub(super) fn push(&mut self, name: &str, column: usize) {
        self.0.push((name.to_owned(), Node::Column(column)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object as pieces, braces included.
    pub(super) fn emit(&self, out: &mut Pieces) {
        out.literal("{");
        self.emit_members(out);
        out.literal("}");
    }

    /// The members alone, separated by commas.
    pub(super) fn emit_members(&self, out: &mut Pieces) {
        for (at, (name, node)) in self.0.iter().enumerate() {
            if at > 0 {
                out.literal(",");
            }
            out.key(name);
            match node {
                Node::Column(column) => out.push(Piece::Column(*column)),
                Node::Object(below) => below.emit(out),
            }
        }
    }
}

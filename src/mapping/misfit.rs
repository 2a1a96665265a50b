//! Why a payload is refused, in the receiver's words. None of them quotes a value.

use super::Path;
use std::fmt;

/// Why a receiver answers 400.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// The body is no JSON that a receiver takes.
    Body(String),
    /// It is JSON, and no object.
    NoObject,
    /// Fields that do not fit; at least one.
    Fields(Vec<Misfit>),
}

/// A field that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// As templates call it: `product_org_id`, `mrr`, a custom field's own name.
    pub field: String,
    /// Where the template looks for it.
    pub path: String,
    /// What is wrong, with the path and the kind that was found.
    pub words: String,
}

impl Misfit {
    pub(super) fn new(field: &str, path: &Path, words: String) -> Misfit {
        Misfit { field: field.to_owned(), path: path.to_string(), words }
    }

    /// `problem`: what follows "FIELD at `PATH`".
    pub(super) fn at(field: &str, path: &Path, problem: &str) -> Misfit {
        Misfit::new(field, path, format!("{field} at `{path}` {problem}"))
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::Body(words) => f.write_str(words),
            Unfit::NoObject => f.write_str("the body must be a JSON object"),
            Unfit::Fields(misfits) => {
                let words: Vec<&str> = misfits.iter().map(|misfit| misfit.words.as_str()).collect();
                f.write_str(&words.join("; "))
            }
        }
    }
}

impl std::error::Error for Unfit {}

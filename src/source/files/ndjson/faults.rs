//! Which lines of an NDJSON file are at fault. Pure.

use crate::source::SourceError;
use std::path::Path;

/// So many faulty lines of a file are shown; all are counted.
const SHOWN: usize = 20;

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The position of its file in the order of reading.
    pub file: usize,
    /// The first is 1.
    pub line: u64,
}

/// Why the values of a column have no kind in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line at fault.
    pub at: Place,
    /// What is wrong with it.
    pub what: String,
    /// The line that it does not go with; `what` ends so that `in line N` can follow.
    pub beside: Option<Place>,
}

impl Fault {
    /// The fault of a column of this name.
    pub fn text(&self, name: &str, paths: &[&Path]) -> String {
        let beside = match self.beside {
            None => String::new(),
            Some(Place { file, line }) if file == self.at.file => format!(" in line {line}"),
            Some(Place { file, line }) => format!(" in {}, line {line}", paths[file].display()),
        };
        format!("`{name}` {}{beside}", self.what)
    }
}

/// The faulty lines of one file.
pub struct Faults<'a> {
    path: &'a Path,
    shown: Vec<String>,
    total: u64,
}

impl<'a> Faults<'a> {
    /// None so far.
    pub fn new(path: &'a Path) -> Self {
        Faults { path, shown: Vec::new(), total: 0 }
    }

    /// Notes what is wrong with a line.
    pub fn add(&mut self, line: u64, what: impl std::fmt::Display) {
        self.total += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(format!("line {line}: {what}"));
        }
    }

    /// One error for all of them, if there are any.
    pub fn into_result(self, hint: &str) -> Result<(), SourceError> {
        let path = self.path.display();
        let message = match self.shown.as_slice() {
            [] => return Ok(()),
            [one] => format!("{path}, {one}"),
            lines => format!("{path} has {} faulty lines:\n  {}", self.total, lines.join("\n  ")),
        };
        Err(SourceError::new(message).hint(hint))
    }
}

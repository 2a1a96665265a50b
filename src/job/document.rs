//! A TOML file with the place of everything in it, so that any later rule can say where its problem stands.

use super::problem::{Fault, Problem};
use super::structure::{self, Required, Structure};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;
use toml::de::DeTable;

/// A parsed file. Rules take its values, report what is wrong with them, and go on.
pub(crate) struct Document<'t> {
    file: &'t Path,
    text: &'t str,
    structure: Structure,
    problems: Vec<Problem>,
}

impl<'t> Document<'t> {
    /// Parses `text` and checks it against `schema`. Entries that do not fit are reported and left out of the value.
    ///
    /// # Errors
    /// Text that is not TOML: every syntax error, at most one a line.
    pub(crate) fn read(
        file: &'t Path,
        text: &'t str,
        schema: &Value,
        required: Required,
    ) -> Result<Self, Vec<Problem>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return Err(syntax(file, text, &errors));
        }
        let mut structure = structure::check(schema, &table, required);
        let found = std::mem::take(&mut structure.found);
        let problems = found.into_iter().map(|f| locate(file, text, f.at, f.path, f.fault)).collect();
        Ok(Document { file, text, structure, problems })
    }

    /// The file as it is shown.
    pub(crate) fn file(&self) -> &'t Path {
        self.file
    }

    /// What is left of the file once everything that does not fit the schema is taken out.
    pub(crate) fn value(&self) -> &Value {
        &self.structure.value
    }

    /// A top-level entry; `None` if it is not there or was reported already.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let value = self.structure.value.get(key)?.clone();
        match serde_json::from_value(value) {
            Ok(parsed) => Some(parsed),
            Err(_) if !self.is_sound(key) => None,
            Err(error) => {
                // The parser's message may quote the value, which in this section may be a secret.
                let detail = if key == "destination" { String::new() } else { format!(": {error}") };
                self.report(key, Fault::new(format!("cannot be read{detail}")));
                None
            }
        }
    }

    /// Whether nothing in this top-level entry contradicts the schema. Rules that miss something ask this first: what
    /// they miss may be the very thing that was reported as misspelt.
    pub(crate) fn is_sound(&self, key: &str) -> bool {
        !self.structure.broken.contains(key)
    }

    /// Adds a problem at `path`, or at the nearest enclosing entry that the file has; without a place if it has none.
    pub(crate) fn report(&mut self, path: &str, fault: Fault) {
        let mut place = path;
        let at = loop {
            if let Some(&at) = self.structure.places.get(place) {
                break Some(at);
            }
            match place.rfind(['.', '[']) {
                Some(cut) => place = &place[..cut],
                None => break None,
            }
        };
        self.problems.push(locate(self.file, self.text, at, path.to_owned(), fault));
    }

    /// The line that the entry at `path` starts on, from 1; `None` if the file does not have it.
    pub(crate) fn line(&self, path: &str) -> Option<usize> {
        self.structure.places.get(path).map(|&at| place(self.text, at).0)
    }

    /// The value of `result`, or `None` after reporting its fault.
    pub(crate) fn accept<T>(&mut self, path: &str, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.report(path, fault)).ok()
    }

    /// Every problem, in the file's order; first those without a place.
    pub(crate) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|p| (p.line, p.column));
        self.problems
    }
}

/// The path of entry `key` of the table at `path`.
pub(crate) fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let key = if bare { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// One problem for each line with syntax errors: the first often brings others in its wake.
fn syntax(file: &Path, text: &str, errors: &[toml::de::Error]) -> Vec<Problem> {
    let problem = |error: &toml::de::Error| {
        let at = Some(error.span().map_or(0, |span| span.start));
        locate(file, text, at, String::new(), Fault::new(format!("not TOML: {}", error.message())))
    };
    let mut problems: Vec<Problem> = errors.iter().map(problem).collect();
    problems.sort_by_key(|p| (p.line, p.column));
    problems.dedup_by_key(|p| p.line);
    problems
}

fn locate(file: &Path, text: &str, at: Option<usize>, path: String, fault: Fault) -> Problem {
    let (line, column) = at.map_or((0, 0), |at| place(text, at));
    Problem { file: file.to_owned(), line, column, path, message: fault.message, hint: fault.hint }
}

/// The line and column of a byte, from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

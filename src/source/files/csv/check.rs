//! What can be wrong with a CSV file. Pure.

use super::lexer::{Fault, FaultKind, Field, Record, line_breaks};
use crate::source::SourceError;
use std::path::Path;

const SHORT: &str = "the file may be cut off; a value with a delimiter, quote or line break must be quoted";
const QUOTING: &str = "quote the whole field and double the quotes in it, or turn quotes off with source.quote = \"\"";
/// What to do about bytes that are not UTF-8.
pub const LATIN1: &str = "convert the file to UTF-8, e.g. with: iconv -f latin1 -t utf8 IN > OUT";

/// So many problems of a file are shown; all are counted.
const SHOWN: usize = 5;

/// The problems of one file.
#[derive(Debug, Default)]
pub struct Problems {
    shown: Vec<String>,
    total: usize,
    hint: Option<&'static str>,
}

impl Problems {
    /// Notes a problem at a line (the first is 1).
    pub fn add(&mut self, line: u64, what: impl FnOnce() -> String, hint: &'static str) {
        self.total += 1;
        self.hint.get_or_insert(hint);
        if self.shown.len() < SHOWN {
            self.shown.push(format!("line {line}: {}", what()));
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// One error for all of them.
    pub fn into_error(self, path: &Path) -> SourceError {
        let path = path.display();
        let message = match self.shown.as_slice() {
            [one] => format!("{path}, {one}"),
            shown => {
                let more =
                    if self.total > shown.len() { format!(", the first {}", shown.len()) } else { String::new() };
                format!("{path} has {} problems{more}:\n  {}", self.total, shown.join("\n  "))
            }
        };
        SourceError { hint: self.hint.map(str::to_owned), ..SourceError::new(message) }
    }
}

/// A record to be checked.
pub struct Checked<'a> {
    /// The bytes that it stands in.
    pub bytes: &'a [u8],
    /// Its place in them.
    pub record: Record,
    /// The places of its fields.
    pub fields: &'a [Field],
    /// The line that it begins on; the first is 1.
    pub line: u64,
}

impl Checked<'_> {
    /// Notes what is wrong with the record, if anything; `names` are those of the file's columns in order.
    pub fn check(&self, names: &[String], problems: &mut Problems) {
        if self.quotes(problems) {
            return;
        }
        let (found, expected) = (self.fields.len(), names.len());
        if found != expected {
            let what = || format!("{found} {}, expected {expected}", if found == 1 { "field" } else { "fields" });
            return problems.add(self.line, what, SHORT);
        }
        let bad = |field: &Field| std::str::from_utf8(&self.bytes[field.start..field.end]).is_err();
        if let Some((_, name)) = self.fields.iter().zip(names).find(|(field, _)| bad(field)) {
            let raw = &self.bytes[self.record.start..self.record.end];
            let at = std::str::from_utf8(raw).map_or_else(|e| e.valid_up_to(), |_| 0);
            let line = self.line + line_breaks(&raw[..at]);
            problems.add(line, || format!("column `{name}` is not valid UTF-8"), LATIN1);
        }
    }

    /// Notes a fault of the record's quoting; whether there is one.
    pub fn quotes(&self, problems: &mut Problems) -> bool {
        let Some(Fault { at, field, kind }) = self.record.fault else { return false };
        let what = match kind {
            FaultKind::Open => "a quote is opened here and never closed",
            FaultKind::After => "a quoted field goes on after its closing quote",
        };
        let line = self.line + line_breaks(&self.bytes[self.record.start..at]);
        problems.add(line, || format!("{what} (field {field})"), QUOTING);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_counted_and_some_are_shown() {
        let mut problems = Problems::default();
        for line in 2..9 {
            problems.add(line, || "short".to_owned(), "look");
        }
        let error = problems.into_error(Path::new("a.csv"));
        assert!(
            error.message.starts_with("a.csv has 7 problems, the first 5:\n  line 2: short\n"),
            "{}",
            error.message
        );
        assert!(error.message.ends_with("line 6: short"));
        assert_eq!(error.hint.as_deref(), Some("look"));
    }
}

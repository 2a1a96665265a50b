//! What can be wrong with a CSV file, and where quotes stand. Pure.

use crate::source::SourceError;
use std::path::Path;

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
        SourceError { message, hint: self.hint.map(str::to_owned) }
    }
}

/// A fault of a record's quoting, at an offset within the record.
#[derive(Debug, PartialEq, Eq)]
pub enum QuoteFault {
    /// A quote is opened here and never closed.
    Open(usize),
    /// A quoted field goes on after its closing quote.
    After(usize),
}

/// Which fields of a raw record are quoted. `record` may end with its line break.
///
/// The `csv` crate reads the values but does not tell `""` from nothing, and it takes faulty quoting as it comes. Both
/// matter here: an unquoted empty field is NULL, and an unclosed quote swallows rows.
pub fn quoted_fields(record: &[u8], delimiter: u8, quote: u8, quoted: &mut Vec<bool>) -> Result<(), QuoteFault> {
    quoted.clear();
    let mut at = 0;
    loop {
        let is_quoted = record.get(at) == Some(&quote);
        quoted.push(is_quoted);
        if is_quoted {
            at = closing(record, at, quote)? + 1;
        } else {
            at += record[at..].iter().position(|b| is_end(*b, delimiter)).unwrap_or(record.len() - at);
        }
        match record.get(at) {
            Some(&b) if b == delimiter => at += 1,
            Some(&b) if !is_end(b, delimiter) => return Err(QuoteFault::After(at)),
            _ => return Ok(()),
        }
    }
}

fn is_end(byte: u8, delimiter: u8) -> bool {
    byte == delimiter || byte == b'\n' || byte == b'\r'
}

/// The position of the quote that closes the one at `open`; doubled quotes are text.
fn closing(record: &[u8], open: usize, quote: u8) -> Result<usize, QuoteFault> {
    let mut at = open + 1;
    loop {
        at += record[at..].iter().position(|&b| b == quote).ok_or(QuoteFault::Open(open))?;
        if record.get(at + 1) != Some(&quote) {
            return Ok(at);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(record: &str, expected: Result<&[bool], QuoteFault>) {
        let mut quoted = Vec::new();
        let result = quoted_fields(record.as_bytes(), b',', b'"', &mut quoted);
        assert_eq!(result.map(|()| quoted.as_slice()), expected, "{record:?}");
    }

    #[test]
    fn quotes() {
        check("", Ok(&[false]));
        check("a,b\r\n", Ok(&[false, false]));
        check("\"\",,", Ok(&[true, false, false]));
        check("a,\"b,\"\"c\"\"\n\",d\n", Ok(&[false, true, false]));
        check("5\" pipe,\"x\"", Ok(&[false, true]));
        check("\"\"\"\"", Ok(&[true]));
        check("a,\"bc\n", Err(QuoteFault::Open(2)));
        check("\"\"\"", Err(QuoteFault::Open(0)));
        check("\"", Err(QuoteFault::Open(0)));
        check("a,\"b\"c,d", Err(QuoteFault::After(5)));
        check("\"b\" ,d", Err(QuoteFault::After(3)));
    }

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

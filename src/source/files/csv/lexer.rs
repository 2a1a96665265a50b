//! Where records and fields stand in CSV bytes. Pure.
//!
//! RFC 4180 as the `csv` crate reads it, with the faults that it lets pass: a quote opens a quoted field only as the
//! field's first byte, and is text elsewhere; in a quoted field a doubled quote is one; rows end with LF, CRLF or CR; blank
//! lines are skipped. One lexer serves values, checks and the search for boundaries, so these cannot differ.

use crate::job::spec::CsvOptions;
use memchr::{memchr, memchr3, memrchr2};

/// What separates and quotes fields; both are ASCII.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// Between fields.
    pub delimiter: u8,
    /// Around fields; `None`: quotes are text.
    pub quote: Option<u8>,
}

impl From<&CsvOptions> for Dialect {
    fn from(options: &CsvOptions) -> Self {
        Dialect { delimiter: options.delimiter, quote: options.quote }
    }
}

impl Dialect {
    fn ends_field(self, byte: u8) -> bool {
        byte == self.delimiter || is_break(byte)
    }

    /// The position after the last whole record, if there is one. `bytes` begins with a record and may end anywhere.
    pub fn boundary(self, bytes: &[u8]) -> Option<usize> {
        // An LF may follow a CR at the end: they are one line break.
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let last = |part: &[u8]| memrchr2(b'\n', b'\r', part).map(|at| at + 1);
        let Some(quote) = self.quote.filter(|quote| memchr(*quote, bytes).is_some()) else { return last(bytes) };
        let (mut boundary, mut from) = (None, 0);
        loop {
            let open = self.opening(bytes, from, quote);
            let plain = &bytes[from..open.unwrap_or(bytes.len())];
            boundary = last(plain).map(|at| from + at).or(boundary);
            let Some((close, _)) = open.and_then(|open| closing(bytes, open, quote)) else { return boundary };
            from = close + 1;
        }
    }

    /// The first quote that opens a field; `from` is outside of quotes.
    fn opening(self, bytes: &[u8], mut from: usize, quote: u8) -> Option<usize> {
        loop {
            let at = from + memchr(quote, &bytes[from..])?;
            if at == 0 || self.ends_field(bytes[at - 1]) {
                return Some(at);
            }
            from = at + 1;
        }
    }
}

fn is_break(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

/// The quote that closes the one at `open`, and whether there are doubled ones before it.
fn closing(bytes: &[u8], open: usize, quote: u8) -> Option<(usize, bool)> {
    let (mut at, mut doubled) = (open + 1, false);
    loop {
        at += memchr(quote, bytes.get(at..)?)?;
        if bytes.get(at + 1) != Some(&quote) {
            return Some((at, doubled));
        }
        doubled = true;
        at += 2;
    }
}

/// Line breaks as editors count them: LF, CRLF, or a CR alone.
pub fn line_breaks(bytes: &[u8]) -> u64 {
    let lf = memchr::memchr_iter(b'\n', bytes).count();
    let cr = memchr::memchr_iter(b'\r', bytes).filter(|at| bytes.get(at + 1) != Some(&b'\n')).count();
    (lf + cr) as u64
}

/// A field's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its first byte, without the quote.
    pub start: usize,
    /// After its last byte, without the quote.
    pub end: usize,
    /// Whether it stands in quotes.
    pub quoted: bool,
    /// Whether doubled quotes are in it, each of which is one.
    pub doubled: bool,
}

/// A record's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Its first byte.
    pub start: usize,
    /// After its last byte, before its line break.
    pub end: usize,
    /// The first fault of its quoting.
    pub fault: Option<Fault>,
}

/// A fault of quoting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub at: usize,
    /// In which field; the first is 1.
    pub field: usize,
    /// What is wrong.
    pub kind: FaultKind,
}

/// What can be wrong with quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// A quote is opened here and never closed.
    Open,
    /// A quoted field goes on after its closing quote.
    After,
}

/// Goes from record to record.
#[derive(Debug)]
pub struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    dialect: Dialect,
}

impl<'a> Lexer<'a> {
    /// Begins at `at`, where a record or line break begins.
    pub fn new(bytes: &'a [u8], at: usize, dialect: Dialect) -> Self {
        Lexer { bytes, at, dialect }
    }

    /// How far it has come: after the last record, before its line break.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next record, whose fields take the place of those in `fields`; `None` after the last.
    pub fn next(&mut self, fields: &mut Vec<Field>) -> Option<Record> {
        fields.clear();
        let start = self.at + self.bytes[self.at..].iter().position(|&b| !is_break(b))?;
        let (mut at, mut fault) = (start, None);
        loop {
            let quote = self.dialect.quote.filter(|quote| self.bytes.get(at) == Some(quote));
            let (field, after, wrong) = match quote {
                Some(quote) => self.quoted(at, quote),
                None => self.plain(at),
            };
            fields.push(field);
            if let Some((at, kind)) = wrong {
                fault.get_or_insert(Fault { at, field: fields.len(), kind });
            }
            if self.bytes.get(after) != Some(&self.dialect.delimiter) {
                self.at = after;
                return Some(Record { start, end: after, fault });
            }
            at = after + 1;
        }
    }

    fn plain(&self, start: usize) -> (Field, usize, Option<(usize, FaultKind)>) {
        let end = self.end_of_plain(start);
        (Field { start, end, quoted: false, doubled: false }, end, None)
    }

    fn quoted(&self, open: usize, quote: u8) -> (Field, usize, Option<(usize, FaultKind)>) {
        let start = open + 1;
        let Some((end, doubled)) = closing(self.bytes, open, quote) else {
            let end = self.bytes.len();
            return (Field { start, end, quoted: true, doubled: false }, end, Some((open, FaultKind::Open)));
        };
        let field = Field { start, end, quoted: true, doubled };
        match self.bytes.get(end + 1) {
            Some(&byte) if !self.dialect.ends_field(byte) => {
                (field, self.end_of_plain(end + 1), Some((end + 1, FaultKind::After)))
            }
            _ => (field, end + 1, None),
        }
    }

    fn end_of_plain(&self, from: usize) -> usize {
        let rest = &self.bytes[from..];
        from + memchr3(self.dialect.delimiter, b'\n', b'\r', rest).unwrap_or(rest.len())
    }
}

#[cfg(test)]
#[path = "lexer_tests.rs"]
mod tests;

//! CSV files as one frame of text columns.
//!
//! One pass of the `csv` crate (RFC 4180) straight into polars' text columns. Polars' own CSV reader is not used: it
//! fills short rows with NULL, takes a quoted `"NULL"` for NULL, and splits work at line breaks by counting quotes, so
//! that a lone quote in a plain field can move rows. One parser also means that the check and the values cannot differ.
//!
//! NULL: an *unquoted* field that is exactly one of `null_values` (by default the empty field). A quoted field is always
//! text, so `""` is the empty text. Blanks are part of a value. Rows end with LF, CRLF or CR; blank lines are skipped. A
//! quote inside an unquoted field is text.

use super::columns::same_columns;
use super::compress;
use super::csv_check::{Problems, QuoteFault, quoted_fields};
use crate::job::spec::CsvOptions;
use crate::source::SourceError;
use ::csv::{ByteRecord, Reader, ReaderBuilder};
use polars::prelude::{DataFrame, IntoColumn, StringChunkedBuilder};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

const SHORT: &str = "the file may be cut off; a value with a delimiter, quote or line break must be quoted";
const QUOTING: &str = "quote the whole field and double the quotes in it, or turn quotes off with source.quote = \"\"";
const LATIN1: &str = "convert the file to UTF-8, e.g. with: iconv -f latin1 -t utf8 IN > OUT";
const HEADER: &str =
    "every column needs a name of its own in the first line; without a header line set source.header = false";

/// The rows of all files.
pub struct CsvTable {
    /// Text columns, as read.
    pub frame: DataFrame,
    /// Where each row stands, if asked for.
    pub origin: Origin,
}

/// Where rows stand.
#[derive(Debug, Default)]
pub struct Origin {
    /// Each file with the position of its first row, in order.
    files: Vec<(PathBuf, usize)>,
    /// The line of each row; empty if not asked for.
    lines: Vec<u64>,
}

impl Origin {
    /// `FILE, line N` of a row.
    pub fn of(&self, row: usize) -> String {
        let file = self.files.iter().rev().find(|(_, first)| *first <= row);
        let path = file.map_or_else(String::new, |(path, _)| path.display().to_string());
        match self.lines.get(row) {
            Some(line) => format!("{path}, line {line}"),
            None => path,
        }
    }
}

/// Reads the files in order, at most `limit` rows; what comes after those is not looked at.
pub fn read(
    paths: &[PathBuf],
    options: &CsvOptions,
    lines: bool,
    limit: Option<usize>,
) -> Result<CsvTable, SourceError> {
    let mut sink = Sink { limit: limit.unwrap_or(usize::MAX), keep_lines: lines, ..Sink::default() };
    for path in paths {
        if !sink.files.is_empty() && sink.rows >= sink.limit {
            break;
        }
        let bytes = compress::read(path)?;
        sink.files.push((path.clone(), sink.rows));
        FileReader::new(path, &bytes, options)?.read_into(&mut sink)?;
    }
    sink.finish()
}

/// Collects the columns over all files.
#[derive(Default)]
struct Sink {
    /// The first file that has columns, and their names. The order of these counts.
    head: Option<(PathBuf, Vec<String>)>,
    columns: Vec<StringChunkedBuilder>,
    rows: usize,
    limit: usize,
    keep_lines: bool,
    lines: Vec<u64>,
    files: Vec<(PathBuf, usize)>,
}

impl Sink {
    /// Takes a file's columns; returns for each the position that its values go to.
    fn columns_of(&mut self, path: &Path, names: Vec<String>) -> Result<Vec<usize>, SourceError> {
        let Some((first, known)) = &self.head else {
            self.columns = names.iter().map(|name| StringChunkedBuilder::new(name.as_str().into(), 0)).collect();
            let places = (0..names.len()).collect();
            self.head = Some((path.to_owned(), names));
            return Ok(places);
        };
        same_columns((first, known), (path, &names))?;
        Ok(names.iter().filter_map(|name| known.iter().position(|k| k == name)).collect())
    }

    fn finish(self) -> Result<CsvTable, SourceError> {
        let columns = self.columns.into_iter().map(|column| column.finish().into_column()).collect();
        let frame = super::engine::run("putting columns together", || DataFrame::new(self.rows, columns))?;
        Ok(CsvTable { frame, origin: Origin { files: self.files, lines: self.lines } })
    }
}

/// Reads one file.
struct FileReader<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    options: &'a CsvOptions,
    reader: Reader<&'a [u8]>,
    record: ByteRecord,
    quoted: Vec<bool>,
    problems: Problems,
    /// How far line breaks are counted.
    counted: usize,
    line: u64,
}

/// One record's place in the file.
struct Place<'a> {
    /// The line that it begins on.
    line: u64,
    /// Its bytes, as they stand in the file.
    raw: &'a [u8],
}

impl<'a> FileReader<'a> {
    fn new(path: &'a Path, bytes: &'a [u8], options: &'a CsvOptions) -> Result<Self, SourceError> {
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(SourceError::new(format!("{} is UTF-16, not UTF-8", path.display()))
                .hint("convert it, e.g. with: iconv -f utf16 -t utf8 IN > OUT"));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(options.delimiter)
            .quoting(options.quote.is_some())
            .quote(options.quote.unwrap_or(b'"'))
            .buffer_capacity(1 << 16)
            .from_reader(bytes);
        let (record, quoted, problems) = (ByteRecord::new(), Vec::new(), Problems::default());
        Ok(FileReader { path, bytes, options, reader, record, quoted, problems, counted: 0, line: 1 })
    }

    fn read_into(mut self, sink: &mut Sink) -> Result<(), SourceError> {
        let Some(mut place) = self.next()? else {
            if self.options.header {
                return Err(SourceError::new(format!("{} is empty: it has no header line", self.path.display()))
                    .hint("an extract without rows still has its header line"));
            }
            return Ok(());
        };
        let names = self.names(&place)?;
        let places = sink.columns_of(self.path, names.clone())?;
        if self.options.header {
            match self.next()? {
                Some(first) => place = first,
                None => return Ok(()),
            }
        }
        while sink.rows < sink.limit {
            self.row(&place, &names, &places, sink);
            match self.next()? {
                Some(next) => place = next,
                None => break,
            }
        }
        if self.problems.is_empty() { Ok(()) } else { Err(self.problems.into_error(self.path)) }
    }

    /// Reads the next record into `self.record`.
    fn next(&mut self) -> Result<Option<Place<'a>>, SourceError> {
        let start = self.offset();
        let more = self.reader.read_byte_record(&mut self.record);
        if !more.map_err(|e| SourceError::new(format!("cannot read {}: {e}", self.path.display())))? {
            return Ok(None);
        }
        // The record before may have left its LF or blank lines. A record never begins with a line break.
        let raw = &self.bytes[start..self.offset()];
        let blank = raw.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(raw.len());
        let begin = start + blank;
        self.line += line_breaks(&self.bytes[self.counted..begin]);
        self.counted = begin;
        Ok(Some(Place { line: self.line, raw: &raw[blank..] }))
    }

    fn offset(&self) -> usize {
        // The position counts bytes of a slice, so it fits.
        usize::try_from(self.reader.position().byte()).unwrap_or(self.bytes.len()).min(self.bytes.len())
    }

    /// The column names: the header's, or `column_1`, `column_2`, … for as many fields as the first row has.
    fn names(&mut self, place: &Place<'_>) -> Result<Vec<String>, SourceError> {
        if !self.options.header {
            return Ok((1..=self.record.len()).map(|n| format!("column_{n}")).collect());
        }
        self.other_delimiter(place)?;
        self.quotes(place);
        let mut names: Vec<String> = Vec::with_capacity(self.record.len());
        let mut seen = HashSet::new();
        for (index, field) in self.record.iter().enumerate() {
            let number = index + 1;
            let name = String::from_utf8_lossy(field).into_owned();
            if std::str::from_utf8(field).is_err() {
                self.problems.add(place.line, || format!("the name of column {number} is not valid UTF-8"), LATIN1);
            } else if name.is_empty() {
                self.problems.add(place.line, || format!("column {number} has no name"), HEADER);
            } else if !seen.insert(field) {
                self.problems.add(place.line, || format!("the column name `{name}` occurs twice"), HEADER);
            }
            names.push(name);
        }
        if self.problems.is_empty() { Ok(names) } else { Err(std::mem::take(&mut self.problems).into_error(self.path)) }
    }

    /// Refuses a header that is one column with another delimiter in its name: no column is called `id;plan`, unless
    /// quotes say so.
    fn other_delimiter(&self, place: &Place<'_>) -> Result<(), SourceError> {
        let delimiter = self.options.delimiter;
        let meant = |quote| {
            place.raw.first() == Some(&quote) && quoted_fields(place.raw, delimiter, quote, &mut Vec::new()).is_ok()
        };
        let name = self.record.get(0).filter(|_| self.record.len() == 1 && !self.options.quote.is_some_and(meant));
        let found = name.and_then(|name| b";\t|,".iter().find(|byte| name.contains(byte)));
        let (Some(name), Some(found)) = (name, found) else { return Ok(()) };
        let shown = |byte: u8| if byte == b'\t' { "\\t".to_owned() } else { char::from(byte).to_string() };
        let message = format!(
            "{}, line 1: the header is a single column, `{}`: fields are not separated by `{}` in this file",
            self.path.display(),
            String::from_utf8_lossy(name).replace('\t', "\\t"),
            shown(delimiter)
        );
        Err(SourceError::new(message).hint(format!("set source.delimiter = \"{}\"", shown(*found))))
    }

    /// Checks the record in hand and, as long as the file has no problem, adds it to the columns.
    fn row(&mut self, place: &Place<'_>, names: &[String], places: &[usize], sink: &mut Sink) {
        if !self.quotes(place) {
            return;
        }
        let (found, expected) = (self.record.len(), names.len());
        if found != expected {
            let what = || format!("{found} {}, expected {expected}", if found == 1 { "field" } else { "fields" });
            return self.problems.add(place.line, what, SHORT);
        }
        for (index, field) in self.record.iter().enumerate() {
            let Ok(text) = std::str::from_utf8(field) else {
                let bad = std::str::from_utf8(place.raw).map_or_else(|e| e.valid_up_to(), |_| 0);
                let line = place.line + line_breaks(&place.raw[..bad]);
                let name = &names[index];
                return self.problems.add(line, || format!("column `{name}` is not valid UTF-8"), LATIN1);
            };
            if self.problems.is_empty() {
                let quoted = self.quoted.get(index).copied().unwrap_or(false);
                let null = !quoted && self.options.null_values.iter().any(|null| null == text);
                sink.columns[places[index]].append_option((!null).then_some(text));
            }
        }
        sink.rows += 1;
        if sink.keep_lines {
            sink.lines.push(place.line);
        }
    }

    /// Finds out which fields of the record in hand are quoted; `false` if its quoting is faulty, which is noted.
    fn quotes(&mut self, place: &Place<'_>) -> bool {
        self.quoted.clear();
        let Some(quote) = self.options.quote.filter(|quote| place.raw.contains(quote)) else { return true };
        let Err(fault) = quoted_fields(place.raw, self.options.delimiter, quote, &mut self.quoted) else { return true };
        let (at, what) = match fault {
            QuoteFault::Open(at) => (at, "a quote is opened here and never closed"),
            QuoteFault::After(at) => (at, "a quoted field goes on after its closing quote"),
        };
        let line = place.line + line_breaks(&place.raw[..at]);
        let field = self.quoted.len();
        self.problems.add(line, || format!("{what} (field {field})"), QUOTING);
        false
    }
}

/// Line breaks as editors count them: LF, CRLF, or a CR alone.
fn line_breaks(bytes: &[u8]) -> u64 {
    let lf = bytes.iter().filter(|&&b| b == b'\n').count();
    let cr = bytes.iter().enumerate().filter(|&(i, &b)| b == b'\r' && bytes.get(i + 1) != Some(&b'\n')).count();
    (lf + cr) as u64
}

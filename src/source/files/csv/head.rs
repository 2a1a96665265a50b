//! The names of a CSV file's columns. Pure.

use super::check::{Checked, LATIN1, Problems};
use super::lexer::{Dialect, Fault, FaultKind, Lexer, line_breaks};
use crate::job::spec::CsvOptions;
use crate::source::SourceError;
use std::collections::HashSet;
use std::path::Path;

const HEADER: &str =
    "every column needs a name of its own in the first line; without a header line set source.header = false";

/// What stands before a file's rows.
#[derive(Debug)]
pub struct Head {
    /// The columns in the file's order: the header's names, or `column_1`, `column_2`, … for as many fields as the first
    /// row has.
    pub names: Vec<String>,
    /// The position at which the rows begin.
    pub rows: usize,
}

/// Reads the head off the first bytes of a file, which hold its first record; `None` for a file without a record, which
/// needs none if headers are off.
pub fn read(path: &Path, bytes: &[u8], options: &CsvOptions) -> Result<Option<Head>, SourceError> {
    let mut fields = Vec::new();
    let mut lexer = Lexer::new(bytes, 0, Dialect::from(options));
    let Some(record) = lexer.next(&mut fields) else {
        if options.header {
            return Err(SourceError::new(format!("{} is empty: it has no header line", path.display()))
                .hint("an extract without rows still has its header line"));
        }
        return Ok(None);
    };
    if !options.header {
        return Ok(Some(Head { names: (1..=fields.len()).map(|n| format!("column_{n}")).collect(), rows: 0 }));
    }
    let line = 1 + line_breaks(&bytes[..record.start]);
    let first = Checked { bytes, record, fields: &fields, line };
    other_delimiter(path, &first, options)?;
    Ok(Some(Head { names: names(path, &first)?, rows: lexer.at() }))
}

fn names(path: &Path, header: &Checked<'_>) -> Result<Vec<String>, SourceError> {
    let mut problems = Problems::default();
    header.quotes(&mut problems);
    let mut names: Vec<String> = Vec::with_capacity(header.fields.len());
    let mut seen = HashSet::new();
    for (index, field) in header.fields.iter().enumerate() {
        let (number, bytes) = (index + 1, &header.bytes[field.start..field.end]);
        let mut name = String::from_utf8_lossy(bytes).into_owned();
        if field.doubled {
            // The byte before the field is its quote.
            let quote = char::from(header.bytes[field.start - 1]);
            name = name.replace(&format!("{quote}{quote}"), &quote.to_string());
        }
        if std::str::from_utf8(bytes).is_err() {
            problems.add(header.line, || format!("the name of column {number} is not valid UTF-8"), LATIN1);
        } else if name.is_empty() {
            problems.add(header.line, || format!("column {number} has no name"), HEADER);
        } else if !seen.insert(name.clone()) {
            problems.add(header.line, || format!("the column name `{name}` occurs twice"), HEADER);
        }
        names.push(name);
    }
    if problems.is_empty() { Ok(names) } else { Err(problems.into_error(path)) }
}

/// Refuses a header that is one column with another delimiter in its name: no column is called `id;plan`, unless quotes
/// say so.
fn other_delimiter(path: &Path, header: &Checked<'_>, options: &CsvOptions) -> Result<(), SourceError> {
    let [field] = header.fields else { return Ok(()) };
    let mut name = header.bytes[field.start..field.end].to_vec();
    if let Some(Fault { kind: FaultKind::After, at, .. }) = header.record.fault {
        name.extend(&header.bytes[at..header.record.end]);
    }
    let meant = field.quoted && header.record.fault.is_none();
    let found = if meant { None } else { b";\t|,".iter().find(|byte| name.contains(byte)) };
    let Some(found) = found else { return Ok(()) };
    let shown = |byte: u8| if byte == b'\t' { "\\t".to_owned() } else { char::from(byte).to_string() };
    let message = format!(
        "{}, line 1: the header is a single column, `{}`: fields are not separated by `{}` in this file",
        path.display(),
        String::from_utf8_lossy(&name).replace('\t', "\\t"),
        shown(options.delimiter)
    );
    Err(SourceError::new(message).hint(format!("set source.delimiter = \"{}\"", shown(*found))))
}

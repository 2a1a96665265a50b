//! NDJSON files as one frame.
//!
//! Two passes over every line of all files with serde_json: what each field holds, then its values. One parser of our
//! own columns, and not polars' NDJSON reader: that one gives all rows of a nested field the members of all others, and
//! rounds integers as soon as one float is in their column, keys included.
//!
//! A field that an object lacks is NULL; if an object has a key twice, the last one counts; blank lines are skipped. A
//! column's kind, unless it is pinned:
//!
//! | values | kind |
//! |---|---|
//! | an object or array on any line | JSON: each row has its own line's JSON, member for member, digit for digit |
//! | else a string on any line | text; numbers and bools beside it as they are spelled |
//! | integers | int; a number without a fraction that 64 bits do not hold is an error |
//! | integers and floats | float; with an integer beyond 2^53 int, if no float has a fraction, else an error |
//! | bools | bool; bools beside numbers are an error |
//! | only NULL | none |
//!
//! With a model, a JSON column is a struct of its members, typed by the same rules, so that `org.plan` can be asked for;
//! passing the column on, also under another name, passes on each row's own JSON (`json_text`). Members that have no one
//! type, objects with very many members, and arrays cannot be looked into; their text is there as `tags."$json"`.

mod cells;
mod faults;
mod kinds;
mod table;

use super::compress;
use super::typed::{REMEDY, pinned_kind};
use crate::row::{Column, Kind, Schema};
use crate::source::SourceError;
use cells::Names;
use faults::{Faults, Place};
use polars::prelude::DataFrame;
use std::path::{Path, PathBuf};
use table::{Survey, Table};

/// The byte order mark that some programs begin UTF-8 with.
const BOM: &[u8] = b"\xef\xbb\xbf";

const SYNTAX: &str = "NDJSON has one complete JSON object on each line; the file may be cut off, or be one JSON array: `jq -c '.[]'` makes lines of that";
const MIXTURE: &str = "write a field's values as the same JSON type on every line";

/// What is read and how.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The kinds that columns must have, by name.
    pub pinned: Option<&'a Schema>,
    /// Whether nested columns have members, for a model.
    pub members: bool,
    /// At most so many rows; what comes after those is neither unpacked nor looked at.
    pub limit: Option<usize>,
}

/// The rows of all files.
pub struct NdjsonTable {
    /// Typed columns; JSON columns as `json_text` has them.
    pub frame: DataFrame,
    /// The kinds of the columns that hold a value or are pinned.
    pub kinds: Vec<Column>,
    /// How many rows there are of each file.
    pub rows: Vec<usize>,
}

/// A file's path and bytes.
type File = (PathBuf, Vec<u8>);

/// Reads the files in order.
pub fn read(paths: &[PathBuf], options: Options<'_>) -> Result<NdjsonTable, SourceError> {
    let files = load(paths, options.limit)?;
    let survey = survey(&files)?;
    let columns = columns(&files, &survey, options.pinned)?;
    let names: Names = match options.pinned {
        // No rows, hence no columns: the model still needs the ones it knows.
        Some(pinned) if survey.names.is_empty() => pinned.names().into_iter().collect(),
        _ => survey.names,
    };
    let mut table = Table::new(names, columns.iter().map(|column| column.1));
    fill(&mut table, &files, options.pinned.map_or(MIXTURE, |_| REMEDY))?;
    let kinds = columns.into_iter().filter_map(|(name, kind)| Some(Column { name, kind: kind? })).collect();
    let rows = files.iter().map(|(_, bytes)| lines(bytes).count()).collect();
    Ok(NdjsonTable { frame: table.into_frame(options.members)?, kinds, rows })
}

fn load(paths: &[PathBuf], limit: Option<usize>) -> Result<Vec<File>, SourceError> {
    let mut files = Vec::with_capacity(paths.len());
    let mut left = limit;
    for path in paths {
        let bytes = match left {
            None => compress::read(path)?,
            Some(0) => break,
            Some(rows) => compress::first_lines(path, rows)?,
        };
        left = left.map(|rows| rows.saturating_sub(lines(&bytes).count()));
        files.push((path.clone(), bytes));
    }
    Ok(files)
}

/// The lines that are not blank, each with its number; the first is 1.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
    (1..).zip(bytes.split(|&b| b == b'\n')).filter(|(_, line)| !line.trim_ascii().is_empty())
}

fn text(line: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(line).map_err(|_| "not valid UTF-8".to_owned())
}

/// The first pass: what every field holds.
fn survey(files: &[File]) -> Result<Survey<'_>, SourceError> {
    let mut survey = Survey::default();
    for (file, (path, bytes)) in files.iter().enumerate() {
        let mut faults = Faults::new(path);
        for (line, bytes) in lines(bytes) {
            let seen = text(bytes).and_then(|text| survey.see(text, Place { file, line }));
            seen.unwrap_or_else(|fault| faults.add(line, fault));
        }
        faults.into_result(SYNTAX)?;
    }
    Ok(survey)
}

/// Each column's name and kind: the pinned one, or what its values have in common; `None` without any value.
fn columns(
    files: &[File],
    survey: &Survey<'_>,
    pinned: Option<&Schema>,
) -> Result<Vec<(String, Option<Kind>)>, SourceError> {
    if let (Some(pinned), true) = (pinned, survey.names.is_empty()) {
        return Ok(pinned.columns.iter().map(|column| (column.name.clone(), Some(readable(column.kind)))).collect());
    }
    let (mut columns, mut unfit) = (Vec::new(), Vec::new());
    for (name, seen) in survey.columns() {
        let kind = match pinned_kind(pinned, name) {
            Some(kind) => Some(readable(kind)),
            None => seen.kind().unwrap_or_else(|fault| {
                unfit.push((name, fault));
                None
            }),
        };
        columns.push((name.to_owned(), kind));
    }
    unfit.sort_by_key(|(_, fault)| (fault.at.file, fault.at.line));
    let Some(first) = unfit.first().map(|(_, fault)| fault.at.file) else { return Ok(columns) };
    let paths: Vec<&Path> = files.iter().map(|(path, _)| path.as_path()).collect();
    let mut faults = Faults::new(paths[first]);
    for (name, fault) in unfit.iter().filter(|(_, fault)| fault.at.file == first) {
        faults.add(fault.at.line, fault.text(name, &paths));
    }
    faults.into_result(MIXTURE)?;
    Ok(columns)
}

/// JSON has no types but these; what else was pinned, when the source was of another format, is written as text.
fn readable(kind: Kind) -> Kind {
    match kind {
        Kind::Bool | Kind::Int | Kind::Float | Kind::Json => kind,
        _ => Kind::Text,
    }
}

/// The second pass: the values.
fn fill<'a>(table: &mut Table<'a>, files: &'a [File], hint: &str) -> Result<(), SourceError> {
    for (path, bytes) in files {
        let mut faults = Faults::new(path);
        for (line, bytes) in lines(bytes) {
            let pushed = text(bytes).and_then(|text| table.push(Some(text)));
            pushed.unwrap_or_else(|fault| faults.add(line, fault));
        }
        faults.into_result(hint)?;
    }
    Ok(())
}

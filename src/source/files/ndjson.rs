//! NDJSON files as one frame.
//!
//! Types are inferred from every line of all files, or pinned. A field that an object lacks is NULL. Integers and floats
//! in one column are floats (integers beyond 2^53 are rounded then, as every JSON reader with doubles does); text and
//! numbers, bools or objects in one column are text; objects and lists stay nested. Other mixtures are errors. Blank
//! lines are skipped. Which value counts when an object has a key twice is left open.

use super::ndjson_check::Diagnosis;
use super::typed::{self, REMEDY};
use super::{compress, engine};
use crate::row::{Kind, Schema};
use crate::source::SourceError;
use polars::prelude::{DataFrame, DataType, Field, PolarsResult, Schema as PolarsSchema};
use polars_io::ndjson::core::{json_lines, parse_ndjson};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Parsed in pieces of about this size, so that a value that does not fit is looked for in one piece only.
const PIECE: usize = 16 << 20;

/// The byte order mark that some programs begin UTF-8 with.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// All files, one after the other.
struct Files {
    bytes: Vec<u8>,
    /// Each file and where its bytes are.
    parts: Vec<(PathBuf, Range<usize>)>,
}

impl Files {
    /// The error that names the first faulty file's lines, or the given one if no line is at fault by itself.
    fn diagnosed(&self, error: SourceError) -> SourceError {
        let faulty = |(path, part): &(PathBuf, Range<usize>)| Diagnosis::new(path).of(&self.bytes[part.clone()], 1);
        self.parts.iter().find_map(faulty).unwrap_or(error)
    }
}

/// Reads the files in order. `pinned`: the kinds that columns must have, by name.
pub fn read(paths: &[PathBuf], pinned: Option<&Schema>) -> Result<DataFrame, SourceError> {
    let files = load(paths)?;
    let schema = pin(infer(&files)?, pinned)?;
    if schema.iter_values().any(is_oversized) {
        let error = SourceError::new("an integer does not fit 64 bits with a sign");
        return Err(files.diagnosed(error));
    }
    let mut all = DataFrame::empty_with_schema(&schema);
    for (path, part) in &files.parts {
        let mut line = 1;
        for piece in pieces(&files.bytes[part.clone()]) {
            let frame = engine::run(&what(path), || parse_ndjson(piece, None, &schema, false))
                .map_err(|error| Diagnosis::new(path).schema(&schema, pinned).of(piece, line).unwrap_or(error))?;
            engine::run(&what(path), || all.vstack_mut_owned(frame).map(drop))?;
            line += piece.iter().filter(|&&b| b == b'\n').count() as u64;
        }
    }
    Ok(all)
}

fn load(paths: &[PathBuf]) -> Result<Files, SourceError> {
    let mut files = Files { bytes: Vec::new(), parts: Vec::with_capacity(paths.len()) };
    for path in paths {
        let mut bytes = compress::read(path)?;
        if bytes.starts_with(BOM) {
            bytes.drain(..BOM.len());
        }
        let start = files.bytes.len();
        if start == 0 {
            files.bytes = bytes;
        } else {
            files.bytes.append(&mut bytes);
        }
        files.parts.push((path.clone(), start..files.bytes.len()));
        // For the inference over all files: a last line may lack its line break.
        files.bytes.push(b'\n');
    }
    Ok(files)
}

fn what(path: &Path) -> String {
    format!("cannot read {} as NDJSON", path.display())
}

/// The columns of all files and their types.
fn infer(files: &Files) -> Result<PolarsSchema, SourceError> {
    if json_lines(&files.bytes).next().is_none() {
        return Ok(PolarsSchema::default());
    }
    let inferred =
        engine::run("cannot read NDJSON", || polars_io::ndjson::infer_schema(&mut files.bytes.as_slice(), None));
    inferred.map_err(|error| files.diagnosed(error))
}

/// The schema with the pinned kinds in place of the inferred types.
fn pin(mut schema: PolarsSchema, pinned: Option<&Schema>) -> Result<PolarsSchema, SourceError> {
    let Some(pinned) = pinned else { return Ok(schema) };
    if schema.is_empty() {
        // No rows, hence no columns: the model still needs the ones it knows.
        return Ok(pinned.columns.iter().map(|c| Field::new(c.name.as_str().into(), pinned_type(c.kind))).collect());
    }
    typed::missing(&DataFrame::empty_with_schema(&schema), Some(pinned))?;
    for column in &pinned.columns {
        let Some(inferred) = schema.get(&column.name) else { continue };
        match (column.kind, inferred.is_nested(), inferred.is_null()) {
            // Nested values have no fixed type: what is inside may vary from night to night.
            (Kind::Json, true, _) | (Kind::Json, _, true) => {}
            (Kind::Json, false, false) | (_, true, _) => {
                let (name, kind) = (&column.name, column.kind);
                return Err(
                    SourceError::new(format!("column `{name}` is pinned as {kind}, found {inferred}")).hint(REMEDY)
                );
            }
            (kind, ..) => drop(schema.insert(column.name.as_str().into(), pinned_type(kind))),
        }
    }
    Ok(schema)
}

/// Polars infers 128 bits for integers beyond 64; Arrow has no such type.
fn is_oversized(dtype: &DataType) -> bool {
    match dtype {
        DataType::Int128 => true,
        DataType::List(inner) => is_oversized(inner),
        DataType::Struct(fields) => fields.iter().any(|field| is_oversized(field.dtype())),
        _ => false,
    }
}

fn pinned_type(kind: Kind) -> DataType {
    match kind {
        Kind::Bool => DataType::Boolean,
        Kind::Int => DataType::Int64,
        Kind::Float => DataType::Float64,
        Kind::Json => DataType::Null,
        _ => DataType::String,
    }
}

/// The bytes in pieces that end with a line.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let from = PIECE.min(rest.len());
        let end = rest[from..].iter().position(|&b| b == b'\n').map_or(rest.len(), |at| from + at + 1);
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Parses one line alone, to see whether it is the one that cannot be read, or does not fit a schema.
pub fn parse_line(mut line: &[u8], schema: Option<&PolarsSchema>) -> PolarsResult<()> {
    match schema {
        Some(schema) => parse_ndjson(line, Some(1), schema, false).map(drop),
        None => polars_io::ndjson::infer_schema(&mut line, None).map(drop),
    }
}

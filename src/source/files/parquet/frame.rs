//! Parquet files as one frame, for a SQL model.

use crate::source::SourceError;
use crate::source::files::columns::{names, same_columns};
use crate::source::files::{compress, engine};
use polars::prelude::{Column, DataFrame, DataType, PolarsResult};
use polars_io::SerReader;
use polars_io::parquet::read::ParquetReader;
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// Reads the files in order. All must have the first one's columns, in any order, of the same types. Of the row groups and
/// files after `limit` rows nothing is decoded.
///
/// Returns also how many rows each file has.
pub fn read(paths: &[PathBuf], limit: Option<usize>) -> Result<(DataFrame, Vec<usize>), SourceError> {
    let mut rows = Vec::with_capacity(paths.len());
    let mut all: Option<(&Path, DataFrame)> = None;
    for path in paths {
        let left = limit.map(|rows| rows.saturating_sub(all.as_ref().map_or(0, |(_, frame)| frame.height())));
        if all.is_some() && left == Some(0) {
            break;
        }
        let frame = read_file(path, left)?;
        rows.push(frame.height());
        all = Some(match all {
            None => (path, frame),
            Some((first, sum)) => (first, append(first, sum, path, frame)?),
        });
    }
    Ok((all.map(|(_, frame)| frame).unwrap_or_default(), rows))
}

fn read_file(path: &Path, limit: Option<usize>) -> Result<DataFrame, SourceError> {
    let bytes = compress::read(path)?;
    let name = path.display();
    if bytes.is_empty() {
        return Err(SourceError::new(format!("{name} is empty (0 bytes), not a Parquet file")));
    }
    engine::run(&format!("cannot read {name} as Parquet"), || {
        let reader = ParquetReader::new(Cursor::new(bytes)).with_slice(limit.map(|rows| (0, rows)));
        reader.set_rechunk(false).finish()
    })
    .map_err(|error| match error.hint {
        Some(_) => error,
        None => error.hint("it is cut off or damaged, or not Parquet at all (then set source.format)"),
    })
}

fn append(first: &Path, sum: DataFrame, path: &Path, next: DataFrame) -> Result<DataFrame, SourceError> {
    same_columns((first, &names(&sum)), (path, &names(&next)))?;
    let next = engine::run("putting files together", || next.select(names(&sum)))?;
    let different: Vec<String> = sum
        .columns()
        .iter()
        .zip(next.columns())
        .filter(|(a, b)| !a.dtype().is_null() && !b.dtype().is_null() && a.dtype() != b.dtype())
        .map(|(a, b)| format!("`{}` is {} there and {} here", a.name(), a.dtype(), b.dtype()))
        .collect();
    if !different.is_empty() {
        let (first, path) = (first.display(), path.display());
        return Err(SourceError::new(format!("{first} and {path} have different types: {}", different.join("; ")))
            .hint("write all files of one extract with the same schema"));
    }
    engine::run("putting files together", || {
        let next = align_nulls(&sum, next)?;
        let mut sum = align_nulls(&next, sum)?;
        sum.vstack_mut_owned(next)?;
        Ok(sum)
    })
}

/// A column without any value may be written without a type; it takes the other file's.
fn align_nulls(typed: &DataFrame, frame: DataFrame) -> PolarsResult<DataFrame> {
    let height = frame.height();
    let columns: PolarsResult<Vec<Column>> = typed
        .columns()
        .iter()
        .zip(frame.into_columns())
        .map(|(typed, column)| match (typed.dtype(), column.dtype()) {
            (wanted, DataType::Null) if !wanted.is_null() => {
                Ok(Column::full_null(column.name().clone(), height, wanted))
            }
            _ => Ok(column),
        })
        .collect();
    DataFrame::new(height, columns?)
}

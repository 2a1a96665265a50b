//! CSV files as one frame of text columns, for a SQL model.

use super::blocks::BLOCK;
use super::feed::{Feed, Input};
use super::rows::Reading;
use crate::job::spec::CsvOptions;
use crate::source::SourceError;
use crate::source::files::engine;
use crate::source::files::partitions::Partitions;
use polars::prelude::{DataFrame, IntoColumn, StringChunkedBuilder};
use std::path::PathBuf;
use std::sync::Arc;

/// The rows of all files.
pub struct CsvTable {
    /// Text columns, as read.
    pub frame: DataFrame,
    /// Where each row stands, if asked for.
    pub origin: Origin,
    /// How many rows there are of each file.
    pub rows: Vec<usize>,
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
    let (partitions, options) = (Partitions::default(), options.clone());
    let input = Arc::new(Input { paths: paths.to_vec(), partitions, options, block: BLOCK, limit });
    let mut feed = Feed::open(Arc::clone(&input), Vec::new(), lines)?;
    let new = |name: &String| StringChunkedBuilder::new(name.as_str().into(), 0);
    let mut columns: Vec<StringChunkedBuilder> = feed.names().iter().map(new).collect();
    let (mut rows, mut origin) = (0, Origin::default());
    let mut of_files = vec![0; paths.len()];
    while let Some(block) = feed.next()? {
        if origin.files.last().is_none_or(|(path, _)| *path != block.file.path) {
            origin.files.push((block.file.path.clone(), rows));
        }
        let mut reading = Reading::new(&input, block)?;
        let places = reading.places().to_vec();
        let file = reading.file();
        let read = reading.numbered(|line, row| {
            for (index, &place) in places.iter().enumerate() {
                columns[place].append_option(row.value(index));
            }
            if lines {
                origin.lines.push(line);
            }
        })?;
        rows += read;
        of_files[file] += read;
    }
    let columns = columns.into_iter().map(|column| column.finish().into_column()).collect();
    let frame = engine::run("putting columns together", || DataFrame::new(rows, columns))?;
    Ok(CsvTable { frame, origin, rows: of_files })
}

//! Parquet files: a stream of their row groups, or one frame of them for a SQL model.
//!
//! Every footer is read beforehand; a row group is a piece, which the thread that takes it reads and decodes. All files
//! have the first one's columns, in any order, of the same types; a column that a file has without a type (it was NULL
//! throughout) takes the others' type.
//!
//! Always holds: a piece has as many rows as the footer says; a panic of the decoder is an error; a file that is written to
//! meanwhile is an error.

mod file;
mod frame;
mod places;
mod types;

pub use frame::read;
pub use places::{footer, groups};

use super::columns::same_columns;
use super::engine;
use super::partitions::{Partitions, repeated};
use crate::source::{Ask, Piece, Rows, SourceError, Stream, Typing};
use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::error::ArrowError;
use file::{ParquetFile, Part};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Opens the files. `partitions`: columns that their folders say.
pub fn stream(paths: &[PathBuf], partitions: &Partitions, ask: &Ask<'_>) -> Result<Stream, SourceError> {
    let (mut parts, mut left) = (Vec::new(), ask.limit.unwrap_or(usize::MAX));
    let mut files: Vec<Arc<ParquetFile>> = Vec::new();
    let mut fields: Vec<FieldRef> = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        if left == 0 && !files.is_empty() {
            break;
        }
        let mut file = ParquetFile::open(path)?;
        let said = partitions.besides(&file.names());
        file.constants = said.names.iter().cloned().zip(said.values(index).iter().cloned()).collect();
        let file = Arc::new(file);
        match files.first() {
            None => fields = file.fields.iter().map(|f| nullable(f.name(), f.data_type())).collect(),
            Some(first) => align(first, &file, &mut fields)?,
        }
        for (group, rows) in file.groups().enumerate() {
            let rows = rows.min(left);
            left -= rows;
            if rows > 0 {
                parts.push((Arc::clone(&file), Part { group, rows }));
            }
        }
        files.push(file);
    }
    for (name, _) in files.first().iter().flat_map(|file| &file.constants) {
        fields.push(nullable(name, &DataType::Utf8View));
    }
    let wanted: Vec<FieldRef> = fields.iter().filter(|field| (ask.wanted)(field.name())).cloned().collect();
    let files = (ask.limit.is_none() && partitions.names.is_empty()).then(|| paths.to_vec());
    let rows = Box::new(Groups { parts, next: AtomicUsize::new(0), wanted: wanted.into() });
    Ok(Stream {
        schema: Arc::new(Schema::new(fields)),
        typing: Typing::Declared,
        input: None,
        rows,
        files,
        partial: false,
    })
}

fn nullable(name: &str, data_type: &DataType) -> FieldRef {
    Arc::new(Field::new(name, data_type.clone(), true))
}

/// Compares a further file with the extract's columns, which take their types from it if they have none yet.
fn align(first: &ParquetFile, file: &ParquetFile, fields: &mut [FieldRef]) -> Result<(), SourceError> {
    same_columns((&first.path, &first.names()), (&file.path, &file.names()))?;
    let mut different = Vec::new();
    for field in fields {
        let Some(found) = file.fields.iter().find(|found| found.name() == field.name()) else { continue };
        let (there, here) = (field.data_type(), found.data_type());
        if there.is_null() {
            *field = nullable(found.name(), here);
        } else if !here.is_null() && !types::same(there, here) {
            let (name, there, here) = (found.name(), types::shown(there), types::shown(here));
            different.push(format!("`{name}` is {there} there and {here} here"));
        }
    }
    if different.is_empty() {
        return Ok(());
    }
    let (first, path) = (first.path.display(), file.path.display());
    Err(SourceError::new(format!("{first} and {path} have different types: {}", different.join("; ")))
        .hint("write all files of one extract with the same schema"))
}

struct Groups {
    parts: Vec<(Arc<ParquetFile>, Part)>,
    next: AtomicUsize,
    wanted: Arc<[FieldRef]>,
}

impl Rows for Groups {
    fn next(&self) -> Result<Option<Piece>, SourceError> {
        // Nobody asks often enough after the end to come round to the beginning.
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let Some((file, part)) = self.parts.get(number) else { return Ok(None) };
        let group = Group { file: Arc::clone(file), part: *part, wanted: Arc::clone(&self.wanted), state: State::New };
        Ok(Some(Piece { number: number as u64, batches: Box::new(group) }))
    }

    fn estimate(&self) -> u64 {
        self.parts.iter().map(|(_, part)| part.rows as u64).sum()
    }
}

/// The batches of a row group.
struct Group {
    file: Arc<ParquetFile>,
    part: Part,
    wanted: Arc<[FieldRef]>,
    state: State,
}

enum State {
    New,
    Reading { file: File, reader: Box<ParquetRecordBatchReader>, rows: usize },
    Done,
}

impl Group {
    /// The next batch and what comes after it.
    fn advance(&self, state: State) -> Result<Option<(RecordBatch, State)>, SourceError> {
        let (file, mut reader, before) = match state {
            State::Done => return Ok(None),
            State::Reading { file, reader, rows } => (file, reader, rows),
            State::New => {
                let wanted = |name: &str| self.wanted.iter().any(|field| field.name() == name);
                let (file, reader) = self.file.read(self.part, wanted)?;
                (file, Box::new(reader), 0)
            }
        };
        let batch = engine::decode(|| reader.next().transpose()?.map(|batch| self.shaped(&batch)).transpose());
        match batch.map_err(|e| self.file.damaged(&e))? {
            Some(batch) => {
                let rows = before + batch.num_rows();
                Ok(Some((batch, State::Reading { file, reader, rows })))
            }
            None => {
                self.file.unchanged(&file)?;
                if before == self.part.rows {
                    return Ok(None);
                }
                let Part { group, rows } = self.part;
                Err(self.file.damaged(&format!("row group {group} has {before} rows instead of {rows}")))
            }
        }
    }

    /// The batch with the wanted columns in order.
    fn shaped(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let (mut fields, mut columns) = (Vec::new(), Vec::<ArrayRef>::new());
        for field in self.wanted.iter() {
            let found = batch.column_by_name(field.name()).filter(|found| !found.data_type().is_null());
            let said = self.file.constants.iter().find(|(name, _)| name == field.name());
            let column = match found {
                None if let Some((_, value)) = said => repeated(value.as_deref(), batch.num_rows()),
                Some(found) => {
                    types::arrives(found.data_type(), field)?;
                    if self.file.unchecked(field) {
                        found.to_data().validate_full()?;
                    }
                    Arc::clone(found)
                }
                None => new_null_array(field.data_type(), batch.num_rows()),
            };
            fields.push(nullable(field.name(), column.data_type()));
            columns.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
    }
}

impl Iterator for Group {
    type Item = Result<RecordBatch, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let state = std::mem::replace(&mut self.state, State::Done);
        let (batch, state) = match self.advance(state).transpose()? {
            Ok(advanced) => advanced,
            Err(error) => return Some(Err(error)),
        };
        self.state = state;
        Some(Ok(batch))
    }
}

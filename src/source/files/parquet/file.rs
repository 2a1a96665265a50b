//! One Parquet file: what its footer says, and the reader of a row group.

use super::types;
use crate::source::SourceError;
use crate::source::files::stamp::{Stamp, changed, unreadable};
use crate::source::files::{compress, engine};
use arrow::datatypes::{DataType, FieldRef, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{ConvertedType, Encoding, Type};
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetStatisticsPolicy, RowGroupMetaData};
use parquet::schema::types::SchemaDescriptor;
use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of a batch.
const ROWS: usize = 16 << 10;

/// A file whose footer has been read.
#[derive(Debug)]
pub struct ParquetFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its columns with the types that they are read as.
    pub fields: Vec<FieldRef>,
    /// Columns that its folders say, each with its one value.
    pub constants: Vec<(String, Option<String>)>,
    metadata: Arc<ParquetMetaData>,
    stamp: Stamp,
}

/// The part of a file that is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// The row group.
    pub group: usize,
    /// How many of its rows.
    pub rows: usize,
}

impl ParquetFile {
    /// Reads the footer.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let file = File::open(path).map_err(|e| unreadable(path, &e))?;
        let stamp = Stamp::of(&file).map_err(|e| unreadable(path, &e))?;
        if stamp.length == 0 {
            return Err(SourceError::new(format!("{} is empty (0 bytes), not a Parquet file", path.display())));
        }
        let options = ArrowReaderOptions::new()
            .with_encoding_stats_as_mask(true)
            .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
        let found = engine::decode(|| ArrowReaderMetadata::load(&file, options)).map_err(|e| damaged(path, &e))?;
        let columns = found.parquet_schema();
        let mut names = HashSet::new();
        let mut fields = Vec::new();
        for field in found.schema().fields() {
            if !names.insert(field.name()) {
                return Err(damaged(path, &format!("two of its columns are called `{}`", field.name())));
            }
            let legacy = leaves(columns, field.name()).any(|leaf| columns.column(leaf).physical_type() == Type::INT96);
            fields.push(Arc::new(field.as_ref().clone().with_data_type(types::column(field.data_type(), legacy))));
        }
        let (path, constants) = (path.to_owned(), Vec::new());
        Ok(ParquetFile { path, fields, constants, metadata: Arc::clone(found.metadata()), stamp })
    }

    /// The column names in the file's order.
    pub fn names(&self) -> Vec<String> {
        self.fields.iter().map(|field| field.name().clone()).collect()
    }

    /// The rows of each row group.
    pub fn groups(&self) -> impl Iterator<Item = usize> {
        self.metadata.row_groups().iter().map(|group| usize::try_from(group.num_rows()).unwrap_or(0))
    }

    /// The row groups.
    pub fn row_groups(&self) -> &[RowGroupMetaData] {
        self.metadata.row_groups()
    }

    /// Begins to read a part, through a file handle of its own: handles that share a position cannot be read at once.
    pub fn read(
        &self,
        part: Part,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(File, ParquetRecordBatchReader), SourceError> {
        let file = File::open(&self.path).map_err(|e| unreadable(&self.path, &e))?;
        self.unchanged(&file)?;
        let handle = file.try_clone().map_err(|e| unreadable(&self.path, &e))?;
        let reader = engine::decode(|| self.reader(handle, part, wanted)).map_err(|e| self.damaged(&e))?;
        Ok((file, reader))
    }

    /// Whether the file is still the one whose footer was read.
    pub fn unchanged(&self, file: &File) -> Result<(), SourceError> {
        self.stamp.check(file, &self.path)
    }

    /// The error for a file that cannot be decoded; or for one that was written to, which looks the same.
    pub fn damaged(&self, what: &str) -> SourceError {
        match File::open(&self.path).map(|file| self.unchanged(&file)) {
            Ok(Err(_)) => changed(&self.path),
            _ => damaged(&self.path, what),
        }
    }

    /// Whether a text column's bytes are text by its annotation only, so that the decoder does not look at them.
    pub fn unchecked(&self, field: &FieldRef) -> bool {
        let columns = self.metadata.file_metadata().schema_descr();
        let claimed = |leaf| {
            let column = columns.column(leaf);
            column.physical_type() == Type::BYTE_ARRAY && column.converted_type() != ConvertedType::UTF8
        };
        *field.data_type() != DataType::BinaryView && leaves(columns, field.name()).any(claimed)
    }

    fn reader(&self, file: File, part: Part, wanted: impl Fn(&str) -> bool) -> ParquetResult<ParquetRecordBatchReader> {
        let columns = self.metadata.file_metadata().schema_descr();
        let fields: Vec<FieldRef> = self.fields.iter().map(|field| self.hinted(columns, field, part.group)).collect();
        let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(&self.metadata), options)?;
        let roots = columns.root_schema().get_fields();
        let roots = roots.iter().enumerate().filter(|(_, root)| wanted(root.name())).map(|(index, _)| index);
        ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_projection(ProjectionMask::roots(columns, roots))
            .with_row_groups(vec![part.group])
            .with_batch_size(ROWS)
            .with_limit(part.rows)
            .build()
    }

    /// The type that a column of a row group is asked for: text that is a dictionary in the file stays one.
    fn hinted(&self, columns: &SchemaDescriptor, field: &FieldRef, group: usize) -> FieldRef {
        let mut chunks = leaves(columns, field.name()).map(|leaf| self.metadata.row_group(group).column(leaf));
        // Of text by annotation only the decoder would make a dictionary of bytes.
        if *field.data_type() != DataType::Utf8View || self.unchecked(field) || !chunks.all(is_dictionary) {
            return Arc::clone(field);
        }
        Arc::new(field.as_ref().clone().with_data_type(types::dictionary()))
    }
}

/// The leaves below a column.
fn leaves(columns: &SchemaDescriptor, name: &str) -> impl Iterator<Item = usize> {
    (0..columns.num_columns()).filter(move |&leaf| columns.get_column_root(leaf).name() == name)
}

/// Whether all data pages of a chunk refer to its dictionary.
fn is_dictionary(chunk: &ColumnChunkMetaData) -> bool {
    let only = |encoding| chunk.page_encoding_stats_mask().is_some_and(|mask| mask.is_only(encoding));
    if chunk.page_encoding_stats_mask().is_some() {
        return only(Encoding::RLE_DICTIONARY) || only(Encoding::PLAIN_DICTIONARY);
    }
    // Without statistics, plain pages cannot be told from the dictionary itself, which is plain too in most files.
    let levels = [Encoding::RLE, Encoding::PLAIN_DICTIONARY, Encoding::RLE_DICTIONARY];
    chunk.dictionary_page_offset().is_some() && chunk.encodings().all(|encoding| levels.contains(&encoding))
}

/// The error for a file that is not Parquet, or not any more.
fn damaged(path: &Path, what: &str) -> SourceError {
    let error = SourceError::new(format!("cannot read {} as Parquet: {what}", path.display()));
    match compress::Unpacked::open(path) {
        Ok(file) if file.is_packed() => error.hint("it is packed as a whole: unpack it; Parquet packs its own pages"),
        _ => error.hint("it is cut off or damaged, or not Parquet at all (then set source.format)"),
    }
}

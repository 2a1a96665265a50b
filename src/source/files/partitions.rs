//! Columns that the folders of files say: `dt=2026-01-15/part-0.parquet`.
//!
//! They are text, and stand behind the files' own columns. A file that has a column of that name itself keeps its own.

use super::engine;
use crate::source::SourceError;
use crate::source::pick::hive;
use arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray, StringViewArray, new_null_array};
use arrow::datatypes::{DataType, Int32Type};
use polars::prelude::{DataFrame, IntoColumn, StringChunkedBuilder};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The partition columns of the files of an extract.
#[derive(Debug, Clone, Default)]
pub struct Partitions {
    /// Their names; none: the files are not partitioned.
    pub names: Vec<String>,
    /// Of each file, in order, the values of these columns.
    values: Vec<Vec<Option<String>>>,
}

impl Partitions {
    /// Of these files. Only folders below `root` count.
    pub fn of(paths: &[PathBuf], root: &Path) -> Result<Self, SourceError> {
        let name = |path: &PathBuf| path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        let columns = hive::of_all(&paths.iter().map(name).collect::<Vec<_>>())?;
        let names = columns.first().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        let values = columns.into_iter().map(|of| of.into_iter().map(|(_, value)| value).collect()).collect();
        Ok(Partitions { names, values })
    }

    /// Those that the files do not have themselves.
    #[must_use]
    pub fn besides(&self, own: &[String]) -> Partitions {
        let kept: Vec<usize> = (0..self.names.len()).filter(|&at| !own.contains(&self.names[at])).collect();
        let of = |all: &Vec<Option<String>>| kept.iter().map(|&at| all[at].clone()).collect();
        let names = kept.iter().map(|&at| self.names[at].clone()).collect();
        Partitions { names, values: self.values.iter().map(of).collect() }
    }

    /// The values of a file, in the order of the names.
    pub fn values(&self, file: usize) -> &[Option<String>] {
        self.values.get(file).map_or(&[], Vec::as_slice)
    }

    /// The frame with the columns that it does not have. `rows`: how many there are of each file, in order.
    pub fn add(&self, frame: DataFrame, rows: &[usize]) -> Result<DataFrame, SourceError> {
        let own: Vec<String> = frame.get_column_names().into_iter().map(|name| name.to_string()).collect();
        let added = self.besides(&own);
        let mut columns = frame.columns().to_vec();
        for (at, name) in added.names.iter().enumerate() {
            let mut builder = StringChunkedBuilder::new(name.as_str().into(), frame.height());
            for (file, &count) in rows.iter().enumerate() {
                let value = added.values(file).get(at).and_then(Option::as_deref);
                (0..count).for_each(|_| builder.append_option(value));
            }
            columns.push(builder.finish().into_column());
        }
        engine::run("adding the partition columns", || DataFrame::new(frame.height(), columns))
    }
}

/// So many rows of one value, as a dictionary of it.
pub fn repeated(value: Option<&str>, rows: usize) -> ArrayRef {
    match value {
        None => new_null_array(&DataType::Utf8View, rows),
        Some(value) => {
            let (keys, values) = (Int32Array::from(vec![0; rows]), StringArray::from(vec![value]));
            Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(values)))
        }
    }
}

/// The same as text.
pub fn repeated_text(value: Option<&str>, rows: usize) -> ArrayRef {
    Arc::new(std::iter::repeat_n(value, rows).collect::<StringViewArray>())
}

//! Rows of our Parquet files, decoded on every core: all of them in order, or those asked for.

use super::{FileEntry, SnapshotError, files};
use arrow::array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelector,
};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Rows of a batch.
const BATCH: usize = 16_384;

/// A verified Parquet file of a snapshot.
#[derive(Debug, Clone)]
pub(super) struct Table {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    /// The rows of each row group, counted over the file.
    groups: Vec<Range<u64>>,
}

/// Rows of one row group.
struct Task {
    group: usize,
    /// Which rows of the group, ascending; `None`: all.
    rows: Option<Vec<u64>>,
}

impl Table {
    /// Opens a published file whose content is what the manifest says.
    pub(super) fn open(dir: &Path, entry: &FileEntry) -> Result<Self, SnapshotError> {
        let table = Self::unchecked(files::verified(dir, entry)?)?;
        match table.rows() {
            rows if rows == entry.rows => Ok(table),
            rows => Err(SnapshotError::damaged(
                &table.path,
                format!("it has {rows} rows, the manifest says {}", entry.rows),
            )),
        }
    }

    /// Opens a file that this process has written just now.
    pub(super) fn unchecked(path: PathBuf) -> Result<Self, SnapshotError> {
        let file = File::open(&path).map_err(SnapshotError::io(&path))?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new());
        let metadata = metadata.map_err(|e| SnapshotError::damaged(&path, e))?;
        let mut start = 0;
        let groups = metadata.metadata().row_groups().iter().map(|group| {
            let range = start..start + u64::try_from(group.num_rows()).unwrap_or(0);
            start = range.end;
            range
        });
        let groups = groups.collect();
        Ok(Table { path, metadata, groups })
    }

    pub(super) fn rows(&self) -> u64 {
        self.groups.last().map_or(0, |group| group.end)
    }

    /// The compressed bytes of the columns of `schema`, and of all columns.
    pub(super) fn bytes(&self, schema: &crate::row::Schema) -> (i64, i64) {
        let groups = self.metadata.metadata().row_groups().iter();
        groups.flat_map(|group| group.columns()).fold((0, 0), |(needed, all), column| {
            let root = column.column_path().parts().first().map_or("", String::as_str);
            let size = column.compressed_size();
            (if schema.index_of(root).is_some() { needed + size } else { needed }, all + size)
        })
    }

    /// Whether a column of `schema` holds instants in the old form of 96 bits, which reach beyond what is decoded by default.
    pub(super) fn has_int96(&self, schema: &crate::row::Schema) -> bool {
        let leaves = self.metadata.parquet_schema().columns();
        leaves.iter().any(|leaf| {
            let root = leaf.path().parts().first().map_or("", String::as_str);
            leaf.physical_type() == parquet::basic::Type::INT96 && schema.index_of(root).is_some()
        })
    }

    /// The names of the columns in these columns of columns, in their order.
    pub(super) fn columns_of(&self, groups: &[&str]) -> Vec<String> {
        let schema = self.metadata.schema();
        let of = |group: &&str| match schema.field_with_name(group).map(arrow::datatypes::Field::data_type) {
            Ok(arrow::datatypes::DataType::Struct(fields)) => fields.iter().map(|f| f.name().clone()).collect(),
            _ => Vec::new(),
        };
        groups.iter().flat_map(of).collect()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn metadata(&self) -> &ArrowReaderMetadata {
        &self.metadata
    }

    pub(super) fn groups(&self) -> &[Range<u64>] {
        &self.groups
    }

    /// The rows at these positions, ascending and each once, with the named columns. `make` turns each decoded batch into
    /// what is wanted, on the thread that decoded it.
    pub(super) fn pick(
        &self,
        columns: &[&str],
        rows: &[u64],
        make: &(dyn Fn(RecordBatch) -> Result<RecordBatch, SnapshotError> + Sync),
    ) -> Result<Vec<RecordBatch>, SnapshotError> {
        let mut tasks = Vec::new();
        let mut rest = rows;
        for (group, range) in self.groups.iter().enumerate() {
            let (inside, after) = rest.split_at(rest.partition_point(|row| *row < range.end));
            rest = after;
            if !inside.is_empty() {
                tasks.push(Task { group, rows: Some(inside.iter().map(|row| row - range.start).collect()) });
            }
        }
        if let Some(row) = rest.first() {
            return Err(SnapshotError::damaged(&self.path, format!("it has {} rows and no row {row}", self.rows())));
        }
        let done =
            in_parallel(tasks, |task| self.read_task(columns, task)?.map(|b| make(b?)).collect::<Result<Vec<_>, _>>())?;
        Ok(done.into_iter().flatten().collect())
    }

    /// All rows of a row group, in order.
    pub(super) fn group(&self, columns: &[&str], group: usize) -> Result<Batches, SnapshotError> {
        self.read_task(columns, Task { group, rows: None })
    }

    fn read_task(&self, columns: &[&str], task: Task) -> Result<Batches, SnapshotError> {
        let file = File::open(&self.path).map_err(SnapshotError::io(&self.path))?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let wanted = builder.schema().fields().iter().enumerate();
        let wanted: Vec<usize> =
            wanted.filter(|(_, field)| columns.contains(&field.name().as_str())).map(|(index, _)| index).collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
        let mut builder = builder.with_projection(mask).with_row_groups(vec![task.group]).with_batch_size(BATCH);
        if let Some(rows) = &task.rows {
            builder = builder.with_row_selection(selection(rows));
        }
        let reader = builder.build().map_err(|e| SnapshotError::damaged(&self.path, e))?;
        Ok(Batches { path: self.path.clone(), reader })
    }
}

/// The batches of a row group.
pub(super) struct Batches {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.reader.next()?.map_err(|e| SnapshotError::damaged(&self.path, e)))
    }
}

fn selection(rows: &[u64]) -> RowSelection {
    let mut selectors = Vec::with_capacity(rows.len() * 2);
    let mut next = 0u64;
    for run in rows.chunk_by(|a, b| a + 1 == *b) {
        if run[0] > next {
            selectors.push(RowSelector::skip((run[0] - next) as usize));
        }
        selectors.push(RowSelector::select(run.len()));
        next = run[0] + run.len() as u64;
    }
    RowSelection::from(selectors)
}

/// Does the tasks on every core; the results come in the order of the tasks.
pub(super) fn in_parallel<T: Send, R: Send>(
    tasks: Vec<T>,
    run: impl Fn(T) -> Result<R, SnapshotError> + Sync,
) -> Result<Vec<R>, SnapshotError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(tasks.len());
    if threads < 2 {
        return tasks.into_iter().map(run).collect();
    }
    let queue: Vec<Mutex<Option<T>>> = tasks.into_iter().map(|task| Mutex::new(Some(task))).collect();
    let done: Vec<Mutex<Option<Result<R, SnapshotError>>>> = queue.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(slot) = queue.get(index) else { return };
            let task = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            let result = task.map(&run);
            *done[index].lock().unwrap_or_else(PoisonError::into_inner) = result;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    done.into_iter().filter_map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

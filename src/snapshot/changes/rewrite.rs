//! Several change sets as one: those of partitions put into one order, or one without the changes of keys that turned out to
//! stand twice in the extract.

use super::super::basis::Basis;
use super::super::files::TableWriter;
use super::super::read::{Batches, Table};
use super::super::{FileEntry, SnapshotError};
use super::set::{ChangeBatch, ChangeSet, Shape};
use super::writer::{ORDER, Written, create};
use crate::diff::{ColumnStats, Operation};
use crate::normalise;
use crate::row::KeyHash;
use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::UInt64Type;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Rows that are put together at a time.
const ROWS: usize = 8192;

/// Writes `parts`, which are removed, as one change set `name` (relative to `dir`), without the changes of `dropped` keys.
///
/// # Errors
/// Files that cannot be read or written.
pub fn rewrite(
    parts: &[ChangeSet],
    dir: &Path,
    name: &str,
    basis: &Basis,
    dropped: &HashSet<KeyHash>,
) -> Result<(ChangeSet, Written), SnapshotError> {
    let Some(shape) = parts.first().map(|part| Arc::clone(part.shape())) else {
        return Err(SnapshotError::damaged(dir.join(name), "there is nothing to put together"));
    };
    let draft = format!("{name}.new");
    let mut output = Output {
        dir,
        draft: &draft,
        shape: Arc::clone(&shape),
        basis,
        dropped,
        writer: None,
        written: Written::default(),
    };
    output.written.stats = ColumnStats::new(shape.forms.len());
    let mut inputs = parts.iter().map(Input::open).collect::<Result<Vec<_>, _>>()?;
    let mut picks = Vec::with_capacity(ROWS);
    loop {
        let next = (0..inputs.len()).filter_map(|i| Some((inputs[i].head()?, i))).min();
        let Some((_, input)) = next else { break };
        picks.push((input, inputs[input].row));
        inputs[input].row += 1;
        if inputs[input].is_at_end() || picks.len() == ROWS {
            output.put(&inputs, &picks)?;
            picks.clear();
            inputs[input].refill()?;
        }
    }
    output.put(&inputs, &picks)?;
    let (mut entry, written) = output.finish()?;
    parts.iter().try_for_each(|part| fs::remove_file(part.path()).map_err(SnapshotError::io(part.path())))?;
    let path = dir.join(name);
    fs::rename(dir.join(&draft), &path).map_err(SnapshotError::io(&path))?;
    entry.path = name.to_owned();
    let rows = entry.rows;
    Ok((ChangeSet::new(path, shape, rows), Written { entry: Some(entry), ..written }))
}

/// One file that is read row by row.
struct Input {
    table: Table,
    group: usize,
    batches: Option<Batches>,
    batch: RecordBatch,
    row: usize,
}

impl Input {
    fn open(part: &ChangeSet) -> Result<Self, SnapshotError> {
        let table = Table::unchecked(part.path().to_owned())?;
        let schema = table.metadata().schema().clone();
        let mut input = Input { table, group: 0, batches: None, batch: RecordBatch::new_empty(schema), row: 0 };
        input.refill()?;
        Ok(input)
    }

    fn is_at_end(&self) -> bool {
        self.row >= self.batch.num_rows()
    }

    /// Where the next row belongs; `None` after the last. A file alone is in order as it is.
    fn head(&self) -> Option<u64> {
        if self.is_at_end() {
            return None;
        }
        let order = self.batch.column_by_name(ORDER).and_then(|a| a.as_primitive_opt::<UInt64Type>());
        Some(order.map_or(0, |order| order.value(self.row)))
    }

    fn refill(&mut self) -> Result<(), SnapshotError> {
        while self.is_at_end() {
            if let Some(batch) = self.batches.as_mut().and_then(Iterator::next) {
                (self.batch, self.row) = (batch?, 0);
            } else if self.group < self.table.groups().len() {
                let schema = self.table.metadata().schema().clone();
                let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
                self.batches = Some(self.table.group(&columns, self.group)?);
                self.group += 1;
            } else {
                return Ok(());
            }
        }
        Ok(())
    }
}

struct Output<'a> {
    dir: &'a Path,
    draft: &'a str,
    shape: Arc<Shape>,
    basis: &'a Basis,
    dropped: &'a HashSet<KeyHash>,
    writer: Option<TableWriter>,
    written: Written,
}

impl Output<'_> {
    fn put(&mut self, inputs: &[Input], picks: &[(usize, usize)]) -> Result<(), SnapshotError> {
        let batches: Vec<&RecordBatch> = inputs.iter().map(|input| &input.batch).collect();
        let batch = arrow::compute::interleave_record_batch(&batches, picks)?;
        let batch = arrow::compute::filter_record_batch(&batch, &self.wanted(&batch)?)?;
        let rows = ChangeBatch::read(Arc::clone(&self.shape), 0, &batch)?;
        for at in 0..rows.len() {
            match rows.rows[at].operation {
                Operation::Added => self.written.added += 1,
                Operation::Changed => {
                    self.written.changed += 1;
                    self.written.stats.add(&rows.differing(at));
                }
                Operation::Removed => self.written.removed += 1,
            }
        }
        let batch = self.numbered(batch)?;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(create(self.dir, self.draft, &batch.schema())?),
        };
        writer.write(&batch)
    }

    /// Which rows are not of a dropped key.
    fn wanted(&self, batch: &RecordBatch) -> Result<BooleanArray, SnapshotError> {
        let key = batch.column_by_name("key").and_then(|a| a.as_struct_opt());
        let columns = key.map(|key| key.columns()).unwrap_or_default().iter().zip(&self.basis.schema.columns);
        let columns = columns.map(|(array, column)| Ok(normalise::canonical(array, column.kind)?.0));
        let keys = self.basis.keys().hashes(&columns.collect::<Result<Vec<ArrayRef>, SnapshotError>>()?);
        Ok(keys.iter().map(|key| Some(!self.dropped.contains(key))).collect())
    }

    /// The rows numbered on, without the column that gave their order.
    fn numbered(&self, mut batch: RecordBatch) -> Result<RecordBatch, SnapshotError> {
        if let Ok(order) = batch.schema().index_of(ORDER) {
            batch.remove_column(order);
        }
        let first = self.writer.as_ref().map_or(0, TableWriter::rows) as i64;
        let seq: ArrayRef = Arc::new(Int64Array::from_iter_values(first..first + batch.num_rows() as i64));
        let schema = batch.schema();
        let mut columns = batch.columns().to_vec();
        if let Ok(at) = schema.index_of("seq") {
            columns[at] = seq;
        }
        Ok(RecordBatch::try_new(schema, columns)?)
    }

    fn finish(self) -> Result<(FileEntry, Written), SnapshotError> {
        let writer =
            self.writer.ok_or_else(|| SnapshotError::damaged(self.dir.join(self.draft), "it was not written"))?;
        Ok((writer.finish()?, self.written))
    }
}

//! A change set as it is sent: read from its file batch by batch.

use super::super::SnapshotError;
use super::super::read::{Batches, Table};
use super::super::table::{names_at, project, ungroup};
use super::id_of;
use crate::diff::Operation;
use crate::row::{Form, RowRef, Schema, Value, within};
use arrow::array::{Array, AsArray, RecordBatch};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// What a change says besides its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// What is to happen at the destination.
    pub operation: Operation,
    /// The same for every repeat of the same version of a row.
    pub webhook_id: String,
    /// An earlier send may have been applied.
    pub uncertain: bool,
    /// Whether the destination is known to have had the org.
    pub had_before: bool,
    /// Compared columns of which the destination's value was not known and not to be sent: NULL in `before`.
    pub unknown_before: Vec<String>,
}

/// What the columns of a change set are.
#[derive(Debug, Clone)]
pub struct Shape {
    /// The columns of `after`: tonight's extract.
    pub schema: Schema,
    /// The key's positions in `schema`.
    pub key: Vec<usize>,
    /// The columns of `before`: the key, then the compared ones.
    pub before: Schema,
    /// How each compared column is compared, in the order of `before` after the key.
    pub forms: Vec<Form>,
}

impl Shape {
    /// The compared columns, in the extract's order.
    pub fn compared(&self) -> impl Iterator<Item = &str> {
        self.before.columns[self.key.len()..].iter().map(|c| c.name.as_str())
    }

    /// The columns of `after` that may differ within a version: payload-only ones, and those that are compared by a form.
    fn loose(&self) -> Vec<usize> {
        let plain = self.compared().zip(&self.forms).filter(|(_, form)| form.is_plain()).map(|(name, _)| name);
        let plain: BTreeSet<&str> = plain.collect();
        let columns = self.schema.columns.iter().enumerate();
        let loose = columns.filter(|(at, column)| !self.key.contains(at) && !plain.contains(column.name.as_str()));
        let mut loose: Vec<usize> = loose.map(|(at, _)| at).collect();
        // The order of columns says nothing: read back from its file a change set may have another.
        loose.sort_by_key(|at| &self.schema.columns[*at].name);
        loose
    }

    /// Which compared columns differ in a row, by their position among the compared ones. `unknown`: those of which the
    /// destination's value is not known.
    pub(super) fn differing(
        &self,
        before: &RecordBatch,
        after: &RecordBatch,
        row: usize,
        unknown: &[String],
    ) -> Vec<usize> {
        let (old, new) =
            (RowRef { schema: &self.before, batch: before, row }, RowRef { schema: &self.schema, batch: after, row });
        let differs = |(i, name): &(usize, &str)| {
            let at = self.key.len() + i;
            let tonight = self.schema.index_of(name);
            !unknown.iter().any(|u| u == name)
                && tonight.is_some_and(|tonight| !within(old.value(at), new.value(tonight), &self.forms[*i]))
        };
        self.compared().enumerate().filter(differs).map(|(i, _)| i).collect()
    }
}

/// The rows to send, in their file.
#[derive(Debug, Clone)]
pub struct ChangeSet {
    path: PathBuf,
    shape: Arc<Shape>,
    rows: u64,
}

/// Some rows of a change set.
#[derive(Debug, Clone)]
pub struct ChangeBatch {
    shape: Arc<Shape>,
    /// [`Shape::loose`]
    loose: Vec<usize>,
    /// The `seq` of the first row.
    pub first: u64,
    /// What is said of each row.
    pub rows: Vec<ChangeRow>,
    /// What is to be sent, one row per change. A removed org has its key and last known values, the rest NULL.
    pub after: RecordBatch,
    /// What the destination had, one row per change; only the key counts where it had nothing.
    pub before: RecordBatch,
}

impl ChangeSet {
    /// The change set of a finished file.
    pub(in crate::snapshot) fn new(path: PathBuf, shape: Arc<Shape>, rows: u64) -> Self {
        ChangeSet { path, shape, rows }
    }

    /// How many changes there are.
    pub fn len(&self) -> u64 {
        self.rows
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// What its columns are.
    pub fn shape(&self) -> &Arc<Shape> {
        &self.shape
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All rows in order, batch by batch. The file is this process's own: it is not verified again.
    ///
    /// # Errors
    /// A file that cannot be opened; each batch may fail too.
    pub fn batches(
        &self,
    ) -> Result<impl Iterator<Item = Result<ChangeBatch, SnapshotError>> + Send + use<>, SnapshotError> {
        self.batches_around(&(0..self.rows))
    }

    /// The same of the row groups in which these rows are.
    ///
    /// # Errors
    /// As [`batches`](Self::batches).
    pub fn batches_around(
        &self,
        rows: &Range<u64>,
    ) -> Result<impl Iterator<Item = Result<ChangeBatch, SnapshotError>> + Send + use<>, SnapshotError> {
        let table = if self.rows > 0 { Some(Table::unchecked(self.path.clone())?) } else { None };
        let (groups, mut first) = around(table.as_ref().map_or(&[], |table| table.groups()), rows);
        let shape = Arc::clone(&self.shape);
        let batches = groups.flat_map(move |group| match table.as_ref().map(|table| table.group(&COLUMNS, group)) {
            Some(Ok(batches)) => Group::Rows(Box::new(batches)),
            Some(Err(error)) => Group::Failed(Some(error)),
            None => Group::Failed(None),
        });
        Ok(batches.map(move |batch| {
            let batch = ChangeBatch::read(Arc::clone(&shape), first, &batch?)?;
            first += batch.rows.len() as u64;
            Ok(batch)
        }))
    }
}

/// Of row groups, each with the positions of its rows, those in which these rows are, and the first one's first row.
fn around(groups: &[Range<u64>], rows: &Range<u64>) -> (Range<usize>, u64) {
    let start = groups.partition_point(|group| group.end <= rows.start);
    let end = groups.partition_point(|group| group.start < rows.end).max(start);
    (start..end, groups.get(start).map_or(0, |group| group.start))
}

const COLUMNS: [&str; 7] = ["operation", "webhook_id", "uncertain", "key", "before", "after", "unknown_before"];

/// The batches of a row group, or why there are none.
enum Group {
    Rows(Box<Batches>),
    Failed(Option<SnapshotError>),
}

impl Iterator for Group {
    type Item = Result<RecordBatch, SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Group::Rows(batches) => batches.next(),
            Group::Failed(error) => error.take().map(Err),
        }
    }
}

impl ChangeBatch {
    pub(super) fn read(shape: Arc<Shape>, first: u64, batch: &RecordBatch) -> Result<Self, SnapshotError> {
        let not_ours = || SnapshotError::damaged("changes.parquet", "columns of ours are missing");
        let rows = change_rows(batch).ok_or_else(not_ours)?;
        let group = |name: &str| batch.column_by_name(name).and_then(|a| a.as_struct_opt()).ok_or_else(not_ours);
        let (key, old, new) = (group("key")?, group("before")?, group("after")?);
        let before = ungroup(&shape.before, key, old)?;
        let mut after = ungroup(&shape.schema, key, new)?;
        if new.null_count() > 0 {
            // A removal is told with what was known last.
            let last_known = project(&before, &shape.before, &shape.schema)?;
            let picks: Vec<_> = (0..new.len()).map(|row| (usize::from(new.is_null(row)), row)).collect();
            after = arrow::compute::interleave_record_batch(&[&after, &last_known], &picks)?;
        }
        Ok(ChangeBatch { loose: shape.loose(), shape, first, rows, after, before })
    }

    /// The same with at most so many rows.
    #[must_use]
    pub fn first_rows(mut self, rows: usize) -> Self {
        let rows = rows.min(self.rows.len());
        self.rows.truncate(rows);
        ChangeBatch { after: self.after.slice(0, rows), before: self.before.slice(0, rows), ..self }
    }

    /// How many changes it has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row to render and send.
    pub fn row(&self, at: usize) -> RowRef<'_> {
        RowRef { schema: &self.shape.schema, batch: &self.after, row: at }
    }

    /// The id that a row goes out under: that of its version, and, where its body may say more than what is compared, a
    /// mark of the rest. So a repeat has the id of what it repeats, and no id stands for two bodies of one template, but for what
    /// they say of the time of their run.
    pub fn message_id(&self, at: usize) -> String {
        let version = &self.rows[at].webhook_id;
        if self.loose.is_empty() || self.rows[at].operation == Operation::Removed {
            return version.clone();
        }
        let mut text = String::new();
        for column in &self.loose {
            let value = self.row(at).value(*column);
            // A column that has come or gone without a value makes no other body.
            if !matches!(value, Value::Null) {
                text.push_str(&self.shape.schema.columns[*column].name);
                text.push('\0');
                value.write_json(&mut text);
                text.push('\0');
            }
        }
        format!("{version}_{:016x}", xxh3_64(text.as_bytes()))
    }

    /// What the destination had, if it is known to have had the org.
    pub fn before(&self, at: usize) -> Option<RowRef<'_>> {
        self.rows[at].had_before.then_some(RowRef { schema: &self.shape.before, batch: &self.before, row: at })
    }

    /// The compared columns in which a change differs; empty for one that is repeated only because its outcome is unknown.
    pub fn changed_columns(&self, at: usize) -> Vec<&str> {
        let names: Vec<&str> = self.shape.compared().collect();
        self.differing(at).into_iter().map(|i| names[i]).collect()
    }

    /// The same by position among the compared columns.
    pub(super) fn differing(&self, at: usize) -> Vec<usize> {
        if !self.rows[at].had_before || self.rows[at].operation != Operation::Changed {
            return Vec::new();
        }
        self.shape.differing(&self.before, &self.after, at, &self.rows[at].unknown_before)
    }

    /// What its columns are.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }
}

/// One row of our own columns; `None` if the batch has not got them.
pub(super) fn change_rows(batch: &RecordBatch) -> Option<Vec<ChangeRow>> {
    let operations = batch.column_by_name("operation")?.as_string_opt::<i32>()?;
    let ids = batch.column_by_name("webhook_id")?.as_string_opt::<i32>()?;
    let uncertain = batch.column_by_name("uncertain")?.as_boolean_opt()?;
    let before = batch.column_by_name("before")?.as_struct_opt()?;
    let unknown = batch.column_by_name("unknown_before")?.as_list_opt::<i32>()?;
    let row = |row| {
        id_of(ids.value(row))?;
        Some(ChangeRow {
            operation: Operation::parse(operations.value(row))?,
            webhook_id: ids.value(row).to_owned(),
            uncertain: uncertain.value(row),
            had_before: before.is_valid(row),
            unknown_before: names_at(unknown, row)?,
        })
    };
    (0..batch.num_rows()).map(row).collect()
}

//! What the snapshot's files have in common: columns picked by name, structs of columns, lists of names.

use super::{Manifest, SnapshotError};
use crate::normalise;
use crate::row::Schema;
use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, ListBuilder, RecordBatch, RecordBatchOptions, StringBuilder, StructArray,
    new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The columns of which a snapshot says what the destination has: those of the key and the compared ones.
pub(super) fn known_columns(manifest: &Manifest) -> Vec<String> {
    manifest.key.iter().cloned().chain(manifest.compared.iter().map(|c| c.name.clone())).collect()
}

fn batch_of(schema: &Schema, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, SnapshotError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema.arrow(), columns, &options)?)
}

/// A column of a file in its kind of tonight. A value that does not fit the kind reads as NULL; its row joins `misfits`: what
/// the destination has there cannot be said in tonight's kinds, and is not NULL.
fn canonical(
    array: &ArrayRef,
    kind: crate::row::Kind,
    misfits: &mut BTreeSet<usize>,
) -> Result<ArrayRef, SnapshotError> {
    let (canonical, failures) = normalise::canonical(array, kind)?;
    misfits.extend(failures);
    Ok(canonical)
}

/// The columns of `schema` out of a decoded batch, in their kinds of tonight; NULL where the batch has none of the name or
/// `known` does not list it.
pub(super) fn named(batch: &RecordBatch, schema: &Schema, known: &[String]) -> Result<RecordBatch, SnapshotError> {
    Ok(named_with_misfits(batch, schema, known)?.0)
}

/// The same, and the rows with a value that does not fit its kind of tonight.
pub(super) fn named_with_misfits(
    batch: &RecordBatch,
    schema: &Schema,
    known: &[String],
) -> Result<(RecordBatch, BTreeSet<usize>), SnapshotError> {
    let mut misfits = BTreeSet::new();
    let columns = schema.columns.iter().map(|column| {
        match batch.column_by_name(&column.name).filter(|_| known.contains(&column.name)) {
            Some(array) => canonical(array, column.kind, &mut misfits),
            None => Ok(new_null_array(&column.kind.arrow_type(), batch.num_rows())),
        }
    });
    let columns = columns.collect::<Result<_, _>>()?;
    Ok((batch_of(schema, columns, batch.num_rows())?, misfits))
}

/// The columns of `to`, by name, out of a batch of `from`; NULL where `from` has none.
pub(super) fn project(batch: &RecordBatch, from: &Schema, to: &Schema) -> Result<RecordBatch, SnapshotError> {
    let rows = batch.num_rows();
    let columns = to.columns.iter().map(|column| match from.index_of(&column.name) {
        Some(index) => Arc::clone(batch.column(index)),
        None => new_null_array(&column.kind.arrow_type(), rows),
    });
    batch_of(to, columns.collect(), rows)
}

/// Several columns as one; `present`: which rows have it.
pub(super) fn group(batch: &RecordBatch, columns: &[usize], present: Option<&[bool]>) -> StructArray {
    let fields: Fields = columns.iter().map(|&c| batch.schema().field(c).clone()).collect();
    let nulls = present.map(NullBuffer::from);
    if columns.is_empty() {
        // Parquet cannot hold a struct of no columns; it gets one that is always NULL.
        let none = Fields::from(vec![Field::new("_nightmark_none", DataType::Boolean, true)]);
        return StructArray::new(none, vec![new_null_array(&DataType::Boolean, batch.num_rows())], nulls);
    }
    StructArray::new(fields, columns.iter().map(|&c| Arc::clone(batch.column(c))).collect(), nulls)
}

/// The columns of `schema` out of a key and a group of values, in their kinds of tonight; NULL where neither has the column
/// and where a row has no group.
pub(super) fn ungroup(schema: &Schema, key: &StructArray, values: &StructArray) -> Result<RecordBatch, SnapshotError> {
    ungroup_with_misfits(schema, key, values, &mut BTreeSet::new())
}

/// The same; the rows with a value that does not fit its kind of tonight join `misfits`.
pub(super) fn ungroup_with_misfits(
    schema: &Schema,
    key: &StructArray,
    values: &StructArray,
    misfits: &mut BTreeSet<usize>,
) -> Result<RecordBatch, SnapshotError> {
    let rows = key.len();
    let columns = schema.columns.iter().map(|column| {
        if let Some(array) = key.column_by_name(&column.name) {
            return canonical(array, column.kind, misfits);
        }
        match values.column_by_name(&column.name) {
            Some(array) => canonical(&masked(array, values.nulls())?, column.kind, misfits),
            None => Ok(new_null_array(&column.kind.arrow_type(), rows)),
        }
    });
    batch_of(schema, columns.collect::<Result<_, _>>()?, rows)
}

/// A struct's column, NULL where the struct is.
fn masked(array: &ArrayRef, nulls: Option<&NullBuffer>) -> Result<ArrayRef, SnapshotError> {
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else { return Ok(Arc::clone(array)) };
    let gone = arrow::array::BooleanArray::new(!nulls.inner(), None);
    Ok(arrow::compute::nullif(array, &gone)?)
}

/// One list of names per row; NULL for none, which is what nearly all rows have.
pub(super) fn names_array<'a>(rows: impl Iterator<Item = &'a [String]>) -> ListArray {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for names in rows {
        names.iter().for_each(|name| builder.values().append_value(name));
        builder.append(!names.is_empty());
    }
    builder.finish()
}

/// The names of one row of a column that [`names_array`] made; `None` if it is not one.
pub(super) fn names_at(lists: &ListArray, row: usize) -> Option<Vec<String>> {
    if lists.is_null(row) {
        return Some(Vec::new());
    }
    let names = lists.value(row);
    Some(names.as_string_opt::<i32>()?.iter().flatten().map(str::to_owned).collect())
}

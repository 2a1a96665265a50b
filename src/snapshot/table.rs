//! What the snapshot's files have in common: columns picked by name, structs of columns, fingerprints, lists of names.

use super::SnapshotError;
use crate::row::{Fingerprint, Schema};
use arrow::array::{
    Array, AsArray, FixedSizeBinaryArray, FixedSizeBinaryBuilder, ListArray, ListBuilder, RecordBatch,
    RecordBatchOptions, StringBuilder, StructArray, new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use std::sync::Arc;

/// The compared columns of a key-and-compared schema, ordered by name: the order does not depend on the extract's.
pub(super) fn compared_of(schema: &Schema, key: &[usize]) -> Vec<usize> {
    let mut compared: Vec<usize> = (0..schema.columns.len()).filter(|c| !key.contains(c)).collect();
    compared.sort_by(|&a, &b| schema.columns[a].name.cmp(&schema.columns[b].name));
    compared
}

/// The columns of `to`, by name, out of a batch of `from`; NULL where `from` has none.
pub(super) fn project(batch: &RecordBatch, from: &Schema, to: &Schema) -> Result<RecordBatch, SnapshotError> {
    let rows = batch.num_rows();
    let columns = to.columns.iter().map(|column| match from.index_of(&column.name) {
        Some(index) => Arc::clone(batch.column(index)),
        None => new_null_array(&column.kind.arrow_type(), rows),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(to.arrow(), columns.collect(), &options)?)
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

/// The columns of `schema` out of a key and a group of values; NULL where neither has the column, or in another kind.
pub(super) fn ungroup(schema: &Schema, key: &StructArray, values: &StructArray) -> Result<RecordBatch, SnapshotError> {
    let rows = key.len();
    let columns = schema.columns.iter().map(|column| {
        let found = key.column_by_name(&column.name).or_else(|| values.column_by_name(&column.name));
        match found.filter(|a| *a.data_type() == column.kind.arrow_type()) {
            Some(array) => Arc::clone(array),
            None => new_null_array(&column.kind.arrow_type(), rows),
        }
    });
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema.arrow(), columns.collect(), &options)?)
}

pub(super) fn fingerprint_array(
    values: impl Iterator<Item = Option<Fingerprint>>,
) -> Result<FixedSizeBinaryArray, SnapshotError> {
    let mut builder = FixedSizeBinaryBuilder::new(16);
    for value in values {
        match value {
            Some(fingerprint) => builder.append_value(fingerprint.to_be_bytes())?,
            None => builder.append_null(),
        }
    }
    Ok(builder.finish())
}

pub(super) fn fingerprint_at(array: &FixedSizeBinaryArray, row: usize) -> Option<Fingerprint> {
    array.is_valid(row).then(|| array.value(row).try_into().ok().map(Fingerprint::from_be_bytes)).flatten()
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

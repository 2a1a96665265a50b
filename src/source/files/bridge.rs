//! From a polars frame to Arrow record batches, by the Arrow C data interface, without copying values.
//!
//! The only file of the project with `unsafe`. Polars has its own Arrow implementation; the C data interface is the
//! stable form in which both libraries hand over columns, together with the function that frees them.
#![allow(unsafe_code)]

use crate::source::files::{engine, json_text};
use crate::source::{KIND_JSON, KIND_KEY, SourceError};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, make_array, new_null_array};
use arrow::datatypes::{DataType as ArrowType, Field, Metadata, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi};
use polars::prelude::{ArrowField, CompatLevel, DataFrame, DataType, PolarsResult};
use polars_arrow::array::Array as PolarsArray;
use polars_arrow::ffi;
use std::sync::Arc;

/// The frame as batches, one per chunk, at least one; text as `Utf8View`, every field nullable, without metadata but for
/// [`KIND_KEY`].
///
/// Categories become text here: which number a category has is an accident of the file and nothing to compare. `wrapped`:
/// whether the frame may have columns of `json_text`, which become JSON text.
pub fn batches(frame: DataFrame, wrapped: bool) -> Result<(SchemaRef, Vec<RecordBatch>), SourceError> {
    let (frame, json) = if wrapped { unwrapped(frame)? } else { (frame, Vec::new()) };
    let frame = engine::run("handing over the rows", || plain(frame))?;
    let fields: Vec<ArrowField> = frame.columns().iter().map(|c| c.field().to_arrow(CompatLevel::newest())).collect();
    let imported: Result<Vec<Field>, ArrowError> =
        fields.iter().enumerate().map(|(index, field)| import_field(field, json.contains(&index))).collect();
    let schema = Arc::new(Schema::new(imported.map_err(unsupported)?));
    let mut batches = Vec::new();
    for chunk in frame.iter_chunks(CompatLevel::newest(), false) {
        let columns: Result<Vec<ArrayRef>, ArrowError> =
            chunk.arrays().iter().zip(&fields).map(|(array, field)| import_array(array.clone(), field)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(chunk.len()));
        let batch = columns.and_then(|columns| RecordBatch::try_new_with_options(schema.clone(), columns, &options));
        batches.push(batch.map_err(unsupported)?);
    }
    if batches.is_empty() {
        batches.push(RecordBatch::new_empty(schema.clone()));
    }
    Ok((schema, batches))
}

/// Columns of `json_text` as their texts, and the positions of these.
fn unwrapped(mut frame: DataFrame) -> Result<(DataFrame, Vec<usize>), SourceError> {
    let mut json = Vec::new();
    for index in 0..frame.width() {
        let column = &frame.columns()[index];
        if let Some(text) = engine::run("handing over JSON", || json_text::unwrap(column))? {
            engine::run("handing over JSON", || frame.replace_column(index, text).map(drop))?;
            json.push(index);
        } else if json_text::within(column.dtype()) {
            let name = column.name();
            return Err(SourceError::new(format!(
                "column `{name}` collects nested JSON values, which have no one type"
            ))
            .hint("collect single members of them, or pass the nested column on as it is"));
        }
    }
    Ok((frame, json))
}

/// Categories as text, and all columns cut into the same chunks.
fn plain(mut frame: DataFrame) -> PolarsResult<DataFrame> {
    for index in 0..frame.width() {
        let column = &frame.columns()[index];
        if matches!(column.dtype(), DataType::Categorical(..) | DataType::Enum(..)) {
            let text = column.cast(&DataType::String)?;
            frame.replace_column(index, text)?;
        }
    }
    frame.align_chunks();
    Ok(frame)
}

fn unsupported(error: ArrowError) -> SourceError {
    SourceError::new(format!("a column's type cannot be handed over: {error}"))
        .hint("leave the column out, or convert it in the source's query")
}

fn import_field(field: &ArrowField, json: bool) -> Result<Field, ArrowError> {
    let field = Field::try_from(&export_schema(field))?;
    let metadata = if json { Metadata::from([(KIND_KEY, KIND_JSON)]) } else { Metadata::default() };
    Ok(field.with_nullable(true).with_metadata(metadata))
}

fn import_array(array: Box<dyn PolarsArray>, field: &ArrowField) -> Result<ArrayRef, ArrowError> {
    let schema = export_schema(field);
    // A column of which nothing is known but NULL: polars hands over a buffer, where the interface has none.
    if Field::try_from(&schema)?.data_type() == &ArrowType::Null {
        return Ok(new_null_array(&ArrowType::Null, array.len()));
    }
    let mut exported = ffi::export_array_to_c(array);
    // SAFETY: `polars_arrow::ffi::ArrowArray` and `FFI_ArrowArray` are both `#[repr(C)]` declarations of the C data
    // interface's `struct ArrowArray`, so the cast reads the same fields. `exported` is valid and live. `from_raw` moves
    // its content out and leaves a structure whose `release` is null, which `exported`'s drop takes as "already
    // released": the array is freed exactly once, by its new owner.
    let imported = unsafe { FFI_ArrowArray::from_raw((&raw mut exported).cast()) };
    // SAFETY: `array` comes from a chunk of the column that `field` was made from with the same compatibility level, so
    // `schema` describes it. Polars keeps to the layout of the interface: buffers live until `release`, and text is
    // valid UTF-8.
    let data = unsafe { from_ffi(imported, &schema) }?;
    Ok(make_array(data))
}

fn export_schema(field: &ArrowField) -> FFI_ArrowSchema {
    let mut exported = ffi::export_field_to_c(field);
    // SAFETY: as for the array: two declarations of the same C `struct ArrowSchema`; the content is moved out and
    // `exported` is left released.
    unsafe { FFI_ArrowSchema::from_raw((&raw mut exported).cast()) }
}

//! What a driver's columns are to us, and its batches as the columns say.

mod types;

use super::request::{INVALID, shown};
use crate::job::spec::AdbcSource;
use crate::source::caught::{caught, panic_text};
use crate::source::{KIND_JSON, KIND_KEY, SourceError};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringViewBuilder};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::FormatOptions;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use types::Carried;

/// Rows of a batch that is handed on, at most: some drivers make one of all rows.
const ROWS: usize = 64 << 10;

/// A value that does not fit is an error, and no NULL.
const EXACT: CastOptions<'static> = CastOptions { safe: false, format_options: FormatOptions::new() };

/// The columns of an extract.
pub(super) struct Columns {
    driver: String,
    schema: SchemaRef,
    wanted: Vec<(usize, Carried)>,
}

impl Columns {
    /// # Errors
    /// Names that occur twice, `json` columns that are not text, and every column whose type cannot be carried, with what to write instead.
    pub(super) fn new(
        spec: &AdbcSource,
        found: &SchemaRef,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Self, SourceError> {
        let (mut fields, mut kept, mut refused) = (Vec::<FieldRef>::new(), Vec::new(), Vec::new());
        for (index, field) in found.fields().iter().enumerate() {
            let is_json = spec.json.contains(field.name());
            match types::carried(field, is_json) {
                Ok((data_type, carried, json)) => {
                    let metadata = if json { HashMap::from([pair(KIND_KEY, KIND_JSON)]) } else { HashMap::new() };
                    fields.push(Arc::new(Field::new(field.name(), data_type, true).with_metadata(metadata)));
                    if wanted(field.name()) {
                        kept.push((index, carried));
                    }
                }
                Err(refusal) => {
                    refused.push((
                        format!("`{}` ({})", field.name(), types::shown(field)),
                        refusal.remedy(&spec.driver, spec.backticks, field.name()),
                    ));
                }
            }
        }
        check_names(spec, found)?;
        if !refused.is_empty() {
            let (columns, remedies): (Vec<String>, Vec<String>) = refused.into_iter().unzip();
            let message = format!("{}: these columns cannot be sent: {}", shown(&spec.driver), columns.join(", "));
            return Err(SourceError::new(message)
                .hint(format!("leave them out of the query, or write there: {}", remedies.join(", ")))
                .of_columns(found.fields().iter().map(|field| field.name().as_str())));
        }
        Ok(Columns { driver: spec.driver.clone(), schema: Arc::new(Schema::new(fields)), wanted: kept })
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The wanted columns of a batch, checked.
    pub(super) fn shaped(&self, batch: &RecordBatch) -> Result<RecordBatch, SourceError> {
        let text = match caught(|| self.shape(batch)) {
            Ok(Ok(batch)) => return Ok(batch),
            Ok(Err(text)) => text,
            Err(panic) => panic_text(&*panic).to_owned(),
        };
        Err(SourceError::new(format!("{}: what the driver handed over is not valid: {text}", shown(&self.driver)))
            .hint(INVALID))
    }

    fn shape(&self, batch: &RecordBatch) -> Result<RecordBatch, String> {
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (index, carried) in &self.wanted {
            let field = self.schema.field(*index);
            let named = |error: ArrowError| format!("column `{}`: {error}", field.name());
            let array = batch.columns().get(*index).ok_or_else(|| format!("column `{}` is missing", field.name()))?;
            array.to_data().validate_full().map_err(named)?;
            let array = match carried {
                Carried::AsIs => Arc::clone(array),
                Carried::Cast(data_type) => cast_with_options(array, data_type, &EXACT).map_err(named)?,
                Carried::Uuid => uuids(array),
            };
            fields.push(field.clone().with_data_type(array.data_type().clone()));
            columns.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
            .map_err(|error| error.to_string())
    }
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn check_names(spec: &AdbcSource, found: &SchemaRef) -> Result<(), SourceError> {
    let (mut seen, mut twice) = (BTreeSet::new(), BTreeSet::new());
    for field in found.fields() {
        if !seen.insert(field.name().as_str()) {
            twice.insert(format!("`{}`", field.name()));
        }
    }
    if !twice.is_empty() {
        let names = twice.into_iter().collect::<Vec<_>>().join(", ");
        return Err(SourceError::new(format!(
            "{}: the query has columns of the same name: {names}",
            shown(&spec.driver)
        ))
        .hint("give each its own name (AS …)"));
    }
    let unknown: Vec<&str> = spec.json.iter().map(String::as_str).filter(|name| !seen.contains(name)).collect();
    if !unknown.is_empty() {
        let have = found.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
        let message = format!("source.json: there is no column {} in the query, which has: {have}", unknown.join(", "));
        return Err(SourceError::new(message).hint("names are case-sensitive"));
    }
    Ok(())
}

fn uuids(array: &ArrayRef) -> ArrayRef {
    let bytes = array.as_fixed_size_binary();
    let mut out = StringViewBuilder::with_capacity(bytes.len());
    for value in bytes.iter() {
        out.append_option(value.map(uuid));
    }
    Arc::new(out.finish())
}

/// `550e8400-e29b-41d4-a716-446655440000` (RFC 9562, 4).
fn uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for half in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(half), 16).unwrap_or('0'));
        }
    }
    text
}

/// A batch in parts that are not too long.
pub(super) fn slices(batch: RecordBatch) -> impl Iterator<Item = RecordBatch> {
    let rows = batch.num_rows();
    (0..rows).step_by(ROWS).map(move |from| batch.slice(from, ROWS.min(rows - from)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;

    #[test]
    fn long_batches_are_cut() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..150_000));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let parts: Vec<usize> = slices(batch.clone()).map(|part| part.num_rows()).collect();
        assert_eq!(parts, [65_536, 65_536, 18_928]);
        assert_eq!(slices(batch.slice(0, 0)).count(), 0);
    }

    #[test]
    fn uuids_are_written_as_everybody_writes_them() {
        let bytes: Vec<u8> = (0..16).map(|n| n * 17).collect();
        assert_eq!(uuid(&bytes), "00112233-4455-6677-8899-aabbccddeeff");
    }
}

//! Canonical JSON: keys sorted, no white space, numbers by value, so that equal text means equal structure.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use serde_json::{Map, Number, Value};

/// Parses and canonicalises; `None` if the text is not JSON.
pub(super) fn canonical_text(text: &str) -> Option<String> {
    serde_json::from_str::<Value>(text).ok().map(|v| canonical(v).to_string())
}

/// A nested Arrow value as canonical JSON; `None` if it holds something that JSON has no form for.
pub(super) fn from_nested(array: &ArrayRef, row: usize) -> Option<String> {
    nested(array, row).map(|v| canonical(v).to_string())
}

fn canonical(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().map(|(k, v)| (k, canonical(v))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(canonical).collect()),
        Value::Number(number) => Value::Number(number_by_value(number)),
        other => other,
    }
}

/// 1.0 and 1e0 become 1, so that a number's spelling does not count.
fn number_by_value(number: Number) -> Number {
    match number.as_f64() {
        Some(float) if !number.is_i64() && !number.is_u64() && float == float.trunc() && float.abs() < 9.0e15 => {
            Number::from(float as i64)
        }
        _ => number,
    }
}

fn nested(array: &ArrayRef, row: usize) -> Option<Value> {
    if array.is_null(row) {
        return Some(Value::Null);
    }
    match array.data_type() {
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            let entries = fields.iter().zip(columns.columns());
            entries
                .map(|(f, c)| Some((f.name().clone(), nested(c, row)?)))
                .collect::<Option<Map<_, _>>>()
                .map(Value::Object)
        }
        DataType::List(_) => items(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => items(&array.as_list::<i64>().value(row)),
        DataType::ListView(_) => items(&array.as_list_view::<i32>().value(row)),
        DataType::LargeListView(_) => items(&array.as_list_view::<i64>().value(row)),
        DataType::FixedSizeList(_, _) => items(&array.as_fixed_size_list().value(row)),
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let entry = |i| Some((nested(keys, i)?.as_str()?.to_owned(), nested(values, i)?));
            (0..entries.len()).map(entry).collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            nested(dictionary.values(), dictionary.normalized_keys().get(row).copied()?)
        }
        _ => scalar(array, row),
    }
}

fn items(array: &ArrayRef) -> Option<Value> {
    (0..array.len()).map(|i| nested(array, i)).collect::<Option<Vec<_>>>().map(Value::Array)
}

/// A leaf goes the way that a column of its type goes.
fn scalar(array: &ArrayRef, row: usize) -> Option<Value> {
    let kind = super::kinds::kind_of(array.data_type()).ok()?;
    let one = super::convert::convert(&array.slice(row, 1), kind).ok()?;
    if !one.failures.is_empty() {
        return None;
    }
    let schema = crate::row::Schema { columns: vec![crate::row::Column { name: String::new(), kind }] };
    let batch = arrow::array::RecordBatch::try_new(schema.arrow(), vec![one.array]).ok()?;
    Some(crate::row::RowRef { schema: &schema, batch: &batch, row: 0 }.value(0).to_json())
}

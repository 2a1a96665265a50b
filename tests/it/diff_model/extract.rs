//! The same rows as Parquet, CSV or NDJSON.

use super::cells::{Cell, ColumnSpec};
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use nightmark::row::Kind;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

#[derive(Debug, Clone)]
pub enum Format {
    Parquet { dictionary: bool },
    Csv,
    Ndjson,
}

impl Format {
    pub fn any() -> impl Strategy<Value = Format> {
        prop_oneof![
            any::<bool>().prop_map(|dictionary| Format::Parquet { dictionary }),
            Just(Format::Csv),
            Just(Format::Ndjson),
        ]
    }

    pub fn file(&self) -> &'static str {
        match self {
            Format::Parquet { .. } => "orgs.parquet",
            Format::Csv => "orgs.csv",
            Format::Ndjson => "orgs.ndjson",
        }
    }
}

type Rows = [(Cell, Vec<Cell>)];

pub fn write(home: &Path, format: &Format, columns: &[ColumnSpec], rows: &Rows) {
    let path = home.join(format.file());
    match format {
        Format::Parquet { dictionary } => parquet(&path, *dictionary, columns, rows),
        Format::Csv => std::fs::write(path, csv(columns, rows)).unwrap(),
        Format::Ndjson => std::fs::write(path, ndjson(rows)).unwrap(),
    }
}

fn parquet(path: &Path, dictionary: bool, columns: &[ColumnSpec], rows: &Rows) {
    let mut arrays: Vec<(String, ArrayRef)> = vec![("id".into(), key(rows))];
    for (index, column) in columns.iter().enumerate() {
        let cells: Vec<&Cell> = rows.iter().map(|(_, cells)| &cells[index]).collect();
        arrays.push((format!("c{index}"), array(column.kind, &cells)));
    }
    let batch = RecordBatch::try_from_iter_with_nullable(arrays.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    // Small row groups, so that several threads have something to do.
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(dictionary)
        .set_max_row_group_row_count(Some(7.max(rows.len() / 4)));
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn key(rows: &Rows) -> ArrayRef {
    match &rows[0].0 {
        Cell::Int(_) => Arc::new(
            rows.iter().map(|(k, _)| if let Cell::Int(k) = k { Some(*k) } else { None }).collect::<Int64Array>(),
        ),
        _ => Arc::new(
            rows.iter()
                .map(|(k, _)| if let Cell::Text(k) = k { Some(k.as_str()) } else { None })
                .collect::<StringArray>(),
        ),
    }
}

fn array(kind: Kind, cells: &[&Cell]) -> ArrayRef {
    macro_rules! of {
        ($array:ty, $cell:path, $value:ident => $to:expr) => {
            cells.iter().map(|cell| if let $cell($value) = cell { Some($to) } else { None }).collect::<$array>()
        };
    }
    match kind {
        Kind::Bool => Arc::new(of!(BooleanArray, Cell::Bool, v => *v)),
        Kind::Int => Arc::new(of!(Int64Array, Cell::Int, v => *v)),
        Kind::Decimal { .. } => {
            Arc::new(of!(Decimal128Array, Cell::Decimal, v => *v).with_precision_and_scale(38, 2).unwrap())
        }
        Kind::Float => Arc::new(of!(Float64Array, Cell::Float, v => *v)),
        Kind::Date => Arc::new(of!(Date32Array, Cell::Date, v => *v)),
        Kind::Timestamp => Arc::new(of!(TimestampMicrosecondArray, Cell::Timestamp, v => *v).with_timezone("UTC")),
        Kind::Json => {
            // Parquet has no JSON type of its own here: a nested column is JSON, and so is text once it is pinned as such.
            // An object with one text member keeps every value apart.
            let texts: ArrayRef = Arc::new(of!(StringArray, Cell::Json, v => v.as_str()));
            let field = arrow::datatypes::Field::new("json", texts.data_type().clone(), true);
            let nulls = texts.nulls().cloned();
            Arc::new(arrow::array::StructArray::new(vec![field].into(), vec![texts], nulls))
        }
        _ => Arc::new(of!(StringArray, Cell::Text, v => v.as_str())),
    }
}

/// A JSON column holds an object with the text as its only member, in every format.
fn json_object(text: &str) -> String {
    serde_json::json!({ "json": text }).to_string()
}

fn csv(columns: &[ColumnSpec], rows: &Rows) -> String {
    let mut out = String::from("id");
    (0..columns.len()).for_each(|c| write!(out, ",c{c}").unwrap());
    for (key, cells) in rows {
        out.push('\n');
        out.push_str(&field(key));
        cells.iter().for_each(|cell| out.push_str(&format!(",{}", field(cell))));
    }
    out.push('\n');
    out
}

fn field(cell: &Cell) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    match cell {
        Cell::Null => String::new(),
        Cell::Text(text) => quoted(text),
        Cell::Json(text) => quoted(&json_object(text)),
        other => other.value().text(),
    }
}

fn ndjson(rows: &Rows) -> String {
    let mut out = String::new();
    for (key, cells) in rows {
        write!(out, "{{\"id\":{}", member(key)).unwrap();
        cells.iter().enumerate().for_each(|(c, cell)| write!(out, ",\"c{c}\":{}", member(cell)).unwrap());
        out.push_str("}\n");
    }
    out
}

fn member(cell: &Cell) -> String {
    match cell {
        Cell::Json(text) => json_object(text),
        // A decimal of many digits is text in JSON, or its digits would be refused as a float's.
        Cell::Decimal(_) => format!("\"{}\"", cell.value().text()),
        other => {
            let mut out = String::new();
            other.value().write_json(&mut out);
            out
        }
    }
}

//! What stands in the files.

use ::parquet::arrow::ArrowWriter;
use ::parquet::file::properties::WriterProperties;
use arrow::array::{
    ArrayRef, Decimal128Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
    TimestampMillisecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};
use std::fmt::Write as _;
use std::sync::Arc;

/// How files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    Parquet,
}

/// Name, type and value of a column, as [`Types`](crate::sources::Types) has them.
type Column = (&'static str, &'static str, &'static str);

const PLANS: [&str; 3] = ["free", "pro", "team"];

impl Format {
    pub fn extension(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Parquet => "parquet",
        }
    }

    /// A row of every type and a row of NULLs; and what is to become of them.
    pub fn types(self) -> (Vec<u8>, Vec<Column>) {
        match self {
            Format::Csv => csv_types(),
            Format::Parquet => parquet_types(),
        }
    }

    /// As [`Engine::rows`](crate::sources::Engine::rows).
    pub fn rows(self, count: u64) -> Vec<u8> {
        match self {
            Format::Csv => {
                let mut text = "workspace_id,n,plan,mrr\n".to_owned();
                for n in 1..=count {
                    let plan = PLANS[n as usize % 3];
                    writeln!(text, "ws_{n},{n},{plan},{}.{:02}", n / 100, n % 100).unwrap();
                }
                text.into_bytes()
            }
            Format::Parquet => {
                let numbers: Vec<i64> = (1..=count as i64).collect();
                let batches = numbers.chunks(50_000).map(orgs).collect::<Vec<_>>();
                parquet(&orgs(&[]).schema(), &batches)
            }
        }
    }

    /// As [`Engine::wide`](crate::sources::Engine::wide).
    pub fn wide(self, count: u64, bytes: usize) -> Vec<u8> {
        let payload = |n: u64| char::from(b'a' + (n % 26) as u8).to_string().repeat(bytes);
        match self {
            Format::Csv => {
                let rows: String = (1..=count).map(|n| format!("ws_{n},{}\n", payload(n))).collect();
                format!("workspace_id,payload\n{rows}").into_bytes()
            }
            // A piece is a row group, and how large those are is a matter of who writes the file.
            Format::Parquet => {
                let row = |n: u64| texts(&[("workspace_id", Some(format!("ws_{n}"))), ("payload", Some(payload(n)))]);
                let batches: Vec<RecordBatch> = (1..=count).map(row).collect();
                parquet(&batches[0].schema(), &batches)
            }
        }
    }

    /// As [`Engine::nulls`](crate::sources::Engine::nulls).
    pub fn nulls(self) -> Vec<u8> {
        match self {
            Format::Csv => b"workspace_id,v_some,v_none,v_empty\nws_1,,,\nws_2,2,,\nws_3,,,\"\"\n".to_vec(),
            Format::Parquet => {
                let columns: [(&str, ArrayRef); 4] = [
                    ("workspace_id", Arc::new(StringArray::from(vec!["ws_1", "ws_2", "ws_3"]))),
                    ("v_some", Arc::new(Int32Array::from(vec![None, Some(2), None]))),
                    ("v_none", Arc::new(StringArray::from(vec![None::<&str>; 3]))),
                    ("v_empty", Arc::new(StringArray::from(vec![None, None, Some("")]))),
                ];
                one(columns.into_iter().collect())
            }
        }
    }

    /// As [`Engine::names_twice`](crate::sources::Engine::names_twice).
    pub fn names_twice(self) -> Vec<u8> {
        match self {
            Format::Csv => b"workspace_id,b,b\nws_1,2,3\n".to_vec(),
            Format::Parquet => {
                let value = |text: &str| Some(text.to_owned());
                one(vec![("workspace_id", value("ws_1")), ("b", value("2")), ("b", value("3"))]
                    .into_iter()
                    .map(|(name, value)| (name, Arc::new(StringArray::from(vec![value])) as ArrayRef))
                    .collect())
            }
        }
    }
}

/// CSV has no types: each value stays the text that it is, with a guess.
fn csv_types() -> (Vec<u8>, Vec<Column>) {
    let columns = [
        ("bool", "Utf8View like bool", "true"),
        ("int", "Utf8View like int", "-9223372036854775808"),
        ("float", "Utf8View like float", "0.5"),
        ("zip", "Utf8View like text", "01234"),
        ("text", "Utf8View like text", "ä 'ö, \"🎉\"\nb"),
        ("day", "Utf8View like text", "1969-07-20"),
        ("utc", "Utf8View like text", "2026-11-27T01:02:03Z"),
        ("local", "Utf8View like text", "2026-11-27 01:02:03"),
    ];
    let names: Vec<&str> = columns.iter().map(|(name, ..)| *name).collect();
    let quoted = |value: &str| {
        if value.contains('\n') { format!("\"{}\"", value.replace('"', "\"\"")) } else { value.to_owned() }
    };
    let values: Vec<String> = columns.iter().map(|(.., value)| quoted(value)).collect();
    let nulls = ",".repeat(columns.len() - 1);
    (format!("{}\n{}\n{nulls}\n", names.join(","), values.join(",")).into_bytes(), columns.to_vec())
}

fn parquet_types() -> (Vec<u8>, Vec<Column>) {
    let category = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let timestamp = |unit| DataType::Timestamp(unit, None);
    // What is written, from this text; and what it is read as.
    let plain = [
        ("bool", DataType::Boolean, "Boolean", "true"),
        ("i8", DataType::Int8, "Int8", "-128"),
        ("i16", DataType::Int16, "Int16", "-32768"),
        ("i32", DataType::Int32, "Int32", "-2147483648"),
        ("i64", DataType::Int64, "Int64", "-9223372036854775808"),
        ("u8", DataType::UInt8, "UInt8", "255"),
        ("u32", DataType::UInt32, "UInt32", "4294967295"),
        ("u64", DataType::UInt64, "UInt64", "18446744073709551615"),
        ("f32", DataType::Float32, "Float32", "0.5"),
        ("f64", DataType::Float64, "Float64", "-1e300"),
        ("price", DataType::Decimal128(12, 2), "Decimal128(12, 2)", "49.90"),
        ("fine", DataType::Decimal128(38, 20), "Decimal128(38, 20)", "0.00000000000000000001"),
        ("text", DataType::Utf8, "Utf8View", "ä 'ö 🎉"),
        ("large", DataType::LargeUtf8, "Utf8View", "v"),
        ("category", category, "Utf8View", "large"),
        ("bytes", DataType::Binary, "BinaryView", "616263"),
        ("day", DataType::Date32, "Date32", "1969-07-20"),
        ("clock", DataType::Time64(TimeUnit::Microsecond), "Time64(µs)", "23:59:59.999999"),
        ("local", timestamp(TimeUnit::Microsecond), "Timestamp(µs)", "2026-11-27T01:02:03.000004"),
        ("nanos", timestamp(TimeUnit::Nanosecond), "Timestamp(ns)", "2026-11-27T01:02:03.000000004"),
    ];
    let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
    let mut expected = Vec::new();
    for (name, written, read, value) in plain {
        let text = if name == "bytes" { "abc" } else { value };
        let texts = StringArray::from(vec![Some(text), None]);
        columns.push((name, cast(&texts, &written).unwrap()));
        expected.push((name, read, value));
    }
    let utc = TimestampMillisecondArray::from(vec![Some(946_699_200_000), None]).with_timezone("UTC");
    columns.push(("utc", Arc::new(utc)));
    expected.push(("utc", "Timestamp(ms, \"UTC\")", "2000-01-01T04:00:00Z"));
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
    columns.push(("list", Arc::new(list)));
    expected.push(("list", "List(Int64)", "[1, ]"));
    let fields = vec![Field::new("plan", DataType::Utf8, true)];
    let plans: ArrayRef = Arc::new(StringArray::from(vec![Some("pro"), None]));
    let nested = StructArray::new(fields.into(), vec![plans], Some(vec![true, false].into()));
    columns.push(("nested", Arc::new(nested)));
    expected.push(("nested", "Struct(\"plan\": Utf8)", "{plan: pro}"));
    (one(columns), expected)
}

/// Some of the rows.
fn orgs(numbers: &[i64]) -> RecordBatch {
    let text = |of: &dyn Fn(i64) -> String| -> ArrayRef {
        Arc::new(numbers.iter().map(|n| Some(of(*n))).collect::<StringArray>())
    };
    let mrr = Decimal128Array::from_iter_values(numbers.iter().map(|n| i128::from(*n)));
    let columns: [(&str, ArrayRef); 4] = [
        ("workspace_id", text(&|n| format!("ws_{n}"))),
        ("n", Arc::new(Int64Array::from(numbers.to_vec()))),
        ("plan", text(&|n| PLANS[n as usize % 3].to_owned())),
        ("mrr", Arc::new(mrr.with_precision_and_scale(12, 2).unwrap())),
    ];
    batch(columns.into_iter().collect())
}

fn texts(row: &[(&'static str, Option<String>)]) -> RecordBatch {
    batch(
        row.iter().map(|(name, value)| (*name, Arc::new(StringArray::from(vec![value.clone()])) as ArrayRef)).collect(),
    )
}

/// All columns may have NULLs.
fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}

fn one(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = batch(columns);
    parquet(&batch.schema(), &[batch])
}

/// A file whose row groups are the batches.
fn parquet(schema: &Arc<Schema>, groups: &[RecordBatch]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let properties = WriterProperties::builder().set_max_row_group_row_count(None).build();
    let mut writer = ArrowWriter::try_new(&mut bytes, Arc::clone(schema), Some(properties)).unwrap();
    for group in groups {
        writer.write(group).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
    bytes
}

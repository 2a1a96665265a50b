//! Parquet: every type, several files, and faults.

use super::{Case, collect, numbers, rows};
use ::parquet::data_type::{ByteArrayType, DataType as DataTypeOf, Int96, Int96Type};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array,
    Int8Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::{
    DataType, Field, Int8Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, UInt64Type,
};
use nightmark::job::spec::FileFormat;
use nightmark::source::{Source, Typing};
use std::path::Path;
use std::sync::Arc;

/// Three rows, the last one all NULL but for its id.
fn every_type() -> RecordBatch {
    let at = vec![Some(1_768_473_000_000_000), Some(0), None];
    let strings = StringArray::from(vec![Some("ä"), Some("a text that is longer than twelve bytes"), None]);
    let tags = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), Some(vec![]), None]);
    let nested = StructArray::from(vec![(
        Arc::new(Field::new("seats", DataType::Int64, true)),
        Arc::new(Int64Array::from(vec![Some(5), None, None])) as ArrayRef,
    )]);
    let plan: DictionaryArray<Int32Type> = [Some("pro"), Some("free"), None].into_iter().collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ("i8", Arc::new(Int8Array::from(vec![Some(-128), Some(127), None]))),
        ("u64", Arc::new(UInt64Array::from(vec![Some(u64::MAX), Some(0), None]))),
        ("f64", Arc::new(Float64Array::from(vec![Some(0.1), Some(-0.0), None]))),
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ("text", Arc::new(strings)),
        ("bytes", Arc::new(BinaryArray::from(vec![Some(&b"\xff\x00"[..]), Some(&b""[..]), None]))),
        ("date", Arc::new(Date32Array::from(vec![Some(20_468), Some(-1), None]))),
        ("local", Arc::new(TimestampMicrosecondArray::from(at.clone()))),
        ("zoned", Arc::new(TimestampMicrosecondArray::from(at).with_timezone("Europe/Berlin"))),
        (
            "money",
            Arc::new(
                Decimal128Array::from(vec![Some(12_345), Some(-1), None]).with_precision_and_scale(18, 2).unwrap(),
            ),
        ),
        ("tags", Arc::new(tags)),
        ("nested", Arc::new(nested)),
        ("plan", Arc::new(plan)),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()
}

fn check_every_type(batch: &RecordBatch) {
    let original = every_type();
    let column = |name: &str| batch.column_by_name(name).unwrap();
    assert_eq!(column("i8").as_primitive::<Int8Type>(), original.column(1).as_primitive::<Int8Type>());
    assert_eq!(column("u64").as_primitive::<UInt64Type>(), original.column(2).as_primitive::<UInt64Type>());
    for name in ["f64", "bool", "date", "local", "zoned"] {
        assert_eq!(column(name), original.column_by_name(name).unwrap(), "{name}");
    }
    assert_eq!(*column("zoned").data_type(), DataType::Timestamp(TimeUnit::Microsecond, Some("Europe/Berlin".into())));
    let text = column("text").as_string_view();
    assert_eq!((text.value(0), text.value(1)), ("ä", "a text that is longer than twelve bytes"));
    assert_eq!(column("bytes").as_binary_view().value(0), b"\xff\x00");
    let money = column("money").as_primitive::<arrow::datatypes::Decimal128Type>();
    assert_eq!((money.value(0), money.value(1), money.scale()), (12_345, -1, 2));
    // A model makes a large list of it.
    let tags = arrow::compute::cast(column("tags"), &DataType::new_list(DataType::Int32, true)).unwrap();
    let tags = tags.as_list::<i32>();
    assert!(tags.value(0).as_primitive::<Int32Type>().is_null(1) && tags.value(1).is_empty());
    assert_eq!(column("nested").as_struct().column(0).as_primitive::<Int64Type>().value(0), 5);
    assert_eq!((column("plan").as_string_view().value(0), column("plan").as_string_view().value(1)), ("pro", "free"));
    for name in ["i8", "u64", "f64", "bool", "text", "bytes", "date", "local", "zoned", "money", "tags", "plan"] {
        assert!(column(name).is_null(2), "{name}");
    }
}

#[test]
fn parquet_types_come_through() {
    let case = Case::new(FileFormat::Parquet, "orgs.parquet").parquet("orgs.parquet", &every_type());
    let extract = case.read().unwrap();
    assert_eq!((&extract.typing, &extract.input), (&Typing::Declared, &None));
    assert!(extract.schema.fields().iter().all(|f| f.is_nullable()));
    check_every_type(&extract.batch);
    let model = case.query("SELECT * FROM extract WHERE id <= 3").read().unwrap();
    check_every_type(&model.batch);
}

#[test]
fn parquet_files_are_one_table() {
    let nulls =
        RecordBatch::try_from_iter_with_nullable([("n", arrow::array::new_null_array(&DataType::Null, 1), true)])
            .unwrap();
    let case = Case::new(FileFormat::Parquet, "*.parquet")
        .parquet("a.parquet", &nulls)
        .parquet("b.parquet", &numbers(&[1, 2, 3, 4, 5]))
        .parquet("c.parquet", &numbers(&[]));
    case.check(&["NULL", "1", "2", "3", "4", "5"]);
    case.query("SELECT n + 1 AS m FROM extract WHERE n > 3").check(&["5", "6"]);
    Case::new(FileFormat::Parquet, "a.parquet").parquet("a.parquet", &numbers(&[])).check(&[]);
}

#[test]
fn parquet_faults_name_the_file() {
    let case = Case::new(FileFormat::Parquet, "a.parquet");
    case.file("a.parquet", "").check_error("a.parquet is empty (0 bytes), not a Parquet file");
    let case = Case::new(FileFormat::Parquet, "a.parquet").parquet("a.parquet", &every_type());
    let whole = std::fs::read(case.folder.path().join("a.parquet")).unwrap();
    let cut = [&whole[..whole.len() / 2], b"id,name\n1,a\n", &whole[..4]];
    for bytes in cut {
        let error = Case::new(FileFormat::Parquet, "a.parquet").file("a.parquet", bytes).read().unwrap_err();
        let file = Path::new(&error.message);
        assert!(file.to_string_lossy().contains("a.parquet as Parquet: ") && error.hint.is_some(), "{error}");
    }
}

/// A file of one column as the low-level writer takes it.
fn one_column<T: DataTypeOf>(column: &str, values: &[T::T]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(&format!("message m {{ required {column}; }}")).unwrap());
    let mut bytes = Vec::new();
    let mut file = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).unwrap();
    let mut group = file.next_row_group().unwrap();
    let mut writer = group.next_column().unwrap().unwrap();
    writer.typed::<T>().write_batch(values, None, None).unwrap();
    writer.close().unwrap();
    group.close().unwrap();
    file.close().unwrap();
    bytes
}

#[test]
fn old_timestamps_reach_beyond_the_nanoseconds() {
    let (mut far, mut epoch) = (Int96::new(), Int96::new());
    far.set_data(0, 0, 2_440_588 + 2_932_896);
    epoch.set_data(1_999, 0, 2_440_588);
    let file = one_column::<Int96Type>("int96 at", &[far, epoch]);
    let case = Case::new(FileFormat::Parquet, "a.parquet").file("a.parquet", file);
    let table = collect(case.source().stream(&case.ask()).unwrap(), 1).unwrap();
    let at = table.batch.column(0).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(at.values(), &[253_402_214_400_000_000, 1]);
}

/// Two rows: a number, and an instant of 96 bits that nanoseconds do not reach.
pub fn far_timestamps() -> Vec<u8> {
    let (mut far, mut epoch) = (Int96::new(), Int96::new());
    far.set_data(0, 0, 2_440_588 + 2_932_896);
    epoch.set_data(1_999, 0, 2_440_588);
    let schema = Arc::new(parse_message_type("message m { required int64 n; required int96 at; }").unwrap());
    let mut bytes = Vec::new();
    let mut file = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).unwrap();
    let mut group = file.next_row_group().unwrap();
    let mut numbers = group.next_column().unwrap().unwrap();
    numbers.typed::<::parquet::data_type::Int64Type>().write_batch(&[1, 2], None, None).unwrap();
    numbers.close().unwrap();
    let mut instants = group.next_column().unwrap().unwrap();
    instants.typed::<Int96Type>().write_batch(&[far, epoch], None, None).unwrap();
    instants.close().unwrap();
    group.close().unwrap();
    file.close().unwrap();
    bytes
}

#[test]
fn text_by_annotation_only_is_checked() {
    let read = |value: &'static [u8]| {
        let file = one_column::<ByteArrayType>("binary j (JSON)", &[value.into()]);
        let case = Case::new(FileFormat::Parquet, "a.parquet").file("a.parquet", file);
        collect(case.source().stream(&case.ask()).unwrap(), 1).map(|table| rows(&table))
    };
    assert_eq!(read(b"{\"a\":1}").unwrap(), ["{\"a\":1}"]);
    let error = read(b"\"\xff\xfe\"").unwrap_err();
    assert!(error.message.contains("a.parquet as Parquet: ") && error.hint.is_some(), "{error}");
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    let case = Case::new(FileFormat::Parquet, "a.parquet").parquet("a.parquet", &every_type());
    let path = case.folder.path().join("a.parquet");
    let whole = std::fs::read(&path).unwrap();
    let good = case.read().unwrap();
    for at in (4..whole.len()).step_by(3) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        std::fs::write(&path, &bytes).unwrap();
        match case.source().stream(&case.ask()).and_then(|stream| collect(stream, 1)) {
            Ok(table) => assert!(table.batch.num_rows() <= good.batch.num_rows(), "{at}"),
            Err(error) => assert!(error.message.contains("a.parquet"), "{error}"),
        }
    }
}

//! Every Arrow type that a source can yield.

use super::{batch, plan, texts};
use crate::normalise::{Plan, PlanError, Role};
use crate::source::Typing;
use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::*;
use std::sync::Arc;

/// Reads a column under the kind of its own; ✗ is a value that does not fit. Then the same as a dictionary.
#[track_caller]
fn check(array: impl Array + 'static, kind: &str, expected: &[&str]) {
    let array: ArrayRef = Arc::new(array);
    read(&array, kind, expected);
    let keys = Int32Array::from_iter((0..array.len()).map(|row| array.is_valid(row).then_some(row as i32)));
    read(&(Arc::new(DictionaryArray::new(keys, Arc::clone(&array))) as ArrayRef), kind, expected);
    // A slice starts somewhere else in the same buffers.
    read(&array.slice(1, array.len() - 1), kind, &expected[1..]);
}

#[track_caller]
fn read(array: &ArrayRef, kind: &str, expected: &[&str]) {
    let (name, batch) = (array.data_type().to_string(), batch([Arc::clone(array)]));
    let plan = plan(&batch);
    assert_eq!(plan.schema().columns[0].kind.to_string(), kind, "{name}");
    let normalised = plan.batch(&batch).unwrap();
    let mut texts = texts(&plan, &normalised.batch, 0);
    for misfit in &normalised.misfits {
        assert_eq!(texts[misfit.row], "NULL");
        texts[misfit.row] = "✗".to_owned();
    }
    assert_eq!(texts, expected, "{name}");
}

#[test]
fn integers() {
    check(Int8Array::from(vec![Some(1), None, Some(i8::MIN)]), "int", &["1", "NULL", "-128"]);
    check(Int16Array::from(vec![Some(1), None, Some(i16::MIN)]), "int", &["1", "NULL", "-32768"]);
    check(Int32Array::from(vec![Some(1), None, Some(i32::MIN)]), "int", &["1", "NULL", "-2147483648"]);
    check(Int64Array::from(vec![Some(1), None, Some(i64::MIN)]), "int", &["1", "NULL", "-9223372036854775808"]);
    check(UInt8Array::from(vec![Some(1), None, Some(u8::MAX)]), "int", &["1", "NULL", "255"]);
    check(UInt16Array::from(vec![Some(1), None, Some(u16::MAX)]), "int", &["1", "NULL", "65535"]);
    check(UInt32Array::from(vec![Some(1), None, Some(u32::MAX)]), "int", &["1", "NULL", "4294967295"]);
    check(UInt64Array::from(vec![Some(1), None, Some(u64::MAX)]), "decimal(0)", &["1", "NULL", "18446744073709551615"]);
}

#[test]
fn floats_are_the_decimal_that_is_written_for_them() {
    let values = [Some(0.1), None, Some(-2.5), Some(f64::NAN), Some(f64::INFINITY)];
    let expected = ["0.1", "NULL", "-2.5", "NaN", "inf"];
    check(Float64Array::from(values.to_vec()), "float", &expected);
    check(Float32Array::from_iter(values.map(|v| v.map(|v| v as f32))), "float", &expected);
    let half = cast(&Float64Array::from(values.to_vec()), &DataType::Float16).unwrap();
    check(half.as_primitive::<Float16Type>().clone(), "float", &expected);
}

#[test]
fn decimals() {
    let values = vec![Some(150), None, Some(-1)];
    let expected = ["1.5", "NULL", "-0.01"];
    let narrow = Decimal32Array::from(values.clone()).with_precision_and_scale(5, 2).unwrap();
    check(narrow, "decimal(2)", &expected);
    let wide = || values.iter().map(|v| v.map(i64::from));
    check(Decimal64Array::from_iter(wide()).with_precision_and_scale(18, 2).unwrap(), "decimal(2)", &expected);
    let wide = || values.iter().map(|v| v.map(i128::from));
    check(Decimal128Array::from_iter(wide()).with_precision_and_scale(20, 2).unwrap(), "decimal(2)", &expected);
    let wide = || values.iter().map(|v| v.map(|v| i256::from_i128(i128::from(v))));
    check(Decimal256Array::from_iter(wide()).with_precision_and_scale(70, 2).unwrap(), "decimal(2)", &expected);
}

#[test]
fn decimals_of_unusual_scales() {
    let hundreds = Decimal128Array::from(vec![Some(15), None, Some(i128::MAX / 3)]).with_precision_and_scale(38, -2);
    check(hundreds.unwrap(), "decimal(0)", &["1500", "NULL", "✗"]);
    check(
        Decimal32Array::from(vec![15, -1]).with_precision_and_scale(9, -3).unwrap(),
        "decimal(0)",
        &["15000", "-1000"],
    );
    let ten = i256::from_i128(10);
    let small = i256::from_i128(15).wrapping_mul(ten.checked_pow(48).unwrap());
    let values = vec![small, small.wrapping_add(i256::ONE), i256::ZERO];
    let fine = Decimal256Array::from(values).with_precision_and_scale(76, 50).unwrap();
    check(fine, "decimal(38)", &["0.15", "✗", "0"]);
}

#[test]
fn truth_text_and_nothing() {
    check(BooleanArray::from(vec![Some(true), None, Some(false)]), "bool", &["true", "NULL", "false"]);
    let values = vec![Some("ä "), None, Some("a text that is longer than a view")];
    let expected = ["ä ", "NULL", "a text that is longer than a view"];
    check(StringArray::from(values.clone()), "text", &expected);
    check(LargeStringArray::from(values.clone()), "text", &expected);
    check(StringViewArray::from(values), "text", &expected);
    read(&(Arc::new(NullArray::new(2)) as ArrayRef), "text", &["NULL", "NULL"]);
}

#[test]
fn run_ends_are_unfolded() {
    let runs = RunArray::<Int32Type>::try_new(&Int32Array::from(vec![2, 3]), &Int64Array::from(vec![7, 8])).unwrap();
    read(&(Arc::new(runs) as ArrayRef), "int", &["7", "7", "8"]);
}

#[test]
fn days_and_times_of_day() {
    check(Date32Array::from(vec![Some(-1), None, Some(i32::MAX)]), "date", &["1969-12-31", "NULL", "✗"]);
    let day = 86_400_000;
    check(Date64Array::from(vec![-day, -day + 1, 19_737 * day]), "date", &["1969-12-31", "✗", "2024-01-15"]);
    check(Time32SecondArray::from(vec![Some(1), None, Some(86_400)]), "time", &["00:00:01.000", "NULL", "✗"]);
    check(Time32MillisecondArray::from(vec![1, -1]), "time", &["00:00:00.001", "✗"]);
    check(Time64MicrosecondArray::from(vec![1, 86_400_000_000]), "time", &["00:00:00.000001", "✗"]);
    check(Time64NanosecondArray::from(vec![1_999, -1]), "time", &["00:00:00.000001", "✗"]);
}

#[test]
fn instants_at_microseconds_before_1970_too() {
    let second = ["1969-12-31T23:59:59.000", "NULL", "✗"];
    check(TimestampSecondArray::from(vec![Some(-1), None, Some(i64::MAX)]), "local timestamp", &second);
    let milli = ["1969-12-31T23:59:59.999", "NULL", "✗"];
    check(TimestampMillisecondArray::from(vec![Some(-1), None, Some(i64::MAX)]), "local timestamp", &milli);
    let micro = ["1969-12-31T23:59:59.999999", "NULL", "✗"];
    check(TimestampMicrosecondArray::from(vec![Some(-1), None, Some(i64::MAX)]), "local timestamp", &micro);
    let nano = ["1969-12-31T23:59:59.999999", "1969-12-31T23:59:59.999998", "1970-01-01T00:00:00.000"];
    check(TimestampNanosecondArray::from(vec![-1, -1_001, 999]), "local timestamp", &nano);

    let utc = ["1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00.000Z"];
    for zone in ["UTC", "+00:00", "Europe/Berlin", "-03:30"] {
        let values = vec![-1, 0];
        check(TimestampMicrosecondArray::from(values.clone()).with_timezone(zone), "timestamp", &utc);
        check(TimestampNanosecondArray::from(values).with_timezone(zone), "timestamp", &utc);
        check(TimestampSecondArray::from(vec![0, 0]).with_timezone(zone), "timestamp", &[utc[1], utc[1]]);
    }
}

fn numbers() -> ArrayRef {
    Arc::new(Float32Array::from(vec![Some(1.0), None, Some(0.1), Some(4.0)]))
}

#[test]
fn structs_are_objects_in_the_order_of_names() {
    let name: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), Some("\"y\""), None]));
    let at: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![-1, 0, 1]).with_timezone("UTC"));
    let fields = Fields::from(vec![
        Field::new("n", DataType::Utf8, true),
        Field::new("at", at.data_type().clone(), true),
        Field::new("f", DataType::Float32, true),
    ]);
    let nulls = NullBuffer::from(vec![true, true, false]);
    check(
        StructArray::new(fields, vec![name, at, numbers().slice(0, 3)], Some(nulls)),
        "json",
        &[
            r#"{"at":"1969-12-31T23:59:59.999999Z","f":1,"n":"x"}"#,
            r#"{"at":"1970-01-01T00:00:00.000Z","f":null,"n":"\"y\""}"#,
            "NULL",
        ],
    );
}

#[test]
fn lists_are_arrays() {
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let expected = ["[1,null]", "NULL", "[]", "[0.1,4]"];
    let nulls = Some(NullBuffer::from(vec![true, false, true, true]));
    let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0, 2, 2, 2, 4]));
    check(ListArray::new(Arc::clone(&item), offsets, numbers(), nulls.clone()), "json", &expected);
    let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0i64, 2, 2, 2, 4]));
    check(LargeListArray::new(Arc::clone(&item), offsets, numbers(), nulls.clone()), "json", &expected);
    let (offsets, sizes) = (ScalarBuffer::from(vec![0, 0, 4, 2]), ScalarBuffer::from(vec![2, 0, 0, 2]));
    check(ListViewArray::new(Arc::clone(&item), offsets, sizes, numbers(), nulls.clone()), "json", &expected);
    let (offsets, sizes) = (ScalarBuffer::from(vec![0i64, 0, 4, 2]), ScalarBuffer::from(vec![2i64, 0, 0, 2]));
    check(LargeListViewArray::new(Arc::clone(&item), offsets, sizes, numbers(), nulls), "json", &expected);
    check(FixedSizeListArray::new(item, 2, numbers(), None), "json", &["[1,null]", "[0.1,4]"]);
}

#[test]
fn maps_are_objects_and_what_has_no_form_rejects_its_row() {
    let mut map = MapBuilder::new(None, Int32Builder::new(), Date32Builder::new());
    for (key, day) in [(2, 0), (1, 1)] {
        map.keys().append_value(key);
        map.values().append_value(day);
    }
    map.append(true).unwrap();
    map.append(false).unwrap();
    map.keys().append_value(3);
    map.values().append_value(i32::MAX);
    map.append(true).unwrap();
    check(map.finish(), "json", &[r#"{"1":"1970-01-02","2":"1970-01-01"}"#, "NULL", "✗"]);
}

#[test]
fn what_cannot_be_sent_is_refused_with_a_hint() {
    let bytes = |data_type: DataType| DataType::List(Arc::new(Field::new("item", data_type, true)));
    for (data_type, hint) in [
        (DataType::Binary, "bytes"),
        (DataType::LargeBinary, "bytes"),
        (DataType::BinaryView, "bytes"),
        (DataType::FixedSizeBinary(16), "bytes"),
        (DataType::Duration(TimeUnit::Second), "a duration"),
        (DataType::Interval(IntervalUnit::MonthDayNano), "a duration"),
        (DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Binary)), "bytes"),
        (bytes(DataType::Binary), "bytes"),
        (bytes(bytes(DataType::Duration(TimeUnit::Second))), "a duration"),
    ] {
        let schema = Arc::new(Schema::new(vec![Field::new("c", data_type.clone(), true)]));
        match Plan::new(&schema, &Typing::Declared, None, &|_| Role::Strict) {
            Err(PlanError::Unsupported { hint: found, .. }) => assert!(found.starts_with(hint), "{data_type}: {found}"),
            other => panic!("{data_type}: {other:?}"),
        }
    }
}

//! What `Plan::batch` says about one batch.

use super::{batch, plan, texts};
use crate::normalise::{BatchError, Plan, Role, canonical, plain};
use crate::row::{Column, Kind, Schema};
use crate::source::Typing;
use arrow::array::*;
use arrow::datatypes::{DataType, Int8Type, Int32Type};
use std::sync::Arc;

fn pinned(kinds: &[Kind]) -> Schema {
    let column = |(name, kind): (char, &Kind)| Column { name: name.into(), kind: *kind };
    Schema { columns: ('a'..).zip(kinds).map(column).collect() }
}

/// Everything as CSV has it: text, which is parsed as what was pinned.
fn csv(batch: &RecordBatch, kinds: &[Kind], role: Role) -> Plan {
    let guess = Typing::Guess(pinned(&vec![Kind::Text; kinds.len()]));
    Plan::new(&batch.schema(), &guess, Some(&pinned(kinds)), &|_| role).unwrap()
}

#[test]
fn a_dictionary_keeps_its_keys_and_converts_each_value_once() {
    let keys = Int32Array::from(vec![Some(0), Some(1), None, Some(2), Some(3), Some(1)]);
    let values = StringArray::from(vec![Some("1"), Some("1.0"), Some("n/a"), None]);
    let batch = batch([Arc::new(DictionaryArray::new(keys, Arc::new(values))) as ArrayRef]);
    let plan = csv(&batch, &[Kind::Int], Role::Strict);
    let normalised = plan.batch(&batch).unwrap();
    let array = normalised.batch.column(0);
    assert_eq!(*array.data_type(), DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Int64)));
    assert_eq!(texts(&plan, &normalised.batch, 0), ["1", "1", "NULL", "NULL", "NULL", "1"]);
    // No key points to a NULL value: `is_null` is the truth.
    assert_eq!((0..6).map(|row| array.is_null(row)).collect::<Vec<_>>(), [false, false, true, true, true, false]);
    let misfits: Vec<_> = normalised.misfits.iter().map(|m| (m.row, m.value.as_deref())).collect();
    assert_eq!(misfits, [(3, Some("n/a"))]);
}

#[test]
fn a_dictionary_of_text_is_one_of_views_and_plain_on_demand() {
    let dictionary: DictionaryArray<Int8Type> = vec![Some("a"), None, Some("a")].into_iter().collect();
    let batch = batch([Arc::new(dictionary) as ArrayRef]);
    let plan = plan(&batch);
    let normalised = plan.batch(&batch).unwrap();
    let array = normalised.batch.column(0);
    assert_eq!(*array.data_type(), DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8View)));
    let expected = StringViewArray::from(vec![Some("a"), None, Some("a")]);
    assert_eq!(plain(array).unwrap().as_string_view(), &expected);
    assert_eq!(canonical(batch.column(0), Kind::Text).unwrap().0.as_string_view(), &expected);
    let empty: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(
        Int32Array::from(vec![None, None]),
        Arc::new(StringArray::from(Vec::<&str>::new())),
    ));
    let (array, failures) = canonical(&empty, Kind::Decimal { scale: 2 }).unwrap();
    assert_eq!((array.null_count(), array.data_type(), failures.len()), (2, &DataType::Decimal128(38, 2), 0));
}

#[test]
fn misfits_come_by_row_and_the_first_with_their_value() {
    let texts: Vec<String> = (0..60).map(|row| if row % 2 == 0 { "1".into() } else { format!("x{row}") }).collect();
    let column = || Arc::new(StringArray::from(texts.clone())) as ArrayRef;
    let batch = batch([column(), column()]);
    let normalised = csv(&batch, &[Kind::Int, Kind::Float], Role::Payload).batch(&batch).unwrap();
    let places: Vec<_> = normalised.misfits.iter().map(|m| (m.row, m.column)).collect();
    let expected: Vec<_> = (0..60).filter(|row| row % 2 == 1).flat_map(|row| [(row, 0), (row, 1)]).collect();
    assert_eq!(places, expected);
    assert!(normalised.misfits.iter().enumerate().all(|(order, m)| m.value.is_some() == (order < 20)));
    let first = &normalised.misfits[1];
    assert_eq!(first.value.as_deref(), Some("x1"));
    assert_eq!(&*first.reason, "does not fit float, the type that the column had when it was pinned");
}

#[test]
fn a_column_that_the_batch_lacks_is_left_out_and_order_does_not_matter() {
    let all = batch([
        Arc::new(Int64Array::from(vec![1])) as ArrayRef,
        Arc::new(StringArray::from(vec!["x"])),
        Arc::new(BooleanArray::from(vec![true])),
    ]);
    let plan = plan(&all);
    let some = plan.batch(&all.project(&[2, 0]).unwrap()).unwrap().batch;
    assert_eq!(some.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), ["a", "c"]);
    let none = plan.batch(&all.project(&[]).unwrap()).unwrap().batch;
    assert_eq!((none.num_columns(), none.num_rows()), (0, 1));
}

#[test]
fn an_ignored_column_asks_to_be_text_and_never_rejects_a_row() {
    let batch = batch([Arc::new(StringArray::from(vec!["10", "n/a"])) as ArrayRef]);
    let mut plan = csv(&batch, &[Kind::Int], Role::Ignored);
    match plan.batch(&batch) {
        Err(BatchError::Ignored { column }) => plan.keep_text(&column),
        other => panic!("{other:?}"),
    }
    let normalised = plan.batch(&batch).unwrap();
    assert_eq!(normalised.misfits, []);
    assert_eq!(plan.schema().columns[0].kind, Kind::Text);
    assert_eq!(texts(&plan, &normalised.batch, 0), ["10", "n/a"]);
    plan.keep_text("unknown");
}

#[test]
fn what_cannot_even_be_text_is_null_in_an_ignored_column() {
    let batch = batch([Arc::new(TimestampMicrosecondArray::from(vec![0, i64::MAX])) as ArrayRef]);
    let mut plan = Plan::new(&batch.schema(), &Typing::Declared, None, &|_| Role::Ignored).unwrap();
    assert!(matches!(plan.batch(&batch), Err(BatchError::Ignored { .. })));
    plan.keep_text("a");
    let normalised = plan.batch(&batch).unwrap();
    assert_eq!(normalised.misfits, []);
    assert_eq!(texts(&plan, &normalised.batch, 0), ["1970-01-01T00:00:00.000", "NULL"]);
}

#[test]
fn canonical_arrays_cost_nothing() {
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![1])),
        Arc::new(StringViewArray::from(vec!["a"])),
        Arc::new(Date32Array::from(vec![1])),
        Arc::new(TimestampMicrosecondArray::from(vec![1]).with_timezone("UTC")),
    ];
    let batch = batch(arrays.clone());
    let normalised = plan(&batch).batch(&batch).unwrap().batch;
    for (array, same) in arrays.iter().zip(normalised.columns()) {
        assert!(Arc::ptr_eq(array, same), "{}", array.data_type());
    }
}

#[test]
fn a_plan_is_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Plan>();
}

#[test]
fn a_misfit_without_a_canonical_form_is_shown_as_it_is_stored() {
    #[track_caller]
    fn check(array: ArrayRef, expected: &str) {
        let batch = batch([array]);
        let normalised = plan(&batch).batch(&batch).unwrap();
        let values: Vec<_> = normalised.misfits.iter().map(|m| (m.value.as_deref(), &*m.reason)).collect();
        let kind = plan(&batch).schema().columns[0].kind;
        assert_eq!(values, [(Some(expected), &*format!("does not fit {kind}"))]);
    }
    check(Arc::new(TimestampMicrosecondArray::from(vec![0, i64::MAX])), "9223372036854775807");
    check(Arc::new(Date32Array::from(vec![i32::MIN])), "-2147483648");
    let wide = Decimal128Array::from(vec![i128::MAX / 3]).with_precision_and_scale(38, -2).unwrap();
    check(Arc::new(wide), &format!("{}00", i128::MAX / 3));
}

#[test]
fn a_dictionary_that_batches_share_is_converted_once() {
    let values: ArrayRef = Arc::new(StringArray::from(vec!["1", "n/a", "2"]));
    let of = |keys: Vec<i32>| {
        batch([Arc::new(DictionaryArray::new(Int32Array::from(keys), Arc::clone(&values))) as ArrayRef])
    };
    let plan = csv(&of(vec![]), &[Kind::Int], Role::Strict);
    let read = |batch: &RecordBatch| {
        let normalised = plan.batch(batch).unwrap();
        let rows: Vec<_> = normalised.misfits.iter().map(|m| m.row).collect();
        let values = Arc::clone(normalised.batch.column(0).as_any_dictionary().values());
        (texts(&plan, &normalised.batch, 0), rows, values)
    };
    let (first, first_misfits, once) = read(&of(vec![0, 1]));
    let (second, second_misfits, again) = read(&of(vec![2, 0]));
    assert_eq!((first, first_misfits), (vec!["1".into(), "NULL".into()], vec![1]));
    assert_eq!((second, second_misfits), (vec!["2".into(), "1".into()], vec![]));
    assert!(Arc::ptr_eq(&once, &again));
    // Another kind is another conversion.
    let mut text = csv(&of(vec![]), &[Kind::Int], Role::Ignored);
    text.keep_text("a");
    assert_eq!(texts(&text, &text.batch(&of(vec![1])).unwrap().batch, 0), ["n/a"]);
}

//! A whole extract at once, and which kind a column has.

use crate::normalise::{Plan, PlanError, Role};
use crate::row::{Column, Compared, Form, HashSeed, Kind, PrintHasher, Schema};
use crate::source::Typing;
use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    StringViewArray, StructArray, TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Fields};
use std::sync::Arc;

fn schema(kind: Kind) -> Schema {
    Schema { columns: vec![Column { name: "c".into(), kind }] }
}

fn batch(array: ArrayRef) -> RecordBatch {
    let field = Field::new("c", array.data_type().clone(), true);
    RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(vec![field])), vec![array]).unwrap()
}

fn plan(array: &ArrayRef, typing: &Typing, pinned: Option<Kind>) -> Result<Plan, PlanError> {
    Plan::new(&batch(Arc::clone(array)).schema(), typing, pinned.map(schema).as_ref(), &|_| Role::Strict)
}

/// The fingerprints of a column read under a pinned kind, and the rejected rows.
fn read(array: ArrayRef, typing: &Typing, pinned: Kind) -> (Vec<u64>, Vec<u64>) {
    let mut plan = plan(&array, typing, Some(pinned)).unwrap();
    let (batches, rejects) = plan.normalise(&[batch(array)]).unwrap();
    let rows = (0..batches[0].num_rows() as u64).filter(|&r| rejects.contains(r)).collect();
    let compared = Compared { name: "c".into(), kind: plan.schema().columns[0].kind, form: Form::default() };
    (PrintHasher::new(HashSeed([3; 16]), &[compared]).prints(batches[0].num_rows(), batches[0].columns()), rows)
}

#[test]
fn the_same_values_in_other_types_are_equal() {
    let cases: Vec<(Kind, Vec<ArrayRef>)> = vec![
        (
            Kind::Int,
            vec![
                Arc::new(Int64Array::from(vec![Some(1), None, Some(-20)])),
                Arc::new(Int32Array::from(vec![Some(1), None, Some(-20)])),
                Arc::new(Float64Array::from(vec![Some(1.0), None, Some(-20.0)])),
                Arc::new(
                    Decimal128Array::from(vec![Some(100), None, Some(-2000)]).with_precision_and_scale(10, 2).unwrap(),
                ),
            ],
        ),
        (
            Kind::Timestamp,
            vec![
                Arc::new(TimestampMillisecondArray::from(vec![Some(1000), None]).with_timezone("Europe/Berlin")),
                Arc::new(StringArray::from(vec![Some("1970-01-01T01:00:01+01:00"), None])),
                Arc::new(StringArray::from(vec![Some("1970-01-01 00:00:01+00"), None])),
            ],
        ),
        (
            Kind::Json,
            vec![
                Arc::new(StringViewArray::from(vec![r#"{"b":[1,2.0],"a":null}"#])),
                Arc::new(StringArray::from(vec![r#"{ "a": null, "b": [1.0, 2] }"#])),
            ],
        ),
    ];
    for (kind, arrays) in cases {
        let first = read(Arc::clone(&arrays[0]), &Typing::Declared, kind);
        assert!(first.1.is_empty());
        for array in arrays {
            let name = array.data_type().to_string();
            assert_eq!(read(array, &Typing::Declared, kind), first, "{name} as {kind}");
        }
    }
}

#[test]
fn nested_columns_are_json_by_structure() {
    let fields = Fields::from(vec![Field::new("b", DataType::Int64, true), Field::new("a", DataType::Utf8, true)]);
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![Some(1), None])), Arc::new(StringArray::from(vec!["x", "y"]))];
    let nested: ArrayRef = Arc::new(StructArray::new(fields, columns, None));
    let mut plan = plan(&nested, &Typing::Declared, None).unwrap();
    let (batches, _) = plan.normalise(&[batch(nested)]).unwrap();
    use arrow::array::AsArray;
    let texts: Vec<_> = batches[0].column(0).as_string_view().iter().flatten().collect();
    assert_eq!(texts, [r#"{"a":"x","b":1}"#, r#"{"a":"y","b":null}"#]);
}

#[test]
fn what_does_not_fit_rejects_its_row_and_no_other() {
    let text: ArrayRef = Arc::new(StringArray::from(vec![Some("10"), Some("n/a"), None, Some("10.5"), Some("11.0")]));
    let guess = Typing::Guess(schema(Kind::Text));
    assert_eq!(read(Arc::clone(&text), &guess, Kind::Int).1, [1, 3]);
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 1.5, f64::NAN]));
    assert_eq!(read(floats, &Typing::Declared, Kind::Int).1, [1, 2]);
    let big: ArrayRef = Arc::new(UInt64Array::from(vec![1, u64::MAX]));
    assert_eq!(read(big, &Typing::Declared, Kind::Int).1, [1]);

    let mut plan = plan(&text, &guess, Some(Kind::Int)).unwrap();
    let (_, rejects) = plan.normalise(&[batch(text)]).unwrap();
    assert_eq!(rejects.count(), 2);
    assert_eq!((rejects.listed()[0].row, rejects.listed()[0].value.as_str()), (1, "n/a"));
}

#[test]
fn a_guess_never_flips_a_pinned_type() {
    // Tonight every value looks like a number; the column was pinned as text and stays text.
    let ids: ArrayRef = Arc::new(StringArray::from(vec!["1", "2"]));
    let plan = plan(&ids, &Typing::Guess(schema(Kind::Int)), Some(Kind::Text)).unwrap();
    assert_eq!(plan.schema().columns[0].kind, Kind::Text);
}

#[test]
fn drift_is_explained() {
    let ints: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let error = plan(&ints, &Typing::Declared, Some(Kind::Text)).unwrap_err();
    assert!(error.to_string().contains("column `c` was text and is int now"), "{error}");
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
    assert!(matches!(plan(&flags, &Typing::Declared, Some(Kind::Int)), Err(PlanError::Drift(_))));

    let pinned = Schema {
        columns: vec![
            Column { name: "c".into(), kind: Kind::Int },
            Column { name: "users".into(), kind: Kind::Int },
            Column { name: "note".into(), kind: Kind::Text },
        ],
    };
    let fields = vec![Field::new("c", DataType::Int64, true), Field::new("user_count", DataType::Int64, true)];
    let extract = Arc::new(arrow::datatypes::Schema::new(fields));
    let role = |name: &str| if name == "note" { Role::Ignored } else { Role::Strict };
    let error = Plan::new(&extract, &Typing::Declared, Some(&pinned), &role).unwrap_err();
    assert!(error.to_string().contains("column `users` (int) is gone; was it renamed to `user_count`?"), "{error}");
    assert!(!error.to_string().contains("note"), "{error}");
}

#[test]
fn a_payload_only_value_rejects_its_row_and_an_ignored_one_does_not() {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["10", "n/a"]));
    let pinned = schema(Kind::Int);
    let mut plan =
        Plan::new(&batch(Arc::clone(&text)).schema(), &Typing::Guess(schema(Kind::Text)), Some(&pinned), &|_| {
            Role::Ignored
        })
        .unwrap();
    let (batches, rejects) = plan.normalise(&[batch(text)]).unwrap();
    assert_eq!(rejects.count(), 0);
    assert_eq!(plan.schema().columns[0].kind, Kind::Text);
    assert_eq!(batches[0].column(0).null_count(), 0);

    let text: ArrayRef = Arc::new(StringArray::from(vec!["10", "n/a"]));
    let guess = Typing::Guess(schema(Kind::Text));
    let mut plan = Plan::new(&batch(Arc::clone(&text)).schema(), &guess, Some(&pinned), &|_| Role::Payload).unwrap();
    let (_, rejects) = plan.normalise(&[batch(text)]).unwrap();
    assert_eq!((rejects.count(), plan.schema().columns[0].kind), (1, Kind::Int), "the kind that was sent before stays");
}

#[test]
fn an_id_is_text_unless_the_source_declares_a_type() {
    let numbers = Typing::Guess(schema(Kind::Int));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["7", "10"]));
    let key = |array: &ArrayRef, typing: &Typing, pinned: Option<Kind>| {
        Plan::new(&batch(Arc::clone(array)).schema(), typing, pinned.map(schema).as_ref(), &|_| Role::Key)
    };
    assert_eq!(key(&text, &numbers, None).unwrap().schema().columns[0].kind, Kind::Text);
    let ints: ArrayRef = Arc::new(Int64Array::from(vec![7, 10]));
    assert_eq!(key(&ints, &Typing::Declared, None).unwrap().schema().columns[0].kind, Kind::Int);
    // CSV first, Parquet later: the same orgs.
    let mut plan = key(&ints, &Typing::Declared, Some(Kind::Text)).unwrap();
    let (batches, rejects) = plan.normalise(&[batch(ints)]).unwrap();
    use arrow::array::AsArray;
    assert_eq!(batches[0].column(0).as_string_view().iter().flatten().collect::<Vec<_>>(), ["7", "10"]);
    assert_eq!(rejects.count(), 0);
}

#[test]
fn what_no_calendar_has_is_a_reject_and_not_null() {
    use arrow::array::TimestampMicrosecondArray;
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0, i64::MAX, i64::MIN]));
    let mut plan = plan(&times, &Typing::Declared, None).unwrap();
    let (_, rejects) = plan.normalise(&[batch(times)]).unwrap();
    assert_eq!((0..3).filter(|row| rejects.contains(*row)).collect::<Vec<_>>(), [1, 2]);

    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0, i64::MAX]));
    let mut plan = Plan::new(&batch(Arc::clone(&times)).schema(), &Typing::Declared, None, &|_| Role::Ignored).unwrap();
    let (_, rejects) = plan.normalise(&[batch(times)]).unwrap();
    assert_eq!(rejects.count(), 0, "an ignored column never rejects a row");
}

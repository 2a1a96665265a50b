use super::*;
use crate::row::{Bucket, Column, Form, HashSeed, Kind, Number, RowRef, Schema, Value, equal};
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int8Array, Int64Array,
    RecordBatch, StringViewArray, Time64MicrosecondArray, TimestampMicrosecondArray, UInt32Array,
};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::HashSet;
use std::sync::Arc;

const SEED: HashSeed = HashSeed([7; 16]);

/// One cell of any kind but a text's; what does not suit the kind is NULL.
#[derive(Debug, Clone)]
enum Cell {
    Null,
    Whole(i128),
    Float(f64),
    Text(String),
}

fn array(kind: Kind, cells: &[Cell]) -> ArrayRef {
    let whole = || cells.iter().map(|c| if let Cell::Whole(n) = c { Some(*n) } else { None });
    let small = || whole().map(|n| n.and_then(|n| i64::try_from(n).ok()));
    let float = || cells.iter().map(|c| if let Cell::Float(n) = c { Some(*n) } else { None });
    let text = || cells.iter().map(|c| if let Cell::Text(t) = c { Some(t) } else { None });
    let instants = || small().map(|n| n.map(|n| n % 1_000_000_000_000_000));
    match kind {
        Kind::Bool => Arc::new(whole().map(|n| n.map(|n| n % 2 == 0)).collect::<BooleanArray>()),
        Kind::Int => Arc::new(small().collect::<Int64Array>()),
        Kind::Decimal { scale } => {
            Arc::new(whole().collect::<Decimal128Array>().with_precision_and_scale(38, scale).unwrap())
        }
        Kind::Float => Arc::new(float().collect::<Float64Array>()),
        Kind::Text | Kind::Json => Arc::new(text().collect::<StringViewArray>()),
        Kind::Date => Arc::new(small().map(|n| n.map(|n| (n % 100_000) as i32)).collect::<Date32Array>()),
        Kind::Time => {
            Arc::new(small().map(|n| n.map(|n| n.rem_euclid(86_400_000_000))).collect::<Time64MicrosecondArray>())
        }
        Kind::Timestamp => Arc::new(instants().collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        Kind::LocalTimestamp => Arc::new(instants().collect::<TimestampMicrosecondArray>()),
    }
}

fn compared(kind: Kind, form: Form) -> Compared {
    Compared { name: "mrr".to_owned(), kind, form }
}

fn prints(kind: Kind, form: &Form, array: &ArrayRef) -> Vec<u64> {
    PrintHasher::new(SEED, &[compared(kind, form.clone())]).column(0, array)
}

fn with_values<R>(kind: Kind, array: &ArrayRef, then: impl FnOnce(Vec<Value<'_>>) -> R) -> R {
    let schema = Schema { columns: vec![Column { name: "c".into(), kind }] };
    let batch = RecordBatch::try_new(schema.arrow(), vec![Arc::clone(array)]).unwrap();
    then((0..batch.num_rows()).map(|row| RowRef { schema: &schema, batch: &batch, row }.value(0)).collect())
}

/// Wholes that meet each other at other scales, and those at the edges.
fn wholes() -> impl Strategy<Value = i128> {
    let edges = [
        i128::from(i64::MAX),
        i128::from(i64::MIN),
        1 << 63,
        1 << 64,
        (1 << 53) + 1,
        10i128.pow(38) - 1,
        10i128.pow(37),
    ];
    prop_oneof![
        4 => -30i128..30,
        2 => (-30i128..30, 0u32..37).prop_map(|(n, zeros)| n * 10i128.pow(zeros)),
        1 => select(edges.to_vec()),
        1 => any::<i64>().prop_map(i128::from),
    ]
}

fn floats() -> impl Strategy<Value = f64> {
    let edges = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.0,
        0.1 + 0.2,
        9_223_372_036_854_775_808.0,
        1e23,
        1e300,
        1.7e38,
        5e-324,
    ];
    prop_oneof![
        4 => (-30i32..30, 0i32..4).prop_map(|(n, places)| f64::from(n) / 10f64.powi(places)),
        1 => wholes().prop_map(|n| n as f64),
        1 => select(edges.to_vec()),
        1 => any::<f64>(),
    ]
}

fn texts() -> impl Strategy<Value = String> {
    let pieces = [
        "", " ", "\u{a0}", "é", "e\u{301}", "É", "ß", "SS", "ẞ", "İ", "ς", "Σ", "\u{345}", "\u{1f0}", "\u{30c}", "a",
        "A",
    ];
    proptest::collection::vec(select(pieces.to_vec()), 0..4).prop_map(|pieces| pieces.concat())
}

fn cells(kind: Kind) -> BoxedStrategy<Vec<Cell>> {
    let cell = match kind {
        Kind::Float => floats().prop_map(Cell::Float).boxed(),
        Kind::Text | Kind::Json => texts().prop_map(Cell::Text).boxed(),
        _ => wholes().prop_map(Cell::Whole).boxed(),
    };
    proptest::collection::vec(prop_oneof![1 => Just(Cell::Null), 6 => cell], 1..12).boxed()
}

fn number_kinds() -> impl Strategy<Value = Kind> {
    let decimals = [0, 1, 2, 10, 38].map(|scale| Kind::Decimal { scale });
    select([&[Kind::Int, Kind::Float][..], &decimals].concat())
}

fn kinds() -> impl Strategy<Value = Kind> {
    let others = [Kind::Bool, Kind::Text, Kind::Json, Kind::Date, Kind::Time, Kind::Timestamp, Kind::LocalTimestamp];
    prop_oneof![number_kinds(), select(others.to_vec())]
}

fn forms() -> impl Strategy<Value = Form> {
    let number = |text: &str| Number::parse(text).unwrap();
    let buckets = ["0.1", "10", "7", "1e-20", "12345678901.5"].map(|width| Bucket::Width(number(width)));
    let bounds = Bucket::Bounds(["-5", "0", "0.3", "20", "1e30"].map(number).to_vec());
    let buckets = [&buckets[..], &[bounds]].concat();
    let numbers = (proptest::option::of(-18i8..=18), proptest::option::of(select(buckets)));
    let texts = (any::<bool>(), any::<bool>(), any::<bool>());
    let mixed = (numbers, texts).prop_map(|((round, bucket), (trim, case_fold, nfc))| Form {
        trim,
        case_fold,
        nfc,
        round,
        bucket,
        tolerance: None,
    });
    prop_oneof![1 => Just(Form::default()), 2 => mixed]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn equal_values_and_only_they_add_the_same(
        (kind, cells) in kinds().prop_flat_map(|kind| (Just(kind), cells(kind))),
        form in forms(),
    ) {
        let array = array(kind, &cells);
        let hashes = prints(kind, &form, &array);
        with_values(kind, &array, |values| {
            for (a, x) in values.iter().zip(&hashes) {
                prop_assert_eq!(matches!(a, Value::Null), *x == 0);
                for (b, y) in values.iter().zip(&hashes) {
                    prop_assert_eq!(equal(*a, *b, &form), x == y, "{:?} {:?} {:?}", a, b, form);
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_number_is_one_number_in_columns_of_all_kinds(
        ((a_kind, a), (b_kind, b)) in (number_kinds(), number_kinds())
            .prop_flat_map(|(a, b)| ((Just(a), cells(a)), (Just(b), cells(b)))),
        form in forms(),
    ) {
        let (a, b) = (array(a_kind, &a), array(b_kind, &b));
        let (x, y) = (prints(a_kind, &form, &a), prints(b_kind, &form, &b));
        let keys = |kind, array: &ArrayRef| KeyHasher::new(SEED, &[kind]).hashes(&[Arc::clone(array)]);
        let (keys_x, keys_y) = (keys(a_kind, &a), keys(b_kind, &b));
        with_values(a_kind, &a, |a| with_values(b_kind, &b, |b| {
            for (i, a) in a.iter().enumerate() {
                for (j, b) in b.iter().enumerate() {
                    prop_assert_eq!(equal(*a, *b, &form), x[i] == y[j], "{:?} {:?} {:?}", a, b, form);
                    prop_assert_eq!(equal(*a, *b, &Form::default()), keys_x[i] == keys_y[j], "{:?} {:?}", a, b);
                }
            }
            Ok(())
        }))?;
    }

    #[test]
    fn a_dictionary_changes_nothing(
        (kind, cells) in kinds().prop_flat_map(|kind| (Just(kind), cells(kind))),
        form in forms(),
        picks in proptest::collection::vec(proptest::option::of(any::<proptest::sample::Index>()), 0..30),
    ) {
        let values = array(kind, &cells);
        let keys: Vec<Option<u32>> = picks.iter().map(|p| p.map(|p| p.index(cells.len()) as u32)).collect();
        let plain = arrow::compute::take(&values, &UInt32Array::from(keys.clone()), None).unwrap();
        let narrow: Int8Array = keys.iter().map(|key| key.map(|key| key as i8)).collect();
        let encodings: [ArrayRef; 2] = [
            Arc::new(DictionaryArray::new(UInt32Array::from(keys), Arc::clone(&values))),
            Arc::new(DictionaryArray::new(narrow, Arc::clone(&values))),
        ];
        for dictionary in encodings {
            prop_assert_eq!(prints(kind, &form, &dictionary), prints(kind, &form, &plain));
            let hasher = KeyHasher::new(SEED, &[kind]);
            prop_assert_eq!(hasher.hashes(&[dictionary]), hasher.hashes(&[Arc::clone(&plain)]));
        }
    }

    #[test]
    fn no_two_keys_run_together(rows in proptest::collection::hash_set(
        (proptest::option::of("[ab\0]{0,3}"), proptest::option::of("[ab\0]{0,3}"), proptest::option::of(0i64..3)),
        0..40,
    )) {
        let rows: Vec<_> = rows.into_iter().collect();
        let columns: [ArrayRef; 3] = [
            Arc::new(rows.iter().map(|row| row.0.as_deref()).collect::<StringViewArray>()),
            Arc::new(rows.iter().map(|row| row.1.as_deref()).collect::<StringViewArray>()),
            Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>()),
        ];
        let hashes = KeyHasher::new(SEED, &[Kind::Text, Kind::Text, Kind::Int]).hashes(&columns);
        prop_assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), rows.len());
    }

    #[test]
    fn the_order_of_columns_does_not_matter(a in cells(Kind::Int), b in cells(Kind::Text)) {
        let rows = a.len().min(b.len());
        let arrays = [array(Kind::Int, &a[..rows]), array(Kind::Text, &b[..rows])];
        let columns = [compared(Kind::Int, Form::default()), Compared { name: "plan".into(), ..compared(Kind::Text, Form::default()) }];
        let both = PrintHasher::new(SEED, &columns);
        let prints = both.prints(rows, &arrays);
        let [int, text] = arrays;
        let swapped = PrintHasher::new(SEED, &[columns[1].clone(), columns[0].clone()]);
        prop_assert_eq!(&prints, &swapped.prints(rows, &[Arc::clone(&text), Arc::clone(&int)]));
        let without_text: Vec<u64> = prints.iter().zip(both.column(1, &text)).map(|(p, c)| p.wrapping_sub(c)).collect();
        prop_assert_eq!(without_text, both.column(0, &int));
    }
}

#[test]
fn a_hash_depends_on_the_seed_the_column_and_the_class() {
    let text: ArrayRef = Arc::new(StringViewArray::from(vec!["{}"]));
    let print = |seed: u8, name: &str, kind: Kind| {
        let column = Compared { name: name.to_owned(), ..compared(kind, Form::default()) };
        PrintHasher::new(HashSeed([seed; 16]), &[column]).prints(1, &[Arc::clone(&text)])[0]
    };
    let all =
        [print(1, "a", Kind::Text), print(2, "a", Kind::Text), print(1, "b", Kind::Text), print(1, "a", Kind::Json)];
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 4);
    let key = |seed: u8| KeyHasher::new(HashSeed([seed; 16]), &[Kind::Text]).hashes(&[Arc::clone(&text)])[0];
    assert_ne!(key(1), key(2));
}

#[test]
fn nothing_compared_is_no_difference() {
    let none = PrintHasher::new(SEED, &[]);
    assert_eq!(none.prints(3, &[]), [0, 0, 0]);
    assert!(KeyHasher::new(SEED, &[Kind::Int]).hashes(&[array(Kind::Int, &[])]).is_empty());
}

/// State on disk holds these: a change of this test is a change of the format.
#[test]
fn hashes_stay_what_they_are() {
    let texts: ArrayRef = Arc::new(StringViewArray::from(vec!["ws_00041"]));
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![49.99]));
    insta::assert_snapshot!(format!(
        "{:x?}\n{:x?}\n{:x?}",
        KeyHasher::new(SEED, &[Kind::Text]).hashes(&[Arc::clone(&texts)])[0],
        prints(Kind::Text, &Form::default(), &texts)[0],
        prints(Kind::Float, &Form::default(), &numbers)[0],
    ), @"
    KeyHash { hi: d0679a1475e5057, lo: a6d61532 }
    107c129ca00d4cd2
    68aec9656c4baeee
    ");
}

//! One value, however it is written, is one canonical value.

use super::batch;
use crate::normalise::{Plan, Role, canonical, plain};
use crate::row::{Column, Kind, Schema};
use crate::source::Typing;
use arrow::array::*;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::DataType;
use proptest::prelude::*;
use std::sync::Arc;

fn dictionary(array: &ArrayRef) -> ArrayRef {
    // Every value twice, and the second half of the dictionary used backwards.
    let rows = array.len() as i16;
    let values = arrow::compute::concat(&[array, array]).unwrap();
    let keys = Int16Array::from_iter((0..rows).map(|row| if row % 2 == 0 { row } else { rows + row }));
    Arc::new(DictionaryArray::new(keys, values))
}

/// Every spelling and each as a dictionary reads as the same canonical array.
fn all_equal(spellings: Vec<ArrayRef>, kinds: &[Kind]) -> Result<(), TestCaseError> {
    for &kind in kinds {
        let (first, failures) = canonical(&spellings[0], kind).unwrap();
        prop_assert_eq!(&failures, &Vec::<usize>::new());
        for array in &spellings {
            for array in [Arc::clone(array), dictionary(array)] {
                let (other, failures) = canonical(&array, kind).unwrap();
                prop_assert_eq!(&failures, &Vec::<usize>::new(), "{} as {}", array.data_type(), kind);
                prop_assert_eq!(&other, &first, "{} as {}", array.data_type(), kind);
            }
        }
    }
    Ok(())
}

fn texts(values: &[Option<i32>], text: impl Fn(i32) -> String) -> ArrayRef {
    Arc::new(values.iter().map(|v| v.map(&text)).collect::<StringArray>())
}

proptest! {
    #[test]
    fn whole_numbers(values in prop::collection::vec(prop::option::of(any::<i32>()), 0..20)) {
        let ints: ArrayRef = Arc::new(Int32Array::from(values.clone()));
        let to = |data_type| cast(&ints, &data_type).unwrap();
        let spellings = vec![
            to(DataType::Int64),
            to(DataType::Float64),
            to(DataType::Decimal128(20, 3)),
            to(DataType::Decimal256(40, 0)),
            to(DataType::Decimal64(18, 0)),
            to(DataType::Utf8),
            to(DataType::LargeUtf8),
            to(DataType::Utf8View),
            texts(&values, |v| format!("{v}.00")),
            texts(&values, |v| format!("{v}e0")),
            Arc::clone(&ints),
        ];
        all_equal(spellings, &[Kind::Int, Kind::Float, Kind::Decimal { scale: 0 }, Kind::Decimal { scale: 5 }])?;
    }

    #[test]
    fn amounts(values in prop::collection::vec(prop::option::of(any::<i32>()), 0..20)) {
        let hundredths = values.iter().map(|v| v.map(i128::from)).collect::<Decimal128Array>();
        let decimals: ArrayRef = Arc::new(hundredths.with_precision_and_scale(12, 2).unwrap());
        let written = |v: i32| {
            let (sign, cents) = (if v < 0 { "-" } else { "" }, v.unsigned_abs());
            format!("{sign}{}.{:02}", cents / 100, cents % 100)
        };
        let spellings = vec![
            Arc::clone(&decimals),
            cast(&decimals, &DataType::Decimal128(20, 4)).unwrap(),
            cast(&decimals, &DataType::Decimal256(40, 10)).unwrap(),
            texts(&values, written),
            texts(&values, |v| format!("{}00", written(v))),
            texts(&values, |v| format!("{v}e-2")),
            Arc::new(values.iter().map(|v| v.map(|v| f64::from(v) / 100.0)).collect::<Float64Array>()),
        ];
        all_equal(spellings, &[Kind::Decimal { scale: 2 }, Kind::Float, Kind::Decimal { scale: 6 }])?;
    }

    #[test]
    fn single_precision_is_what_is_written_for_it(values in prop::collection::vec(-99_999i32..99_999, 1..20), places in 0i32..5) {
        let power = 10f64.powi(places);
        let singles: Float32Array = values.iter().map(|v| Some((f64::from(*v) / power) as f32)).collect();
        let doubles: Float64Array = values.iter().map(|v| Some(f64::from(*v) / power)).collect();
        let values: Vec<_> = values.into_iter().map(Some).collect();
        let spellings = vec![texts(&values, |v| format!("{v}e-{places}")), Arc::new(doubles), Arc::new(singles)];
        all_equal(spellings, &[Kind::Float, Kind::Decimal { scale: 4 }])?;
    }

    #[test]
    fn instants(values in prop::collection::vec(-30_000_000_000_000i64..30_000_000_000_000, 0..20)) {
        let utc = Some("UTC");
        let millis = TimestampMillisecondArray::from(values.clone()).with_timezone_opt(utc);
        let micros: TimestampMicrosecondArray = values.iter().map(|v| Some(v * 1_000)).collect();
        let nanos = values.iter().map(|v| v.checked_mul(1_000_000));
        let text = |v: &i64| chrono::DateTime::from_timestamp_millis(*v).unwrap();
        let iso: StringArray = values.iter().map(|v| Some(text(v).to_rfc3339())).collect();
        let blank: StringArray = values.iter().map(|v| Some(text(v).format("%Y-%m-%d %H:%M:%S%.9f UTC").to_string())).collect();
        let mut spellings: Vec<ArrayRef> = vec![
            Arc::new(micros.with_timezone("Asia/Kolkata")),
            Arc::new(millis),
            Arc::new(iso),
            Arc::new(blank),
        ];
        if nanos.clone().all(|v| v.is_some()) {
            spellings.push(Arc::new(nanos.collect::<TimestampNanosecondArray>().with_timezone("UTC")));
        }
        all_equal(spellings, &[Kind::Timestamp])?;
    }

    #[test]
    fn batches_of_any_size_are_the_whole(
        rows in prop::collection::vec((prop::option::of("[0-9]{1,3}(\\.[05])?|n/a"), any::<i16>()), 1..40),
        cuts in prop::collection::vec(0usize..40, 0..5),
    ) {
        let text: StringArray = rows.iter().map(|r| r.0.clone()).collect();
        let number: Int16Array = rows.iter().map(|r| Some(r.1)).collect();
        let folded = cast(&text, &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))).unwrap();
        let whole = batch([Arc::new(text) as ArrayRef, Arc::new(number), folded]);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(rows.len())).chain([0, rows.len()]).collect();
        cuts.sort_unstable();
        let kinds = [Kind::Decimal { scale: 1 }, Kind::Text, Kind::Int];
        let names = ["a", "b", "c"].into_iter().zip(kinds);
        let pinned = Schema { columns: names.map(|(name, kind)| Column { name: name.into(), kind }).collect() };
        let guess = Typing::Guess(Schema::default());
        let mut plan = Plan::new(&whole.schema(), &guess, Some(&pinned), &|_| Role::Strict).unwrap();

        let (mut parts, mut rejected) = (Vec::new(), Vec::new());
        for pair in cuts.windows(2) {
            let part = plan.batch(&whole.slice(pair[0], pair[1] - pair[0])).unwrap();
            rejected.extend(part.misfits.iter().map(|misfit| (pair[0] + misfit.row) as u64));
            let arrays = part.batch.columns().iter().map(|array| plain(array).unwrap()).collect();
            parts.push(RecordBatch::try_new(plan.schema().arrow(), arrays).unwrap());
        }
        let parts = concat_batches(&plan.schema().arrow(), &parts).unwrap();
        let (at_once, rejects) = plan.normalise(std::slice::from_ref(&whole)).unwrap();
        prop_assert_eq!(&parts, &at_once[0]);
        rejected.dedup();
        let expected: Vec<u64> = (0..rows.len() as u64).filter(|&row| rejects.contains(row)).collect();
        prop_assert_eq!(rejected, expected);
    }
}

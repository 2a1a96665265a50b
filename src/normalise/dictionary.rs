//! Dictionaries: each value is converted once, and not once for each row.

use super::convert::{self, Conversion};
use crate::row::Kind;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, DictionaryArray};
use arrow::compute::{nullif, take};
use arrow::datatypes::{ArrowDictionaryKeyType, DataType};
use arrow::downcast_dictionary_array;
use arrow::error::ArrowError;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Dictionaries that many batches share (those of one row group of a Parquet file), converted once. Each may have more
/// values than a batch has rows.
#[derive(Debug, Default)]
pub(super) struct Memory {
    recent: Mutex<VecDeque<Known>>,
}

/// What is remembered: a few for each column and thread. Each entry keeps its values alive, so that no other array can
/// get their address.
const REMEMBERED: usize = 64;

#[derive(Debug)]
struct Known {
    values: ArrayRef,
    kind: Kind,
    canonical: Arc<Conversion>,
}

impl Memory {
    /// As [`convert`].
    pub(super) fn convert(&self, array: &ArrayRef, kind: Kind) -> Result<Conversion, ArrowError> {
        let values = array.as_any_dictionary().values();
        let known = |k: &&Known| k.kind == kind && Arc::ptr_eq(&k.values, values);
        let found = self.recent().iter().find(known).map(|k| Arc::clone(&k.canonical));
        if let Some(canonical) = found {
            return over(array, &canonical);
        }
        // Two threads may do this at once for one dictionary: that is cheaper than waiting for each other.
        let canonical = Arc::new(convert::convert(values, kind)?);
        let mut recent = self.recent();
        recent.truncate(REMEMBERED - 1);
        recent.push_front(Known { values: Arc::clone(values), kind, canonical: Arc::clone(&canonical) });
        drop(recent);
        over(array, &canonical)
    }

    fn recent(&self) -> MutexGuard<'_, VecDeque<Known>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A dictionary with the same keys over canonical values. No key points to a NULL value: NULL is a NULL key, so that
/// `is_null` of the array is the truth. Values may repeat (`1` and `1.0` of a text dictionary are one integer).
pub(super) fn convert(array: &ArrayRef, kind: Kind) -> Result<Conversion, ArrowError> {
    over(array, &convert::convert(array.as_any_dictionary().values(), kind)?)
}

fn over(array: &ArrayRef, canonical: &Conversion) -> Result<Conversion, ArrowError> {
    let dictionary = array.as_any_dictionary();
    let Conversion { array: values, failures } = canonical;
    if values.null_count() == 0 {
        return Ok(Conversion::whole(dictionary.with_values(Arc::clone(values))));
    }
    // There is a value, so this does not panic.
    let keys = dictionary.normalized_keys();
    let mut fails = vec![false; values.len()];
    failures.iter().for_each(|&value| fails[value] = true);
    let has_key = |row: &usize| dictionary.keys().is_valid(*row);
    let failures = (0..keys.len()).filter(has_key).filter(|&row| fails[keys[row]]).collect();
    let hidden: BooleanArray = keys.iter().map(|&key| Some(values.is_null(key))).collect();
    let dictionary: &dyn Array = array;
    let array = downcast_dictionary_array!(
        dictionary => with_nulls(dictionary, Arc::clone(values), &hidden)?,
        other => return Err(ArrowError::CastError(format!("{other} is not a dictionary")))
    );
    Ok(Conversion { array, failures })
}

fn with_nulls<K: ArrowDictionaryKeyType>(
    dictionary: &DictionaryArray<K>,
    values: ArrayRef,
    hidden: &BooleanArray,
) -> Result<ArrayRef, ArrowError> {
    let keys = nullif(dictionary.keys(), hidden)?;
    Ok(Arc::new(DictionaryArray::<K>::try_new(keys.as_primitive().clone(), values)?))
}

/// A dictionary as the plain array of its values; any other array as it is.
///
/// # Errors
/// Only what Arrow itself refuses.
pub fn plain(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            plain(&take(dictionary.values(), dictionary.keys(), None)?)
        }
        _ => Ok(Arc::clone(array)),
    }
}

//! Dictionaries: each value is converted once, and not once for each row.

use super::convert::{self, Conversion};
use crate::row::Kind;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, DictionaryArray};
use arrow::compute::{nullif, take};
use arrow::datatypes::{ArrowDictionaryKeyType, DataType};
use arrow::downcast_dictionary_array;
use arrow::error::ArrowError;
use std::sync::Arc;

/// A dictionary with the same keys over canonical values. No key points to a NULL value: NULL is a NULL key, so that
/// `is_null` of the array is the truth. Values may repeat (`1` and `1.0` of a text dictionary are one integer).
pub(super) fn convert(array: &ArrayRef, kind: Kind) -> Result<Conversion, ArrowError> {
    let dictionary = array.as_any_dictionary();
    let Conversion { array: values, failures } = convert::convert(dictionary.values(), kind)?;
    if values.null_count() == 0 {
        return Ok(Conversion::whole(dictionary.with_values(values)));
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
        dictionary => with_nulls(dictionary, values, &hidden)?,
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

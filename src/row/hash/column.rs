//! One column of values, hashed in one loop.

use super::encode;
use crate::row::form::Measure;
use crate::row::{Form, Kind, Number};
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StringViewArray, new_null_array};
use arrow::compute::take;
use arrow::datatypes::{
    ArrowNativeType, DataType, Date32Type, Decimal128Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use siphasher::sip::SipHasher13;
use std::sync::Arc;

/// How the values of one column are hashed.
#[derive(Debug, Clone)]
pub(super) struct ColumnHasher {
    pub(super) kind: Kind,
    pub(super) form: Form,
    pub(super) sip: SipHasher13,
}

impl ColumnHasher {
    /// Adds the hash of each value to its row; NULL adds nothing.
    pub(super) fn add(&self, array: &ArrayRef, out: &mut [u64]) {
        let dictionary = array.as_any_dictionary_opt().filter(|d| d.values().len() <= d.len());
        let Some(dictionary) = dictionary else {
            // A slice of a dictionary array still has all its values; where those are more than its rows, rows are cheaper.
            return self.add_plain(&plain(array), out);
        };
        let mut hashes = vec![0; dictionary.values().len()];
        self.add_plain(dictionary.values(), &mut hashes);
        look_up(dictionary.keys(), &hashes, out);
    }

    fn add_plain(&self, array: &dyn Array, out: &mut [u64]) {
        let sip = self.sip;
        match self.kind {
            Kind::Int | Kind::Decimal { .. } | Kind::Float => self.add_numbers(array, out),
            Kind::Text if !self.form.keeps_text() => {
                texts(array.as_string_view(), out, |v| sip.hash(self.form.text(v).as_bytes()));
            }
            Kind::Text | Kind::Json => texts(array.as_string_view(), out, |v| sip.hash(v.as_bytes())),
            Kind::Date => values::<Date32Type>(array.as_primitive(), out, |v| sip.hash(&v.to_le_bytes())),
            Kind::Time => values::<Time64MicrosecondType>(array.as_primitive(), out, |v| sip.hash(&v.to_le_bytes())),
            Kind::Timestamp | Kind::LocalTimestamp => {
                values::<TimestampMicrosecondType>(array.as_primitive(), out, |v| sip.hash(&v.to_le_bytes()));
            }
            Kind::Bool => {
                let hashes = [sip.hash(&[0]), sip.hash(&[1])];
                for (out, value) in out.iter_mut().zip(array.as_boolean()) {
                    *out = out.wrapping_add(value.map_or(0, |value| hashes[usize::from(value)]));
                }
            }
        }
    }

    fn add_numbers(&self, array: &dyn Array, out: &mut [u64]) {
        let sip = self.sip;
        let hash = |bytes: &[u8]| sip.hash(bytes);
        let formed = |plain: Measure| encode::measure(self.form.measure(plain), hash);
        let keeps = self.form.keeps_numbers();
        match self.kind {
            Kind::Int if keeps => values::<Int64Type>(array.as_primitive(), out, |v| encode::integer(v, hash)),
            Kind::Int => values::<Int64Type>(array.as_primitive(), out, |v| formed(Measure::Number(Number::from(v)))),
            Kind::Decimal { scale } if keeps => {
                values::<Decimal128Type>(array.as_primitive(), out, |v| encode::decimal(v, scale, hash));
            }
            Kind::Decimal { scale } => {
                let number = |v| Measure::Number(Number::new(v, i16::from(scale)));
                values::<Decimal128Type>(array.as_primitive(), out, |v| formed(number(v)));
            }
            _ if keeps => values::<Float64Type>(array.as_primitive(), out, |v| encode::float(v, hash)),
            _ => values::<Float64Type>(array.as_primitive(), out, |v| formed(Measure::of_f64(v))),
        }
    }
}

fn values<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, out: &mut [u64], hash: impl Fn(T::Native) -> u64) {
    if array.null_count() == 0 {
        for (out, value) in out.iter_mut().zip(array.values()) {
            *out = out.wrapping_add(hash(*value));
        }
        return;
    }
    for (out, value) in out.iter_mut().zip(array) {
        *out = out.wrapping_add(value.map_or(0, &hash));
    }
}

fn texts(array: &StringViewArray, out: &mut [u64], hash: impl Fn(&str) -> u64) {
    if array.null_count() == 0 {
        for (row, out) in out.iter_mut().enumerate().take(array.len()) {
            *out = out.wrapping_add(hash(array.value(row)));
        }
        return;
    }
    for (out, value) in out.iter_mut().zip(array) {
        *out = out.wrapping_add(value.map_or(0, &hash));
    }
}

/// Adds to each row what its key points to.
fn look_up(keys: &dyn Array, hashes: &[u64], out: &mut [u64]) {
    fn by<T: ArrowPrimitiveType>(keys: &dyn Array, hashes: &[u64], out: &mut [u64]) {
        // A key without a value can only stand in a row that is NULL.
        let hash = |key: T::Native| hashes.get(key.as_usize()).copied().unwrap_or(0);
        values::<T>(keys.as_primitive(), out, hash);
    }
    match keys.data_type() {
        DataType::Int8 => by::<Int8Type>(keys, hashes, out),
        DataType::Int16 => by::<Int16Type>(keys, hashes, out),
        DataType::Int32 => by::<Int32Type>(keys, hashes, out),
        DataType::Int64 => by::<Int64Type>(keys, hashes, out),
        DataType::UInt8 => by::<UInt8Type>(keys, hashes, out),
        DataType::UInt16 => by::<UInt16Type>(keys, hashes, out),
        DataType::UInt32 => by::<UInt32Type>(keys, hashes, out),
        // Arrow has no dictionary with other keys.
        _ => by::<UInt64Type>(keys, hashes, out),
    }
}

/// An array without its dictionary, row by row.
pub(super) fn plain(array: &ArrayRef) -> ArrayRef {
    let Some(dictionary) = array.as_any_dictionary_opt() else { return Arc::clone(array) };
    let values = dictionary.values();
    // `take` fails only on keys that point nowhere, which no dictionary array has.
    take(values, dictionary.keys(), None).unwrap_or_else(|_| new_null_array(values.data_type(), array.len()))
}

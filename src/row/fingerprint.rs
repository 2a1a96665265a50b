//! Keyed 128-bit fingerprints of rows: equal values (DESIGN: by value, not by spelling) ⇔ equal encodings.

use super::{Kind, Schema};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher;

/// 128 bits that stand for some columns of one row. Only comparable under the same [`HashSeed`].
pub type Fingerprint = u128;

/// The key of the hash, drawn at random per job. With a secret key nobody can craft two ids that collide.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HashSeed(pub [u8; 16]);

impl std::fmt::Debug for HashSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashSeed(…)")
    }
}

impl From<HashSeed> for String {
    fn from(seed: HashSeed) -> String {
        format!("{:032x}", u128::from_be_bytes(seed.0))
    }
}

impl TryFrom<String> for HashSeed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.len() != 32 {
            return Err("a hash seed has 32 hexadecimal digits".to_owned());
        }
        u128::from_str_radix(&text, 16).map(|n| HashSeed(n.to_be_bytes())).map_err(|e| e.to_string())
    }
}

/// Hashes chosen columns of canonical batches.
#[derive(Debug, Clone)]
pub struct Fingerprinter {
    seed: HashSeed,
    kinds: Vec<Kind>,
    columns: Vec<usize>,
}

impl Fingerprinter {
    /// A hasher of the columns at these positions of `schema`, in this order.
    pub fn new(seed: HashSeed, schema: &Schema, columns: &[usize]) -> Self {
        let kinds = columns.iter().map(|&c| schema.columns[c].kind).collect();
        Fingerprinter { seed, kinds, columns: columns.to_vec() }
    }

    /// One fingerprint for each row of a canonical batch.
    pub fn fingerprints(&self, batch: &RecordBatch) -> Vec<Fingerprint> {
        let mut buffer = Vec::with_capacity(256);
        (0..batch.num_rows())
            .map(|row| {
                buffer.clear();
                for (&column, &kind) in self.columns.iter().zip(&self.kinds) {
                    encode(&mut buffer, batch.column(column), kind, row);
                }
                let mut hasher = SipHasher24::new_with_key(&self.seed.0);
                hasher.write(&buffer);
                hasher.finish128().as_u128()
            })
            .collect()
    }
}

/// An unambiguous encoding: a tag, then the value; text carries its length, so that no two rows run together alike.
/// All numbers share one form, so that a column which is retyped from int to decimal keeps its fingerprints.
fn encode(out: &mut Vec<u8>, array: &dyn Array, kind: Kind, row: usize) {
    if array.is_null(row) {
        out.push(0);
        return;
    }
    match kind {
        Kind::Bool => out.extend([1, u8::from(array.as_boolean().value(row))]),
        Kind::Int => number(out, i128::from(array.as_primitive::<Int64Type>().value(row)), 0),
        Kind::Decimal { scale } => number(out, array.as_primitive::<Decimal128Type>().value(row), scale),
        Kind::Float => float(out, array.as_primitive::<Float64Type>().value(row)),
        Kind::Text => bytes(out, 4, array.as_string_view().value(row).as_bytes()),
        Kind::Json => bytes(out, 5, array.as_string_view().value(row).as_bytes()),
        Kind::Date => tagged(out, 6, i64::from(array.as_primitive::<Date32Type>().value(row))),
        Kind::Time => tagged(out, 7, array.as_primitive::<Time64MicrosecondType>().value(row)),
        Kind::Timestamp => tagged(out, 8, array.as_primitive::<TimestampMicrosecondType>().value(row)),
        Kind::LocalTimestamp => tagged(out, 9, array.as_primitive::<TimestampMicrosecondType>().value(row)),
    }
}

fn number(out: &mut Vec<u8>, mut unscaled: i128, mut scale: i8) {
    while scale > 0 && unscaled % 10 == 0 {
        unscaled /= 10;
        scale -= 1;
    }
    out.push(2);
    out.extend(unscaled.to_le_bytes());
    out.push(scale.cast_unsigned());
}

fn float(out: &mut Vec<u8>, value: f64) {
    // An integral double is encoded as that integer, which also makes -0 equal 0.
    if value == value.trunc() && value.abs() < 9.2e18 {
        return number(out, value as i128, 0);
    }
    let bits = if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
    out.push(3);
    out.extend(bits.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    out.push(tag);
    out.extend((value.len() as u64).to_le_bytes());
    out.extend(value);
}

fn tagged(out: &mut Vec<u8>, tag: u8, value: i64) {
    out.push(tag);
    out.extend(value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Column;
    use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, StringViewArray};
    use std::sync::Arc;

    fn one(kind: Kind, array: ArrayRef) -> Vec<Fingerprint> {
        let schema = Schema { columns: vec![Column { name: "c".into(), kind }] };
        let batch = RecordBatch::try_new(schema.arrow(), vec![array]).unwrap();
        Fingerprinter::new(HashSeed([7; 16]), &schema, &[0]).fingerprints(&batch)
    }

    #[test]
    fn numbers_are_equal_by_value() {
        let ints = one(Kind::Int, Arc::new(Int64Array::from(vec![1, 0, -3])));
        let floats = one(Kind::Float, Arc::new(Float64Array::from(vec![1.0, -0.0, -3.0])));
        let decimals = Decimal128Array::from(vec![100, 0, -300]).with_precision_and_scale(38, 2).unwrap();
        assert_eq!(ints, floats);
        assert_eq!(ints, one(Kind::Decimal { scale: 2 }, Arc::new(decimals)));
        let nans = one(Kind::Float, Arc::new(Float64Array::from(vec![f64::NAN, -f64::NAN, 0.5])));
        assert_eq!(nans[0], nans[1]);
        assert_ne!(nans[0], nans[2]);
    }

    #[test]
    fn null_is_not_the_empty_string_and_columns_do_not_run_together() {
        let texts = one(Kind::Text, Arc::new(StringViewArray::from(vec![None, Some(""), Some("a")])));
        assert_ne!(texts[0], texts[1]);
        let columns = vec!["a", "b"].into_iter().map(|n| Column { name: n.into(), kind: Kind::Text }).collect();
        let schema = Schema { columns };
        let left: ArrayRef = Arc::new(StringViewArray::from(vec!["ab", "a"]));
        let right: ArrayRef = Arc::new(StringViewArray::from(vec!["c", "bc"]));
        let batch = RecordBatch::try_new(schema.arrow(), vec![left, right]).unwrap();
        let both = Fingerprinter::new(HashSeed([7; 16]), &schema, &[0, 1]).fingerprints(&batch);
        assert_ne!(both[0], both[1]);
    }
}

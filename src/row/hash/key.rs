//! 96 bits for the key of a row.

use super::column::plain;
use super::encode;
use super::secret::{self, Class};
use crate::row::{HashSeed, Kind};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringViewArray,
    Time64MicrosecondArray, TimestampMicrosecondArray,
};
use siphasher::sip128::{Hash128, SipHasher13};

/// 96 bits of a keyed 128-bit hash of a row's key. Only comparable under the same [`HashSeed`]. Ordered by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash {
    /// The upper 64 bits.
    pub hi: u64,
    /// The lower 32 bits.
    pub lo: u32,
}

impl From<Hash128> for KeyHash {
    fn from(hash: Hash128) -> Self {
        KeyHash { hi: hash.h1, lo: (hash.h2 >> 32) as u32 }
    }
}

/// Hashes the keys of canonical columns, which may be dictionary-encoded. A key column is compared as it is, in no form;
/// numbers by number, so that a key that is retyped from int to decimal keeps its hashes.
#[derive(Debug, Clone)]
pub struct KeyHasher {
    sip: SipHasher13,
    kinds: Vec<Kind>,
}

impl KeyHasher {
    /// A hasher of keys of these kinds, one a key column, in the key's order.
    pub fn new(seed: HashSeed, kinds: &[Kind]) -> Self {
        KeyHasher { sip: secret::of_keys(seed), kinds: kinds.to_vec() }
    }

    /// One hash a row; the columns are those of [`KeyHasher::new`], in its order, at least one.
    pub fn hashes(&self, columns: &[ArrayRef]) -> Vec<KeyHash> {
        let plain: Vec<ArrayRef> = columns.iter().map(plain).collect();
        let cells: Vec<Cells<'_>> =
            plain.iter().zip(&self.kinds).map(|(array, kind)| Cells::of(array, *kind)).collect();
        let rows = plain.first().map_or(0, |array| array.len());
        let mut buffer = Vec::with_capacity(64);
        let hash = |row: usize| {
            buffer.clear();
            cells.iter().for_each(|cells| cells.encode(row, &mut buffer));
            self.sip.hash(&buffer).into()
        };
        (0..rows).map(hash).collect()
    }
}

/// A column whose type is known before the first row.
struct Cells<'a> {
    tag: u8,
    array: &'a dyn Array,
    has_nulls: bool,
    typed: Typed<'a>,
}

enum Typed<'a> {
    Int(&'a Int64Array),
    Decimal(&'a Decimal128Array, i8),
    Float(&'a Float64Array),
    Text(&'a StringViewArray),
    Bool(&'a BooleanArray),
    Date(&'a Date32Array),
    Time(&'a Time64MicrosecondArray),
    Instant(&'a TimestampMicrosecondArray),
}

impl<'a> Cells<'a> {
    fn of(array: &'a dyn Array, kind: Kind) -> Self {
        let typed = match kind {
            Kind::Int => Typed::Int(array.as_primitive()),
            Kind::Decimal { scale } => Typed::Decimal(array.as_primitive(), scale),
            Kind::Float => Typed::Float(array.as_primitive()),
            Kind::Text | Kind::Json => Typed::Text(array.as_string_view()),
            Kind::Bool => Typed::Bool(array.as_boolean()),
            Kind::Date => Typed::Date(array.as_primitive()),
            Kind::Time => Typed::Time(array.as_primitive()),
            Kind::Timestamp | Kind::LocalTimestamp => Typed::Instant(array.as_primitive()),
        };
        Cells { tag: Class::of(kind).tag(), array, has_nulls: array.null_count() > 0, typed }
    }

    /// A tag, the length and the bytes of the value, so that no two keys run together; of NULL, only a tag of its own.
    fn encode(&self, row: usize, out: &mut Vec<u8>) {
        if self.has_nulls && self.array.is_null(row) {
            return out.push(0);
        }
        let tag = self.tag;
        let mut write = |bytes: &[u8]| {
            out.push(tag);
            out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            out.extend_from_slice(bytes);
        };
        match self.typed {
            Typed::Int(array) => encode::integer(array.value(row), write),
            Typed::Decimal(array, scale) => encode::decimal(array.value(row), scale, write),
            Typed::Float(array) => encode::float(array.value(row), write),
            Typed::Text(array) => write(array.value(row).as_bytes()),
            Typed::Bool(array) => write(&[u8::from(array.value(row))]),
            Typed::Date(array) => write(&array.value(row).to_le_bytes()),
            Typed::Time(array) => write(&array.value(row).to_le_bytes()),
            Typed::Instant(array) => write(&array.value(row).to_le_bytes()),
        }
    }
}

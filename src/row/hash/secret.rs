//! Keys for single uses, derived from the job's seed.

use crate::row::{HashSeed, Kind};
use siphasher::sip::SipHasher13;
use siphasher::sip128::{self, SipHasher24};

/// Kinds whose values can be equal share a class; classes are apart because they share no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Number = 1,
    Text = 2,
    Json = 3,
    Bool = 4,
    Date = 5,
    Time = 6,
    Timestamp = 7,
    LocalTimestamp = 8,
}

impl Class {
    pub(super) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Int | Kind::Decimal { .. } | Kind::Float => Class::Number,
            Kind::Text => Class::Text,
            Kind::Json => Class::Json,
            Kind::Bool => Class::Bool,
            Kind::Date => Class::Date,
            Kind::Time => Class::Time,
            Kind::Timestamp => Class::Timestamp,
            Kind::LocalTimestamp => Class::LocalTimestamp,
        }
    }

    /// The byte that stands for the class in what is hashed; 0 is NULL's.
    pub(super) fn tag(self) -> u8 {
        self as u8
    }
}

/// The hash of the values of one column.
pub(super) fn of_column(seed: HashSeed, name: &str, class: Class) -> SipHasher13 {
    let mut purpose = b"nightmark column".to_vec();
    purpose.extend((name.len() as u64).to_le_bytes());
    purpose.extend(name.as_bytes());
    purpose.push(class.tag());
    SipHasher13::new_with_key(&derived(seed, &purpose))
}

/// The hash of keys. One round a word keeps what is wanted of it, that nobody without the secret can find two keys of one
/// hash; two rounds cost a third more on every row.
pub(super) fn of_keys(seed: HashSeed) -> sip128::SipHasher13 {
    sip128::SipHasher13::new_with_key(&derived(seed, b"nightmark key"))
}

fn derived(seed: HashSeed, purpose: &[u8]) -> [u8; 16] {
    SipHasher24::new_with_key(&seed.0).hash(purpose).as_bytes()
}

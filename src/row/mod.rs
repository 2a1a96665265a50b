//! The vocabulary that every stage shares: what a column is, what a value is, how a key reads and hashes.
//!
//! In: nothing. Out: [`Schema`], [`Kind`], [`Value`], [`Form`] and equality under it, [`KeyHasher`], [`PrintHasher`].
//! Always holds: one [`Kind`] has exactly one Arrow type ([`Kind::arrow_type`]), so that two canonical batches of one
//! schema can be compared array by array.
//! Deliberately absent: IO, parsing of text into values (that is `normalise`), anything about files or databases.

mod exact;
mod form;
mod hash;
mod number;
mod schema;
mod seed;
mod value;

pub use exact::Number;
pub use form::{Bucket, Form, equal, within};
pub use hash::{Compared, KeyHash, KeyHasher, Print, PrintHasher};
pub use number::{Decimal, exact_f64};
pub use schema::{Column, Kind, Schema, SchemaError};
pub use seed::HashSeed;
pub use value::{RowRef, Value, key_json, key_text};

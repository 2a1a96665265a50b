//! What stands for a row: a [`KeyHash`] for its key and a [`Print`] for its compared columns.
//!
//! In: canonical arrays, plain or dictionary-encoded. Out: one hash a row, made column by column.
//! Always holds: values that are [`equal`](super::equal) under the column's form add the same, and values that are not add
//! the same with a probability of 2^-64, whatever the array's encoding and whichever kind of number the column is. Without
//! the job's [`HashSeed`](super::HashSeed) nobody can craft two values that collide.
//! Deliberately absent: tolerances, which are no equivalence; the form itself, so that whoever changes a column's form
//! must know that its hashes have another meaning.

mod column;
mod encode;
mod key;
mod print;
mod secret;

pub use key::{KeyHash, KeyHasher};
pub use print::{Compared, Print, PrintHasher};

#[cfg(test)]
mod tests;

//! `changes.parquet`: the change set of a run, in the order in which it is sent.
//!
//! In: [`Change`](crate::diff::Change)s with tonight's rows ([`ChangeWriter`]). Out: the file, and [`ChangeSet`], which reads it
//! back bit by bit, so that a change set may be larger than memory.
//!
//! | column | what |
//! |---|---|
//! | `seq` | the position in the change set, from 0 |
//! | `operation` | `added`, `changed`, `removed` |
//! | `webhook_id` | the same for every repeat of the same version of a row |
//! | `uncertain` | an earlier send may have been applied |
//! | `key` | the key columns |
//! | `before` | what the destination has in the compared columns; NULL if it does not have the org |
//! | `after` | tonight's other columns, payload-only ones included; NULL for a removal |
//! | `fingerprint_before`, `fingerprint_after` | over the compared columns |
//! | `unknown_before` | compared columns that are NULL in `before` because they are not known |

mod earlier;
mod marks;
mod rewrite;
mod set;
mod writer;

pub(super) use earlier::{Earlier, EarlierChanges, read};
pub use marks::Mark;
pub use rewrite::rewrite;
pub use set::{ChangeBatch, ChangeRow, ChangeSet, Shape};
pub use writer::{ChangeWriter, Target, Written};

/// The prefix of webhook ids.
const ID_PREFIX: &str = "nm_";

/// A webhook id as it is sent.
pub fn id_text(id: u128) -> String {
    format!("{ID_PREFIX}{id:032x}")
}

/// The reverse of [`id_text`].
pub(super) fn id_of(text: &str) -> Option<u128> {
    u128::from_str_radix(text.strip_prefix(ID_PREFIX)?, 16).ok()
}

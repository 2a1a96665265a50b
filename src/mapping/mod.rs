//! Payload templates of API keys: which field of an org stands at which path of a payload.
//!
//! In: a [`PayloadTemplate`] (a key's, or the one that a job's `conforms_to` says the key has) and a body as bytes. Out: a
//! [`Reading`], which is the [`Update`] that it means or that it says nothing about an org, or an [`Unfit`] in the words in
//! which the receiver answers 400.
//! Always holds: who sends and who receives judge a body by the same code, so that what passes here passes there; a body is
//! read once, strictly (no key twice, no NUL, no integer past 64 bits, no more than 32 levels), and what no path leads to is
//! not kept. The limits are those of WIRE.md: 64 fields, 16 segments.
//! Deliberately absent: keys and HTTP (`receiver`), how an update is stored (`store`), what a body is made of (`template`).
//! Pure.

mod envelope;
mod example;
pub mod extract;
mod field;
pub mod json;
mod misfit;
mod path;
mod preset;
mod scan;
pub mod template;
mod update;

pub use envelope::{Condition, Envelope};
pub use extract::{MAX_MESSAGE_ID, extract, is_message_id};
pub use field::Field;
pub use json::{MAX_DEPTH, parse as parse_strict};
pub use misfit::{Misfit, Unfit};
pub use path::{MAX_SEGMENTS, Path};
pub use scan::{Mapping, Seen};
pub use template::{MAX_FIELDS, PayloadTemplate, TemplateError};
pub use update::{OrgPatch, Patch, Reading, TrialStatus, Update};

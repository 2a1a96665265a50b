//! Job files: what a person wrote, and what it means.
//!
//! In: TOML text (`raw`). Out: a validated [`spec::Job`] without IO (`spec`), read by `load`.
//! Always holds: every problem of a file is reported at once, with file, line, column and a hint; a secret is never
//! written in a job file and never printed.
//! Deliberately absent: whether the columns exist (that needs the extract: `check`, `preview` and `run` say so).
//!
//! A file goes `document` (TOML with the place of everything) → `structure` (its shape, against the schema of `raw`) →
//! `validate` (its meaning, section by section) → `spec`.

pub(crate) mod blackout;
pub mod circles;
pub(crate) mod document;
pub(crate) mod lexis;
pub mod load;
mod password;
pub(crate) mod percent;
pub mod problem;
pub mod raw;
pub(crate) mod redact;
pub(crate) mod schedule;
pub(crate) mod schema;
pub mod secrets;
pub(crate) mod since;
pub mod spec;
pub(crate) mod spell;
pub(crate) mod structure;
mod templated;
pub(crate) mod units;
mod validate;

pub use load::{JobError, load_all, load_job};
pub use problem::{Invalid, Problem};
pub use schema::job_schema;
pub use secrets::{SecretError, Secrets};
pub(crate) use templated::secret_address;
pub(crate) use validate::bucket;
pub use validate::parse;

//! From another tool's files to a job file.
//!
//! In: the text of a Hightouch model and sync as Git Sync writes them (or as the REST API answers them), YAML or JSON, and what
//! the files do not say. Out: the text of a job file and [`Notes`]: what is still to be done, what was carried over
//! differently, what could not be.
//! Always holds: a secret is taken out to `${NAME}`, neither written nor told; SQL and Liquid are taken over as they are, but
//! for a table's name; a field that is not known is told by its name, never passed over in silence.
//! Deliberately absent: files (`cli/import.rs`), Hightouch's API, running anything. Pure.
//!
//! The way of a file: `bag` (a table that knows what nobody asked for) → `model`, `sync` (with `request`, `schedule`) → `write`
//! (with `sql`) and `target` (with `secrets`).

mod bag;
mod model;
mod notes;
mod request;
mod schedule;
mod secrets;
mod sql;
mod sync;
mod target;
#[cfg(test)]
mod tests;
pub(crate) mod toml;
mod write;

pub use notes::Notes;
pub use write::job_name;

use bag::Bag;
use serde_json::Value;

/// What the files do not say.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// The job's name; letters, digits, `-` and `_`.
    pub name: String,
    /// The file or glob that rows come from; `None`: `data/NAME.csv`, to be changed.
    pub source: Option<String>,
    /// The destination's base URL, which Git Sync does not keep.
    pub base_url: Option<String>,
    /// The extract is what the model's SQL yields, not the table that it reads.
    pub is_result: bool,
    /// The destination has the present state already: nothing is sent for it.
    pub adopts: bool,
}

/// A job file in the making.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The job file.
    pub text: String,
    /// What its reader has to know.
    pub notes: Notes,
}

/// Why there can be no job file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The text is neither YAML nor JSON.
    #[error("the {of} is not valid {format}: {reason}")]
    Syntax {
        /// `model`, `sync` or `destination`.
        of: &'static str,
        /// `YAML` or `JSON`.
        format: &'static str,
        /// Why, without the text itself.
        reason: String,
    },
    /// It is not made of fields.
    #[error("the {of} is not a table of fields; Git Sync keeps models in models/*.yaml and syncs in syncs/*.yaml")]
    NoTable {
        /// `model`, `sync` or `destination`.
        of: &'static str,
    },
    /// A model without one cannot be synced, by Hightouch neither.
    #[error("the model has no `primaryKey`, which says which column identifies an org; add it to the file")]
    NoKey,
    /// The two files were most likely given in the wrong order.
    #[error("the {of} looks like a {looks}: give the model first, then the sync")]
    Swapped {
        /// What it was given as.
        of: &'static str,
        /// What it looks like.
        looks: &'static str,
    },
}

/// Reads YAML, or JSON if the text begins like it.
///
/// # Errors
/// [`ImportError::Syntax`], without any of the text: it may hold secrets.
pub fn parse(of: &'static str, text: &str) -> Result<Value, ImportError> {
    if text.trim_start().starts_with('{') {
        let place = |error: serde_json::Error| format!("line {}, column {}", error.line(), error.column());
        let syntax = |error| ImportError::Syntax { of, format: "JSON", reason: place(error) };
        return serde_json::from_str(text).map_err(syntax);
    }
    // As YAML 1.2 has it: `yes` and `on` are texts.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(|at| format!("line {}, column {}", at.line(), at.column()));
        let reason = place.unwrap_or_else(|| "it cannot be read".to_owned());
        ImportError::Syntax { of, format: "YAML", reason }
    })
}

/// Makes a job file of a Hightouch model and sync, and of the destination if there is one.
///
/// # Errors
/// What keeps a job from being made at all; everything else is a note.
pub fn hightouch(
    model: Value,
    sync: Value,
    destination: Option<Value>,
    wishes: &Wishes,
) -> Result<Imported, ImportError> {
    let mut notes = Notes::default();
    let (model, sync) = (Bag::of("model", model)?, Bag::of("sync", sync)?);
    if sync.has("rawsql") && model.has("config") {
        return Err(ImportError::Swapped { of: "model", looks: "sync" });
    }
    let destination = destination.map(|value| Bag::of("destination", value)).transpose()?;
    let model = model::read(model, &mut notes)?;
    let sync = sync::read(sync, destination, &mut notes);
    if let Some(of) = sync.model.as_ref().filter(|of| !model.is_called(of)) {
        notes.todo(format!("the sync names the model `{of}`; make sure that the model's file is that one's"));
    }
    let text = write::job(&model, &sync, wishes, &mut notes);
    Ok(Imported { text, notes })
}

//! A look at which files a run would read now, without reading them.

use super::PipelineError;
use super::extract::source_error;
use crate::config::Home;
use crate::job::spec::Job;
use crate::source::{self, Environment};
use chrono::{DateTime, Utc};
use std::fmt::Write as _;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// What a run would read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// Another one if a file is another, by its name, length, time or tag.
    pub identity: String,
    /// The files, in order.
    pub files: Vec<String>,
}

/// Looks, without waiting for files to settle. `at`: now.
///
/// # Errors
/// Whatever would keep a run from choosing its files; a source that is none of files.
pub async fn look(job: Arc<Job>, home: &Home, at: DateTime<Utc>) -> Result<Looked, PipelineError> {
    let environment = Arc::new(Environment::new(home, at));
    let of = Arc::clone(&job);
    let found = tokio::task::spawn_blocking(move || source::found(&of.source, &environment)).await;
    let found = found.map_err(|error| PipelineError::Internal(error.to_string()))?;
    let found = found.map_err(|error| source_error(&job, error))?;
    let mut hash = Xxh3::new();
    for file in &found {
        // Numbers are texts of their own, so that nothing runs into its neighbour.
        let modified = file.modified.and_then(|at| at.timestamp_nanos_opt());
        hash.update(format!("{:?}\n", (&file.name, file.length, modified, &file.tag)).as_bytes());
    }
    let mut identity = String::new();
    let _ = write!(identity, "{:032x}", hash.digest128());
    Ok(Looked { identity, files: found.into_iter().map(|file| file.name).collect() })
}

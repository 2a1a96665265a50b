//! Which of the files on this machine that match are the extract.

use super::{discover, stamp};
use crate::job::spec::FilesSource;
use crate::source::chosen;
use crate::source::pick::{self, Candidate, Found};
use crate::source::{Ask, Piece, Rows, SourceError, Stream};
use chrono::{DateTime, TimeDelta, Utc};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The files to read, and why the run should be held.
pub struct Chosen {
    /// In order.
    pub paths: Vec<PathBuf>,
    /// As [`Rows::held`].
    pub held: Vec<String>,
}

/// Chooses. `at`: when the run started.
pub fn files(spec: &FilesSource, at: DateTime<Utc>, ask: &Ask<'_>) -> Result<Chosen, SourceError> {
    // Files here have their times from this machine's clock.
    let since = Instant::now();
    let place = || Some(at + TimeDelta::from_std(since.elapsed()).unwrap_or(TimeDelta::MAX));
    let times = chosen::Times { at, place: &place };
    let decided = chosen::decide(&spec.choice, &spec.written, &times, ask, &mut || look(spec))?;
    let paths = decided.files.iter().map(|file| PathBuf::from(&file.name)).collect();
    Ok(Chosen { paths, held: decided.held })
}

/// Those that would be read now, without waiting.
///
/// # Errors
/// Nothing that matches is complete; what cannot be looked at.
pub fn now(spec: &FilesSource) -> Result<Vec<Found>, SourceError> {
    pick::now(&spec.choice, &spec.written, look(spec)?)
}

fn look(spec: &FilesSource) -> Result<Vec<Candidate>, SourceError> {
    let mut list = || discover::paths(spec)?.iter().map(|path| found(path)).collect();
    let mut look = |name: &str| {
        let path = Path::new(name);
        if path.is_file() { found(path).map(Some) } else { Ok(None) }
    };
    let candidates = pick::candidates(&spec.choice, &mut list, &mut look)?;
    if candidates.is_empty() {
        return Err(SourceError::new(format!("no file matches: \"{}\" has only marker files", spec.written)));
    }
    Ok(candidates)
}

fn found(path: &Path) -> Result<Found, SourceError> {
    let name = path.to_str().ok_or_else(|| {
        SourceError::new(format!("{} has a name that is not UTF-8", path.display())).hint("rename it")
    })?;
    let metadata = path.metadata().map_err(|e| stamp::unreadable(path, &e))?;
    let modified = metadata.modified().ok().map(DateTime::<Utc>::from);
    Ok(Found { name: name.to_owned(), length: metadata.len(), modified, tag: None })
}

/// The stream, which says why the run should be held.
pub fn held(stream: Stream, held: Vec<String>) -> Stream {
    if held.is_empty() {
        return stream;
    }
    Stream { rows: Box::new(Held { rows: stream.rows, held }), ..stream }
}

struct Held {
    rows: Box<dyn Rows>,
    held: Vec<String>,
}

impl Rows for Held {
    fn next(&self) -> Result<Option<Piece>, SourceError> {
        self.rows.next()
    }

    fn estimate(&self) -> u64 {
        self.rows.estimate()
    }

    fn held(&self) -> Vec<String> {
        self.held.clone()
    }
}

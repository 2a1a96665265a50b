//! Which files a path or glob means.

use crate::job::spec::FilesSource;
use crate::source::SourceError;
use crate::source::pick::walk::invalid;
use std::path::{Path, PathBuf};

/// The files, sorted by path; at least one.
///
/// A path that exists is taken literally, even if it has `*`, `?` or `[` in it. In a glob, `*` does not match a leading
/// dot, so temporary files such as `.orgs.csv.part` stay out.
pub fn paths(spec: &FilesSource) -> Result<Vec<PathBuf>, SourceError> {
    let path = &spec.path;
    if path.is_file() {
        return Ok(vec![path.clone()]);
    }
    if path.is_dir() {
        return Err(SourceError::new(format!("{} is a folder, not a file", path.display()))
            .hint(format!("name its files, e.g. path = \"{}/*\"", spec.written.trim_end_matches('/'))));
    }
    if !spec.written.contains(['*', '?', '[']) {
        return Err(missing(spec, "no such file"));
    }
    let found = expand(spec)?;
    if found.is_empty() {
        return Err(missing(spec, "no file matches"));
    }
    Ok(found)
}

fn expand(spec: &FilesSource) -> Result<Vec<PathBuf>, SourceError> {
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..Default::default() };
    let matches = glob::glob_with(&pattern(spec), options).map_err(|e| invalid(&spec.written, &e))?;
    let mut found = Vec::new();
    for path in matches {
        // A folder that cannot be listed may hide files: an extract without them would not be complete.
        let path = path.map_err(|e| SourceError::new(format!("cannot look for \"{}\": {e}", spec.written)))?;
        if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The folder that is not the user's own words, below which folders may say partitions.
pub fn root(spec: &FilesSource) -> PathBuf {
    let absolute = spec.path.to_string_lossy();
    absolute.strip_suffix(&spec.written).map_or_else(PathBuf::new, PathBuf::from)
}

/// The absolute pattern. Only what the user wrote is a pattern; the folder before it may have `[` in its name.
fn pattern(spec: &FilesSource) -> String {
    let absolute = spec.path.to_string_lossy();
    match absolute.strip_suffix(&spec.written) {
        Some(folder) => format!("{}{}", glob::Pattern::escape(folder), spec.written),
        None => absolute.into_owned(),
    }
}

fn missing(spec: &FilesSource, what: &str) -> SourceError {
    let literal: PathBuf =
        spec.path.components().take_while(|c| !c.as_os_str().to_string_lossy().contains(['*', '?', '['])).collect();
    let folder = if literal == spec.path { literal.parent().unwrap_or(Path::new("/")) } else { &literal };
    let state = if folder.is_dir() { "" } else { " (which does not exist)" };
    SourceError::new(format!("{what}: \"{}\" in {}{state}", spec.written, folder.display()))
        .hint("relative paths start at the home folder (--home)")
}

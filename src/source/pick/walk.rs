//! Which names a pattern means at a place that lists its folders one by one.
//!
//! `*`, `?` and `[…]` match within a name, `**` any number of folders. They do not match a leading dot, so that temporary files such
//! as `.orgs.csv.part` stay out. A character that has a meaning is written in brackets: `[[]`.

use super::Found;
use crate::source::SourceError;
use glob::{MatchOptions, Pattern};
use std::collections::BTreeSet;

/// More files than this in the folders looked at are a mistake in the pattern.
const MOST: usize = 1_000_000;

const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// What stands in a folder.
#[derive(Debug, Default)]
pub struct Listing {
    /// Its files, with their paths from the root.
    pub files: Vec<Found>,
    /// The names of the folders in it.
    pub folders: Vec<String>,
}

/// Whether a path is a pattern.
pub fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// Looks for files. `list` says what stands in a folder, by its path from the root without a `/` at its end (the root is empty); a
/// folder that is not there is empty.
///
/// # Errors
/// A pattern that is none; more than a million files; whatever `list` says.
pub fn walk(
    pattern: &str,
    list: &mut dyn FnMut(&str) -> Result<Listing, SourceError>,
) -> Result<Vec<Found>, SourceError> {
    let segments: Result<Vec<Segment>, _> = pattern.split('/').map(Segment::new).collect();
    let mut walk = Walk { list, matching: Vec::new(), seen: BTreeSet::new() };
    walk.at("", &segments.map_err(|e| invalid(pattern, &e))?)?;
    Ok(walk.matching)
}

enum Segment {
    Any,
    Literal(String),
    Pattern(Pattern),
}

impl Segment {
    fn new(text: &str) -> Result<Self, glob::PatternError> {
        Ok(match text {
            "**" => Segment::Any,
            text if is_pattern(text) => Segment::Pattern(Pattern::new(text)?),
            text => Segment::Literal(text.to_owned()),
        })
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Segment::Any => !name.starts_with('.'),
            Segment::Literal(text) => text == name,
            Segment::Pattern(pattern) => pattern.matches_with(name, OPTIONS),
        }
    }
}

struct Walk<'l> {
    list: &'l mut dyn FnMut(&str) -> Result<Listing, SourceError>,
    /// Those that match.
    matching: Vec<Found>,
    /// The names of all that were looked at.
    seen: BTreeSet<String>,
}

impl Walk<'_> {
    fn at(&mut self, folder: &str, segments: &[Segment]) -> Result<(), SourceError> {
        let within = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        match segments {
            [] => Ok(()),
            [Segment::Literal(name), rest @ ..] if !rest.is_empty() => self.at(&within(name), rest),
            [Segment::Any, rest @ ..] if !rest.is_empty() => {
                // No folder for it, or each of those here and then any number again.
                self.at(folder, rest)?;
                for name in (self.list)(folder)?.folders.iter().filter(|name| !name.starts_with('.')) {
                    self.at(&within(name), segments)?;
                }
                Ok(())
            }
            [last] => self.files(folder, last),
            [segment, rest @ ..] => {
                for name in (self.list)(folder)?.folders.iter().filter(|name| segment.matches(name)) {
                    self.at(&within(name), rest)?;
                }
                Ok(())
            }
        }
    }

    fn files(&mut self, folder: &str, last: &Segment) -> Result<(), SourceError> {
        for file in (self.list)(folder)?.files {
            let name = file.name.rsplit('/').next().unwrap_or(&file.name);
            let matches = last.matches(name);
            if self.seen.insert(file.name.clone()) && matches {
                self.matching.push(file);
            }
        }
        if self.seen.len() > MOST {
            return Err(SourceError::new(format!(
                "source.path: there are more than {MOST} files in the folders to look into"
            ))
            .hint("name the folders more closely"));
        }
        Ok(())
    }
}

/// The error for a pattern that is none. Where in it is counted in a longer one.
pub fn invalid(pattern: &str, error: &glob::PatternError) -> SourceError {
    SourceError::new(format!("source.path: `{pattern}` is not a valid pattern: {}", error.msg))
        .hint("`[` begins a set of characters such as [0-9], and as a character is written [[]; `**` stands alone between two `/`")
}

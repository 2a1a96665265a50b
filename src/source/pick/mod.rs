//! Which of the files that match are the extract, and whether it may be read. Pure: adapters say what there is, and sleep.
//!
//! In: a [`Choice`] of the job and what a look at the place has found ([`Candidate`]s), here or at a distance. Out: [`Decided`].
//!
//! Always holds:
//! - With `pick = "all"` every file that matches is read or the extract is an error: one without its done marker is not left out.
//!   With `pick = "latest"`, what is not marked as done is passed over.
//! - The latest is a whole extract: where the pattern's folders have wildcards, a folder with all its files; else one file; with
//!   partition columns, all files of the latest values.
//! - Files are in the order of their names.
//!
//! - How old a file is, is told by the clock that its time is from, as far as the place shows it: whose clock is wrong does not matter.
//!
//! Deliberately absent: any file system, any clock.

pub mod hive;
mod latest;
mod settle;
pub mod walk;

pub use settle::{Clocks, settle};

use super::SourceError;
use crate::job::spec::Choice;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A file, as a look at its place has found it. Two looks that find the same are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its path below the place's root, by `/`.
    pub name: String,
    /// Bytes.
    pub length: u64,
    /// When it was last changed; `None` where the place does not say.
    pub modified: Option<DateTime<Utc>>,
    /// What changes with its content, such as an ETag.
    pub tag: Option<String>,
}

/// A file that matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The file.
    pub file: Found,
    /// Whether it is complete.
    pub marked: Marked,
}

/// What a file's marker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// It is there, or none is asked for.
    Done,
    /// It is not there.
    Missing,
    /// It is older than the file: it vouches for the one before.
    Older,
}

/// What is read tonight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// At least one, by name.
    pub files: Vec<Found>,
    /// Why the run should be held; empty: it may go on.
    pub held: Vec<String>,
}

/// Decides. `pattern`: the path as written, whose folders may have wildcards. `look` finds what matches. `waits`: for files to settle; else they
/// are taken as they are.
///
/// # Errors
/// Nothing that matches is complete; files that do not settle; a time that is needed and not known; whatever `look` says.
pub fn decide(
    choice: &Choice,
    pattern: &str,
    look: &mut dyn FnMut() -> Result<Vec<Candidate>, SourceError>,
    clocks: &dyn Clocks,
    waits: bool,
) -> Result<Decided, SourceError> {
    let mut choose = || latest::choose(choice, pattern, look()?);
    let files = match choice.settled.filter(|_| waits) {
        Some(settled) => settle(&mut choose, settled, clocks)?,
        None => choose()?,
    };
    // By the clock that the files' times are from, which may be wrong, if it is known.
    let held = stale(choice, &files, clocks.place().unwrap_or_else(|| clocks.run()))?;
    Ok(Decided { files, held: held.into_iter().collect() })
}

/// Those of the files that match which would be read now, without waiting for them to settle.
///
/// # Errors
/// None of them is complete; a time that is needed and not known.
pub fn now(choice: &Choice, pattern: &str, candidates: Vec<Candidate>) -> Result<Vec<Found>, SourceError> {
    latest::choose(choice, pattern, candidates)
}

/// The files that match, each with what its marker says. `list` lists what matches, `look` looks at one file.
///
/// Whoever writes the extract writes the marker last. So where it is there, it is only what is listed after that which is complete: it is listed
/// anew, with the markers that were there before.
///
/// # Errors
/// Whatever `list` and `look` say.
pub fn candidates(
    choice: &Choice,
    list: &mut dyn FnMut() -> Result<Vec<Found>, SourceError>,
    look: &mut dyn FnMut(&str) -> Result<Option<Found>, SourceError>,
) -> Result<Vec<Candidate>, SourceError> {
    let mut listed = || -> Result<Vec<Found>, SourceError> {
        Ok(list()?.into_iter().filter(|file| !is_aside(choice, &file.name)).collect())
    };
    let mut files = listed()?;
    let mut markers: BTreeMap<String, Option<Found>> = BTreeMap::new();
    for marker in files.iter().filter_map(|file| marker(choice, &file.name)) {
        if let Entry::Vacant(place) = markers.entry(marker) {
            let found = look(place.key())?;
            place.insert(found);
        }
    }
    if markers.values().any(Option::is_some) {
        files = listed()?;
        // A marker for each file says nothing of others, so that those of files that have come meanwhile may be looked for now. One for a
        // whole folder that has come meanwhile is seen by the next run.
        let own = choice.done_marker.as_ref().is_some_and(|marker| marker.contains("{name}"));
        for marker in files.iter().filter(|_| own).filter_map(|file| marker(choice, &file.name)) {
            if let Entry::Vacant(place) = markers.entry(marker) {
                let found = look(place.key())?;
                place.insert(found);
            }
        }
    }
    let marked = |file: &Found| match marker(choice, &file.name) {
        None => Marked::Done,
        Some(marker) => match markers.get(&marker).and_then(Option::as_ref) {
            None => Marked::Missing,
            Some(marker) if is_older(marker, file) => Marked::Older,
            Some(_) => Marked::Done,
        },
    };
    Ok(files.into_iter().map(|file| Candidate { marked: marked(&file), file }).collect())
}

/// In whole seconds: a list may say more than a look.
fn is_older(marker: &Found, file: &Found) -> bool {
    let times = marker.modified.zip(file.modified);
    times.is_some_and(|(marker, file)| marker.timestamp() < file.timestamp())
}

/// The marker that has to be there before this file is read; `None`: none is asked for.
fn marker(choice: &Choice, name: &str) -> Option<String> {
    let marker = choice.done_marker.as_ref()?;
    let (folder, file) = name.rsplit_once('/').map_or(("", name), |(folder, file)| (folder, file));
    let marker = marker.replace("{name}", file);
    Some(if name.contains('/') { format!("{folder}/{marker}") } else { marker })
}

/// Whether a file is such a marker itself, or in a partitioned folder something that is none of its data.
fn is_aside(choice: &Choice, name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let is_marker = choice.done_marker.as_ref().is_some_and(|marker| match marker.split_once("{name}") {
        Some((before, after)) => {
            file.len() > before.len() + after.len() && file.starts_with(before) && file.ends_with(after)
        }
        None => name == marker || name.ends_with(&format!("/{marker}")),
    });
    is_marker || (choice.hive && file.starts_with('_'))
}

/// Why the extract is too old, if it is.
fn stale(choice: &Choice, files: &[Found], at: DateTime<Utc>) -> Result<Option<String>, SourceError> {
    let Some(limit) = choice.max_age else { return Ok(None) };
    let newest = files.iter().filter_map(|file| Some((file.modified?, &file.name))).max();
    let Some((modified, name)) = newest else {
        let what = files.first().map_or("the extract", |file| &file.name);
        return Err(SourceError::new(format!("source.max_age: it is not known when {what} was written"))
            .hint("the server does not say; take `max_age` out"));
    };
    let age = at.signed_duration_since(modified);
    let limit_delta = TimeDelta::from_std(limit).unwrap_or(TimeDelta::MAX);
    let written = modified.to_rfc3339_opts(SecondsFormat::Secs, true);
    Ok((age > limit_delta).then(|| {
        let limit = words(limit_delta);
        format!(
            "the extract is {} old, more than source.max_age allows ({limit}): {name} was written at {written}",
            words(age)
        )
    }))
}

/// A time in words: its largest unit, and the next one where that tells more.
fn words(time: TimeDelta) -> String {
    let unit = |count: i64, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let (days, hours, minutes) = (time.num_days(), time.num_hours(), time.num_minutes());
    match () {
        () if days >= 3 => unit(days, "day"),
        () if hours >= 3 => unit(hours, "hour"),
        () if minutes >= 1 => unit(minutes, "minute"),
        () => unit(time.num_seconds(), "second"),
    }
}

#[cfg(test)]
mod tests;

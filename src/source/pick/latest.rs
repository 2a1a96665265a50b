//! All that match, or the latest of them.

use super::{Candidate, Found, Marked, hive};
use crate::job::spec::{Choice, Latest};
use crate::source::SourceError;
use chrono::{DateTime, Utc};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// So many names stand in a message.
const SHOWN: usize = 5;

/// The files to read, by name; at least one.
pub(super) fn choose(choice: &Choice, pattern: &str, found: Vec<Candidate>) -> Result<Vec<Found>, SourceError> {
    let mut files: Vec<Found> = match &choice.latest {
        None => all(choice, found)?,
        Some(by) => latest(choice, by, pattern, found)?,
    };
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn all(choice: &Choice, found: Vec<Candidate>) -> Result<Vec<Found>, SourceError> {
    let open: Vec<&Candidate> = found.iter().filter(|one| one.marked != Marked::Done).collect();
    match open.is_empty() {
        true => Ok(found.into_iter().map(|one| one.file).collect()),
        false => Err(not_done(choice, &open)),
    }
}

fn not_done(choice: &Choice, open: &[&Candidate]) -> SourceError {
    let marker = choice.done_marker.as_deref().unwrap_or_default();
    let of = |marked: Marked| -> Vec<&str> {
        open.iter().filter(|one| one.marked == marked).map(|one| one.file.name.as_str()).collect()
    };
    let (missing, older) = (of(Marked::Missing), of(Marked::Older));
    let (names, what) = match missing.is_empty() {
        false => (missing, format!("there is no done marker `{marker}` for")),
        true => (older, format!("the done marker `{marker}` was written before")),
    };
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    SourceError::new(format!("the extract is not complete: {what} {shown}{more}")).hint(
        "whoever writes the extract writes the marker last; run again when it is there, or take source.done_marker out",
    )
}

/// What makes one extract later than another.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    values: Vec<Option<Natural>>,
    modified: Option<DateTime<Utc>>,
    name: Natural,
}

fn latest(choice: &Choice, by: &Latest, pattern: &str, found: Vec<Candidate>) -> Result<Vec<Found>, SourceError> {
    let mut extracts: BTreeMap<Vec<Option<String>>, Vec<Candidate>> = BTreeMap::new();
    for one in found {
        extracts.entry(extract(by, pattern, &one.file.name)?).or_default().push(one);
    }
    if *by == Latest::Modified {
        has_times(&extracts)?;
    }
    let all = extracts.clone();
    let done = extracts.into_iter().filter(|(_, files)| files.iter().all(|one| one.marked == Marked::Done));
    let latest = done.max_by(|a, b| rank(by, a).cmp(&rank(by, b)));
    match latest {
        Some((_, files)) => Ok(files.into_iter().map(|one| one.file).collect()),
        None => {
            Err(not_done(choice, &all.values().flatten().filter(|one| one.marked != Marked::Done).collect::<Vec<_>>()))
        }
    }
}

/// By times that are not known, any extract could be the latest.
fn has_times(extracts: &BTreeMap<Vec<Option<String>>, Vec<Candidate>>) -> Result<(), SourceError> {
    let done = || extracts.values().filter(|files| files.iter().all(|one| one.marked == Marked::Done));
    let unknown = done().flatten().find(|one| one.file.modified.is_none());
    match unknown.filter(|_| done().count() > 1) {
        None => Ok(()),
        Some(one) => Err(SourceError::new(format!(
            "source.latest_by: it is not known when {} was changed, so that the latest of several extracts cannot be told",
            one.file.name
        ))
        .hint("the server does not say; write `latest_by = \"name\"` if the names have dates or numbers in them")),
    }
}

/// What files of one extract have in common.
fn extract(by: &Latest, pattern: &str, name: &str) -> Result<Vec<Option<String>>, SourceError> {
    let folder = |path: &str| path.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
    let Latest::Partition(wanted) = by else {
        let whole_folders = folder(pattern).contains(['*', '?', '[']);
        return Ok(vec![Some(if whole_folders { folder(name) } else { name.to_owned() })]);
    };
    let columns = hive::columns(name);
    if wanted.is_empty() {
        return of_time(columns);
    }
    let value = |column: &String| {
        let found = columns.iter().find(|(name, _)| name == column).map(|(_, value)| value.clone());
        found.ok_or_else(|| {
            let there: Vec<String> = columns.iter().map(|(name, _)| format!("`{name}`")).collect();
            SourceError::new(format!("source.latest_by: {name} stands in no folder of a partition column `{column}`"))
                .hint(format!(
                    "its folders have {}",
                    if there.is_empty() { "none".to_owned() } else { there.join(", ") }
                ))
        })
    };
    wanted.iter().map(value).collect()
}

/// The values of all partition columns, if it is clear that they say when: one column, or such as `year`, `month`, `day`. Of `region` and `dt` together
/// the latest would be one region's.
fn of_time(columns: Vec<hive::Partition>) -> Result<Vec<Option<String>>, SourceError> {
    const TIMES: [&str; 16] = [
        "year", "yyyy", "y", "quarter", "month", "mon", "mm", "m", "week", "day", "dd", "d", "hour", "hh", "h",
        "minute",
    ];
    const DATES: [&str; 5] = ["date", "dt", "ds", "time", "ts"];
    let is_time = |name: &str| TIMES.contains(&name) || DATES.contains(&name);
    if columns.len() > 1 && !columns.iter().all(|(name, _)| is_time(&name.to_ascii_lowercase())) {
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let error = SourceError::new(format!(
            "source.pick: it is not clear by which of the partition columns {} an extract is the latest",
            names.join(", ")
        ));
        return Err(error.hint(format!(
            "say it: `latest_by = \"{}\"`, or a list of columns; the files of its latest value are the extract, whatever the others are",
            names.iter().rev().find(|name| is_time(name)).or(names.last()).copied().unwrap_or_default()
        )));
    }
    Ok(columns.into_iter().map(|(_, value)| value).collect())
}

fn rank(by: &Latest, (values, files): &(Vec<Option<String>>, Vec<Candidate>)) -> Rank {
    let name = files.iter().map(|one| Natural(one.file.name.clone())).max().unwrap_or(Natural(String::new()));
    let modified = files.iter().filter_map(|one| one.file.modified).max();
    match by {
        Latest::Modified => Rank { values: Vec::new(), modified, name },
        Latest::Name => Rank { values: Vec::new(), modified: None, name },
        Latest::Partition(_) => {
            let values = values.iter().map(|value| value.clone().map(Natural)).collect();
            Rank { values, modified, name }
        }
    }
}

/// Text in which numbers count as numbers: `orgs_9` comes before `orgs_10`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Natural(String);

impl Ord for Natural {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut a, mut b) = (self.0.as_str(), other.0.as_str());
        while !a.is_empty() && !b.is_empty() {
            let (left, right) = (run(a), run(b));
            let number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
            let order = match number(left) && number(right) {
                true => {
                    let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
                    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
                }
                false => left.cmp(right),
            };
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (&a[left.len()..], &b[right.len()..]);
        }
        // Leading zeros and what is left decide, so that no two names are equal.
        a.len().cmp(&b.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Natural {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The digits, or what is none, that a text begins with.
fn run(text: &str) -> &str {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    &text[..end]
}

//! What must hold of everything that was received, applied and recorded over the nights of an instance.

use super::instance::{Era, Kind};
use super::source::Org;
use crate::faulty::Entry;
use nightmark::receipt::Outcome;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What was counted on the way.
#[derive(Debug, Default)]
pub struct Checked {
    requests: usize,
    versions: usize,
    /// Requests beyond the first of their version whose earlier one had its success written.
    again_after_success: usize,
    acknowledged: usize,
}

impl std::fmt::Display for Checked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Checked { requests, versions, again_after_success, acknowledged } = self;
        write!(
            f,
            "{requests} requests for {versions} versions, {acknowledged} recorded as acknowledged; {again_after_success} sent \
             again although a success had been written, because the kill came before its receipt"
        )
    }
}

/// Panics at the first thing that does not hold.
pub fn check(kind: Kind, entries: &[Entry], state: &BTreeMap<String, Value>, eras: &[Era]) -> Checked {
    state_is_that_of_the_source(kind, state, eras);
    for entry in entries {
        carries_what_the_source_had(kind, entry, &era(eras, entry).source);
    }
    let mut by_org: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    let mut by_id: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        by_org.entry(&entry.org).or_default().push(entry);
        by_id.entry(&entry.id).or_default().push(entry);
    }
    by_org.values().for_each(|of_org| one_at_a_time(of_org));
    by_id.values().for_each(|of_id| one_version_per_id(of_id));
    let acknowledged = receipts_are_true(&by_id, eras);
    by_org.values().for_each(|of_org| repeats_keep_their_id(of_org, eras, &acknowledged));
    let again = |of_id: &&Vec<&Entry>| of_id.iter().rev().skip(1).any(|e| succeeded(e));
    Checked {
        requests: entries.len(),
        versions: by_id.len(),
        again_after_success: by_id.values().filter(again).count(),
        acknowledged: acknowledged.len(),
    }
}

/// Eras are counted from 1.
fn era<'a>(eras: &'a [Era], entry: &Entry) -> &'a Era {
    &eras[entry.era - 1]
}

fn succeeded(entry: &Entry) -> bool {
    // Some bad answers have a status of 200 and take it back.
    entry.applied && entry.answered.is_some_and(|status| (200..300).contains(&status))
}

fn state_is_that_of_the_source(kind: Kind, state: &BTreeMap<String, Value>, eras: &[Era]) {
    let source = &eras.last().unwrap().source;
    for (id, org) in source {
        let there = state.get(id).map(Org::version_of);
        assert_eq!(there, Some(org.version()), "{id} at the end");
    }
    let gone = state.keys().filter(|id| !source.contains_key(*id)).count();
    assert!(!kind.removals || gone == 0, "{gone} orgs are gone from the source and not from the destination");
}

fn carries_what_the_source_had(kind: Kind, entry: &Entry, source: &super::source::Night) {
    let expected = source.get(&entry.org).map(|org| org.body(&entry.org));
    let removal = entry.operation == "removed";
    assert!(removal == expected.is_none() && (kind.removals || !removal), "{entry:?}");
    // Of what did not arrive whole there is no body to look at.
    if !removal && !entry.body.is_null() {
        assert_eq!(Some(&entry.body), expected.as_ref(), "{entry:?}");
    }
    assert_eq!(entry.id, entry.idempotency_key);
}

/// The next request of an org begins only when the one before it has ended, unless the process was killed meanwhile: and
/// then everything that it had sent has arrived before the next process began.
fn one_at_a_time(of_org: &[&Entry]) {
    for pair in of_org.windows(2) {
        let ended = pair[0].ended.expect("no connection is open any more");
        assert!(ended < pair[1].began, "two requests of one org at once: {pair:?}");
    }
}

fn one_version_per_id(of_id: &[&Entry]) {
    let whole: Vec<&&Entry> = of_id.iter().filter(|e| !e.body.is_null()).collect();
    for pair in whole.windows(2) {
        let (one, other) = (pair[0], pair[1]);
        assert_eq!((&one.org, &one.body), (&other.org, &other.body), "one id: {one:?} {other:?}");
    }
}

/// Returns the ids that are recorded as acknowledged, each with the first era after which it was.
fn receipts_are_true<'a>(by_id: &BTreeMap<&str, Vec<&Entry>>, eras: &'a [Era]) -> BTreeMap<&'a str, usize> {
    let mut acknowledged = BTreeMap::new();
    let mut heard: BTreeMap<usize, Vec<&Entry>> = BTreeMap::new();
    for entry in by_id.values().flatten().filter(|entry| succeeded(entry)) {
        heard.entry(entry.era).or_default().push(entry);
    }
    for (number, era) in (1..).zip(eras) {
        for (id, outcome) in &era.recorded {
            // What may have been in flight when a process was killed may not have left either.
            let sent = by_id.get(id.as_str()).into_iter().flatten();
            let sent: Vec<&&Entry> = sent.filter(|e| e.era <= number).collect();
            match outcome {
                Outcome::Acknowledged => {
                    assert!(sent.iter().any(|e| succeeded(e)), "acknowledged and never applied: {sent:?}");
                    acknowledged.entry(id.as_str()).or_insert(number);
                }
                // It speaks of the last run that sent it; earlier ones may have had another outcome.
                Outcome::Refused => {
                    assert!(!sent.is_empty(), "refused and never sent: {id}");
                    let last = sent.iter().map(|e| e.era).max();
                    let applied = sent.iter().any(|e| Some(e.era) == last && e.applied);
                    assert!(!applied, "refused and yet applied: {sent:?}");
                }
                Outcome::Unknown => {}
            }
        }
        if era.ended {
            for entry in heard.get(&number).into_iter().flatten() {
                assert_eq!(era.recorded.get(&entry.id), Some(&Outcome::Acknowledged), "not recorded: {entry:?}");
            }
        }
    }
    for (id, after) in &acknowledged {
        let again = by_id[id].iter().find(|e| e.era > *after);
        assert!(again.is_none(), "recorded as acknowledged after era {after}, and sent again: {again:?}");
    }
    acknowledged
}

/// Of the id, the part that is the version's.
fn version_id(entry: &Entry) -> &str {
    entry.id.match_indices('_').nth(1).map_or(&*entry.id, |(at, _)| &entry.id[..at])
}

/// Two requests in a row that carry the same version are the same version, unless the first was acknowledged or the source
/// had another one in between.
fn repeats_keep_their_id(of_org: &[&Entry], eras: &[Era], acknowledged: &BTreeMap<&str, usize>) {
    for pair in of_org.windows(2) {
        let (first, second) = (pair[0], pair[1]);
        let version = |number: usize| eras[number - 1].source.get(&first.org);
        let between = first.era..=second.era;
        let versions: BTreeSet<_> = between.map(|number| version(number).map(|org| org.version())).collect();
        let recorded = acknowledged.get(first.id.as_str()).is_some_and(|after| *after < second.era);
        if versions.len() == 1 {
            assert!(!recorded, "acknowledged, unchanged and sent again: {pair:?}");
            assert_eq!(version_id(first), version_id(second), "a repeat of the same version: {pair:?}");
            let same_body = version(first.era) == version(second.era);
            assert_eq!(first.id == second.id, same_body, "an id for each body: {pair:?}");
        }
        if version(first.era).map(|org| org.version()) != version(second.era).map(|org| org.version()) {
            assert_ne!(version_id(first), version_id(second), "another version: {pair:?}");
        }
    }
}

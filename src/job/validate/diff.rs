//! `[diff]`

use super::columns::{self, Lists};
use crate::job::document::Document;
use crate::job::problem::Fault;
use crate::job::raw::{OneOrMany, RawBadKey, RawBaseline, RawDiff, RawTrigger};
use crate::job::spec::{Baseline, Diff, DiffLines, Triggers};

pub(super) fn check(doc: &mut Document<'_>, raw: RawDiff) -> Option<Diff> {
    let (key, single) = match raw.key {
        Some(OneOrMany::One(column)) => (vec![column], true),
        Some(OneOrMany::Many(columns)) => (columns, false),
        None => (Vec::new(), false),
    };
    let key_path = |i: usize| if single { "diff.key".to_owned() } else { format!("diff.key[{i}]") };
    let mut seen: Vec<(&str, &str)> = Vec::new();
    let lists =
        [("key", key.as_slice()), ("compare", raw.compare.as_deref().unwrap_or_default()), ("ignore", &raw.ignore)];
    for (list, columns) in lists {
        for (i, column) in columns.iter().enumerate() {
            let path = if list == "key" { key_path(i) } else { format!("diff.{list}[{i}]") };
            if let Some(fault) = clash(list, column, &seen) {
                doc.report(&path, fault);
            }
            seen.push((column, list));
        }
    }
    let columns =
        columns::check(doc, raw.columns, &Lists { key: &key, compare: raw.compare.as_deref(), ignore: &raw.ignore });
    let on = triggers(doc, &raw.on);
    if key.is_empty() {
        return None;
    }
    Some(Diff {
        key,
        compare: raw.compare,
        ignore: raw.ignore,
        columns,
        on,
        first_run: baseline(raw.first_run),
        on_new_column: baseline(raw.on_new_column),
        quarantine_bad_keys: raw.on_bad_key == RawBadKey::Quarantine,
        lines: lines(doc),
    })
}

fn lines(doc: &Document<'_>) -> DiffLines {
    DiffLines { table: doc.line("diff"), compare: doc.line("diff.compare"), ignore: doc.line("diff.ignore") }
}

/// A column belongs in one list, once.
fn clash(list: &str, column: &str, seen: &[(&str, &str)]) -> Option<Fault> {
    if column.is_empty() {
        return Some(Fault::new("a column has a name"));
    }
    let (_, earlier) = seen.iter().find(|(name, _)| *name == column)?;
    Some(match (*earlier, list) {
        (earlier, list) if earlier == list => Fault::new(format!("`{column}` is listed twice")),
        ("key", list) => Fault::new(format!("`{column}` is a key column"))
            .hint(format!("a key is never compared: remove it from `{list}`")),
        (earlier, _) => Fault::new(format!("`{column}` stands in `{earlier}` as well"))
            .hint("a column is either compared or ignored; one in neither list can still be sent"),
    })
}

fn triggers(doc: &mut Document<'_>, on: &[RawTrigger]) -> Triggers {
    for (i, trigger) in on.iter().enumerate() {
        if on[..i].contains(trigger) {
            doc.report(&format!("diff.on[{i}]"), Fault::new("is listed twice"));
        }
    }
    Triggers {
        added: on.contains(&RawTrigger::Added),
        changed: on.contains(&RawTrigger::Changed),
        removed: on.contains(&RawTrigger::Removed),
    }
}

fn baseline(raw: RawBaseline) -> Baseline {
    match raw {
        RawBaseline::Send => Baseline::Send,
        RawBaseline::Adopt => Baseline::Adopt,
    }
}

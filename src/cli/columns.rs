//! Which columns make orgs change, and which of them do so together, as text and as JSON.

use super::report::{grouped, plural};
use crate::diff::ColumnStats;
use serde_json::{Map, Value, json};

/// Pairs of columns that are told as text.
const PAIRS: usize = 3;

/// Pairs of columns with the changed orgs that differ in both; most first.
fn together<'n>(names: &[&'n str], stats: &ColumnStats) -> Vec<([&'n str; 2], u64)> {
    let mut pairs: Vec<_> = stats.pairs.iter().collect();
    pairs.sort_by_key(|(pair, orgs)| (std::cmp::Reverse(**orgs), **pair));
    let name = |column: usize| names.get(column).copied().unwrap_or_default();
    pairs.into_iter().map(|((a, b), orgs)| ([name(*a), name(*b)], *orgs)).collect()
}

/// The lines of a report; none if nothing has changed.
pub fn lines(names: &[&str], stats: &ColumnStats) -> Vec<String> {
    let columns = stats.by_column(names);
    if columns.is_empty() {
        return Vec::new();
    }
    let orgs = plural(stats.rows, "changed org");
    let counted = columns.iter().map(|(name, changed, _)| format!("{name} {}", grouped(*changed)));
    let mut lines = vec![format!("changed columns: {}", counted.collect::<Vec<_>>().join(", "))];
    let pairs = together(names, stats);
    // With a single changed org every pair of its columns would be told.
    let pairs: Vec<String> = pairs
        .iter()
        .filter(|(_, orgs)| *orgs > 1)
        .take(PAIRS)
        .map(|([a, b], orgs)| format!("{a} and {b} in {}", plural(*orgs, "org")))
        .collect();
    if !pairs.is_empty() {
        lines.push(format!("changed together: {}", pairs.join(", ")));
    }
    let alone = columns.iter().filter(|(_, _, alone)| *alone > 0 && stats.rows > 1);
    lines.extend(alone.map(|(name, _, alone)| format!("{} of {orgs} differ in {name} alone", grouped(*alone))));
    lines
}

/// The object `columns` of `--json`.
pub fn object(names: &[&str], stats: &ColumnStats) -> Value {
    let columns = stats.by_column(names);
    let changed: Map<String, Value> = columns.iter().map(|(name, n, _)| ((*name).to_owned(), json!(n))).collect();
    let alone = columns.iter().filter(|(_, _, alone)| *alone > 0);
    let alone: Map<String, Value> = alone.map(|(name, _, n)| ((*name).to_owned(), json!(n))).collect();
    let together =
        together(names, stats).into_iter().map(|(columns, orgs)| json!({ "columns": columns, "orgs": orgs }));
    json!({ "changed": changed, "alone": alone, "together": together.collect::<Value>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_alone_and_together() {
        let mut stats = ColumnStats::new(3);
        for differing in [&[0][..], &[0, 1], &[0, 1], &[1], &[2], &[]] {
            stats.add(differing);
        }
        let names = ["seen_at", "plan", "mrr"];
        assert_eq!(
            lines(&names, &stats),
            [
                "changed columns: seen_at 3, plan 3, mrr 1",
                "changed together: seen_at and plan in 2 orgs",
                "1 of 6 changed orgs differ in seen_at alone",
                "1 of 6 changed orgs differ in plan alone",
                "1 of 6 changed orgs differ in mrr alone",
            ]
        );
        assert_eq!(
            object(&names, &stats).to_string(),
            r#"{"changed":{"seen_at":3,"plan":3,"mrr":1},"alone":{"seen_at":1,"plan":1,"mrr":1},"together":[{"columns":["seen_at","plan"],"orgs":2}]}"#
        );
        assert!(lines(&names, &ColumnStats::new(3)).is_empty());
    }
}

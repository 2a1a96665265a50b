//! What `run` and `preview` print, as text and as JSON.

use super::table::shown;
use crate::normalise::Reject;
use crate::pipeline::{PipelineError, Planned, ShownChange};
use crate::receipt::Counts;
use crate::snapshot::ChangeBatch;
use crate::template::RenderError;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Numbers with thousands separators, for people.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 org`, `2 orgs`
pub fn plural(number: u64, one: &str) -> String {
    format!("{} {one}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Text from outside for a line of a report: no control characters, at most 200 characters.
pub fn clipped(text: &str) -> String {
    let text = shown(text);
    match text.char_indices().nth(200) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

/// The object that `run --json` and `preview --json` share.
pub fn counts_json(run: Option<&str>, job: &str, counts: &Counts, duration_ms: u64) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("run".into(), json!(run));
    object.insert("job".into(), json!(job));
    if let Ok(Value::Object(counts)) = serde_json::to_value(counts) {
        object.extend(counts);
    }
    object.insert("duration_ms".into(), json!(duration_ms));
    object
}

/// What was found, in one line.
pub fn found_line(job: &str, counts: &Counts) -> String {
    let mut line = format!(
        "{job}: {} extracted: {} added, {} changed, {} removed, {} unchanged",
        plural(counts.extracted, "org"),
        grouped(counts.added),
        grouped(counts.changed),
        grouped(counts.removed),
        grouped(counts.unchanged)
    );
    if counts.rejected > 0 {
        let _ = write!(line, ", {} rejected", grouped(counts.rejected));
    }
    line
}

/// What should be said about a plan besides its counts: rejects, quarantined keys, columns that change too much.
pub fn notes(planned: &Planned) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(planned.rejects.listed().iter().map(reject_line));
    let listed: std::collections::BTreeSet<u64> = planned.rejects.listed().iter().map(|reject| reject.row).collect();
    let more = planned.rejects.count().saturating_sub(listed.len() as u64);
    if more > 0 {
        notes.push(format!("and {}", plural(more, "more rejected row")));
    }
    notes.extend(planned.bad_keys.listed.iter().map(|bad| format!("left out: {bad}")));
    if planned.suppressed > 0 {
        notes.push(match planned.first_run && planned.changes.is_empty() {
            true => format!("{} taken as the baseline, not sent (diff.first_run)", plural(planned.suppressed, "org")),
            false => format!(
                "{} differ and are not sent, because diff.on leaves them out",
                plural(planned.suppressed, "org")
            ),
        });
    }
    notes.extend(planned.notes());
    notes.extend(super::volatile::notes(planned));
    notes.iter().map(|note| shown(note)).collect()
}

/// One rejected row.
pub fn reject_line(reject: &Reject) -> String {
    format!(
        "row {} is rejected: {} = `{}` {}; its org keeps its place",
        reject.row + 1,
        reject.column,
        reject.value,
        reject.reason
    )
}

/// The first changes, at most `limit`.
///
/// # Errors
/// A change set that cannot be read.
pub fn first_changes(
    mut batches: impl Iterator<Item = Result<ChangeBatch, PipelineError>>,
    limit: usize,
) -> Result<Vec<ChangeBatch>, PipelineError> {
    let (mut first, mut left) = (Vec::new(), limit);
    while left > 0
        && let Some(batch) = batches.next()
    {
        let batch = batch?.first_rows(left);
        left -= batch.len();
        first.push(batch);
    }
    Ok(first)
}

/// A change for `--json`: `key`, `op`, `before`, `after`, `changed`, `body`.
pub fn change_json(body: Result<String, RenderError>, batch: &ChangeBatch, at: usize) -> Value {
    json!(ShownChange::new(body, batch, at))
}

/// Whether an error is a hold rather than a failure, and why.
pub fn held_by(job: &str, error: &PipelineError) -> Option<Vec<String>> {
    match error {
        PipelineError::Drift(drift) => Some(crate::pipeline::drift_reasons(job, drift)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(super::grouped(number), text);
        }
    }
}

//! What a run asked for that reads only what has changed, as lines.

use crate::cli::table::shown;
use crate::pipeline::Since;
use serde_json::Value;

/// `report`: as [`RunRecord::report`](crate::store::RunRecord::report) has it. One of a run that read all orgs, or of another version, gives no lines.
pub fn lines(report: &Value) -> Vec<String> {
    let since = report.get("since").cloned().and_then(|since| serde_json::from_value::<Since>(since).ok());
    let notes = since.map(|since| since.notes()).unwrap_or_default();
    notes.iter().zip(["Extract    ", "           "]).map(|(note, label)| format!("{label}{}", shown(note))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_asked_for_and_why() {
        assert_eq!(lines(&json!({ "limits": null })), Vec::<String>::new());
        assert_eq!(lines(&json!({ "since": 7 })), Vec::<String>::new());
        let quiet = json!({ "since": { "last_success": "2026-01-14T02:00:00Z", "standstill": null } });
        assert_eq!(
            lines(&quiet),
            [
                "Extract    the extract has orgs that have changed since {{last_success}} = 2026-01-14T02:00:00Z (--full reads all)"
            ]
        );
        let still = json!({ "days": 4, "why": ["so\u{1b}"], "what_to_do": ["this"] });
        let lines = lines(&json!({ "since": { "last_success": "2026-01-14T02:00:00Z", "standstill": still } }));
        assert_eq!(lines.len(), 2);
        assert!(lines[1].contains("4 days") && lines[1].ends_with("because so\\u{1b}; what to do: this"), "{lines:?}");
    }
}

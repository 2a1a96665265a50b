//! The verdict in words.

use super::columns::{ExplainedColumn, columns};
use super::search::{Hit, Tonight};
use super::{Asked, Explained, Extract, Fate, Known, PlanInput, Side};
use crate::diff::{Flags, Operation, Origin, Verdict};
use crate::receipt::Progress;
use crate::snapshot::Manifest;

/// Everything that is known about one org.
pub(super) struct Org<'a> {
    pub(super) input: &'a PlanInput,
    pub(super) extract: &'a Extract,
    pub(super) manifest: Option<&'a Manifest>,
    pub(super) side: &'a Side<'a>,
    pub(super) known: Known,
    pub(super) tonight: Tonight,
    pub(super) asked: Asked,
    pub(super) progress: &'a Progress,
}

impl Org<'_> {
    /// The compared columns that are not known of the org.
    pub(super) fn unknown(&self) -> &[String] {
        self.side.unknown.names(self.known.flags.map_or(0, Flags::basis))
    }

    /// Whether the destination has the org, or may have it.
    fn may_be_there(&self) -> bool {
        self.known.values.is_some() || self.known.has(Flags::UNCERTAIN)
    }
}

pub(super) fn explained(org: &Org<'_>) -> Explained {
    let columns = columns(org);
    let (fate, mut why) = match org.tonight.hits.as_slice() {
        [] => missing(org),
        [hit] => present(org, hit, &columns),
        several => duplicate(org, several),
    };
    why.extend(waiting(org, fate));
    Explained {
        job: org.input.job.name.clone(),
        key: org.asked.key.clone(),
        rows: org.tonight.hits.iter().map(|hit| hit.row + 1).collect(),
        columns,
        fate,
        why: why.join("; "),
        waiting: org.known.webhook_id(),
        notes: notes(org),
    }
}

fn said(fate: Fate, why: impl Into<String>) -> (Fate, Vec<String>) {
    (fate, vec![why.into()])
}

fn present(org: &Org<'_>, hit: &Hit, columns: &[ExplainedColumn]) -> (Fate, Vec<String>) {
    let differing: Vec<&str> = columns.iter().filter(|c| c.differs == Some(true)).map(|c| c.name.as_str()).collect();
    let list = differing.join(", ");
    match hit.verdict {
        Verdict::Unchanged => said(Fate::NotSent, unchanged(columns)),
        Verdict::Send(Operation::Changed) => changed(org, &differing, columns),
        Verdict::Send(operation) => {
            let why = match org.known.has(Flags::UNCERTAIN) {
                true => "the destination is not known to have the org, though an earlier send may have been applied",
                false => "the destination does not have the org",
            };
            said(Fate::Sent(operation), why)
        }
        Verdict::Keep if org.known.values.is_none() => {
            said(Fate::NotSent, "diff.on leaves `added` out, though an earlier send may have been applied")
        }
        Verdict::Keep => said(Fate::NotSent, format!("{list} differ, and diff.on leaves `changed` out").trim_start()),
        Verdict::Adopt if org.manifest.is_none() => {
            said(Fate::NotSent, "this is the first run, which takes the extract as known (diff.first_run)")
        }
        Verdict::Adopt => said(Fate::NotSent, "the destination does not have the org, and diff.on leaves `added` out"),
        Verdict::Rejected => said(
            Fate::LeftOut,
            format!("row {} is rejected: {}; the org keeps its place", hit.row + 1, hit.misfits.join(", ")),
        ),
        Verdict::Keyless => said(Fate::LeftOut, "its row has no usable key"),
    }
}

/// `differing`: the columns in which it counts.
fn changed(org: &Org<'_>, differing: &[&str], columns: &[ExplainedColumn]) -> (Fate, Vec<String>) {
    let differ = format!("{} {}", differing.join(", "), if differing.len() == 1 { "differs" } else { "differ" });
    let sent = |why: String| said(Fate::Sent(Operation::Changed), why);
    let known = match differing.is_empty() {
        true => "nothing differs from what was acknowledged".to_owned(),
        false => format!("{differ} from what was acknowledged"),
    };
    match org.known.has(Flags::UNCERTAIN) {
        true => sent(format!("{known}, and a later send may have been applied")),
        // The fingerprints differ, and no value does.
        false if differing.is_empty() && columns.iter().any(|c| !c.form.is_plain()) => {
            let why = match columns.iter().filter(|c| c.differs == Some(false)).any(|c| c.form.tolerance.is_some()) {
                true => "it differs from what the destination has by no more than the tolerance",
                false => "it differs from what the destination has only in what the form of a column leaves out",
            };
            said(Fate::NotSent, why)
        }
        false => sent(differ),
    }
}

fn unchanged(columns: &[ExplainedColumn]) -> String {
    let remarks = columns.iter().filter(|c| c.differs == Some(false));
    let remarks = remarks.filter_map(|c| Some(format!("{} is {}", c.name, c.remark?)));
    let remarks: Vec<String> = remarks.collect();
    match remarks.is_empty() {
        true => "the destination has it so".to_owned(),
        false => format!("the destination has it so: {}", remarks.join(", ")),
    }
}

fn missing(org: &Org<'_>) -> (Fate, Vec<String>) {
    let on = org.input.job.diff.on;
    match (org.may_be_there(), org.tonight.keyless) {
        (false, _) => said(
            Fate::NotSent,
            "neither the extract nor the destination has an org of this key (a key is compared exactly)",
        ),
        (true, _) if org.extract.partial => said(
            Fate::NotSent,
            "the query gives only orgs that have changed since {{last_success}}, and not this one: it keeps its place",
        ),
        (true, _) if !on.removed => said(
            Fate::NotSent,
            "it is not in the extract, and diff.on leaves `removed` out: it keeps its place, and is compared again when it is back",
        ),
        (true, 0) => said(Fate::Sent(Operation::Removed), "it is not in the extract any more"),
        (true, keyless) => said(
            Fate::NotSent,
            format!("it is not in the extract, but may be behind one of the {keyless} rows without a usable key"),
        ),
    }
}

fn duplicate(org: &Org<'_>, hits: &[Hit]) -> (Fate, Vec<String>) {
    let rows: Vec<String> = hits.iter().take(20).map(|hit| (hit.row + 1).to_string()).collect();
    let why = format!("its key stands in {} rows: {}", hits.len(), rows.join(", "));
    match org.input.job.diff.quarantine_bad_keys {
        true => said(Fate::LeftOut, format!("{why}; the org keeps its place")),
        false => said(
            Fate::Fails,
            format!("{why}; mend the extract or its query, or leave such orgs out (diff.on_bad_key = \"quarantine\")"),
        ),
    }
}

/// What there is to say of a change that is not acknowledged.
fn waiting(org: &Org<'_>, fate: Fate) -> Option<String> {
    let (pending, id) = (org.known.pending?, org.known.webhook_id()?);
    let after = match (fate, org.tonight.hits.as_slice()) {
        (Fate::Sent(Operation::Removed), _) => None,
        (_, [hit]) => Some(hit.print),
        _ => return Some(format!("an earlier change, {id}, waits for acknowledgement")),
    };
    let state = match () {
        () if org.known.has(Flags::UNCERTAIN) => "the outcome of its last send is not known",
        () if matches!(pending.origin, Origin::Before(_)) => "its last change was not acknowledged",
        () => "an earlier change of it waits for its repeat",
    };
    Some(match (fate, pending.after == after) {
        (Fate::Sent(_), true) => {
            format!("{state}, and it leads to the same version, so that it goes out under the same id, {id}")
        }
        (Fate::Sent(_), false) => format!("{state} ({id}); what is sent now takes its place"),
        _ => format!("{state} ({id})"),
    })
}

fn notes(org: &Org<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(manifest) = org.manifest.filter(|m| org.progress.forgotten && m.changes.rows > 0) {
        notes.push(format!(
            "the state store has no record of run {}: its changes count as not acknowledged",
            manifest.run
        ));
    }
    let keyless = org.tonight.keyless;
    if keyless > 0 && !org.input.job.diff.quarantine_bad_keys {
        let rows = if keyless == 1 { "1 row has".to_owned() } else { format!("{keyless} rows have") };
        notes.push(format!(
            "{rows} no usable key, so that the run as a whole would fail (`nightmark preview` names them)"
        ));
    }
    if org.known.has(Flags::GONE) && !org.tonight.hits.is_empty() {
        notes.push("the org was missing from the last extract".to_owned());
    }
    notes
}

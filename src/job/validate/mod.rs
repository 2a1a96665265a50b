//! What a job file means: from the raw form to [`spec::Job`](super::spec::Job), or every problem that it has.
//!
//! Each section is judged by itself, so that a mistake in one does not hide those in another. A rule about something
//! that is missing keeps quiet in a section whose shape is wrong: it may be there under a misspelt name.

mod columns;
mod conforms;
mod destination;
mod diff;
mod payload;
mod source;
mod when;

pub(crate) use source::bucket;

use super::document::Document;
use super::problem::{Fault, Problem};
use super::raw::{RawDestination, RawGuard, RawJobAlerts, RawPayload, RawThreshold};
use super::schema::job_schema;
use super::since::{NOT_GONE, asks_since};
use super::spec::{Alerts, Diff, Guard, Job, Model, Source, Threshold};
use super::structure::Required;
use super::templated::secret_address;
use super::units;
use std::path::Path;
use std::time::Duration;

/// So long a held run can be approved where the job does not say: over a long weekend.
const HOLD_EXPIRES: Duration = Duration::from_secs(7 * 24 * 3600);

/// Reads the text of a job file. `file` is how the file is shown; its stem is the default name. `home` is absolute;
/// relative paths in the job are relative to it. No IO.
///
/// # Errors
/// Every problem of the file, in the file's order.
pub fn parse(text: &str, file: &Path, home: &Path) -> Result<Job, Vec<Problem>> {
    let mut doc = Document::read(file, text, job_schema(), Required::Enforced)?;
    let job = build(&mut doc, home);
    let problems = doc.into_problems();
    match job {
        Some(job) if problems.is_empty() => Ok(job),
        _ => Err(problems),
    }
}

/// `None` only after a report. Every section is looked at before any is given up.
fn build(doc: &mut Document<'_>, home: &Path) -> Option<Job> {
    version(doc);
    let name = name(doc);
    let timezone = when::timezone(doc);
    let schedule = when::check(doc, timezone, name.as_deref());
    let (source, diff) = (doc.take("source"), doc.take("diff"));
    let destination: Option<RawDestination> = doc.take("destination");
    let payload = doc.take("payload");
    let guard: RawGuard = doc.take("guard").unwrap_or_default();
    let guard = self::guard(doc, &guard);
    let alerts: RawJobAlerts = doc.take("alerts").unwrap_or_default();
    let alerts = self::alerts(doc, &alerts);

    let conforms_to = match payload.as_ref().and_then(|raw: &RawPayload| raw.conforms_to.as_ref()) {
        Some(raw) => conforms::check(doc, raw).map(Some),
        None => Some(None),
    };
    let payloads = payload::check(doc, payload.as_ref(), diff.as_ref(), destination.as_ref());
    let source = source.and_then(|raw| source::check(doc, raw, home));
    let destination = destination.and_then(|raw| destination::check(doc, raw, diff.as_ref(), home));
    let diff = diff.and_then(|raw| diff::check(doc, raw));
    not_gone(doc, source.as_ref(), diff.as_ref());
    when::only_of_files(doc, schedule.as_ref().and_then(Option::as_ref), source.as_ref());
    let payloads = payloads?;
    Some(Job {
        name: name?,
        file: doc.file().to_owned(),
        schedule: schedule?,
        timezone: timezone?,
        source: source?,
        diff: diff?,
        destination: destination?,
        payload: payloads.usual,
        payload_of: payloads.own,
        conforms_to: conforms_to?,
        guard: guard?,
        alerts: alerts?,
    })
}

fn version(doc: &mut Document<'_>) {
    let version: Option<u32> = doc.take("version");
    if let Some(other) = version.filter(|version| *version != 1) {
        let fault =
            Fault::new(format!("job files of version {other} are not known")).hint("this Nightmark reads version = 1");
        doc.report("version", fault);
    }
}

fn name(doc: &mut Document<'_>) -> Option<String> {
    let written: Option<String> = doc.take("name");
    let name = match &written {
        Some(name) => name.clone(),
        None if !doc.is_sound("name") => return None,
        None => doc.file().file_stem()?.to_string_lossy().into_owned(),
    };
    let valid =
        (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if valid {
        return Some(name);
    }
    let rule = "1 to 64 letters, digits, `-` and `_`: the name is also a folder's";
    let fault = match written {
        Some(_) => Fault::new(format!("`{name}` is not a job name")).hint(rule),
        None => Fault::new(format!("the file's name `{name}` is not a job name")).hint(format!("set `name`: {rule}")),
    };
    doc.report("name", fault);
    None
}

/// Of an org that a query leaves out because it has not changed, it cannot be said that it is gone.
fn not_gone(doc: &mut Document<'_>, source: Option<&Source>, diff: Option<&Diff>) {
    let Some(Model::Query(query)) = source.and_then(Source::model) else { return };
    if diff.is_some_and(|diff| diff.on.removed) && asks_since(query) {
        doc.report("diff.on", Fault::new(NOT_GONE));
    }
}

fn alerts(doc: &mut Document<'_>, raw: &RawJobAlerts) -> Option<Alerts> {
    let no_success_for = match &raw.no_success_for {
        Some(length) => doc.accept("alerts.no_success_for", units::age(length)).map(Some),
        None => Some(None),
    };
    let ping_url = match &raw.ping_url {
        Some(written) => doc.accept("alerts.ping_url", secret_address(written)).map(Some),
        None => Some(None),
    };
    Some(Alerts { no_success_for: no_success_for?, ping_url: ping_url? })
}

fn guard(doc: &mut Document<'_>, raw: &RawGuard) -> Option<Guard> {
    let hold_expires = match &raw.hold_expires {
        Some(length) => doc.accept("guard.hold_expires", units::age(length))?,
        None => HOLD_EXPIRES,
    };
    let threshold = |raw: &Option<RawThreshold>, share: f64, floor: u64| Threshold {
        share: raw.as_ref().and_then(|t| t.share).unwrap_or(share),
        floor: raw.as_ref().and_then(|t| t.floor).unwrap_or(floor),
    };
    Some(Guard {
        min_rows: raw.min_rows.unwrap_or(1),
        max_changed: threshold(&raw.max_changed, 0.5, 1000),
        max_removed: threshold(&raw.max_removed, 0.2, 100),
        max_rejected: threshold(&raw.max_rejected, 0.01, 10),
        hold_expires,
    })
}

#[cfg(test)]
mod tests;

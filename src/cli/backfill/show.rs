//! What `nightmark backfill` prints.

use super::super::report::{clipped, grouped, plural};
use super::super::table::shown;
use super::super::{Context, Exit};
use super::prepared_json;
use crate::pipeline::{Backfill, BackfillEnd, Filled, Prepared};
use crate::receipt::Counts;
use chrono::SecondsFormat;
use serde_json::{Value, json};

/// What was counted and not begun.
pub(super) fn prepared(context: &Context, job: &str, prepared: &Prepared) {
    if context.json {
        return crate::say!("{}", prepared_json(job, prepared));
    }
    crate::say!(
        "{job}: {} to send to {} ({}): {} as the destination has them, {} that differ from what is known or may; nothing was sent",
        plural(prepared.orgs(), "org"),
        prepared.host,
        shown(&prepared.what),
        grouped(prepared.same),
        grouped(prepared.differing)
    );
    if prepared.rejected > 0 {
        crate::say!("{} rejected, and not sent: nightmark preview {job} names them", plural(prepared.rejected, "row"));
    }
    if let Some(missing) = prepared.keys.map(|keys| keys.saturating_sub(prepared.orgs())).filter(|n| *n > 0) {
        crate::say!("{} of the keys have no org that can be sent in the extract", grouped(missing));
    }
}

/// What was sent, and how it ended.
pub(super) fn filled(context: &Context, job: &str, filled: &Filled) -> Exit {
    let counts = &filled.record.counts;
    let exit = match counts.refused + counts.unknown + counts.pending > 0 || filled.end != BackfillEnd::Finished {
        true => Exit::SomeFailed,
        false => Exit::Done,
    };
    let state = match &filled.end {
        BackfillEnd::Finished => "finished",
        BackfillEnd::Paused(_) => "paused",
        BackfillEnd::Cancelled => "cancelled",
    };
    if context.json {
        let mut object = object(&filled.record.id, job, state, counts, &filled.sheet);
        let failures = filled.failures.iter();
        let failures =
            failures.map(|f| json!({ "key": f.key, "kind": f.kind, "status": f.status, "detail": f.detail }));
        object["failures"] = failures.collect();
        if let BackfillEnd::Paused(why) = &filled.end {
            object["reason"] = json!(why);
        }
        crate::say!("{object}");
        return exit;
    }
    crate::say!("{job}: {} (backfill {})", told(counts, filled.sheet.passed_over), filled.record.id);
    for failure in &filled.failures {
        let status = failure.status.map_or_else(String::new, |s| format!("HTTP {s}: "));
        crate::say!("  {}: {status}{}", clipped(&failure.key), clipped(&failure.detail));
    }
    if let Some(run) = &filled.sheet.run {
        crate::say!("What differed was sent by a run before: nightmark runs show {run}");
    }
    match &filled.end {
        BackfillEnd::Finished if counts.refused + counts.unknown > 0 => {
            crate::say!("What was not acknowledged is sent once more with: nightmark backfill {job} --only-failed");
        }
        BackfillEnd::Finished => {}
        BackfillEnd::Paused(why) => crate::say!(
            "it rests: {}\nGo on with it: nightmark backfill {job} --resume\nGive it up:    nightmark backfill {job} --cancel",
            shown(why)
        ),
        BackfillEnd::Cancelled => crate::say!("it was given up: nothing more of it is sent"),
    }
    exit
}

/// One backfill as it stands.
pub(super) fn one(context: &Context, backfill: Option<&Backfill>) {
    let Some(backfill) = backfill else { return crate::say!("null") };
    let (record, sheet) = (&backfill.record, &backfill.sheet);
    let left = (!record.state.is_final()).then(|| backfill.seconds_left(context.clock.now())).flatten();
    if context.json {
        let mut object = object(&record.id, &record.job, backfill.state(), &record.counts, sheet);
        object["reason"] = json!(record.reason);
        object["seconds_left"] = json!(left.map(|seconds| seconds.ceil() as u64));
        object["started_at"] = json!(record.started_at);
        object["finished_at"] = json!(record.finished_at);
        return crate::say!("{object}");
    }
    crate::say!(
        "{}: backfill {} is {}: {} to {}, since {}",
        record.job,
        record.id,
        backfill.state(),
        shown(&sheet.what),
        sheet.host,
        record.started_at.to_rfc3339_opts(SecondsFormat::Secs, true)
    );
    crate::say!("  {}", told(&record.counts, sheet.passed_over));
    if let Some(seconds) = left {
        crate::say!("  about {} to go{}", duration(seconds), if backfill.is_active { "" } else { ", once it goes on" });
    }
    if let Some(reason) = &record.reason {
        crate::say!("  {}", shown(reason));
    }
}

fn told(counts: &Counts, passed_over: u64) -> String {
    let mut line = format!("{}: {} acknowledged", plural(counts.changed, "org"), grouped(counts.acknowledged));
    let rest = [
        (counts.refused, "refused or not delivered"),
        (counts.unknown, "unknown (may have been applied)"),
        (passed_over, "left to runs, which have sent or are to send them"),
        (counts.pending, "to go"),
    ];
    for (count, what) in rest {
        if count > 0 {
            line.push_str(&format!(", {} {what}", grouped(count)));
        }
    }
    line
}

fn object(id: &str, job: &str, state: &str, counts: &Counts, sheet: &crate::pipeline::Sheet) -> Value {
    json!({
        "backfill": id,
        "job": job,
        "state": state,
        "what": sheet.what,
        "host": sheet.host,
        "rate": sheet.rate,
        "orgs": counts.changed,
        "acknowledged": counts.acknowledged,
        "refused": counts.refused,
        "unknown": counts.unknown,
        "passed_over": sheet.passed_over,
        "pending": counts.pending,
        "differing": sheet.differing,
        "run": sheet.run,
    })
}

/// `40 s`, `12 min`, `3 h 20 min`, `2 d 4 h`
fn duration(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match () {
        () if seconds < 60 => format!("{seconds} s"),
        () if hours < 1 => format!("{minutes} min"),
        () if hours < 48 => format!("{hours} h {} min", minutes % 60),
        () => format!("{} d {} h", hours / 24, hours % 24),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_are_short() {
        for (seconds, text) in
            [(0.2, "1 s"), (59.0, "59 s"), (60.0, "1 min"), (3_600.0, "1 h 0 min"), (172_800.0, "2 d 0 h")]
        {
            assert_eq!(super::duration(seconds), text);
        }
    }
}

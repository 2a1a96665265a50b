//! When a job runs by itself.

use crate::job::document::Document;
use crate::job::problem::Fault;
use crate::job::raw::{RawOverlap, six_hours, utc};
use crate::job::spec::{Blackout, Schedule, Source, Timing};
use crate::job::{blackout, schedule, units};
use chrono_tz::Tz;
use std::time::Duration;

pub(super) fn timezone(doc: &mut Document<'_>) -> Option<Tz> {
    let zone: String = doc.take("timezone").unwrap_or_else(utc);
    doc.accept("timezone", schedule::timezone(&zone))
}

/// The outer `None`: reported. The inner: run only by hand. `name`: the job's.
pub(super) fn check(doc: &mut Document<'_>, zone: Option<Tz>, name: Option<&str>) -> Option<Option<Schedule>> {
    let expression = doc.take::<String>("schedule");
    let timing = match &expression {
        None => Some(None),
        Some(expression) => doc.accept("schedule", schedule::timing(expression)).map(Some),
    };
    let catch_up: String = doc.take("catch_up").unwrap_or_else(six_hours);
    let catch_up = doc.accept("catch_up", or_none(&catch_up, units::age));
    let jitter = match doc.take::<String>("jitter") {
        Some(jitter) => doc.accept("jitter", or_none(&jitter, units::duration)),
        None => Some(Duration::ZERO),
    };
    let queues = doc.take("overlap").unwrap_or(RawOverlap::Skip) == RawOverlap::Queue;
    let blackout = windows(doc);
    let depends_on = others(doc, "depends_on", name, "a job cannot wait for itself");
    let on_file = match doc.take::<String>("on_file") {
        Some(every) => doc.accept("on_file", looks(&every)).map(Some),
        None => Some(None),
    };
    let run_after = others(doc, "run_after", name, "a job cannot begin itself");
    if ["schedule", "on_file", "run_after"].iter().any(|field| !doc.is_sound(field)) {
        return None;
    }
    let (timing, on_file, run_after) = (timing?, on_file?, run_after?);
    let is_begun = on_file.is_some() || !run_after.is_empty();
    if timing.is_none() {
        match unscheduled(doc, is_begun) {
            false => return None,
            true if !is_begun => return Some(None),
            true => {}
        }
    }
    Some(Some(Schedule {
        expression: expression.unwrap_or_default(),
        timing: timing.unwrap_or(Timing::Never),
        timezone: zone?,
        catch_up: catch_up?,
        queues,
        jitter: jitter?,
        blackout: blackout?,
        depends_on: depends_on?,
        on_file,
        run_after,
    }))
}

/// How often it is looked for files.
fn looks(text: &str) -> Result<Duration, Fault> {
    let every = units::duration(text)?;
    match every < Duration::from_secs(1) {
        true => Err(Fault::new("it is looked once a second at most").hint("such as `1m`")),
        false => Ok(every),
    }
}

/// Only of files is it known what would be read.
pub(super) fn only_of_files(doc: &mut Document<'_>, schedule: Option<&Schedule>, source: Option<&Source>) {
    let is_asked = schedule.is_some_and(|schedule| schedule.on_file.is_some());
    if is_asked && source.is_some_and(|source| !matches!(source, Source::Files(_))) {
        let fault = Fault::new("only of files is it known whether there is a new extract");
        let hint = "take it out; `schedule` begins runs by the clock, `run_after` when another job has succeeded";
        doc.report("on_file", fault.hint(hint));
    }
}

/// What is about a schedule is a mistake where there is none; `false`: there is some. `is_begun`: by files or other jobs, so that a part of it has a
/// meaning.
fn unscheduled(doc: &mut Document<'_>, is_begun: bool) -> bool {
    let mut is_sound = true;
    let of_all = ["overlap", "blackout"].into_iter().filter(|_| !is_begun);
    for field in ["catch_up", "jitter", "depends_on"].into_iter().chain(of_all) {
        if doc.line(field).is_some() {
            is_sound = false;
            let fault = Fault::new(format!("`{field}` says nothing without a schedule"));
            doc.report(field, fault.hint("add `schedule`, or take it out: without one the clock begins no run"));
        }
    }
    is_sound
}

/// `0s` is a duration here.
fn or_none(text: &str, read: fn(&str) -> Result<Duration, Fault>) -> Result<Duration, Fault> {
    match text {
        "0s" | "0m" | "0h" => Ok(Duration::ZERO),
        text => read(text),
    }
}

fn windows(doc: &mut Document<'_>) -> Option<Vec<Blackout>> {
    let written: Vec<String> = doc.take("blackout").unwrap_or_default();
    let read = written.iter().enumerate();
    let windows: Vec<_> = read.map(|(i, text)| doc.accept(&format!("blackout[{i}]"), blackout::parse(text))).collect();
    let windows: Vec<Blackout> = windows.into_iter().collect::<Option<_>>()?;
    if blackout::covers_the_week(&windows) {
        let fault = Fault::new("the job could never begin: there is no minute of the week that is not in one of these");
        doc.report("blackout", fault.hint("shorten one"));
        return None;
    }
    Some(windows)
}

/// Names of other jobs.
fn others(doc: &mut Document<'_>, field: &str, name: Option<&str>, itself: &str) -> Option<Vec<String>> {
    let jobs: Vec<String> = doc.take(field).unwrap_or_default();
    let mut is_sound = true;
    for (index, job) in jobs.iter().enumerate() {
        let fault = match () {
            () if Some(job.as_str()) == name => Fault::new(itself),
            () if jobs[..index].contains(job) => Fault::new(format!("`{job}` is named twice")),
            () => continue,
        };
        is_sound = false;
        doc.report(&format!("{field}[{index}]"), fault.hint("names of other jobs"));
    }
    is_sound.then_some(jobs)
}

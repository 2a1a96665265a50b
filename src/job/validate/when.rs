//! When a job runs by itself.

use crate::job::document::Document;
use crate::job::problem::Fault;
use crate::job::raw::{RawOverlap, six_hours, utc};
use crate::job::spec::{Blackout, Schedule};
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
    let catch_up = doc.accept("catch_up", or_none(&catch_up));
    let jitter = match doc.take::<String>("jitter") {
        Some(jitter) => doc.accept("jitter", or_none(&jitter)),
        None => Some(Duration::ZERO),
    };
    let queues = doc.take("overlap").unwrap_or(RawOverlap::Skip) == RawOverlap::Queue;
    let blackout = windows(doc);
    let depends_on = depends_on(doc, name);
    if !doc.is_sound("schedule") {
        return None;
    }
    let (Some(expression), Some(timing)) = (expression, timing?) else { return unscheduled(doc) };
    let (timezone, blackout, depends_on) = (zone?, blackout?, depends_on?);
    Some(Some(Schedule {
        expression,
        timing,
        timezone,
        catch_up: catch_up?,
        queues,
        jitter: jitter?,
        blackout,
        depends_on,
    }))
}

/// What is about a schedule is a mistake where there is none.
fn unscheduled(doc: &mut Document<'_>) -> Option<Option<Schedule>> {
    let mut is_sound = true;
    for field in ["catch_up", "overlap", "jitter", "blackout", "depends_on"] {
        if doc.line(field).is_some() {
            is_sound = false;
            let fault = Fault::new(format!("`{field}` says nothing without a schedule"));
            doc.report(field, fault.hint("add `schedule`, or take it out: without one the job runs only by hand"));
        }
    }
    is_sound.then_some(None)
}

/// `0s` is a duration here.
fn or_none(text: &str) -> Result<Duration, Fault> {
    match text {
        "0s" | "0m" | "0h" => Ok(Duration::ZERO),
        text => units::duration(text),
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

fn depends_on(doc: &mut Document<'_>, name: Option<&str>) -> Option<Vec<String>> {
    let jobs: Vec<String> = doc.take("depends_on").unwrap_or_default();
    let mut is_sound = true;
    for (index, job) in jobs.iter().enumerate() {
        let fault = match () {
            () if Some(job.as_str()) == name => Fault::new("a job cannot wait for itself"),
            () if jobs[..index].contains(job) => Fault::new(format!("`{job}` is named twice")),
            () => continue,
        };
        is_sound = false;
        doc.report(&format!("depends_on[{index}]"), fault.hint("names of other jobs"));
    }
    is_sound.then_some(jobs)
}

//! `/`: the jobs.

use super::html::{Html, page, state, text};
use super::{AdminState, PageError};
use crate::daemon::timetable::Timetable;
use crate::store::{RunState, StateStore};
use crate::web::access::Caller;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

/// Jobs that are shown at most.
const MOST: usize = 1000;

pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, PageError> {
    let jobs = match &state.jobs {
        Some(door) => door.jobs(None, MOST, (1, 1)).await?,
        None => Vec::new(),
    };
    let mut rows = Html::default();
    for job in &jobs {
        rows.row(&row(job, state.store.as_deref()).await?);
    }
    let mut body = Html::default();
    match jobs.is_empty() {
        true => body.raw("<p>There are no jobs yet: <code>nightmark init</code> makes one.</p>\n"),
        false => body.table(&["Job", "Begins by", "Next, local time", "Next, UTC", "Last fire", "Last run"], &rows),
    };
    Ok(page(StatusCode::OK, "Jobs", &caller.name, &body))
}

async fn row(job: &Timetable, store: Option<&dyn StateStore>) -> Result<[Html; 6], PageError> {
    let mut name = Html::default();
    name.raw("<a href=\"/jobs/").step(&job.job).raw("\">").text(&job.job).raw("</a>");
    if job.faulty.is_some() {
        name.raw(" ").html(&state("faulty"));
    }
    let (local, utc) = job.next.first().map(next).unwrap_or_default();
    let mut last = Html::default();
    if let Some(fire) = job.last.first() {
        last.html(&state(fire.state.as_str())).raw(" ").html(&time(fire.due));
    }
    let mut run = Html::default();
    if let Some(store) = store {
        let held = store.open_runs(&job.job).await?.into_iter().any(|run| run.state == RunState::Held);
        if let Some(newest) = store.runs(Some(&job.job), 1).await?.first() {
            run.html(&state(newest.state.as_str())).raw(" ").html(&time(newest.started_at));
        }
        if held {
            run.raw(" <a href=\"/jobs/").step(&job.job).raw("#held\">decide</a>");
        }
    }
    Ok([name, text(&begins_by(job)), local, utc, last, run])
}

/// What begins a job's runs, in words.
pub(super) fn begins_by(job: &Timetable) -> String {
    let clock = job.schedule.as_ref().map(|schedule| match &job.timezone {
        Some(zone) => format!("{schedule} ({zone})"),
        None => schedule.clone(),
    });
    let files = job.on_file.map(|every| format!("new files ({every} s)"));
    let after = (!job.run_after.is_empty()).then(|| format!("after {}", job.run_after.join(", ")));
    let all: Vec<String> = [clock, files, after].into_iter().flatten().collect();
    match (all.is_empty(), &job.faulty) {
        (false, _) => all.join("; "),
        (true, None) => "by hand".to_owned(),
        // The version before may be one that is begun by hand.
        (true, Some(_)) => "-".to_owned(),
    }
}

/// A fire to come, by the clock of its zone and in UTC.
pub(super) fn next(next: &crate::daemon::timetable::Next) -> (Html, Html) {
    let local = next.local.replacen('T', " ", 1);
    let mut shown = Html::default();
    shown.raw("<time>").text(&local).raw("</time>");
    (shown, time(next.utc))
}

/// An instant in UTC.
pub(super) fn time(at: chrono::DateTime<chrono::Utc>) -> Html {
    let mut html = Html::default();
    html.raw("<time>").text(&at.format("%Y-%m-%d %H:%M:%SZ").to_string()).raw("</time>");
    html
}

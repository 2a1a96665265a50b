//! The held run of a job, with its changes and what can be done with it.

use super::html::{Html, text};
use super::jobs::time;
use super::{AdminState, PageError, back_to, field, may_act};
use crate::daemon::decisions::{Decisions, HeldRun, Refusal, ShownChange};
use crate::web::access::Caller;
use crate::web::jobs::unknown;
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use serde_json::Value;

/// Changes of a page.
const SHOWN: usize = 50;
/// Characters of a value, or a body, that are shown.
const LONGEST: usize = 400;

/// What is held of the job; empty: nothing. `query`: where the changes begin.
pub(super) async fn section(
    state: &AdminState,
    caller: &Caller,
    job: &str,
    query: Option<&str>,
) -> Result<Html, PageError> {
    let Some(decisions) = &state.decisions else { return Ok(Html::default()) };
    let mut fields = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let from = fields.find_map(|(name, value)| (name == "after").then(|| value.parse().ok())?).unwrap_or(0);
    let mut html = Html::default();
    match decisions.held(job, from, SHOWN).await {
        Ok(held) => html.raw("<section class=box id=held>").html(&shown(&held, caller, from)).raw("</section>\n"),
        // A job without anything in force says so above.
        Err(Refusal::NothingHeld(_) | Refusal::Unknown) => &mut html,
        Err(Refusal::Refused(why)) => html
            .raw("<section class=box id=held><h2>Held, and it cannot be looked at</h2><p>")
            .text(&why)
            .raw("</p></section>\n"),
        Err(other) => return Err(other.into()),
    };
    Ok(html)
}

fn shown(held: &HeldRun, caller: &Caller, from: u64) -> Html {
    let mut html = Html::default();
    let counts = &held.counts;
    html.raw("<h2>A run is held: nothing was sent</h2>\n<p>").text(held.reason.as_deref().unwrap_or_default());
    html.raw("</p>\n<p>Held since ").html(&time(held.held_at)).raw(", can be approved until ").html(&time(held.until));
    let found = format!(
        ". It has found {} rows: {} added, {} changed, {} removed. ",
        counts.extracted, counts.added, counts.changed, counts.removed
    );
    html.text(&found).raw("Run <code>").text(&held.run).raw("</code></p>\n");
    let mut rows = Html::default();
    held.items.iter().for_each(|change| _ = rows.row(&row(change)));
    html.table(&["Key", "What", "Before → after", "Body"], &rows);
    let end = from + held.items.len() as u64;
    html.raw("<p>Changes ").text(&format!("{}–{end} of {}", (from + 1).min(end), held.changes));
    if let Some(next) = &held.next {
        html.raw(" · <a href=\"?after=").attribute(next).raw("#held\">the next</a>");
    }
    html.raw("</p>\n");
    if may_act(caller) {
        html.html(&button(held, "approve", "Approve: send exactly this"));
        html.html(&button(held, "discard", "Discard: send nothing of it"));
    }
    html
}

fn button(held: &HeldRun, action: &'static str, words: &'static str) -> Html {
    let mut html = Html::default();
    html.raw("<form method=post action=\"/jobs/").step(&held.job).raw("/").raw(action);
    html.raw("\"><input type=hidden name=run value=\"").attribute(&held.run).raw("\"><button>").raw(words);
    html.raw("</button></form>\n");
    html
}

fn row(change: &ShownChange) -> [Html; 4] {
    let mut differs = Html::default();
    for column in &change.changed {
        let of = |row: &Value| clipped(&row.get(column).map(words).unwrap_or_default());
        differs.text(column).raw(": <del>").text(&of(&change.before)).raw("</del> → <ins>");
        differs.text(&of(&change.after)).raw("</ins><br>");
    }
    if change.uncertain {
        differs.raw("an earlier send may have been applied");
    }
    let body = match &change.body_error {
        Some(error) => format!("cannot be sent: {error}"),
        None => change.body.to_string(),
    };
    let mut code = Html::default();
    code.raw("<code>").text(&clipped(&body)).raw("</code>");
    [text(&clipped(&words(&change.key))), text(change.op), differs, code]
}

/// NULL is told apart from a text, and the empty text from nothing.
fn words(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) if !text.is_empty() => text.clone(),
        value => value.to_string(),
    }
}

fn clipped(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The button.
pub(super) async fn approve(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    job: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, PageError> {
    let (decisions, job) = of(&state, job)?;
    let run = field(request, "run").await?;
    decisions.approve(&job, &run, &by(&caller)).await?;
    Ok(back_to(&job, Some(format!("run {run}"))))
}

/// The other button.
pub(super) async fn discard(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    job: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, PageError> {
    let (decisions, job) = of(&state, job)?;
    let run = field(request, "run").await?;
    decisions.discard(&job, &run, &by(&caller)).await?;
    Ok(back_to(&job, Some(format!("run {run}"))))
}

fn by(caller: &Caller) -> String {
    format!("{} (page)", caller.name)
}

fn of(state: &AdminState, job: Result<Path<String>, PathRejection>) -> Result<(&Decisions, String), PageError> {
    let Path(job) = job.map_err(|_| unknown())?;
    Ok((state.decisions.as_ref().ok_or_else(unknown)?, job))
}

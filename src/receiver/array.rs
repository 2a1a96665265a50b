//! A JSON array at the webhook, as Segment's Webhooks (Actions) sends it with batching on.
//!
//! Each element is an update of its own with a result of its own. The good ones are stored, in one transaction, whatever
//! the others are: Segment throws a batch away that is answered 4xx, and repeats one that is answered 5xx, so either would
//! lose or repeat the good ones for the sake of a bad one.

use super::admitted::Admitted;
use super::answer::{ElementResult, Ignored, Refusal, Stored, StoredMany, unavailable};
use super::body::Held;
use super::called::{all_repeated, marked};
use super::{ReceiverState, events};
use crate::mapping::{PayloadTemplate, Reading, extract};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Stores what can be stored. An array of which nothing can be is a bad body like any other: whoever set the template up
/// wrongly sees it at the sender.
pub(super) async fn store(state: &ReceiverState, admitted: &Admitted, body: Held) -> Result<Response, Refusal> {
    let share = body.share();
    // Megabytes of JSON would hold up the other requests of this thread.
    let mapping = Arc::clone(&admitted.mapping);
    let read = tokio::task::spawn_blocking(move || read(mapping.template(), &body)).await;
    let elements = read.map_err(|error| unavailable(&error))??;
    let mut updates = Vec::with_capacity(elements.len());
    let elements: Vec<Element> = elements
        .into_iter()
        .enumerate()
        .map(|(index, element)| match element? {
            Reading::Ignored => Ok(None),
            Reading::Update(update) => {
                let id = update.patch.product_org_id.clone();
                updates.push(admitted.caller.called.one_of_many(index, update));
                Ok(Some(id))
            }
        })
        .collect();
    let rejected = check(admitted, &elements)?;
    let done = state.store_many(admitted, updates, share).await?;
    let repeated = all_repeated(&done);
    let mut done = done.into_iter();
    let results = elements.into_iter().map(|element| match element {
        // One answer for each update: the writer sees to it.
        Ok(Some(id)) => {
            done.next().map(|done| ElementResult::Stored(Stored::new(id, done))).ok_or(Refusal::Unavailable)
        }
        Ok(None) => Ok(ElementResult::Ignored(Ignored::default())),
        Err(error) => Ok(ElementResult::rejected(error)),
    });
    let results: Vec<ElementResult> = results.collect::<Result<_, Refusal>>()?;
    let ignored = results.iter().filter(|result| matches!(result, ElementResult::Ignored(_))).count();
    state.count(admitted, ignored, rejected);
    Ok(marked(StoredMany::new(results).into_response(), repeated))
}

/// The id of the org that it updates; `None`: it is ignored; or why it is rejected.
type Element = Result<Option<String>, String>;

/// How many are rejected.
fn check(admitted: &Admitted, elements: &[Element]) -> Result<usize, Refusal> {
    let Some(first) = elements.iter().find_map(|element| element.as_ref().err()) else { return Ok(0) };
    let rejected = elements.iter().filter(|element| element.is_err()).count();
    if rejected == elements.len() {
        return Err(Refusal::Bad(format!("no element of the array can be stored; the first: {first}")));
    }
    let key = admitted.key_id();
    tracing::warn!(
        event = "elements_rejected",
        key,
        rejected,
        error = first,
        "elements of an array were rejected; the first is given"
    );
    Ok(rejected)
}

fn read(template: &PayloadTemplate, body: &[u8]) -> Result<Vec<Result<Reading, String>>, Refusal> {
    let one = |event| events::read(event).and_then(|event| extract(template, &event));
    Ok(events::split(body)?.into_iter().map(one).collect())
}

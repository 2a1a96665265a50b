//! A JSON array at the webhook, as Segment's Webhooks (Actions) sends it with batching on.
//!
//! Each element is an update of its own with a result of its own. The good ones are stored, in one transaction, whatever
//! the others are: Segment throws a batch away that is answered 4xx, and repeats one that is answered 5xx, so either would
//! lose or repeat the good ones for the sake of a bad one.

use super::access::Admitted;
use super::answer::{ElementResult, Refusal, Stored, StoredMany, unavailable};
use super::body::Held;
use super::{ReceiverState, events};
use crate::mapping::{PayloadTemplate, extract};
use crate::store::OrgPatch;

/// Stores what can be stored. An array of which nothing can be is a bad body like any other: whoever set the template up
/// wrongly sees it at the sender.
pub(super) async fn store(state: &ReceiverState, admitted: Admitted, body: Held) -> Result<StoredMany, Refusal> {
    // Megabytes of JSON would hold up the other requests of this thread.
    let read =
        tokio::task::spawn_blocking(move || read(admitted.mapping.template(), &body).map(|read| (admitted, read)))
            .await;
    let (admitted, elements) = read.map_err(|error| unavailable(&error))??;
    let mut ids = Vec::with_capacity(elements.len());
    let mut patches = Vec::with_capacity(elements.len());
    for element in elements {
        ids.push(element.map(|patch| {
            let id = patch.product_org_id.clone();
            patches.push(patch);
            id
        }));
    }
    if let (Some(Err(first)), true) = (ids.first(), patches.is_empty()) {
        return Err(Refusal::Bad(format!("no element of the array can be stored; the first: {first}")));
    }
    let rejected = ids.len() - patches.len();
    if let Some(error) = ids.iter().find_map(|id| id.as_ref().err()) {
        tracing::warn!(
            key = admitted.key_id,
            rejected,
            error,
            "elements of an array were rejected; the first is given"
        );
    }
    let mut done = state.store_many(&admitted, patches).await?.into_iter();
    let results = ids.into_iter().map(|id| match id {
        // One answer for each patch: the writer sees to it.
        Ok(id) => done.next().map(|done| ElementResult::Stored(Stored::new(id, done))).ok_or(Refusal::Unavailable),
        Err(error) => Ok(ElementResult::rejected(error)),
    });
    let results: Vec<ElementResult> = results.collect::<Result<_, Refusal>>()?;
    Ok(StoredMany::new(results))
}

fn read(template: &PayloadTemplate, body: &[u8]) -> Result<Vec<Result<OrgPatch, String>>, Refusal> {
    let one = |event| events::read(event).and_then(|event| extract(template, &event));
    Ok(events::split(body)?.into_iter().map(one).collect())
}

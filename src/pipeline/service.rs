//! Whether a job's destination is in service: asked before delivery, noted after it.

use super::Runner;
use crate::deliver::verdict::Peer;
use crate::deliver::{StopKind, Stopped, Summary};
use crate::job::spec::{Destination, Job};
use crate::store::{DestinationRecord, DestinationState, StoreError};
use chrono::SecondsFormat;

/// Why nothing is sent: the destination is disabled, or has asked for a pause that is not over. What does not hold any more
/// is forgotten: it was said by another address, or its time is over.
pub(super) async fn out_of_service(runner: &Runner, job: &Job) -> Result<Option<Stopped>, StoreError> {
    let Some(record) = runner.store.destination(&job.name).await? else { return Ok(None) };
    if record.address != addresses(&job.destination) || record.is_over(runner.clock.now()) {
        runner.store.clear_destination(&job.name).await?;
        return Ok(None);
    }
    Ok(stops(&record, &fields(&job.destination)))
}

/// Where the job sends to, as written: what a record is about. Any of the addresses may have said it.
fn addresses(destination: &Destination) -> String {
    let own =
        destination.routes.iter().filter_map(|(name, route)| Some(format!("{name}: {}", route.url.as_ref()?.written)));
    std::iter::once(destination.url.written.clone()).chain(own).collect::<Vec<_>>().join(", ")
}

/// The fields of the job file that say so.
fn fields(destination: &Destination) -> String {
    let mut fields: Vec<&str> = Vec::new();
    for (name, route) in destination.routes.iter() {
        let field = Peer::of(destination, name, route).address;
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    fields.join(" or ")
}

/// What a record means for a delivery that is about to begin. `fields`: those that the addresses stand in.
fn stops(record: &DestinationRecord, fields: &str) -> Option<Stopped> {
    let enable = format!("`nightmark destinations enable {}`", record.job);
    match (record.state, record.paused_until) {
        (DestinationState::Disabled, _) => {
            let since = record.since.to_rfc3339_opts(SecondsFormat::Secs, true);
            Some(Stopped {
                kind: StopKind::Disabled,
                reason: format!("the destination is disabled since {since} (run {}): {}", record.run, record.reason),
                remedy: format!("give the job another {fields}, or, if the address takes webhooks again, {enable}"),
                until: None,
            })
        }
        (DestinationState::Paused, Some(until)) => Some(Stopped {
            kind: StopKind::Paused,
            reason: format!("{}, as run {} was told", record.reason, record.run),
            remedy: format!("{}; to send before that time all the same, {enable}, or another {fields}", record.remedy),
            until: Some(until),
        }),
        // Whether it was mended is found out by trying.
        (DestinationState::Paused, None) => None,
    }
}

/// Remembers that the destination needs somebody or wants a pause, or that it does no longer.
pub(super) async fn note(runner: &Runner, job: &Job, run: &str, summary: &Summary) -> Result<(), StoreError> {
    let Some((stopped, state)) = summary.stopped.as_ref().and_then(|stopped| Some((stopped, state(stopped.kind)?)))
    else {
        if has_judged(summary) {
            runner.store.clear_destination(&job.name).await?;
        }
        return Ok(());
    };
    let found = DestinationRecord {
        job: job.name.clone(),
        address: addresses(&job.destination),
        state,
        reason: stopped.reason.clone(),
        remedy: stopped.remedy.clone(),
        since: runner.clock.now(),
        run: run.to_owned(),
        paused_until: stopped.until,
    };
    let known = runner.store.destination(&job.name).await?;
    runner.store.put_destination(&still(known, found)).await
}

/// What a delivery that stopped for this makes of its destination; `None`: nothing.
fn state(kind: StopKind) -> Option<DestinationState> {
    match kind {
        StopKind::Disabled => Some(DestinationState::Disabled),
        StopKind::Config | StopKind::Paused => Some(DestinationState::Paused),
        StopKind::Asked | StopKind::Breaker => None,
    }
}

/// Whether the destination has looked at a row and judged it, so that address, key and certificate are good.
fn has_judged(summary: &Summary) -> bool {
    summary.acknowledged + summary.refused.saturating_sub(summary.undelivered) > 0
}

/// `found`; if that is what was `known` already, since when it was.
fn still(known: Option<DestinationRecord>, found: DestinationRecord) -> DestinationRecord {
    let what = |of: &DestinationRecord| (of.address.clone(), of.state, of.reason.clone());
    match known.filter(|known| what(known) == what(&found)) {
        Some(known) => DestinationRecord { since: known.since, run: known.run, ..found },
        None => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::spec::{DestinationKind, Templated};
    use chrono::{DateTime, TimeDelta, Utc};

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn record(state: DestinationState, reason: &str, seconds: i64) -> DestinationRecord {
        DestinationRecord {
            job: "orgs".to_owned(),
            address: "https://example.com".to_owned(),
            state,
            reason: reason.to_owned(),
            remedy: "mend it".to_owned(),
            since: at(seconds),
            run: format!("R{seconds}"),
            paused_until: None,
        }
    }

    #[test]
    fn what_stays_the_same_keeps_its_beginning() {
        use DestinationState::{Disabled, Paused};
        let moved = DestinationRecord { address: "https://example.org".to_owned(), ..record(Paused, "401", 1) };
        for (known, found, since) in [
            (None, record(Paused, "401", 2), 2),
            (Some(record(Paused, "401", 1)), record(Paused, "401", 2), 1),
            (Some(record(Paused, "401", 1)), record(Paused, "403", 2), 2),
            (Some(record(Paused, "410", 1)), record(Disabled, "410", 2), 2),
            (Some(moved), record(Paused, "401", 2), 2),
        ] {
            let noted = still(known.clone(), found.clone());
            assert_eq!((noted.since, noted.run.as_str()), (at(since), format!("R{since}").as_str()), "{known:?}");
            assert_eq!(DestinationRecord { since: found.since, run: found.run.clone(), ..noted }, found);
        }
    }

    #[test]
    fn a_record_is_about_all_addresses_of_the_job() {
        let at = |text: &str| Templated::parse(text).unwrap();
        let mut destination = Destination::plain(at("https://a/${KEY}"));
        assert_eq!(
            (addresses(&destination), fields(&destination)),
            ("https://a/${KEY}".into(), "destination.url".into())
        );
        destination.routes.changed.url = Some(at("https://b"));
        assert_eq!(addresses(&destination), "https://a/${KEY}, changed: https://b");
        assert_eq!(fields(&destination), "destination.url or destination.changed.url");
        destination.routes.removed.url = destination.routes.changed.url.take();
        assert_eq!(addresses(&destination), "https://a/${KEY}, removed: https://b");
        destination = Destination {
            kind: DestinationKind::Segment,
            url_field: "destination.region",
            ..Destination::plain(at(""))
        };
        assert_eq!(fields(&destination), "destination.region");
    }

    #[test]
    fn what_a_record_stops() {
        use DestinationState::{Disabled, Paused};
        let asked = DestinationRecord { paused_until: Some(at(9)), ..record(Paused, "it asks to wait", 1) };
        for (record, expected) in [
            (record(Disabled, "410", 1), Some(StopKind::Disabled)),
            (record(Paused, "401", 1), None),
            (asked.clone(), Some(StopKind::Paused)),
        ] {
            let stopped = stops(&record, "destination.region");
            assert_eq!(stopped.as_ref().map(|stopped| stopped.kind), expected);
            let says = |remedy: &str| {
                remedy.contains("nightmark destinations enable orgs") && remedy.contains("another destination.region")
            };
            assert!(stopped.is_none_or(|stopped| says(&stopped.remedy)));
        }
        assert_eq!([8, 9, 10].map(|seconds| asked.is_over(at(seconds))), [false, true, true]);
    }

    #[test]
    fn an_answer_about_a_row_clears_what_was_wrong() {
        for (acknowledged, refused, undelivered, unknown, expected) in [
            (1, 0, 0, 0, true),
            (0, 1, 0, 0, true),
            (0, 2, 1, 0, true),
            (0, 2, 2, 0, false),
            (0, 0, 0, 3, false),
            (0, 0, 0, 0, false),
        ] {
            let summary = Summary { acknowledged, refused, undelivered, unknown, ..Summary::default() };
            assert_eq!(has_judged(&summary), expected, "{summary:?}");
        }
    }
}

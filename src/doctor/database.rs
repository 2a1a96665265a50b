//! The state store: whether it opens, is whole, is of this version and can be written; and who has the home folder.

use super::{Finding, Patient, clock};
use crate::snapshot::who_holds;
use crate::store::{Inspected, Place};

const AREA: &str = "database";

pub(super) async fn look(patient: &Patient) -> Vec<Finding> {
    let mut found = vec![daemon(patient)];
    let place = match &patient.place {
        Ok(place) => place,
        Err(why) => {
            found.push(Finding::mend(AREA, "store.url", why, "mend [store] url in nightmark.toml (docs/STORE.md)"));
            return found;
        }
    };
    match place.inspect().await {
        Err(error) => found.push(Finding::mend(AREA, "state", error.to_string(), CANNOT_OPEN)),
        Ok(None) => found.push(Finding::ok(
            AREA,
            "state",
            "nothing is stored yet: it is made by the first command that stores something",
        )),
        Ok(Some(inspected)) => {
            let is_known = inspected.found == Some(inspected.known);
            found.extend(state(&inspected));
            found.extend(inspected.now.map(|now| clock::against("the state's server", now, patient.clock.now())));
            if is_known {
                found.extend(newest(patient, place).await);
            }
        }
    }
    found
}

const CANNOT_OPEN: &str =
    "docs/OPERATIONS.md, \"It does not start\"; a backup is put back together with snapshots/ of the same time";

fn daemon(patient: &Patient) -> Finding {
    match who_holds(&patient.home.dir().join("daemon.lock")) {
        Some(holder) => Finding::ok(AREA, "daemon", format!("one serves this home folder: {holder}")),
        None => Finding::ok(AREA, "daemon", "none runs the jobs of this home folder now"),
    }
}

pub(super) fn state(inspected: &Inspected) -> Vec<Finding> {
    let Inspected { engine, found, known, damage, unwritable, .. } = inspected;
    let schema = match *found {
        Some(found) if found > *known => Finding::mend(
            AREA,
            "schema",
            format!("it has schema {found}, and this version knows {known}"),
            "use the version of nightmark that has written it, or a newer one",
        ),
        Some(found) if found < *known => Finding::note(
            AREA,
            "schema",
            format!("it has schema {found}, and is brought to {known} by the next start"),
            match engine.starts_with("PostgreSQL") {
                true => {
                    "dump it first, `pg_dump -n nightmark` ([store] schema): it is not copied, and there is no other way back (docs/STORE.md)"
                }
                false => "make a backup first: there is no way back (docs/STORE.md)",
            },
        ),
        Some(_) => Finding::ok(AREA, "schema", format!("{engine}, schema {known}")),
        None => Finding::ok(AREA, "schema", format!("{engine}; nothing is stored in it yet")),
    };
    let whole = match damage.is_empty() {
        true => Finding::ok(AREA, "integrity", "whole"),
        false => Finding::mend(AREA, "integrity", format!("it is damaged: {}", damage.join("; ")), CANNOT_OPEN),
    };
    let written = match unwritable {
        None => Finding::ok(AREA, "writing", "it can be written"),
        Some(why) => {
            Finding::mend(AREA, "writing", why, "no run begins and nothing is received until it can be written")
        }
    };
    vec![schema, whole, written]
}

/// The clock against the newest run.
async fn newest(patient: &Patient, place: &Place) -> Option<Finding> {
    let store = place.look().await.ok()??;
    let newest = store.runs(None, 1).await.ok().and_then(|runs| runs.first().map(|run| run.started_at));
    store.close().await;
    clock::after(newest?, patient.clock.now())
}

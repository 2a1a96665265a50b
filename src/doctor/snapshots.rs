//! The object store in which snapshots are shared, and jobs that somebody runs now.

use super::{Finding, Patient, clock};
use crate::pipeline;

const AREA: &str = "snapshots";

/// Nothing where they are not shared.
pub(super) async fn look(patient: &Patient) -> Vec<Finding> {
    match pipeline::try_shared(&patient.home, &patient.settings, patient.clock.run_id()).await {
        Ok(None) => Vec::new(),
        Ok(Some(time)) => {
            let reached = Finding::ok(AREA, "snapshots.url", "can be written, read and removed from");
            let time = time.map(|time| clock::against("the shared snapshots' store", time, patient.clock.now()));
            [Some(reached), time].into_iter().flatten().collect()
        }
        Err(error) => {
            let remedy = "no run begins without it: check [snapshots] in nightmark.toml, and that this user may put, get and delete there (docs/SNAPSHOT.md)";
            vec![Finding::mend(AREA, "snapshots.url", error.to_string(), remedy)]
        }
    }
}

//! Whether destinations can be reached, and what they take for the time.

use super::{Finding, Patient, clock};
use crate::job::Secrets;
use crate::job::spec::Job;
use crate::pipeline;
use futures_util::StreamExt as _;
use futures_util::stream;
use std::sync::Arc;

const AREA: &str = "destinations";
/// Asked at a time.
const AT_ONCE: usize = 8;

/// Name, connection and TLS of each address of each job whose secrets are there; the others are told of already.
pub(super) async fn look(patient: &Patient, jobs: &[Arc<Job>]) -> Vec<Finding> {
    let looks = jobs.iter().map(|job| of_job(patient, Arc::clone(job)));
    let found: Vec<Vec<Finding>> = stream::iter(looks).buffered(AT_ONCE).collect().await;
    found.concat()
}

async fn of_job(patient: &Patient, job: Arc<Job>) -> Vec<Finding> {
    let secrets = Secrets::new(&patient.home);
    if !pipeline::missing_secrets(&secrets, job.destination.templated()).is_empty() {
        return Vec::new();
    }
    let probes = match pipeline::probe_destination(&secrets, &job).await {
        Ok(probes) => probes,
        Err(error) => {
            let remedy = format!("nightmark check {} says more", job.name);
            return vec![Finding::mend(AREA, &job.name, error.to_string(), remedy)];
        }
    };
    let mut found = Vec::new();
    for probe in probes {
        let subject = format!("{}: {}", job.name, probe.field);
        match probe.outcome {
            Err(unreached) => found.push(Finding::mend(AREA, subject, unreached.what, unreached.remedy)),
            Ok(date) => {
                found.push(Finding::ok(AREA, &subject, "answers"));
                let theirs = format!("the destination of {}", job.name);
                found.extend(date.map(|date| clock::against(&theirs, date, patient.clock.now())));
            }
        }
    }
    found
}

//! Whether a destination can be reached as it is set up: its name, a connection, TLS, the proxy. Nothing of a job is sent.

use super::address::Place;
use super::classify::classify;
use super::client::Client;
use super::verdict::{Fault, FaultKind};
use super::{DeliverError, Resolved};
use crate::job::spec::{Destination, Route};
use chrono::{DateTime, Utc};
use reqwest::header::DATE;
use std::time::{Duration, Instant};
use url::Url;

/// The longest that a destination is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came of a look at one of a destination's hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The field of the job file that the address comes from.
    pub field: &'static str,
    /// What time it was by its answer, if that says so.
    pub outcome: Result<Option<DateTime<Utc>>, Unreached>,
}

/// Why it cannot be reached, and what to do. Without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreached {
    /// What happened.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// Asks each host that the destination names once: `HEAD /` without headers of the job, so that neither key nor path is shown to it. Whatever it answers, it is there.
///
/// # Errors
/// A destination that cannot be delivered to as it is set up.
pub async fn probe(destination: &Destination, resolved: &Resolved) -> Result<Vec<Probe>, DeliverError> {
    let client = Client::new(destination, resolved)?;
    let mut hosts: Vec<(Url, &Place, &'static str)> = Vec::new();
    for (name, (url, place)) in client.addresses() {
        let Ok(root) = url.join("/") else { continue };
        let field = match destination.routes.get(name).url {
            Some(_) => Route::url_field(name),
            None => destination.url_field,
        };
        if !hosts.iter().any(|(known, ..)| known.origin() == root.origin()) {
            hosts.push((root, place, field));
        }
    }
    let mut probes = Vec::new();
    for (mut root, place, field) in hosts {
        // A key may stand there.
        let _ = root.set_username("").and_then(|()| root.set_password(None));
        probes.push(Probe { field, outcome: ask(&client, root, place, field).await });
    }
    Ok(probes)
}

async fn ask(
    client: &Client,
    root: Url,
    place: &Place,
    field: &'static str,
) -> Result<Option<DateTime<Utc>>, Unreached> {
    let asked = Instant::now();
    let answer = client.http().head(root).timeout(PATIENCE).send().await;
    let answer = answer.map_err(|error| unreached(&classify(&error.without_url(), place), field))?;
    let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| httpdate::parse_http_date(date).ok()).map(DateTime::<Utc>::from);
    // It was said somewhere on the way.
    Ok(date.map(|date| date + asked.elapsed() / 2))
}

fn unreached(fault: &Fault, field: &str) -> Unreached {
    let remedy = match fault.kind {
        FaultKind::Tls => {
            "the certificate is not trusted here, not for this name, or not valid now: set destination.ca_file for an authority of your own, and look at the clock".to_owned()
        }
        FaultKind::Address => format!("if the destination really is there, list its network in destination.allow_addresses; else mend {field}"),
        FaultKind::Proxy => "give destination.proxy the user and password that it wants".to_owned(),
        FaultKind::Invalid => format!("mend {field}"),
        FaultKind::Timeout | FaultKind::Broken | FaultKind::Unprocessed => {
            format!("something listens there and does not speak HTTP, or not in time: check {field} and what stands between")
        }
        FaultKind::Connect => format!("check that the destination is up, that {field} names it, and that DNS and firewalls let this machine through"),
    };
    Unreached { what: fault.text.clone(), remedy }
}

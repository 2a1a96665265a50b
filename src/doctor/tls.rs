//! Certificates and keys of the two addresses.

use super::{Finding, SOON};
use crate::config::{Home, Settings, TlsSettings};
use crate::server::{Certificate, Tls, TlsFiles};
use chrono::{DateTime, Utc};
use std::net::SocketAddr;

const AREA: &str = "process";
const RENEW: &str = "renew it: a new pair in the place of the old one is taken within seconds, without a restart";

pub(super) fn look(settings: &Settings, home: &Home, now: DateTime<Utc>) -> Vec<Finding> {
    let (receiver, admin) = (&settings.receiver, &settings.admin);
    [("receiver.tls", &receiver.tls, receiver.address), ("admin.tls", &admin.tls, admin.address)]
        .into_iter()
        .filter_map(|(field, tls, address)| Some(of(field, tls.as_ref()?, address, home, now)))
        .flatten()
        .collect()
}

fn of(field: &str, tls: &TlsSettings, address: SocketAddr, home: &Home, now: DateTime<Utc>) -> Vec<Finding> {
    let files = TlsFiles { certificate: home.dir().join(&tls.certificate), key: home.dir().join(&tls.key) };
    match Tls::load(files.clone()).and_then(|_| files.certificates()) {
        Ok(chain) => judged(field, &chain, address, now),
        Err(error) => {
            vec![Finding::mend(AREA, field, error.to_string(), "the daemon does not start without it")]
        }
    }
}

/// `chain`: the server's own first.
pub(super) fn judged(field: &str, chain: &[Certificate], address: SocketAddr, now: DateTime<Utc>) -> Vec<Finding> {
    let mut found: Vec<Finding> = chain.iter().enumerate().filter_map(|(at, one)| time(field, at, one, now)).collect();
    let names = chain.first().map(|own| own.names.as_slice()).unwrap_or_default();
    found.extend(nobody(field, names, address));
    if found.is_empty() {
        let until = chain.iter().filter_map(|one| one.until).min().map(|until| format!(", valid until {}", day(until)));
        let what = format!("certificate and key can be used: for {}{}", names.join(", "), until.unwrap_or_default());
        found.push(Finding::ok(AREA, field, what));
    }
    found
}

/// What is wrong with when it is valid. `at`: its place in the chain.
fn time(field: &str, at: usize, one: &Certificate, now: DateTime<Utc>) -> Option<Finding> {
    let which = if at == 0 { "the certificate" } else { "a certificate that leads to its root" };
    match (one.from, one.until) {
        (_, Some(until)) if until <= now => {
            Some(Finding::mend(AREA, field, format!("{which} has expired on {}", day(until)), RENEW))
        }
        (Some(from), _) if from > now => {
            let what = format!("{which} is not valid before {}", day(from));
            Some(Finding::mend(AREA, field, what, "set the clock, or give one that is valid now"))
        }
        (_, Some(until)) if until - now <= SOON => {
            Some(Finding::note(AREA, field, format!("{which} expires on {}", day(until)), RENEW))
        }
        _ => None,
    }
}

/// A certificate that clients cannot take to be of this address.
fn nobody(field: &str, names: &[String], address: SocketAddr) -> Option<Finding> {
    let remedy = "have one made with the names or addresses that clients call";
    if names.is_empty() {
        let what = "the certificate has no name in it (subjectAltName), and clients look at nothing else";
        return Some(Finding::mend(AREA, field, what, remedy));
    }
    let ip = address.ip().to_canonical();
    let is_of_addresses = names.iter().all(|name| name.parse::<std::net::IpAddr>().is_ok());
    let is_other = is_of_addresses && !ip.is_unspecified() && !names.contains(&ip.to_string());
    is_other.then(|| {
        let what = format!("the certificate is for {}, and {ip} is listened on", names.join(", "));
        Finding::note(AREA, field, what, remedy)
    })
}

fn day(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d").to_string()
}

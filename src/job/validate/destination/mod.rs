//! `[destination]`. What is refused here never stands in a message: it may be a secret.
//!
//! `kinds` is what the kinds differ in, `address` and `headers` what may stand in those; here is what all kinds have.

mod address;
mod headers;
mod kinds;

use crate::job::document::{Document, join};
use crate::job::problem::Fault;
use crate::job::raw::{RawDestination, RawDiff, RawRetry, RawSending, RawSigning};
use crate::job::spec::{Destination, DestinationKind, Retry, Templated};
use crate::job::units;
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::Path;

pub(super) use kinds::is_sent;

const HOW: &str = "put it into an environment variable and write ${NAME}, or into a file and write ${file:PATH}";

/// `home`: the folder that relative paths are relative to.
pub(super) fn check(
    doc: &mut Document<'_>,
    raw: RawDestination,
    diff: Option<&RawDiff>,
    home: &Path,
) -> Option<Destination> {
    let destination = match raw {
        RawDestination::Trailspark(raw) => kinds::trailspark(doc, raw, home),
        RawDestination::Segment(raw) => kinds::segment(doc, raw, home),
        RawDestination::Rudderstack(raw) => kinds::rudderstack(doc, raw, home),
        RawDestination::Http(raw) => kinds::http(doc, raw, diff, home),
    }?;
    let by_row = destination.headers.iter().filter(|(_, text)| destination.batch.is_some() && text.is_template());
    for (name, _) in by_row {
        let fault = Fault::new("a header that differs by row takes one row a request");
        doc.report(&join("destination.headers", name), fault.hint("send no batches, or take {{…}} out of the header"));
    }
    Some(destination)
}

/// What a section says that it is.
pub(super) fn kind(raw: &RawDestination) -> DestinationKind {
    match raw {
        RawDestination::Trailspark(_) => DestinationKind::Trailspark,
        RawDestination::Segment(_) => DestinationKind::Segment,
        RawDestination::Rudderstack(_) => DestinationKind::Rudderstack,
        RawDestination::Http(_) => DestinationKind::Http,
    }
}

/// How requests are made, with what a plain destination has besides.
fn sending(doc: &mut Document<'_>, raw: RawSending, home: &Path) -> Option<Destination> {
    let signing = signing(doc, raw.signing);
    let headers = headers::headers(doc, &raw.headers);
    let proxy = match &raw.proxy {
        Some(written) => doc.accept("destination.proxy", address::proxy(written)).map(Some),
        None => Some(None),
    };
    let allow_addresses = networks(doc, &raw.allow_addresses);
    let rate = match &raw.rate {
        Some(text) => doc.accept("destination.rate", units::rate(text)).map(Some),
        None => Some(None),
    };
    if raw.burst.is_some() && raw.rate.is_none() {
        let fault = Fault::new("`burst` says how a rate is kept, and there is none");
        doc.report("destination.burst", fault.hint("add `rate`, such as `50/s`, or remove `burst`"));
    }
    let retry = retry(doc, &raw.retry);
    let timeout = doc.accept("destination.timeout", units::duration(&raw.timeout));
    Some(Destination {
        signing,
        headers,
        rate: rate?,
        burst: raw.burst,
        concurrency: raw.concurrency as usize,
        retry: retry?,
        dead_letter_after: raw.dead_letter_after,
        timeout: timeout?,
        ca_file: raw.ca_file.map(|path| home.join(path)),
        proxy: proxy?,
        allow_addresses,
        ..Destination::plain(Templated::parse("").ok()?)
    })
}

fn retry(doc: &mut Document<'_>, raw: &RawRetry) -> Option<Retry> {
    let base = doc.accept("destination.retry.base", units::duration(&raw.base));
    let max = doc.accept("destination.retry.max", units::duration(&raw.max));
    let retry = Retry { attempts: raw.attempts, base: base?, max: max? };
    if retry.base > retry.max {
        doc.report("destination.retry", Fault::new(format!("`base` ({}) is above `max` ({})", raw.base, raw.max)));
    }
    Some(retry)
}

/// `None`: reported. The inner: there is none.
fn optional_secret(doc: &mut Document<'_>, path: &str, written: Option<&String>) -> Option<Option<Templated>> {
    match written {
        Some(written) => doc.accept(path, secret(written)).map(Some),
        None => Some(None),
    }
}

fn secret(written: &str) -> Result<Templated, Fault> {
    let templated = Templated::parse(written)?;
    if !templated.is_reference_only() {
        return Err(Fault::new("a secret must not stand in a job file").hint(HOW));
    }
    Ok(templated)
}

fn signing(doc: &mut Document<'_>, raw: Option<RawSigning>) -> Vec<Templated> {
    let path = "destination.signing";
    match raw {
        None => Vec::new(),
        Some(RawSigning::One(written)) => doc.accept(path, secret(&written)).into_iter().collect(),
        Some(RawSigning::Many(all)) => {
            let each = all.iter().enumerate();
            each.filter_map(|(i, written)| doc.accept(&format!("{path}[{i}]"), secret(written))).collect()
        }
    }
}

fn networks(doc: &mut Document<'_>, raw: &[String]) -> Vec<IpNet> {
    let each = raw.iter().enumerate();
    each.filter_map(|(i, written)| doc.accept(&format!("destination.allow_addresses[{i}]"), network(written))).collect()
}

/// `169.254.10.0/24`, or a single address.
fn network(written: &str) -> Result<IpNet, Fault> {
    let net = match written.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => written.parse::<IpNet>().map_err(|_| {
            Fault::new(format!("`{written}` is not a network"))
                .hint("such as `169.254.10.0/24`, `fe80::/64` or one address")
        })?,
    };
    if net != net.trunc() {
        let fault = Fault::new(format!("`{written}` is an address within a network"));
        return Err(fault.hint(format!(
            "write `{}` for the network, or `{}` for the address",
            net.trunc(),
            net.addr()
        )));
    }
    Ok(net)
}

#[cfg(test)]
mod tests;

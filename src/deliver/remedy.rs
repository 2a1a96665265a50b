//! What helps, by status and kind of destination. Pure.
//!
//! The words about TrailSpark are those of its guide's "Troubleshooting"; what Segment and RudderStack mean by a status is in
//! their HTTP APIs' documentation.

use super::verdict::{Answer, Peer};
use super::words::describe;
use crate::job::spec::DestinationKind::{Http, Rudderstack, Segment, Trailspark};
use std::borrow::Cow;

pub(super) const PROXY: &str = "check the user name and password in destination.proxy";

/// What is to be mended when `peer` answers `status`; `None`: the status is about the row, or will pass.
pub(super) fn remedy(status: u16, peer: &Peer) -> Option<Cow<'static, str>> {
    let address = peer.address;
    let text = match (status, peer.kind) {
        (300..=399, _) => format!("redirects are never followed: put the final address into {address}"),
        (401, _) => return Some(unauthorised(peer)),
        (403, kind) => return Some(Cow::Borrowed(forbidden(kind))),
        (404, Http) => format!("nothing answers at this address: check the host, path and API key in {address}"),
        (404, Trailspark) => format!("no product org endpoint answers there: check {address} and destination.key"),
        (404, Segment) => format!("no Segment API answers there: check {address}"),
        (404, Rudderstack) => {
            format!("the source of this write key is disabled, or it is no data plane: check the source and {address}")
        }
        (405, _) => format!("this address takes no {}: check the path in {address}", peer.method.as_str()),
        // Only a proxy says so (RFC 9110, 15.5.8).
        (407, _) => return Some(Cow::Borrowed(PROXY)),
        (410, _) => format!(
            "the destination says that this address is gone for good: take the job out of service or give it a new {address}"
        ),
        _ => return None,
    };
    Some(Cow::Owned(text))
}

fn unauthorised(peer: &Peer) -> Cow<'static, str> {
    Cow::Borrowed(match peer.kind {
        Trailspark => {
            "the API key is invalid, inactive or expired, or its secret is missing or wrong: check destination.key and \
             destination.secret against Settings > API Keys"
        }
        Segment if peer.address == "destination.base_url" => {
            "the write key is not known: check destination.write_key, and that destination.base_url passes it on"
        }
        Segment => {
            "Segment does not know this write key: check destination.write_key, and that destination.region is where the \
             workspace is"
        }
        Rudderstack => "the data plane does not know this write key: check destination.write_key",
        Http => return Cow::Owned(unauthorised_http(peer)),
    })
}

/// Whoever sends a user name and a password is known by them.
fn unauthorised_http(peer: &Peer) -> String {
    let address = peer.address;
    if peer.has_auth {
        let who = "the user name or the password is wrong or missing";
        return format!("{who}: check destination.auth, and, if a key stands there, {address}");
    }
    format!(
        "the API key is invalid, inactive or expired, or its secret is missing or wrong: check the key in {address} and \
         destination.secret"
    )
}

fn forbidden(kind: crate::job::spec::DestinationKind) -> &'static str {
    match kind {
        Trailspark => {
            "the API key was not created with the Product Org Updates endpoint type: create a new key with the correct \
             type at Settings > API Keys and put it into destination.key"
        }
        Segment => "this write key may not send: check destination.write_key and that its source is an HTTP API source",
        Rudderstack => "this write key may not send: check destination.write_key and that its source is enabled",
        Http => {
            "the API key was not created with the Product Org Updates endpoint type: create one of that type and put it \
             into destination.url"
        }
    }
}

/// A refusal in the destination's own words, `said`, and what they mean where the guide explains them.
pub(super) fn explained(status: u16, said: String, peer: &Peer) -> String {
    match (status, peer.kind) {
        (400, Trailspark) if said.contains("missing productOrgId") => format!(
            "{said}; the Product Org ID path of the key's payload template does not match a field of this body: verify the \
             dot-notation path (`groupId` for group events, `workspace_id` for flat payloads)"
        ),
        (413, Segment | Rudderstack) => format!("{said}; an event has 32 KB at most"),
        _ => said,
    }
}

/// TrailSpark says `"success": true` with every yes.
pub(super) fn no_success(answer: &Answer) -> String {
    format!("answered {} without \"success\": true, so this may not be TrailSpark: {}", answer.status, describe(answer))
}

/// HTML where the words of an API are expected.
pub(super) fn page(peer: &Peer) -> Cow<'static, str> {
    let what = if peer.kind == Segment { "the Segment API" } else { "a data plane" };
    Cow::Owned(format!(
        "a page is no answer of {what}: something else answers there, such as a login or a proxy: check {}",
        peer.address
    ))
}

pub(super) fn certificate(peer: &Peer) -> Cow<'static, str> {
    Cow::Owned(format!(
        "check the host in {} and the server's certificate; name the certificate of a private CA in destination.ca_file, or \
         put it into this machine's trust store",
        peer.address
    ))
}

pub(super) fn forbidden_address(peer: &Peer) -> Cow<'static, str> {
    Cow::Owned(format!(
        "no webhook goes to such an address; check {}, and if the destination really is there, list its network in \
         destination.allow_addresses, such as [\"169.254.10.0/24\"]",
        peer.address
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::spec::{DestinationKind, Method};

    fn peer(kind: DestinationKind, address: &'static str) -> Peer {
        Peer { kind, method: Method::Put, address, ..Peer::plain() }
    }

    #[test]
    fn every_kind_names_its_own_fields() {
        for (kind, address) in [
            (Trailspark, "destination.subdomain"),
            (Segment, "destination.region"),
            (Rudderstack, "destination.data_plane_url"),
            (Http, "destination.removed.url"),
        ] {
            let peer = peer(kind, address);
            for status in [301, 404, 405, 410] {
                let words = remedy(status, &peer).unwrap();
                assert!(words.contains(address), "{status} of {kind:?}: {words}");
                assert!(kind == Http || !words.contains("destination.url"), "{status} of {kind:?}: {words}");
            }
            for status in [401, 403] {
                let words = remedy(status, &peer).unwrap();
                assert!(kind == Http || !words.contains("destination.url"), "{status} of {kind:?}: {words}");
            }
            assert!(remedy(405, &peer).unwrap().contains("takes no PUT"));
            assert!(remedy(422, &peer).is_none() && remedy(500, &peer).is_none());
        }
    }

    #[test]
    fn who_is_not_known_is_told_what_it_is_known_by() {
        let peer = peer(Http, "destination.added.url");
        let words = remedy(401, &peer).unwrap();
        assert!(words.contains("destination.added.url and destination.secret"), "{words}");
        let words = remedy(401, &Peer { kind: Segment, address: "destination.base_url", ..peer }).unwrap();
        assert!(words.contains("destination.base_url") && !words.contains("region"), "{words}");
        let words = remedy(401, &Peer { has_auth: true, ..peer }).unwrap();
        assert!(words.contains("check destination.auth") && !words.contains("destination.secret"), "{words}");
    }

    #[test]
    fn the_guides_troubleshooting_is_said_of_trailspark() {
        let peer = peer(Trailspark, "destination.subdomain");
        let words = remedy(403, &peer).unwrap();
        assert!(words.contains("was not created with the Product Org Updates endpoint type"), "{words}");
        assert!(words.contains("Settings > API Keys"), "{words}");
        let said = explained(400, "missing productOrgId".to_owned(), &peer);
        assert!(said.starts_with("missing productOrgId; the Product Org ID path"), "{said}");
        assert_eq!(explained(400, "bad JSON".to_owned(), &peer), "bad JSON");
        assert_eq!(explained(400, "missing productOrgId".to_owned(), &Peer::plain()), "missing productOrgId");
    }
}

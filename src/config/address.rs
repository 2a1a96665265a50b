//! Addresses as people write them.

use crate::job::document::Document;
use crate::job::problem::Fault;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// `127.0.0.1:8080`
pub(super) fn socket(text: &str) -> Result<SocketAddr, Fault> {
    let wrong = |_| {
        Fault::new(format!("`{text}` is not an address")).hint("IP and port, such as `127.0.0.1:8080` or `[::]:8080`")
    };
    text.parse().map_err(wrong)
}

/// `10.0.0.0/8`, or a single address.
fn network(text: &str) -> Result<IpNet, Fault> {
    let single = |ip: IpAddr| IpNet::from(ip.to_canonical());
    text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(single)).map(|network| network.trunc()).map_err(|_| {
        Fault::new(format!("`{text}` is neither an address nor a network"))
            .hint("such as `10.0.0.0/8`, `192.168.1.4` or `fd00::/8`")
    })
}

/// Several of them; `None`: something was reported.
pub(super) fn networks(doc: &mut Document<'_>, path: &str, written: &[String]) -> Option<Vec<IpNet>> {
    let all = written.iter().enumerate().map(|(index, one)| doc.accept(&format!("{path}[{index}]"), network(one)));
    // All are looked at before the first bad one ends it.
    let all: Vec<Option<IpNet>> = all.collect();
    all.into_iter().collect()
}

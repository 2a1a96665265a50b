//! Host names to addresses, without those that are refused.
//!
//! The check stands here and not before the request, because between a check and the connection a name may come to mean
//! something else; what is returned here is what is connected to.

use super::blocked::Blocked;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::SocketAddr;
use std::sync::Arc;

/// The system's resolver behind the rules of a job.
#[derive(Debug)]
pub(super) struct Resolver {
    blocked: Arc<Blocked>,
}

/// All that a name stands for is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the host name stands for {address}, which is {reason}")]
pub(super) struct Forbidden {
    pub(super) address: std::net::IpAddr,
    pub(super) reason: &'static str,
}

impl Resolver {
    pub(super) fn new(blocked: Arc<Blocked>) -> Self {
        Resolver { blocked }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let blocked = Arc::clone(&self.blocked);
        Box::pin(async move {
            // The port is put in by the connector.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let usable: Vec<SocketAddr> = usable(&blocked, found)?;
            Ok(Box::new(usable.into_iter()) as Addrs)
        })
    }
}

/// The addresses that may be connected to. A name may have others besides: `.local` names commonly have a link-local one.
fn usable(blocked: &Blocked, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Forbidden> {
    let mut refused = None;
    let mut usable = Vec::new();
    for address in found {
        match blocked.reason(address.ip()) {
            None => usable.push(address),
            Some(reason) => refused = refused.or(Some(Forbidden { address: address.ip(), reason })),
        }
    }
    match refused {
        Some(refused) if usable.is_empty() => Err(refused),
        _ => Ok(usable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: &[&str], expected: Result<&[&str], &str>) {
        let parse = |all: &[&str]| all.iter().map(|a| SocketAddr::new(a.parse().unwrap(), 0)).collect::<Vec<_>>();
        let usable = usable(&Blocked::default(), parse(found).into_iter());
        match expected {
            Ok(expected) => assert_eq!(usable, Ok(parse(expected))),
            Err(expected) => assert_eq!(usable.unwrap_err().to_string(), expected),
        }
    }

    #[test]
    fn only_usable_addresses_are_handed_on() {
        check(&["127.0.0.1", "::1"], Ok(&["127.0.0.1", "::1"]));
        check(&["fe80::1", "192.168.1.5"], Ok(&["192.168.1.5"]));
        check(&[], Ok(&[]));
        let metadata = "the host name stands for 169.254.169.254, which is a cloud's metadata service";
        check(&["169.254.169.254", "fe80::1"], Err(metadata));
    }

    #[tokio::test]
    async fn names_are_looked_up_by_the_system() {
        let lookup = |allowed: bool| {
            let net = if allowed { vec!["0.0.0.0/0".parse().unwrap()] } else { Vec::new() };
            Resolver::new(Arc::new(Blocked::but_for(&net))).resolve("0.0.0.0".parse().unwrap())
        };
        let error = lookup(false).await.err().unwrap();
        assert_eq!(error.downcast_ref::<Forbidden>().unwrap().reason, "unspecified");
        assert_eq!(lookup(true).await.unwrap().count(), 1);
    }
}

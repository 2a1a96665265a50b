//! Addresses that a webhook has no business at. Pure.
//!
//! Whoever can write a job file, or answer for a host name in it, must not be able to make Nightmark talk to the metadata
//! service of its own machine and carry the answer into a report. Loopback and private networks are *not* refused:
//! self-hosted destinations stand there.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is refused and what the job allows of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Blocked {
    allowed: Vec<IpNet>,
    /// For tests: names lead to hardly any refused address on a machine without a network.
    #[cfg(test)]
    pub(super) also: Vec<IpNet>,
}

impl Blocked {
    pub(super) fn but_for(allowed: &[IpNet]) -> Self {
        Blocked {
            allowed: allowed.to_vec(),
            #[cfg(test)]
            also: Vec::new(),
        }
    }

    /// Why `address` is refused; `None`: it may be connected to.
    pub(super) fn reason(&self, address: IpAddr) -> Option<&'static str> {
        if self.allows(address) {
            return None;
        }
        #[cfg(test)]
        if self.also.iter().any(|net| net.contains(&address)) {
            return Some("refused by a test");
        }
        let refused = |address: IpAddr| special(address).filter(|_| !self.allows(address));
        match address {
            IpAddr::V4(_) => refused(address),
            IpAddr::V6(v6) => {
                let embedded = embedded(v6).map(IpAddr::V4);
                std::iter::once(address).chain(embedded).find_map(refused)
            }
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        self.allowed.iter().any(|net| net.contains(&address))
    }
}

/// Documented addresses of metadata services outside the link-local range, which holds the others.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba Cloud
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle Cloud
    Ipv4Addr::new(168, 63, 129, 16),   // Azure's platform address
];
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),       // Google Cloud
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),        // Scaleway
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe), // Oracle Cloud
];

/// AWS has its instance services in fd00:ec2::/32: metadata at ::254, credentials of EKS pods at ::23, DNS at ::253, time
/// at ::123. There is no telling what will be added.
fn is_aws_local(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [0xfd00, 0xec2, ..])
}

fn special(address: IpAddr) -> Option<&'static str> {
    let of = |is: bool, what| is.then_some(what);
    match address {
        IpAddr::V4(v4) => of(METADATA_V4.contains(&v4), "a cloud's metadata service")
            .or(of(v4 == Ipv4Addr::new(169, 254, 169, 254), "a cloud's metadata service"))
            .or(of(v4.is_link_local(), "link-local"))
            // All of 0.0.0.0/8 means "this network" (RFC 1122, 3.2.1.3); the system takes 0.0.0.0 for itself.
            .or(of(v4.octets()[0] == 0, "unspecified"))
            .or(of(v4.is_multicast(), "multicast"))
            .or(of(v4.is_broadcast(), "broadcast")),
        IpAddr::V6(v6) => of(METADATA_V6.contains(&v6) || is_aws_local(v6), "a cloud's metadata service")
            .or(of(v6.is_unicast_link_local(), "link-local"))
            .or(of(v6.is_unspecified(), "unspecified"))
            .or(of(v6.is_multicast(), "multicast")),
    }
}

/// The IPv4 address that a gateway or the system itself would make of an IPv6 one.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    let last = v4(s[6], s[7]);
    match s {
        // Loopback and unspecified are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // IPv4-compatible and IPv4-mapped (RFC 4291, 2.5.5), IPv4-translated (RFC 2765).
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => Some(last),
        // NAT64: the well-known prefix, and the local ones with the address at the end or behind 48 bits (RFC 6052, 2.2).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(last),
        [0x64, 0xff9b, 1, high, middle, low, 0, 0] => Some(v4(high, (middle & 0xff) << 8 | low >> 8)),
        [0x64, 0xff9b, 1, ..] => Some(last),
        // 6to4 (RFC 3056) and Teredo, which inverts the address (RFC 4380).
        [0x2002, high, low, ..] => Some(v4(high, low)),
        [0x2001, 0, ..] => Some(v4(!s[6], !s[7])),
        // ISATAP (RFC 5214).
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => Some(last),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, allowed: &[&str], expected: Option<&str>) {
        let nets: Vec<IpNet> = allowed.iter().map(|net| net.parse().unwrap()).collect();
        assert_eq!(Blocked::but_for(&nets).reason(address.parse().unwrap()), expected, "{address} {allowed:?}");
    }

    #[test]
    fn self_hosted_and_public_destinations_are_allowed() {
        for address in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "8.8.8.8",
            "169.253.255.255",
            "169.255.0.0",
            "1.0.0.0",
            "223.255.255.255",
            "240.0.0.1",
            "::1",
            "fd00::1",
            "fd00:ec1:ffff::1",
            "fd00:ec3::1",
            "fd00:c1::1",
            "fec0::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
            "64:ff9b:1:a00:0:100::",
            "fe7f::1",
            "2001:4860:4860::8888",
        ] {
            check(address, &[], None);
        }
    }

    #[test]
    fn what_no_destination_has_is_refused_in_every_form() {
        let (metadata, local) = (Some("a cloud's metadata service"), Some("link-local"));
        for (address, expected) in [
            ("169.254.169.254", metadata),
            ("169.254.0.0", local),
            ("169.254.255.255", local),
            ("100.100.100.200", metadata),
            ("192.0.0.192", metadata),
            ("168.63.129.16", metadata),
            ("fd00:ec2::254", metadata),
            ("fd00:ec2::23", metadata),
            ("fd00:ec2:ffff:ffff:ffff:ffff:ffff:ffff", metadata),
            ("fd00:c1::a9fe:a9fe", metadata),
            ("fd20:ce::254", metadata),
            ("fd00:42::42", metadata),
            ("fe80::1", local),
            ("febf:ffff::1", local),
            ("0.0.0.0", Some("unspecified")),
            ("0.1.2.3", Some("unspecified")),
            ("::", Some("unspecified")),
            ("224.0.0.1", Some("multicast")),
            ("239.255.255.255", Some("multicast")),
            ("ff02::1", Some("multicast")),
            ("255.255.255.255", Some("broadcast")),
            ("::ffff:169.254.169.254", metadata),
            ("::ffff:0:169.254.169.254", metadata),
            ("::169.254.169.254", metadata),
            ("::ffff:0.0.0.0", Some("unspecified")),
            ("64:ff9b::169.254.169.254", metadata),
            ("64:ff9b:1::169.254.169.254", metadata),
            ("64:ff9b:1:a9fe:a9:fe00::", metadata),
            ("2002:a9fe:a9fe::1", metadata),
            ("2001:0:1:2:3:4:5601:5601", metadata),
            ("fd12::5efe:169.254.169.254", metadata),
            ("2001:db8::200:5efe:169.254.1.1", local),
        ] {
            check(address, &[], expected);
        }
    }

    #[test]
    fn a_job_allows_what_it_names_and_nothing_else() {
        for (address, allowed, expected) in [
            ("169.254.10.7", &["169.254.10.0/24"][..], None),
            ("169.254.11.7", &["169.254.10.0/24"], Some("link-local")),
            ("169.254.10.7", &["10.0.0.0/8", "169.254.10.7/32"], None),
            ("::ffff:169.254.10.7", &["169.254.10.0/24"], None),
            ("fe80::1", &["169.254.0.0/16"], Some("link-local")),
            ("fe80::1", &["fe80::/10"], None),
            ("2002:a9fe:a9fe::1", &["2002::/16"], None),
            ("fd00:ec2::23", &["fd00:ec2::23/128"], None),
            ("fd00:ec2::24", &["fd00:ec2::23/128"], Some("a cloud's metadata service")),
        ] {
            check(address, allowed, expected);
        }
    }
}

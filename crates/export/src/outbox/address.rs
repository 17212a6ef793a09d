//! Which addresses a message may go to, checked after names are looked up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Addresses messages may go to: those of the public internet, and some that are allowed.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    allowed: Arc<[IpAddr]>,
}

impl Addresses {
    pub(super) fn new(allowed: Vec<IpAddr>) -> Self {
        let canonical = allowed.into_iter().map(|address| address.to_canonical());
        Self {
            allowed: canonical.collect(),
        }
    }

    fn may(&self, address: IpAddr) -> bool {
        is_public(address) || self.allowed.contains(&address.to_canonical())
    }

    /// Refuses what no try can change; names are looked up, and their addresses checked, later.
    ///
    /// Numbers in every spelling (`0x7f.1`, `2130706433`) are read as the addresses they are.
    pub(super) fn acceptable(&self, text: &str) -> Result<Url, String> {
        let url: Url = text
            .parse()
            .map_err(|error| format!("not a URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("scheme {} is not http or https", url.scheme()));
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) => return Ok(url),
            None => return Err("the URL names no host".into()),
        };
        if self.may(address) {
            return Ok(url);
        }
        Err(format!("{address} is not a public address"))
    }
}

/// Looks names up and gives only addresses a message may go to.
#[derive(Debug)]
pub(super) struct GuardedDns(Addresses);

impl GuardedDns {
    pub(super) fn new(addresses: Addresses) -> Self {
        Self(addresses)
    }
}

impl Resolve for GuardedDns {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let may = |address: &SocketAddr| addresses.may(address.ip());
            let public: Vec<_> = found.filter(may).collect();
            if public.is_empty() {
                return Err(format!("{} has no public address", name.as_str()).into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address belongs to the public internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let reserved = matches!(
        (first, second, third),
        (0 | 240.., ..) | (100, 64..=127, _) | (192, 0, 0) | (192, 88, 99) | (198, 18 | 19, _)
    );
    !(reserved
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let inner = |high: u16, low: u16| {
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // Addresses of version 4 in other clothes: mapped, translated, tunnelled.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => inner(high, low),
        // The same inside of a site: the interface's half of the address holds one of version 4.
        [_, _, _, _, 0 | 0x0200, 0x5efe, high, low] if !inner(high, low) => false,
        // All of global unicast but documentation and the protocol range with Teredo.
        [0x2001, 0x0db8 | 0..=0x01ff, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        let public = |text: &str| is_public(text.parse().unwrap());
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "203.0.113.9",
            "::127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2606:4700::5efe:7f00:1",
            "3fff::1",
            "5f00::1",
            "fec0::1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!public(text), "{text}");
        }
        for text in [
            "1.1.1.1",
            "93.184.216.34",
            "::ffff:1.1.1.1",
            "2606:4700::1111",
        ] {
            assert!(public(text), "{text}");
        }
    }
    #[test]
    fn a_number_is_refused_in_every_spelling_and_allowed_in_every_spelling() {
        let allowed = Addresses::new(vec!["127.0.0.1".parse().unwrap()]);
        let none = Addresses::new(Vec::new());
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "\u{ff11}27.0.0.1",
            "127.0.0.1.",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
        ] {
            for url in [
                format!("http://{host}/"),
                format!("https://a@{host}:8443/b"),
            ] {
                assert!(none.acceptable(&url).is_err(), "{url}");
                assert!(allowed.acceptable(&url).is_ok(), "{url}");
            }
        }
        for url in [
            "ftp://example.com",
            "file:///etc/passwd",
            "example.com",
            "http://",
        ] {
            assert!(allowed.acceptable(url).is_err(), "{url}");
        }
    }
}

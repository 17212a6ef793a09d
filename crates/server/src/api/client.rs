//! Where a request comes from and under which URL its sender knows this server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::app::App;
use crate::config;
use crate::error::ApiError;

/// The sender of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its address, as told by a trusted proxy where there is one.
    pub address: IpAddr,
    /// Base URL for links in the answer, without a trailing slash.
    pub base_url: String,
}

impl Client {
    /// Reads the headers, believing forwarded ones only of the proxies configured.
    fn read(server: &config::Server, own_url: &str, peer: IpAddr, headers: &HeaderMap) -> Self {
        let is_proxy = |address: &IpAddr| server.trusted_proxies.contains(&address.to_canonical());
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let forwarded = |name: &str| text(name).filter(|_| is_proxy(&peer));
        let path = forwarded("x-forwarded-for").unwrap_or_default();
        let mut hops = path.rsplit(',').filter_map(|hop| hop.trim().parse().ok());
        let address = hops.find(|hop| !is_proxy(hop)).unwrap_or(peer);
        let host = forwarded("x-forwarded-host").or_else(|| text("host"));
        let scheme = forwarded("x-forwarded-proto").filter(|scheme| *scheme == "https");
        let host = host.filter(|host| server.allowed_hosts.iter().any(|allowed| allowed == host));
        let base_url = match host {
            Some(host) if server.public_url.is_empty() => {
                format!("{}://{host}", scheme.unwrap_or("http"))
            }
            _ => own_url.to_owned(),
        };
        Self { address, base_url }
    }
}

impl FromRequestParts<Arc<App>> for Client {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let peer = peer.map_or(unknown, |ConnectInfo(peer)| peer.ip());
        let server = &app.config.server;
        Ok(Self::read(server, &app.public_url, peer, &parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn read(peer: &str, sent: &[(&'static str, &'static str)]) -> String {
        let mut server = Config::load(None, []).unwrap().server;
        server.trusted_proxies = vec!["10.0.0.1".parse().unwrap()];
        server.allowed_hosts = vec!["meter.example".to_owned()];
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.insert(*name, value.parse().unwrap());
        }
        let own = "http://127.0.0.1:8080";
        let client = Client::read(&server, own, peer.parse().unwrap(), &headers);
        format!("{} {}", client.address, client.base_url)
    }

    #[test]
    fn only_a_configured_proxy_is_believed() {
        let sent = [
            ("x-forwarded-for", "9.9.9.9, 192.0.2.7, 10.0.0.1"),
            ("x-forwarded-host", "meter.example"),
            ("x-forwarded-proto", "https"),
        ];
        assert_eq!(read("10.0.0.1", &sent), "192.0.2.7 https://meter.example");
        assert_eq!(read("192.0.2.9", &sent), "192.0.2.9 http://127.0.0.1:8080");
    }

    #[test]
    fn a_host_stands_in_answers_only_when_allowed() {
        let own = "192.0.2.9 http://127.0.0.1:8080";
        assert_eq!(read("192.0.2.9", &[("host", "evil.example")]), own);
        let allowed = [("host", "meter.example")];
        assert_eq!(
            read("192.0.2.9", &allowed),
            "192.0.2.9 http://meter.example"
        );
    }
}

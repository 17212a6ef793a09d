//! Section `server`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, de};
use url::Url;

/// Where the server listens and what it is called.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Folder for everything it keeps.
    pub data_dir: PathBuf,
    /// URL under which clients reach it, without a trailing slash; empty for the listener's.
    #[serde(deserialize_with = "base_url")]
    pub public_url: String,
    /// Hosts that may stand in answers in place of the listener's address.
    pub allowed_hosts: Vec<String>,
    /// Proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Seconds running requests get to finish at the end.
    pub shutdown_timeout_s: u64,
}

fn base_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(text);
    }
    let url: Url = text.parse().map_err(de::Error::custom)?;
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some() {
        let message = format!("{text:?} is no base URL: expected http:// or https:// and a host");
        return Err(de::Error::custom(message));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

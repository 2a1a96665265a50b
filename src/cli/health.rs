//! `nightmark health`: asks the daemon of this machine whether it can work. For whoever looks after it without a shell or curl: a container's
//! engine, a cluster.

use super::{Context, Exit};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than the longest answer.
const MOST: u64 = 16 * 1024;

/// Arguments of `nightmark health`.
#[derive(Debug, clap::Args)]
pub struct HealthArgs {
    /// The daemon's operator address [default: from nightmark.toml, or 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<SocketAddr>,
    /// Ask only whether the process answers (/healthz), not whether it can work (/readyz)
    #[arg(long)]
    pub alive: bool,
}

/// Runs the command: 0 if it can work, 1 if not.
///
/// # Errors
/// None: that nothing answers is the answer.
pub async fn run(context: &Context, args: HealthArgs) -> anyhow::Result<Exit> {
    let address = reachable(args.admin.unwrap_or(context.settings.admin.address));
    let path = if args.alive { "/healthz" } else { "/readyz" };
    let asked = timeout(PATIENCE, ask(address, path)).await;
    let answer = asked.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())));
    let (is_well, status) = match answer {
        Ok((200, status)) => (true, status),
        Ok((_, status)) => (false, status),
        Err(reason) => (false, format!("http://{address}{path}: {reason}")),
    };
    match (context.json, is_well) {
        (true, _) => crate::say!("{}", json!({ "healthy": is_well, "status": status })),
        (false, true) => crate::say!("{status}"),
        (false, false) => eprintln!("{status}"),
    }
    Ok(if is_well { Exit::Done } else { Exit::SomeFailed })
}

/// Where a process that listens on all addresses is reached from its own machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The status, and the word that stands in the body.
async fn ask(address: SocketAddr, path: &str) -> Result<(u16, String), String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer).await.map_err(failed)?;
    read(&String::from_utf8_lossy(&answer)).ok_or_else(|| "what answers there is not nightmark".to_owned())
}

fn read(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let body: Value = serde_json::from_str(body).ok()?;
    Some((status, body.get("status")?.as_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_reached_by_this_machines_own() {
        for (listens, asked) in
            [("0.0.0.0:8081", "127.0.0.1:8081"), ("[::]:8081", "[::1]:8081"), ("10.0.0.7:1", "10.0.0.7:1")]
        {
            assert_eq!(reachable(listens.parse().unwrap()), asked.parse().unwrap());
        }
    }

    #[test]
    fn only_an_answer_of_ours_counts() {
        let answer = |body: &str| read(&format!("HTTP/1.1 503 Service Unavailable\r\na: b\r\n\r\n{body}"));
        assert_eq!(answer("{\"status\":\"stopping\"}\n"), Some((503, "stopping".to_owned())));
        for other in ["", "ok", "{}", "{\"status\":1}"] {
            assert_eq!(answer(other), None, "{other}");
        }
        assert_eq!(read("SSH-2.0-OpenSSH_9.2\r\n\r\n"), None);
    }
}

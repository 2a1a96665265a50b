//! `nightmark health`: asks the daemon of this machine whether it can work. For whoever looks after it without a shell or curl: a container's
//! engine, a cluster.

use super::{Context, Exit};
use crate::config::TlsSettings;
use crate::server::visit;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::time::timeout;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the daemon says.
struct Answered {
    code: u16,
    status: String,
    /// What whoever looks after it should know besides.
    note: Option<String>,
}

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

/// Runs the command: 0 if it can work, 1 if not. By TLS where `[admin.tls]` is set. That the certificate is another than that of the settings is noted and no
/// more: a renewal that went wrong leaves the one before in use, and whoever restarted the daemon for it would end one that works.
///
/// # Errors
/// None: that nothing answers is the answer.
pub async fn run(context: &Context, args: HealthArgs) -> anyhow::Result<Exit> {
    let address = reachable(args.admin.unwrap_or(context.settings.admin.address));
    let path = if args.alive { "/healthz" } else { "/readyz" };
    let tls = context.settings.admin.tls.as_ref();
    let asked = timeout(PATIENCE, ask(context, address, path, tls)).await;
    let answer = asked.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())));
    let (is_well, status, note) = match answer {
        Ok(Answered { code, status, note }) => (code == 200, status, note),
        Err(reason) => {
            let scheme = if tls.is_some() { "https" } else { "http" };
            (false, format!("{scheme}://{address}{path}: {reason}"), None)
        }
    };
    match (context.json, is_well) {
        (true, _) => {
            let mut told = json!({ "healthy": is_well, "status": status });
            if let Some(note) = &note {
                told["note"] = json!(note);
            }
            crate::say!("{told}");
        }
        (false, true) => crate::say!("{status}"),
        (false, false) => eprintln!("{status}"),
    }
    if let Some(note) = note.filter(|_| !context.json) {
        eprintln!("note: {note}");
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

async fn ask(
    context: &Context,
    address: SocketAddr,
    path: &str,
    tls: Option<&TlsSettings>,
) -> Result<Answered, String> {
    let answer = visit(address, path, tls.is_some()).await.map_err(|error| match tls {
        Some(_) if error.kind() == std::io::ErrorKind::InvalidData => {
            format!("{error}; [admin.tls] is set: the daemon takes it when it is started")
        }
        _ => error.to_string(),
    })?;
    let (code, status) = read(&String::from_utf8_lossy(&answer.bytes)).ok_or_else(|| match tls {
        None => "what answers there is not nightmark, or does so by TLS alone ([admin.tls])".to_owned(),
        Some(_) => "what answers there is not nightmark".to_owned(),
    })?;
    let note = tls.zip(answer.certificate).and_then(|(tls, der)| another(context, tls, &der));
    Ok(Answered { code, status, note })
}

/// That the certificate is not the one of the settings, where that can be read.
fn another(context: &Context, tls: &TlsSettings, der: &[u8]) -> Option<String> {
    let files = super::serve::files_of(context, tls);
    let is_same = files.presents(der).unwrap_or(true);
    (!is_same).then(|| {
        format!(
            "the daemon presents another certificate than that in {}: a new one is taken within seconds, one that cannot be used never; \
             `nightmark doctor` says which it is",
            files.certificate.display()
        )
    })
}

/// The status, and the word that stands in the body.
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

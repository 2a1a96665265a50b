//! What the daemon's process needs of the system.

use super::Finding;
use crate::config::Settings;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

const AREA: &str = "process";
/// Files besides connections: the store's, listeners, those of refusals under way.
const OTHERS: usize = 192;

pub(super) fn look(settings: &Settings) -> Vec<Finding> {
    let receiver = &settings.receiver;
    let mut found = vec![files(receiver.connections)];
    found.extend(address("receiver.address", receiver.address));
    found.extend(address("admin.address", settings.admin.address));
    if settings.alerts.webhook.is_none() && settings.alerts.email.is_none() {
        let remedy = "set [alerts] in nightmark.toml (docs/OPERATIONS.md, \"Who is told\")";
        found.push(Finding::note(AREA, "alerts", "nobody is told when something goes wrong", remedy));
    }
    found
}

/// The limit in force and what so many connections need, if that is more. Linux only; elsewhere there is nothing to read.
pub fn files_missing(connections: usize) -> Option<(usize, usize)> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let needed = connections.saturating_add(OTHERS);
    open_files(&limits).filter(|limit| *limit < needed).map(|limit| (limit, needed))
}

fn files(connections: usize) -> Finding {
    match files_missing(connections) {
        None => Finding::ok(AREA, "open files", "enough for receiver.connections"),
        Some((limit, needed)) => Finding::note(
            AREA,
            "open files",
            format!("this shell allows {limit}, and receiver.connections may need {needed}"),
            "raise the limit of the daemon (`ulimit -n`, LimitNOFILE= in systemd), or lower receiver.connections",
        ),
    }
}

/// The limit in force; `None`: there is none, or it is not told.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Whether it can be listened on: the daemon may do so now.
fn address(field: &str, address: SocketAddr) -> Option<Finding> {
    let error = TcpListener::bind(address).err();
    Some(match error {
        None => Finding::ok(AREA, field, format!("{address} is free")),
        Some(error) if error.kind() == ErrorKind::AddrInUse => Finding::note(
            AREA,
            field,
            format!("{address} is in use"),
            "well, if that is the daemon; else it does not start: give it another port, or see who it is (ss -ltnp)",
        ),
        Some(error) => Finding::mend(
            AREA,
            field,
            format!("{address} cannot be listened on: {error}"),
            "give an address of this machine, and a port above 1023 unless it runs as root",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read() {
        let limits = |soft: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units\nMax processes             7823                 7823                 processes\nMax open files            {soft}                 524288               files\n"
            )
        };
        assert_eq!(open_files(&limits("1024")), Some(1024));
        assert_eq!(open_files(&limits("unlimited")), None);
        assert_eq!(open_files(""), None);
    }
}

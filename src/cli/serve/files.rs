//! How many files the process may have open: each connection is one.

/// Files besides connections: the store's, listeners, those of refusals under way.
const OTHERS: usize = 192;

/// Says so when there cannot be as many connections as the settings allow. What is missing then is not a connection's place but a
/// file, which the store may need as well.
pub(super) fn warn_if_few(connections: usize) {
    // Linux only; elsewhere there is nothing to read.
    let limit = std::fs::read_to_string("/proc/self/limits").ok().and_then(|limits| open_files(&limits));
    let needed = connections.saturating_add(OTHERS);
    if let Some(limit) = limit.filter(|limit| *limit < needed) {
        tracing::warn!(
            event = "few_files",
            limit,
            needed,
            "the process may not have enough files open for receiver.connections; raise the limit (`ulimit -n`, LimitNOFILE= in systemd) \
             or lower the setting"
        );
    }
}

/// The limit in force; `None`: there is none, or it is not told.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
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

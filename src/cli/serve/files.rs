//! How many files the process may have open: each connection is one.

use crate::doctor::files_missing;

/// Says so when there cannot be as many connections as the settings allow. What is missing then is not a connection's place but a
/// file, which the store may need as well.
pub(super) fn warn_if_few(connections: usize) {
    if let Some((limit, needed)) = files_missing(connections) {
        tracing::warn!(
            event = "few_files",
            limit,
            needed,
            "the process may not have enough files open for receiver.connections; raise the limit (`ulimit -n`, LimitNOFILE= in systemd) \
             or lower the setting"
        );
    }
}

//! How Nightmark gets onto a machine: what shells and `man` are given, the systemd unit, the image, compose, Kubernetes.
//!
//! In: the files below `docker/` and the binary. Out: a panic for each path, command, setting, port or endpoint in them that is not there, and
//! for whatever their own linters find. Deliberately absent: a container engine, a systemd that runs and a cluster; docs/INSTALL.md says
//! what only those can show.

mod man;
mod shells;

use std::process::Command;

/// A tool that `./test.sh` installs.
fn tool(program: &str, args: &[&str]) -> crate::support::Ran {
    let output = Command::new(program)
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; run ./test.sh, which installs it"));
    crate::support::ran(output)
}

//! What reading an object takes in memory: the same, however large it is.

use super::servers::{KEY_ID, SECRET, Server, Sshd};
use super::{large, sftp};
use crate::sources::{memory, write_job};
use crate::support::Home;
use std::path::Path;

/// How much more a large object may take than a small one, in KiB: less than half of what it is larger.
const MORE: u64 = 64 * 1024;

/// `file`: where the server has it. `section`: what stands in `[source]`.
#[track_caller]
fn check(file: &Path, section: &str) {
    let peak = |rows: usize| {
        std::fs::write(file, large(rows)).unwrap();
        let home = Home::new();
        home.write("secret", SECRET);
        write_job(&home, &format!("kind = \"files\"\n{section}\n"), "http://127.0.0.1:9/");
        memory::of_home(&home, rows as u64)
    };
    let (small, big) = (peak(2_000), peak(150_000));
    let bytes = file.metadata().unwrap().len();
    assert!(bytes > 2 * MORE * 1024, "{bytes} bytes");
    assert!(big < small + MORE, "{small} KiB for 2,000 rows, {big} KiB for 150,000");
}

#[test]
fn memory_does_not_grow_with_the_object() {
    let server = Server::s3();
    let section = format!(
        "path = \"s3://lake/orgs.csv\"\n[source.options]\naws_endpoint = \"http://{}\"\n\
         aws_access_key_id = \"{KEY_ID}\"\naws_secret_access_key = \"${{file:secret}}\"",
        server.address
    );
    check(&server.path("lake/orgs.csv"), &section);
}

#[test]
fn memory_does_not_grow_with_a_file_behind_http() {
    let server = Server::http(&[]);
    check(&server.path("orgs.csv"), &format!("path = \"http://{}/orgs.csv\"", server.address));
}

#[test]
fn memory_does_not_grow_with_a_file_over_sftp() {
    let sshd = Sshd::start();
    check(&sshd.path("files/orgs.csv"), &sftp::source(&sshd, sshd.port, "orgs.csv", &sftp::by_key(&sshd)));
}

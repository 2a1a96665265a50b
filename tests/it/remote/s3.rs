//! S3: rclone's server, which checks signatures.

use super::servers::{Breaking, KEY_ID, SECRET, Server};
use super::{Nights, csv, large};
use crate::faults::disk::Disk;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

pub fn source(path: &str, address: SocketAddr, more: &str) -> String {
    format!(
        "path = \"{path}\"\noptions = {{ aws_endpoint = \"http://{address}\", aws_region = \"eu-central-1\" }}\n{more}"
    )
}

/// With the usual variables.
pub fn nights(source: &str) -> Nights {
    Nights::new(source).env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET)
}

#[test]
fn objects_that_match_are_one_table() {
    let server = Server::s3();
    server.write("lake/out/orgs_1.csv", csv(&["a", "b"]));
    server.write("lake/out/orgs 2.csv", csv(&["c"]));
    server.write("lake/out/.orgs_3.csv", csv(&["hidden"]));
    server.write("lake/out/deeper/orgs_4.csv", csv(&["deeper"]));
    server.write("lake/other/orgs_5.csv", csv(&["other"]));
    let nights = nights(&source("s3://lake/out/orgs*.csv", server.address, ""));
    assert_eq!(nights.night(), ["a", "b", "c"]);
    assert_eq!(nights.night(), Vec::<String>::new());
    server.write("lake/out/orgs_1.csv", csv(&["a", "b", "d"]));
    assert_eq!(nights.night(), ["d"]);
    nights.source(&source("s3://lake/o*/**/orgs_[145].csv", server.address, ""));
    assert_eq!(nights.night(), ["deeper", "other"]);
}

#[test]
fn credentials_may_be_referred_to_in_the_job() {
    let server = Server::s3();
    server.write("lake/orgs.csv", csv(&["a"]));
    let options = format!(
        "path = \"s3://${{BUCKET}}/orgs.csv\"\n[source.options]\naws_endpoint = \"http://{}\"\naws_access_key_id = \"{KEY_ID}\"\n\
         aws_secret_access_key = \"${{LAKE_SECRET}}\"",
        server.address
    );
    let nights = Nights::new(&options).env("LAKE_SECRET", SECRET).env("BUCKET", "lake");
    assert_eq!(nights.night(), ["a"]);
    nights.source(&options.replace("${LAKE_SECRET}", "written-out"));
    nights.refuses(&["source.options.aws_secret_access_key", "must not stand in a job file"]);
    nights.source(&options.replace("http://", "http://u:planted@"));
    nights.refuses(&["source.options.aws_endpoint", "a password in `aws_endpoint` must not stand in a job file"]);
    nights.source(&format!("{options}\nproxy_url = \"http://u:planted@proxy.example:3128\"\n"));
    nights.refuses(&["source.options.proxy_url", "a password in `proxy_url`"]);
    nights.source(&options.replace("aws_access_key_id", "aws_acces_key_id"));
    nights.refuses(&["`aws_acces_key_id` is not a setting", "did you mean `aws_access_key_id`?"]);
}

#[test]
fn what_is_not_there_or_not_allowed_is_told() {
    let server = Server::s3();
    server.write("lake/orgs.csv", csv(&["a"]));
    let wrong = Nights::new(&source("s3://lake/orgs.csv", server.address, ""))
        .env("AWS_ACCESS_KEY_ID", KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", "planted-wrong-secret");
    wrong.fails(&["s3://lake/orgs.csv: access is denied", "AWS_*"]);
    let nights = nights(&source("s3://lake/gone.csv", server.address, ""));
    nights.fails(&["there is no file s3://lake/gone.csv"]);
    nights.source(&source("s3://lake/gone_*.csv", server.address, ""));
    nights.fails(&["no file matches s3://lake/gone_*.csv"]);
    nights.source(&source("s3://pond/gone_*.csv", server.address, ""));
    nights.fails(&["s3://pond", "there is no such bucket", "its name in the address"]);
    wrong.source(&source("s3://lake/gone_*.csv", server.address, ""));
    wrong.fails(&["access is denied (403 SignatureDoesNotMatch)", "s3:ListBucket"]);
    server.write("lake/orgs.csv", "workspace_id,name\na\n");
    nights.source(&source("s3://lake/orgs.csv", server.address, ""));
    nights.fails(&["s3://lake/orgs.csv, line 2"]);
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let nights = nights(&source("s3://lake/orgs.csv", address, ""));
    nights.fails(&[&format!("s3://lake/orgs.csv: nothing listens there ({address})"), "aws_endpoint"]);
    nights.source(&source("s3://lake/orgs_*.csv", address, ""));
    nights.fails(&[&format!("s3://lake/: nothing listens there ({address})")]);
    // Nor is one that an address does not name.
    let there = source("s3://lake/orgs.csv", address, "");
    nights.source(&there.replace("http://", ""));
    nights.refuses(&["source.options.aws_endpoint", "is not an address", "https://"]);
    nights.source(&there.replace(&format!("http://{address}"), "${ENDPOINT}"));
    let nights = nights.env("ENDPOINT", &address.to_string());
    nights.fails(&["the value of aws_endpoint is not an address"]);
    nights.source(&there.replace("}", ", aws_skip_signature = \"yes\" }"));
    nights.refuses(&["source.options.aws_skip_signature", "neither yes nor no", "true"]);
}

#[test]
fn a_copy_goes_on_where_the_connection_broke() {
    let server = Server::s3();
    server.write("lake/orgs.csv", large(2_000));
    let way = Breaking::new(server.address, 300_000, 3);
    let nights = nights(&source("s3://lake/orgs.csv", way.address, ""));
    assert_eq!(nights.night().len(), 2_000);
    assert!(way.connections.load(Ordering::SeqCst) >= 4, "three of them broke");
}

#[test]
fn a_connection_that_stays_broken_sends_nothing() {
    let server = Server::s3();
    server.write("lake/orgs.csv", csv(&["a"]));
    let first = nights(&source("s3://lake/orgs.csv", server.address, ""));
    assert_eq!(first.night(), ["a"]);
    server.write("lake/orgs.csv", large(2_000));
    let way = Breaking::new(server.address, 30_000, usize::MAX);
    first.source(&source("s3://lake/orgs.csv", way.address, ""));
    first.fails(&["s3://lake/orgs.csv", "bytes; nothing was read of it"]);
    first.source(&source("s3://lake/orgs.csv", server.address, ""));
    assert_eq!(first.night().len(), 2_000, "the snapshot is what it was");
}

#[test]
fn a_full_disk_is_told() {
    let server = Server::s3();
    server.write("lake/orgs.csv", large(2_000));
    let disk = Disk::new();
    disk.resize(512 << 10);
    let full = disk.seen().display().to_string();
    let nights = nights(&source("s3://lake/orgs.csv", server.address, "")).env("TMPDIR", &full);
    nights.fails(&["the disk is full", "set TMPDIR"]);
    assert_eq!(std::fs::read_dir(disk.seen()).unwrap().count(), 0);
}

#[test]
fn check_looks_at_remote_files() {
    let server = Server::s3();
    server.write("lake/orgs.csv", csv(&["a"]));
    let nights = nights(&source("s3://lake/orgs.csv", server.address, "settled = \"1h\"\nmax_age = \"2d\""));
    let checked = nights.run(&["check", "orgs"]);
    crate::support::says(&checked, &["workspace_id"]);
    assert_eq!(checked.code, 0, "a sample waits for nothing: {}{}", checked.stdout, checked.stderr);
    nights.left_nothing();
}

//! Google's store, as far as a server of S3's protocol speaks its own: the library asks Google by the interface that the two share. Google's credentials and
//! conditions of writes are not tested here.

use super::servers::Server;
use super::{Nights, csv};
use std::net::SocketAddr;

/// `more`: further lines of `[source]`.
pub fn source(address: SocketAddr, path: &str, more: &str) -> String {
    let options = format!("google_base_url = \"http://{address}\", google_bearer_token = \"${{GOOGLE_TOKEN}}\"");
    format!("path = \"{path}\"\noptions = {{ {options} }}\n{more}")
}

pub fn nights(source: &str) -> Nights {
    Nights::new(source).env("GOOGLE_TOKEN", "planted-google-token")
}

#[test]
fn objects_that_match_are_one_table() {
    let server = Server::google();
    server.write("lake/out/orgs_1.csv", csv(&["a", "b"]));
    server.write("lake/out/orgs 2.csv", csv(&["c"]));
    server.write("lake/out/deeper/orgs_4.csv", csv(&["deeper"]));
    let nights = nights(&source(server.address, "gs://lake/out/orgs*.csv", ""));
    assert_eq!(nights.night(), ["a", "b", "c"]);
    assert_eq!(nights.night(), Vec::<String>::new());
    server.write("lake/out/orgs_1.csv", csv(&["a", "b", "d"]));
    assert_eq!(nights.night(), ["d"]);
}

#[test]
fn what_is_not_there_is_told() {
    let server = Server::google();
    let nights = nights(&source(server.address, "gs://lake/gone.csv", ""));
    nights.fails(&["there is no file gs://lake/gone.csv"]);
    nights.source(&source(server.address, "gs://pond/orgs_*.csv", ""));
    nights.fails(&["gs://pond/"]);
    nights.source(&source(server.address, "gs://lake/gone.csv", "").replace("${GOOGLE_TOKEN}", "written-out"));
    nights.refuses(&["source.options.google_bearer_token", "must not stand in a job file"]);
}

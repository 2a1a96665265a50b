//! Single files behind HTTP.

use super::servers::{Breaking, Server};
use super::{Nights, csv, large};
use base64::Engine as _;

#[test]
fn a_file_behind_http_is_read() {
    let server = Server::http(&[]);
    server.write("out/all orgs.csv", csv(&["a", "b"]));
    let nights = Nights::new(&format!("path = \"http://{}/out/all%20orgs.csv?version=1\"", server.address));
    assert_eq!(nights.night(), ["a", "b"]);
    nights.source(&format!("path = \"http://{}/out/gone.csv\"", server.address));
    nights.fails(&["there is no file http://", "/out/gone.csv"]);
}

#[test]
fn what_the_address_asks_for_stays_secret() {
    let token = base64::engine::general_purpose::STANDARD.encode("u:planted-password");
    let server = Server::http(&["--user", "u", "--pass", "planted-password"]);
    server.write("orgs.csv", csv(&["a"]));
    let source = format!("path = \"http://{}/orgs.csv?sig=${{SIG}}\"\n", server.address);
    let options = "options = { authorization = \"Basic ${TOKEN}\" }";
    let nights = Nights::new(&source).env("TOKEN", &token).env("SIG", "planted-sig");
    nights.fails(&["401"]);
    nights.source(&format!("{source}{options}"));
    assert_eq!(nights.night(), ["a"]);
    nights.source(&source.replace("${SIG}", "written-out"));
    nights.refuses(&["the value of `sig` in the address is a secret"]);
    nights.source(&source.replace("http://", "http://u:p@"));
    nights.refuses(&["must not stand in the address"]);
    nights.source(&source.replace("orgs.csv", "orgs_*.csv"));
    nights.refuses(&["over HTTP there is no list of files"]);
}

#[test]
fn a_copy_over_http_goes_on_where_it_broke() {
    let server = Server::http(&[]);
    server.write("orgs.csv", large(2_000));
    let way = Breaking::new(server.address, 300_000, 3);
    let nights = Nights::new(&format!("path = \"http://{}/orgs.csv\"", way.address));
    assert_eq!(nights.night().len(), 2_000);
}

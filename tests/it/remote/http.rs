//! Single files behind HTTP.

use super::servers::{Breaking, Server};
use super::{Nights, csv, large};
use base64::Engine as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

/// A server that answers everything with this, and the heads of the requests that it has had.
fn answering(answer: String) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let lines = BufReader::new(client.try_clone().unwrap()).lines().map(Result::unwrap);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            seen.lock().unwrap().push(head.join("\n"));
            let _ = client.write_all(answer.as_bytes());
        }
    });
    (address, heads)
}

#[test]
fn a_file_behind_http_is_read() {
    let server = Server::http(&[]);
    server.write("out/all orgs.csv", csv(&["a", "b"]));
    let nights = Nights::new(&format!("path = \"http://{}/out/all%20orgs.csv?version=1\"", server.address));
    assert_eq!(nights.night(), ["a", "b"]);
    nights.source(&format!("path = \"http://{}/out/gone.csv\"", server.address));
    nights.fails(&["there is no file http://", "/out/gone.csv"]);
    server.write("out/login.csv", "\n<!DOCTYPE html>\n<title>Login</title>\n");
    nights.source(&format!("path = \"http://{}/out/login.csv\"", server.address));
    nights.fails(&["/out/login.csv is a page (HTML)", "authorization"]);
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

/// Nothing tells versions apart, so that each attempt begins anew; that is no reason to go on for ever.
#[test]
fn a_connection_over_http_that_stays_broken_sends_nothing() {
    let part = csv(&["a"]);
    let (server, told) =
        answering(format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n{part}"));
    let nights = Nights::new(&format!("path = \"http://{server}/orgs.csv\""));
    nights.fails(&["/orgs.csv", "of 100000 bytes; nothing was read of it"]);
    assert!(!nights.home.path("snapshots/orgs/manifest.json").exists(), "nothing was published");
    let asked = told.lock().unwrap().len();
    assert!((3..=10).contains(&asked), "{asked} requests");
}

/// A server may send us on to another, which learns nothing of what the first was told.
#[test]
fn what_is_secret_stays_with_the_first_server() {
    let content = csv(&["a"]);
    let found = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{content}", content.len());
    let (other, told_other) = answering(found);
    let sent_on = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{other}/elsewhere.csv\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let (first, told_first) = answering(sent_on);
    let source = format!(
        "path = \"http://{first}/orgs.csv?sig=${{SIG}}\"\noptions = {{ authorization = \"Bearer ${{TOKEN}}\" }}"
    );
    let nights = Nights::new(&source).env("SIG", "planted-sig").env("TOKEN", "planted-token");
    assert_eq!(nights.night(), ["a"]);
    let (first, other) = (told_first.lock().unwrap().join("\n"), told_other.lock().unwrap().join("\n"));
    assert!(first.contains("planted-sig") && first.contains("planted-token"), "{first}");
    assert!(other.contains("/elsewhere.csv") && !other.contains("planted"), "{other}");
}

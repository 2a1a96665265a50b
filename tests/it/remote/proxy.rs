//! `proxy_url`: a proxy of HTTP between us and the files.

use super::servers::{KEY_ID, SECRET, Server};
use super::{Nights, csv};
use crate::delivery::pki::Ca;
use base64::Engine as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

const PASSWORD: &str = "planted/proxy@pass";

/// A proxy that knows one user, `me`, and resolves every name as one server: those that are asked for exist nowhere.
struct Proxy {
    address: SocketAddr,
    /// The first line of each request that it let through, and those that it refused.
    let_through: Arc<Mutex<Vec<String>>>,
    refused: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(to: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (let_through, refused) = (Arc::default(), Arc::default());
        let (passed, others) = (Arc::clone(&let_through), Arc::clone(&refused));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (passed, others) = (Arc::clone(&passed), Arc::clone(&others));
                std::thread::spawn(move || serve(client.unwrap(), to, &passed, &others));
            }
        });
        Proxy { address, let_through, refused }
    }

    /// The setting, with the password of the environment.
    fn setting(&self) -> String {
        format!("proxy_url = \"http://me:${{PROXY_PASSWORD}}@{}\"", self.address)
    }

    fn let_through(&self) -> Vec<String> {
        std::mem::take(&mut self.let_through.lock().unwrap())
    }
}

/// One request on a connection, as `Connection: close` has it; or a tunnel.
fn serve(client: TcpStream, to: SocketAddr, passed: &Mutex<Vec<String>>, refused: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let mut head = Vec::new();
    while let Some(line) = (&mut reader).lines().map_while(Result::ok).next().filter(|line| !line.is_empty()) {
        head.push(line);
    }
    let Some(first) = head.first().cloned() else { return };
    let (mut back, name) = (client, |line: &str| line.split(':').next().unwrap_or_default().to_ascii_lowercase());
    let credentials = base64::engine::general_purpose::STANDARD.encode(format!("me:{PASSWORD}"));
    let authorization = head.iter().find(|line| name(line) == "proxy-authorization");
    if authorization.is_none_or(|line| !line.ends_with(&format!("Basic {credentials}"))) {
        refused.lock().unwrap().push(first);
        let _ = back.write_all(
            b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
        return;
    }
    passed.lock().unwrap().push(first.clone());
    let mut server = TcpStream::connect(to).unwrap();
    if first.starts_with("CONNECT ") {
        back.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    } else {
        let (method, rest) = first.split_once(" http://").expect("a request in full");
        let path = rest.find('/').map_or("/ HTTP/1.1", |at| &rest[at..]);
        let kept =
            head.iter().skip(1).filter(|line| !matches!(name(line).as_str(), "proxy-authorization" | "connection"));
        let kept: String = kept.map(|line| format!("{line}\r\n")).collect();
        write!(server, "{method} {path}\r\n{kept}Connection: close\r\n\r\n").unwrap();
    }
    let mut onward = server.try_clone().unwrap();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut reader, &mut onward);
        let _ = onward.shutdown(Shutdown::Write);
    });
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = server.read(&mut piece) {
        if back.write_all(&piece[..read]).is_err() {
            break;
        }
    }
    let _ = back.shutdown(Shutdown::Both);
}

#[test]
fn files_behind_http_are_had_through_the_proxy_alone() {
    let server = Server::http(&[]);
    server.write("out/orgs.csv", csv(&["a", "b"]));
    let proxy = Proxy::start(server.address);
    let source = |setting: &str| format!("path = \"http://files.invalid/out/orgs.csv\"\noptions = {{ {setting} }}");
    let nights = Nights::new(&source(&proxy.setting())).env("PROXY_PASSWORD", PASSWORD);
    assert_eq!(nights.night(), ["a", "b"]);
    let asked = proxy.let_through();
    assert!(
        !asked.is_empty() && asked.iter().all(|line| line == "GET http://files.invalid/out/orgs.csv HTTP/1.1"),
        "{asked:?}"
    );
    // One that is not there, and without one.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    nights.source(&source(&format!("proxy_url = \"http://me:${{PROXY_PASSWORD}}@{gone}\"")));
    nights.fails(&["files.invalid"]);
    nights.source("path = \"http://files.invalid/out/orgs.csv\"");
    nights.fails(&["files.invalid"]);
    assert_eq!(proxy.let_through(), Vec::<String>::new());
}

#[test]
fn a_proxy_that_wants_other_credentials_is_told_without_them() {
    let server = Server::http(&[]);
    server.write("orgs.csv", csv(&["a"]));
    let proxy = Proxy::start(server.address);
    let of = |path: &str| {
        let source = format!("path = \"{path}\"\noptions = {{ {} }}", proxy.setting());
        Nights::new(&source).env("PROXY_PASSWORD", "planted-wrong")
    };
    of("http://files.invalid/orgs.csv").fails(&["407", "in `proxy_url`"]);
    of("https://files.invalid/orgs.csv").fails(&["in `proxy_url`"]);
    assert_eq!(proxy.let_through(), Vec::<String>::new());
    let refused = proxy.refused.lock().unwrap().clone();
    assert!(refused.iter().any(|line| line.starts_with("CONNECT files.invalid:443 ")), "{refused:?}");
    // What is written out is refused before anybody is asked.
    let nights = of("http://files.invalid/orgs.csv");
    nights.source(&format!(
        "path = \"http://files.invalid/orgs.csv\"\noptions = {{ proxy_url = \"http://me:written-out@{}\" }}",
        proxy.address
    ));
    nights.refuses(&["a password in `proxy_url` must not stand in a job file"]);
}

#[test]
fn https_goes_through_a_tunnel() {
    let ca = Ca::new();
    let server = Server::http(&[]);
    server.write("orgs.csv", csv(&["a"]));
    let acceptor = ca.acceptor("files.invalid", 2099, &[]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let front = listener.local_addr().unwrap();
    let behind = server.address;
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(stream).await else { return };
                let mut plain = tokio::net::TcpStream::connect(behind).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut tls, &mut plain).await;
            });
        }
    });
    let proxy = Proxy::start(front);
    let options = format!("authorization = \"Bearer ${{TOKEN}}\", {}", proxy.setting());
    let nights = Nights::new(&format!("path = \"https://files.invalid/orgs.csv\"\noptions = {{ {options} }}"));
    let nights = nights.env("PROXY_PASSWORD", PASSWORD).env("TOKEN", "planted-token");
    nights.home.write("ca.pem", &ca.pem);
    let authority = nights.home.path("ca.pem").display().to_string();
    let nights = nights.env("SSL_CERT_FILE", &authority);
    assert_eq!(nights.night(), ["a"]);
    let asked = proxy.let_through();
    // What is asked for, and the token, are none of the proxy's business.
    assert!(!asked.is_empty() && asked.iter().all(|line| line == "CONNECT files.invalid:443 HTTP/1.1"), "{asked:?}");
    runtime.shutdown_background();
}

#[test]
fn object_stores_are_had_through_the_proxy() {
    let server = Server::s3();
    server.write("lake/out/orgs_1.csv", csv(&["a"]));
    server.write("lake/out/orgs_2.csv", csv(&["b"]));
    let proxy = Proxy::start(server.address);
    let options = format!("aws_endpoint = \"http://s3.invalid\", {}", proxy.setting());
    let nights = Nights::new(&format!("path = \"s3://lake/out/orgs_*.csv\"\noptions = {{ {options} }}"));
    let nights = nights.env("PROXY_PASSWORD", PASSWORD);
    let nights = nights.env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET);
    assert_eq!(nights.night(), ["a", "b"]);
    let asked = proxy.let_through();
    assert!(asked.iter().any(|line| line.contains(" http://s3.invalid/lake?")), "{asked:?}");
    assert!(asked.iter().any(|line| line.contains(" http://s3.invalid/lake/out/orgs_2.csv")), "{asked:?}");
    // A wrong password is not a way around it.
    nights.env("PROXY_PASSWORD", "planted-wrong").fails(&["s3://lake"]);
    assert_eq!(proxy.let_through(), Vec::<String>::new());
}

//! Proxies: those that the job names, and no others.

use super::pki::Ca;
use super::server::{Server, header, status};
use super::tls::{ca_file, front};
use super::{Case, from_env, literal};
use crate::support::{Destination, Home};
use nightmark::deliver::{FailureKind, Summary};
use nightmark::receipt::Outcome;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// `me` and `p/ssword`, as RFC 7617 has it.
const CREDENTIALS: &str = "Basic bWU6cC9zc3dvcmQ=";

fn through(case: &mut Case, port: u16) {
    case.destination.proxy = Some(from_env());
    case.resolved.proxy = Some(format!("http://me:p%2Fssword@127.0.0.1:{port}").into());
}

#[tokio::test]
async fn plain_requests_go_to_the_proxy_in_full() {
    let server = Server::start(|_| status(200)).await;
    // Names are the proxy's to resolve: this one does not exist.
    let mut case = Case::at("http://destination.invalid/hook");
    through(&mut case, server.addr.port());
    assert_eq!(case.send(1).await.acknowledged, 1);
    let seen = &server.seen()[0];
    assert_eq!(seen.line, "POST http://destination.invalid/hook HTTP/1.1");
    assert_eq!(
        (seen.headers["host"].as_str(), seen.headers["proxy-authorization"].as_str()),
        ("destination.invalid", CREDENTIALS)
    );
}

#[tokio::test]
async fn a_proxy_that_wants_other_credentials_is_a_config_fault() {
    let server = Server::start(|_| header(407, "proxy-authenticate", "Basic")).await;
    let mut case = Case::at("http://destination.invalid/hook");
    through(&mut case, server.addr.port());
    let stopped = case.send(2).await.stopped.unwrap();
    assert!(stopped.remedy.contains("destination.proxy"), "{stopped:?}");
}

/// A proxy that answers CONNECT with `answer`, and goes on to the destination if that is a success. What it was asked.
async fn tunnel(answer: &'static str, to: Option<u16>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, asked) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<String>>>::default());
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            log.lock().unwrap().push(String::from_utf8(head).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
            let Some(port) = to else { continue };
            let mut behind = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stream, &mut behind).await });
        }
    });
    (port, asked)
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let ca = Ca::new();
    let (server, behind) = front(ca.acceptor("destination.invalid", 2099, &[])).await;
    let (port, asked) = tunnel("HTTP/1.1 200 OK\r\n\r\n", Some(behind)).await;
    let (_dir, path) = ca_file(&[&ca]);
    let mut case = Case::at("https://destination.invalid/hook/KEY");
    case.destination.ca_file = Some(path);
    through(&mut case, port);
    assert_eq!(case.send(1).await.acknowledged, 1);
    assert_eq!(server.seen()[0].line, "POST /hook/KEY HTTP/1.1");
    assert!(!server.seen()[0].headers.contains_key("proxy-authorization"), "that is between us and the proxy");
    let asked = asked.lock().unwrap().concat();
    assert!(asked.starts_with("CONNECT destination.invalid:443 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.to_lowercase().contains(&format!("proxy-authorization: {CREDENTIALS}").to_lowercase()), "{asked}");
    assert!(!asked.contains("KEY"), "{asked}");
}

#[tokio::test]
async fn a_tunnel_that_does_not_come_about_has_sent_nothing() {
    let ca = Ca::new();
    for (answer, detail) in [
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "makes no connection to destination.invalid:443"),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "makes no connection to destination.invalid:443"),
        ("HTTP/1.1 407 Who\r\n\r\n", "wants a user name and a password, or others"),
        ("garbage\r\n\r\n", "makes no connection"),
        ("", "makes no connection"),
    ] {
        let (port, _) = tunnel(answer, None).await;
        let (_dir, path) = ca_file(&[&ca]);
        let mut case = Case::at("https://destination.invalid/hook").attempts(2);
        case.destination.ca_file = Some(path);
        through(&mut case, port);
        let summary: Summary = case.send(1).await;
        if answer.contains("407") {
            let stopped = summary.stopped.unwrap();
            assert!(stopped.reason.contains(detail) && stopped.remedy.contains("destination.proxy"), "{stopped:?}");
            assert!(case.receipts().is_empty(), "{answer}");
            continue;
        }
        assert_eq!(case.only_receipt(), (Outcome::Refused, None, 2), "{answer}");
        let failed = &summary.failures[0];
        assert_eq!(failed.kind, FailureKind::NotDelivered, "{answer}");
        assert!(
            failed.detail.contains(detail) && failed.detail.contains(&format!("the proxy 127.0.0.1:{port}")),
            "{failed:?}"
        );
        assert!(!failed.detail.contains("ssword"), "{failed:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let ca = Ca::new();
    let (_dir, path) = ca_file(&[&ca]);
    for url in ["http://destination.invalid/hook", "https://destination.invalid/hook"] {
        let mut case = Case::at(url).attempts(1);
        case.destination.url = literal(url);
        case.destination.ca_file = Some(path.clone());
        through(&mut case, port);
        let summary = case.send(1).await;
        assert_eq!(case.only_receipt(), (Outcome::Refused, None, 1), "{url}");
        let expected = format!("no connection to the proxy 127.0.0.1:{port} (connection refused)");
        assert!(summary.failures[0].detail.starts_with(&expected), "{:?}", summary.failures);
    }
}

#[test]
fn proxies_of_the_environment_are_never_taken() {
    let (destination, proxy) = (Destination::start(), Destination::start());
    let home = Home::new();
    let url = format!("http://{}/hook", destination.address);
    home.write("jobs/orgs.toml", &format!(
        "version = 1\n[source]\nkind = \"files\"\npath = \"orgs.csv\"\n[diff]\nkey = \"workspace_id\"\n[destination]\n\
         kind = \"http\"\nurl = \"{url}\"\n[payload]\npreset = \"flat\"\n"
    ));
    home.write("orgs.csv", "workspace_id,plan\na,pro\n");
    let mut command = home.command(&["run", "orgs"]);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(name, format!("http://{}", proxy.address));
    }
    crate::support::ran(command.env_remove("NO_PROXY").env_remove("no_proxy").output().unwrap()).expect(0);
    assert_eq!((destination.take_orgs(), proxy.take_orgs()), (vec!["a".to_owned()], Vec::new()));
}

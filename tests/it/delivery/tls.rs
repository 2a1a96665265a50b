//! Whose certificates are believed, and what becomes of a handshake that fails.

use super::pki::Ca;
use super::server::{Server, status};
use super::{Case, MS};
use nightmark::deliver::FailureKind;
use nightmark::receipt::Outcome;
use std::path::PathBuf;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const IN_FUTURE: i32 = 2099;

/// A TLS server in front of one that answers 200, and its port.
pub async fn front(acceptor: TlsAcceptor) -> (Server, u16) {
    let server = Server::start(|_| status(200)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, behind) = (listener.local_addr().unwrap().port(), server.addr);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(stream).await else { return };
                let mut plain = tokio::net::TcpStream::connect(behind).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut tls, &mut plain).await;
            });
        }
    });
    (server, port)
}

/// A file with these certificates, which goes with the folder.
pub fn ca_file(authorities: &[&Ca]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    std::fs::write(&path, authorities.iter().map(|ca| ca.pem.as_str()).collect::<Vec<_>>().join("a comment\n"))
        .unwrap();
    (dir, path)
}

#[tokio::test]
async fn a_private_ca_is_believed_where_the_job_names_it_and_only_there() {
    let [ca, other] = [Ca::new(), Ca::new()];
    let (server, port) = front(ca.acceptor("localhost", IN_FUTURE, &[])).await;
    for (authorities, believed) in [(vec![&ca], true), (vec![&other, &ca], true), (vec![&other], false)] {
        let (_dir, path) = ca_file(&authorities);
        let mut case = Case::at(&format!("https://localhost:{port}/hook"));
        case.destination.ca_file = Some(path);
        let summary = case.send(2).await;
        if believed {
            assert_eq!((summary.acknowledged, server.seen().len()), (2, 2), "{summary:?}");
        } else {
            let stopped = summary.stopped.unwrap();
            assert!(stopped.reason.starts_with("TLS: invalid peer certificate: UnknownIssuer"), "{}", stopped.reason);
            assert!(stopped.remedy.contains("destination.ca_file"), "{}", stopped.remedy);
            assert_eq!((summary.acknowledged + summary.refused + summary.unknown, case.receipts().len()), (0, 0));
        }
        server.forget();
    }
}

#[tokio::test]
async fn a_certificate_of_another_host_or_of_the_past_is_a_config_fault() {
    let ca = Ca::new();
    for (name, year, reason) in
        [("other.example", IN_FUTURE, "not valid for name"), ("localhost", 2001, "certificate expired")]
    {
        let (server, port) = front(ca.acceptor(name, year, &[])).await;
        let (_dir, path) = ca_file(&[&ca]);
        let mut case = Case::at(&format!("https://localhost:{port}/hook"));
        case.destination.ca_file = Some(path);
        let summary = case.send(2).await;
        let stopped = summary.stopped.unwrap();
        assert!(stopped.reason.starts_with("TLS: ") && stopped.reason.contains(reason), "{}", stopped.reason);
        assert!(case.receipts().is_empty() && server.seen().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_within_the_handshake_has_sent_nothing() {
    for reset in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                if reset {
                    stream.set_zero_linger().unwrap();
                }
            }
        });
        let ca = Ca::new();
        let (_dir, path) = ca_file(&[&ca]);
        let mut case = Case::at(&format!("https://localhost:{port}/hook")).attempts(2);
        case.destination.ca_file = Some(path);
        case.destination.retry.base = MS;
        let summary = case.send(1).await;
        assert_eq!(case.only_receipt(), (Outcome::Refused, None, 2), "{summary:?}");
        assert_eq!(summary.failures[0].kind, FailureKind::NotDelivered, "{summary:?}");
    }
}

//! TLS: by our own client and by curl; a certificate that is replaced while it is served; handshakes that never end.

use super::raw::{Raw, post, update};
use super::server::{Key, Server};
use crate::support::{Home, Served, signal};
use nightmark::receiver;
use nightmark::server::{Options, Tls, TlsFiles};
use rcgen::generate_simple_self_signed;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A certificate for localhost, and its key.
struct Made {
    certificate: String,
    key: String,
}

fn made() -> Made {
    let made = generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    Made { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

fn put(dir: &Path, made: &Made) -> TlsFiles {
    let files = TlsFiles { certificate: dir.join("cert.pem"), key: dir.join("key.pem") };
    std::fs::write(&files.certificate, &made.certificate).unwrap();
    std::fs::write(&files.key, &made.key).unwrap();
    files
}

/// A client that trusts this certificate alone.
async fn connect(
    address: SocketAddr,
    trusted: &Made,
    protocols: &[&str],
) -> std::io::Result<Raw<TlsStream<TcpStream>>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.certificate.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    Ok(Raw::over(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
}

async fn start(made: &Made, options: Options) -> (Server, Key, Arc<Tls>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let tls = Arc::new(Tls::load(put(dir.path(), made)).unwrap());
    let rates = receiver::Options::default().without_rates();
    let server = Server::start_with(rates, options, Some(Arc::clone(&tls))).await;
    let key = server.flat_key().await;
    (server, key, tls, dir)
}

#[tokio::test]
async fn it_is_served_by_tls() {
    let one = made();
    let (server, key, _, _dir) = start(&one, Options::default()).await;
    for protocols in [&["http/1.1"][..], &["h2", "http/1.1"], &[]] {
        let mut client = connect(server.address, &one, protocols).await.unwrap();
        let chosen = client.stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        assert_eq!(chosen, (!protocols.is_empty()).then(|| b"http/1.1".to_vec()));
        for _ in 0..3 {
            client.send(post(&key.key, &update("a"))).await;
            client.expect(200, "\"productOrgId\":\"a\"").await;
        }
    }
    assert!(connect(server.address, &one, &["h2"]).await.is_err(), "HTTP/2 alone is not spoken");
    assert!(connect(server.address, &made(), &[]).await.is_err(), "another certificate");
    // In the clear nothing is served.
    let mut clear = Raw::connect(server.address).await;
    clear.send(post(&key.key, &update("clear"))).await;
    let mut bytes = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut clear.stream, &mut bytes).await;
    assert!(!bytes.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&bytes));
    assert_eq!(server.org_count().await, 1);
}

#[tokio::test]
async fn a_handshake_has_its_time_and_its_place() {
    let one = made();
    let head = Duration::from_secs(1);
    let (server, key, _, _dir) = start(&one, Options { head, connections: 3, ..Options::default() }).await;
    // Three that never shake hands take all places.
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(Raw::connect(server.address).await);
    }
    let begun = std::time::Instant::now();
    let refused = connect(server.address, &one, &[]).await.is_err();
    assert!(refused || begun.elapsed() >= head, "a fourth is closed while the three are there");
    for client in &mut silent {
        client.expect_close().await;
    }
    let mut client = connect(server.address, &one, &[]).await.unwrap();
    client.send(post(&key.key, &update("a"))).await;
    client.expect(200, "").await;
    // Once it stands, requests have their bounds as without TLS.
    client.send("POST /").await;
    client.expect_close().await;
}

#[tokio::test]
async fn a_new_certificate_is_taken_without_a_cut() {
    let (old, new) = (made(), made());
    let (server, key, tls, dir) = start(&old, Options::default()).await;
    let following = tokio::spawn(Arc::clone(&tls).follow(Duration::from_millis(20)));
    let mut kept = connect(server.address, &old, &[]).await.unwrap();
    kept.send(post(&key.key, &update("a"))).await;
    kept.expect(200, "").await;
    put(dir.path(), &new);
    let changed = async {
        while connect(server.address, &new, &[]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), changed).await.expect("the new certificate");
    assert!(connect(server.address, &old, &[]).await.is_err(), "the old one is not served any more");
    kept.send(post(&key.key, &update("b"))).await;
    kept.expect(200, "").await;
    // What cannot be used changes nothing.
    std::fs::write(dir.path().join("key.pem"), &old.key).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(tls.reload().is_err());
    assert!(connect(server.address, &new, &[]).await.is_ok());
    following.abort();
}

/// `curl` over TLS; whether it was answered.
fn curl(dir: &Path, address: &str, trusted: &str, path: &str, body: &str) -> Result<String, String> {
    let port = address.rsplit_once(':').unwrap().1;
    let output = Command::new("curl")
        .args([
            "-sS",
            "--noproxy",
            "*",
            "--max-time",
            "60",
            "--cacert",
            trusted,
            "-H",
            "Content-Type: application/json",
        ])
        .args([
            "-d",
            body,
            &format!("https://localhost:{port}{path}"),
            "--resolve",
            &format!("localhost:{port}:127.0.0.1"),
        ])
        .current_dir(dir)
        .output()
        .unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

#[test]
fn curl_is_served_and_a_hangup_reads_the_certificate_again() {
    let home = Home::new();
    std::fs::create_dir(home.path("tls")).unwrap();
    let (old, new) = (made(), made());
    put(&home.path("tls"), &old);
    home.write("old.pem", &old.certificate);
    home.write("new.pem", &new.certificate);
    home.write(
        "nightmark.toml",
        "[receiver.tls]\ncertificate = \"tls/cert.pem\"\nkey = \"tls/key.pem\"\n[log]\nlevel = \"info\"\n",
    );
    let created = home.run(&["keys", "create", "--json", "--name", "tls", "--template", "flat"]).expect(0).json();
    let path = format!("/api/product-orgs/webhook/{}", created["key"].as_str().unwrap());
    let served = Served::start(&home);
    let call = |trusted: &str| curl(&home.path(""), &served.receiver, trusted, &path, &update("a"));
    assert!(call("old.pem").unwrap().contains("\"isNewOrg\":true"));
    // A pair that does not fit is told and not taken.
    std::fs::write(home.path("tls/key.pem"), &new.key).unwrap();
    signal(served.pid(), "HUP");
    wait_for_log(&home, "is not that of the first certificate");
    assert!(call("old.pem").is_ok());
    std::fs::write(home.path("tls/cert.pem"), &new.certificate).unwrap();
    signal(served.pid(), "HUP");
    wait_for_log(&home, "was read again and is in use");
    assert!(call("new.pem").unwrap().contains("\"isNewOrg\":false"));
    assert!(call("old.pem").is_err());
    assert_eq!(served.stop(), 0);
    assert!(!home.log().contains(new.key.lines().nth(1).unwrap()));
}

#[test]
fn a_hangup_without_tls_does_no_harm() {
    let home = Home::new();
    home.write("nightmark.toml", "[log]\nlevel = \"info\"\n");
    // As from a terminal that is closed, and under nohup, which has it ignored.
    for script in ["exec \"$0\" \"$@\"", "trap '' HUP; exec \"$0\" \"$@\""] {
        let served = Served::start_by(&home, &[], script);
        signal(served.pid(), "HUP");
        wait_for_log(&home, "SIGHUP: there is nothing to read again");
        signal(served.pid(), "HUP");
        let answer = Command::new("curl")
            .args(["-sS", "--noproxy", "*", &format!("http://{}/healthz", served.receiver)])
            .output()
            .unwrap();
        assert!(String::from_utf8_lossy(&answer.stdout).contains("ok"), "{answer:?}");
        assert_eq!(served.stop(), 0);
    }
}

#[test]
fn a_certificate_that_is_gone_is_told_and_stays_in_use() {
    let home = Home::new();
    let one = made();
    put(&home.path(""), &one);
    home.write("trusted.pem", &one.certificate);
    home.write("nightmark.toml", "[receiver.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n");
    let served = Served::start(&home);
    std::fs::remove_file(home.path("cert.pem")).unwrap();
    wait_for_log(&home, "cert.pem cannot be read");
    wait_for_log(&home, "the certificate in use stays in use");
    let answer = curl(&home.path(""), &served.receiver, "trusted.pem", "/healthz", "").unwrap();
    assert!(answer.contains("\"success\":false"), "any answer will do: {answer}");
    put(&home.path(""), &one);
    wait_for_log(&home, "can be read again");
    assert_eq!(served.stop(), 0);
    assert_eq!(home.log().matches("cannot be read").count(), 1, "{}", home.log());
}

/// The bound is there only so that a broken build ends.
fn wait_for_log(home: &Home, part: &str) {
    for _ in 0..3000 {
        if home.log().contains(part) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{part}\n---\n{}", home.log());
}

#[test]
fn what_cannot_be_served_is_said_at_the_start() {
    let home = Home::new();
    let one = made();
    put(&home.path(""), &one);
    home.write("other.pem", &made().key);
    home.write("short", "made-up\n");
    let serve = |settings: &str| {
        home.write("nightmark.toml", settings);
        home.run(&["serve", "--receiver", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).expect(2).stderr
    };
    for (settings, parts) in [
        ("[receiver.tls]\ncertificate = \"none.pem\"\nkey = \"key.pem\"\n", &["none.pem", "cannot be read"][..]),
        (
            "[receiver.tls]\ncertificate = \"cert.pem\"\nkey = \"other.pem\"\n",
            &["other.pem", "cert.pem", "made together"],
        ),
        ("[receiver.tls]\ncertificate = \"cert.pem\"\n", &["receiver.tls", "`key` is missing"]),
        ("[admin]\ntoken = \"${NOT_SET_ANYWHERE}\"\n", &["admin.token", "NOT_SET_ANYWHERE is not set"]),
        ("[admin]\ntoken = \"${file:short}\"\n", &["admin.token", "shorter than 16", "openssl rand"]),
    ] {
        let said = serve(settings);
        assert!(parts.iter().all(|part| said.contains(part)) && !said.contains("made-up"), "{parts:?}: {said}");
    }
    home.write("nightmark.toml", "");
    let open = home.run(&["serve", "--receiver", "127.0.0.1:0", "--admin", "0.0.0.0:0"]).expect(2).stderr;
    assert!(open.contains("needs a token") && open.contains("127.0.0.1"), "{open}");
}

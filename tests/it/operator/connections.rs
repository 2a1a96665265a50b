//! Over which connections the operator's address answers.

use super::{bearer, token};
use crate::support::{Home, Served, says};
use rcgen::generate_simple_self_signed;
use std::process::Command;

/// `serve` with these settings on an address that other machines reach.
fn refused(home: &Home, settings: &str, words: &[&str]) {
    home.write("nightmark.toml", settings);
    says(&home.run(&["serve", "--receiver", "127.0.0.1:0", "--admin", "0.0.0.0:0"]).expect(2), words);
}

#[test]
fn an_address_that_others_reach_needs_a_token_and_tls_or_a_proxy() {
    let home = Home::new();
    home.write("token", "made-up-token-0123456789");
    let proxy = "trusted_proxies = [\"192.0.2.0/24\"]";
    refused(&home, "", &["0.0.0.0:0", "needs a token", "nightmark tokens create", "127.0.0.1"]);
    refused(&home, &format!("[admin]\n{proxy}\n"), &["needs a token"]);
    refused(
        &home,
        "[admin]\ntoken = \"${file:token}\"\n",
        &["needs TLS", "[admin.tls]", "trusted_proxies", "127.0.0.1"],
    );
    // A token of the store is as good as that of the settings; one that is revoked is none.
    let (_, id) = token(&home, "viewer");
    refused(&home, "", &["needs TLS"]);
    home.run(&["tokens", "revoke", &id]).expect(0);
    refused(&home, "", &["needs a token"]);
    refused(&home, "[admin]\ntrusted_proxies = [\"here\"]\n", &["admin.trusted_proxies[0]", "`here`"]);
    refused(&home, "[admin.tls]\ncertificate = \"c.pem\"\n", &["admin.tls", "`key` is missing"]);
}

#[test]
fn by_tls_it_answers_and_in_the_clear_it_does_not() {
    let home = Home::new();
    let made = generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    home.write("cert.pem", &made.cert.pem());
    home.write("key.pem", &made.signing_key.serialize_pem());
    home.write("nightmark.toml", "[admin.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n");
    let (viewer, _) = token(&home, "viewer");
    let served = Served::start(&home);
    let status = |scheme: &str, path: &str, header: &str| {
        let mut command = Command::new("curl");
        command.args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"]).arg(home.path("cert.pem"));
        let output = command.args(["-H", header, &format!("{scheme}://{}{path}", served.admin)]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(status("https", "/healthz", "x: y"), "200");
    assert_eq!(status("https", "/api/v1/jobs", &bearer(&viewer)), "200");
    assert_eq!(status("https", "/api/v1/jobs", "x: y"), "401");
    assert_eq!(status("http", "/api/v1/jobs", &bearer(&viewer)), "000");
    assert_eq!(served.stop(), 0);
}

//! Over which connections the operator's address answers.

use super::{bearer, token};
use crate::support::{Home, Served, says};
use rcgen::generate_simple_self_signed;
use std::process::{Command, Stdio};

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

/// A network of this test's own, in which the daemon has one address and a proxy another. What comes from the proxy is taken; the same from anywhere else,
/// with the same token, is not.
#[test]
fn in_the_clear_it_answers_the_declared_proxy_and_no_other_machine() {
    const HERE: &str = "198.51.100.7";
    const PROXY: &str = "198.51.100.9";
    const ELSEWHERE: &str = "198.51.100.10";
    let home = Home::new();
    home.write("nightmark.toml", &format!("[admin]\ntrusted_proxies = [\"{PROXY}\"]\n"));
    let (viewer, _) = token(&home, "viewer");
    let addresses: String =
        [HERE, PROXY, ELSEWHERE].iter().map(|address| format!("ip addr add {address}/32 dev lo\n")).collect();
    // In the place of the addresses of `Served`; the file that says which port it is stays the last argument.
    let inside = format!("set -e\nip link set lo up\n{addresses}exec \"$0\" \"$@\"");
    let script = format!(
        "exec unshare --map-root-user --net sh -c '{inside}' \"$0\" serve --receiver 127.0.0.1:0 --admin {HERE}:0 --ready-file \"$7\""
    );
    let served = Served::start_by(&home, &[], &script);
    assert!(served.admin.starts_with(HERE), "{}", served.admin);
    let asked = |from: &str, path: &str, headers: &[&str]| {
        let mut command = Command::new("nsenter");
        command.args([
            "--target",
            &served.pid().to_string(),
            "--user",
            "--net",
            "--preserve-credentials",
            "curl",
            "-sS",
        ]);
        command.args(["--noproxy", "*", "--max-time", "30", "-w", "\n%{http_code}", "--interface", from]);
        headers.iter().for_each(|header| _ = command.args(["-H", header]));
        let output = command.arg(format!("http://{}{path}", served.admin)).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap_or_default();
        (status.to_owned(), body.to_owned())
    };
    let good = bearer(&viewer);
    for path in ["/api/v1/jobs", "/metrics", "/"] {
        assert_eq!(asked(PROXY, path, &[&good]).0, "200", "{path}");
        assert_eq!(asked(PROXY, path, &[]).0, "401", "{path}");
        // A token that has crossed the network in the clear is refused, and nobody is told whether it is one.
        for headers in [&[good.as_str()][..], &[], &[&bearer("nt_unknown-unknown-unknown")]] {
            let (status, body) = asked(ELSEWHERE, path, headers);
            assert_eq!(status, "403", "{path} {headers:?}");
            assert!(body.contains("in the clear") && body.contains("trusted_proxies"), "{body}");
        }
        // From this machine itself.
        assert_eq!(asked("127.0.0.1", path, &[&good]).0, "200", "{path}");
    }
    for from in [PROXY, ELSEWHERE] {
        assert_eq!((asked(from, "/healthz", &[]).0, asked(from, "/readyz", &[]).0), ("200".into(), "200".into()));
    }
    // Whoever claims to have come by the proxy has not.
    assert_eq!(asked(ELSEWHERE, "/api/v1/jobs", &[&good, &format!("x-forwarded-for: {PROXY}")]).0, "403");
    assert_eq!(asked(PROXY, "/api/v1/jobs", &[&good, &format!("x-forwarded-for: {ELSEWHERE}")]).0, "200");
    assert_eq!(served.stop(), 0);
}

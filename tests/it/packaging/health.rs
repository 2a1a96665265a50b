//! `nightmark health`, which engines and clusters ask.

use crate::support::{Home, Served, says, signal};
use serde_json::json;

#[test]
fn health_tells_a_daemon_that_works_from_one_that_does_not() {
    let home = Home::new();
    let served = Served::start(&home);
    let ran = home.run(&["health", "--admin", &served.admin]).expect(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("ok\n", ""));
    let ran = home.run(&["health", "--alive", "--admin", &served.admin, "--json"]).expect(0);
    assert_eq!(ran.json(), json!({"healthy": true, "status": "ok"}));
    // The address is that of the settings.
    home.write("nightmark.toml", &format!("[admin]\naddress = \"{}\"\n", served.admin));
    home.run(&["health"]).expect(0);
    // It answers, and is not what was asked for.
    let ran = home.run(&["health", "--admin", &served.receiver]).expect(1);
    says(&ran, &["not nightmark"]);
    // One that stands still: the time is bounded.
    signal(served.pid(), "STOP");
    let ran = home.run(&["health"]).expect(1);
    says(&ran, &["no answer within 5 s"]);
    signal(served.pid(), "CONT");
    assert_eq!(served.stop(), 0);
    let ran = home.run(&["health"]).expect(1);
    says(&ran, &["/readyz: ", "refused"]);
    assert_eq!(ran.stdout, "");
}

#[test]
fn health_asks_by_tls_where_the_address_has_it() {
    let home = Home::new();
    let pair = |name: &str| {
        let made = rcgen::generate_simple_self_signed(["ops.example".to_owned()]).unwrap();
        home.write(&format!("{name}.pem"), &made.cert.pem());
        home.write(&format!("{name}.key"), &made.signing_key.serialize_pem());
    };
    pair("cert");
    pair("other");
    let settings = "[admin.tls]\ncertificate = \"cert.pem\"\nkey = \"cert.key\"\n";
    home.write("nightmark.toml", settings);
    let served = Served::start(&home);
    for args in [&["health"][..], &["health", "--alive"]] {
        let ran = home.run(&[args, &["--admin", &served.admin]].concat()).expect(0);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("ok\n", ""));
    }
    // A renewal that went wrong: the key is not that of the certificate. The daemon works on, and nobody may take it for ill.
    std::fs::copy(home.path("other.pem"), home.path("cert.pem")).unwrap();
    let ran = home.run(&["health", "--admin", &served.admin]).expect(0);
    assert_eq!(ran.stdout, "ok\n");
    says(&ran, &["note: ", "another certificate than that in", "cert.pem", "nightmark doctor"]);
    let told = home.run(&["health", "--json", "--admin", &served.admin]).expect(0).json();
    assert_eq!((&told["healthy"], told["note"].is_string()), (&json!(true), true));
    // The settings are others than those that it was started with.
    home.write("nightmark.toml", "");
    says(&home.run(&["health", "--admin", &served.admin]).expect(1), &["http://", "by TLS alone ([admin.tls])"]);
    assert_eq!(served.stop(), 0);
    let served = Served::start(&home);
    home.write("nightmark.toml", settings);
    let ran = home.run(&["health", "--admin", &served.admin]).expect(1);
    says(&ran, &["https://", "[admin.tls] is set: the daemon takes it when it is started"]);
    assert_eq!(served.stop(), 0);
}

//! Certificates of both addresses, and who may use the operator's.

use super::{SETTINGS, doctor, finds, home, is_well_but_for, keyed};
use crate::support::{Destination, Home};
use std::os::unix::fs::PermissionsExt as _;

/// Writes a certificate of these names that ends so many days from now, and its key.
fn certificate(home: &Home, name: &str, names: &[&str], days: i64) {
    use chrono::Datelike as _;
    let key = rcgen::KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    let end = chrono::Utc::now() + chrono::TimeDelta::days(days);
    let of = |number: u32| u8::try_from(number).unwrap();
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(end.year(), of(end.month()), of(end.day()));
    home.write(&format!("{name}.pem"), &params.self_signed(&key).unwrap().pem());
    home.write(&format!("{name}.key"), &key.serialize_pem());
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(home.path(&format!("{name}.key")), private).unwrap();
}

#[test]
fn certificates_of_both_addresses_are_looked_at() {
    let destination = Destination::start();
    let home = home(&keyed(destination.address), "");
    let tls = |field: &str, name: &str| format!("[{field}.tls]\ncertificate = \"{name}.pem\"\nkey = \"{name}.key\"\n");
    home.write("nightmark.toml", &format!("{SETTINGS}{}{}", tls("receiver", "one"), tls("admin", "other")));
    certificate(&home, "one", &["orgs.example", "127.0.0.1"], 90);
    certificate(&home, "other", &["localhost"], 90);
    let found = doctor(&home);
    is_well_but_for(&found, &[]);
    finds(&found, "process", "receiver.tls", "ok", &["for orgs.example, 127.0.0.1, valid until 20"]);
    finds(&found, "process", "admin.tls", "ok", &["for localhost"]);
    certificate(&home, "one", &["orgs.example"], 10);
    certificate(&home, "other", &["localhost"], -1);
    let found = doctor(&home);
    finds(&found, "process", "receiver.tls", "note", &["expires on 20", "without a restart"]);
    finds(&found, "process", "admin.tls", "mend", &["has expired on 20", "renew it"]);
    certificate(&home, "one", &[], 90);
    std::fs::copy(home.path("one.key"), home.path("other.key")).unwrap();
    std::fs::set_permissions(home.path("other.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let found = doctor(&home);
    finds(&found, "process", "receiver.tls", "mend", &["no name in it (subjectAltName)"]);
    finds(
        &found,
        "process",
        "admin.tls",
        "mend",
        &["other.key", "not that of the first certificate", "does not start"],
    );
    let key = home.path("other.key").display().to_string();
    finds(&found, "rights", &key, "mend", &["can be read by everybody"]);
}

#[test]
fn who_may_use_the_operators_address_is_looked_at() {
    let destination = Destination::start();
    let home = home(&keyed(destination.address), "");
    let (everywhere, proxy) = ("address = \"0.0.0.0:0\"", "trusted_proxies = [\"192.0.2.0/24\"]");
    let settings = |admin: &str| {
        home.write(
            "nightmark.toml",
            &SETTINGS.replace("[admin]\naddress = \"127.0.0.1:0\"", &format!("[admin]\n{admin}")),
        );
    };
    let finds = |verdict: &str, words: &[&str]| finds(&doctor(&home), "process", "admin.access", verdict, words);
    finds("ok", &["whoever is on this machine"]);
    settings(everywhere);
    finds("mend", &["0.0.0.0:0 can be reached from other machines", "needs a token", "does not start"]);
    let made =
        home.run(&["tokens", "create", "--name", "k", "--role", "admin", "--expires", "90d", "--json"]).expect(0);
    finds("mend", &["needs TLS", "trusted_proxies"]);
    settings(&format!("{everywhere}\n{proxy}"));
    finds("ok", &["whoever has a token, of which 1 are valid"]);
    let soon = home
        .run(&["tokens", "create", "--name", "scraper", "--role", "viewer", "--expires", "13d", "--json"])
        .expect(0);
    finds("note", &["the token `scraper` expires on 20", "revoke this one"]);
    for made in [&made, &soon] {
        home.run(&["tokens", "revoke", made.json()["id"].as_str().unwrap()]).expect(0);
    }
    finds("mend", &["needs a token", "none of 2 in the store is valid any more"]);
    // Here it starts, and nobody gets in.
    settings("address = \"127.0.0.1:0\"");
    finds("note", &["nobody can use the pages", "none of 2", "nightmark tokens create"]);
    settings("address = \"127.0.0.1:0\"\ntoken = \"${TEST_SECRET}\"");
    finds("ok", &["whoever has admin.token"]);
    settings("address = \"127.0.0.1:0\"\ntoken = \"${file:short}\"");
    home.write("short", "123456");
    finds("mend", &["shorter than 16", "does not start"]);
}

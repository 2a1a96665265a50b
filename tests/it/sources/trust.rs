//! What `verify-ca` is worth, and that `check` says it.

use crate::delivery::pki::Ca;
use crate::support::postgres::{Cluster, PASSWORD, USER};
use crate::support::{Home, Ran, ran, says};

const ADVICE: &str = "looks at no name";

/// `check` of a job with this in `[source]`, on a machine that trusts `system.pem`.
fn check(home: &Home, source: &str) -> Ran {
    let text = format!(
        "version = 1\n[source]\n{source}\n[diff]\nkey = \"workspace_id\"\n[destination]\nkind = \"http\"\nurl = \"http://127.0.0.1:9/\"\n\
         [payload]\npreset = \"flat\"\n"
    );
    home.write("jobs/orgs.toml", &text);
    let mut command = home.command(&["check", "orgs"]);
    ran(command.env("SSL_CERT_FILE", home.path("system.pem")).env_remove("SSL_CERT_DIR").output().unwrap())
}

#[test]
fn the_systems_authorities_are_trusted_besides_and_check_says_so() {
    let cluster = Cluster::start();
    let database = cluster.database();
    let (system, own) = (Ca::new(), Ca::new());
    // Of an authority that the system trusts, for whatever name.
    let (certificate, key) = system.certificate("elsewhere.example");
    cluster.write("data/server.crt", &certificate);
    cluster.write("data/server.key", &key);
    cluster.sql("postgres", "ALTER SYSTEM SET ssl = on");
    cluster.stop();
    cluster.resume();
    cluster.sql(
        &database.name,
        &format!("CREATE TABLE orgs AS SELECT 'a' AS workspace_id; GRANT SELECT ON orgs TO {USER}"),
    );
    let home = Home::new();
    home.write("system.pem", &system.pem);
    home.write("own.pem", &own.pem);
    home.write("password", PASSWORD);
    home.write("address", &database.url());
    home.write("address_ca", &format!("{}?sslmode=verify-ca", database.url()));
    let (port, name) = (database.port, &database.name);
    let written = format!("url = \"postgres://{USER}:${{file:password}}@127.0.0.1:{port}/{name}\"");
    let source = |url: &str, more: &str| format!("kind = \"postgres\"\ntable = \"orgs\"\n{url}\n{more}");
    let of = |url: &str, more: &str| check(&home, &source(url, more));
    // The job names an authority, and a certificate of another gets through, as the advice has it.
    let named = of(&written, "tls = \"verify-ca\"\ntls_ca = \"own.pem\"").expect(0);
    says(&named, &["1 row read", ADVICE, "besides those of tls_ca", "set `tls = \"verify-full\"`"]);
    let by_address = of("url = \"${file:address_ca}\"", "tls_ca = \"own.pem\"").expect(0);
    says(&by_address, &["1 row read", ADVICE, "the address in source.url says verify-ca"]);
    assert!(!by_address.stdout.contains(PASSWORD) && !by_address.stderr.contains(PASSWORD));
    // What is advised refuses it, and there is nothing to advise.
    for url in [&written, "url = \"${file:address_ca}\""] {
        let full = of(url, "tls = \"verify-full\"\ntls_ca = \"own.pem\"").expect(2);
        says(&full, &["certificate"]);
        assert!(!full.stdout.contains(ADVICE), "{}", full.stdout);
    }
    let plain = of("url = \"${file:address}\"", "").expect(0);
    assert!(!plain.stdout.contains(ADVICE), "{}", plain.stdout);
}

#[test]
fn mysql_is_advised_alike_before_anything_is_connected() {
    let home = Home::new();
    home.write("system.pem", "");
    home.write("password", "planted-password");
    home.write("address_ca", "mysql://u:planted-password@h.invalid/crm?ssl-mode=VERIFY_CA");
    let written = "url = \"mysql://u:${file:password}@h.invalid/crm\"";
    let source = |url: &str, more: &str| format!("kind = \"mysql\"\ntable = \"orgs\"\n{url}\n{more}");
    for (url, more, part) in [
        (written, "tls = \"verify-ca\"\ntls_ca = \"own.pem\"", "besides those of tls_ca"),
        (written, "tls = \"verify-ca\"", "source.tls is \"verify-ca\""),
        ("url = \"${file:address_ca}\"", "tls_ca = \"own.pem\"", "the address in source.url says verify-ca"),
    ] {
        let told = check(&home, &source(url, more)).expect(2);
        says(&told, &[ADVICE, part]);
        assert!(!told.stdout.contains("planted"), "{}", told.stdout);
    }
    let full = check(&home, &source(written, "tls = \"verify-full\"")).expect(2);
    assert!(!full.stdout.contains(ADVICE), "{}", full.stdout);
}

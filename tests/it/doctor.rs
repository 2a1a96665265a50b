//! `nightmark doctor` on homes where something is wrong, by real faults: full and read-only disks, closed ports, certificates of strangers, clocks that go
//! wrong, a database that is locked, damaged or not there, drivers that do not load.

mod addresses;
mod upgrade;

use crate::adbc::engines;
use crate::delivery::pki::Ca;
use crate::delivery::tls::{ca_file, front};
use crate::faults::disk::Disk;
use crate::shared::server::Server;
use crate::support::postgres::{Cluster, PASSWORD};
use crate::support::{Destination, Home, KEY, Ran, SECRET, Served, job_file, python, ran, says};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

const SCHEDULE: &str = "schedule = \"@every 6h\"";

/// A job to this address, in a home whose alerts go somewhere and whose daemon may listen on any port.
fn home(address: &str, more: &str) -> Home {
    let home = Home::new();
    home.write("nightmark.toml", SETTINGS);
    job(&home, "orgs", address, more);
    home.write("orgs.csv", "workspace_id,plan_id\nws_1,free\n");
    home
}

const SETTINGS: &str =
    "[receiver]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n[alerts]\nwebhook = \"${TEST_KEY}\"\n";

fn job(home: &Home, name: &str, address: &str, more: &str) {
    let to = format!("url = \"{address}\"\nsecret = \"${{TEST_SECRET}}\"\n{more}");
    let file = job_file("", &to, "preset = \"flat\"");
    home.write(&format!("jobs/{name}.toml"), &file.replacen("version = 1\n", &format!("version = 1\n{SCHEDULE}\n"), 1));
}

fn keyed(address: SocketAddr) -> String {
    format!("http://{address}/hook/${{TEST_KEY}}")
}

#[track_caller]
fn clean(ran: Ran) -> Ran {
    for secret in [KEY, SECRET, PASSWORD, "planted"] {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{}{}", ran.stdout, ran.stderr);
    }
    ran
}

/// What is found, and that the exit code is as the findings are.
#[track_caller]
fn examined(ran: Ran) -> Vec<Value> {
    let ran = clean(ran);
    let told = ran.json();
    let found = told["findings"].as_array().unwrap().clone();
    let is_well = found.iter().all(|finding| finding["verdict"] != "mend");
    assert_eq!((told["ok"].as_bool(), ran.code), (Some(is_well), if is_well { 0 } else { 1 }), "{told}");
    for finding in &found {
        // What is to be done is said wherever something is.
        assert_eq!(finding["remedy"] == "", finding["verdict"] == "ok", "{finding}");
        assert!(!finding["what"].as_str().unwrap().is_empty(), "{finding}");
    }
    found
}

fn doctor(home: &Home) -> Vec<Value> {
    examined(home.run(&["doctor", "--json"]))
}

/// There is such a finding, and its words are in it.
#[track_caller]
fn finds(found: &[Value], area: &str, subject: &str, verdict: &str, words: &[&str]) {
    let of = found.iter().filter(|finding| finding["area"] == area && finding["subject"] == subject);
    let texts: Vec<String> = of
        .filter(|finding| finding["verdict"] == verdict)
        .map(|finding| format!("{}\n{}", finding["what"].as_str().unwrap(), finding["remedy"].as_str().unwrap()))
        .collect();
    assert!(
        texts.iter().any(|text| words.iter().all(|word| text.contains(word))),
        "{area} {subject} {verdict} {words:?}: {found:#?}"
    );
}

/// Nothing is to be mended but in this area.
#[track_caller]
fn is_well_but_for(found: &[Value], areas: &[&str]) {
    for finding in found.iter().filter(|finding| finding["verdict"] == "mend") {
        assert!(areas.contains(&finding["area"].as_str().unwrap()), "{finding}");
    }
}

#[test]
fn where_all_is_well_it_says_so_and_leaves_nothing_behind() {
    let destination = Destination::start();
    let home = home(&keyed(destination.address), "");
    home.run(&["run", "orgs"]).expect(0);
    destination.take();
    let before = home.files();
    let found = doctor(&home);
    is_well_but_for(&found, &[]);
    assert_eq!(home.files(), before);
    for (area, subject) in [
        ("disk", "home folder"),
        ("disk", "snapshots"),
        ("rights", "files"),
        ("process", "receiver.address"),
        ("process", "admin.access"),
        ("clock", "this machine"),
        ("clock", "time zones"),
        ("clock", "the destination of orgs"),
        ("database", "schema"),
        ("database", "integrity"),
        ("database", "writing"),
        ("jobs", "jobs/"),
        ("secrets", "references"),
        ("destinations", "orgs: destination.url"),
    ] {
        finds(&found, area, subject, "ok", &[]);
    }
    // The destination was asked for its front page, and learned nothing.
    let seen = destination.take();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!((seen[0].path.as_str(), &seen[0].body), ("/", &Value::Null));
    let headers = format!("{:?}", seen[0].headers);
    assert!(!headers.contains(KEY) && !headers.contains(SECRET) && !headers.contains("webhook-id"), "{headers}");
    says(&clean(home.run(&["doctor"]).expect(0)), &["disk\n", "  ok    home folder", "0 to mend"]);
    // A new home is well too, and stays as it is.
    let new = Home::new();
    new.write("nightmark.toml", SETTINGS);
    let before = new.files();
    let found = doctor(&new);
    is_well_but_for(&found, &[]);
    finds(&found, "jobs", "jobs/", "note", &["there is no job", "nightmark init"]);
    assert_eq!(new.files(), before);
}

/// Everything that is wrong is said at once, each with what to do.
#[test]
fn all_that_is_wrong_is_said_at_once() {
    let destination = Destination::start();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let home = home(&keyed(destination.address), "");
    home.write("jobs/faulty.toml", "version = 1\nnonsense = 1\n");
    job(&home, "waits", &keyed(destination.address), "");
    let waits = std::fs::read_to_string(home.path("jobs/waits.toml")).unwrap();
    home.write("jobs/waits.toml", &waits.replacen(SCHEDULE, &format!("{SCHEDULE}\ndepends_on = [\"ogrs\"]"), 1));
    job(&home, "closed", &keyed(closed), "");
    job(&home, "nowhere", "http://nowhere.invalid/", "");
    job(&home, "metadata", "http://169.254.169.254/", "");
    job(&home, "unset", "http://127.0.0.1:9/${NOT_SET_ANYWHERE}", "");
    job(&home, "secret", &format!("http://{}/${{file:secret.txt}}", destination.address), "");
    home.write("secret.txt", "made-up\n");
    let driver = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    let adbc = "kind = \"adbc\"\ndriver = \"/nowhere/libadbc_driver_snowflake.so\"\ntable = \"orgs\"";
    home.write("jobs/driver.toml", &driver.replace("kind = \"files\"\npath = \"orgs.csv\"", adbc));
    let sqlite = adbc.replace("/nowhere/libadbc_driver_snowflake.so", &engines::sqlite().display().to_string());
    home.write("jobs/loads.toml", &driver.replace("kind = \"files\"\npath = \"orgs.csv\"", &sqlite));
    let settings = SETTINGS.replace("${TEST_KEY}", "${file:hook.txt}");
    home.write("nightmark.toml", &settings);
    let mode = |name: &str, mode: u32| {
        std::fs::set_permissions(home.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("secret.txt", 0o644);
    mode("jobs", 0o777);
    mode("jobs/orgs.toml", 0o666);
    let found = doctor(&home);
    let at = |name: &str| home.path(name).display().to_string();
    for (area, subject, words) in [
        ("jobs", "jobs/faulty.toml", &["nonsense", "mend jobs/faulty.toml"] as &[&str]),
        ("jobs", "jobs/waits.toml", &["depends_on[0]: there is no job `ogrs` (did you mean `orgs`?)", "are left out"]),
        ("secrets", "unset", &["NOT_SET_ANYWHERE", "set it for the daemon"]),
        ("secrets", "nightmark.toml", &["alerts.webhook", "hook.txt"]),
        ("drivers", "driver", &["/nowhere/libadbc_driver_snowflake.so", "adbc-driver-snowflake"]),
        ("destinations", "closed: destination.url", &[&format!("no connection to {closed}"), "firewalls"]),
        ("destinations", "nowhere: destination.url", &["nowhere.invalid", "cannot be resolved", "DNS"]),
        ("destinations", "metadata", &["169.254.169.254", "allow_addresses"]),
        ("rights", &at("secret.txt"), &["can be read by everybody", "chmod o-rwx"]),
        ("rights", &at("jobs"), &["can be changed by everybody", "chmod o-w"]),
        ("rights", &at("jobs/orgs.toml"), &["can be changed by everybody", "chmod o-w"]),
    ] {
        finds(&found, area, subject, "mend", words);
    }
    finds(&found, "destinations", "orgs: destination.url", "ok", &["answers"]);
    finds(&found, "drivers", "loads", "ok", &["can be loaded"]);
    finds(&found, "jobs", "jobs/", "ok", &["9 sound"]);
    let text = clean(home.run(&["doctor"]).expect(1));
    says(&text, &["MEND  closed: destination.url", "→ ", "to mend"]);
}

#[test]
fn a_disk_without_room_or_that_is_read_only_is_found() {
    let destination = Destination::start();
    let home = home(&format!("http://{}/", destination.address), "");
    let disk = Disk::new();
    disk.restore(&home.path(""));
    // As mounted, everybody may write there.
    std::fs::set_permissions(disk.seen(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let doctor = || {
        let output = disk.nightmark(&["doctor", "--json"]).env("TEST_KEY", KEY).env("TEST_SECRET", SECRET).output();
        examined(ran(output.unwrap()))
    };
    let found = doctor();
    finds(&found, "disk", "home folder", "ok", &["can be written"]);
    finds(&found, "disk", "home folder", "mend", &["are free; a run may need 268.4 MB", "make room"]);
    disk.resize(disk.used());
    let found = doctor();
    finds(&found, "disk", "home folder", "mend", &["cannot be written: No space left", "make room"]);
    is_well_but_for(&found, &["disk"]);
    disk.resize(1 << 30);
    is_well_but_for(&doctor(), &[]);
    disk.read_only();
    let found = doctor();
    finds(&found, "disk", "home folder", "mend", &["Read-only file system", "mount it writable"]);
    // The others are looked at all the same.
    finds(&found, "destinations", "orgs: destination.url", "ok", &[]);
    disk.writable();
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_certificate_is_not_trusted_is_found() {
    let ca = Ca::new();
    let (_server, port) = front(ca.acceptor("localhost", 2099, &[])).await;
    let (_expired, expired) = front(ca.acceptor("localhost", 2001, &[])).await;
    let (_dir, path) = ca_file(&[&ca]);
    let trusted = format!("ca_file = \"{}\"", path.display());
    tokio::task::spawn_blocking(move || {
        let home = home(&format!("https://localhost:{port}/"), "");
        job(&home, "trusted", &format!("https://localhost:{port}/"), &trusted);
        job(&home, "expired", &format!("https://localhost:{expired}/"), &trusted);
        job(&home, "named", &format!("https://127.0.0.1:{port}/"), &trusted);
        let found = doctor(&home);
        finds(&found, "destinations", "trusted: destination.url", "ok", &["answers"]);
        for name in ["orgs", "expired", "named"] {
            let words = ["TLS:", "certificate", "destination.ca_file"];
            finds(&found, "destinations", &format!("{name}: destination.url"), "mend", &words);
        }
        is_well_but_for(&found, &["destinations"]);
    })
    .await
    .unwrap();
}

/// A server that thinks it is another time, and what it was asked.
fn server_at(date: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                asked.push(byte[0]);
            }
            let answer =
                format!("HTTP/1.1 405 Method Not Allowed\r\n{date}content-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

#[test]
fn a_clock_that_differs_from_the_destinations_is_found() {
    let home = home(&keyed(server_at("date: Thu, 01 Jan 2026 00:00:00 GMT\r\n")), "");
    job(&home, "silent", &keyed(server_at("")), "");
    let found = doctor(&home);
    finds(
        &found,
        "clock",
        "the destination of orgs",
        "mend",
        &["ahead of that of the destination of orgs", "timedatectl"],
    );
    assert!(!found.iter().any(|finding| finding["subject"] == "the destination of silent"), "{found:#?}");
    is_well_but_for(&found, &["clock"]);
}

/// Something that keeps the file locked, until its input is closed.
fn locked(path: &Path) -> std::process::Child {
    let script = "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                  db.execute('BEGIN IMMEDIATE')\nprint('locked', flush=True)\nsys.stdin.read()";
    let mut child =
        python().args(["-c", script]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "locked\n");
    child
}

#[test]
fn a_database_that_is_locked_or_damaged_is_found_and_who_has_it() {
    let destination = Destination::start();
    let home = home(&keyed(destination.address), "");
    home.run(&["run", "orgs"]).expect(0);
    let mut holder = locked(&home.path("nightmark.db"));
    let found = doctor(&home);
    let process = format!("process {} (", holder.id());
    finds(&found, "database", "writing", "mend", &[&process, "has it locked"]);
    finds(&found, "database", "integrity", "ok", &[]);
    drop(holder.stdin.take());
    holder.wait().unwrap();
    let served = Served::start(&home);
    let found = doctor(&home);
    finds(&found, "database", "daemon", "ok", &[&format!("process {}", served.pid())]);
    finds(&found, "database", "writing", "ok", &[]);
    is_well_but_for(&found, &[]);
    assert_eq!(served.stop(), 0);
    let database = home.path("nightmark.db");
    let mut bytes = std::fs::read(&database).unwrap();
    for page in (1..bytes.len() / 4096).step_by(3) {
        bytes[page * 4096..page * 4096 + 64].fill(0x5a);
    }
    std::fs::write(&database, &bytes).unwrap();
    let found = doctor(&home);
    let is_damaged = |finding: &&Value| finding["area"] == "database" && finding["verdict"] == "mend";
    let damaged: Vec<&Value> = found.iter().filter(is_damaged).collect();
    assert!(!damaged.is_empty() && format!("{damaged:?}").contains("backup"), "{found:#?}");
    std::fs::write(&database, "this is no database, but a letter to somebody who is waiting for one").unwrap();
    finds(&doctor(&home), "database", "state", "mend", &["not a database", "backup"]);
}

#[test]
fn a_database_of_another_server_is_looked_at_too() {
    let destination = Destination::start();
    let home = home(&keyed(destination.address), "");
    let cluster = Cluster::start();
    let database = cluster.database();
    home.write("nightmark.toml", &format!("{SETTINGS}{}", database.setting()));
    let doctor = || examined(ran(home.command(&["doctor", "--json"]).env("PG_PASSWORD", PASSWORD).output().unwrap()));
    let found = doctor();
    is_well_but_for(&found, &[]);
    assert!(ran(home.command(&["run", "orgs"]).env("PG_PASSWORD", PASSWORD).output().unwrap()).code == 0);
    let found = doctor();
    is_well_but_for(&found, &[]);
    finds(&found, "database", "schema", "ok", &["PostgreSQL"]);
    finds(&found, "clock", "the state's server", "ok", &[]);
    cluster.sql(&database.name, "ALTER SCHEMA nightmark OWNER TO postgres");
    cluster.sql(&database.name, "REVOKE ALL ON ALL TABLES IN SCHEMA nightmark FROM PUBLIC; ALTER TABLE nightmark.runs OWNER TO postgres; GRANT USAGE ON SCHEMA nightmark TO nightmark_app; GRANT SELECT ON ALL TABLES IN SCHEMA nightmark TO nightmark_app");
    finds(&doctor(), "database", "writing", "mend", &["nightmark_app may not write the schema nightmark"]);
    drop(cluster);
    finds(&doctor(), "database", "state", "mend", &["postgres://127.0.0.1"]);
}

#[test]
fn shared_snapshots_are_tried_and_left_as_they_were() {
    let destination = Destination::start();
    let home = home(&keyed(destination.address), "");
    let server = Server::start();
    let write = |bucket: &str| {
        let snapshots = format!(
            "[snapshots]\nurl = \"s3://{bucket}/nm\"\n[snapshots.options]\naws_endpoint = \"http://{}\"\naws_region = \"eu-central-1\"\n\
             aws_access_key_id = \"NIGHTMARKTESTKEY\"\naws_secret_access_key = \"${{S3_SECRET}}\"\n",
            server.address
        );
        home.write("nightmark.toml", &format!("{SETTINGS}{snapshots}"));
    };
    let doctor = || examined(ran(home.command(&["doctor", "--json"]).env("S3_SECRET", "planted-s3").output().unwrap()));
    write("lake");
    let found = doctor();
    finds(&found, "snapshots", "snapshots.url", "ok", &["written, read and removed"]);
    is_well_but_for(&found, &[]);
    assert_eq!(server.names(), [] as [String; 0]);
    write("sea");
    let found = doctor();
    finds(&found, "snapshots", "snapshots.url", "mend", &["[snapshots]", "docs/SNAPSHOT.md"]);
    is_well_but_for(&found, &["snapshots"]);
}

#[test]
fn too_few_files_and_taken_ports_are_noted() {
    let destination = Destination::start();
    let home = home(&keyed(destination.address), "");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    home.write(
        "nightmark.toml",
        &SETTINGS.replace("[receiver]\naddress = \"127.0.0.1:0\"", &format!("[receiver]\naddress = \"{address}\"")),
    );
    let script = "ulimit -n 256; exec \"$0\" \"$@\"";
    let mut command = home.program("sh", &["-c", script, env!("CARGO_BIN_EXE_nightmark"), "doctor", "--json"]);
    let found = examined(ran(command.output().unwrap()));
    finds(&found, "process", "open files", "note", &["allows 256", "LimitNOFILE"]);
    finds(&found, "process", "receiver.address", "note", &["is in use"]);
    home.write("nightmark.toml", &SETTINGS.replace("127.0.0.1:0", "192.0.2.1:80"));
    finds(&doctor(&home), "process", "receiver.address", "mend", &["cannot be listened on"]);
    home.write("nightmark.toml", "[receiver.tls]\ncertificate = \"a.pem\"\nkey = \"b.pem\"\n");
    let found = doctor(&home);
    finds(&found, "process", "receiver.tls", "mend", &["a.pem"]);
    finds(&found, "process", "alerts", "note", &["nobody is told", "[alerts]"]);
}

/// Settings that cannot be read are said as every command says them.
#[test]
fn settings_with_mistakes_are_said_all_at_once() {
    let home = Home::new();
    home.write("nightmark.toml", "[receivr]\n[log]\nformat = \"jsn\"\n");
    let ran = home.run(&["doctor", "--json"]).expect(2);
    says(&ran, &["receivr", "jsn"]);
    assert_eq!(ran.json()["state"], json!("failed"));
}

//! SFTP: OpenSSH's server with keys and an agent, rclone's with a password.

use super::servers::{Breaking, Server, Sshd, keygen};
use super::{Nights, csv, large};
use std::process::{Command, Stdio};

/// What stands in `[source]` for a file that is had by this port.
pub fn source(sshd: &Sshd, port: u16, name: &str, options: &str) -> String {
    format!("path = \"{}\"\n[source.options]\n{options}", sshd.address(port, name))
}

/// Options: the user's key, and the server's known.
pub fn by_key(sshd: &Sshd) -> String {
    format!(
        "private_key_file = \"{}\"\nknown_hosts = \"{}\"",
        sshd.path("user").display(),
        sshd.path("known_hosts").display()
    )
}

fn write(sshd: &Sshd, name: &str, content: &str) {
    let path = sshd.path("files").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

#[test]
fn files_of_a_server_are_read_by_key() {
    let sshd = Sshd::start();
    write(&sshd, "orgs_1.csv", &csv(&["a"]));
    write(&sshd, "orgs_2.csv", &csv(&["b"]));
    write(&sshd, "deep/orgs_3.csv", &csv(&["c"]));
    std::os::unix::fs::symlink(sshd.path("files/deep/orgs_3.csv"), sshd.path("files/orgs_link.csv")).unwrap();
    let nights = Nights::new(&source(&sshd, sshd.port, "orgs_*.csv", &by_key(&sshd)));
    assert_eq!(nights.night(), ["a", "b", "c"]);
    nights.source(&source(&sshd, sshd.port, "gone.csv", &by_key(&sshd)));
    nights.fails(&["there is no file sftp://", "/files/gone.csv"]);
    nights.source(
        &source(&sshd, sshd.port, "deep", &format!("{}\n", by_key(&sshd)))
            .replace("deep\"", "deep\"\nformat = \"csv\""),
    );
    nights.fails(&["is a folder, not a file"]);
}

#[test]
fn a_server_is_known_by_its_key() {
    let sshd = Sshd::start();
    write(&sshd, "orgs.csv", &csv(&["a"]));
    let key = format!("private_key_file = \"{}\"", sshd.path("user").display());
    let nights = Nights::new(&source(&sshd, sshd.port, "orgs.csv", &key));
    nights.fails(&["is not known", ".ssh/known_hosts", "host_key = \"SHA256:…\""]);
    let shown = Command::new("ssh-keygen").arg("-lf").arg(sshd.path("host.pub")).output().unwrap().stdout;
    let fingerprint = String::from_utf8(shown).unwrap().split(' ').nth(1).unwrap().to_owned();
    nights.source(&source(&sshd, sshd.port, "orgs.csv", &format!("{key}\nhost_key = \"{fingerprint}\"")));
    assert_eq!(nights.night(), ["a"]);
    nights.source(&source(&sshd, sshd.port, "orgs.csv", &format!("{key}\nhost_key = \"SHA256:AAAA\"")));
    nights.fails(&["shows another key than source.options.host_key has", &fingerprint]);
    keygen(&sshd.path("other"), "");
    let other = std::fs::read_to_string(sshd.path("other.pub")).unwrap();
    std::fs::write(sshd.path("known_hosts"), format!("[127.0.0.1]:{} {other}", sshd.port)).unwrap();
    nights.source(&source(&sshd, sshd.port, "orgs.csv", &by_key(&sshd)));
    nights.fails(&["shows another key than", "known_hosts", &fingerprint]);
    // A key that is revoked is right nowhere, also where it is known.
    let host = std::fs::read_to_string(sshd.path("host.pub")).unwrap();
    std::fs::write(sshd.path("known_hosts"), format!("[127.0.0.1]:{} {host}@revoked * {host}", sshd.port)).unwrap();
    nights.fails(&["calls revoked", "known_hosts", &fingerprint]);
}

#[test]
fn a_user_is_known_by_key_passphrase_or_agent() {
    let sshd = Sshd::start();
    write(&sshd, "orgs.csv", &csv(&["a"]));
    let hosts = format!("known_hosts = \"{}\"", sshd.path("known_hosts").display());
    keygen(&sshd.path("locked"), "planted-passphrase");
    let locked = format!("{hosts}\nprivate_key_file = \"{}\"", sshd.path("locked").display());
    let nights = Nights::new(&source(&sshd, sshd.port, "orgs.csv", &locked))
        .env("PHRASE", "planted-passphrase")
        .env("WRONG", "planted-wrong");
    nights.fails(&["private_key_file", "has a passphrase", "write `passphrase = "]);
    nights.source(&source(&sshd, sshd.port, "orgs.csv", &format!("{locked}\npassphrase = \"${{WRONG}}\"")));
    nights.fails(&["is not a private key, or `passphrase` is not its own"]);
    nights.source(&source(&sshd, sshd.port, "orgs.csv", &format!("{hosts}\nprivate_key_file = \"keys/none\"")));
    nights.fails(&["private_key_file", "keys/none cannot be read", "home folder"]);
    let public = format!("{hosts}\nprivate_key_file = \"{}\"", sshd.path("user.pub").display());
    nights.source(&source(&sshd, sshd.port, "orgs.csv", &public));
    nights.fails(&["user.pub is not a private key", "public half"]);
    nights.source(&source(&sshd, sshd.port, "orgs.csv", &format!("{locked}\npassphrase = \"${{PHRASE}}\"")));
    nights.fails(&["does not let", "by the key"]);
    let locked_key = std::fs::read_to_string(sshd.path("locked.pub")).unwrap();
    std::fs::write(sshd.path("authorized_keys"), locked_key).unwrap();
    assert_eq!(nights.night(), ["a"]);
    nights.source(&source(&sshd, sshd.port, "orgs.csv", &hosts));
    nights.fails(&["does not let", "SSH_AUTH_SOCK"]);
    let socket = sshd.path("agent");
    let mut agent = Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().unwrap();
    std::fs::copy(sshd.path("user.pub"), sshd.path("authorized_keys")).unwrap();
    let added = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let add =
            Command::new("ssh-add").arg(sshd.path("user")).env("SSH_AUTH_SOCK", &socket).stderr(Stdio::null()).status();
        add.unwrap().success()
    });
    let nights = nights.env("SSH_AUTH_SOCK", &socket.display().to_string());
    let ran = nights.run(&["run", "orgs", "--json"]);
    let _ = agent.kill();
    let _ = agent.wait();
    assert!(added);
    ran.expect(0);
}

#[test]
fn a_password_will_do() {
    let server = Server::sftp_by_password("u", "planted-password");
    server.write("out/orgs.csv", csv(&["a"]));
    let keys = std::fs::read_dir(server.folder.path().with_extension("cache")).is_ok();
    assert!(keys, "rclone's host keys");
    let scan =
        Command::new("ssh-keyscan").args(["-p", &server.address.port().to_string(), "127.0.0.1"]).output().unwrap();
    let options = "password = \"${PASSWORD}\"\nknown_hosts = \"hosts\"";
    let source = format!("path = \"sftp://u@{}/out/orgs.csv\"\n[source.options]\n{options}", server.address);
    let nights = Nights::new(&source).env("PASSWORD", "planted-password");
    nights.home.write("hosts", &String::from_utf8(scan.stdout).unwrap());
    assert_eq!(nights.night(), ["a"]);
    let wrong = Nights::new(&source).env("PASSWORD", "planted-wrong");
    std::fs::copy(nights.home.path("hosts"), wrong.home.path("hosts")).unwrap();
    wrong.fails(&["does not let `u` in by the password"]);
    wrong.source(&source.replace("${PASSWORD}", "written-out"));
    wrong.refuses(&["source.options.password", "must not stand in a job file"]);
    wrong.source(&source.replace("u@", "u:secret@"));
    wrong.refuses(&["a password must not stand in the address"]);
}

#[test]
fn a_copy_over_sftp_goes_on_where_it_broke() {
    let sshd = Sshd::start();
    write(&sshd, "orgs.csv", &large(2_000));
    let way = Breaking::new(([127, 0, 0, 1], sshd.port).into(), 600_000, 2);
    let hosts = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
    let of_way = hosts.replace(&sshd.port.to_string(), &way.address.port().to_string());
    std::fs::write(sshd.path("known_hosts"), of_way).unwrap();
    let nights = Nights::new(&source(&sshd, way.address.port(), "orgs.csv", &by_key(&sshd)));
    assert_eq!(nights.night().len(), 2_000);
    let way = Breaking::new(([127, 0, 0, 1], sshd.port).into(), 200_000, usize::MAX);
    std::fs::write(sshd.path("known_hosts"), hosts.replace(&sshd.port.to_string(), &way.address.port().to_string()))
        .unwrap();
    write(&sshd, "orgs.csv", &large(2_001));
    nights.source(&source(&sshd, way.address.port(), "orgs.csv", &by_key(&sshd)));
    nights.fails(&["the connection to the server is broken", "nothing was read of it"]);
}

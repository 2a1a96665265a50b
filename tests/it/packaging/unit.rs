//! docker/nightmark.service: systemd's own judgement of it, and what of its restrictions can be tried without a systemd that runs.

use super::{HOME, PROGRAM, STOPS_WITHIN, is_a_command, is_a_variable, read, tool};
use crate::support::{Home, job_file, ran};
use std::collections::BTreeSet;
use std::process::{Command, Stdio};

fn directives() -> Vec<(String, String)> {
    let text = read("docker/nightmark.service");
    let lines = text.lines().filter(|line| !line.starts_with(['#', '[']));
    lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn all(name: &str) -> Vec<String> {
    directives().into_iter().filter(|(of, _)| of == name).map(|(_, value)| value).collect()
}

#[track_caller]
fn one(name: &str) -> String {
    match all(name).as_slice() {
        [value] => value.clone(),
        other => panic!("{name}: {other:?}"),
    }
}

/// systemd knows every line, and calls what is left open little.
#[test]
fn systemd_finds_nothing_wrong_and_little_exposed() {
    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("nightmark.service");
    // It wants the program to be there.
    std::fs::write(&unit, read("docker/nightmark.service").replace(PROGRAM, env!("CARGO_BIN_EXE_nightmark"))).unwrap();
    let unit = unit.to_str().unwrap();
    let ran = tool("systemd-analyze", &["verify", "--man=no", unit]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""));
    // In tenths, of 100.
    let ran = tool("systemd-analyze", &["security", "--offline=true", "--threshold=15", "--no-pager", unit]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
}

#[test]
fn what_the_unit_names_is_there() {
    let start: Vec<String> = one("ExecStart").split(' ').map(str::to_owned).collect();
    is_a_command(&start);
    let (variable, home) = one("Environment").split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    is_a_variable(&variable);
    assert_eq!((home.as_str(), one("WorkingDirectory").as_str()), (HOME, HOME));
    assert_eq!(format!("/var/lib/{}", one("StateDirectory")), HOME);
    assert!(one("TimeoutStopSec").parse::<u64>().unwrap() > STOPS_WITHIN);
    assert!(read("docs/OPERATIONS.md").contains(&format!("at most {STOPS_WITHIN} s")));
    for page in one("Documentation").split(' ') {
        let name = page.strip_prefix("man:").unwrap().strip_suffix("(1)").unwrap();
        let home = Home::new();
        home.run(&["man", "--dir", home.path("man").to_str().unwrap()]).expect(0);
        assert!(home.path(&format!("man/{name}.1")).exists(), "{page}");
    }
}

/// The calls of a set of systemd's, with the sets in it.
fn calls(set: &str) -> BTreeSet<String> {
    let listed = tool("systemd-analyze", &["syscall-filter", "--no-pager", set]).expect(0).stdout;
    let names = listed.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    names.flat_map(|name| if name.starts_with('@') { calls(name) } else { BTreeSet::from([name.to_owned()]) }).collect()
}

/// What the filter lets through. Without a list of its own, systemd allows `@default` besides.
fn allowed() -> BTreeSet<String> {
    let mut allowed = calls("@default");
    for line in all("SystemCallFilter") {
        match line.strip_prefix('~') {
            Some(denied) => {
                let denied: BTreeSet<String> = denied.split(' ').flat_map(calls).collect();
                allowed = allowed.difference(&denied).cloned().collect();
            }
            None => allowed.extend(line.split(' ').flat_map(calls)),
        }
    }
    allowed
}

/// `strace` of the program while it serves, takes a request, runs a job and stops: the lines of all its threads.
fn traced() -> String {
    let home = Home::new();
    let destination = crate::support::Destination::start();
    let to = format!("url = \"http://{}/\"", destination.address);
    home.write("jobs/orgs.toml", &job_file("", &to, "preset = \"flat\""));
    home.write("orgs.csv", "workspace_id,plan\na,pro\nb,free\n");
    // The user may not enter the build folder of another.
    let program = home.path("nightmark");
    std::fs::copy(env!("CARGO_BIN_EXE_nightmark"), &program).unwrap();
    let trace = |name: &str, args: &[&str]| {
        // SQLite has root give the owner's rights to its files, which a service of another user never does.
        let mut command =
            home.program("setpriv", &["--reuid=65534", "--regid=65534", "--clear-groups", "strace", "-f", "-qq", "-o"]);
        command.arg(home.path("traces").join(name)).arg(&program).args(args);
        command
    };
    std::fs::create_dir(home.path("traces")).unwrap();
    ran(Command::new("chmod").args(["-R", "a+rwX"]).arg(home.path("")).output().unwrap()).expect(0);
    ran(trace("run", &["run", "orgs"]).output().unwrap()).expect(0);
    let ready = home.path("ready.json");
    let mut serve = trace("serve", &["serve", "--receiver", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--ready-file"]);
    let mut serve = serve.arg(&ready).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    for _ in 0..6000 {
        if ready.exists() {
            break;
        }
        assert!(serve.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let addresses: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&ready).unwrap()).unwrap();
    home.run(&["health", "--admin", addresses["admin"].as_str().unwrap()]).expect(0);
    let key = home.run(&["keys", "create", "--name", "k", "--template", "flat", "--json"]).expect(0).json();
    let url = format!(
        "http://{}/api/product-orgs/webhook/{}",
        addresses["receiver"].as_str().unwrap(),
        key["key"].as_str().unwrap()
    );
    let answer =
        tool("curl", &["-sS", "-H", "content-type: application/json", "-d", r#"{"workspace_id":"a"}"#, &url]).expect(0);
    assert!(answer.stdout.contains("\"success\":true"), "{}", answer.stdout);
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", serve.id())).unwrap();
    crate::support::signal(children.trim().parse().unwrap(), "TERM");
    assert!(serve.wait().unwrap().success());
    let read = |name: &str| std::fs::read_to_string(home.path("traces").join(name)).unwrap();
    read("run") + &read("serve")
}

/// The filter cannot be set without systemd; but what the program asks of the kernel can be written down and held against it.
#[test]
fn the_program_asks_the_kernel_for_nothing_that_the_unit_forbids() {
    let (text, allowed) = (traced(), allowed());
    assert!(allowed.len() > 200 && !allowed.contains("mount") && !allowed.contains("chown"), "{allowed:?}");
    let (mut seen, mut sockets) = (BTreeSet::new(), 0);
    for line in text.lines() {
        let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let call = call.strip_prefix("<... ").unwrap_or(call);
        let name: String =
            call.chars().take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_').collect();
        if name.is_empty() {
            continue;
        }
        // MemoryDenyWriteExecute.
        let is_code = |flag: &str| call.contains(flag) && call.contains("PROT_EXEC");
        let makes_code = match name.as_str() {
            "mprotect" => is_code("PROT_EXEC"),
            "mmap" => is_code("PROT_WRITE"),
            _ => false,
        };
        assert!(!makes_code, "{line}");
        // RestrictAddressFamilies.
        if call.starts_with("socket(") {
            sockets += 1;
            let families = one("RestrictAddressFamilies");
            assert!(families.split(' ').any(|family| call.starts_with(&format!("socket({family},"))), "{line}");
        }
        seen.insert(name);
    }
    assert!(seen.len() > 40 && seen.contains("fsync") | seen.contains("fdatasync"), "{seen:?}");
    assert!(sockets > 2, "{sockets}");
    let forbidden: Vec<&String> = seen.difference(&allowed).collect();
    assert!(forbidden.is_empty(), "{forbidden:?}");
}

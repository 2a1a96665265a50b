//! The image's last stage, run: its files, its user, its command and its health check, in a root folder that is read-only and has no shell, no
//! time zones and nothing else of this machine but what the base image is known to have.

use super::dockerfile::{all, exec, one, stages};
use super::{HOME, PROGRAM, STOPS_WITHIN, is_a_command, tool};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The libraries in distroless' `cc` that the program may ask for.
const LIBRARIES: &[&str] =
    &["libc.so.6", "libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0", "librt.so.1", "libstdc++.so.6"];

/// A root folder in namespaces of its own: mounts, network, processes.
struct Container {
    holder: Child,
    root: PathBuf,
    user: String,
    variables: BTreeMap<String, String>,
    _dir: tempfile::TempDir,
}

/// Libraries of a program: those that the base image has, and the loader.
fn libraries(program: &str) -> Vec<String> {
    let listed = tool("ldd", &[program]).expect(0).stdout;
    let paths = listed.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    let paths: Vec<String> = paths.map(str::to_owned).collect();
    for path in &paths {
        let name = path.rsplit('/').next().unwrap();
        assert!(name.starts_with("ld-linux") || LIBRARIES.contains(&name), "the base image does not have {path}");
    }
    assert!(paths.len() > 1, "{listed}");
    paths
}

impl Container {
    fn start() -> Self {
        let stages = stages();
        let image = stages.last().unwrap();
        let (user, variables) = (one(image, "USER").to_owned(), variables(one(image, "ENV")));
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        let home = dir.path().join("home");
        std::fs::create_dir_all(&home).unwrap();
        std::os::unix::fs::chown(&home, Some(65532), Some(65532)).expect("this test is root, as the engine is");
        let root_dir = root.display();
        let mut script = format!("set -e\nmkdir -p {root_dir}{HOME} {root_dir}/tmp {root_dir}/proc\n");
        script += &format!("mount --bind {root_dir} {root_dir}\n");
        let program = env!("CARGO_BIN_EXE_nightmark").to_owned();
        let mounted = libraries(&program).into_iter().map(|path| (path.clone(), path));
        for (from, to) in mounted.chain([(program.clone(), PROGRAM.to_owned())]) {
            let to = format!("{root_dir}{to}");
            script += &format!("mkdir -p $(dirname {to}); touch {to}; mount --bind {from} {to}\n");
        }
        script += &format!("mount --bind {} {root_dir}{HOME}\nmount -t tmpfs tmpfs {root_dir}/tmp\n", home.display());
        script += &format!("mount -t proc proc {root_dir}/proc\nmount -o remount,bind,ro {root_dir}\n");
        script += "ip link set lo up\necho ready\nread end\n";
        let mut holder = Command::new("unshare");
        holder.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", &script]);
        let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("unshare, of util-linux");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Container { holder, root, user, variables, _dir: dir }
    }

    /// The process in the namespaces: unshare's child.
    fn inside(&self) -> String {
        child_of(self.holder.id()).to_string()
    }

    /// A command of the image, as its user, without privileges and without this machine's variables.
    fn command(&self, words: &[String]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.inside(), "--mount", "--net", "--pid"]).arg("setpriv").args([
            "--no-new-privs",
            "chroot",
            &format!("--userspec={}", self.user),
        ]);
        let path = std::env::var("PATH").unwrap();
        command.arg(&self.root).args(words).env_clear().envs(&self.variables).env("PATH", path).stdin(Stdio::null());
        command
    }

    /// A file in the home folder, as this machine sees it.
    fn home(&self, name: &str) -> PathBuf {
        self.root.parent().unwrap().join("home").join(name)
    }
}

fn child_of(pid: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.split_whitespace().next().unwrap().parse().unwrap()
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.holder.stdin.take().map(|mut stdin| stdin.write_all(b"end\n"));
        let _ = self.holder.wait();
    }
}

/// `A=b C=d`
fn variables(args: &str) -> BTreeMap<String, String> {
    args.split(' ')
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn the_images_command_runs_without_root_a_shell_or_a_writable_root() {
    let stages = stages();
    let image = stages.last().unwrap();
    let (entry, command) = (exec(one(image, "ENTRYPOINT")), exec(one(image, "CMD")));
    let check = exec(one(image, "HEALTHCHECK").split("CMD").nth(1).unwrap());
    let container = Container::start();
    assert_eq!(container.user, "65532:65532");
    // Nothing answers yet.
    assert_eq!(container.command(&check).output().unwrap().status.code(), Some(1));
    let words: Vec<String> = entry.iter().chain(&command).cloned().collect();
    let ready = ["--ready-file".to_owned(), format!("{HOME}/ready.json")];
    let log = std::fs::File::create(container.home("log")).unwrap();
    let mut daemon =
        container.command(&[&words[..], &ready].concat()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    for _ in 0..3000 {
        if container.home("ready.json").exists() {
            break;
        }
        let log = || std::fs::read_to_string(container.home("log")).unwrap();
        assert!(daemon.try_wait().unwrap().is_none(), "it has ended: {}", log());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let addresses = std::fs::read_to_string(container.home("ready.json")).unwrap();
    assert!(addresses.contains(&format!("0.0.0.0:{}", one(image, "EXPOSE"))), "{addresses}");
    let ran = crate::support::ran(container.command(&check).output().unwrap()).expect(0);
    assert_eq!(ran.stdout, "ok\n");
    is_read_only_but_for_its_folders(&container);
    a_run_and_its_zones_work(&container);
    // The signal that an engine sends.
    assert_eq!(one(image, "STOPSIGNAL"), "SIGTERM");
    crate::support::signal(child_of(daemon.id()), "TERM");
    assert!(daemon.wait().unwrap().success());
}

/// The program itself says so: it is the only one in there.
fn is_read_only_but_for_its_folders(container: &Container) {
    let man = |dir: &str| {
        let words = [PROGRAM, "man", "--dir", dir].map(str::to_owned);
        crate::support::ran(container.command(&words).output().unwrap())
    };
    for dir in ["/man", "/usr/man", "/etc/man"] {
        let ran = man(dir).expect(2);
        assert!(ran.stderr.contains("Read-only file system"), "{}", ran.stderr);
    }
    man("/tmp/man").expect(0);
    man(&format!("{HOME}/man")).expect(0);
}

/// A night in the image: nothing is read of a time zone's files, and what does not fit the memory goes where it may.
fn a_run_and_its_zones_work(container: &Container) {
    std::fs::create_dir(container.home("jobs")).unwrap();
    let job = "version = 1\nschedule = \"30 2 * * *\"\ntimezone = \"Europe/Berlin\"\n[source]\nkind = \"files\"\npath = \"orgs.csv\"\n\
               [diff]\nkey = \"workspace_id\"\n[destination]\nkind = \"http\"\nurl = \"http://127.0.0.1:8080/healthz\"\nmethod = \"POST\"\n\
               [payload]\npreset = \"flat\"\n";
    std::fs::write(container.home("jobs/orgs.toml"), job).unwrap();
    std::fs::write(container.home("orgs.csv"), "workspace_id,plan\na,pro\nb,free\n").unwrap();
    let run = |args: &[&str]| {
        let words: Vec<String> = std::iter::once(&PROGRAM).chain(args).map(|word| (*word).to_owned()).collect();
        crate::support::ran(container.command(&words).output().unwrap())
    };
    let schedule = run(&["schedule", "orgs"]).expect(0).stdout;
    assert!(schedule.contains("CET") || schedule.contains("CEST"), "{schedule}");
    let preview = run(&["preview", "orgs", "--json"]).expect(0);
    assert_eq!(preview.json()["added"], 2, "{}", preview.stdout);
    // The receiver's address takes no such request: what counts is that it was asked and the run is on record.
    assert_eq!(run(&["run", "orgs", "--no-send"]).code, 1);
    assert!(run(&["runs"]).expect(0).stdout.contains("orgs"));
    assert!(Path::new(&container.home("snapshots/orgs/manifest.json")).exists());
}

#[test]
fn the_image_says_what_the_program_takes() {
    let stages = stages();
    let image = stages.last().unwrap();
    let entry = exec(one(image, "ENTRYPOINT"));
    is_a_command(&[entry.clone(), exec(one(image, "CMD"))].concat());
    is_a_command(&exec(one(image, "HEALTHCHECK").split("CMD").nth(1).unwrap()));
    for (name, _) in variables(one(image, "ENV")) {
        super::is_a_variable(&name);
    }
    // The program is where it is started, the home folder where it is declared, and its owner is the user.
    let copied = all(image, "COPY");
    assert!(copied.iter().any(|args| args.ends_with(&format!("/target/dist/nightmark {PROGRAM}"))), "{copied:?}");
    let home = copied.iter().find(|args| args.ends_with(&format!(" {HOME}"))).expect("the home folder");
    assert!(home.contains(&format!("--chown={}", one(image, "USER"))));
    assert_eq!((one(image, "VOLUME"), one(image, "WORKDIR")), (HOME, HOME));
    assert_eq!(variables(one(image, "ENV"))["NIGHTMARK_HOME"], HOME);
    assert!(super::read("docs/OPERATIONS.md").contains(&format!("at most {STOPS_WITHIN} s")));
}

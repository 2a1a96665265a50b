//! A disk of a size and a state of our choosing, in a mount namespace of its own: nothing outside sees it, and it is gone
//! with the process that holds it.

use super::copy;
use crate::support::{Ran, ran};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub struct Disk {
    holder: Child,
    /// Where it is mounted, in its namespace.
    home: PathBuf,
    _dir: tempfile::TempDir,
}

impl Disk {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        std::fs::create_dir(&home).unwrap();
        let script = format!("mount -t tmpfs tmpfs '{}' && echo mounted && read end", home.display());
        let mut command = Command::new("unshare");
        if !is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--mount", "sh", "-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().expect("unshare, of util-linux");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n", "a tmpfs cannot be mounted here: root or user namespaces are needed");
        Disk { holder, home, _dir: dir }
    }

    /// The disk as this process sees it.
    pub fn seen(&self) -> PathBuf {
        let home = self.home.strip_prefix("/").unwrap();
        Path::new("/proc").join(self.holder.id().to_string()).join("root").join(home)
    }

    /// A program that has this disk for a home.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--mount"]);
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg(program).stdin(Stdio::null());
        command
    }

    fn mount(&self, args: &[&str]) {
        let status = self.command("mount").args(args).status().unwrap();
        assert!(status.success(), "mount {args:?}");
    }

    pub fn nightmark(&self, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_nightmark"));
        command.args(args).env("NIGHTMARK_HOME", &self.home).env_remove("NIGHTMARK_LOG");
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        ran(self.nightmark(args).output().unwrap())
    }

    /// Empties it and puts a copy of `from` there.
    pub fn restore(&self, from: &Path) {
        self.writable();
        for entry in std::fs::read_dir(self.seen()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
        }
        copy(from, &self.seen());
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        let output = self.command("df").args(["--block-size=1", "--output=used"]).arg(&self.home).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().last().unwrap().trim().parse().unwrap()
    }

    /// From now on it holds so many bytes.
    pub fn resize(&self, bytes: u64) {
        self.mount(&["-o", &format!("remount,rw,size={bytes}"), self.home.to_str().unwrap()]);
    }

    /// Large and writable.
    pub fn writable(&self) {
        self.resize(64 << 20);
    }

    pub fn read_only(&self) {
        self.mount(&["-o", "remount,ro", self.home.to_str().unwrap()]);
    }

    /// A folder of it alone is read-only, and writable again at the end of `f`.
    pub fn with_read_only(&self, folder: &str, f: impl FnOnce()) {
        let folder = self.home.join(folder);
        let folder = folder.to_str().unwrap();
        self.mount(&["--bind", folder, folder]);
        self.mount(&["-o", "remount,bind,ro", folder]);
        f();
        let status = self.command("umount").arg(folder).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.stdin.take().map(|mut stdin| stdin.write_all(b"end\n"));
        let _ = self.holder.wait();
    }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout == b"0\n"
}

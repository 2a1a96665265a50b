//! Commands as a reader pastes them.

use crate::receiver::nginx::server::Nginx;
use crate::support::{Home, Served};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

/// A shell in which `nightmark` is ours, and `curl` finds the page's addresses where they are in the test.
pub struct Shell {
    pub home: Home,
    /// What earlier blocks have exported.
    exports: String,
}

impl Shell {
    pub fn new(home: Home, served: &Served, nginx: &Nginx) -> Shell {
        let bin = home.path("bin");
        std::fs::create_dir(&bin).unwrap();
        let script = |name: &str, line: &str| {
            let file = bin.join(name);
            std::fs::write(&file, format!("#!/bin/sh\nexec {line} \"$@\"\n")).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        script("nightmark", env!("CARGO_BIN_EXE_nightmark"));
        let to = |from: &str, to: &str| format!(" --connect-to {from}:{to}");
        let places = to("127.0.0.1:8080", &served.receiver) + &to("127.0.0.1:8081", &served.admin);
        script("curl", &format!("/usr/bin/curl --noproxy '*' {} {places}", nginx.curl_options()));
        Shell { home, exports: String::new() }
    }

    pub fn run(&mut self, text: &str) -> Output {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.home.path("bin").display());
        let mut command = Command::new("sh");
        command
            .args(["-eu", "-c", &format!("{}{text}", self.exports)])
            .env("PATH", path)
            .env("NIGHTMARK_HOME", self.home.path(""));
        let output = command.env_remove("NIGHTMARK_LOG").current_dir(self.home.path("")).output().unwrap();
        assert!(
            output.status.success(),
            "{text}\n---\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let exported = text.lines().filter(|line| line.starts_with("export ")).map(|line| format!("{line}\n"));
        self.exports.extend(exported);
        output
    }
}

//! Files at a distance, through the real binary and real servers on loopback.

pub mod azure;
mod beginning;
mod choice;
mod clocks;
mod google;
mod http;
mod look;
mod memory;
mod page;
mod proxy;
mod s3;
pub mod servers;
pub mod sftp;

use crate::support::{Destination, Home, Ran, ran};
use serde_json::Value;

/// A home folder whose job reads from somewhere else.
pub struct Nights {
    home: Home,
    destination: Destination,
    environment: Vec<(String, String)>,
}

impl Nights {
    /// `source`: what stands in `[source]` besides its kind.
    fn new(source: &str) -> Self {
        let nights = Nights { home: Home::new(), destination: Destination::start(), environment: Vec::new() };
        std::fs::create_dir(nights.home.path("tmp")).unwrap();
        nights.source(source);
        nights
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another `[source]`.
    fn source(&self, source: &str) {
        let address = &self.destination.address;
        self.home.write(
            "jobs/orgs.toml",
            &format!(
                "version = 1\n[source]\nkind = \"files\"\n{source}\n[diff]\nkey = \"workspace_id\"\n\
                 [destination]\nkind = \"http\"\nurl = \"http://{address}/\"\n[payload]\npreset = \"flat\"\n"
            ),
        );
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.home.command(args);
        // What this machine has of its own must not decide.
        for name in [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "SSH_AUTH_SOCK",
            "HTTP_PROXY",
            "http_proxy",
        ] {
            command.env_remove(name);
        }
        command.env("TMPDIR", self.home.path("tmp")).env("HOME", self.home.path(""));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        ran(command.output().unwrap())
    }

    /// A night that goes well; the orgs that were sent.
    #[track_caller]
    fn night(&self) -> Vec<String> {
        self.run(&["run", "orgs", "--json"]).expect(0);
        self.left_nothing();
        self.destination.take_orgs()
    }

    /// The same; the bodies that were sent, by org.
    #[track_caller]
    fn bodies(&self) -> Vec<Value> {
        self.run(&["run", "orgs", "--json"]).expect(0);
        let mut bodies: Vec<Value> = self.destination.take().into_iter().map(|seen| seen.body).collect();
        bodies.sort_by_key(|body| body["workspace_id"].to_string());
        bodies
    }

    /// A night that fails: nothing is sent, nothing is left, and all of this is said.
    #[track_caller]
    fn fails(&self, parts: &[&str]) {
        let ran = self.run(&["run", "orgs"]).expect(2);
        crate::support::says(&ran, parts);
        self.keeps_secrets(&ran);
        assert_eq!(self.destination.take_orgs(), Vec::<String>::new());
        self.left_nothing();
    }

    /// `check` refuses the job and says all of this.
    #[track_caller]
    fn refuses(&self, parts: &[&str]) {
        let ran = self.run(&["check", "orgs"]);
        assert_ne!(ran.code, 0, "{}", ran.stdout);
        crate::support::says(&ran, parts);
        self.keeps_secrets(&ran);
    }

    /// No copy is left in the folder for temporary files.
    #[track_caller]
    fn left_nothing(&self) {
        let left: Vec<_> =
            std::fs::read_dir(self.home.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, Vec::<std::path::PathBuf>::new());
    }

    #[track_caller]
    fn keeps_secrets(&self, ran: &Ran) {
        for (_, value) in self.environment.iter().filter(|(_, value)| value.contains("planted")) {
            assert!(!ran.stdout.contains(value) && !ran.stderr.contains(value), "{}{}", ran.stdout, ran.stderr);
        }
    }
}

/// CSV with these orgs.
fn csv(orgs: &[&str]) -> String {
    let rows: String = orgs.iter().map(|org| format!("{org},Org {org}\n")).collect();
    format!("workspace_id,name\n{rows}")
}

/// CSV of so many orgs, of about a thousand bytes each.
fn large(rows: usize) -> String {
    let row = |n: usize| format!("ws_{n:06},{}\n", format!("{:x}", n * 2_654_435_761).repeat(100));
    format!("workspace_id,name\n{}", (0..rows).map(row).collect::<String>())
}

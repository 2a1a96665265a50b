//! How Nightmark gets onto a machine: what shells and `man` are given, the systemd unit, the image, compose, Kubernetes.
//!
//! In: the files below `docker/` and the binary. Out: a panic for each path, command, setting, port or endpoint in them that is not there, and
//! for whatever their own linters find. Deliberately absent: a container engine, a systemd that runs and a cluster; docs/INSTALL.md says
//! what only those can show.

mod compose;
mod dockerfile;
mod health;
mod image;
mod kubernetes;
mod man;
mod shells;
mod unit;

use crate::support::{Ran, python, ran};
use nightmark::config::Settings;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program in every packaging.
const PROGRAM: &str = "/usr/local/bin/nightmark";
/// The home folder in every packaging.
const HOME: &str = "/var/lib/nightmark";
/// How long the daemon may take to stop: docs/OPERATIONS.md says it, and whoever stops it must wait longer.
const STOPS_WITHIN: u64 = 30;

/// A file of the source.
fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(source(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A tool that `./test.sh` installs.
fn tool(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Ran {
    let program = program.as_ref();
    let output = Command::new(program).args(args).output();
    ran(output.unwrap_or_else(|error| panic!("{}: {error}; run ./test.sh, which installs it", program.display())))
}

/// A tool that comes as a Python package.
fn python_tool(name: &str, args: &[&str]) -> Ran {
    tool(Path::new(python().get_program()).with_file_name(name), args)
}

/// YAML as JSON, each document of it.
fn yaml(name: &str) -> Vec<Value> {
    let mut command = python();
    command.arg("-c").arg("import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin))))");
    match crate::support::pipe(command, &read(name)) {
        Value::Array(documents) => documents,
        other => panic!("{name}: {other}"),
    }
}

/// The settings of a packaging are settings, and the receiver's and the operator's ports are the defaults that its other files go by.
#[track_caller]
fn settings(name: &str) -> Settings {
    let settings = Settings::parse(&read(name), Path::new(name)).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(settings.receiver.address.port(), 8080);
    assert_eq!(settings.admin.address, "127.0.0.1:8081".parse().unwrap());
    settings
}

/// `${file:PATH}` in a text.
fn secret_files(text: &str) -> Vec<String> {
    let references = text.split("${file:").skip(1);
    references.map(|rest| rest.split('}').next().unwrap().to_owned()).collect()
}

/// A command line of a packaging is one of ours, up to its values.
#[track_caller]
fn is_a_command(words: &[String]) {
    assert_eq!(words[0], PROGRAM);
    let mut args: Vec<&str> = words[1..].iter().map(String::as_str).collect();
    args.push("--help");
    crate::support::Home::new().run(&args).expect(0);
}

fn words(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// A variable of the environment that the program reads.
#[track_caller]
fn is_a_variable(name: &str) {
    let help = crate::support::Home::new().run(&["--help"]).expect(0).stdout;
    assert!(help.contains(&format!("[env: {name}=")), "{name}: {help}");
}

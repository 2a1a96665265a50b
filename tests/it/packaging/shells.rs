//! Completions, in the shells themselves: a terminal on which somebody types and presses Tab.

use crate::support::{Home, pipe, python};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Shells without anybody's settings, their prompt, and how they are told of the completions.
const SHELLS: &[(&str, &[&str], &str)] = &[
    (
        "bash",
        &["/bin/bash", "--norc", "--noprofile", "-i"],
        "PS1='REA''DY> '; bind 'set enable-bracketed-paste off'; source <(nightmark completions bash)",
    ),
    (
        "zsh",
        &["/bin/zsh", "-f", "-i"],
        "PS1='REA''DY> '; autoload -U compinit && compinit -u -D; source <(nightmark completions zsh)",
    ),
    (
        "fish",
        &["/usr/bin/fish", "--no-config", "--interactive"],
        "nightmark completions fish | source; function fish_prompt; echo -n 'REA''DY> '; end",
    ),
];

/// Where the program is a script that answers shells as the program does, and writes down what it is called with otherwise.
fn site() -> Home {
    let home = Home::new();
    home.write("jobs/workspaces.toml", "version = 1\n");
    // Files with mistakes are jobs too: `check` is what one types then.
    home.write("jobs/other.toml", "name = \"renamed\"\nversion = ?");
    home.write("readme.txt", "");
    std::fs::create_dir_all(home.path("elsewhere/jobs")).unwrap();
    home.write("elsewhere/jobs/only_there.toml", "");
    std::fs::create_dir(home.path("bin")).unwrap();
    let script = format!(
        "#!/bin/sh\nif [ -n \"$_NIGHTMARK_COMPLETE\" ] || [ \"$1\" = completions ]; then exec '{}' \"$@\"; fi\n\
         printf '%s\\n' \"$@\" >typed\necho RECOR''DED\n",
        env!("CARGO_BIN_EXE_nightmark")
    );
    home.write("bin/nightmark", &script);
    std::fs::set_permissions(home.path("bin/nightmark"), PermissionsExt::from_mode(0o755)).unwrap();
    home
}

/// What the shell calls after Tab and Enter behind `line`.
fn completed(home: &Home, shell: &[&str], setup: &str, line: &str) -> Vec<String> {
    let _ = std::fs::remove_file(home.path("typed"));
    let mut command = python();
    let path = format!("{}:{}", home.path("bin").display(), std::env::var("PATH").unwrap());
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/terminal.py"));
    command.current_dir(home.path("")).env("PATH", path).env("TERM", "xterm").env("HOME", home.path(""));
    command.env("NIGHTMARK_HOME", home.path("")).env("LC_ALL", "C.UTF-8").env_remove("NIGHTMARK_LOG");
    assert!(Path::new(shell[0]).exists(), "{} is missing; run ./test.sh, which installs it", shell[0]);
    let answers = json!([["", setup], ["READY> ", format!("{line}\t")], ["RECORDED", "exit"]]);
    let ran = pipe(command, &json!({ "command": shell, "answers": answers }).to_string());
    let typed = std::fs::read_to_string(home.path("typed")).unwrap_or_else(|error| panic!("{error}: {ran}"));
    typed.lines().map(str::to_owned).collect()
}

/// `line` and a Tab is `expected`, in each shell.
#[track_caller]
fn check(line: &str, expected: &[&str]) {
    let home = site();
    for (name, shell, setup) in SHELLS {
        assert_eq!(completed(&home, shell, setup, line), expected, "{name}: {line}");
    }
}

#[test]
fn commands_options_and_values_are_completed() {
    check("nightmark appr", &["approve"]);
    check("nightmark dead-letters ret", &["dead-letters", "retry"]);
    check("nightmark run workspaces --no-s", &["run", "workspaces", "--no-send"]);
    check("nightmark --log-format js", &["--log-format", "json"]);
    check("nightmark --log-format=js", &["--log-format=json"]);
    check("nightmark serve --ready-file rea", &["serve", "--ready-file", "readme.txt"]);
}

#[test]
fn jobs_are_completed_wherever_one_is_asked_for() {
    check("nightmark run wor", &["run", "workspaces"]);
    check("nightmark approve ren", &["approve", "renamed"]);
    check("nightmark dead-letters show wor", &["dead-letters", "show", "workspaces"]);
    check("nightmark runs show ren", &["runs", "show", "renamed"]);
    check("nightmark check workspaces ren", &["check", "workspaces", "renamed"]);
    check("nightmark --home elsewhere run on", &["--home", "elsewhere", "run", "only_there"]);
}

#[test]
fn a_broken_home_completes_and_says_nothing() {
    let home = site();
    home.write("nightmark.toml", "no settings");
    for (name, shell, setup) in SHELLS {
        assert_eq!(completed(&home, shell, setup, "nightmark run ren"), ["run", "renamed"], "{name}");
    }
    let mut command = home.command(&["--", "nightmark", "--home", "nowhere", "run", ""]);
    let ran = crate::support::ran(command.env("_NIGHTMARK_COMPLETE", "bash").output().unwrap()).expect(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
}

//! Manual pages, by the two programs that read them.

use super::tool;
use crate::support::Home;
use std::collections::BTreeSet;
use std::path::PathBuf;

fn pages(home: &Home) -> Vec<PathBuf> {
    let dir = home.path("man");
    // Neither a home folder nor sound settings are needed.
    home.write("nightmark.toml", "no settings");
    home.run(&["man", "--home", "nowhere", "--dir", dir.to_str().unwrap()]).expect(0);
    let mut pages: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    pages
}

#[test]
fn manual_pages_have_no_warnings() {
    let home = Home::new();
    let pages = pages(&home);
    assert!(pages.len() > 40, "{pages:?}");
    for page in &pages {
        let page = page.to_str().unwrap();
        let ran = tool("mandoc", &["-T", "lint", "-W", "warning", page]);
        // The pages have no date on purpose: the same program makes the same pages on every day.
        let warnings: Vec<&str> = ran.stdout.lines().filter(|line| !line.contains("missing date, using")).collect();
        assert!(warnings.is_empty() && ran.stderr.is_empty(), "{page}: {warnings:?} {}", ran.stderr);
        let ran = tool("man", &["--warnings", "--encoding=UTF-8", "--local-file", page]).expect(0);
        assert!(ran.stderr.is_empty() && ran.stdout.contains("EXIT STATUS"), "{page}: {}", ran.stderr);
        // What `whatis` and `apropos` find it by.
        let ran = tool("lexgrog", &[page]).expect(0);
        let name = page.rsplit('/').next().unwrap().trim_end_matches(".1");
        assert!(ran.stdout.contains(&format!("{name} - ")), "{}", ran.stdout);
    }
}

/// Every command of the help has a page, and the first page names all of them.
#[test]
fn each_command_has_its_page() {
    let home = Home::new();
    let names: BTreeSet<String> =
        pages(&home).iter().map(|page| page.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    let help = home.run(&["--help"]).expect(0).stdout;
    let section = help.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let commands: Vec<&str> = section
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() > 20, "{help}");
    let first = home.run(&["man"]).expect(0).stdout;
    for command in &commands {
        assert!(names.contains(&format!("nightmark-{command}")), "{command}");
        assert!(first.contains(&format!("nightmark\\-{}(1)", command.replace('-', "\\-"))), "{command}: {first}");
    }
    for name in ["nightmark", "nightmark-dead-letters-retry", "nightmark-man"] {
        assert!(names.contains(name), "{names:?}");
    }
    for part in ["NIGHTMARK_HOME", "EXIT STATUS", "nightmark.toml"] {
        assert!(first.replace("\\-", "-").contains(part), "{part}");
    }
}

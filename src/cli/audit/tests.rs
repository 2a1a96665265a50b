//! Every command of the program, and what of it goes into the log.

use super::*;
use crate::cli::{Asked, Cli};
use clap::{ArgMatches, CommandFactory as _, Parser as _};
use std::collections::BTreeSet;

/// What is put down of a command: action, what it is about, detail.
type Put<'a> = Option<(&'a str, &'a str, &'a str)>;

/// Every way of typing a command that decides something or gives access.
const DEEDS: &[(&str, Put<'static>)] = &[
    ("run orgs", Some(("run", "orgs", ""))),
    ("run orgs --approve", Some(("run", "orgs", "--approve"))),
    ("approve orgs", Some(("approve", "orgs", ""))),
    ("discard 01A", Some(("discard", "01A", ""))),
    ("retry orgs", Some(("retry", "orgs", ""))),
    ("adopt orgs", Some(("adopt", "orgs", ""))),
    ("adopt orgs --replace", Some(("adopt", "orgs", "--replace"))),
    ("rollback orgs --to 01A", Some(("rollback", "orgs", "--to 01A"))),
    ("backfill orgs", Some(("backfill", "orgs", ""))),
    ("backfill orgs --resume", Some(("backfill", "orgs", "--resume"))),
    ("backfill orgs --pause", Some(("backfill", "orgs", "--pause"))),
    ("backfill orgs --cancel", Some(("backfill", "orgs", "--cancel"))),
    ("schema orgs accept", Some(("schema accept", "orgs", ""))),
    ("dead-letters retry orgs --all", Some(("dead-letters retry", "orgs", ""))),
    ("dead-letters drop orgs ws_1", Some(("dead-letters drop", "orgs", ""))),
    ("destinations enable orgs", Some(("destinations enable", "orgs", ""))),
    ("keys create --name k", Some(("keys create", "k", ""))),
    ("keys rotate key_1", Some(("keys rotate", "key_1", ""))),
    ("keys revoke key_1", Some(("keys revoke", "key_1", ""))),
    ("tokens create --name t --role admin", Some(("tokens create", "t", ""))),
    ("tokens revoke token_1", Some(("tokens revoke", "token_1", ""))),
    ("state import state.ndjson", Some(("state import", "state.ndjson", ""))),
    // The same commands where they only look.
    ("rollback orgs --to 01A --dry-run", None),
    ("backfill orgs --dry-run", None),
    ("backfill orgs --status", None),
];

/// Commands that only look, make files, or do what the daemon does by itself.
const OTHERS: &[&str] = &[
    "demo",
    "check orgs",
    "preview orgs",
    "runs",
    "runs show orgs",
    "doctor",
    "alerts list",
    "alerts test",
    "explain orgs ws_1",
    "schema orgs show",
    "snapshot list orgs",
    "snapshot show orgs",
    "snapshot verify orgs",
    "snapshot diff orgs 01A",
    "snapshot export orgs --output orgs.csv",
    "schedule",
    "leases",
    "state export --output state.ndjson",
    "tidy",
    "serve",
    "health",
    "audit",
    "orgs",
    "orgs list",
    "orgs show a",
    "orgs history a",
    "orgs export --output orgs.csv",
    "init",
    "import hightouch model.yaml sync.yaml",
    "template test --body a.json --template flat",
    "dead-letters list",
    "dead-letters show orgs ws_1",
    "destinations list",
    "keys",
    "keys list",
    "tokens",
    "tokens list",
];

/// The words of a command without its arguments, as `dead-letters list`.
fn path(matches: &ArgMatches) -> String {
    let deeper = std::iter::successors(matches.subcommand(), |(_, matches)| matches.subcommand());
    deeper.map(|(name, _)| name).collect::<Vec<_>>().join(" ")
}

/// All of them that can be typed.
fn paths(command: &clap::Command, before: &str, found: &mut BTreeSet<String>) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let path = format!("{before} {}", sub.get_name()).trim().to_owned();
        if !sub.is_subcommand_required_set() {
            found.insert(path.clone());
        }
        paths(sub, &path, found);
    }
}

#[test]
fn each_command_is_a_deed_or_known_to_be_none() {
    let mut seen = BTreeSet::new();
    for (line, expected) in DEEDS.iter().copied().chain(OTHERS.iter().map(|line| (*line, None))) {
        let words: Vec<&str> = std::iter::once("nightmark").chain(line.split(' ')).collect();
        seen.insert(path(
            &Cli::command().try_get_matches_from(&words).unwrap_or_else(|error| panic!("{line}: {error}")),
        ));
        let Asked::OfHome(command) =
            Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{line}: {error}")).command
        else {
            panic!("{line} is about the program");
        };
        let deed = Deed::of(&command);
        let put = deed
            .as_ref()
            .map(|deed| (deed.action, deed.subject.as_deref().unwrap_or(""), deed.detail.as_deref().unwrap_or("")));
        assert_eq!(put, expected, "{line}");
    }
    let mut all = BTreeSet::new();
    paths(&Cli::command(), "", &mut all);
    // About the program itself: there is no home folder, and so no log.
    let all: BTreeSet<String> =
        all.into_iter().filter(|path| !["completions", "man"].contains(&path.as_str())).collect();
    assert_eq!(seen, all);
}

/// The names of those who decide are kept where they can be given.
#[test]
fn who_is_named_is_put_down() {
    for line in ["approve orgs", "discard orgs", "adopt orgs", "rollback orgs --to 01A", "backfill orgs"] {
        let words: Vec<&str> = std::iter::once("nightmark").chain(line.split(' ')).chain(["--by", "Zoë"]).collect();
        let Asked::OfHome(command) =
            Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{line}: {error}")).command
        else {
            panic!("{line}");
        };
        assert_eq!(Deed::of(&command).map(|deed| deed.who).as_deref(), Some("Zoë"), "{line}");
    }
}

/// docs/ADMIN.md promises these and no others.
#[test]
fn the_documentation_names_each_deed() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ADMIN.md");
    let text = std::fs::read_to_string(page).expect("the page");
    let (_, from) = text.split_once("So are commands that decide or give access: ").expect("the paragraph");
    let (list, _) = from.split_once(" — ").expect("its end");
    let promised: BTreeSet<String> = list
        .split('`')
        .skip(1)
        .step_by(2)
        .flat_map(|words| match words.split_once(' ') {
            // `keys create | revoke`
            Some((command, ways)) => ways.split(" | ").map(|way| format!("{command} {way}")).collect(),
            None => vec![words.to_owned()],
        })
        .collect();
    let deeds = DEEDS.iter().filter_map(|(_, put)| Some(put.as_ref()?.0.to_owned())).collect();
    assert_eq!(promised, deeds);
}

//! The alert rules and the dashboard of docker/: sound, tested, and about metrics that the binary has.

use super::{every, promtool};
use crate::support::ran;
use clap::Parser as _;
use nightmark::alerts::condition::Kind;
use nightmark::cli::Cli;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn docker(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docker").join(name)
}

#[track_caller]
fn is_well(args: &[&str]) {
    let mut command = promtool(args);
    command.current_dir(docker("prometheus"));
    let ran =
        ran(command.output().unwrap_or_else(|error| panic!("promtool: {error}; run ./test.sh, which installs it")));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn the_alert_rules_are_sound_and_fire_when_they_should() {
    is_well(&["check", "config", "prometheus.yml"]);
    is_well(&["check", "rules", "nightmark.rules.yml"]);
    is_well(&["test", "rules", "nightmark.test.yml"]);
    // Each alert is tested.
    let (rules, tests) = (read("prometheus/nightmark.rules.yml"), read("prometheus/nightmark.test.yml"));
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    for alert in alerts {
        let is_tested = tests.split("- alertname: ").skip(1).any(|test| {
            test.starts_with(&format!("{alert}\n")) && test.contains("exp_labels") && test.contains("summary")
        });
        assert!(is_tested, "{alert} has no test in which it fires");
    }
}

/// Whoever is called finds what to type by the name of what called: each rule of Prometheus, and each kind of `[alerts]`.
#[test]
fn the_page_for_the_night_has_each_alert() {
    let page = std::fs::read_to_string(docker("../docs/OPERATIONS.md")).unwrap();
    let table = page.split("## An alert has come").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let cells: Vec<&str> = table.lines().flat_map(|line| line.split('|').skip(1).take(2)).map(str::trim).collect();
    let rules = read("prometheus/nightmark.rules.yml");
    let rules = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: Nightmark"));
    let kinds = Kind::ALL.iter().map(|kind| format!("`{}`", kind.as_str()));
    let names: Vec<String> = rules.map(str::to_owned).chain(kinds).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(
            cells.iter().any(|cell| cell.split(", ").any(|one| one == name)),
            "{name} is not on the page: {cells:?}"
        );
    }
}

/// What a text says to type, a word in the place of each label.
fn commands(text: &str) -> Vec<Vec<&str>> {
    let ends = |c: char| matches!(c, '.' | ';' | ',' | '(' | ':' | '"');
    let named = text.match_indices("nightmark ").map(|(at, _)| text[at..].split(ends).next().unwrap_or_default());
    // What it does may stand behind it: "nightmark approve JOB sends exactly that".
    let words =
        named.map(|command| command.split(' ').take_while(|word| !matches!(*word, "sends" | "gives")).collect());
    words.collect()
}

/// What is to be typed is a command that there is, with arguments that it takes, and of a job where it is about one.
#[test]
fn each_alert_says_what_to_type() {
    let rules = read("prometheus/nightmark.rules.yml");
    let alerts: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    assert!(alerts.len() > 10);
    for alert in alerts {
        let (name, rest) = alert.split_once('\n').unwrap();
        let description = rest.lines().find_map(|line| line.trim().strip_prefix("description: ")).unwrap();
        let description = description.replace("{{ $labels.job_name }}", "orgs");
        assert!(!description.contains("{{"), "{description}");
        let commands = commands(&description);
        assert!(!commands.is_empty() || description.contains("systemctl status nightmark"), "{name}: {description}");
        for words in &commands {
            Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{name}: {words:?}: {error}"));
        }
        let is_named = |command: &str| commands.iter().any(|words| words.join(" ") == command);
        match name {
            // Not `preview orgs`, which compares anew.
            "NightmarkRunHeld" => {
                for command in ["preview orgs --held", "approve orgs", "discard orgs"] {
                    assert!(is_named(&format!("nightmark {command}")), "{command}: {description}");
                }
                assert!(!is_named("nightmark preview orgs"), "{description}");
            }
            "NightmarkDeadLetters" => {
                for command in ["list orgs", "retry orgs --all", "drop orgs --all"] {
                    assert!(is_named(&format!("nightmark dead-letters {command}")), "{command}: {description}");
                }
            }
            _ => {}
        }
    }
}

fn read(name: &str) -> String {
    std::fs::read_to_string(docker(name)).unwrap()
}

/// Every query of the dashboard.
fn queries(dashboard: &Value) -> Vec<String> {
    match dashboard {
        Value::Object(object) => {
            let own = object.get("expr").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(object.values().flat_map(queries)).collect()
        }
        Value::Array(array) => array.iter().flat_map(queries).collect(),
        _ => Vec::new(),
    }
}

/// What Grafana puts in its variables' places.
fn filled(query: &str) -> String {
    query
        .replace("$__rate_interval", "5m")
        .replace("$__range", "1d")
        .replace("$instance", ".*")
        .replace("$job_name", ".*")
}

#[test]
fn the_dashboard_asks_what_prometheus_understands() {
    let dashboard: Value = serde_json::from_str(&read("grafana/nightmark.json")).unwrap();
    let queries = queries(&dashboard);
    assert!(queries.len() > 15, "{queries:?}");
    let rules: Vec<Value> = queries
        .iter()
        .enumerate()
        .map(|(number, query)| serde_json::json!({ "record": format!("panel:{number}"), "expr": filled(query) }))
        .collect();
    // JSON is YAML.
    let rules = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), rules.to_string()).unwrap();
    is_well(&["check", "rules", file.path().to_str().unwrap()]);
    // Panels have ids of their own and do not lie over each other.
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let mut taken = BTreeSet::new();
    for panel in panels {
        let at = |name: &str| panel["gridPos"][name].as_i64().unwrap();
        for cell in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
            assert!(cell.0 < 24 && taken.insert(cell), "{} lies over another", panel["title"]);
        }
    }
}

/// The names of ours in a text, without what histograms add.
fn names(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_name(c)).filter(|word| word.starts_with("nightmark_"));
    words
        .map(|word| {
            ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).to_owned()
        })
        .collect()
}

#[test]
fn what_rules_and_dashboard_name_is_there() {
    let there: BTreeSet<String> = every().into_keys().collect();
    let dashboard: Value = serde_json::from_str(&read("grafana/nightmark.json")).unwrap();
    // The name of the test's own metrics must be right too, else it shows nothing.
    let texts =
        [read("prometheus/nightmark.rules.yml"), read("prometheus/nightmark.test.yml"), queries(&dashboard).join("\n")];
    for text in texts {
        let unknown: Vec<String> = names(&text).difference(&there).cloned().collect();
        assert!(unknown.is_empty(), "the binary has no {unknown:?}");
    }
    let asked = names(&queries(&dashboard).join("\n"));
    let unseen: Vec<&String> =
        there.iter().filter(|name| name.starts_with("nightmark_") && !asked.contains(*name)).collect();
    // What a number beside it says better.
    assert_eq!(unseen, ["nightmark_last_run_start_timestamp_seconds"], "no panel shows these");
}

/// Each value that a rule or panel asks of a label is one that the contract names.
#[test]
fn labels_have_the_values_that_are_documented() {
    let contract = include_str!("../../../docs/METRICS.md");
    let dashboard: Value = serde_json::from_str(&read("grafana/nightmark.json")).unwrap();
    let text = format!("{}\n{}", read("prometheus/nightmark.rules.yml"), queries(&dashboard).join("\n"));
    let mut seen = 0;
    for label in ["state", "kind", "verdict", "outcome", "stage", "result", "operation", "server"] {
        for (at, _) in text.match_indices(&format!("{label}=")) {
            let quoted = text[at..].split('"').nth(1).unwrap();
            for value in quoted.split('|') {
                assert!(contract.contains(&format!("`{value}`")), "{label}={value}");
                seen += 1;
            }
        }
    }
    assert!(seen > 5, "{seen}");
}

//! `/metrics` of the real binary: what it says of runs, deliveries, schedules and the receiver, before and after a restart.

mod rules;

use crate::guide::{create_key, curl};
use crate::support::{Destination, Home, KEY, Served, job_file};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The answer to `GET /metrics`: status and body.
fn get(served: &Served, headers: &[&str]) -> (u16, String) {
    let mut command = Command::new("curl");
    command.args(["-sS", "-w", "\n%{http_code}", &format!("http://{}/metrics", served.admin)]);
    headers.iter().for_each(|header| _ = command.args(["-H", header]));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

/// All of them as text.
pub fn metrics(served: &Served) -> String {
    let (status, text) = get(served, &[]);
    assert_eq!(status, 200, "{text}");
    text
}

/// The value of a series, written as Prometheus writes it.
pub fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(line.parse().unwrap_or_else(|error| panic!("{series} {line}: {error}")))
}

#[track_caller]
fn has(text: &str, expected: &[(&str, f64)]) {
    for (series, expected) in expected {
        assert_eq!(value(text, series), Some(*expected), "{series}\n{text}");
    }
}

/// The text, once it has the series with this value. The bound is there only so that a broken build ends.
#[track_caller]
pub fn wait_for(served: &Served, series: &str, expected: f64) -> String {
    let began = Instant::now();
    loop {
        let text = metrics(served);
        if value(&text, series) == Some(expected) {
            return text;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{series}\n{text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A schedule that fires once in the next days: in a few seconds.
fn soon() -> String {
    let at = chrono::Utc::now() + chrono::TimeDelta::seconds(4);
    at.format("schedule = \"%S %M %H %d %m *\"").to_string()
}

fn home(destination: &Destination, schedule: &str, rest: &str) -> Home {
    let home = Home::new();
    let to = format!("url = \"http://{}/${{TEST_KEY}}\"\n{rest}", destination.address);
    let job = job_file("", &to, "preset = \"flat\"");
    home.write("jobs/orgs.toml", &job.replacen("version = 1\n", &format!("version = 1\n{schedule}\n"), 1));
    home.write("orgs.csv", "workspace_id,plan_id\nws_1,free\nws_2,free\nws_3,free\nws_4,free\n");
    home
}

/// What the binary says in the middle of its life, and after a restart once everything was acknowledged.
fn texts() -> &'static [String; 2] {
    static TEXTS: OnceLock<[String; 2]> = OnceLock::new();
    TEXTS.get_or_init(a_night)
}

/// In the middle of its life: every metric is there but for the age of a snapshot that there is not.
fn whole() -> &'static str {
    &texts()[0]
}

/// Every metric, with the labels that it has in either.
fn every() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut all = families(whole());
    for (name, (kind, labels)) in families(&texts()[1]) {
        let known = all.entry(name).or_insert_with(|| (kind.clone(), BTreeSet::new()));
        assert_eq!(known.0, kind);
        known.1.extend(labels);
    }
    all
}

/// One night: two orgs are taken, one is refused, one may have been applied. The receiver has a good and a bad request.
fn a_night() -> [String; 2] {
    let destination = Destination::start();
    destination.set("ws_3", 400);
    destination.set("ws_4", 501);
    let home = home(&destination, &soon(), "");
    let key = create_key(&home, &["--name", "k"]);
    let served = Served::start(&home);
    // Before anything has happened a job has its zeros, and its next fire.
    let text = metrics(&served);
    has(
        &text,
        &[
            ("nightmark_runs_total{job_name=\"orgs\",state=\"failed\"}", 0.0),
            ("nightmark_runs_in_progress{job_name=\"orgs\"}", 0.0),
            ("nightmark_dead_letters{job_name=\"orgs\"}", 0.0),
            ("nightmark_destination_state{job_name=\"orgs\",state=\"in_service\"}", 1.0),
            ("nightmark_store_readable", 1.0),
        ],
    );
    assert_eq!(value(&text, "nightmark_last_success_timestamp_seconds{job_name=\"orgs\"}"), None);
    next_fire_is_told(&home, &text);
    assert_eq!(curl(&served, key["key"].as_str().unwrap(), None, r#"{"workspace_id": "a"}"#).0, 200);
    assert_eq!(curl(&served, "sk_unknown", None, "{}").0, 401);
    let text = wait_for(&served, "nightmark_fires_total{job_name=\"orgs\",state=\"done\"}", 1.0);
    night_is_told(&text);
    next_fire_is_told(&home, &text);
    assert!(
        !text.contains(KEY)
            && !text.contains(&destination.address.to_string())
            && !text.contains("ws_1")
            && !text.contains("ws_3"),
        "{text}"
    );
    assert_eq!(served.stop(), 0);
    let after = a_restart_changes_nothing(&home, &destination, &text);
    [text, after]
}

fn night_is_told(text: &str) {
    has(
        text,
        &[
            ("nightmark_runs_total{job_name=\"orgs\",state=\"finished\"}", 1.0),
            ("nightmark_runs_in_progress{job_name=\"orgs\"}", 0.0),
            ("nightmark_run_duration_seconds_count{job_name=\"orgs\"}", 1.0),
            ("nightmark_run_rows_total{job_name=\"orgs\",stage=\"extracted\"}", 4.0),
            ("nightmark_run_rows_total{job_name=\"orgs\",stage=\"rejected\"}", 0.0),
            ("nightmark_run_rows_total{job_name=\"orgs\",stage=\"added\"}", 4.0),
            ("nightmark_last_run_state{job_name=\"orgs\",state=\"finished\"}", 1.0),
            ("nightmark_last_run_state{job_name=\"orgs\",state=\"held\"}", 0.0),
            ("nightmark_last_run_rows{job_name=\"orgs\",stage=\"added\"}", 4.0),
            ("nightmark_delivery_attempts_total{job_name=\"orgs\",verdict=\"acknowledged\"}", 2.0),
            ("nightmark_delivery_attempts_total{job_name=\"orgs\",verdict=\"refused\"}", 1.0),
            ("nightmark_delivery_attempts_total{job_name=\"orgs\",verdict=\"unknown\"}", 1.0),
            ("nightmark_delivery_attempts_total{job_name=\"orgs\",verdict=\"retry\"}", 0.0),
            ("nightmark_delivery_attempt_duration_seconds_count{job_name=\"orgs\"}", 4.0),
            ("nightmark_delivery_rows_total{job_name=\"orgs\",outcome=\"acknowledged\"}", 2.0),
            ("nightmark_delivery_rows_total{job_name=\"orgs\",outcome=\"refused\"}", 1.0),
            ("nightmark_delivery_rows_total{job_name=\"orgs\",outcome=\"unknown\"}", 1.0),
            ("nightmark_delivery_breaker_state{job_name=\"orgs\",state=\"closed\"}", 1.0),
            ("nightmark_delivery_breaker_state{job_name=\"orgs\",state=\"open\"}", 0.0),
            ("nightmark_delivery_requests_in_flight{job_name=\"orgs\"}", 0.0),
            ("nightmark_undelivered_rows{job_name=\"orgs\",kind=\"pending\"}", 0.0),
            ("nightmark_undelivered_rows{job_name=\"orgs\",kind=\"refused\"}", 1.0),
            ("nightmark_undelivered_rows{job_name=\"orgs\",kind=\"unknown\"}", 1.0),
            ("nightmark_fires_total{job_name=\"orgs\",state=\"missed\"}", 0.0),
            ("nightmark_fire_delay_seconds_count{job_name=\"orgs\"}", 1.0),
            ("nightmark_http_requests_total{server=\"receiver\",status=\"200\",error=\"\"}", 1.0),
            ("nightmark_http_requests_total{server=\"receiver\",status=\"401\",error=\"unauthorized\"}", 1.0),
            ("nightmark_receiver_updates_total{result=\"created\"}", 1.0),
            ("nightmark_receiver_updates_total{result=\"stale\"}", 0.0),
            ("nightmark_store_operation_errors_total{operation=\"commit_receipts\"}", 0.0),
            ("nightmark_store_operation_errors_total{operation=\"upsert_orgs\"}", 0.0),
            (concat!("nightmark_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
        ],
    );
    assert!(value(text, "nightmark_store_operation_duration_seconds_count{operation=\"commit_receipts\"}") > Some(0.0));
    assert!(value(text, "nightmark_delivery_concurrency_limit{job_name=\"orgs\"}") > Some(0.0));
    // It has begun on this day, however slow the machine is.
    assert!(value(text, "nightmark_fire_delay_seconds_sum{job_name=\"orgs\"}") < Some(86_400.0));
    let now = chrono::Utc::now().timestamp() as f64;
    for series in ["nightmark_last_success_timestamp_seconds", "nightmark_last_run_start_timestamp_seconds"] {
        let at = value(text, &format!("{series}{{job_name=\"orgs\"}}")).unwrap();
        assert!(at > now - 3600.0 && at <= now + 1.0, "{series} {at}");
    }
    assert!(
        value(text, "process_start_time_seconds")
            <= value(text, "nightmark_last_run_start_timestamp_seconds{job_name=\"orgs\"}")
    );
    // Not all of it was acknowledged.
    assert_eq!(value(text, "nightmark_snapshot_age_seconds{job_name=\"orgs\"}"), None, "{text}");
}

/// As `nightmark schedule` has it.
#[track_caller]
fn next_fire_is_told(home: &Home, text: &str) {
    let schedule = home.run(&["schedule", "orgs", "--json"]).expect(0).json();
    let at: chrono::DateTime<chrono::Utc> = schedule[0]["next"][0]["utc"].as_str().unwrap().parse().unwrap();
    assert_eq!(value(text, "nightmark_next_fire_timestamp_seconds{job_name=\"orgs\"}"), Some(at.timestamp() as f64));
}

/// What the store knows is the same right after a start, and what another process does is told.
/// Returns what is told once everything was acknowledged.
fn a_restart_changes_nothing(home: &Home, destination: &Destination, before: &str) -> String {
    let served = Served::start(home);
    let after = metrics(&served);
    let kept = [
        "nightmark_last_",
        "nightmark_next_fire",
        "nightmark_undelivered_rows",
        "nightmark_dead_letters",
        "nightmark_destination_state",
        "nightmark_delivery_breaker_state",
        "nightmark_delivery_concurrency_limit",
        "nightmark_snapshot_age",
    ];
    // The series of a metric come in any order.
    let of = |text: &str| -> BTreeSet<String> {
        text.lines().filter(|line| kept.iter().any(|name| line.starts_with(name))).map(str::to_owned).collect()
    };
    assert_eq!(of(&after), of(before));
    has(&after, &[("nightmark_runs_total{job_name=\"orgs\",state=\"finished\"}", 0.0)]);
    destination.clear();
    home.run(&["retry", "orgs"]).expect(0);
    let after = metrics(&served);
    has(
        &after,
        &[
            ("nightmark_undelivered_rows{job_name=\"orgs\",kind=\"refused\"}", 0.0),
            ("nightmark_undelivered_rows{job_name=\"orgs\",kind=\"unknown\"}", 0.0),
            ("nightmark_runs_total{job_name=\"orgs\",state=\"finished\"}", 0.0),
        ],
    );
    let age = value(&after, "nightmark_snapshot_age_seconds{job_name=\"orgs\"}").unwrap();
    let start = value(&after, "nightmark_last_run_start_timestamp_seconds{job_name=\"orgs\"}").unwrap();
    let now = chrono::Utc::now().timestamp_millis() as f64 / 1000.0;
    assert!(age > 0.0 && age <= now - start + 0.002, "{age} of {start} at {now}");
    assert_eq!(served.stop(), 0);
    after
}

#[test]
fn a_night_is_told() {
    // What is asserted stands in `a_night`.
    assert!(whole().contains("nightmark_fires_total"));
}

/// What went wrong before this process began is told by it, also of jobs that are run by hand.
#[test]
fn trouble_is_told_right_after_the_start() {
    let destination = Destination::start();
    destination.set("ws_2", 422);
    let home = home(&destination, "", "dead_letter_after = 1");
    home.run(&["run", "orgs"]).expect(1);
    let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/held.toml", &job.replace("[diff]", "[guard]\nmin_rows = 5\n[diff]"));
    home.run(&["run", "held"]).expect(3);
    home.write("jobs/failed.toml", &job.replace("orgs.csv", "nowhere.csv"));
    home.run(&["run", "failed"]).expect(2);
    let closed = Destination::start();
    ["ws_1", "ws_2", "ws_3", "ws_4"].iter().for_each(|org| closed.set(org, 401));
    home.write("jobs/paused.toml", &job.replace(&destination.address.to_string(), &closed.address.to_string()));
    home.run(&["run", "paused"]).expect(1);
    let served = Served::start(&home);
    let text = metrics(&served);
    has(
        &text,
        &[
            ("nightmark_dead_letters{job_name=\"orgs\"}", 1.0),
            ("nightmark_dead_letters{job_name=\"paused\"}", 0.0),
            ("nightmark_last_run_state{job_name=\"held\",state=\"held\"}", 1.0),
            ("nightmark_last_run_state{job_name=\"orgs\",state=\"held\"}", 0.0),
            ("nightmark_last_run_state{job_name=\"failed\",state=\"failed\"}", 1.0),
            ("nightmark_destination_state{job_name=\"paused\",state=\"paused\"}", 1.0),
            ("nightmark_destination_state{job_name=\"paused\",state=\"in_service\"}", 0.0),
            ("nightmark_destination_state{job_name=\"orgs\",state=\"in_service\"}", 1.0),
            ("nightmark_undelivered_rows{job_name=\"paused\",kind=\"pending\"}", 4.0),
        ],
    );
    assert_eq!(value(&text, "nightmark_next_fire_timestamp_seconds{job_name=\"orgs\"}"), None);
    home.run(&["dead-letters", "drop", "orgs", "--all"]).expect(0);
    has(&metrics(&served), &[("nightmark_dead_letters{job_name=\"orgs\"}", 0.0)]);
    assert_eq!(served.stop(), 0);
}

/// As the admin API: with a token whoever has it, without one this machine alone.
#[test]
fn who_may_not_call_the_api_reads_no_metrics() {
    let home = Home::new();
    let served = Served::start(&home);
    assert_eq!(get(&served, &["Host: evil.example"]).0, 403);
    assert_eq!(get(&served, &["X-Forwarded-For: 192.0.2.1"]).0, 403);
    assert_eq!(get(&served, &[]).0, 200);
    assert_eq!(served.stop(), 0);
    home.write("nightmark.toml", "[admin]\ntoken = \"${ADMIN_TOKEN}\"\n");
    let served = Served::start_with(&home, &[("ADMIN_TOKEN", "made-up-token-0123456789")]);
    assert_eq!(get(&served, &[]).0, 401);
    assert_eq!(get(&served, &["Authorization: Bearer made-up-token-0123456780"]).0, 401);
    let (status, text) = get(&served, &["Authorization: Bearer made-up-token-0123456789"]);
    assert!(status == 200 && text.contains("nightmark_build_info"), "{text}");
    assert!(!text.contains("made-up-token"));
    assert_eq!(served.stop(), 0);
}

/// Type and labels of every metric, by name, as the text has them.
fn families(text: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut families = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            families.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let labels =
                line.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(labels, _)| labels);
            let family = ["", "_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix).filter(|name| families.contains_key(*name)));
            let family = families.get_mut(family.unwrap_or_else(|| panic!("{line} has no type"))).unwrap();
            family.1.extend(labels.split(',').filter_map(|label| Some(label.split_once('=')?.0.to_owned())));
            family.1.remove("le");
        }
    }
    families
}

/// docs/METRICS.md is the contract: every metric with its type and labels, and none that is not there.
#[test]
fn every_metric_is_documented_and_every_documented_one_is_there() {
    let documented: BTreeMap<String, (String, BTreeSet<String>)> = include_str!("../../docs/METRICS.md")
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix("| `")?.split('|').map(str::trim).collect();
            let labels = cells[2].split(',').map(|label| label.trim().trim_matches('`').to_owned());
            let labels = labels.filter(|label| !label.is_empty()).collect();
            Some((cells[0].trim_matches('`').to_owned(), (cells[1].to_owned(), labels)))
        })
        .collect();
    assert_eq!(documented, every());
}

/// Prometheus' own linter over what the binary says.
#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    for text in texts() {
        let mut child = promtool(&["check", "metrics"]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said.trim().is_empty(), "{said}");
    }
}

fn promtool(args: &[&str]) -> Command {
    let mut command = Command::new("promtool");
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

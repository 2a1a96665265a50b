//! The log: docs/LOGGING.md is its contract. Every event of the code stands there with its level and fields, and none that is not; every line of a
//! run says whose it is, also as JSON and whatever the level; no secret is in any.

use crate::support::{Destination, Home, KEY, SECRET, Served, job_file};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Levels and fields of an event, over all places where it happens.
type Events = BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>;

/// The arguments of a macro's call, cut at the commas between them. `text` begins after the opening parenthesis.
fn arguments(text: &str) -> Vec<String> {
    let (mut all, mut one, mut depth, mut quoted, mut escaped) = (Vec::new(), String::new(), 0, false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' if !quoted && depth == 0 => break,
            ')' | ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                all.push(std::mem::take(&mut one));
                continue;
            }
            _ => {}
        }
        one.push(c);
    }
    all.push(one);
    all.iter().map(|argument| argument.trim().to_owned()).filter(|argument| !argument.is_empty()).collect()
}

/// The name of a field, as `tracing` takes it from an argument; `None`: the message, or the target.
fn field(argument: &str) -> Option<String> {
    if argument.starts_with('"') || argument.starts_with("target:") {
        return None;
    }
    let name = argument.split_once(" = ").map_or(argument, |(name, _)| name);
    Some(name.trim_start_matches(['%', '?']).to_owned())
}

/// Events of the code, and calls that have no name.
fn events_of(text: &str, events: &mut Events, unnamed: &mut Vec<String>) {
    for level in ["error", "warn", "info", "debug", "trace"] {
        let call = format!("tracing::{level}!(");
        for (at, _) in text.match_indices(&call) {
            let arguments = arguments(&text[at + call.len()..]);
            if arguments.iter().any(|argument| argument == "target: \"nightmark::access\"") {
                continue;
            }
            let named = arguments.iter().find_map(|argument| argument.strip_prefix("event = \"")?.strip_suffix('"'));
            let Some(name) = named else {
                unnamed.push(format!("{call}{}", arguments.join(", ")));
                continue;
            };
            let (levels, fields) = events.entry(name.to_owned()).or_default();
            levels.insert(level.to_owned());
            fields.extend(arguments.iter().filter_map(|argument| field(argument)).filter(|name| name != "event"));
        }
    }
}

fn sources() -> Vec<PathBuf> {
    fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, out) } else { out.push(path) }
        }
    }
    let mut files = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    files
}

/// The rows of the tables of docs/LOGGING.md, cells without their backquotes.
fn documented() -> Vec<Vec<String>> {
    let text = include_str!("../../docs/LOGGING.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    rows.map(|row| format!("`{row}").split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn listed(cell: &str) -> BTreeSet<String> {
    cell.split(',').map(|word| word.trim().trim_matches('`').to_owned()).filter(|word| !word.is_empty()).collect()
}

#[test]
fn every_event_is_documented_and_every_documented_one_is_there() {
    let (mut events, mut unnamed) = (Events::new(), Vec::new());
    for file in sources() {
        let text = std::fs::read_to_string(&file).unwrap();
        // Words in comments are no events.
        let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        events_of(&code.join("\n"), &mut events, &mut unnamed);
        let imported =
            ["use tracing::{", "use tracing::info", "use tracing::warn", "use tracing::error", "use tracing::debug"];
        let is_plain = imported.iter().all(|words| !text.contains(words)) || file.ends_with("src/spans.rs");
        assert!(
            is_plain,
            "{}: events are written as `tracing::level!(event = …)`, so that this test finds them",
            file.display()
        );
    }
    assert!(
        unnamed.is_empty(),
        "these have no `event = \"…\"`, which docs/LOGGING.md is to list:\n{}",
        unnamed.join("\n")
    );
    let contract: Events = documented()
        .into_iter()
        .filter(|row| row.len() == 4)
        .map(|row| (row[0].trim_matches('`').to_owned(), (listed(&row[1]), listed(&row[2]))))
        .collect();
    for (name, found) in &events {
        let (levels, fields) = found;
        let row = format!(
            "| `{name}` | {} | {} | … |",
            levels.iter().cloned().collect::<Vec<_>>().join(", "),
            fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ")
        );
        assert_eq!(contract.get(name), Some(found), "docs/LOGGING.md is to have the row\n{row}");
    }
    let gone: Vec<&String> = contract.keys().filter(|name| !events.contains_key(*name)).collect();
    assert!(gone.is_empty(), "docs/LOGGING.md lists what the code does not log: {gone:?}");
    assert!(events.len() > 50);
}

#[test]
fn the_reading_of_the_code_can_fail() {
    let (mut events, mut unnamed) = (Events::new(), Vec::new());
    let code = r#"tracing::warn!(event = "a_b", job = self.f(1, "x, y"), run, %error, ?full, opened.late, "it, {x} \" happened");
        tracing::info!("no name"); return tracing::warn!(target: "nightmark::access", key);"#;
    events_of(code, &mut events, &mut unnamed);
    let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<BTreeSet<_>>();
    let expected = (set(&["warn"]), set(&["job", "run", "error", "full", "opened.late"]));
    assert_eq!(events, BTreeMap::from([("a_b".to_owned(), expected)]));
    assert_eq!(unnamed, ["tracing::info!(\"no name\""]);
}

fn home(destination: &Destination) -> Home {
    let home = Home::new();
    let to = format!(
        "url = \"http://{}/${{TEST_KEY}}\"\nsecret = \"${{TEST_SECRET}}\"\nretry = {{ attempts = 2, base = \"1ms\", max = \"1s\" }}",
        destination.address
    );
    let job = job_file("", &to, "preset = \"flat\"");
    home.write("jobs/orgs.toml", &job.replacen("version = 1\n", "version = 1\nschedule = \"* * * * * *\"\n", 1));
    home.write("orgs.csv", "workspace_id,plan_id\nws_1,free\nws_2,free\nws_3,free\n");
    home
}

/// Each line as JSON; what is no JSON is no line of the log.
fn lines(log: &str) -> Vec<Value> {
    let of_log = log.lines().filter(|line| line.starts_with('{'));
    of_log.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn event<'a>(lines: &'a [Value], name: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["fields"]["event"] == name).collect()
}

/// The run's span, the first of a line.
#[track_caller]
fn whose(line: &Value) -> (String, String) {
    let span = &line["spans"][0];
    assert_eq!(span["name"], "run", "{line}");
    let of = |name: &str| span[name].as_str().unwrap_or_else(|| panic!("{name} of {line}")).to_owned();
    (of("job"), of("run"))
}

#[test]
fn every_line_of_a_run_says_whose_it_is() {
    let destination = Destination::start();
    destination.set("ws_2", 400);
    destination.set("ws_3", 503);
    let home = home(&destination);
    let ran = home.run(&["run", "orgs", "--log", "nightmark=debug", "--log-format", "json", "--json"]).expect(1);
    let run = ran.json()["run"].as_str().unwrap().to_owned();
    let lines = lines(&ran.stderr);
    let states: Vec<&str> =
        event(&lines, "run_state").iter().map(|line| line["fields"]["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["diffed", "published", "delivering"]);
    assert_eq!(event(&lines, "run_ended").len(), 1);
    assert!(event(&lines, "run_ended")[0]["fields"]["seconds"].as_f64().is_some_and(|seconds| seconds >= 0.0));
    let attempted = event(&lines, "attempted");
    assert!(attempted.len() >= 4, "{}", ran.stderr);
    for line in attempted {
        let (stage, parcel) = (&line["spans"][1], &line["spans"][2]);
        assert_eq!((&stage["name"], &stage["stage"]), (&Value::from("stage"), &Value::from("deliver")), "{line}");
        assert_eq!((&parcel["name"], &parcel["rows"]), (&Value::from("parcel"), &Value::from(1)), "{line}");
        assert!(parcel["seq"].as_u64().is_some_and(|seq| seq < 3), "{line}");
    }
    // Whatever our code has logged was within the run.
    let ours =
        lines.iter().filter(|line| line["target"].as_str().is_some_and(|target| target.starts_with("nightmark::")));
    let owners: BTreeSet<_> = ours.map(whose).collect();
    assert_eq!(owners, BTreeSet::from([("orgs".to_owned(), run)]), "{}", ran.stderr);
}

/// Whose a line is does not hang on the level: at `warn`, and where a filter names another module, it is said all the same.
#[test]
fn a_warning_says_whose_it_is_at_any_level() {
    let destination = Destination::start();
    let home = home(&destination);
    home.run(&["run", "orgs"]).expect(0);
    // `order.bin` is done without, with a warning.
    let order = home.files().into_iter().find(|file| file.ends_with("order.bin")).unwrap();
    std::fs::write(&order, b"damaged").unwrap();
    for filter in ["warn", "nightmark::snapshot=warn"] {
        home.write("orgs.csv", &format!("workspace_id,plan_id\nws_1,{filter}\nws_2,free\nws_3,free\n"));
        let order = home.files().into_iter().rfind(|file| file.ends_with("order.bin")).unwrap();
        std::fs::write(&order, b"damaged").unwrap();
        let ran = home.run(&["run", "orgs", "--log", filter, "--log-format", "json", "--json"]).expect(0);
        let lines = lines(&ran.stderr);
        let told = event(&lines, "order_unusable");
        assert_eq!(told.len(), 1, "{filter}: {}", ran.stderr);
        assert_eq!(whose(told[0]), ("orgs".to_owned(), ran.json()["run"].as_str().unwrap().to_owned()), "{filter}");
        // Text says the same.
        std::fs::write(home.files().into_iter().rfind(|file| file.ends_with("order.bin")).unwrap(), b"damaged")
            .unwrap();
        home.write("orgs.csv", &format!("workspace_id,plan_id\nws_1,{filter} again\nws_2,free\nws_3,free\n"));
        let ran = home.run(&["run", "orgs", "--log", filter, "--log-format", "text"]).expect(0);
        assert!(ran.stderr.contains("run{job=\"orgs\" run="), "{}", ran.stderr);
    }
}

/// A daemon with everything logged as JSON: each line can be read, what fails says which run it was, and no secret is there.
#[test]
fn a_daemon_logs_json_without_secrets() {
    let destination = Destination::start();
    destination.set("ws_2", 401);
    let home = home(&destination);
    let text = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/gone.toml", &text.replace("orgs.csv", "nowhere.csv"));
    let variables = [("NIGHTMARK_LOG", "trace"), ("NIGHTMARK_LOG_FORMAT", "json")];
    let served = Served::start_with(&home, &variables);
    let began = std::time::Instant::now();
    let has = |name: &str| home.log().lines().any(|line| line.contains(&format!("\"event\":\"{name}\"")));
    while !(has("run_failed") && has("run_ended") && has("delivery_stopped")) {
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "{}", home.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(served.stop(), 0);
    let log = home.log();
    let lines = lines(&log);
    let failed = event(&lines, "run_failed");
    let runs = home.run(&["runs", "gone", "--json"]).expect(0).json();
    let known: Vec<&str> = runs.as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
    for line in failed {
        assert_eq!((&line["level"], &line["fields"]["job"]), (&Value::from("ERROR"), &Value::from("gone")));
        assert!(known.contains(&line["fields"]["run"].as_str().unwrap()), "{line} {known:?}");
    }
    assert!(event(&lines, "run_ended").iter().all(|line| whose(line).1.len() == 26));
    for secret in [KEY, SECRET] {
        assert!(!log.contains(secret), "{secret}");
    }
}

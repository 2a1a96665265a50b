//! The nightly batch, end to end: the real binary, real files, a real HTTP destination.

use crate::support::{Destination, Home, KEY, SECRET, job_file, signal};
use serde_json::{Value, json};

const ORGS: &str = "workspace_id,plan_id,user_count,mrr,last_active_at\n\
                    ws_1,free,3,0,2026-01-01T00:00:00Z\n\
                    ws_2,pro,10,9900,2026-01-02T00:00:00Z\n\
                    ws_3,pro,47,49900,2026-01-03T00:00:00Z\n";

fn job_with(destination: &Destination, diff: &str, payload: &str, extra: &str) -> String {
    let to = format!(
        "url = \"http://{}/hook/${{TEST_KEY}}\"\nsecret = \"${{TEST_SECRET}}\"\n\
         retry = {{ attempts = 2, base = \"1ms\", max = \"2ms\" }}",
        destination.address
    );
    job_file(diff, &to, &format!("{payload}\n{extra}"))
}

fn home_with(destination: &Destination, diff: &str) -> Home {
    let home = Home::new();
    home.write("jobs/orgs.toml", &job_with(destination, diff, r#"preset = "flat""#, ""));
    home.write("orgs.csv", ORGS);
    home
}

const IGNORE_ACTIVITY: &str = r#"ignore = ["last_active_at"]"#;

#[test]
fn only_what_differs_is_sent() {
    let destination = Destination::start();
    let home = home_with(&destination, IGNORE_ACTIVITY);

    let first = home.job("orgs", 0);
    assert_eq!((&first["added"], &first["acknowledged"], &first["pending"]), (&json!(3), &json!(3), &json!(0)));
    let seen = destination.take();
    assert_eq!(seen.len(), 3);
    let one = seen.iter().find(|s| s.org() == "ws_2").unwrap();
    assert_eq!(one.body.to_string(), r#"{"workspace_id":"ws_2","plan_id":"pro","user_count":10,"mrr":9900}"#);
    assert_eq!(one.path, format!("/hook/{KEY}"));
    assert_eq!(one.headers["x-api-secret"], SECRET);
    assert_eq!(one.headers["content-type"], "application/json");
    assert_eq!(one.headers["webhook-id"], one.headers["idempotency-key"]);
    assert!(one.headers["user-agent"].starts_with("nightmark/"));

    let second = home.job("orgs", 0);
    assert_eq!((&second["unchanged"], &second["added"]), (&json!(3), &json!(0)));
    assert_eq!(destination.take().len(), 0, "the same extract again sends nothing");

    home.write("orgs.csv", &ORGS.replace("2026-01-02", "2026-02-02"));
    home.job("orgs", 0);
    assert_eq!(destination.take().len(), 0, "an ignored column sends nothing");

    home.write("orgs.csv", &ORGS.replace("ws_3,pro,47", "ws_3,pro,48"));
    let changed = home.job("orgs", 0);
    assert_eq!(changed["changed"], json!(1));
    assert_eq!(destination.take_orgs(), ["ws_3"], "one changed cell sends one webhook");
}

#[test]
fn what_failed_is_sent_by_the_next_run_and_nothing_else() {
    let destination = Destination::start();
    let home = home_with(&destination, IGNORE_ACTIVITY);
    destination.set("ws_1", 500);
    destination.set("ws_3", 422);
    let first = home.job("orgs", 1);
    assert_eq!(
        (&first["acknowledged"], &first["refused"], &first["unknown"]),
        (&json!(1), &json!(1), &json!(1)),
        "{first}"
    );
    let seen = destination.take();
    let ids = |org: &str| -> Vec<String> {
        seen.iter().filter(|s| s.org() == org).map(|s| s.headers["webhook-id"].clone()).collect()
    };
    assert_eq!((ids("ws_1").len(), ids("ws_2").len(), ids("ws_3").len()), (2, 1, 1), "a 500 is retried, a 422 is not");
    assert_eq!(ids("ws_1")[0], ids("ws_1")[1], "a retry carries the same id");

    destination.clear();
    let second = home.job("orgs", 0);
    assert_eq!(second["acknowledged"], json!(2));
    let again = destination.take();
    assert_eq!(again.len(), 2);
    for request in &again {
        assert_eq!(
            ids(request.org())[0],
            request.headers["webhook-id"],
            "a later run repeats the id of the same version"
        );
    }
    home.job("orgs", 0);
    assert_eq!(destination.take().len(), 0);
}

#[test]
fn a_change_back_after_an_unknown_outcome_is_sent() {
    let destination = Destination::start();
    let home = home_with(&destination, IGNORE_ACTIVITY);
    home.job("orgs", 0);
    destination.take();
    home.write("orgs.csv", &ORGS.replace("ws_2,pro", "ws_2,free"));
    destination.set("ws_2", 500);
    home.job("orgs", 1);
    destination.take();
    destination.clear();
    // Back to what was acknowledged first: the 500 may have been applied, so it must be said again.
    home.write("orgs.csv", ORGS);
    let back = home.job("orgs", 0);
    assert_eq!((&back["changed"], &back["acknowledged"]), (&json!(1), &json!(1)));
    let seen = destination.take();
    assert_eq!((seen.len(), &seen[0].body["plan_id"]), (1, &json!("pro")));
}

#[test]
fn a_killed_run_sends_again_what_may_have_been_in_flight_and_no_more() {
    let destination = Destination::start();
    let home = home_with(&destination, IGNORE_ACTIVITY);
    home.job("orgs", 0);
    destination.take();
    home.write("orgs.csv", &ORGS.replace("ws_1,free", "ws_1,pro"));
    destination.set("ws_1", 0);
    let mut child = home.command(&["run", "orgs"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    destination.wait_for(1);
    signal(child.id(), "KILL");
    child.wait().unwrap();
    let first = destination.take();
    destination.clear();
    // The source went back meanwhile; the request that hung may have been applied.
    home.write("orgs.csv", ORGS);
    let after = home.job("orgs", 0);
    assert_eq!((&after["changed"], &after["unchanged"]), (&json!(1), &json!(2)));
    let second = destination.take();
    assert_eq!((second.len(), second[0].org()), (1, "ws_1"));
    assert_ne!(first[0].headers["webhook-id"], second[0].headers["webhook-id"], "another version, another id");
    let runs = home.run(&["runs", "--json"]).expect(0).json();
    assert_eq!(runs[1]["state"], json!("superseded"), "the killed run is taken over");
    assert!(runs[1]["reason"].as_str().unwrap().contains("its process ended while it was sending"), "{}", runs[1]);
}

#[test]
fn a_duplicate_key_sends_nothing_and_names_the_keys() {
    let destination = Destination::start();
    let home = home_with(&destination, IGNORE_ACTIVITY);
    home.write("orgs.csv", &format!("{ORGS}ws_2,free,1,0,\n,free,1,0,\n"));
    let ran = home.run(&["run", "orgs", "--json"]).expect(2);
    assert!(
        ran.stderr.contains("`ws_2` stands in 2 rows") && ran.stderr.contains("row 5: the key is NULL"),
        "{}",
        ran.stderr
    );
    assert_eq!(destination.take().len(), 0);
    assert!(!home.path("snapshots/orgs/manifest.json").exists());

    let quarantine = format!("{IGNORE_ACTIVITY}\non_bad_key = \"quarantine\"");
    home.write("jobs/orgs.toml", &job_with(&destination, &quarantine, r#"preset = "flat""#, ""));
    let report = home.job("orgs", 1);
    assert_eq!((&report["rejected"], &report["acknowledged"]), (&json!(3), &json!(2)));
    assert_eq!(destination.take_orgs(), ["ws_1", "ws_3"]);
}

#[test]
fn a_value_that_does_not_fit_rejects_its_row_and_keeps_its_org() {
    let destination = Destination::start();
    let removed = format!("{IGNORE_ACTIVITY}\non = [\"added\", \"changed\", \"removed\"]");
    let home = home_with(&destination, IGNORE_ACTIVITY);
    let template =
        r#"template = '{"workspace_id": {{row.workspace_id}}, "op": "{{op}}", "users": {{row.user_count}}}'"#;
    home.write("jobs/orgs.toml", &job_with(&destination, &removed, template, ""));
    home.job("orgs", 0);
    destination.take();
    home.write("orgs.csv", &ORGS.replace("ws_2,pro,10", "ws_2,pro,n/a"));
    let report = home.job("orgs", 1);
    assert_eq!((&report["rejected"], &report["removed"], &report["unchanged"]), (&json!(1), &json!(0), &json!(2)));
    assert!(report["notes"][0].as_str().unwrap().contains("row 2 is rejected: user_count = `n/a`"), "{report}");
    assert_eq!(destination.take().len(), 0);
    home.write("orgs.csv", ORGS);
    assert_eq!(home.job("orgs", 0)["unchanged"], json!(3));
}

#[test]
fn removals_are_sent_when_asked_for() {
    let destination = Destination::start();
    let removed = format!("{IGNORE_ACTIVITY}\non = [\"added\", \"changed\", \"removed\"]");
    let home = home_with(&destination, IGNORE_ACTIVITY);
    let template = r#"template = '{"workspace_id": {{row.workspace_id}}, "op": "{{op}}", "plan": {{row.plan_id}}}'"#;
    home.write("jobs/orgs.toml", &job_with(&destination, &removed, template, ""));
    home.job("orgs", 0);
    destination.take();
    home.write("orgs.csv", &ORGS.replace("ws_3,pro,47,49900,2026-01-03T00:00:00Z\n", ""));
    let report = home.job("orgs", 0);
    assert_eq!(report["removed"], json!(1));
    let seen = destination.take();
    assert_eq!(seen[0].body.to_string(), r#"{"workspace_id":"ws_3","op":"removed","plan":"pro"}"#);
    assert_eq!(seen[0].headers["nightmark-operation"], "removed");
    assert_eq!(home.job("orgs", 0)["removed"], json!(0));
}

#[test]
fn an_org_that_comes_back_unchanged_is_not_sent() {
    let destination = Destination::start();
    let home = home_with(&destination, IGNORE_ACTIVITY);
    home.job("orgs", 0);
    home.write("orgs.csv", &ORGS.replace("ws_3,pro,47,49900,2026-01-03T00:00:00Z\n", ""));
    home.job("orgs", 0);
    home.write("orgs.csv", ORGS);
    destination.take();
    assert_eq!(home.job("orgs", 0)["unchanged"], json!(3));
    assert_eq!(destination.take().len(), 0);
}

#[test]
fn payload_only_columns_are_sent_and_never_trigger() {
    let destination = Destination::start();
    let home = home_with(&destination, r#"compare = ["plan_id"]"#);
    home.job("orgs", 0);
    let first = destination.take();
    assert!(first.iter().all(|s| s.body["last_active_at"].is_string() && s.body["mrr"].is_number()), "{first:?}");
    home.write("orgs.csv", &ORGS.replace("9900", "5"));
    assert_eq!(home.job("orgs", 0)["unchanged"], json!(3));
    home.write("orgs.csv", &ORGS.replace("9900", "5").replace("ws_2,pro", "ws_2,free"));
    home.job("orgs", 0);
    let seen = destination.take();
    assert_eq!((seen.len(), &seen[0].body["mrr"]), (1, &json!(5)));
}

#[test]
fn a_first_run_can_adopt() {
    let destination = Destination::start();
    let home = home_with(&destination, &format!("{IGNORE_ACTIVITY}\nfirst_run = \"adopt\""));
    let first = home.job("orgs", 0);
    assert_eq!((&first["added"], &first["suppressed"]), (&json!(0), &json!(3)));
    home.write("orgs.csv", &ORGS.replace("ws_3,pro,47", "ws_3,pro,48"));
    home.job("orgs", 0);
    assert_eq!(destination.take_orgs(), ["ws_3"]);
}

#[test]
fn a_new_compared_column_is_sent_or_adopted() {
    for (policy, expected) in [("send", 3), ("adopt", 0)] {
        let destination = Destination::start();
        let home = home_with(&destination, &format!("{IGNORE_ACTIVITY}\non_new_column = \"{policy}\""));
        home.job("orgs", 0);
        destination.take();
        let wider = |last: &str| {
            let lines: Vec<String> = ORGS
                .lines()
                .enumerate()
                .map(|(i, l)| {
                    format!(
                        "{l},{}",
                        if i == 0 {
                            "region"
                        } else if i == 3 {
                            last
                        } else {
                            "eu"
                        }
                    )
                })
                .collect();
            lines.join("\n") + "\n"
        };
        home.write("orgs.csv", &wider("eu"));
        let report = home.job("orgs", 0);
        assert_eq!(report["changed"], json!(expected), "{policy}");
        assert!(report["notes"][0].as_str().unwrap().contains("column region is compared"), "{report}");
        assert_eq!(home.job("orgs", 0)["changed"], json!(0), "{policy}");
        home.write("orgs.csv", &wider("us"));
        destination.take();
        assert_eq!(home.job("orgs", 0)["changed"], json!(1), "{policy}: later changes of it are seen");
        assert_eq!(destination.take_orgs(), ["ws_3"]);
    }
}

#[test]
fn guards_hold_and_are_approved() {
    let destination = Destination::start();
    let home = home_with(&destination, IGNORE_ACTIVITY);
    let guard = "[guard]\nmin_rows = 3\nmax_changed = { share = 0.3, floor = 0 }";
    home.write("jobs/orgs.toml", &job_with(&destination, IGNORE_ACTIVITY, r#"preset = "flat""#, guard));
    home.job("orgs", 0);
    destination.take();
    let manifest = std::fs::read(home.path("snapshots/orgs/manifest.json")).unwrap();

    home.write("orgs.csv", "workspace_id,plan_id,user_count,mrr,last_active_at\n");
    let empty = home.job("orgs", 3);
    assert!(empty["held"][0].as_str().unwrap().contains("min_rows"), "{empty}");
    home.write("orgs.csv", &ORGS.replace("pro", "free"));
    let held = home.job("orgs", 3);
    assert_eq!((&held["changed"], &held["pending"], &held["acknowledged"]), (&json!(2), &json!(2), &json!(0)));
    assert_eq!(home.run(&["preview", "orgs"]).code, 3);
    assert_eq!(destination.take().len(), 0);
    assert_eq!(std::fs::read(home.path("snapshots/orgs/manifest.json")).unwrap(), manifest, "nothing was published");

    let approved = home.run(&["run", "orgs", "--approve", "--json"]).expect(0).json();
    assert_eq!(approved["acknowledged"], json!(2));
    assert_eq!(destination.take_orgs(), ["ws_2", "ws_3"]);
}

#[test]
fn a_drifted_schema_holds_the_run() {
    let destination = Destination::start();
    let home = home_with(&destination, IGNORE_ACTIVITY);
    home.job("orgs", 0);
    destination.take();
    home.write("orgs.csv", &ORGS.replace("user_count", "users"));
    let held = home.job("orgs", 3);
    assert!(
        held["held"][0].as_str().unwrap().contains("`user_count` (int) is gone; was it renamed to `users`?"),
        "{held}"
    );
    let approved = home.run(&["run", "orgs", "--approve"]).expect(3).stdout;
    assert!(approved.contains("--approve does not apply"), "approval cannot mend a schema: {approved}");
    assert_eq!(destination.take().len(), 0);
}

#[test]
fn preview_shows_everything_and_changes_nothing() {
    let destination = Destination::start();
    let home = home_with(&destination, IGNORE_ACTIVITY);
    let before = home.files();
    let preview = home.run(&["preview", "orgs", "--json"]).expect(0).json();
    assert_eq!((&preview["run"], &preview["added"], &preview["pending"]), (&Value::Null, &json!(3), &json!(3)));
    assert_eq!(home.files(), before, "no snapshot, no database");
    home.job("orgs", 0);
    destination.take();

    home.write("orgs.csv", &ORGS.replace("ws_3,pro,47", "ws_3,pro,"));
    let published = home.files();
    let preview = home.run(&["preview", "orgs", "--json"]).expect(0).json();
    assert_eq!(preview["changes"].as_array().unwrap().len(), 1);
    let change = &preview["changes"][0];
    assert_eq!(
        (&change["key"], &change["op"], &change["changed"]),
        (&json!("ws_3"), &json!("changed"), &json!(["user_count"]))
    );
    assert_eq!(change["before"], json!({"plan_id": "pro", "user_count": 47, "mrr": 49900}));
    assert_eq!(change["after"], json!({"plan_id": "pro", "user_count": null, "mrr": 49900}));
    assert_eq!(change["body"]["user_count"], Value::Null);
    let text = home.run(&["preview", "orgs"]).expect(0).stdout;
    assert!(text.contains("user_count") && text.contains("47") && text.contains("NULL"), "{text}");
    assert_eq!(home.files(), published);
    assert_eq!(destination.take().len(), 0);
}

#[test]
fn a_config_fault_stops_delivery_and_says_what_to_do() {
    let destination = Destination::start();
    let home = home_with(&destination, IGNORE_ACTIVITY);
    for org in ["ws_1", "ws_2", "ws_3"] {
        destination.set(org, 403);
    }
    let report = home.job("orgs", 1);
    assert_eq!((&report["pending"], &report["refused"]), (&json!(3), &json!(0)), "{report}");
    assert!(report["stopped"]["remedy"].as_str().unwrap().contains("Product Org Updates"), "{report}");
    let runs = home.run(&["runs"]).expect(0).stdout;
    assert!(runs.contains("Product Org Updates"), "{runs}");
    destination.clear();
    destination.take();
    assert_eq!(home.job("orgs", 0)["acknowledged"], json!(3));
}

#[test]
fn secrets_are_nowhere_to_be_found() {
    let destination = Destination::start();
    let home = home_with(&destination, IGNORE_ACTIVITY);
    destination.set("ws_1", 400);
    destination.set("ws_2", 500);
    let mut printed = String::new();
    let mut keep = |ran: crate::support::Ran| printed.push_str(&(ran.stdout + &ran.stderr));
    keep(home.run(&["run", "orgs", "--log", "trace"]));
    drop(destination); // the second run meets a refused connection
    keep(home.run(&["run", "orgs", "--log", "trace", "--json"]));
    keep(home.run(&["check", "--log", "trace"]));
    keep(home.run(&["preview", "orgs", "--log", "trace"]));
    keep(home.run(&["runs", "--json"]));
    assert!(printed.contains("orgs"));
    for planted in [KEY, SECRET] {
        assert!(!printed.contains(planted), "{planted} was printed:\n{printed}");
        for file in home.files() {
            let bytes = std::fs::read(&file).unwrap();
            let found = bytes.windows(planted.len()).any(|w| w == planted.as_bytes());
            assert!(!found, "{planted} is in {}", file.display());
        }
    }
}

#[test]
fn a_second_run_of_the_same_job_says_who_holds_it() {
    let destination = Destination::start();
    let home = home_with(&destination, IGNORE_ACTIVITY);
    destination.set("ws_1", 0);
    let mut child = home.command(&["run", "orgs"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    destination.wait_for(3);
    let second = home.run(&["run", "orgs"]).expect(2);
    assert!(second.stderr.contains(&format!("process {}", child.id())), "{}", second.stderr);
    signal(child.id(), "KILL");
    child.wait().unwrap();
}

#[test]
fn three_mistakes_are_three_problems() {
    let home = Home::new();
    home.write(
        "jobs/bad.toml",
        "version = 1\nschedule = \"99 2 * * *\"\n[source]\nkind = \"files\"\npath = \"orgs.csv\"\n[diff]\nkey = \"id\"\ncompar = [\"a\"]\n\
         [destination]\nkind = \"http\"\nurl = \"http://127.0.0.1:9/\"\nsecret = \"not-a-reference\"\n[payload]\npreset = \"flat\"\n",
    );
    let ran = home.run(&["run", "bad"]).expect(2);
    for line in ["bad.toml:2:", "bad.toml:8:", "bad.toml:12:"] {
        assert!(ran.stderr.contains(line), "{line} in {}", ran.stderr);
    }
    assert!(ran.stderr.contains("3 problems in "), "{}", ran.stderr);
    assert!(ran.stderr.contains("did you mean `compare`?"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("not-a-reference"), "a literal secret is not repeated: {}", ran.stderr);
}

#[test]
fn check_tells_everything_at_once() {
    let destination = Destination::start();
    let home = home_with(&destination, r#"compare = ["plan", "mrr"]"#);
    let text = job_with(&destination, r#"compare = ["plan", "mrr"]"#, r#"preset = "flat""#, "");
    home.write("jobs/orgs.toml", &text.replace("TEST_SECRET", "NIGHTMARK_TEST_UNSET"));
    let ran = home.run(&["check"]).expect(2);
    assert!(ran.stdout.contains("NIGHTMARK_TEST_UNSET"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("diff.compare names `plan`") && ran.stdout.contains("did you mean `plan_id`?"),
        "{}",
        ran.stdout
    );
    home.write("jobs/orgs.toml", &job_with(&destination, IGNORE_ACTIVITY, r#"preset = "flat""#, ""));
    let ran = home.run(&["check"]).expect(0);
    assert!(
        ran.stdout.contains(r#"{"workspace_id":"ws_1","plan_id":"free","user_count":3,"mrr":0}"#),
        "{}",
        ran.stdout
    );
    assert_eq!(destination.take().len(), 0);
}

/// Ignored columns are read only where something may say them: in bodies by name or with the whole row, in addresses, headers and
/// batches.
#[test]
fn ignored_columns_are_sent_wherever_they_may_be_said() {
    let address =
        |destination: &Destination, more: &str| format!("url = \"http://{}/hook\"\n{more}", destination.address);
    let whole = r#"template = '{"workspace_id": {{row.workspace_id}}, "all": {{ row | json }}}'"#;
    let id = r#"template = '{"workspace_id": {{row.workspace_id}}}'"#;
    let rows = r#"batch_template = '{"orgs": {{ rows }}}'"#;
    type Said = fn(&crate::support::Seen) -> Value;
    let cases: [(&str, &str, &str, Said); 4] = [
        ("", "", whole, |seen| seen.body["all"]["seen"].clone()),
        ("/{{row.seen}}", "", id, |seen| json!(seen.path.rsplit('/').next())),
        ("", "headers = { X-Seen = \"{{row.seen}}\" }", id, |seen| json!(seen.headers["x-seen"])),
        ("", "batch = { rows = 5 }", rows, |seen| seen.body["orgs"][0]["seen"].clone()),
    ];
    for (path, more, payload, said) in cases {
        let destination = Destination::start();
        let home = Home::new();
        let to = address(&destination, more).replace("/hook", &format!("/hook{path}"));
        home.write("jobs/orgs.toml", &job_file("ignore = [\"seen\"]", &to, payload));
        home.write("orgs.csv", "workspace_id,plan,seen\na,pro,monday\n");
        home.job("orgs", 0);
        let seen = destination.take();
        assert_eq!(said(&seen[0]), json!("monday"), "{path} {more} {payload}");
        home.write("orgs.csv", "workspace_id,plan,seen\na,pro,tuesday\n");
        home.job("orgs", 0);
        assert_eq!(destination.take().len(), 0, "it sends nothing by itself");
    }
}

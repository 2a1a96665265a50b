//! Looking at what the destination is known to have: `snapshot`, `schema`, `explain`, and column statistics in reports.

use crate::support::{Destination, Home, says};
use serde_json::{Value, json};
use std::path::PathBuf;

const HEAD: &str = "id,plan,users,mrr,seen";

struct Nightly {
    destination: Destination,
    home: Home,
}

impl Nightly {
    fn new(diff: &str) -> Self {
        let nightly = Nightly { destination: Destination::start(), home: Home::new() };
        nightly.job("orgs.csv", diff);
        nightly
    }

    fn job(&self, path: &str, diff: &str) {
        let payload = "template = '{\"workspace_id\": {{row.id}}, \"op\": \"{{op}}\"}'";
        self.home.write(
            "jobs/orgs.toml",
            &format!(
                "version = 1\n[source]\nkind = \"files\"\npath = \"{path}\"\n[diff]\nkey = \"id\"\n{diff}\n[destination]\n\
                 kind = \"http\"\nurl = \"http://{}/${{TEST_KEY}}\"\nretry = {{ attempts = 1, base = \"1ms\" }}\n\
                 [payload]\n{payload}\n",
                self.destination.address
            ),
        );
    }

    /// One night of CSV, and the orgs that were sent.
    #[track_caller]
    fn night(&self, lines: &[&str], code: i32) -> Vec<String> {
        self.home.write("orgs.csv", &format!("{HEAD}\n{}\n", lines.join("\n")));
        self.go(code)
    }

    #[track_caller]
    fn go(&self, code: i32) -> Vec<String> {
        self.home.job("orgs", code);
        self.destination.take_orgs()
    }

    #[track_caller]
    fn json(&self, args: &[&str], code: i32) -> Value {
        self.home.run(&[args, &["--json"]].concat()).expect(code).json()
    }

    #[track_caller]
    fn text(&self, args: &[&str], code: i32, parts: &[&str]) {
        says(&self.home.run(args).expect(code), parts);
    }

    /// The published runs, the newest first.
    fn runs(&self) -> Vec<String> {
        let list = self.json(&["snapshot", "list", "orgs"], 0);
        list.as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap().to_owned()).collect()
    }

    fn file(&self, run: &str, name: &str) -> PathBuf {
        self.home.path(&format!("snapshots/orgs/{run}/{name}"))
    }
}

const FIRST: [&str; 3] = ["a,free,3,0,1", "b,pro,10,9900,1", "c,pro,47,49900,1"];
const SECOND: [&str; 3] = ["a,pro,3,100,2", "b,pro,10,9900,2", "d,free,1,0,2"];
const REMOVED: &str = "ignore = [\"seen\"]\non = [\"added\", \"changed\", \"removed\"]";

fn two_nights() -> Nightly {
    let nightly = Nightly::new(REMOVED);
    assert_eq!(nightly.night(&FIRST, 0), ["a", "b", "c"]);
    assert_eq!(nightly.night(&SECOND, 0), ["a", "c", "d"]);
    nightly
}

#[test]
fn published_runs_are_listed_and_shown() {
    let nightly = Nightly::new(REMOVED);
    nightly.text(&["snapshot", "list", "orgs"], 0, &["no snapshot yet; `nightmark run orgs` makes the first"]);
    nightly.text(&["snapshot", "show", "orgs"], 2, &["no snapshot yet"]);
    nightly.night(&FIRST, 0);
    nightly.night(&SECOND, 0);
    let list = nightly.json(&["snapshot", "list", "orgs"], 0);
    assert_eq!((&list[0]["state"], &list[0]["orgs"], &list[0]["changes"]), (&json!("current"), &json!(3), &json!(3)));
    assert_eq!((&list[1]["state"], &list[1]["orgs"]), (&json!("earlier"), &json!(3)));
    assert!(list[1]["bytes"].as_u64().unwrap() > 1000);
    let runs = nightly.runs();
    nightly.text(
        &["snapshot", "list", "orgs"],
        0,
        &["RUN", "ORGS", "CHANGES", &runs[0], "current", &runs[1], "earlier"],
    );
    let shown = nightly.json(&["snapshot", "show", "orgs"], 0);
    assert_eq!(shown["run"], json!(runs[0]));
    assert_eq!((&shown["key"], &shown["changes"]), (&json!(["id"]), &json!({"added": 1, "changed": 1, "removed": 1})));
    assert_eq!(shown["compared"][1], json!({"name": "users", "kind": "int", "form": {}}));
    let columns = json!({
        "changed": {"plan": 1, "mrr": 1}, "alone": {}, "together": [{"columns": ["plan", "mrr"], "orgs": 1}],
    });
    assert_eq!(shown["columns"], columns);
    assert!(!shown.to_string().contains("hash_seed"), "the seed stays on disk");
    let parts = ["base.parquet", "sidecar.parquet", "COMPARED BY", "key", "3 changes: 1 added, 1 changed, 1 removed"];
    nightly.text(&["snapshot", "show", "orgs"], 0, &parts);
    let earlier = nightly.json(&["snapshot", "show", "orgs", &runs[1]], 0);
    assert_eq!(earlier["changes"], json!({"added": 3, "changed": 0, "removed": 0}));
    let said = ["no run 01ARZ3NDEKTSV4RRFFQ69G5FAV of job `orgs` is on disk; `nightmark snapshot list orgs`"];
    nightly.text(&["snapshot", "show", "orgs", "01ARZ3NDEKTSV4RRFFQ69G5FAV"], 2, &said);
    // A broken job file does not keep anyone from looking at what is on disk.
    nightly.home.write("jobs/orgs.toml", "version = ");
    nightly.text(&["snapshot", "show", "orgs"], 0, &["1 added"]);
}

#[test]
fn every_file_of_a_run_is_verified() {
    let nightly = two_nights();
    let runs = nightly.runs();
    for run in &runs {
        let verified = nightly.json(&["snapshot", "verify", "orgs", run], 0);
        assert_eq!((&verified["ok"], &verified["orgs"]), (&json!(true), &json!(3)), "{verified}");
    }
    nightly.text(&["snapshot", "verify", "orgs"], 0, &["as written", "sound: 3 orgs with their key and fingerprint"]);
    for name in ["base.parquet", "sidecar.parquet", "changes.parquet", "manifest.json"] {
        for run in &runs {
            let (file, whole) = (nightly.file(run, name), std::fs::read(nightly.file(run, name)).unwrap());
            let mut damaged = whole.clone();
            damaged[whole.len() / 2] ^= 1;
            std::fs::write(&file, damaged).unwrap();
            let said = format!("{run}/{name} is damaged");
            nightly.text(&["snapshot", "verify", "orgs", run], 2, &[&said, "Restore it from a backup"]);
            if name != "manifest.json" {
                let verified = nightly.json(&["snapshot", "verify", "orgs", run], 2);
                assert_eq!(verified["ok"], json!(false));
                let earlier = verified["problems"].to_string().contains("is an earlier one, which no run needs");
                assert_eq!(earlier, *run != runs[0], "{verified}");
            }
            std::fs::remove_file(&file).unwrap();
            let missing = if name == "manifest.json" && *run == runs[0] { 0 } else { 2 };
            nightly.home.run(&["snapshot", "verify", "orgs", run]).expect(missing);
            std::fs::write(&file, whole).unwrap();
            nightly.home.run(&["snapshot", "verify", "orgs", run]).expect(0);
        }
    }
}

#[test]
fn files_that_do_not_belong_together_are_found() {
    let nightly = two_nights();
    let dir = nightly.home.path("snapshots/orgs");
    let manifest = nightmark::snapshot::Manifest::load(&dir).unwrap().unwrap();
    let earlier = nightmark::snapshot::Manifest::of_run(&dir, &nightly.runs()[1]).unwrap().unwrap();
    assert!(nightmark::snapshot::verify(&dir, &manifest).is_sound());
    // Each file is what was written; the fingerprints are those of another night.
    let mixed = nightmark::snapshot::Manifest { sidecar: earlier.sidecar, ..manifest };
    let verified = nightmark::snapshot::verify(&dir, &mixed);
    let problems: Vec<String> = verified.damage().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    let said = "sidecar.parquet is damaged: 2 of its 3 entries are not those of their rows in the base; the first is that of row";
    assert!(problems[0].contains(said), "{problems:?}");
}

#[test]
fn a_damaged_manifest_can_be_mended_from_its_copy() {
    let nightly = two_nights();
    let (manifest, run) = (nightly.home.path("snapshots/orgs/manifest.json"), nightly.runs()[0].clone());
    std::fs::write(&manifest, "{}").unwrap();
    let copy = nightly.file(&run, "manifest.json");
    let remedy = format!("cp {} {}", copy.display(), manifest.display());
    nightly.text(&["snapshot", "verify", "orgs"], 2, &["manifest.json is damaged", &remedy]);
    std::fs::copy(copy, &manifest).unwrap();
    nightly.home.run(&["snapshot", "verify", "orgs"]).expect(0);
    assert_eq!(nightly.night(&SECOND, 0), Vec::<String>::new());
}

#[test]
fn what_a_killed_run_left_is_neither_listed_nor_kept() {
    let nightly = two_nights();
    let left = "7ZZZZZZZZZZZZZZZZZZZZZZZZZ";
    let runs = nightly.runs();
    std::fs::create_dir(nightly.home.path(&format!("snapshots/orgs/{left}"))).unwrap();
    assert_eq!(nightly.runs(), runs);
    // One that lies between two published runs, as a killed one does, goes with the next publication.
    std::fs::remove_dir(nightly.home.path(&format!("snapshots/orgs/{left}"))).unwrap();
    let (head, last) = runs[0].split_at(25);
    let between = format!("{head}{}", if last == "Z" { "Y" } else { "Z" });
    let folder = nightly.home.path(&format!("snapshots/orgs/{between}"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(nightly.file(&runs[0], "manifest.json"), folder.join("manifest.json")).unwrap();
    nightly.night(&SECOND, 0);
    assert!(!folder.exists());
    assert_eq!(nightly.runs().len(), 3);
}

#[test]
fn two_states_are_compared() {
    let nightly = two_nights();
    let runs = nightly.runs();
    let diff = nightly.json(&["snapshot", "diff", "orgs", &runs[1], &runs[0]], 0);
    assert_eq!((&diff["added"], &diff["changed"], &diff["removed"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(diff["columns"]["changed"], json!({"plan": 1, "mrr": 1}));
    assert_eq!(
        diff["orgs"],
        json!([
            {"key": "a", "op": "changed", "changed": ["plan", "mrr"],
             "before": {"plan": "free", "users": 3, "mrr": 0}, "after": {"plan": "pro", "users": 3, "mrr": 100}},
            {"key": "d", "op": "added", "changed": [], "before": null, "after": {"plan": "free", "users": 1, "mrr": 0}},
            {"key": "c", "op": "removed", "changed": [], "before": {"plan": "pro", "users": 47, "mrr": 49900}, "after": null},
        ])
    );
    let text = [
        &*runs[1],
        "1 added, 1 changed, 1 removed",
        "changed columns: plan 1, mrr 1",
        "free",
        "… and 2 more (--limit)",
    ];
    nightly.text(&["snapshot", "diff", "orgs", &runs[1], "--limit", "1"], 0, &text);
    let same = nightly.json(&["snapshot", "diff", "orgs", &runs[0], &runs[0]], 0);
    assert_eq!(same["orgs"], json!([]));
}

#[test]
fn a_state_is_what_was_acknowledged() {
    let nightly = Nightly::new(REMOVED);
    nightly.night(&FIRST, 0);
    nightly.destination.set("a", 422);
    nightly.night(&SECOND, 1);
    let runs = nightly.runs();
    let diff = nightly.json(&["snapshot", "diff", "orgs", &runs[1]], 0);
    assert_eq!((&diff["added"], &diff["changed"], &diff["removed"]), (&json!(1), &json!(0), &json!(1)), "{diff}");
    let output = nightly.home.path("known.csv");
    let exported = nightly.json(&["snapshot", "export", "orgs", "--output", output.to_str().unwrap()], 0);
    assert_eq!(exported["orgs"], json!(3));
    assert!(exported["notes"][0].as_str().unwrap().starts_with("1 change of run"), "{exported}");
    let mut lines: Vec<String> = std::fs::read_to_string(output).unwrap().lines().map(str::to_owned).collect();
    lines[1..].sort();
    assert_eq!(
        lines,
        [r#""id","plan","users","mrr""#, r#""a","free",3,0"#, r#""b","pro",10,9900"#, r#""d","free",1,0"#]
    );
    // Without the state store every change of the run may or may not have arrived.
    std::fs::remove_file(nightly.home.path("nightmark.db")).unwrap();
    nightly.text(&["snapshot", "diff", "orgs", &runs[1]], 0, &["the state store has no record of run"]);
}

#[test]
fn an_export_is_an_extract() {
    let nightly = Nightly::new(REMOVED);
    // Quotes, commas and line breaks, NULLs beside empty texts, an id that looks like a number.
    nightly.night(&["a,\"fr\"\"ee, \n x\",3,0.10,1", "b,\"\",-10,99.99,1", "c,,47,,1", "007,NULL,,5,2"], 0);
    for name in ["known.csv", "known.ndjson", "known.parquet"] {
        nightly.home.run(&["snapshot", "export", "orgs", "--output", name]).expect(0);
        nightly.job(name, &REMOVED.replace("ignore = [\"seen\"]\n", ""));
        let report = nightly.home.job("orgs", 0);
        assert_eq!((&report["unchanged"], &report["pending"]), (&json!(4), &json!(0)), "{name}: {report}");
        assert_eq!(nightly.destination.take_orgs(), Vec::<String>::new(), "{name}");
    }
    nightly.text(&["snapshot", "export", "orgs", "--output", "known.xlsx"], 2, &["ends in .csv, .parquet or .ndjson"]);
    assert!(!nightly.home.path("known.xlsx").exists());
    let run = nightly.runs().pop().unwrap();
    nightly.text(
        &["snapshot", "export", "orgs", "--run", &run, "--output", "old.csv"],
        0,
        &["4 orgs written to old.csv"],
    );
}

/// A home whose extract is NDJSON, which declares its types.
fn ndjson(diff: &str) -> Nightly {
    let nightly = Nightly::new(diff);
    nightly.job("orgs.ndjson", diff);
    nightly
}

impl Nightly {
    #[track_caller]
    fn objects(&self, objects: &[Value], code: i32) -> Vec<String> {
        let lines: Vec<String> = objects.iter().map(Value::to_string).collect();
        self.home.write("orgs.ndjson", &(lines.join("\n") + "\n"));
        self.go(code)
    }

    fn column(&self, name: &str) -> Value {
        let ran = self.home.run(&["schema", "orgs", "show", "--json"]);
        let columns = ran.json()["columns"].clone();
        columns.as_array().unwrap().iter().find(|column| column["name"] == name).unwrap().clone()
    }
}

const NOBODY: Vec<String> = Vec::new();

#[test]
fn a_retyped_column_holds_the_run_until_it_is_accepted() {
    let nightly = ndjson("");
    nightly.text(&["schema", "orgs", "show"], 2, &["no snapshot yet"]);
    let org = |id: &str, users: Value| json!({"id": id, "users": users, "plan": "pro"});
    nightly.objects(&[org("a", json!("3")), org("b", json!("10")), org("c", json!(null))], 0);
    nightly.text(&["schema", "orgs"], 0, &["The extract fits the pinned schema"]);
    let tonight = [org("a", json!(3)), org("b", json!(10)), org("c", json!(null))];
    assert_eq!(nightly.objects(&tonight, 3), NOBODY);
    let held =
        ["column `users` was text and is int now", "`nightmark schema orgs show`", "`nightmark schema orgs accept`"];
    nightly.text(&["run", "orgs"], 3, &held);
    nightly.text(&["explain", "orgs", "a"], 3, &["a run would be held", "column `users` was text and is int now"]);
    let column = json!({
        "name": "users", "role": "compared", "pinned": "text", "tonight": "int", "state": "retyped", "holds": true,
        "candidates": [],
    });
    assert_eq!(nightly.column("users"), column);
    nightly.text(
        &["schema", "orgs", "show"],
        3,
        &["retyped (HOLDS the run)", "column `users` becomes int (it was text)"],
    );
    let said =
        ["tonight's schema is pinned:", "column `users` becomes int (it was text)", "what is known is read so too"];
    nightly.text(&["schema", "orgs", "accept"], 0, &said);
    nightly.text(&["schema", "orgs", "accept"], 0, &["nothing was changed"]);
    nightly.home.run(&["snapshot", "verify", "orgs"]).expect(0);
    let report = nightly.home.job("orgs", 0);
    assert_eq!((&report["unchanged"], &report["changed"]), (&json!(3), &json!(0)), "the same values in another type");
    assert_eq!(nightly.destination.take_orgs(), NOBODY);
    assert_eq!(nightly.objects(&[org("a", json!(4)), org("b", json!(10)), org("c", json!(1))], 0), ["a", "c"]);
}

#[test]
fn a_column_that_is_gone_is_accepted() {
    let nightly = ndjson("");
    nightly
        .objects(&[json!({"id": "a", "plan": "pro", "users": 3}), json!({"id": "b", "plan": "free", "users": 4})], 0);
    let tonight =
        [json!({"id": "a", "plan": "pro", "user_count": 3}), json!({"id": "b", "plan": "free", "user_count": 4})];
    assert_eq!(nightly.objects(&tonight, 3), NOBODY);
    let column = nightly.column("users");
    assert_eq!((&column["state"], &column["candidates"]), (&json!("gone"), &json!(["user_count"])));
    assert_eq!(nightly.column("user_count")["state"], json!("new"));
    nightly.text(&["schema", "orgs", "show"], 3, &["gone; was it renamed to user_count? (HOLDS the run)"]);
    let tonight = [json!({"id": "a", "plan": "pro"}), json!({"id": "b", "plan": "free"})];
    assert_eq!(nightly.objects(&tonight, 3), NOBODY);
    let accepted = nightly.json(&["schema", "orgs", "accept"], 0);
    assert_eq!(
        (&accepted["accepted"], &accepted["changes"]),
        (&json!(true), &json!(["column `users` (int) is dropped"]))
    );
    assert_eq!(nightly.objects(&tonight, 0), NOBODY);
    assert_eq!(nightly.home.job("orgs", 0)["unchanged"], json!(2));
}

#[test]
fn a_job_that_names_a_column_that_is_gone_is_told_to_let_go_of_it() {
    let nightly = ndjson("compare = [\"plan\", \"users\"]");
    nightly.objects(&[json!({"id": "a", "plan": "pro", "users": 3})], 0);
    nightly.objects(&[json!({"id": "a", "plan": "pro"})], 3);
    nightly.text(&["schema", "orgs", "accept"], 0, &["jobs/orgs.toml: diff.compare names `users`"]);
    nightly.job("orgs.ndjson", "compare = [\"plan\"]");
    assert_eq!(nightly.go(0), NOBODY);
}

#[test]
fn a_key_cannot_be_repinned() {
    let nightly = ndjson("");
    nightly.objects(&[json!({"id": 1, "plan": "pro"})], 0);
    let manifest = std::fs::read(nightly.home.path("snapshots/orgs/manifest.json")).unwrap();
    for (object, problem) in [
        (json!({"id": "one", "plan": "pro"}), "key column `id` was int and is text now"),
        (json!({"org": 1, "plan": "pro"}), "key column `id` (int) is gone"),
    ] {
        nightly.home.write("orgs.ndjson", &object.to_string());
        let parts = ["NOT accepted, nothing was changed", problem, "start anew: move", "first_run = \"adopt\""];
        nightly.text(&["schema", "orgs", "accept"], 2, &parts);
        let refused = nightly.json(&["schema", "orgs", "accept"], 2);
        assert_eq!(refused["accepted"], json!(false));
    }
    assert_eq!(std::fs::read(nightly.home.path("snapshots/orgs/manifest.json")).unwrap(), manifest);
}

#[test]
fn a_schema_is_not_accepted_while_a_run_is_on() {
    let nightly = ndjson("");
    nightly.objects(&[json!({"id": 1, "plan": "pro"})], 0);
    let lock = nightmark::snapshot::JobLock::take(&nightly.home.path("snapshots/orgs"), "orgs", "a test").unwrap();
    nightly.text(&["schema", "orgs", "accept"], 2, &["being run by another process (a test)"]);
    nightly.home.run(&["schema", "orgs", "show"]).expect(0);
    drop(lock);
}

#[test]
fn a_guessed_type_is_accepted_with_the_values_that_are_there() {
    let nightly = Nightly::new(REMOVED);
    nightly.night(&["a,pro,3,1,1", "b,pro,,2,1"], 0);
    // A value that does not fit rejects its row; a column without a value keeps its type.
    assert_eq!(nightly.night(&["a,pro,many,,1", "b,pro,,,1"], 1), ["b"]);
    assert_eq!(nightly.column("users")["tonight"], json!("text"));
    assert_eq!(nightly.column("mrr")["tonight"], json!(null));
    let accepted = nightly.json(&["schema", "orgs", "accept"], 0);
    assert_eq!(accepted["changes"], json!(["column `users` becomes text (it was int)"]), "{accepted}");
    assert_eq!(nightly.go(0), ["a"]);
    assert_eq!(nightly.night(&["a,pro,many,,1", "b,pro,,,1"], 0), NOBODY);
}

#[test]
fn an_org_whose_change_waits_is_compared_by_the_columns_of_tonight() {
    let nightly = Nightly::new("ignore = [\"seen\"]");
    nightly.night(&["a,free,3,0,1", "b,pro,10,9900,1"], 0);
    nightly.destination.set("a", 422);
    nightly.night(&["a,pro,3,0,1", "b,pro,10,9900,1"], 1);
    nightly.destination.clear();
    assert_eq!(nightly.night(&["b,pro,10,9900,1"], 0), NOBODY);
    nightly.job("orgs.csv", "ignore = [\"seen\", \"users\"]");
    assert_eq!(nightly.night(&["a,free,3,0,1", "b,pro,10,9900,1"], 0), NOBODY, "the destination still has it so");
}

/// Verdict, operation and reason.
#[track_caller]
fn check(nightly: &Nightly, key: &[&str], verdict: &str, operation: Option<&str>, why: &str) -> Value {
    let explained = nightly.json(&[&["explain", "orgs"], key].concat(), 0);
    let found = (&explained["verdict"], &explained["operation"]);
    assert_eq!(found, (&json!(verdict), &json!(operation)), "{explained}");
    assert!(explained["why"].as_str().unwrap().contains(why), "{why}\n---\n{explained}");
    explained
}

const FORMS: &str = "ignore = [\"seen\"]\n[diff.columns.users]\nbucket = 10\n[diff.columns.mrr]\ntolerance = 5\n\
                     [diff.columns.plan]\ntrim = true";

#[test]
fn one_org_is_explained_column_by_column() {
    let nightly = Nightly::new(FORMS);
    nightly.night(&["a,free,3,100,1", "b,pro,10,9900,1", "c,pro,47,49900,1"], 0);
    nightly.home.write("orgs.csv", &format!("{HEAD}\na,free ,4,103,2\nb,plus,10,9900,2\nd,free,1,0,2\n"));
    let same = check(&nightly, &["a"], "do not send", None, "no more than the tolerance");
    assert_eq!(same["rows"], json!([1]));
    assert_eq!(
        same["columns"][2],
        json!({"name": "users", "kind": "int", "role": "compared", "form": {"bucket": {"width": "10"}},
               "destination": {"value": 3}, "tonight": {"value": 4}, "differs": false, "remark": "in the same bin"})
    );
    let seen = &same["columns"][4];
    assert_eq!((&seen["role"], &seen["destination"]), (&json!("ignored"), &json!({"absent": "not kept"})));
    let parts = [
        "orgs: id = a (row 1 of the extract)",
        "compared (tolerance = 5)",
        "no, within the tolerance",
        "no, in the same bin",
        "no, the same text by diff.columns",
        "It would not be sent: it differs from",
    ];
    nightly.text(&["explain", "orgs", "a"], 0, &parts);
    check(&nightly, &["b"], "send", Some("changed"), "plan differs");
    let parts = ["compared (trim = true)", "plus", "YES", "It would be sent as changed: plan differs."];
    nightly.text(&["explain", "orgs", "b"], 0, &parts);
    check(&nightly, &["c"], "do not send", None, "diff.on leaves `removed` out");
    check(&nightly, &["d"], "send", Some("added"), "the destination does not have the org");
    check(&nightly, &["e"], "do not send", None, "neither the extract nor the destination");
    nightly.text(&["explain", "orgs", "a", "b"], 2, &["the key has 1 column (diff.key = id), and 2 were given"]);
    nightly.home.write("orgs.csv", &format!("{HEAD}\na,free,many,100,1\nb,pro,10,9900,1\nb,pro,10,9900,1\n"));
    check(&nightly, &["a"], "leave out", None, "row 1 is rejected: users = `many`");
    check(&nightly, &["b"], "fail", None, "its key stands in 2 rows: 2, 3");
    // Before the first run nothing is known.
    nightly.home.write("orgs.csv", &format!("{HEAD}\na,free,3,100,1\n"));
    std::fs::remove_dir_all(nightly.home.path("snapshots")).unwrap();
    check(&nightly, &["c"], "do not send", None, "neither");
    let first = check(&nightly, &["a"], "send", Some("added"), "the destination does not have the org");
    assert_eq!(first["columns"][0]["destination"], json!({"absent": "no org"}));
}

#[test]
fn a_change_that_is_not_acknowledged_is_explained() {
    let nightly = Nightly::new(REMOVED);
    nightly.night(&FIRST, 0);
    nightly.destination.set("a", 422);
    nightly.destination.set("d", 500);
    nightly.night(&SECOND, 1);
    let again =
        check(&nightly, &["a"], "send", Some("changed"), "plan, mrr differ; its last change was not acknowledged");
    let id = again["waiting"].as_str().unwrap().to_owned();
    assert!(again["why"].as_str().unwrap().contains(&format!("under the same id, {id}")), "{again}");
    check(&nightly, &["d"], "send", Some("added"), "an earlier send may have been applied");
    check(&nightly, &["b"], "do not send", None, "the destination has it so");
    nightly.home.write("orgs.csv", &format!("{HEAD}\n{}\n", FIRST.join("\n")));
    check(&nightly, &["d"], "send", Some("removed"), "it is not in the extract any more");
    check(
        &nightly,
        &["a"],
        "do not send",
        None,
        &format!("the destination has it so; its last change was not acknowledged ({id})"),
    );
    // What explain says is what the run does.
    nightly.destination.clear();
    assert_eq!(nightly.go(0), ["c", "d"]);
}

#[test]
fn rules_that_leave_an_org_out_are_named() {
    let nightly = Nightly::new(
        "on = [\"removed\"]\nfirst_run = \"adopt\"\non_bad_key = \"quarantine\"\non_new_column = \"adopt\"",
    );
    nightly.home.write("orgs.csv", "id,plan\na,free\nb,pro\n");
    check(&nightly, &["a"], "do not send", None, "this is the first run");
    nightly.go(0);
    nightly.home.write("orgs.csv", "id,plan,users\na,pro,3\nc,pro,1\nd,x,1\nd,y,1\n,x,1\n");
    let a = check(&nightly, &["a"], "do not send", None, "diff.on leaves `changed` out");
    assert_eq!(a["columns"][2]["remark"], json!("compared from the next run on (diff.on_new_column)"));
    check(&nightly, &["b"], "do not send", None, "may be behind one of the 1 rows without a usable key");
    check(&nightly, &["c"], "do not send", None, "diff.on leaves `added` out");
    check(&nightly, &["d"], "leave out", None, "its key stands in 2 rows: 3, 4");
}

#[test]
fn a_composite_key_is_given_column_by_column() {
    let nightly = Nightly::new("");
    let job = std::fs::read_to_string(nightly.home.path("jobs/orgs.toml")).unwrap();
    nightly.home.write("jobs/orgs.toml", &job.replace("key = \"id\"", "key = [\"region\", \"id\"]"));
    nightly.home.write("orgs.csv", "id,region,plan\n1,eu,free\n1,us,pro\n");
    let explained = check(&nightly, &["us", "1"], "send", Some("added"), "does not have the org");
    assert_eq!((&explained["rows"], &explained["key"]), (&json!([2]), &json!({"region": "us", "id": "1"})));
    nightly.text(&["explain", "orgs", "us"], 2, &["the key has 2 columns (diff.key = region, id), and 1 was given"]);
}

#[test]
fn reports_say_which_columns_change_and_which_to_ignore() {
    let nightly = Nightly::new("");
    let night = |seen: u8| -> Vec<String> {
        (0..30).map(|i| format!("o{i},pro,{},0,{seen}", i * u64::from(seen < 9))).collect()
    };
    let lines = night(1);
    nightly.night(&lines.iter().map(String::as_str).collect::<Vec<_>>(), 0);
    let lines = night(2).join("\n").replace("o7,pro,7,0", "o7,free,7,1").replace("o8,pro,8,0", "o8,free,8,1");
    nightly.home.write("orgs.csv", &format!("{HEAD}\n{lines}\n"));
    let columns = json!({
        "changed": {"seen": 30, "plan": 2, "mrr": 2},
        "alone": {"seen": 28},
        "together": [
            {"columns": ["plan", "mrr"], "orgs": 2}, {"columns": ["plan", "seen"], "orgs": 2}, {"columns": ["mrr", "seen"], "orgs": 2},
        ],
    });
    assert_eq!(nightly.json(&["preview", "orgs"], 0)["columns"], columns);
    let parts = [
        "changed columns: seen 30, plan 2, mrr 2",
        "changed together: plan and mrr in 2 orgs, plan and seen in 2 orgs",
        "28 of 30 changed orgs differ in seen alone",
        "column `seen` differs in 30 of 30 changed orgs, and it is the only one in 28 of them. If it does not matter for scoring, \
         write `ignore = [\"seen\"]` below [diff] in jobs/orgs.toml:5",
    ];
    nightly.text(&["preview", "orgs"], 0, &parts);
    let ran = nightly.home.run(&["run", "orgs", "--json"]).expect(0).json();
    assert_eq!(ran["columns"], columns);
}

/// Typed in the wrong folder, what only looks says so and leaves nothing behind; in the right one, an older store is not brought up to date by it.
#[test]
fn lists_make_no_store() {
    let home = Home::new();
    for list in [
        &["alerts", "list"][..],
        &["runs"],
        &["schedule"],
        &["destinations", "list"],
        &["dead-letters", "list"],
        &["keys", "list"],
        &["tokens", "list"],
        &["audit"],
        &["orgs", "list"],
        &["snapshot", "list", "orgs"],
    ] {
        let ran = home.run(list);
        assert!(!home.path("nightmark.db").exists(), "{list:?}: {} {}", ran.stdout, ran.stderr);
    }
    let said = home.run(&["alerts", "list"]).expect(0).stdout;
    assert!(said.contains("no runs yet in"), "{said}");
    // What is wrong with files is told without one.
    home.write("jobs/orgs.toml", "version = 1\nnonsense = 3\n");
    let said = home.run(&["alerts", "list"]).expect(0).stdout;
    assert!(said.contains("orgs: the job file has mistakes") && said.contains("nonsense"), "{said}");
    assert!(!home.path("nightmark.db").exists());
}

//! Regressions of comparison and snapshot, end to end: the real binary, real files, a real HTTP destination.

use crate::support::{Destination, Home, Seen, job_file, signal};
use nightmark::clock::{Clock, SystemClock};
use nightmark::config::Home as Config;
use nightmark::job::spec::Job;
use nightmark::pipeline;
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

const HEAD: &str = "workspace_id,plan_id";
const REMOVED: &str = "on = [\"added\", \"changed\", \"removed\"]";
const FLAT: &str = r#"preset = "flat""#;
const WITH_OPERATION: &str = r#"template = '{"workspace_id": {{row.workspace_id}}, "op": "{{op}}"}'"#;

fn home(destination: &Destination, diff: &str, payload: &str) -> Home {
    let home = Home::new();
    set_job(&home, destination, diff, payload);
    home
}

fn set_job(home: &Home, destination: &Destination, diff: &str, payload: &str) {
    let to = format!(
        "url = \"http://{}/hook/${{TEST_KEY}}\"\nconcurrency = 4\nretry = {{ attempts = 1, base = \"1ms\", max = \"2ms\" }}",
        destination.address
    );
    home.write("jobs/orgs.toml", &job_file(diff, &to, payload));
}

/// Writes the extract: a header and one line per org.
fn extract(home: &Home, head: &str, lines: &[&str]) {
    home.write("orgs.csv", &format!("{head}\n{}\n", lines.join("\n")));
}

/// The extract of one night, the exit code of the run, and what arrived.
#[track_caller]
fn night(home: &Home, destination: &Destination, head: &str, lines: &[&str], code: i32) -> Vec<Seen> {
    extract(home, head, lines);
    home.job("orgs", code);
    destination.take()
}

#[track_caller]
fn only(seen: &[Seen]) -> &Seen {
    assert_eq!(seen.len(), 1, "{seen:?}");
    &seen[0]
}

#[test]
fn an_org_whose_key_is_damaged_is_not_removed() {
    for damaged in [",pro", "\"\",pro"] {
        let destination = Destination::start();
        let diff = format!("{REMOVED}\non_bad_key = \"quarantine\"");
        let home = home(&destination, &diff, WITH_OPERATION);
        night(&home, &destination, HEAD, &["ws_1,free", "ws_2,pro", "ws_3,pro"], 0);
        extract(&home, HEAD, &["ws_1,free", damaged, "ws_3,pro"]);
        let report = home.job("orgs", 1);
        assert_eq!((&report["removed"], &report["rejected"]), (&json!(0), &json!(1)), "{report}");
        assert_eq!(destination.take().len(), 0, "ws_2 may be behind the damaged key");
        night(&home, &destination, HEAD, &["ws_1,free", "ws_2,pro", "ws_3,pro"], 0);
        let gone = night(&home, &destination, HEAD, &["ws_1,free", "ws_3,pro"], 0);
        assert_eq!((only(&gone).org(), &gone[0].body["op"]), ("ws_2", &json!("removed")));
    }
}

/// What the library needs to look at the job of a home folder.
fn library(home: &Home) -> (Config, Arc<Job>, Arc<dyn Clock>, tokio::runtime::Runtime) {
    let config = Config::new(&home.path("")).unwrap();
    let job = Arc::new(nightmark::job::load::load_job(&config, "orgs").unwrap());
    (config, job, Arc::new(SystemClock), tokio::runtime::Builder::new_current_thread().build().unwrap())
}

#[test]
fn orgs_that_are_not_removed_are_counted_in_a_note() {
    let destination = Destination::start();
    let home = home(&destination, &format!("{REMOVED}\non_bad_key = \"quarantine\""), WITH_OPERATION);
    let notes = |lines: &[&str]| {
        extract(&home, HEAD, lines);
        let (config, job, clock, runtime) = library(&home);
        let resources = pipeline::Resources { memory: 1 << 30, threads: 2 };
        // Without the state store there is a note about that too; another test has it.
        let notes = runtime
            .block_on(pipeline::preview(job, &config, None, &clock, resources, Default::default()))
            .unwrap()
            .notes();
        notes.into_iter().filter(|note| !note.contains("state store")).collect::<Vec<_>>()
    };
    night(&home, &destination, HEAD, &["ws_1,free", "ws_2,pro", "ws_3,pro"], 0);
    let one = "1 org is missing and was not removed, because 1 row has no usable key";
    assert_eq!(notes(&["ws_1,free", ",pro", "ws_3,pro"]), [one]);
    let two = "2 orgs are missing and were not removed, because 2 rows have no usable key";
    assert_eq!(notes(&["ws_1,free", ",pro", ",free"]), [two]);
    assert_eq!(notes(&["ws_1,free", "ws_2,pro", "ws_3,pro", ",free"]), Vec::<String>::new());
    assert_eq!(notes(&["ws_1,free"]), Vec::<String>::new());
}

#[test]
fn a_key_of_another_type_is_shown_with_its_value() {
    let destination = Destination::start();
    let home = home(&destination, REMOVED, WITH_OPERATION);
    // NDJSON declares its ids as numbers; CSV, which comes next, has them as text.
    let csv = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/orgs.toml", &csv.replace("orgs.csv", "orgs.ndjson"));
    let org = |id: u8, plan: &str| format!("{{\"workspace_id\":{id},\"plan_id\":\"{plan}\"}}\n");
    home.write("orgs.ndjson", &(org(1, "free") + &org(2, "pro") + &org(7, "pro")));
    home.job("orgs", 0);
    home.write("jobs/orgs.toml", &csv);
    destination.take();
    extract(&home, HEAD, &["1,free", "2,pro", "7,pro"]);
    assert_eq!(home.job("orgs", 0)["unchanged"], json!(3), "the same orgs in another format");
    extract(&home, HEAD, &["1,free", "2,pro", "ws-7,pro"]);
    let ran = home.run(&["run", "orgs"]).expect(2);
    let said = "row 3: the key `ws-7` does not fit int, the type pinned with the first base";
    assert!(ran.stderr.contains(said) && ran.stderr.contains("move snapshots/orgs away"), "{}", ran.stderr);
    assert_eq!(destination.take().len(), 0);

    set_job(&home, &destination, &format!("{REMOVED}\non_bad_key = \"quarantine\""), WITH_OPERATION);
    assert_eq!(home.job("orgs", 1)["removed"], json!(0));
    assert_eq!(destination.take().len(), 0, "org 7 may be behind the key that does not fit");
}

#[test]
fn an_id_of_csv_is_a_name_and_may_have_a_letter_one_day() {
    let destination = Destination::start();
    let home = home(&destination, "", FLAT);
    night(&home, &destination, HEAD, &["1,free", "007,pro"], 0);
    extract(&home, HEAD, &["1,free", "007,pro", "7,pro", "ws-7,pro"]);
    let report = home.job("orgs", 0);
    assert_eq!((&report["unchanged"], &report["added"]), (&json!(2), &json!(2)));
    assert_eq!(destination.take_orgs(), ["7", "ws-7"]);
}

/// A version that is not acknowledged on the first night and cannot be sent on the second goes out on the third night under
/// the id of the first.
fn check_id_is_kept(known: &[&str], version: &[&str], between: &[&str], status: u16) {
    let destination = Destination::start();
    let home = home(&destination, "on_bad_key = \"quarantine\"", FLAT);
    let head = "workspace_id,plan_id,users";
    night(&home, &destination, head, known, 0);
    destination.set("ws_9", status);
    let first = night(&home, &destination, head, version, 1);
    destination.clear();
    extract(&home, head, between);
    for _ in 0..2 {
        home.job("orgs", if between.len() > known.len() { 1 } else { 0 });
        assert_eq!(destination.take().len(), 0, "{between:?}");
    }
    let again = night(&home, &destination, head, version, 0);
    assert_eq!(only(&again).headers["webhook-id"], only(&first).headers["webhook-id"], "{between:?} {status}");
    let other = night(&home, &destination, head, &["ws_1,free,1", "ws_9,free,5"], 0);
    assert_ne!(only(&other).headers["webhook-id"], first[0].headers["webhook-id"], "another version, another id");
}

#[test]
fn the_same_version_keeps_its_id_over_nights_without_the_org() {
    let one = "ws_1,free,1";
    // A refused addition whose org is missing, rejected or doubled for two nights.
    for between in [vec![one], vec![one, "ws_9,pro,many"], vec![one, "ws_9,pro,1", "ws_9,pro,1"]] {
        check_id_is_kept(&[one], &[one, "ws_9,pro,1"], &between, 422);
    }
    // A change that is refused or may have been applied.
    for status in [422, 500] {
        check_id_is_kept(&[one, "ws_9,free,1"], &[one, "ws_9,pro,1"], &[one], status);
        check_id_is_kept(&[one, "ws_9,free,1"], &[one, "ws_9,pro,1"], &[one, "ws_9,pro,1", "ws_9,pro,1"], status);
    }
}

#[test]
fn a_column_is_adopted_for_orgs_that_were_not_there_that_night() {
    let destination = Destination::start();
    let home = home(&destination, "on_new_column = \"adopt\"", FLAT);
    night(&home, &destination, HEAD, &["ws_1,free", "ws_2,pro", "ws_3,pro"], 0);
    let wider = "workspace_id,plan_id,region";
    // ws_2 is missing on the night on which the column comes, and on the next one too.
    for _ in 0..2 {
        assert_eq!(night(&home, &destination, wider, &["ws_1,free,eu", "ws_3,pro,eu"], 0).len(), 0);
    }
    let all = ["ws_1,free,eu", "ws_2,pro,eu", "ws_3,pro,eu"];
    assert_eq!(night(&home, &destination, wider, &all, 0).len(), 0, "ws_2 is as it was known");
    let changed = night(&home, &destination, wider, &["ws_1,free,eu", "ws_2,pro,us", "ws_3,pro,eu"], 0);
    assert_eq!(only(&changed).org(), "ws_2", "from then on the column is compared");
}

#[test]
fn a_column_is_adopted_for_an_org_whose_refused_change_goes_back() {
    let destination = Destination::start();
    let home = home(&destination, "on_new_column = \"adopt\"", FLAT);
    night(&home, &destination, HEAD, &["ws_1,free", "ws_2,pro"], 0);
    destination.set("ws_2", 422);
    let wider = "workspace_id,plan_id,region";
    let refused = night(&home, &destination, wider, &["ws_1,free,eu", "ws_2,free,eu"], 1);
    assert_eq!(only(&refused).org(), "ws_2");
    extract(&home, wider, &["ws_1,free,eu", "ws_2,free,eu"]);
    let preview = home.run(&["preview", "orgs", "--json"]).expect(0).json();
    assert_eq!(preview["changes"][0]["changed"], json!(["plan_id"]), "the adopted column is no difference");
    destination.clear();
    let back = ["ws_1,free,eu", "ws_2,pro,eu"];
    assert_eq!(night(&home, &destination, wider, &back, 0).len(), 0, "back to what the destination has");
    let changed = night(&home, &destination, wider, &["ws_1,free,eu", "ws_2,pro,us"], 0);
    assert_eq!(only(&changed).org(), "ws_2");
}

#[test]
fn a_damaged_manifest_is_refused() {
    let destination = Destination::start();
    let home = home(&destination, "", FLAT);
    night(&home, &destination, HEAD, &["ws_1,free"], 0);
    let manifest = home.path("snapshots/orgs/manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replacen("\"rows\": 1", "\"rows\": 2", 1)).unwrap();
    let ran = home.run(&["run", "orgs"]).expect(2);
    assert!(ran.stderr.contains("manifest.json is damaged"), "{}", ran.stderr);
}

/// The mark of what may be in flight runs ahead of what is: after a kill in the middle exactly the marked rows without a
/// receipt are sent again, although all of them went back, and none of the others.
#[test]
fn after_a_kill_in_the_middle_of_many_changes_the_marked_rows_are_sent_again() {
    const ORGS: usize = 1200;
    const STUCK: usize = 300;
    let destination = Destination::start();
    let home = home(&destination, "", FLAT);
    let org = |n: usize| format!("ws_{n:04}");
    let extract = |plan: &str| {
        let mut text = format!("{HEAD}\n");
        (0..ORGS).for_each(|n| writeln!(text, "{},{plan}", org(n)).unwrap());
        home.write("orgs.csv", &text);
    };
    extract("free");
    home.job("orgs", 0);
    destination.take();

    extract("pro");
    (STUCK..ORGS).for_each(|n| destination.set(&org(n), 0));
    let mut child = home.command(&["run", "orgs", "--approve"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    destination.wait_for(STUCK + 4);
    signal(child.id(), "KILL");
    child.wait().unwrap();
    let sent: BTreeSet<String> = destination.take_orgs().into_iter().collect();
    destination.clear();

    extract("free");
    let after = home.run(&["run", "orgs", "--approve", "--json"]).expect(0).json();
    let again = destination.take();
    let orgs: BTreeSet<&str> = again.iter().map(Seen::org).collect();
    assert_eq!(again.len(), orgs.len(), "no org twice");
    assert_eq!((&after["changed"], &after["acknowledged"]), (&json!(orgs.len()), &json!(orgs.len())));
    assert_eq!(after["unchanged"], json!(ORGS - orgs.len()));
    assert!(again.iter().all(|s| s.body["plan_id"] == json!("free")));
    assert!(sent.iter().filter(|s| **s >= org(STUCK)).all(|s| orgs.contains(s.as_str())), "what hung is sent again");
    // 256 rows may be under way besides those that have ended, and the mark is moved 256 rows at a time.
    assert!(orgs.iter().all(|o| *o < org(STUCK + 4 + 512).as_str()), "what was surely not sent is not");
    assert_eq!(home.job("orgs", 0)["unchanged"], json!(ORGS));
}

#[test]
fn a_sample_reads_the_beginning_and_shows_a_body() {
    let destination = Destination::start();
    let home = home(&destination, "ignore = [\"seen_at\"]\ncompare = [\"plan_id\"]", FLAT);
    let head = "workspace_id,plan_id,mrr,seen_at";
    // The third row has a key that a run would refuse; a sample of two does not get there.
    extract(&home, head, &["ws_1,free,1,2026-01-01", "ws_2,pro,2,2026-01-02", ",pro,x,2026-01-03"]);
    let (config, job, clock, runtime) = library(&home);
    let sample = runtime.block_on(pipeline::sample(job, &config, None, &clock, 2)).unwrap();
    assert_eq!((sample.rows, sample.rejects.count()), (2, 0));
    let columns: Vec<_> = sample.columns.iter().map(|(n, k, p)| format!("{n} {k} {p}")).collect();
    assert_eq!(
        columns,
        ["workspace_id text key", "plan_id text compared", "mrr int payload-only", "seen_at text ignored"]
    );
    assert_eq!(sample.body.unwrap().unwrap(), r#"{"workspace_id":"ws_1","plan_id":"free","mrr":1}"#);
    assert!(!home.path("snapshots").exists());
}

#[test]
fn a_value_that_has_no_place_in_an_accepted_kind_is_not_taken_for_null() {
    let destination = Destination::start();
    let home = home(&destination, "", FLAT);
    let csv = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/orgs.toml", &csv.replace("orgs.csv", "orgs.ndjson"));
    let org = |id: &str, plan: &str| format!("{{\"workspace_id\":\"{id}\",\"plan_id\":{plan}}}\n");
    home.write("orgs.ndjson", &(org("ws_1", "\"abc\"") + &org("ws_2", "\"7\"") + &org("ws_3", "null")));
    home.job("orgs", 0);
    destination.take();
    home.write("orgs.ndjson", &(org("ws_1", "null") + &org("ws_2", "7") + &org("ws_3", "null")));
    home.job("orgs", 3);
    home.run(&["schema", "orgs", "accept"]).expect(0);
    home.job("orgs", 0);
    assert_eq!(destination.take_orgs(), ["ws_1"], "the destination has \"abc\" and not NULL");
    assert_eq!(home.job("orgs", 0)["unchanged"], json!(3));
}

#[test]
fn an_adopted_column_is_watched_although_another_stays_within_its_tolerance() {
    let destination = Destination::start();
    let home = home(&destination, "on_new_column = \"adopt\"\n[diff.columns.mrr]\ntolerance = 1", FLAT);
    night(&home, &destination, "workspace_id,mrr", &["ws_1,1.0", "ws_2,1.0"], 0);
    let wider = "workspace_id,mrr,seats";
    night(&home, &destination, wider, &["ws_1,1.5,5", "ws_2,1.0,5"], 0);
    let changed = night(&home, &destination, wider, &["ws_1,1.5,9", "ws_2,1.0,9"], 0);
    // Sent at once, and so in no order.
    let orgs: BTreeSet<&str> = changed.iter().map(Seen::org).collect();
    assert_eq!((changed.len(), orgs), (2, BTreeSet::from(["ws_1", "ws_2"])));
    assert_eq!(night(&home, &destination, wider, &["ws_1,1.9,9", "ws_2,1.0,9"], 0).len(), 0);
}

#[test]
fn what_a_killed_run_leaves_is_removed_and_never_called_published() {
    let destination = Destination::start();
    let home = home(&destination, "", FLAT);
    let left = home.path("snapshots/orgs/01M86V00000000000000000000");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("base.parquet"), "cut off").unwrap();
    night(&home, &destination, HEAD, &["ws_1,free"], 0);
    assert!(!left.exists());
    let listed = home.run(&["snapshot", "list", "orgs", "--json"]).expect(0).stdout;
    assert!(!listed.contains("01M86V00000000000000000000"), "{listed}");
}

/// The source reads instants of 96 bits its own way: a copy of such a file would be read back as other values.
#[test]
fn old_timestamps_are_read_back_as_they_were_compared() {
    let destination = Destination::start();
    let home = home(&destination, "", FLAT);
    let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    let job = job.replace("orgs.csv", "orgs.parquet").replace("key = \"workspace_id\"", "key = \"n\"");
    home.write("jobs/orgs.toml", &job);
    std::fs::write(home.path("orgs.parquet"), crate::file_sources::far_timestamps()).unwrap();
    let run = home.job("orgs", 0)["run"].as_str().unwrap().to_owned();
    let verified = home.run(&["snapshot", "verify", "orgs", "--json"]).expect(0);
    assert!(verified.stdout.contains(&run), "{}", verified.stdout);
    assert_eq!(home.job("orgs", 0)["unchanged"], json!(2));
}

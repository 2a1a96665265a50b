//! What a bad night leaves behind, and what a person does about it: `runs show`, `retry`, `dead-letters`, `destinations`.

use crate::support::{Destination, Home, Seen, job_file};
use chrono::{TimeDelta, Utc};
use nightmark::store::sqlite::SqliteStore;
use nightmark::store::{DestinationRecord, RefusalStore, RunRecord, RunState, RunStore};
use serde_json::{Value, json};

/// A home with a job whose rows are set aside at the second refusal.
fn home(destination: &Destination, orgs: &str) -> Home {
    let home = Home::new();
    let address = format!(
        "url = \"http://{}/hook\"\ndead_letter_after = 2\nretry = {{ attempts = 1, base = \"1ms\" }}",
        destination.address
    );
    home.write("jobs/orgs.toml", &job_file("", &address, "preset = \"flat\""));
    extract(&home, orgs);
    home
}

/// `a:pro b:free`
fn extract(home: &Home, orgs: &str) {
    let rows: Vec<String> = orgs.split_whitespace().map(|org| org.replace(':', ",")).collect();
    home.write("orgs.csv", &format!("workspace_id,plan\n{}\n", rows.join("\n")));
}

fn text(home: &Home, args: &[&str]) -> String {
    home.run(args).expect(0).stdout
}

fn json_of(home: &Home, args: &[&str]) -> Value {
    home.run(&[args, &["--json"]].concat()).expect(0).json()
}

/// Key and fate of every refused version.
fn fates(home: &Home) -> Vec<(String, String)> {
    let list = json_of(home, &["dead-letters", "list", "orgs", "--all"]);
    let word = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(|row| (word(row, "key"), word(row, "fate"))).collect()
}

fn fate(home: &Home, key: &str) -> Option<String> {
    fates(home).into_iter().find(|(of, _)| of == key).map(|(_, fate)| fate)
}

fn ids(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(|seen| seen.headers["webhook-id"].clone()).collect()
}

#[test]
fn a_row_that_is_always_refused_is_set_aside_until_its_value_changes() {
    let destination = Destination::start();
    let home = home(&destination, "a:pro b:free");
    destination.set("a", 422);
    assert_eq!(home.job("orgs", 1)["refused"], json!(1));
    assert_eq!(fates(&home), [("a".to_owned(), "sent again".to_owned())]);
    home.job("orgs", 1);
    let sent = destination.take();
    assert_eq!(sent.iter().filter(|seen| seen.org() == "a").count(), 2);
    assert_eq!(fate(&home, "a").as_deref(), Some("set aside"));

    let third = home.job("orgs", 1);
    assert_eq!((&third["dead_letters"], &third["acknowledged"], &third["refused"]), (&json!(1), &json!(0), &json!(0)));
    assert_eq!(destination.take().len(), 0, "not sent any more");
    let said = text(&home, &["runs", "show", "orgs"]);
    assert!(
        said.contains("1 set aside as dead letters") && said.contains("nightmark dead-letters list orgs"),
        "{said}"
    );
    let shown = text(&home, &["dead-letters", "show", "orgs", "a"]);
    assert!(shown.contains("refused    2 times (set aside after 2)") && shown.contains("HTTP       422"), "{shown}");

    // Another value is another version, with an id and refusals of its own.
    extract(&home, "a:team b:free");
    home.job("orgs", 1);
    let changed = destination.take();
    assert_eq!(changed.len(), 1);
    assert_ne!(ids(&changed)[0], ids(&sent)[0]);
    assert_eq!(fates(&home), [("a".to_owned(), "sent again".to_owned())], "nobody has the old version any more");
    destination.clear();
    assert_eq!(home.job("orgs", 0)["acknowledged"], json!(1));
    assert_eq!(fates(&home), []);
    destination.take();
    home.job("orgs", 0);
    assert_eq!(destination.take().len(), 0);
}

#[test]
fn a_dead_letter_is_sent_again_when_somebody_says_so() {
    let destination = Destination::start();
    let home = home(&destination, "a:pro b:free c:free");
    for org in ["a", "b"] {
        destination.set(org, 400);
    }
    (0..2).for_each(|_| drop(home.job("orgs", 1)));
    let first = destination.take();
    assert_eq!(text(&home, &["dead-letters", "list", "orgs"]).matches("set aside").count(), 2);
    let unknown = home.run(&["dead-letters", "retry", "orgs", "a", "nobody"]).expect(2).stderr;
    assert!(unknown.contains("`nobody`") && unknown.contains("nothing was changed"), "{unknown}");
    assert_eq!(fate(&home, "a").as_deref(), Some("set aside"));

    text(&home, &["dead-letters", "retry", "orgs", "a"]);
    assert_eq!((fate(&home, "a").as_deref(), fate(&home, "b").as_deref()), (Some("sent again"), Some("set aside")));
    destination.clear();
    let retried = home.run(&["retry", "orgs", "--json"]).expect(1).json();
    assert_eq!((&retried["acknowledged"], &retried["dead_letters"]), (&json!(1), &json!(1)));
    let again = destination.take();
    assert_eq!(again.iter().map(Seen::org).collect::<Vec<_>>(), ["a"]);
    let of_a = first.iter().find(|seen| seen.org() == "a").unwrap();
    assert_eq!(ids(&again)[0], of_a.headers["webhook-id"], "the same version, the same id");
}

#[test]
fn a_dropped_dead_letter_is_not_told_and_not_sent_until_its_value_changes() {
    let destination = Destination::start();
    let home = home(&destination, "a:pro b:free");
    destination.set("a", 400);
    home.job("orgs", 1);
    let said = text(&home, &["dead-letters", "drop", "orgs", "--all"]);
    assert_eq!(
        (fate(&home, "a").as_deref(), said.trim()),
        (Some("sent again"), "0 rows dropped: not sent until their values change")
    );
    home.job("orgs", 1);
    text(&home, &["dead-letters", "drop", "orgs", "--all"]);
    assert_eq!(fate(&home, "a").as_deref(), Some("dropped"));
    destination.clear();
    destination.take();
    let quiet = home.job("orgs", 0);
    assert_eq!((&quiet["dead_letters"], &quiet["acknowledged"]), (&json!(0), &json!(0)));
    assert_eq!(destination.take().len(), 0);
    assert!(text(&home, &["dead-letters", "list"]).contains("no dead letters"));
    extract(&home, "a:team b:free");
    assert_eq!(home.job("orgs", 0)["acknowledged"], json!(1));
    assert_eq!(destination.take_orgs(), ["a"]);
}

#[test]
fn retry_sends_what_is_left_and_reads_no_extract() {
    let destination = Destination::start();
    let home = home(&destination, "a:pro b:free c:team");
    let early = home.run(&["retry", "orgs"]).expect(2).stderr;
    assert!(early.contains("nightmark run orgs"), "{early}");
    destination.set("b", 503);
    let run = home.job("orgs", 1)["run"].clone();
    let first = destination.take();
    std::fs::remove_file(home.path("orgs.csv")).unwrap();
    destination.clear();
    let retried = home.run(&["retry", "orgs", "--json"]).expect(0).json();
    assert_eq!((&retried["run"], &retried["acknowledged"], &retried["pending"]), (&run, &json!(3), &json!(0)));
    let again = destination.take();
    assert_eq!(again.iter().map(Seen::org).collect::<Vec<_>>(), ["b"]);
    let of_b = first.iter().find(|seen| seen.org() == "b").unwrap();
    assert_eq!((&ids(&again)[0], &again[0].body), (&of_b.headers["webhook-id"], &of_b.body));
    home.run(&["retry", "orgs"]).expect(0);
    assert_eq!(destination.take().len(), 0, "nothing is left");
}

#[test]
fn a_destination_that_is_gone_gets_nothing_until_it_is_enabled_or_another() {
    let destination = Destination::start();
    let home = home(&destination, "a:pro");
    destination.set("a", 410);
    home.job("orgs", 1);
    assert_eq!(destination.take().len(), 1);
    destination.clear();
    let said = home.run(&["run", "orgs"]).expect(1).stdout;
    assert!(said.contains("disabled since") && said.contains("nightmark destinations enable orgs"), "{said}");
    home.run(&["retry", "orgs"]).expect(1);
    assert_eq!(destination.take().len(), 0);
    let listed = json_of(&home, &["destinations", "list"]);
    assert_eq!((&listed[0]["job"], &listed[0]["state"]), (&json!("orgs"), &json!("disabled")));
    let shown = json_of(&home, &["runs", "show", "orgs"]);
    assert_eq!(shown["status"], json!("published"));
    assert!(shown["what_to_do"][0].as_str().unwrap().contains("destinations enable orgs"), "{shown}");

    text(&home, &["destinations", "enable", "orgs"]);
    home.run(&["retry", "orgs"]).expect(0);
    assert_eq!(destination.take_orgs(), ["a"]);
    assert!(text(&home, &["destinations", "list"]).contains("every destination is in service"));

    // The same with another address in the job file.
    destination.set("a", 410);
    extract(&home, "a:team");
    home.job("orgs", 1);
    destination.clear();
    let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/orgs.toml", &job.replace("/hook", "/new"));
    destination.take();
    home.job("orgs", 0);
    assert_eq!(destination.take()[0].path, "/new");
}

#[test]
fn an_operations_own_address_that_is_gone_or_wants_a_pause_ends_with_another_one() {
    let destination = Destination::start();
    let home = home(&destination, "a:pro b:free");
    home.job("orgs", 0);
    let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    let own = |path: &str| {
        let route = format!("[destination.changed]\nurl = \"http://{}/{path}\"\n[payload]", destination.address);
        home.write("jobs/orgs.toml", &job.replace("[payload]", &route));
    };
    for (night, status) in ["pro", "team"].into_iter().zip([410, 503]) {
        own("changed");
        destination.set("a", status);
        if status == 503 {
            destination.set_retry_after(3600);
        }
        extract(&home, &format!("a:{night}1 b:free"));
        home.job("orgs", 1);
        destination.clear();
        destination.take();
        let report = home.job("orgs", 1);
        let remedy = report["stopped"]["remedy"].as_str().unwrap();
        assert!(remedy.contains("another destination.url or destination.changed.url"), "{remedy}");
        assert_eq!(destination.take().len(), 0, "{status}");
        own("new");
        home.job("orgs", 0);
        assert_eq!(destination.take()[0].path, "/new", "{status}");
        assert_eq!(json_of(&home, &["destinations", "list"]), json!([]));
    }
}

/// The job's record of its destination, changed in the state store.
fn change_record(home: &Home, change: impl FnOnce(&mut DestinationRecord)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(&home.path("nightmark.db")).await.unwrap();
        let mut record = store.destination("orgs").await.unwrap().unwrap();
        change(&mut record);
        store.put_destination(&record).await.unwrap();
        store.close().await;
    });
}

#[test]
fn a_pause_holds_over_runs_until_its_time_or_somebody_ends_it() {
    let destination = Destination::start();
    let home = home(&destination, "a:pro b:free");
    let ask = |orgs: &str| {
        extract(&home, orgs);
        ["a", "b"].iter().for_each(|org| destination.set(org, 429));
        destination.set_retry_after(3600);
        home.run(&["run", "orgs"]).expect(1);
        assert!((1..=2).contains(&destination.take().len()));
        destination.clear();
    };
    ask("a:pro b:free");
    let listed = json_of(&home, &["destinations", "list"]);
    assert_eq!(listed[0]["state"], json!("paused"));
    let until: chrono::DateTime<chrono::Utc> = listed[0]["paused_until"].as_str().unwrap().parse().unwrap();
    let said = text(&home, &["destinations", "list"]);
    assert!(said.contains(&until.format("%Y-%m-%d %H:%M:%S").to_string()), "{said}");

    // Neither a run nor a retry asks again.
    let said = home.run(&["run", "orgs"]).expect(1).stdout;
    assert!(said.contains("asks to wait until") && said.contains("nightmark destinations enable orgs"), "{said}");
    let retried = home.run(&["retry", "orgs", "--json"]).expect(1).json();
    assert_eq!((&retried["stopped"]["kind"], &retried["pending"]), (&json!("paused"), &json!(2)));
    assert_eq!(destination.take().len(), 0);
    let shown = json_of(&home, &["runs", "show", "orgs"]);
    assert_eq!(shown["status"], json!("published"));
    assert!(shown["reason"].as_str().unwrap().contains("asks to wait until"), "{shown}");

    // Its time passes.
    change_record(&home, |record| record.paused_until = Some(chrono::Utc::now()));
    assert!(text(&home, &["destinations", "list"]).contains("every destination is in service"));
    assert_eq!(json_of(&home, &["runs", "show", "orgs"])["destination"], Value::Null);
    home.run(&["retry", "orgs"]).expect(0);
    assert_eq!(destination.take_orgs(), ["a", "b"]);

    // Somebody ends it.
    ask("a:team b:team");
    text(&home, &["destinations", "enable", "orgs"]);
    home.run(&["retry", "orgs"]).expect(0);
    assert_eq!(destination.take_orgs(), ["a", "b"]);

    // Another address has not asked for it.
    ask("a:free b:pro");
    let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/orgs.toml", &job.replace("/hook", "/new"));
    home.job("orgs", 0);
    assert_eq!(destination.take_orgs(), ["a", "b"]);
    assert_eq!(json_of(&home, &["destinations", "list"]), json!([]));
}

#[test]
fn destinations_tells_since_when_something_is_wrong_and_forgets_it_with_the_next_answer() {
    let destination = Destination::start();
    let home = home(&destination, "a:pro");
    destination.set("a", 401);
    let first = home.job("orgs", 1)["run"].clone();
    let before = json_of(&home, &["destinations", "list"])[0].clone();
    assert_eq!((&before["run"], &before["paused_until"]), (&first, &Value::Null));
    home.job("orgs", 1);
    assert_eq!(json_of(&home, &["destinations", "list"])[0], before, "since the first of them");
    destination.set("a", 403);
    let another = home.job("orgs", 1)["run"].clone();
    let now = json_of(&home, &["destinations", "list"])[0].clone();
    assert_eq!(now["run"], another);
    assert_ne!(now["since"], before["since"]);
    // Failing says nothing of the key; a refusal says that it is good.
    destination.set("a", 503);
    home.job("orgs", 1);
    assert_eq!(json_of(&home, &["destinations", "list"])[0], now);
    destination.set("a", 422);
    home.job("orgs", 1);
    assert!(text(&home, &["destinations", "list"]).contains("every destination is in service"));
}

#[test]
fn a_retry_that_is_stopped_leaves_a_run_that_is_not_finished() {
    let destination = Destination::start();
    let home = home(&destination, "a:pro b:free");
    destination.set("a", 422);
    home.job("orgs", 1);
    assert_eq!(json_of(&home, &["runs", "show", "orgs"])["status"], json!("finished"));
    destination.set("a", 410);
    let said = home.run(&["retry", "orgs"]).expect(1).stdout;
    assert!(said.contains("none of these was tried now") && said.contains("delivery stopped"), "{said}");
    let shown = text(&home, &["runs", "show", "orgs"]);
    assert!(shown.contains("stopped before everything was sent") && shown.contains("422"), "{shown}");
}

#[test]
fn runs_show_tells_what_happened_what_was_sent_and_what_to_do() {
    let destination = Destination::start();
    let home = home(&destination, "a:pro b:free c:team d:free e:pro");
    for (org, status) in [("a", 422), ("b", 422), ("c", 503)] {
        destination.set(org, status);
    }
    let run = home.job("orgs", 1)["run"].as_str().unwrap().to_owned();
    let shown = text(&home, &["runs", "show", &run]);
    let expected = [
        "finished; every change was tried, and some did not get through",
        "5 extracted, 0 rejected: 5 added, 0 changed, 0 removed",
        "5 planned: 2 acknowledged, 2 refused",
        "nightmark retry orgs",
        "nightmark run orgs",
    ];
    for words in expected {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let steps: Vec<&str> = shown.lines().filter_map(|line| line.split("  ").nth(2)).collect();
    let states = ["extracting", "diffed", "published", "delivering", "finished"];
    assert!(steps.windows(states.len()).any(|steps| steps == states), "{steps:?}");
    let failed = shown.lines().find(|line| line.contains("422")).unwrap();
    assert!(failed.contains("a, b") && failed.trim_start().starts_with('2'), "equal answers stand together: {shown}");

    let object = json_of(&home, &["runs", "show", &run]);
    assert_eq!(object["failures"].as_array().unwrap().len(), 3);
    assert_eq!((&object["is_current"], &object["in_flight"]), (&json!(true), &json!(0)));

    destination.clear();
    home.job("orgs", 0);
    let earlier = json_of(&home, &["runs", "show", &run]);
    assert_eq!((&earlier["is_current"], &earlier["what_to_do"]), (&json!(false), &json!([])));
    let unknown = home.run(&["runs", "show", "nobody"]).expect(2).stderr;
    assert!(unknown.contains("`nobody`") && unknown.contains("nightmark runs"), "{unknown}");
}

/// The line of `runs show` that begins so, without it.
fn line<'a>(shown: &'a str, begin: &str) -> &'a str {
    shown.lines().find_map(|line| line.trim_start().strip_prefix(begin)).unwrap_or_else(|| panic!("{begin}: {shown}"))
}

#[test]
fn runs_show_tells_what_the_limits_did() {
    let destination = Destination::start();
    let home = Home::new();
    let to = |retry: &str| {
        let to = format!("url = \"http://{}/hook\"\nrate = \"500/s\"\nretry = {retry}", destination.address);
        home.write("jobs/orgs.toml", &job_file("", &to, "preset = \"flat\""));
    };
    // One row is put off twice, for a second each.
    to(r#"{ attempts = 2, base = "1ms", max = "2s" }"#);
    extract(&home, "a:pro b:free");
    destination.set("a", 429);
    destination.set_retry_after(1);
    home.job("orgs", 1);
    let shown = text(&home, &["runs", "show", "orgs"]);
    assert_eq!(line(&shown, "Requests ").trim(), "3 made, 1 of them retries (0 waited for the retry budget)");
    assert!(shown.contains("1 acknowledged, 0 refused, 0 unknown, 2 to be repeated, 0 mistakes"), "{shown}");
    assert_eq!(line(&shown, "Limits ").trim(), "2 of 8 in flight at the end, 2 at the least, at most 500 a second");
    assert!(line(&shown, "Latency ").contains(" ms the longest"), "{shown}");
    let paused: f64 = line(&shown, "paused for ").split(' ').next().unwrap().parse().unwrap();
    assert!(paused >= 1.0, "{shown}");
    assert!(!shown.contains("circuit breaker"), "{shown}");
    let limits = json_of(&home, &["runs", "show", "orgs"])["report"]["limits"].clone();
    assert_eq!(limits["concurrency"], json!({ "now": 2, "max": 8, "smallest": 2 }));
    assert_eq!(
        (&limits["retries"], &limits["breaker"]["opened"], &limits["rate"]),
        (&json!(1), &json!(0), &json!(500.0))
    );

    // The breaker opens, for longer than the job waits.
    to(r#"{ attempts = 1, base = "1ms", max = "2s" }"#);
    destination.clear();
    let orgs: Vec<String> = (0..20).map(|n| format!("k{n:02}:pro")).collect();
    extract(&home, &orgs.join(" "));
    (0..20).for_each(|n| destination.set(&format!("k{n:02}"), 500));
    home.job("orgs", 1);
    let shown = text(&home, &["runs", "show", "orgs"]);
    assert_eq!(line(&shown, "circuit breaker "), "opened 1 times, open at the end");
    assert!(shown.contains("stopped before everything was sent") && shown.contains("destination.retry.max"), "{shown}");
    let report = json_of(&home, &["runs", "show", "orgs"])["report"].clone();
    assert_eq!(
        (&report["stopped"]["kind"], &report["limits"]["breaker"]["state"]),
        (&json!("breaker"), &json!("open"))
    );
}

#[test]
fn rows_that_fail_each_night_come_after_those_that_have_not_been_tried() {
    let destination = Destination::start();
    let home = Home::new();
    let to = format!(
        "url = \"http://{}/hook\"\nconcurrency = 1\nretry = {{ attempts = 1, base = \"1ms\" , max = \"1s\" }}",
        destination.address
    );
    home.write("jobs/orgs.toml", &job_file("", &to, "preset = \"flat\""));
    let keys: Vec<String> = (0..27).map(|n| format!("k{n:02}")).collect();
    keys[..22].iter().for_each(|key| destination.set(key, 500));
    let orgs = |plan: &str| keys.iter().map(|key| format!("{key}:{plan} ")).collect::<String>();
    let night = |args: &[&str]| {
        home.run(args).expect(1);
        destination.take().iter().map(|seen| seen.org().to_owned()).collect::<Vec<_>>()
    };
    // Ten failures open the breaker, each night and each retry; other rows are tried first than those of the nights before.
    extract(&home, &orgs("pro"));
    assert_eq!(night(&["run", "orgs"]), keys[..10]);
    extract(&home, &orgs("team"));
    assert_eq!(night(&["run", "orgs"]), keys[10..20]);
    let third = night(&["retry", "orgs"]);
    assert_eq!(third[..7], keys[20..27], "and then those that failed: {third:?}");
    assert_eq!(third[7], keys[0], "{third:?}");
    assert_eq!(json_of(&home, &["runs", "show", "orgs"])["counts"]["acknowledged"], json!(5));
    destination.clear();
    home.job("orgs", 0);
    assert_eq!(destination.take_orgs(), keys[..22]);
}

#[test]
fn a_run_that_was_stopped_is_taken_over_by_the_next() {
    let destination = Destination::start();
    let home = home(&destination, "a:pro b:free");
    let stopped =
        home.run(&["run", "orgs", "--no-send", "--json"]).expect(1).json()["run"].as_str().unwrap().to_owned();
    assert_eq!(json_of(&home, &["runs", "show", &stopped])["status"], json!("published"));
    extract(&home, "a:team b:free");
    let next = home.job("orgs", 0)["run"].as_str().unwrap().to_owned();
    let shown = text(&home, &["runs", "show", &stopped]);
    assert!(shown.contains("superseded") && shown.contains(&format!("part of run {next}")), "{shown}");
    let plans: Vec<_> = destination.take().iter().map(|seen| seen.body["plan"].clone()).collect();
    assert!(plans.contains(&json!("team")) && plans.contains(&json!("free")) && plans.len() == 2, "{plans:?}");
}

#[test]
fn a_dead_letter_is_remembered_while_its_org_is_away() {
    let destination = Destination::start();
    let home = home(&destination, "a:pro b:pro c:free d:free");
    for org in ["a", "b"] {
        destination.set(org, 422);
    }
    home.job("orgs", 1);
    text(&home, &["dead-letters", "drop", "orgs", "b"]);
    home.job("orgs", 1);
    let before = fates(&home);
    assert_eq!(before, [("a".to_owned(), "set aside".to_owned()), ("b".to_owned(), "dropped".to_owned())]);
    extract(&home, "c:free d:free");
    home.run(&["run", "orgs", "--approve"]).expect(0);
    assert_eq!(fates(&home), before);
    destination.take();
    extract(&home, "a:pro b:pro c:free d:free");
    let back = home.job("orgs", 1);
    assert_eq!((&back["dead_letters"], destination.take().len()), (&json!(1), 0), "the same versions: {back}");
    assert_eq!(fates(&home), before);
    extract(&home, "a:team b:pro c:free d:free");
    home.job("orgs", 1);
    assert_eq!(destination.take_orgs(), ["a"], "its value has changed");
}

#[test]
fn an_id_stands_for_one_body_and_a_dead_letter_for_what_is_compared() {
    let destination = Destination::start();
    let home = home(&destination, "");
    let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/orgs.toml", &job.replace("[diff]", "[diff]\ncompare = [\"plan\"]"));
    let note = |text: &str| home.write("orgs.csv", &format!("workspace_id,plan,note\na,pro,{text}\n"));
    destination.set("a", 500);
    let night = |text: &str, code: i32| {
        note(text);
        home.job("orgs", code);
        destination.take().pop().map(|seen| (seen.headers["webhook-id"].clone(), seen.body["note"].clone()))
    };
    let (first, other, again) = (night("one", 1).unwrap(), night("two", 1).unwrap(), night("one", 1).unwrap());
    assert_eq!((&first.1, &other.1), (&json!("one"), &json!("two")));
    assert_ne!(first.0, other.0, "two bodies");
    assert_eq!(first, again, "a repeat");
    assert!(first.0.split('_').nth(1) == other.0.split('_').nth(1), "of one version: {} {}", first.0, other.0);
    destination.set("a", 422);
    assert!(night("three", 1).is_some() && night("four", 1).is_some());
    assert_eq!(night("five", 1), None, "set aside by what is compared");
}

#[test]
fn a_refusal_after_an_unknown_outcome_is_told_as_unknown() {
    let destination = Destination::start();
    let home = home(&destination, "a:pro b:free");
    destination.set("a", 500);
    home.job("orgs", 1);
    destination.set("a", 422);
    home.run(&["retry", "orgs"]).expect(1);
    let shown = json_of(&home, &["runs", "show", "orgs"]);
    assert_eq!((&shown["counts"]["unknown"], &shown["counts"]["refused"]), (&json!(1), &json!(0)));
    assert_eq!((&shown["failures"][0]["kind"], &shown["failures"][0]["status"]), (&json!("unknown"), &json!(422)));
}

#[test]
fn what_can_be_done_leaves_out_what_would_do_nothing() {
    let destination = Destination::start();
    let home = home(&destination, "a:pro b:free");
    destination.set("a", 422);
    let proposed = |home: &Home| json_of(home, &["runs", "show", "orgs"])["what_to_do"].to_string();
    home.job("orgs", 1);
    assert!(proposed(&home).contains("nightmark retry orgs"), "{}", proposed(&home));
    // The second refusal sets it aside.
    home.job("orgs", 1);
    let todo = proposed(&home);
    assert!(!todo.contains("nightmark retry") && todo.contains("nightmark dead-letters list orgs"), "{todo}");
    let said = home.run(&["run", "orgs"]).expect(1).stdout;
    assert!(said.contains("1 webhook: 0 acknowledged, 1 set aside or dropped"), "{said}");
}

#[cfg(feature = "failpoints")]
#[test]
fn a_run_that_was_killed_right_after_its_publication_is_told_as_published() {
    let destination = Destination::start();
    let home = home(&destination, "a:pro b:free");
    home.run(&["run", "orgs", "--no-send"]).expect(1);
    extract(&home, "a:pro b:team");
    let mut command = home.command(&["run", "orgs"]);
    let killed = command.env("FAILPOINTS", "publish.done=return").output().unwrap();
    assert_eq!(killed.status.code(), None);
    let shown = text(&home, &["runs", "show", "orgs"]);
    assert!(shown.contains("published; its process ended before anything was sent"), "{shown}");
    assert!(shown.contains("nightmark retry orgs  sends what is left"), "{shown}");
    home.run(&["retry", "orgs"]).expect(0);
    assert_eq!(destination.take().len(), 2);
    let states: Vec<_> = json_of(&home, &["runs"]).as_array().unwrap().iter().map(|run| run["state"].clone()).collect();
    assert_eq!(states, [json!("finished"), json!("superseded")]);
}

#[test]
fn rows_of_old_runs_are_forgotten_and_nothing_is_sent_again_for_it() {
    let destination = Destination::start();
    let home = home(&destination, "a:1 b:1");
    home.write("nightmark.toml", "[runs]\nkeep_rows_of = 1\n");
    destination.set("a", 500);
    let first = home.job("orgs", 1)["run"].as_str().unwrap().to_owned();
    let failures = |run: &str| json_of(&home, &["runs", "show", run])["failures"].as_array().unwrap().len();
    // The snapshots of three runs stay on the disk, and so long all of a run is remembered.
    for night in 2..=3 {
        extract(&home, &format!("a:1 b:{night}"));
        home.job("orgs", 1);
        assert_eq!(failures(&first), 1, "night {night}");
    }
    extract(&home, "a:1 b:4");
    home.job("orgs", 1);
    assert_eq!(failures(&first), 0);
    let said = text(&home, &["runs", "show", &first]);
    assert!(said.contains("1 unknown") && said.contains("no longer known (runs.keep_rows_of"), "{said}");
    destination.clear();
    destination.take();
    home.job("orgs", 0);
    assert_eq!(destination.take_orgs(), ["a"], "what is in doubt, and nothing else");
    home.job("orgs", 0);
    assert_eq!(destination.take_orgs(), Vec::<String>::new());
}

#[test]
fn the_run_that_is_compared_with_is_never_forgotten() {
    let destination = Destination::start();
    let home = home(&destination, "a:1 b:1");
    home.write("nightmark.toml", "[runs]\nkeep_days = 1\nkeep_rows_of = 1\n");
    home.job("orgs", 0);
    destination.take();
    let orgs = std::fs::read(home.path("orgs.csv")).unwrap();
    std::fs::remove_file(home.path("orgs.csv")).unwrap();
    for _ in 0..3 {
        home.run(&["run", "orgs"]).expect(2);
    }
    std::fs::write(home.path("orgs.csv"), orgs).unwrap();
    home.job("orgs", 0);
    assert_eq!(destination.take_orgs(), Vec::<String>::new(), "what was acknowledged is still known");
}

#[test]
fn runs_are_forgotten_after_so_many_days() {
    let destination = Destination::start();
    let home = home(&destination, "a:1");
    home.write("nightmark.toml", "[runs]\nkeep_days = 2\n");
    home.job("orgs", 0);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(&home.path("nightmark.db")).await.unwrap();
        let now = Utc::now();
        for (id, hours) in [("three days ago", 72), ("yesterday", 24)] {
            let started = RunRecord::new(id, "orgs", now - TimeDelta::hours(hours));
            store.put_run(&RunRecord { state: RunState::Failed, ..started }, now).await.unwrap();
        }
        store.close().await;
    });
    home.job("orgs", 0);
    let runs = json_of(&home, &["runs", "orgs"]);
    let ids: Vec<&str> = runs.as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), ids[2]), (3, "yesterday"), "{ids:?}");
}

#[cfg(feature = "failpoints")]
#[test]
fn a_run_that_was_killed_while_sending_is_not_taken_for_forgotten() {
    let destination = Destination::start();
    let home = home(&destination, "a:1 b:1");
    let killed = home.command(&["run", "orgs"]).env("FAILPOINTS", "ledger.committed=return").output().unwrap();
    assert!(!killed.status.success());
    let first = json_of(&home, &["runs", "orgs"])[0]["id"].as_str().unwrap().to_owned();
    home.job("orgs", 0);
    let said = text(&home, &["runs", "show", &first]);
    assert!(said.contains("2 unknown") && !said.contains("no longer known"), "{said}");
}

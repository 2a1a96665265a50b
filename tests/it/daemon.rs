//! `nightmark serve` as a daemon: schedules that fire, one daemon to a home folder, ends in the middle of a run.

use crate::metrics::metrics;
use crate::support::{Destination, Home, Served, job_file, says, signal};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A home whose job fires at each second of the minutes that `minutes` names.
fn home(destination: &Destination, schedule: &str) -> Home {
    let home = Home::new();
    let to = format!("url = \"http://{}/\"", destination.address);
    let job = job_file("", &to, "preset = \"flat\"");
    home.write("jobs/orgs.toml", &job.replacen("version = 1\n", &format!("version = 1\n{schedule}\n"), 1));
    home.write("orgs.csv", "workspace_id,plan_id\nws_1,free\nws_2,free\n");
    home
}

const EACH_SECOND: &str = "schedule = \"* * * * * *\"";

/// What `nightmark schedule` says of the job, once it is as it should be. The bound is there only so that a broken build ends.
#[track_caller]
fn wait_for(home: &Home, what: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let told = home.run(&["schedule", "orgs", "-n", "20", "--json"]).expect(0).json();
        if what(&told[0]) {
            return told[0].clone();
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{told}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn states(told: &Value) -> Vec<&str> {
    told["last"].as_array().unwrap().iter().map(|fire| fire["state"].as_str().unwrap()).collect()
}

#[test]
fn a_schedule_fires_and_what_differs_is_sent_once() {
    let destination = Destination::start();
    let home = home(&destination, EACH_SECOND);
    // Nothing has fired before there was a daemon.
    let told = home.run(&["schedule", "orgs", "--json"]).expect(0).json();
    assert_eq!((told[0]["last"].clone(), told[0]["next"].as_array().unwrap().len()), (json!([]), 1));
    let served = Served::start(&home);
    wait_for(&home, |told| states(told).contains(&"done"));
    let mut orgs = destination.take_orgs();
    orgs.sort();
    assert_eq!(orgs, ["ws_1", "ws_2"]);
    home.write("orgs.csv.new", "workspace_id,plan_id\nws_1,pro\nws_2,free\n");
    std::fs::rename(home.path("orgs.csv.new"), home.path("orgs.csv")).unwrap();
    destination.wait_for(1);
    wait_for(&home, |told| states(told).iter().filter(|state| **state == "done").count() >= 3);
    assert_eq!(destination.take_orgs(), ["ws_1"]);
    // Another daemon over the same home is told who is there, and what to do.
    let second = home.run(&["serve", "--receiver", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).expect(2);
    says(&second, &["another daemon serves this home folder", &format!("process {}", served.pid()), "--home"]);
    assert_eq!(served.stop(), 0);
    let text = home.run(&["schedule"]).expect(0);
    says(&text, &["orgs", "* * * * * *", "UTC", "done"]);
    // With its end the folder is anybody's.
    assert_eq!(Served::start(&home).stop(), 0);
}

#[test]
fn a_run_in_the_middle_of_which_the_daemon_ends_is_gone_on_with() {
    for how in ["TERM", "KILL"] {
        let destination = Destination::start();
        // Far from now, but for the fire that is due at once.
        let home = home(&destination, EACH_SECOND);
        // One org never has its answer.
        destination.set("ws_2", 0);
        let served = Served::start(&home);
        destination.wait_for(2);
        signal(served.pid(), how);
        if how == "TERM" {
            // What is in flight has its time, and no more.
            destination.clear();
        }
        served.wait();
        let told = wait_for(&home, |_| true);
        assert!(states(&told).iter().all(|state| matches!(*state, "running" | "skipped" | "done")), "{how}: {told}");
        destination.take();
        destination.clear();
        let served = Served::start(&home);
        wait_for(&home, |told| states(told).first() == Some(&"done"));
        assert_eq!(served.stop(), 0);
        let last = home.run(&["runs", "--json"]).expect(0).json();
        let finished = last.as_array().unwrap().iter().find(|run| run["state"] == "finished");
        assert!(finished.is_some(), "{how}: {last}");
        assert_eq!(home.run(&["preview", "orgs", "--json"]).expect(0).json()["unchanged"], 2, "{how}");
    }
}

#[test]
fn a_broken_job_is_no_trouble_for_the_others() {
    let destination = Destination::start();
    let home = home(&destination, EACH_SECOND);
    home.write("jobs/broken.toml", "version = 1\nschedule = \"* * * * *\"\nnonsense = 1\n");
    let served = Served::start(&home);
    wait_for(&home, |told| states(told).contains(&"done"));
    assert_eq!(served.stop(), 0);
    let log = home.log();
    assert!(log.contains("this job does not run") && log.contains("nonsense"), "{log}");
    let told = home.run(&["schedule"]).expect(1);
    assert!(told.stdout.contains("orgs") && told.stderr.contains("nonsense"), "{} {}", told.stdout, told.stderr);
}

#[test]
fn a_hold_keeps_no_other_job_from_its_runs() {
    let destination = Destination::start();
    let home = home(&destination, EACH_SECOND);
    let file = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    let file = file.replace(EACH_SECOND, "schedule = \"30 2 1 1 *\"");
    home.write("jobs/teams.toml", &format!("{file}\n[guard]\nmin_rows = 3\n"));
    let served = Served::start(&home);
    wait_for_job(&served, "orgs", |_, told| states(told).contains(&"done"));
    assert_eq!(destination.take_orgs(), ["ws_1", "ws_2"]);
    assert_eq!(call(&served, "POST", "/api/v1/jobs/teams/run").0, 202);
    wait_for_job(&served, "teams", |_, told| states(told) == ["held"]);
    // From here on it waits for a decision, which nobody takes.
    let before = call(&served, "GET", "/api/v1/jobs/orgs").1["last"][0]["due"].as_str().unwrap().to_owned();
    home.write("orgs.csv.new", "workspace_id,plan_id\nws_1,pro\nws_2,free\n");
    std::fs::rename(home.path("orgs.csv.new"), home.path("orgs.csv")).unwrap();
    destination.wait_for(1);
    wait_for_job(&served, "orgs", |_, told| {
        let later = told["last"].as_array().unwrap().iter().filter(|fire| fire["due"].as_str() > Some(before.as_str()));
        later.filter(|fire| fire["state"] == "done").count() >= 3
    });
    assert_eq!(destination.take_orgs(), ["ws_1"], "of the other job: what is held is not sent");
    assert_eq!(call(&served, "GET", "/api/v1/jobs/teams/held").0, 200);
    assert_eq!(states(&call(&served, "GET", "/api/v1/jobs/teams").1), ["held"]);
    assert_eq!(served.stop(), 0);
}

#[test]
fn what_is_wrong_with_a_schedule_is_said_all_at_once() {
    let destination = Destination::start();
    let home = home(
        &destination,
        "schedule = \"@every 90x\"\ntimezone = \"Europe/Berln\"\ncatch_up = \"6 hours\"\njitter = \"2d\"\n\
         blackout = [\"08:00\", \"Mon-Fri 08:00-18:00\"]\ndepends_on = [\"orgs\", \"a\", \"a\"]",
    );
    let said = home.run(&["check", "orgs"]).expect(2);
    says(
        &said,
        &[
            "@every",
            "did you mean `Europe/Berlin`?",
            "catch_up",
            "jitter",
            "blackout[0]",
            "depends_on[0]",
            "cannot wait for itself",
            "named twice",
        ],
    );
    home.write(
        "jobs/orgs.toml",
        &std::fs::read_to_string(home.path("jobs/orgs.toml"))
            .unwrap()
            .replace("schedule =", "name = \"orgs\"\n# schedule ="),
    );
    says(&home.run(&["check", "orgs"]).expect(2), &["`depends_on` says nothing without a schedule"]);
}

/// What the admin API answers: the status and the body.
fn call(served: &Served, method: &str, path: &str) -> (u16, Value) {
    served.call(method, path, &[], None)
}

#[test]
fn a_run_is_asked_for_by_the_admin_api() {
    let destination = Destination::start();
    let home = home(&destination, "");
    home.write("jobs/broken.toml", "version = 1\nnonsense = 1\n");
    destination.set("ws_2", 0);
    let served = Served::start(&home);
    // A job without a schedule is a job of this daemon alone, too.
    let second = home.run(&["serve", "--receiver", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).expect(2);
    says(&second, &["another daemon serves this home folder"]);
    for path in ["/api/jobs/gone/run", "/api/v1/jobs/gone/run"] {
        assert_eq!(call(&served, "POST", path).0, 404);
    }
    let (status, refused) = call(&served, "POST", "/api/v1/jobs/broken/run");
    assert!(status == 409 && refused["error"].as_str().unwrap().contains("nonsense"), "{refused}");
    let (status, fire) = call(&served, "POST", "/api/jobs/orgs/run");
    assert_eq!(
        (status, &fire["job"], &fire["cause"], &fire["state"]),
        (202, &json!("orgs"), &json!("request"), &json!("running")),
        "{fire}"
    );
    destination.wait_for(2);
    let (status, refused) = call(&served, "POST", "/api/v1/jobs/orgs/run");
    assert!(status == 409 && refused["error"].as_str().unwrap().contains("is on since 20"), "{refused}");
    // It is begun anew after the daemon's end.
    signal(served.pid(), "KILL");
    served.wait();
    destination.clear();
    let served = Served::start(&home);
    let told = wait_for(&home, |told| states(told) == ["done"]);
    assert_eq!((&told["last"][0]["due"], &told["last"][0]["cause"]), (&fire["due"], &json!("request")));
    let (_, jobs) = call(&served, "GET", "/api/v1/jobs");
    let names: Vec<&str> = jobs["items"].as_array().unwrap().iter().map(|job| job["job"].as_str().unwrap()).collect();
    assert_eq!((names, &jobs["next"]), (vec!["broken", "orgs"], &Value::Null));
    assert!(jobs["items"][0]["faulty"].as_str().unwrap().contains("nonsense"), "{jobs}");
    let (_, job) = call(&served, "GET", "/api/v1/jobs/orgs");
    assert_eq!((&job, &job["schedule"], &job["last"]), (&jobs["items"][1], &Value::Null, &told["last"]));
    says(&home.run(&["schedule"]).expect(1), &["orgs", "request", "done", "broken", "faulty"]);
    assert_eq!(served.stop(), 0);
}

#[test]
fn the_admin_api_tells_when_jobs_run() {
    let destination = Destination::start();
    let home = home(&destination, "schedule = \"30 2 1 1 *\"\ntimezone = \"America/New_York\"");
    let served = Served::start(&home);
    let (status, job) = call(&served, "GET", "/api/v1/jobs/orgs");
    assert_eq!((status, &job["schedule"], &job["timezone"]), (200, &json!("30 2 1 1 *"), &json!("America/New_York")));
    let next = job["next"].as_array().unwrap();
    let of = |next: &Value, form: &str| next[form].as_str().unwrap().to_owned();
    assert_eq!(next.len(), 5);
    assert!(
        next.iter().all(|next| of(next, "local").ends_with("-01-01T02:30:00-05:00")
            && of(next, "utc").ends_with("-01-01T07:30:00Z")),
        "{job}"
    );
    assert_eq!(job["last"], json!([]));
    assert_eq!(call(&served, "GET", "/api/v1/jobs/gone").0, 404);
    assert_eq!(call(&served, "GET", "/api/jobs/orgs/run").0, 405);
    assert_eq!(served.stop(), 0);
}

/// What the admin API says of a job, once it is as it should be. The bound is there only so that a broken build ends.
#[track_caller]
fn wait_for_job(served: &Served, job: &str, what: impl Fn(u16, &Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let (status, told) = call(served, "GET", &format!("/api/v1/jobs/{job}"));
        if what(status, &told) {
            return told;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{status}: {told}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_new_file_and_another_jobs_success_begin_runs() {
    let destination = Destination::start();
    let home = home(&destination, "on_file = \"1s\"");
    let after = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/teams.toml", &after.replace("on_file = \"1s\"", "run_after = [\"orgs\"]"));
    let served = Served::start(&home);
    wait_for_job(&served, "teams", |_, told| states(told) == ["done"]);
    assert_eq!(destination.take_orgs(), ["ws_1", "ws_1", "ws_2", "ws_2"]);
    // A restart begins neither again; a new file does, and the first is put down as what the second came after.
    assert_eq!(served.stop(), 0);
    home.write("orgs.csv.new", "workspace_id,plan_id\nws_1,pro\nws_2,free\n");
    let served = Served::start(&home);
    std::fs::rename(home.path("orgs.csv.new"), home.path("orgs.csv")).unwrap();
    let told = wait_for_job(&served, "teams", |_, told| states(told) == ["done", "done"]);
    assert_eq!((&told["last"][0]["cause"], &told["last"][0]["origin"]), (&json!("job"), &json!("orgs")));
    assert_eq!(destination.take_orgs(), ["ws_1", "ws_1"]);
    let orgs = call(&served, "GET", "/api/v1/jobs/orgs").1;
    assert_eq!(states(&orgs), ["done", "done"]);
    assert!(
        orgs["last"][0]["cause"] == "file" && orgs["last"][0]["origin"].as_str().unwrap().ends_with("orgs.csv"),
        "{orgs}"
    );
    says(&home.run(&["schedule"]).expect(0), &["new files (1 s)", "after orgs", "file", "job"]);
    assert_eq!(served.stop(), 0);
}

#[test]
fn job_files_are_read_again_while_the_daemon_runs() {
    let destination = Destination::start();
    let home = home(&destination, "schedule = \"30 2 1 1 *\"");
    let file = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    std::fs::remove_file(home.path("jobs/orgs.toml")).unwrap();
    // At first there is no job, so that there may be other daemons.
    let served = Served::start(&home);
    home.write("jobs/orgs.toml", &file);
    wait_for_job(&served, "orgs", |status, told| status == 200 && told["schedule"] == "30 2 1 1 *");
    let is_counted =
        |text: &str| text.lines().any(|l| l.starts_with("nightmark_runs_total{") && l.contains("\"orgs\""));
    assert!(is_counted(&metrics(&served)));
    let second = home.run(&["serve", "--receiver", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).expect(2);
    says(&second, &["another daemon serves this home folder"]);
    // With mistakes, the version before goes on.
    home.write("jobs/orgs.toml", &file.replace("version = 1", "version = 1\nnonsense = 1"));
    let told = wait_for_job(&served, "orgs", |_, told| !told["faulty"].is_null());
    assert!(told["faulty"].as_str().unwrap().contains("nonsense") && told["schedule"] == "30 2 1 1 *", "{told}");
    assert!(home.log().contains("job_invalid"), "{}", home.log());
    assert_eq!(call(&served, "POST", "/api/v1/jobs/orgs/run").0, 202);
    wait_for_job(&served, "orgs", |_, told| states(told) == ["done"]);
    assert_eq!(destination.take_orgs(), ["ws_1", "ws_2"]);
    // Mended, and told so by a signal.
    home.write("jobs/orgs.toml", &file.replace("30 2 1 1 *", "30 4 1 1 *"));
    signal(served.pid(), "HUP");
    wait_for_job(&served, "orgs", |_, told| told["faulty"].is_null() && told["schedule"] == "30 4 1 1 *");
    // Jobs that would begin each other for ever are not taken.
    home.write("jobs/teams.toml", &file.replace("schedule = \"30 2 1 1 *\"", "run_after = [\"orgs\"]"));
    wait_for_job(&served, "teams", |status, _| status == 200);
    home.write("jobs/orgs.toml", &file.replace("schedule = \"30 2 1 1 *\"", "run_after = [\"teams\"]"));
    let told = wait_for_job(&served, "orgs", |_, told| !told["faulty"].is_null());
    assert!(
        told["faulty"].as_str().unwrap().contains("`orgs` runs after `teams`, `teams` runs after `orgs`"),
        "{told}"
    );
    assert_eq!(told["schedule"], "30 4 1 1 *");
    let is_due =
        |text: &str| text.lines().any(|l| l.starts_with("nightmark_next_fire_timestamp_seconds{job_name=\"orgs\"}"));
    assert!(is_due(&metrics(&served)));
    // Gone.
    std::fs::remove_file(home.path("jobs/orgs.toml")).unwrap();
    wait_for_job(&served, "orgs", |status, _| status == 404);
    assert!(!is_due(&metrics(&served)));
    assert_eq!(call(&served, "POST", "/api/v1/jobs/orgs/run").0, 404);
    assert_eq!(served.stop(), 0);
}

#[test]
fn what_is_wrong_with_what_begins_a_job_is_said() {
    let destination = Destination::start();
    let home = home(&destination, "run_after = [\"teams\", \"team\", \"orgs\"]\non_file = \"0s\"\njitter = \"1m\"");
    let said = home.run(&["check", "orgs", "--syntax"]).expect(2);
    says(&said, &["run_after[2]", "a job cannot begin itself", "on_file"]);
    let file = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    let file = file.replace(", \"orgs\"]", "]").replace("on_file = \"0s\"\njitter = \"1m\"\n", "");
    home.write("jobs/orgs.toml", &file);
    home.write("jobs/teams.toml", &file.replace("\"teams\", \"team\"", "\"orgs\""));
    for args in [&["check", "orgs", "--syntax"][..], &["check", "--syntax"]] {
        says(
            &home.run(args).expect(2),
            &[
                "jobs/orgs.toml: run_after: the job would begin itself: `orgs` runs after `teams`, `teams` runs after `orgs`",
            ],
        );
    }
    says(
        &home.run(&["check", "orgs", "--syntax"]).expect(2),
        &["run_after[1]: there is no job `team` (did you mean `teams`?)"],
    );
    says(&home.run(&["schedule"]).expect(1), &["the job would begin itself"]);
    // Of a database nobody knows whether there is something new.
    home.write(
        "jobs/orgs.toml",
        &file.replace("run_after = [\"teams\", \"team\"]", "on_file = \"1m\"\ncatch_up = \"1h\""),
    );
    says(&home.run(&["check", "orgs", "--syntax"]).expect(2), &["`catch_up` says nothing without a schedule"]);
    let source = "kind = \"sqlite\"\npath = \"orgs.db\"\ntable = \"orgs\"\n";
    let database = file
        .replace("run_after = [\"teams\", \"team\"]", "on_file = \"1m\"")
        .replace("kind = \"files\"\npath = \"orgs.csv\"\n", source);
    home.write("jobs/orgs.toml", &database);
    says(
        &home.run(&["check", "orgs", "--syntax"]).expect(2),
        &["on_file: only of files is it known", "hint: take it out"],
    );
}

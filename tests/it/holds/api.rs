//! Held runs by the admin API of the daemon that runs: looked at, approved, discarded, refused as by command.

use super::{GUARD, extract, held_folders, home, json_of, pair, run, sent};
use crate::support::{Destination, Home, Served, job_file, says, signal};
use serde_json::{Value, json};
use std::time::Instant;

fn get(served: &Served, path: &str) -> (u16, Value) {
    served.call("GET", path, &[], None)
}

fn decide(served: &Served, path: &str, run: &Value) -> (u16, Value) {
    served.call("POST", path, &[], Some(&json!({ "run": run })))
}

/// The bound is there only so that a broken build ends.
#[track_caller]
fn until(home: &Home, what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed().as_secs() < 60, "{}", home.log());
        std::thread::sleep(std::time::Duration::from_millis(30));
    }
}

/// Says why, with this status.
#[track_caller]
fn refused(answer: (u16, Value), status: u16, words: &[&str]) {
    let error = answer.1["error"].as_str().unwrap_or_default().to_owned();
    assert!(answer.0 == status && words.iter().all(|word| error.contains(word)), "{answer:?}");
}

#[test]
fn what_is_approved_by_the_api_is_what_was_looked_at() {
    let destination = Destination::start();
    let home = home(&destination, GUARD);
    extract(&home, ["pro", "pro", "free"]);
    home.job("orgs", 3);
    let by_command = json_of(&home, &["preview", "orgs", "--held"], 3);
    let served = Served::start(&home);
    let (status, held) = get(&served, "/api/v1/jobs/orgs/held");
    assert_eq!(
        (status, &held["run"], &held["changes"], &held["next"]),
        (200, &by_command["run"], &json!(2), &Value::Null)
    );
    assert_eq!((&held["items"], &held["reason"]), (&by_command["changes"], &by_command["held"]));
    assert_eq!((&held["until"], &held["counts"]["changed"]), (&by_command["until"], &json!(2)));
    // Page by page.
    let (_, first) = get(&served, "/api/v1/jobs/orgs/held?limit=1");
    let next = first["next"].as_str().unwrap();
    let (_, second) = get(&served, &format!("/api/v1/jobs/orgs/held?limit=1&after={next}"));
    assert_eq!((&first["items"][0], &second["items"][0]), (&held["items"][0], &held["items"][1]));
    assert_eq!((&second["items"].as_array().unwrap().len(), &second["next"]), (&1, &Value::Null));
    refused(get(&served, "/api/v1/jobs/orgs/held?after=x"), 400, &["`after`"]);

    // The source goes on; what is held does not.
    extract(&home, ["team"; 3]);
    let (status, approved) = decide(&served, "/api/v1/jobs/orgs/approve", &held["run"]);
    assert_eq!((status, &approved["id"], &approved["state"]), (202, &held["run"], &json!("published")), "{approved}");
    let id = held["run"].as_str().unwrap();
    until(&home, || run(&home, id)["state"] == "finished");
    assert_eq!(sent(&destination), [pair("ws_1", "pro"), pair("ws_2", "pro")]);
    says(
        &home.run(&["runs", "show", id]).expect(0),
        &["published: approved by somebody on this machine (admin API); it was held: ", "max_changed"],
    );
    refused(decide(&served, "/api/v1/jobs/orgs/approve", &held["run"]), 409, &["is not held: it is finished"]);
    refused(get(&served, "/api/v1/jobs/orgs/held"), 404, &["no run of job `orgs` is held"]);
    assert_eq!(served.stop(), 0);
}

#[test]
fn what_is_discarded_by_the_api_is_never_sent() {
    let destination = Destination::start();
    let home = home(&destination, GUARD);
    extract(&home, ["pro", "pro", "free"]);
    let first = home.job("orgs", 3)["run"].clone();
    let served = Served::start(&home);
    let (status, discarded) = decide(&served, "/api/v1/jobs/orgs/discard", &first);
    assert_eq!((status, &discarded["state"]), (200, &json!("discarded")));
    let reason = discarded["reason"].as_str().unwrap();
    assert!(reason.starts_with("discarded by somebody on this machine (admin API); it was held: "), "{reason}");
    assert!(held_folders(&home).is_empty());
    refused(decide(&served, "/api/v1/jobs/orgs/approve", &first), 409, &["is not held: it is discarded"]);
    // A job whose file is gone meanwhile.
    let second = home.job("orgs", 3)["run"].clone();
    std::fs::remove_file(home.path("jobs/orgs.toml")).unwrap();
    until(&home, || get(&served, "/api/v1/jobs/orgs").0 == 404);
    refused(get(&served, "/api/v1/jobs/orgs/held"), 404, &["no job"]);
    refused(decide(&served, "/api/v1/jobs/orgs/approve", &second), 404, &["no job"]);
    refused(decide(&served, "/api/v1/jobs/gone/discard", &second), 409, &["is not known"]);
    assert_eq!(decide(&served, "/api/v1/jobs/orgs/discard", &second).0, 200);
    assert!(held_folders(&home).is_empty() && destination.take().is_empty());
    assert_eq!(served.stop(), 0);
}

#[test]
fn the_api_refuses_what_the_command_refuses() {
    let destination = Destination::start();
    let home = home(&destination, GUARD);
    let served = Served::start(&home);
    refused(get(&served, "/api/v1/jobs/gone/held"), 404, &["no job"]);
    // A later run that is held has taken the place of the one that was looked at.
    extract(&home, ["pro", "pro", "free"]);
    let first = home.job("orgs", 3)["run"].clone();
    extract(&home, ["team", "team", "free"]);
    let second = home.job("orgs", 3)["run"].clone();
    for way in ["approve", "discard"] {
        let path = format!("/api/v1/jobs/orgs/{way}");
        refused(decide(&served, &path, &first), 409, &["is not held: it is superseded"]);
        refused(decide(&served, &path, &json!("01KB2M4Z6R8T0V2X4Y6A8C0E2G")), 409, &["is not known"]);
        for body in [json!({}), json!({ "run": 1 }), json!({ "run": second, "by": "me" }), json!([])] {
            assert_eq!(served.call("POST", &path, &[], Some(&body)).0, 400, "{body}");
        }
        // What a page of another origin could send unasked.
        let body = json!({ "run": second }).to_string();
        let send = |headers: &[&str]| served.request("POST", &path, headers, body.as_bytes()).0;
        assert_eq!(send(&["content-type: text/plain"]), 400);
        assert_eq!(send(&["content-type: application/json", "origin: http://evil.example"]), 403);
        assert_eq!(send(&["content-type: application/json", "host: evil.example"]), 403);
    }
    assert_eq!(get(&served, "/api/v1/jobs/orgs/held").1["run"], second);
    // What was left over then is sent by now.
    home.run(&["discard", "orgs"]).expect(0);
    destination.set("ws_1", 500);
    extract(&home, ["pro", "free", "free"]);
    home.job("orgs", 1);
    extract(&home, ["pro", "pro", "free"]);
    let held = home.job("orgs", 3)["run"].clone();
    destination.clear();
    home.run(&["retry", "orgs"]).expect(0);
    destination.take();
    refused(decide(&served, "/api/v1/jobs/orgs/approve", &held), 409, &["cannot be approved any more", "`retry`"]);
    // There is no change set.
    home.write("orgs.csv", "workspace_id,plan\nws_1,free\n");
    let drifted = home.job("orgs", 3)["run"].clone();
    refused(get(&served, "/api/v1/jobs/orgs/held"), 409, &["nothing that could be approved"]);
    refused(decide(&served, "/api/v1/jobs/orgs/approve", &drifted), 409, &["nothing that could be approved"]);
    assert_eq!(decide(&served, "/api/v1/jobs/orgs/discard", &drifted).0, 200);
    assert!(destination.take().is_empty());
    // Nothing is in force of a job whose file has mistakes.
    home.write("jobs/broken.toml", "version = 1\nnonsense = 1\n");
    until(&home, || get(&served, "/api/v1/jobs/broken").0 == 200);
    refused(get(&served, "/api/v1/jobs/broken/held"), 409, &["nonsense"]);
    assert_eq!(served.stop(), 0);
}

#[test]
fn an_approval_by_the_api_outlives_its_caller_and_the_daemon() {
    let destination = Destination::start();
    let home = home(&destination, GUARD);
    extract(&home, ["pro", "pro", "free"]);
    let held = home.job("orgs", 3)["run"].clone();
    destination.set("ws_2", 0);
    let served = Served::start(&home);
    // Published, and not waited for.
    assert_eq!(decide(&served, "/api/v1/jobs/orgs/approve", &held).0, 202);
    destination.wait_for(2);
    refused(decide(&served, "/api/v1/jobs/orgs/approve", &held), 409, &["is not held: it is delivering"]);
    signal(served.pid(), "KILL");
    served.wait();
    destination.clear();
    let before = destination.take();
    home.run(&["retry", "orgs"]).expect(0);
    // What may have been applied comes again under its id.
    let after = destination.take();
    let id = |seen: &[crate::support::Seen], org: &str| {
        seen.iter().find(|seen| seen.org() == org).map(|seen| seen.headers["webhook-id"].clone())
    };
    assert_eq!(id(&before, "ws_2"), id(&after, "ws_2"));
    assert!(id(&before, "ws_2").is_some());
    assert_eq!(home.job("orgs", 0)["unchanged"], json!(3));
}

#[test]
fn a_stop_waits_for_an_approval() {
    let destination = Destination::start();
    let home = home(&destination, GUARD);
    // One at a time, so that some are left at the stop.
    let to = format!(
        "url = \"http://{}/\"\nconcurrency = 1\nretry = {{ attempts = 1, base = \"1ms\" }}\nrate = \"2/s\"",
        destination.address
    );
    home.write("jobs/orgs.toml", &job_file("", &to, &format!("preset = \"flat\"\n{GUARD}")));
    extract(&home, ["pro", "pro", "pro"]);
    let held = home.job("orgs", 3)["run"].clone();
    let served = Served::start(&home);
    assert_eq!(decide(&served, "/api/v1/jobs/orgs/approve", &held).0, 202);
    destination.wait_for(1);
    assert_eq!(served.stop(), 0);
    // Its end is on record: nothing is unknown, whatever was sent by then.
    let record = run(&home, held.as_str().unwrap());
    let (sent, counts) = (destination.take().len(), &record["counts"]);
    assert_eq!((&counts["acknowledged"], &counts["unknown"]), (&json!(sent), &json!(0)), "{record}");
    assert_eq!(counts["pending"], json!(3 - sent), "{record}");
}

//! Group events to our own receiver, which says which of them it rejects; and to somebody who knows nothing of events.

use super::{EVENTS, QUICK, Site, events, ids};
use crate::delivery::server::{Reply, body};
use crate::support::{Home, Served};
use serde_json::{Value, json};

/// A receiver, and a job of this kind and mode that sends to it.
struct Pair {
    // Ended first: its files are in the home.
    _served: Served,
    home: Home,
}

impl Pair {
    fn start((kind, address): (&str, &str), mode: &str) -> Pair {
        let home = Home::new();
        let served = Served::start(&home);
        let create = ["keys", "create", "--json", "--name", "cdp", "--type", "product-orgs", "--template", "segment"];
        home.write("key", home.run(&create).expect(0).json()["key"].as_str().unwrap());
        let job = format!(
            "version = 1\n[source]\nkind = \"files\"\npath = \"orgs.csv\"\n[diff]\nkey = \"id\"\n[destination]\nkind = \"{kind}\"\n\
             {address} = \"http://{}\"\nwrite_key = \"${{file:key}}\"\nmode = \"{mode}\"\n{QUICK}",
            served.receiver
        );
        home.write("jobs/orgs.toml", &job);
        Pair { _served: served, home }
    }

    /// The receiver takes the trial status `active`, and no other than it knows.
    fn orgs(&self, count: usize, status: impl Fn(usize) -> &'static str) {
        let rows: String = (0..count).map(|n| format!("ws_{n},{}\n", status(n))).collect();
        self.home.write("orgs.csv", &format!("id,trial_status\n{rows}"));
    }

    fn stored(&self) -> usize {
        let args = ["orgs", "list", "--json", "--limit", "10000"];
        self.home.run(&args).expect(0).json().as_array().unwrap().len()
    }
}

#[test]
fn events_that_the_receiver_rejects_are_refused_and_the_others_acknowledged() {
    for (kind, mode) in EVENTS.into_iter().flat_map(|kind| [(kind, "single"), (kind, "batch")]) {
        let pair = Pair::start(kind, mode);
        let status = |n| if n % 3 == 1 { "paying" } else { "active" };
        pair.orgs(30, status);
        let report = pair.home.job("orgs", 1);
        assert_eq!(
            (&report["acknowledged"], &report["refused"]),
            (&json!(20), &json!(10)),
            "{kind:?} {mode}: {report}"
        );
        assert_eq!(pair.stored(), 20, "{kind:?} {mode}");
        let failures = report["failures"].as_array().unwrap();
        for failure in failures {
            let number: usize = failure["key"].as_str().unwrap()[3..].parse().unwrap();
            assert_eq!(number % 3, 1, "{failure}");
            assert!(failure["detail"].as_str().unwrap().contains("`traits.trial_status` must be one of"), "{failure}");
        }
        // Tomorrow only what was refused is sent, and taken once it is good.
        pair.orgs(30, |n| if n == 1 { "converted" } else { status(n) });
        let report = pair.home.job("orgs", 1);
        assert_eq!(
            (&report["unchanged"], &report["acknowledged"], &report["refused"]),
            (&json!(20), &json!(1), &json!(9))
        );
        let attempts = &report["limits"]["attempts"];
        let requests = ["acknowledged", "refused"].map(|name| attempts[name].as_u64().unwrap()).iter().sum::<u64>();
        assert_eq!(requests, if mode == "batch" { 1 } else { 10 }, "{report}");
        assert_eq!(pair.stored(), 21);
    }
}

#[test]
fn a_full_batch_in_which_each_second_event_is_rejected_takes_one_request() {
    let pair = Pair::start(EVENTS[0], "batch");
    pair.orgs(2_000, |n| if n % 2 == 0 { "paying" } else { "active" });
    let report = pair.home.job("orgs", 1);
    assert_eq!((&report["acknowledged"], &report["refused"]), (&json!(1000), &json!(1000)), "{report}");
    assert_eq!(report["limits"]["attempts"]["refused"], json!(1), "{report}");
    assert_eq!(pair.stored(), 1000);
}

#[test]
fn a_batch_whose_rejected_events_are_not_all_named_is_halved() {
    let site = Site::new(
        |at| events("segment", "base_url", "batch", at),
        |seen| {
            let batch = serde_json::from_str::<Value>(&seen.body).unwrap()["batch"].as_array().unwrap().clone();
            let bad = batch.iter().filter(|event| event["groupId"] == "ws_02").count();
            body(200, &json!({"success": true, "stored": batch.len() - bad, "rejected": bad}).to_string())
        },
    );
    site.orgs(&ids(4));
    let report = site.run(1);
    assert_eq!((&report["acknowledged"], &report["refused"]), (&json!(3), &json!(1)), "{report}");
    assert_eq!((&report["failures"][0]["key"], site.seen().len()), (&json!("ws_02"), 5));
}

#[test]
fn a_page_instead_of_an_answer_stops_delivery_and_nothing_counts_as_taken() {
    let html = |body: &str| Reply::Answer {
        status: 200,
        headers: vec![("content-type", "text/html; charset=utf-8".to_owned())],
        body: body.to_owned(),
    };
    for ((kind, address), mode) in EVENTS.into_iter().flat_map(|kind| [(kind, "single"), (kind, "batch")]) {
        for page in [true, false] {
            let answer = move |_: &_| if page { body(200, "<html>Sign in</html>") } else { html("Please sign in") };
            let site = Site::new(|at| events(kind, address, mode, at), answer);
            site.orgs(&ids(3));
            let report = site.run(1);
            assert_eq!(
                (&report["acknowledged"], &report["stopped"]["kind"]),
                (&json!(0), &json!("config")),
                "{report}"
            );
            let asked = if mode == "batch" { 3 } else { 1 };
            assert_eq!((&report["unknown"], &report["pending"]), (&json!(asked), &json!(3 - asked)), "{report}");
            let remedy = report["stopped"]["remedy"].as_str().unwrap();
            assert!(remedy.ends_with(&format!("check destination.{address}")), "{remedy}");
            assert_eq!(site.seen().len(), 1);
        }
        let site =
            Site::new(|at| events(kind, address, mode, at), |_| body(200, r#"{"success": false, "error": "no"}"#));
        site.orgs(&ids(3));
        assert_eq!(site.run(1)["refused"], json!(3), "{kind} {mode}");
    }
}

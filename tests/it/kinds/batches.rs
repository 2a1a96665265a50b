//! Several rows in one request: each has its own outcome.

use super::{QUICK, Site, ids};
use crate::delivery::server::{Reply, Seen, body, status};
use serde_json::{Value, json};
use std::net::SocketAddr;

fn batched(at: SocketAddr, batch: &str) -> String {
    format!(
        "[diff]\nkey = \"id\"\n[destination]\nkind = \"http\"\nurl = \"http://{at}/hook\"\nbatch = {{ {batch} }}\n{QUICK}\
         [payload]\npreset = \"flat\"\n"
    )
}

/// The orgs of a request.
pub fn orgs(seen: &Seen) -> Vec<String> {
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    body.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// The orgs of all requests, sorted.
pub fn all_orgs<'s>(seen: impl IntoIterator<Item = &'s Seen>) -> Vec<String> {
    let mut all: Vec<String> = seen.into_iter().flat_map(orgs).collect();
    all.sort();
    all
}

#[test]
fn a_refused_batch_is_halved_until_the_refusal_has_its_row() {
    for code in [400, 413, 422, 409] {
        let refuse = move |seen: &Seen| {
            if seen.body.contains("ws_05") { body(code, r#"{"message": "ws_05 is bad"}"#) } else { status(200) }
        };
        let site = Site::new(|at| batched(at, "rows = 16"), refuse);
        site.orgs(&ids(16));
        let report = site.run(1);
        assert_eq!((&report["acknowledged"], &report["refused"]), (&json!(15), &json!(1)), "{report}");
        let failure = &report["failures"][0];
        assert_eq!((&failure["key"], &failure["status"]), (&json!("ws_05"), &json!(code)));
        assert_eq!(failure["detail"], "ws_05 is bad");
        let seen = site.seen();
        assert_eq!(seen.len(), 1 + 2 * 4, "16 → 8 → 4 → 2 → 1");
        let taken = seen.iter().filter(|request| !request.body.contains("ws_05"));
        let others: Vec<String> = ids(16).into_iter().filter(|id| id != "ws_05").collect();
        assert_eq!(all_orgs(taken), others, "each of the others is taken once");
        assert_eq!(report["limits"]["retries"], json!(0), "a half is no retry");

        let again = site.run(1);
        assert_eq!(again["unchanged"], json!(15));
        assert_eq!(all_orgs(&site.seen()), ["ws_05"], "the next night sends what is not acknowledged");
    }
}

#[test]
fn a_batch_that_is_too_large_for_the_destination_arrives_in_pieces() {
    let at_most_three = |seen: &Seen| if orgs(seen).len() > 3 { status(413) } else { status(200) };
    let site = Site::new(|at| batched(at, "rows = 100"), at_most_three);
    site.orgs(&ids(20));
    assert_eq!(site.run(0)["acknowledged"], json!(20));
    let seen = site.seen();
    assert_eq!(all_orgs(seen.iter().filter(|request| orgs(request).len() <= 3)), ids(20));
}

#[test]
fn a_destination_that_refuses_everything_refuses_every_row() {
    let site = Site::new(|at| batched(at, "rows = 8"), |_| status(422));
    site.orgs(&ids(8));
    let report = site.run(1);
    assert_eq!((&report["refused"], &report["undelivered"]), (&json!(8), &json!(0)));
    assert_eq!(site.seen().len(), 8 + 7);
}

#[test]
fn a_success_that_the_body_takes_back_is_asked_row_by_row() {
    let answer = |seen: &Seen| {
        let is_good = !seen.body.contains("ws_01");
        body(200, &format!("{{\"success\": {is_good}}}"))
    };
    let site = Site::new(|at| batched(at, "rows = 4"), answer);
    site.orgs(&ids(4));
    let report = site.run(1);
    assert_eq!((&report["acknowledged"], &report["refused"]), (&json!(3), &json!(1)), "{report}");
    assert_eq!(report["failures"][0]["key"], "ws_01");
}

#[test]
fn a_batch_whose_outcome_is_unknown_is_repeated_with_the_same_ids() {
    let site = Site::new(|at| batched(at, "rows = 4"), |seen| if seen.nth == 0 { Reply::Reset } else { status(200) });
    site.orgs(&ids(4));
    assert_eq!(site.run(0)["acknowledged"], json!(4));
    let seen = site.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].id(), &seen[0].body), (seen[1].id(), &seen[1].body));
    assert_eq!(seen[0].headers["idempotency-key"], seen[0].id());
}

#[test]
fn a_batch_that_stays_unknown_is_unknown_in_every_row_and_the_next_night_repeats_it() {
    let site = Site::new(|at| batched(at, "rows = 4"), |_| Reply::Reset);
    site.orgs(&ids(6));
    let report = site.run(1);
    assert_eq!((&report["unknown"], &report["acknowledged"]), (&json!(6), &json!(0)), "{report}");
    let first: Vec<(String, String)> =
        site.seen().iter().map(|request| (request.id().to_owned(), request.body.clone())).collect();
    assert_eq!(first.len(), 4, "two batches, two attempts each");
    site.run(1);
    let mut second: Vec<(String, String)> =
        site.seen().iter().map(|request| (request.id().to_owned(), request.body.clone())).collect();
    let mut first = first;
    first.sort();
    second.sort();
    assert_eq!(first, second, "the same rows in the same batches under the same ids");
}

#[test]
fn a_refusal_after_an_attempt_that_may_have_been_applied_says_nothing_of_it() {
    let script = |seen: &Seen| match (orgs(seen).len(), seen.nth) {
        (2, 0) => Reply::Reset,
        (2, _) => status(422),
        _ if seen.body.contains("ws_00") => status(422),
        _ => status(200),
    };
    let site = Site::new(|at| batched(at, "rows = 2"), script);
    site.orgs(&ids(2));
    let report = site.run(1);
    assert_eq!((&report["unknown"], &report["acknowledged"]), (&json!(1), &json!(1)), "{report}");
    assert_eq!(report["failures"][0]["key"], "ws_00");
}

#[test]
fn a_batch_that_meets_a_config_fault_stays_pending() {
    let site = Site::new(|at| batched(at, "rows = 3"), |_| status(401));
    site.orgs(&ids(9));
    let report = site.run(1);
    assert_eq!((&report["pending"], &report["stopped"]["kind"]), (&json!(9), &json!("config")), "{report}");
    assert_eq!(site.seen().len(), 1);
}

#[test]
fn a_template_of_batches_makes_each_body_anew_when_it_is_split() {
    let job = |at| {
        let template = r#"{"job": "{{job}}", "orgs": [{% for r in rows %}{"id": {{r.id}}, "op": {{r.op}}, "m": {{r.message_id}}}{% unless forloop.last %},{% endunless %}{% endfor %}]}"#;
        batched(at, "rows = 4").replace("preset = \"flat\"", &format!("batch_template = '{template}'"))
    };
    let refuse = |seen: &Seen| if seen.body.contains("ws_02") { status(422) } else { status(200) };
    let site = Site::new(job, refuse);
    site.orgs(&ids(5));
    let report = site.run(1);
    assert_eq!((&report["acknowledged"], &report["refused"]), (&json!(4), &json!(1)), "{report}");
    let found: Vec<(String, Vec<String>)> = site
        .seen()
        .iter()
        .map(|request| {
            let body: Value = serde_json::from_str(&request.body).unwrap();
            assert_eq!(body["job"], "orgs");
            let rows = body["orgs"].as_array().unwrap();
            assert!(rows.iter().all(|row| row["op"] == "added"));
            if let [only] = rows.as_slice() {
                assert_eq!(only["m"], request.id());
            }
            (request.id().to_owned(), rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect())
        })
        .collect();
    let of: Vec<Vec<&str>> = found.iter().map(|(_, rows)| rows.iter().map(|id| &id[3..]).collect()).collect();
    assert_eq!(
        of,
        [vec!["00", "01", "02", "03"], vec!["00", "01"], vec!["02", "03"], vec!["02"], vec!["03"], vec!["04"]]
    );
    let ids: std::collections::BTreeSet<&String> = found.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), found.len());
    let preview = site.home.run(&["preview", "orgs", "--json"]).expect(0).json();
    assert_eq!(preview["changes"][0]["body"]["orgs"][0]["id"], "ws_02", "a batch of one: {preview}");
}

#[test]
fn a_row_that_a_template_of_batches_fails_for_never_leaves() {
    let job = |at| {
        let template = r#"[{% for r in rows %}{"id": {{r.id}}{% if r.id == "ws_01" %},{% endif %}}{% unless forloop.last %},{% endunless %}{% endfor %}]"#;
        batched(at, "rows = 4").replace("preset = \"flat\"", &format!("batch_template = '{template}'"))
    };
    let site = Site::new(job, |_| status(200));
    site.orgs(&ids(4));
    let report = site.run(1);
    assert_eq!((&report["acknowledged"], &report["undelivered"]), (&json!(3), &json!(1)), "{report}");
    assert_eq!(report["failures"][0]["key"], "ws_01");
    let seen = site.seen();
    assert_eq!(all_orgs(&seen), ["ws_00", "ws_02", "ws_03"]);
    assert!(
        seen.iter().any(|request| orgs(request) == ["ws_02", "ws_03"]),
        "the others stay together as far as can be"
    );
}

#[test]
fn a_rate_counts_requests_and_not_rows() {
    // At one request an hour a second one would never come.
    let job = |at| batched(at, "rows = 50").replace("[payload]", "rate = \"1/h\"\n[payload]");
    let site = Site::new(job, |_| status(200));
    site.orgs(&ids(50));
    let report = site.run(0);
    assert_eq!((&report["acknowledged"], site.seen().len()), (&json!(50), 1));
    assert_eq!(report["limits"]["attempts"]["acknowledged"], json!(1));
}

#[test]
fn batches_keep_to_the_limits_of_the_apis() {
    let job = |at: SocketAddr| {
        format!(
            "[diff]\nkey = \"id\"\n[destination]\nkind = \"segment\"\nbase_url = \"http://{at}\"\nwrite_key = \"${{TEST_KEY}}\"\n\
             mode = \"batch\"\n{QUICK}"
        )
    };
    let site = Site::new(job, |_| body(200, "OK"));
    let all: Vec<String> = (0..6000).map(|n| format!("w{n}")).collect();
    site.orgs(&all);
    assert_eq!(site.run(0)["acknowledged"], json!(6000));
    let seen = site.seen();
    let events = |seen: &Seen| serde_json::from_str::<Value>(&seen.body).unwrap()["batch"].as_array().unwrap().len();
    assert!(seen.iter().all(|request| request.body.len() <= 500_000 && events(request) <= 2_500));
    assert_eq!(seen.iter().map(events).sum::<usize>(), 6000);
    let bytes: usize = seen.iter().map(|request| request.body.len()).sum();
    assert_eq!(seen.len(), bytes.div_ceil(500_000), "and they are full");
}

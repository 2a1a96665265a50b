//! One org per fault, the real binary, and what it says became of each.
//!
//! The classes are those of docs/ARCHITECTURE.md, "Delivery". After each first night the destination is well again: the
//! second night must send exactly what was not acknowledged, under the ids of the first, and the third nothing.

mod cases;

use super::{Act, Answer, Asked, End, Faulty, Manner, Plan, Stage};
use crate::support::{Home, job_file};
use cases::{Case, Class, STOPPING, TIMED, ordinary};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The report lists so many failures, so no more faults than that share a run.
const AT_ONCE: usize = 10;

fn org(index: usize) -> String {
    format!("ws_{index:03}")
}

/// A home with a job of so many orgs for an address.
fn home(url: &str, orgs: usize, settings: &str) -> Home {
    let home = Home::new();
    let to = format!("url = \"{url}\"\nretry = {{ attempts = 2, base = \"1ms\", max = \"5ms\" }}\n{settings}");
    home.write("jobs/orgs.toml", &job_file("", &to, r#"preset = "flat""#));
    let rows: String = (0..orgs).map(|i| format!("{},{i}\n", org(i))).collect();
    home.write("orgs.csv", &format!("workspace_id,user_count\n{rows}"));
    home
}

fn url(faulty: &Faulty) -> String {
    format!("http://{}/hook/${{TEST_KEY}}", faulty.address)
}

/// What the report says of each org that it names.
fn told(report: &Value) -> BTreeMap<String, Class> {
    let failures = report["failures"].as_array().map(Vec::as_slice).unwrap_or_default();
    let class = |failure: &Value| match failure["kind"].as_str().unwrap() {
        "not_delivered" => Class::NotDelivered,
        "refused" => Class::Refused,
        "unknown" => Class::Unknown,
        other => panic!("the report has a kind `{other}`"),
    };
    failures.iter().map(|f| (f["key"].as_str().unwrap().to_owned(), class(f))).collect()
}

/// The ids of an org's requests, each once.
fn ids(faulty: &Faulty, org: &str) -> BTreeSet<String> {
    faulty.entries().into_iter().filter(|e| e.org == org).map(|e| e.id).collect()
}

/// Every third org has a fault; the others go through, so that no circuit breaker takes the destination for down.
fn fault(index: usize) -> Option<usize> {
    (index % 3 == 2).then_some(index / 3)
}

/// One night with an org per fault.
fn check(cases: &[Case], settings: &str) {
    let plans: Vec<fn(usize) -> Plan> = cases.iter().map(|case| case.plan).collect();
    let faulty =
        Faulty::start(move |asked: &Asked| match fault(asked.org[3..].parse().unwrap()).and_then(|i| plans.get(i)) {
            Some(plan) => plan(asked.nth),
            None => Plan::ok(),
        });
    let orgs = cases.len() * 3;
    let home = home(&url(&faulty), orgs, settings);
    let report = home.run(&["run", "orgs", "--json"]).json();
    let told = told(&report);
    assert_eq!(report["stopped"], Value::Null, "{report}");
    for index in 0..orgs {
        let org = org(index);
        let Some(case) = fault(index).map(|i| &cases[i]) else {
            assert!(!told.contains_key(&org), "a fault of one org is none of another: {report}");
            continue;
        };
        let name = case.name;
        let class = told.get(&org).copied().unwrap_or(Class::Acknowledged);
        assert_eq!(class, case.class, "{name}: {report}");
        let attempts: Vec<usize> = faulty.entries().iter().filter(|e| e.org == org).map(|e| e.nth).collect();
        assert_eq!(attempts, Vec::from_iter(0..case.attempts), "{name}: attempts");
        assert_eq!(ids(&faulty, &org).len(), 1, "{name}: a retry carries the id of the first attempt");
        if matches!(class, Class::Refused | Class::NotDelivered) {
            assert!(!faulty.state().contains_key(&org), "{name}: surely not applied, and it was");
        }
    }
    let acknowledged = (0..orgs).map(org).filter(|org| !told.contains_key(org)).collect();
    check_next_nights(&faulty, &home, &acknowledged, orgs);
}

/// The destination is well again: what is not in `acknowledged` is sent, the rest is not, and then nothing is.
fn check_next_nights(faulty: &Faulty, home: &Home, acknowledged: &BTreeSet<String>, orgs: usize) {
    faulty.script(|_: &Asked| Plan::ok());
    let first: BTreeMap<String, BTreeSet<String>> = (0..orgs).map(|i| (org(i), ids(faulty, &org(i)))).collect();
    let before = faulty.len();
    home.job("orgs", 0);
    let second = faulty.entries().split_off(before);
    let sent: BTreeSet<String> = second.iter().map(|e| e.org.clone()).collect();
    let due: BTreeSet<String> = (0..orgs).map(org).filter(|org| !acknowledged.contains(org)).collect();
    assert_eq!(sent, due, "what was not acknowledged, and nothing else");
    for entry in &second {
        let earlier = &first[&entry.org];
        assert!(earlier.is_empty() || earlier.contains(&entry.id), "{}: a repeat has its first id", entry.org);
        assert_eq!(entry.id, entry.idempotency_key);
    }
    let before = faulty.len();
    home.job("orgs", 0);
    assert_eq!(faulty.len(), before, "nothing is left");
    let state = faulty.state();
    for org in acknowledged.iter().chain(&due) {
        assert!(state.contains_key(org), "{org} did not arrive");
    }
}

#[test]
fn every_fault_has_its_class() {
    for cases in ordinary().chunks(AT_ONCE) {
        check(cases, r#"timeout = "20s""#);
    }
}

#[test]
fn what_takes_too_long_is_unknown() {
    check(TIMED, "timeout = \"2s\"\nconcurrency = 16");
}

#[test]
fn faults_of_the_set_up_stop_delivery_and_leave_the_rest() {
    for (name, plan) in STOPPING {
        let plan = *plan;
        let faulty = Faulty::start(move |_: &Asked| plan());
        let home = home(&url(&faulty), 3, "concurrency = 1");
        let report = home.job("orgs", 1);
        assert_eq!(report["pending"], 3, "{name}: {report}");
        for part in ["reason", "remedy"] {
            assert!(report["stopped"][part].as_str().is_some_and(|text| text.len() > 10), "{name}: {report}");
        }
        // One more may have had its turn already.
        assert!(faulty.len() <= 2, "{name}: {} requests left", faulty.len());
        if *name == "410" {
            // Gone for good: it takes a new address.
            let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
            assert_eq!(home.job("orgs", 1)["pending"], 3, "{name}: nothing is tried any more");
            home.write("jobs/orgs.toml", &job.replace("/hook/", "/new/"));
        }
        if name.starts_with("429") {
            let before = faulty.len();
            assert_eq!(home.job("orgs", 1)["pending"], 3, "{name}: nothing is tried before that time");
            assert_eq!(faulty.len(), before, "{name}");
            home.run(&["destinations", "enable", "orgs"]).expect(0);
        }
        check_next_nights(&faulty, &home, &BTreeSet::new(), 3);
    }
}

/// What a run against an address comes to when no request can be made of it.
fn check_unreachable(manner: Manner, scheme: &str, expected: &[&str]) {
    let faulty = Faulty::with_manner(manner, |_: &Asked| Plan::ok());
    let home = home(&url(&faulty).replace("http:", scheme), 1, "");
    let report = home.job("orgs", 1);
    let told = match report["stopped"].is_null() {
        true => report["failures"][0]["kind"].as_str().unwrap(),
        false => "stopped",
    };
    assert!(expected.contains(&told), "{manner:?} {scheme}: {report}");
    assert_eq!(faulty.len(), 0);
    // The same job at an address that works.
    let well = Faulty::start(|_: &Asked| Plan::ok());
    let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    let job = job.replace(&faulty.address.to_string(), &well.address.to_string()).replace("https:", "http:");
    home.write("jobs/orgs.toml", &job);
    check_next_nights(&well, &home, &BTreeSet::new(), 1);
}

#[test]
fn connections_that_come_to_nothing() {
    check_unreachable(Manner::PlainAtHello, "https:", &["stopped"]);
    check_unreachable(Manner::CloseAtHello, "https:", &["not_delivered", "stopped"]);
    check_unreachable(Manner::ResetAtAccept, "https:", &["not_delivered"]);
    // Whether the request had left when the reset came, nobody can know; it must not be called refused.
    check_unreachable(Manner::ResetAtAccept, "http:", &["unknown", "not_delivered"]);
}

#[test]
fn an_answer_too_many_is_not_taken_for_that_of_the_next_request() {
    let faulty = Faulty::start(|asked: &Asked| match asked.org.as_str() {
        "ws_001" => Plan::status(422),
        _ => Plan::of(Act::Twice(Answer::new(200, ""))).applied(),
    });
    let home = home(&url(&faulty), 3, "concurrency = 1");
    let report = home.job("orgs", 1);
    assert_eq!(told(&report), BTreeMap::from([(org(1), Class::Refused)]), "{report}");
    let connections: Vec<usize> = faulty.entries().iter().map(|e| e.connection).collect();
    assert_ne!(connections[0], connections[1], "a connection with something left on it is not used again");
}

#[test]
fn a_large_request_that_is_reset_while_it_is_written_is_unknown() {
    let faulty = Faulty::start(|_: &Asked| Plan::of(Act::Cut(Stage::Head, End::Reset)));
    let home = home(&url(&faulty), 1, "");
    let name = "x".repeat(4 << 20);
    home.write("orgs.csv", &format!("workspace_id,name\nws_000,{name}\n"));
    let report = home.job("orgs", 1);
    assert_eq!(told(&report), BTreeMap::from([(org(0), Class::Unknown)]), "{:?}", report["failures"]);
    check_next_nights(&faulty, &home, &BTreeSet::new(), 1);
}

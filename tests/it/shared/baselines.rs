//! Baselines, returns and backfills where snapshots are shared.

use super::{Site, counts, extract, killed_with, night, run_with};
use crate::support::says;
use serde_json::json;

#[test]
fn a_baseline_and_a_return_are_everybodys() {
    let site = Site::new();
    let (a, b) = (site.machine(), site.machine());
    extract(&[&a, &b], &[("ws_1", "free"), ("ws_2", "free")]);
    run_with(&a, &["adopt", "orgs", "--yes"], "").expect(0);
    assert_eq!(counts(&night(&b, 0)), [0, 0, 2, 0]);
    extract(&[&a, &b], &[("ws_1", "pro"), ("ws_2", "free")]);
    let before = run_with(&a, &["snapshot", "list", "orgs", "--json"], "").expect(0).json();
    let before = before[0]["run"].as_str().unwrap().to_owned();
    assert_eq!(counts(&night(&b, 0)), [0, 1, 1, 1]);
    assert_eq!(site.arrived(), ["ws_1"]);
    run_with(&b, &["rollback", "orgs", "--to", &before, "--yes"], "").expect(0);
    assert_eq!(counts(&night(&a, 0)), [0, 1, 1, 1]);
    assert_eq!(site.arrived(), ["ws_1"], "it was known as before");
    assert_eq!(counts(&night(&b, 0)), [0, 0, 2, 0]);
    says(&run_with(&b, &["adopt", "orgs", "--yes"], "").expect(2), &["has a snapshot"]);
}

#[test]
fn a_kill_of_a_return_leaves_one_snapshot_or_the_other_to_all() {
    for mark in ["shared.uploaded", "shared.published", "manifest.renamed"] {
        let site = Site::new();
        let (a, b) = (site.machine(), site.machine());
        extract(&[&a, &b], &[("ws_1", "free"), ("ws_2", "free")]);
        let first = night(&a, 0)["run"].as_str().unwrap().to_owned();
        extract(&[&a, &b], &[("ws_1", "pro"), ("ws_2", "free")]);
        night(&a, 0);
        site.arrived();
        killed_with(&a, &["rollback", "orgs", "--to", &first, "--yes"], mark);
        assert!(site.arrived().is_empty(), "{mark}");
        let is_back = mark != "shared.uploaded";
        // Whose lease it was has to be waited for, elsewhere.
        site.expire();
        assert_eq!(counts(&night(&b, 0)), if is_back { [0, 1, 1, 1] } else { [0, 0, 2, 0] }, "{mark}");
        site.arrived();
        assert_eq!(counts(&night(&a, 0)), [0, 0, 2, 0], "{mark}");
    }
}

#[test]
fn what_another_machine_has_sent_a_backfill_does_not() {
    let site = Site::new();
    let (a, b) = (site.machine(), site.machine());
    extract(&[&a, &b], &[("ws_1", "free"), ("ws_2", "free"), ("ws_3", "free")]);
    night(&a, 0);
    site.arrived();
    killed_with(&a, &["backfill", "orgs", "--yes"], "backfill.recorded");
    // Two nights elsewhere: an org changes, and back.
    for plan in ["pro", "free"] {
        extract(&[&b], &[("ws_1", plan), ("ws_2", "free"), ("ws_3", "free")]);
        assert_eq!(counts(&night(&b, 0)), [0, 1, 2, 1]);
    }
    site.arrived();
    says(&run_with(&b, &["backfill", "orgs", "--resume"], "").expect(2), &["on another machine"]);
    says(&run_with(&b, &["backfill", "orgs", "--yes"], "").expect(2), &["is not at its end"]);
    let done = run_with(&a, &["backfill", "orgs", "--resume", "--json"], "").expect(0).json();
    assert_eq!((&done["acknowledged"], &done["passed_over"]), (&json!(2), &json!(1)), "{done}");
    assert_eq!(site.arrived(), ["ws_2", "ws_3"]);
    assert_eq!(counts(&night(&a, 0)), [0, 0, 3, 0]);
}

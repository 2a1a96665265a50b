//! Disks that are full or read-only.

use super::disk::Disk;
use super::{Site, check_lifted, check_told, csv, rows, text};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// What a disk hands out at a time.
const PAGE: u64 = 4096;

/// The part of a run that an error is about.
const PARTS: &[(&str, &str)] = &[
    ("nightmark.db", "state store"),
    ("base.parquet", "base.parquet"),
    ("sidecar.parquet", "sidecar.parquet"),
    ("changes.parquet", "changes.parquet"),
    ("manifest.json", "manifest.json"),
    ("spill", "/spill-"),
    ("delivery", "delivery broke off"),
];

fn parquet(path: &Path, night: usize) {
    let rows = rows(night);
    let ids: StringArray = rows.values().map(|row| Some(text(row, "workspace_id"))).collect();
    let counts: Int64Array = rows.values().map(|row| row["user_count"].as_i64()).collect();
    let names: StringArray = rows.values().map(|row| Some(text(row, "name"))).collect();
    let columns: [(&str, ArrayRef); 3] =
        [("workspace_id", Arc::new(ids)), ("user_count", Arc::new(counts)), ("name", Arc::new(names))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// A night on a disk with one more page of room each time, from none until the run can be done. Returns which parts of the
/// run found no room.
fn sweep(form: &str, args: &[&str]) -> BTreeSet<&'static str> {
    let site = Site::new();
    if form == "parquet" {
        let job = std::fs::read_to_string(site.home.path("jobs/orgs.toml")).unwrap();
        site.home.write("jobs/orgs.toml", &job.replace("orgs.csv", "orgs.parquet"));
        parquet(&site.home.path("orgs.parquet"), 1);
    }
    let disk = Disk::new();
    disk.restore(&site.home.path(""));
    let used = disk.used();
    let run = [&["run", "orgs", "--approve"], args].concat();
    let mut hit = BTreeSet::new();
    for pages in 0..200 {
        disk.restore(&site.home.path(""));
        site.faulty.forget();
        disk.resize(used + pages * PAGE);
        let ran = disk.run(&run);
        let what = format!("{form} {args:?} with {pages} pages of room");
        if ran.code == 0 {
            assert_eq!(site.faulty.state(), rows(1), "{what}");
            println!("{what}: enough; before that there was none for {hit:?}");
            return hit;
        }
        check_told(&what, &ran, &[]);
        let said = ran.stderr.contains("No space left on device") || ran.stderr.contains("make room on the disk");
        assert!(said, "{what}: {}", ran.stderr);
        hit.extend(PARTS.iter().filter(|(_, sign)| ran.stderr.contains(sign)).map(|(part, _)| *part));
        disk.writable();
        check_lifted(&what, &site.faulty, 1, || disk.run(&run));
    }
    panic!("{form} {args:?}: no disk was large enough");
}

fn check(form: &str, args: &[&str], expected: &[&str]) {
    let hit = sweep(form, args);
    for part in expected {
        assert!(hit.contains(part), "{form}: a full disk never met {part}, only {hit:?}");
    }
}

#[test]
fn a_full_disk_is_told_and_costs_nothing() {
    check(
        "csv",
        &[],
        &["nightmark.db", "base.parquet", "sidecar.parquet", "changes.parquet", "manifest.json", "delivery"],
    );
}

#[test]
fn a_full_disk_under_an_extract_that_is_copied() {
    check("parquet", &[], &["base.parquet"]);
}

#[test]
fn a_full_disk_under_a_comparison_that_goes_over_disk() {
    check("csv", &["--memory", "8K"], &["spill"]);
}

#[test]
fn a_read_only_disk_is_told_and_costs_nothing() {
    let site = Site::new();
    let disk = Disk::new();
    disk.restore(&site.home.path(""));
    let run = || disk.run(&["run", "orgs", "--approve"]);
    let sent = site.faulty.len();
    disk.read_only();
    check_told("all of it", &run(), &["nightmark.db", "writable"]);
    disk.writable();
    for folder in ["snapshots", "snapshots/orgs"] {
        disk.with_read_only(folder, || check_told(folder, &run(), &["snapshots/orgs", "Read-only file system"]));
    }
    assert_eq!(site.faulty.len(), sent, "nothing is sent");
    assert_eq!(csv(1), std::fs::read_to_string(site.home.path("orgs.csv")).unwrap());
    check_lifted("writable again", &site.faulty, 1, run);
}

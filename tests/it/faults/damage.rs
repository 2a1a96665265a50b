//! Published files that are not as they were written.

use super::{Site, csv};
use crate::faulty::{Asked, Plan};
use std::fs;
use std::path::Path;

/// A way to damage a file.
type Damage = fn(&Path, &[u8]);

const DAMAGES: &[(&str, Damage)] = &[
    ("missing", |path, _| fs::remove_file(path).unwrap()),
    ("empty", |path, _| fs::write(path, b"").unwrap()),
    ("half", |path, whole| fs::write(path, &whole[..whole.len() / 2]).unwrap()),
    ("a byte short", |path, whole| fs::write(path, &whole[..whole.len() - 1]).unwrap()),
    ("a byte too many", |path, whole| fs::write(path, [whole, b"x"].concat()).unwrap()),
    ("a bit at the beginning", |path, whole| flip(path, whole, 5)),
    ("a bit in the middle", |path, whole| flip(path, whole, whole.len() / 2)),
    ("a bit near the end", |path, whole| flip(path, whole, whole.len() - 9)),
    ("zeros", |path, whole| fs::write(path, vec![0; whole.len()]).unwrap()),
];

fn flip(path: &Path, whole: &[u8], at: usize) {
    let mut bytes = whole.to_vec();
    bytes[at] ^= 4;
    fs::write(path, bytes).unwrap();
}

/// Every damage to one file is refused, and the whole file is as good as ever.
fn check(site: &Site, file: &str) {
    let path = site.home.path(file);
    let whole = fs::read(&path).unwrap();
    for (damage, inflict) in DAMAGES {
        inflict(&path, &whole);
        site.check_refused(&format!("{file}: {damage}"), &[file, "damaged", "Restore it from a backup"]);
        fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn damaged_files_are_refused_by_name_and_nothing_is_sent() {
    let site = Site::new();
    let run = site.current();
    // The manifest that is missing has a test of its own; here it is there and wrong.
    for name in ["base.parquet", "sidecar.parquet", "changes.parquet"] {
        check(&site, &format!("snapshots/orgs/{run}/{name}"));
    }
    let manifest = "snapshots/orgs/manifest.json";
    let path = site.home.path(manifest);
    let whole = fs::read(&path).unwrap();
    for (damage, inflict) in &DAMAGES[1..] {
        inflict(&path, &whole);
        if fs::read(&path).unwrap().trim_ascii_end() == whole.trim_ascii_end() {
            continue; // the line break at the end alone has changed
        }
        site.check_refused(&format!("{manifest}: {damage}"), &[manifest, "damaged", "Restore it from a backup"]);
    }
    fs::write(&path, &whole).unwrap();
    site.check_lifted("every file is whole again");
}

#[test]
fn damaged_kept_rows_and_waiting_changes_are_refused() {
    let site = Site::new();
    // Nothing gets through tonight; tomorrow some orgs are away, and their changes wait.
    site.faulty.script(|_: &Asked| Plan::status(422));
    assert_eq!(site.run().code, 1);
    let some: String = csv(1).lines().take(120).map(|line| format!("{line}\n")).collect();
    site.home.write("orgs.csv", &some);
    assert_eq!(site.run().code, 1);
    site.home.write("orgs.csv", &csv(1));
    site.faulty.script(|_: &Asked| Plan::ok());
    let run = site.current();
    for name in ["kept.parquet", "waiting.parquet"] {
        check(&site, &format!("snapshots/orgs/{run}/{name}"));
    }
    site.check_lifted("every file is whole again");
}

#[test]
fn a_manifest_that_is_gone_is_not_taken_for_a_first_run() {
    let site = Site::new();
    let (run, manifest) = (site.current(), "snapshots/orgs/manifest.json");
    let whole = fs::read(site.home.path(manifest)).unwrap();
    fs::remove_file(site.home.path(manifest)).unwrap();
    let copy = format!("snapshots/orgs/{run}/manifest.json");
    site.check_refused("no manifest", &[manifest, "missing", &copy, "first_run"]);
    // As the message says.
    fs::copy(site.home.path(&copy), site.home.path(manifest)).unwrap();
    assert_eq!(fs::read(site.home.path(manifest)).unwrap(), whole);
    site.check_lifted("the copy is in its place");
}

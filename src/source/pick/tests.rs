use super::walk::{Listing, walk};
use super::*;
use crate::job::spec::Latest;
use std::cell::{Cell, RefCell};
use std::time::Duration;

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// A file that was changed so many hours after the beginning.
fn file(name: &str, hours: i64) -> Found {
    let modified = Some(at("2026-01-15T00:00:00Z") + TimeDelta::hours(hours));
    Found { name: name.to_owned(), length: 10, modified, tag: None }
}

fn done(file: Found) -> Candidate {
    Candidate { file, marked: Marked::Done }
}

fn chosen(choice: &Choice, pattern: &str, found: &[Candidate]) -> Result<Vec<String>, String> {
    let decided = decide(choice, pattern, &mut || Ok(found.to_vec()), &Waits::at("2026-01-15T12:00:00Z"), false);
    decided.map(|decided| decided.files.into_iter().map(|file| file.name).collect()).map_err(|error| error.message)
}

#[track_caller]
fn check(choice: &Choice, pattern: &str, found: &[(&str, i64)], expected: &[&str]) {
    let found: Vec<Candidate> = found.iter().map(|(name, hours)| done(file(name, *hours))).collect();
    assert_eq!(chosen(choice, pattern, &found).as_deref(), Ok(expected.map_owned().as_slice()));
}

trait MapOwned {
    fn map_owned(&self) -> Vec<String>;
}

impl MapOwned for [&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|&text| text.to_owned()).collect()
    }
}

fn latest(by: Latest) -> Choice {
    let hive = matches!(by, Latest::Partition(_));
    Choice { latest: Some(by), hive, ..Choice::default() }
}

#[test]
fn all_files_come_by_name() {
    check(&Choice::default(), "*.csv", &[("b.csv", 1), ("a.csv", 2)], &["a.csv", "b.csv"]);
}

#[test]
fn the_latest_is_by_time_and_then_by_name() {
    let by = latest(Latest::Modified);
    check(&by, "*.csv", &[("z.csv", 1), ("a.csv", 3), ("b.csv", 2)], &["a.csv"]);
    check(&by, "*.csv", &[("orgs_9.csv", 1), ("orgs_10.csv", 1)], &["orgs_10.csv"]);
}

#[test]
fn the_latest_by_name_counts_numbers_as_numbers() {
    let by = latest(Latest::Name);
    check(&by, "*", &[("orgs_9.csv", 5), ("orgs_10.csv", 1)], &["orgs_10.csv"]);
    check(&by, "*", &[("orgs_2026-01-09.csv", 5), ("orgs_2026-01-10.csv", 1)], &["orgs_2026-01-10.csv"]);
    check(&by, "*", &[("a1.csv", 0), ("a01.csv", 0), ("a001.csv", 0)], &["a1.csv"]);
    check(&by, "*", &[("20260115T235959.csv", 0), ("20260116T000000.csv", 0)], &["20260116T000000.csv"]);
}

#[test]
fn a_folder_with_a_wildcard_is_one_extract() {
    let files = [("run1/a.csv", 1), ("run1/b.csv", 9), ("run2/a.csv", 2), ("run2/b.csv", 3)];
    check(&latest(Latest::Modified), "run*/*.csv", &files, &["run1/a.csv", "run1/b.csv"]);
    check(&latest(Latest::Name), "run*/*.csv", &files, &["run2/a.csv", "run2/b.csv"]);
    check(&latest(Latest::Modified), "run1/*.csv", &files[..2], &["run1/b.csv"]);
}

#[test]
fn partitions_are_later_by_their_values() {
    let files = [
        ("dt=2026-01-14/region=eu/0.csv", 9),
        ("dt=2026-01-15/region=eu/0.csv", 1),
        ("dt=2026-01-15/region=us/0.csv", 1),
        ("dt=__HIVE_DEFAULT_PARTITION__/region=us/0.csv", 8),
    ];
    let pattern = "dt=*/region=*/*.csv";
    check(&latest(Latest::Partition(vec!["dt".into()])), pattern, &files, &[files[1].0, files[2].0]);
    check(&latest(Latest::Partition(vec!["dt".into(), "region".into()])), pattern, &files, &[files[2].0]);
    let months = [("year=2025/month=12/0.csv", 1), ("year=2026/month=9/0.csv", 1), ("year=2026/month=10/0.csv", 0)];
    check(&latest(Latest::Partition(Vec::new())), "year=*/month=*/0.csv", &months, &[months[2].0]);
    let missing = chosen(&latest(Latest::Partition(vec!["day".into()])), pattern, &[done(file(files[0].0, 1))]);
    assert!(missing.unwrap_err().contains("no folder of a partition column `day`"));
}

#[test]
fn without_its_marker_a_file_is_no_extract() {
    let choice = |latest| Choice { latest, done_marker: Some("{name}.done".into()), ..Choice::default() };
    let open = |name: &str, hours| Candidate { file: file(name, hours), marked: Marked::Missing };
    let found = [done(file("a.csv", 1)), open("b.csv", 2)];
    let all = chosen(&choice(None), "*.csv", &found).unwrap_err();
    assert_eq!(all, "the extract is not complete: there is no done marker `{name}.done` for b.csv");
    assert_eq!(chosen(&choice(Some(Latest::Modified)), "*.csv", &found).unwrap(), ["a.csv"]);
    let none = chosen(&choice(Some(Latest::Modified)), "*.csv", &[open("b.csv", 2)]);
    assert!(none.unwrap_err().contains("for b.csv"));
    // Of a folder that is one extract, every file counts.
    let folders = [done(file("r1/a.csv", 1)), done(file("r2/a.csv", 2)), open("r2/b.csv", 2)];
    assert_eq!(chosen(&choice(Some(Latest::Modified)), "r*/*.csv", &folders).unwrap(), ["r1/a.csv"]);
}

#[test]
fn markers_stand_beside_the_files_and_are_none_of_them() {
    let choice = |marker: &str| Choice { done_marker: Some(marker.into()), ..Choice::default() };
    assert_eq!(marker(&choice("_SUCCESS"), "a/b.csv").as_deref(), Some("a/_SUCCESS"));
    assert_eq!(marker(&choice("_SUCCESS"), "b.csv").as_deref(), Some("_SUCCESS"));
    assert_eq!(marker(&choice("done/{name}.ok"), "/x/b.csv").as_deref(), Some("/x/done/b.csv.ok"));
    assert_eq!(marker(&choice("_SUCCESS"), "/b.csv").as_deref(), Some("/_SUCCESS"));
    assert_eq!(marker(&Choice::default(), "b.csv"), None);
    assert!(is_aside(&choice("{name}.done"), "a/b.csv.done") && !is_aside(&choice("{name}.done"), "a/.done"));
    assert!(is_aside(&choice("_SUCCESS"), "a/_SUCCESS") && !is_aside(&choice("_SUCCESS"), "a/not_SUCCESS"));
    let hive = Choice { hive: true, ..Choice::default() };
    assert!(is_aside(&hive, "dt=1/_committed_12") && !is_aside(&Choice::default(), "dt=1/_committed_12"));
}

#[test]
fn the_newest_file_is_the_age_of_the_extract() {
    let held = |max_age: u64, hours: &[i64]| {
        let choice = Choice { max_age: Some(Duration::from_secs(max_age * 3600)), ..Choice::default() };
        let found: Vec<_> = hours.iter().map(|hours| done(file("orgs.csv", *hours))).collect();
        decide(&choice, "*", &mut || Ok(found.clone()), &Waits::at("2026-01-18T12:00:00Z"), false).unwrap().held
    };
    assert_eq!(
        held(36, &[0, 8]),
        [
            "the extract is 3 days old, more than source.max_age allows (36 hours): orgs.csv was written at 2026-01-15T08:00:00Z"
        ]
    );
    assert_eq!(held(76, &[0, 8]).len(), 0, "76 hours and not more");
    assert_eq!(held(75, &[0, 8]).len(), 1);
    assert_eq!(held(1, &[200]).len(), 0, "a clock that is ahead");
}

#[test]
fn an_age_that_nobody_knows_is_an_error() {
    let choice = Choice { max_age: Some(Duration::from_secs(60)), ..Choice::default() };
    let unknown = Found { modified: None, ..file("orgs.csv", 0) };
    assert!(chosen(&choice, "*", &[done(unknown)]).unwrap_err().contains("not known when orgs.csv was written"));
}

/// Time that passes only when somebody waits.
struct Waits {
    /// By the clock that the times of files are from, …
    now: Cell<DateTime<Utc>>,
    /// … and whether that is known.
    is_known: bool,
    waited: RefCell<Vec<u64>>,
}

impl Waits {
    fn at(now: &str) -> Self {
        Waits { now: Cell::new(at(now)), is_known: true, waited: RefCell::default() }
    }
}

impl Clocks for Waits {
    fn run(&self) -> DateTime<Utc> {
        at("2026-01-15T12:00:00Z")
    }

    fn place(&self) -> Option<DateTime<Utc>> {
        self.is_known.then(|| self.now.get())
    }

    fn sleep(&self, time: Duration) {
        self.now.set(self.now.get() + TimeDelta::from_std(time).unwrap());
        self.waited.borrow_mut().push(time.as_secs());
    }
}

/// Decides over these looks, the last of which is repeated; returns the length that was settled on and the waits in seconds.
fn settled(looks: &[Found]) -> (Result<u64, String>, Vec<u64>) {
    settled_by(Waits::at("2026-01-15T12:00:00Z"), looks)
}

fn settled_by(waits: Waits, looks: &[Found]) -> (Result<u64, String>, Vec<u64>) {
    let choice = Choice { settled: Some(Duration::from_secs(60)), ..Choice::default() };
    let mut looks = looks.iter();
    let mut last = None;
    let mut look = || {
        last = looks.next().or(last);
        Ok(vec![done(last.unwrap().clone())])
    };
    let decided = decide(&choice, "*", &mut look, &waits, true);
    (decided.map(|decided| decided.files[0].length).map_err(|error| error.message), waits.waited.into_inner())
}

#[test]
fn a_file_is_looked_at_until_it_stays_the_same() {
    let seen = |seconds: i64, length| {
        let modified = Some(at("2026-01-15T12:00:00Z") + TimeDelta::seconds(seconds));
        Found { length, modified, ..file("orgs.csv", 0) }
    };
    assert_eq!(settled(&[seen(-3600, 10)]), (Ok(10), vec![2]), "an old file is looked at twice all the same");
    assert_eq!(settled(&[seen(-20, 10)]), (Ok(10), vec![40]));
    assert_eq!(settled(&[seen(300, 10)]), (Ok(10), vec![60]), "a clock that is ahead");
    let unknown = Found { modified: None, ..seen(0, 10) };
    assert_eq!(settled(&[unknown]), (Ok(10), vec![60]));
    assert_eq!(settled(&[seen(-3600, 10), seen(-3600, 20)]), (Ok(20), vec![2, 2]), "it grew under an old date");
    assert_eq!(settled(&[seen(-20, 10), seen(39, 20)]), (Ok(20), vec![40, 59]));
    let growing: Vec<Found> = (0..20).map(|n| seen(n * 60, n as u64)).collect();
    let (error, waits) = settled(&growing);
    assert!(error.unwrap_err().contains("still being written (orgs.csv)") && waits.len() == 9);
}

/// This machine says that it is noon.
#[test]
fn a_place_is_gone_by_its_own_clock_or_by_none() {
    let seen = |time: &str, length| Found { length, modified: Some(at(time)), ..file("orgs.csv", 0) };
    let (two, half_past) = (seen("2026-01-15T02:00:00Z", 10), seen("2026-01-15T02:00:30Z", 20));
    // Ten hours behind: what is being written is not old.
    let behind = || Waits::at("2026-01-15T02:00:00Z");
    assert_eq!(settled_by(behind(), &[two.clone(), half_past.clone()]), (Ok(20), vec![60, 30]));
    let silent = || Waits { is_known: false, ..behind() };
    assert_eq!(settled_by(silent(), &[two.clone(), half_past]), (Ok(20), vec![60, 60]));
    assert_eq!(settled_by(silent(), std::slice::from_ref(&two)), (Ok(10), vec![60]));
    // Ten hours ahead: what is complete is not waited for.
    assert_eq!(settled_by(Waits::at("2026-01-15T22:00:00Z"), &[seen("2026-01-15T20:00:00Z", 10)]), (Ok(10), vec![2]));
    // The age goes by the same clock, and by this machine's where there is none.
    let choice = Choice { max_age: Some(Duration::from_secs(9 * 3600)), ..Choice::default() };
    let held =
        |waits: Waits| decide(&choice, "*", &mut || Ok(vec![done(two.clone())]), &waits, false).unwrap().held.len();
    assert_eq!((held(behind()), held(silent())), (0, 1));
}

#[test]
fn the_latest_by_times_that_nobody_knows_is_an_error() {
    let choice = Choice { latest: Some(Latest::Modified), ..Choice::default() };
    let unknown = |name: &str| done(Found { modified: None, ..file(name, 0) });
    let known = done(file("orgs_3.csv", 5));
    for found in [vec![unknown("orgs_1.csv"), unknown("orgs_2.csv")], vec![unknown("orgs_1.csv"), known.clone()]] {
        let error = chosen(&choice, "orgs_*.csv", &found).unwrap_err();
        assert!(error.contains("source.latest_by: it is not known when orgs_1.csv was changed"), "{error}");
        let by_name = Choice { latest: Some(Latest::Name), ..Choice::default() };
        assert!(chosen(&by_name, "orgs_*.csv", &found).is_ok());
    }
    assert_eq!(chosen(&choice, "orgs_*.csv", &[unknown("orgs_1.csv")]).unwrap(), ["orgs_1.csv"]);
    // What is not done is none of those.
    let open = Candidate { marked: Marked::Missing, ..unknown("orgs_1.csv") };
    assert_eq!(chosen(&choice, "orgs_*.csv", &[open, known]).unwrap(), ["orgs_3.csv"]);
}

#[test]
fn partitions_are_decoded() {
    let columns = |name: &str| hive::columns(name);
    let some = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
    assert_eq!(columns("x/dt=2026-01-15/part-0.parquet"), [some("dt", "2026-01-15")]);
    assert_eq!(columns("city=S%C3%A3o%20Paulo%2FBR/a=b=c/f"), [some("city", "São Paulo/BR"), some("a", "b=c")]);
    assert_eq!(columns("a=__HIVE_DEFAULT_PARTITION__/b=/f"), [("a".to_owned(), None), some("b", "")]);
    assert_eq!(columns("a=100%/b=%zz/c=%ff/f"), [some("a", "100%"), some("b", "%zz"), some("c", "%ff")]);
    assert_eq!(columns("f=1.csv"), []);
    let names = |names: &[&str]| hive::of_all(&names.map_owned());
    assert_eq!(names(&["a=1/f", "a=2/f"]).unwrap().len(), 2);
    for (found, part) in [
        (vec!["f"], "f stands in no folder of a partition"),
        (vec!["a=1/f", "b=2/f"], "a=1/f is partitioned by a, and b=2/f by b"),
        (vec!["a=1/f", "g"], "a=1/f is partitioned by a, and g by no partition column"),
        (vec!["a=1/a=2/f"], "has the partition column `a` twice"),
    ] {
        let error = names(&found).unwrap_err().message;
        assert!(error.contains(part), "{error}");
    }
}

/// The names that a pattern means among these files, and the folders that were listed.
fn walked(pattern: &str, names: &[&str]) -> (Vec<String>, Vec<String>) {
    let mut listed = Vec::new();
    let walked = walk(pattern, &mut |folder| {
        listed.push(folder.to_owned());
        let mut listing = Listing::default();
        for name in names {
            let Some(rest) = name.strip_prefix(folder).map(|rest| rest.trim_start_matches('/')) else { continue };
            match rest.split_once('/') {
                None => listing.files.push(file(name, 0)),
                Some((below, _)) if !listing.folders.contains(&below.to_owned()) => {
                    listing.folders.push(below.to_owned())
                }
                Some(_) => {}
            }
        }
        Ok(listing)
    });
    (walked.unwrap().into_iter().map(|file| file.name).collect(), listed)
}

#[test]
fn patterns_look_only_where_they_must() {
    let names = ["out/a.csv", "out/b.csv", "out/.c.csv", "out/x/d.csv", "out/y/z/e.csv", "other/f.csv", "g.csv"];
    let found = |pattern: &str| walked(pattern, &names).0;
    assert_eq!(walked("out/*.csv", &names), (vec!["out/a.csv".into(), "out/b.csv".into()], vec!["out".to_owned()]));
    assert_eq!(found("out/[ab].csv"), ["out/a.csv", "out/b.csv"]);
    assert_eq!(found("out/?.csv"), ["out/a.csv", "out/b.csv"]);
    assert_eq!(found("o*/*.csv"), ["out/a.csv", "out/b.csv", "other/f.csv"]);
    assert_eq!(found("out/*/*.csv"), ["out/x/d.csv"]);
    assert_eq!(found("out/**/*.csv"), ["out/a.csv", "out/b.csv", "out/x/d.csv", "out/y/z/e.csv"]);
    assert_eq!(found("*.csv"), ["g.csv"]);
    assert_eq!(found("nowhere/*.csv"), Vec::<String>::new());
    assert!(walk("a/[.csv", &mut |_| Ok(Listing::default())).unwrap_err().message.contains("not a valid pattern"));
}

/// A place that changes between two looks at it.
struct Changing {
    /// The files at each listing, the last of which is repeated.
    listings: Vec<Vec<Found>>,
    marker: Option<Found>,
    listed: Cell<usize>,
}

impl Changing {
    fn candidates(&self, choice: &Choice) -> Vec<(String, Marked)> {
        let mut list = || {
            let number = self.listed.replace(self.listed.get() + 1);
            Ok(self.listings[number.min(self.listings.len() - 1)].clone())
        };
        let mut look = |name: &str| Ok(self.marker.clone().filter(|marker| marker.name == name));
        let found = candidates(choice, &mut list, &mut look).unwrap();
        found.into_iter().map(|one| (one.file.name, one.marked)).collect()
    }
}

#[test]
fn what_came_before_the_marker_is_not_missed_and_an_old_marker_vouches_for_nothing() {
    let choice = |marker: &str| Choice { done_marker: Some(marker.to_owned()), ..Choice::default() };
    let (a, b) = (file("out/a.csv", 1), file("out/b.csv", 2));
    let found = |name: &str, marked| (name.to_owned(), marked);
    let mut place = Changing {
        listings: vec![vec![a.clone()], vec![a.clone(), b.clone(), file("out/_SUCCESS", 3)]],
        marker: Some(file("out/_SUCCESS", 3)),
        listed: Cell::new(0),
    };
    // The second part and the marker came after the first listing.
    let both = [found("out/a.csv", Marked::Done), found("out/b.csv", Marked::Done)];
    assert_eq!(place.candidates(&choice("_SUCCESS")), both);
    // Yesterday's.
    place.marker = Some(file("out/_SUCCESS", 1));
    assert_eq!(place.candidates(&choice("_SUCCESS")), [both[0].clone(), found("out/b.csv", Marked::Older)]);
    let error = chosen(&choice("_SUCCESS"), "out/*.csv", &[Candidate { file: b, marked: Marked::Older }]).unwrap_err();
    assert!(error.contains("`_SUCCESS` was written before out/b.csv"), "{error}");
    place.marker = None;
    assert_eq!(place.candidates(&choice("_SUCCESS")).iter().filter(|one| one.1 == Marked::Missing).count(), 2);
    // A marker for each file: that of one that has come meanwhile is looked for.
    (place.marker, place.listed) = (Some(file("out/a.csv.done", 1)), Cell::new(0));
    let found = place.candidates(&choice("{name}.done"));
    assert_eq!(found.iter().map(|one| one.1).collect::<Vec<_>>(), [Marked::Done, Marked::Missing, Marked::Missing]);
    // A server that does not say when is believed.
    (place.marker, place.listed) = (Some(Found { modified: None, ..file("out/_SUCCESS", 0) }), Cell::new(0));
    assert_eq!(place.candidates(&choice("_SUCCESS")), both);
}

#[test]
fn the_latest_of_several_partition_columns_has_to_be_said() {
    let by = |columns: &[&str]| Choice {
        hive: true,
        latest: Some(Latest::Partition(columns.iter().map(|column| (*column).to_owned()).collect())),
        ..Choice::default()
    };
    let files = ["region=eu/dt=2026-01-14/a", "region=eu/dt=2026-01-15/b", "region=us/dt=2026-01-15/c"];
    let found: Vec<Candidate> = files.iter().map(|name| done(file(name, 1))).collect();
    let error = chosen(&by(&[]), "*/*/*", &found).unwrap_err();
    assert!(error.contains("region, dt"), "{error}");
    assert_eq!(chosen(&by(&["dt"]), "*/*/*", &found).unwrap(), files[1..]);
    let found = ["year=2026/month=9/a", "year=2026/month=10/b"].map(|name| done(file(name, 1)));
    assert_eq!(chosen(&by(&[]), "*/*/*", &found).unwrap(), ["year=2026/month=10/b"]);
}

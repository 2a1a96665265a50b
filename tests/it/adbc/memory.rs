//! What an extract takes in memory: read in a process of its own, whose peak is that of the extract alone.

use super::{Case, engines};
use nightmark::source::Ask;
use std::path::Path;
use std::process::Command;

const HOME: &str = "NIGHTMARK_TEST_ADBC_EXTRACT";

/// The peak of a process that reads the extract of this case, in KiB.
fn peak(case: &Case, rows: u64) -> u64 {
    super::file(&case.home, "jobs/orgs.toml", &super::job_text(&case.source));
    let this = std::env::current_exe().unwrap();
    let mut command = Command::new(this);
    command.args(["--exact", "adbc::memory::the_other_process", "--nocapture"]).env(HOME, case.home.path());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find_map(|line| line.split_once("extract: ")).map(|(_, line)| line.to_owned());
    let line = line.unwrap_or_else(|| panic!("{said}\n{}", String::from_utf8_lossy(&output.stderr)));
    let (read, peak) = line.split_once(' ').unwrap();
    assert_eq!(read.parse::<u64>().unwrap(), rows);
    peak.trim().parse().unwrap()
}

/// Does nothing unless it is started by [`peak`].
#[test]
fn the_other_process() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let environment = crate::support::environment(Path::new(&home));
    let home = nightmark::config::Home::new(Path::new(&home)).unwrap();
    let job = nightmark::job::load_job(&home, "orgs").unwrap();
    let source = nightmark::source::open(&job.source, &environment);
    let stream = source.stream(&Ask { pinned: None, pinned_input: None, limit: None, wanted: &|_| true }).unwrap();
    let rows = super::count(&stream).unwrap();
    drop(stream);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("\nextract: {rows} {}", peak.trim().trim_end_matches(" kB"));
}

/// Ten times the rows, about 100 MB of them, take no more memory.
#[track_caller]
fn check(case: impl Fn(u64) -> Case) {
    let (few, many) = (peak(&case(100_000), 100_000), peak(&case(1_000_000), 1_000_000));
    assert!(many < few + 24 * 1024, "{few} KiB for 100,000 rows, {many} KiB for a million");
}

#[test]
fn sqlite() {
    check(|rows| {
        let query = format!(
            "WITH RECURSIVE c(x) AS (SELECT 0 UNION ALL SELECT x+1 FROM c LIMIT {rows}) SELECT x AS id, printf('%.100c', 'x') AS name FROM c"
        );
        Case::query(&engines::sqlite(), "", &query)
    });
}

#[test]
fn duckdb() {
    check(|rows| {
        let query = format!("SELECT i AS id, repeat('x', 100) AS name FROM range({rows}) t(i)");
        Case::query(&engines::duckdb(), "[source.options]\nthreads = \"1\"", &query)
    });
}

#[test]
fn postgres() {
    let database = crate::support::postgres::Cluster::shared().database();
    check(|rows| {
        super::postgres::case(
            &database,
            "",
            &format!("SELECT n AS id, repeat('x', 100) AS name FROM generate_series(1, {rows}) AS n"),
        )
    });
}

#[test]
fn spark() {
    check(|rows| super::spark::case(&format!("SELECT id, repeat('x', 100) AS name FROM range(0, {rows}, 1, 8)")));
}

//! What an extract takes in memory: read in a process of its own, whose peak is that of the extract alone.

use super::{Engine, open, write_job};
use crate::support::Home;
use nightmark::source::Ask;
use std::path::Path;

const HOME: &str = "NIGHTMARK_TEST_EXTRACT";

/// The peak of a process that reads so many rows, in KiB.
pub fn peak(engine: &dyn Engine, rows: u64) -> u64 {
    let home = Home::new();
    home.write("password", &engine.password());
    write_job(&home, &engine.asking(&engine.rows(rows)), "http://127.0.0.1:9/");
    of_home(&home, rows)
}

/// The same of a home whose job has so many rows.
pub fn of_home(home: &Home, rows: u64) -> u64 {
    let mut command = home.program(std::env::current_exe().unwrap().to_str().unwrap(), &[]);
    command.args(["--exact", "sources::memory::the_other_process", "--nocapture"]).env(HOME, home.path(""));
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
    let source = open(Path::new(&home));
    let stream = source.stream(&Ask { pinned: None, pinned_input: None, limit: None, wanted: &|_| true }).unwrap();
    let mut rows = 0;
    while let Some(piece) = stream.rows.next().unwrap() {
        rows += piece.batches.map(|batch| batch.unwrap().num_rows()).sum::<usize>();
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("\nextract: {rows} {}", peak.trim().trim_end_matches(" kB"));
}

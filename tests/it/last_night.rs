//! Extracts in last night's order and in others: what is planned and published is the same whether the order of last night's
//! rows is known or not, and a damaged order is done without.

use crate::support::environment;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use nightmark::job::spec::Job;
use nightmark::pipeline::{PipelineError, PlanInput, Planned, Purpose, Resources, Since, plan_blocking};
use nightmark::receipt::{Outcome, Progress};
use nightmark::row::HashSeed;
use nightmark::snapshot::{self, Manifest};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use std::path::Path;
use std::sync::Arc;

/// An org and its value.
type Row = (i64, i64);

fn write(home: &Path, rows: &[Row]) {
    let columns: [(&str, ArrayRef); 2] = [
        ("id", Arc::new(rows.iter().map(|(org, _)| Some(format!("ws-{org}"))).collect::<StringArray>())),
        ("users", Arc::new(rows.iter().map(|(_, users)| Some(*users)).collect::<Int64Array>())),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(10_000)).build();
    let file = std::fs::File::create(home.join("orgs.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn job(home: &Path) -> Job {
    let text = "version = 1\n[source]\nkind = \"files\"\npath = \"orgs.parquet\"\n[diff]\nkey = \"id\"\n\
                on = [\"added\", \"changed\", \"removed\"]\non_bad_key = \"quarantine\"\n\
                [destination]\nkind = \"http\"\nurl = \"http://127.0.0.1:9/\"\n\
                [payload]\ntemplate = '{\"op\": \"{{op}}\"}'\n";
    nightmark::job::parse(text, Path::new("model.toml"), home).unwrap()
}

/// Plans a night on which everything of the night before is acknowledged.
fn plan(home: &Path, night: usize, rows: &[Row], threads: usize) -> Result<Planned, PipelineError> {
    plan_within(home, night, rows, Resources { memory: 1 << 30, threads })
}

fn plan_within(home: &Path, night: usize, rows: &[Row], resources: Resources) -> Result<Planned, PipelineError> {
    write(home, rows);
    let (dir, run) = (home.join("snapshots"), format!("{:026}", night + 1));
    let input = PlanInput {
        job: Arc::new(job(home)),
        dir: dir.clone(),
        run,
        at: chrono::DateTime::UNIX_EPOCH,
        environment: environment(home),
        since: Since::default(),
    };
    let mut progress = Progress::default();
    let changes = Manifest::load(&dir).unwrap().map_or(0, |manifest| manifest.changes.rows);
    (0..changes).for_each(|seq| progress.receive(seq, Outcome::Acknowledged));
    plan_blocking(input, &progress, HashSeed([7; 16]), resources, Purpose::Run)
}

/// Without room for what is known no order is written, since the next night could not use it.
#[test]
fn where_partitions_go_to_disk_no_order_is_written() {
    let home = tempfile::tempdir().unwrap();
    let rows: Vec<Row> = (0..3_000).map(|org| (org, 1)).collect();
    for (night, memory, is_written) in [(0, 1 << 30, true), (1, 1_000, false), (2, 1 << 30, true)] {
        let planned = plan_within(home.path(), night, &rows, Resources { memory, threads: 2 });
        planned.unwrap().publish(chrono::DateTime::UNIX_EPOCH, None).unwrap();
        assert_eq!(order_of(home.path()).is_some(), is_written, "night {night}");
    }
}

/// Publishes a night and returns its files besides the manifest of the job.
fn publish(home: &Path, night: usize, rows: &[Row], threads: usize) -> Vec<(String, Vec<u8>)> {
    plan(home, night, rows, threads).unwrap().publish(chrono::DateTime::UNIX_EPOCH, None).unwrap();
    let folder = std::fs::read_dir(home.join("snapshots").join(format!("{:026}", night + 1))).unwrap();
    let file =
        |entry: std::fs::DirEntry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap());
    let mut files: Vec<_> = folder.map(|entry| file(entry.unwrap())).collect();
    files.sort();
    files
}

fn order_of(home: &Path) -> Option<snapshot::FileEntry> {
    Manifest::load(&home.join("snapshots")).unwrap().unwrap().order
}

fn forget_order(home: &Path) {
    let dir = home.join("snapshots");
    let manifest = Manifest::load(&dir).unwrap().unwrap();
    let (schema, input) = (manifest.schema.clone(), manifest.input.clone());
    Manifest { order: None, ..manifest }.repin(&dir, schema, input, None).unwrap();
}

/// The second night, with the order of the first known and not known, by one thread and by several. Returns whether the order
/// of the second is kept.
#[track_caller]
fn check(first: &[Row], second: &[Row]) -> bool {
    let homes: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    for home in &homes {
        publish(home.path(), 0, first, 2);
        assert!(order_of(home.path()).is_some(), "the first night's order is always kept");
    }
    forget_order(homes[2].path());
    let of: Vec<_> =
        homes.iter().zip([1, 3, 2]).map(|(home, threads)| publish(home.path(), 1, second, threads)).collect();
    let without_order = |files: &[(String, Vec<u8>)]| {
        let is_alike = |(name, _): &&(String, Vec<u8>)| name != "order.bin" && name != "manifest.json";
        files.iter().filter(is_alike).cloned().collect::<Vec<_>>()
    };
    assert!(of[0] == of[1], "files depend on threads");
    assert!(without_order(&of[0]) == without_order(&of[2]), "files depend on whether last night's order is known");
    let dir = homes[0].path().join("snapshots");
    let verified = snapshot::verify(&dir, &Manifest::load(&dir).unwrap().unwrap());
    assert!(verified.is_sound(), "{:?}", verified.damage().collect::<Vec<_>>());
    order_of(homes[0].path()).is_some()
}

const ORGS: i64 = 150_000;

fn all() -> Vec<Row> {
    (0..ORGS).map(|org| (org, org % 7)).collect()
}

/// Some orgs are gone, some new, some have other values, some stand twice and one is at another place.
fn edited(rows: &[Row]) -> Vec<Row> {
    let mut rows: Vec<Row> = rows
        .iter()
        .filter(|(org, _)| org % 1000 != 3 && !(70_000..70_100).contains(org))
        .flat_map(|(org, users)| match org % 1000 {
            4 => vec![(*org, users + 1)],
            5 => vec![(*org, *users), (ORGS + org, 1)],
            6 if *org < 10_000 => vec![(*org, *users); 2],
            _ => vec![(*org, *users)],
        })
        .collect();
    rows.swap(20, 100_000);
    rows
}

#[test]
fn an_extract_in_last_nights_order_is_compared_as_any_other() {
    assert!(check(&all(), &edited(&all())));
    assert!(check(&all(), &all()));
}

#[test]
fn an_extract_that_leaves_last_nights_order_is_compared_as_any_other() {
    let mut second = edited(&all());
    second[30_000..].sort_by_key(|(org, _)| org.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()));
    assert!(!check(&all(), &second), "an order that is none is not kept");
}

#[test]
fn an_extract_in_another_order_is_compared_as_any_other() {
    let mut second = edited(&all());
    second.reverse();
    assert!(!check(&all(), &second), "an order that is none is not kept");
}

/// The second night after something was done to the order of the first: it goes without, and writes a new one.
#[track_caller]
fn check_damaged(damage: impl Fn(&Path), problem: &str) {
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let rows: Vec<Row> = (0..100).map(|org| (org, 1)).collect();
    homes.iter().for_each(|home| drop(publish(home.path(), 0, &rows, 1)));
    let (home, dir) = (homes[0].path(), homes[0].path().join("snapshots"));
    let path = dir.join(order_of(home).unwrap().path);
    damage(&path);
    let verified = snapshot::verify(&dir, &Manifest::load(&dir).unwrap().unwrap());
    let told: Vec<String> = verified.damage().map(ToString::to_string).collect();
    assert!(told.len() == 1 && told[0].contains("order.bin is damaged") && told[0].contains(problem), "{told:?}");
    assert!(told[0].contains("writes a new one"), "the remedy: {told:?}");
    let mut second = rows.clone();
    (second[7].1, second[50]) = (2, (500, 1));
    let after = homes.each_ref().map(|home| publish(home.path(), 1, &second, 1));
    assert!(after[0] == after[1], "what is published does not depend on the damage");
    assert!(snapshot::verify(&dir, &Manifest::load(&dir).unwrap().unwrap()).is_sound());
    assert_ne!(dir.join(order_of(home).unwrap().path), path);
}

#[test]
fn a_damaged_order_is_done_without() {
    let flip = |path: &Path| {
        let mut bytes = std::fs::read(path).unwrap();
        assert_eq!(bytes.len(), 100 * 20);
        bytes[777] ^= 1;
        std::fs::write(path, &bytes).unwrap();
    };
    check_damaged(flip, "checksum");
    check_damaged(|path| std::fs::remove_file(path).unwrap(), "it is missing");
    check_damaged(|path| std::fs::write(path, b"20 bytes for each row").unwrap(), "it has 21 bytes");
    // The order of another night, of as many rows.
    let other = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        let rows: Vec<&[u8]> = bytes.chunks(20).rev().collect();
        std::fs::write(path, rows.concat()).unwrap();
    };
    check_damaged(other, "checksum");
}

/// An order that is whole, as its entry says, and is not that of the base: what a defect of a writer would leave.
#[test]
fn an_order_of_another_base_is_found_by_verify() {
    let home = tempfile::tempdir().unwrap();
    let rows: Vec<Row> = (0..100).map(|org| (org, 1)).collect();
    publish(home.path(), 0, &rows, 1);
    let dir = home.path().join("snapshots");
    let first = order_of(home.path()).unwrap();
    let changed: Vec<Row> = rows.iter().map(|(org, _)| (*org, 2)).collect();
    publish(home.path(), 1, &changed, 1);
    let manifest = Manifest::load(&dir).unwrap().unwrap();
    assert!(snapshot::verify(&dir, &manifest).is_sound());
    let verified = snapshot::verify(&dir, &Manifest { order: Some(first), ..manifest });
    let told: Vec<String> = verified.damage().map(ToString::to_string).collect();
    assert!(told.len() == 1 && told[0].contains("is not that of the sidecar"), "{told:?}");
}

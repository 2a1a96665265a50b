//! Which files are read: here and at a distance the same.

use super::servers::{KEY_ID, SECRET, Server, age};
use super::{Nights, azure, csv, google};
use crate::shared::azurite::Azurite;
use crate::support::says;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Files here, in a bucket whose server keeps them in a folder, or in one of Azure's.
enum Place {
    Here,
    Folder(Server),
    Azure(Azurite),
}

struct Case {
    nights: Nights,
    place: Place,
}

/// The same case wherever files can be given an age: here, in a bucket of S3, and in one of Google's.
fn aged(path: &str, more: &str, case: impl Fn(&Case)) {
    let nights = Nights::new(&format!("path = \"out/{path}\"\n{more}"));
    std::fs::create_dir(nights.home.path("out")).unwrap();
    case(&Case { nights, place: Place::Here });
    let server = Server::s3();
    let options = format!("options = {{ aws_endpoint = \"http://{}\" }}", server.address);
    let nights = Nights::new(&format!("path = \"s3://lake/out/{path}\"\n{more}\n{options}"));
    let nights = nights.env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET);
    case(&Case { nights, place: Place::Folder(server) });
    let server = Server::google();
    let nights = google::nights(&google::source(server.address, &format!("gs://lake/out/{path}"), more));
    case(&Case { nights, place: Place::Folder(server) });
}

/// The same case in all places. What was written at once is as old, whatever is said of it.
fn all(path: &str, more: &str, case: impl Fn(&Case)) {
    aged(path, more, &case);
    let server = Azurite::start();
    let nights = azure::nights(&azure::source(&server, &format!("az://lake/out/{path}"), more));
    case(&Case { nights, place: Place::Azure(server) });
}

impl Case {
    fn path(&self, name: &str) -> PathBuf {
        match &self.place {
            Place::Here => self.nights.home.path("out").join(name),
            Place::Folder(server) => server.path("lake/out").join(name),
            Place::Azure(_) => panic!("Azurite has no files"),
        }
    }

    /// A file that was written so many hours ago.
    fn write(&self, name: &str, content: impl AsRef<[u8]>, hours: u64) {
        if let Place::Azure(server) = &self.place {
            return azure::write(server, &format!("out/{name}"), content);
        }
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        age(&path, hours);
    }
}

#[test]
fn only_the_latest_is_read() {
    aged("orgs_*.csv", "pick = \"latest\"", |case| {
        case.write("orgs_c.csv", csv(&["old"]), 48);
        case.write("orgs_a.csv", csv(&["new"]), 1);
        assert_eq!(case.nights.night(), ["new"]);
        case.write("orgs_b.csv", csv(&["newer"]), 0);
        assert_eq!(case.nights.night(), ["newer"]);
    });
    aged("orgs_*.csv", "pick = \"latest\"\nlatest_by = \"name\"", |case| {
        case.write("orgs_9.csv", csv(&["nine"]), 1);
        case.write("orgs_10.csv", csv(&["ten"]), 48);
        assert_eq!(case.nights.night(), ["ten"]);
    });
}

#[test]
fn an_extract_without_its_marker_is_not_read() {
    all("*/orgs_*.csv", "done_marker = \"_SUCCESS\"", |case| {
        case.write("1/orgs_a.csv", csv(&["a"]), 0);
        case.nights.fails(&["the extract is not complete", "`_SUCCESS`", "orgs_a.csv"]);
        case.write("1/_SUCCESS", "", 0);
        assert_eq!(case.nights.night(), ["a"]);
    });
    all("orgs_*", "format = \"csv\"\npick = \"latest\"\ndone_marker = \"{name}.done\"", |case| {
        case.write("orgs_1.csv", csv(&["a"]), 5);
        case.write("orgs_1.csv.done", "", 5);
        case.write("orgs_2.csv", "workspace_id,na", 0);
        assert_eq!(case.nights.night(), ["a"]);
        case.write("orgs_2.csv", csv(&["b"]), 0);
        case.write("orgs_2.csv.done", "", 0);
        assert_eq!(case.nights.night(), ["b"]);
    });
}

#[test]
fn an_old_extract_holds_the_run_until_it_is_approved() {
    aged("orgs.csv", "max_age = \"36h\"", |case| {
        case.write("orgs.csv", csv(&["a"]), 80);
        let held = case.nights.run(&["run", "orgs"]).expect(3);
        says(
            &held,
            &["the extract is 3 days old, more than source.max_age allows (36 hours)", "orgs.csv was written at"],
        );
        assert_eq!(case.nights.destination.take_orgs(), Vec::<String>::new());
        case.nights.left_nothing();
        let preview = case.nights.run(&["preview", "orgs"]);
        says(&preview, &["the extract is 3 days old"]);
        case.nights.run(&["run", "orgs", "--approve"]).expect(0);
        assert_eq!(case.nights.destination.take_orgs(), ["a"]);
        case.write("orgs.csv", csv(&["a", "b"]), 35);
        assert_eq!(case.nights.night(), ["b"]);
    });
}

/// A Parquet file with these orgs.
fn parquet(orgs: &[&str]) -> Vec<u8> {
    use arrow::array::{ArrayRef, RecordBatch, StringArray};
    let ids: ArrayRef = std::sync::Arc::new(StringArray::from(orgs.to_vec()));
    let batch = RecordBatch::try_from_iter([("workspace_id", ids)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// Also of Parquet, whose files the run copies and opens again.
#[test]
fn an_old_parquet_extract_holds_the_run() {
    aged("orgs.parquet", "max_age = \"36h\"", |case| {
        case.write("orgs.parquet", parquet(&["a"]), 80);
        says(&case.nights.run(&["run", "orgs"]).expect(3), &["the extract is 3 days old"]);
        case.nights.run(&["run", "orgs", "--approve"]).expect(0);
        assert_eq!(case.nights.destination.take_orgs(), ["a"]);
    });
}

/// The file grows between the first look and the next; what is read is what it has grown to.
#[test]
fn a_file_that_is_still_written_is_waited_for() {
    aged("orgs.csv", "settled = \"3s\"", |case| {
        case.write("orgs.csv", csv(&["a"]), 0);
        let path = case.path("orgs.csv");
        let writing = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_secs(1));
            std::fs::write(&path, csv(&["a", "b"])).unwrap();
        });
        let began = std::time::Instant::now();
        let sent = case.nights.night();
        writing.join().unwrap();
        assert_eq!(sent, ["a", "b"]);
        assert!(began.elapsed() >= std::time::Duration::from_secs(3));
    });
}

#[test]
fn what_contradicts_itself_is_refused_at_once() {
    let nights = Nights::new(
        "path = \"orgs.csv\"\nlatest_by = \"name\"\ndone_marker = \"../x\"\nsettled = \"1 minute\"\nmax_age = \"0d\"\n\
         options = { aws_region = \"eu\" }",
    );
    nights.refuses(&[
        "source.latest_by",
        "add `pick = \"latest\"`",
        "source.done_marker",
        "source.settled",
        "source.max_age",
        "source.options",
        "files on this machine have no such settings",
    ]);
    nights.source("path = \"ftp://h/orgs.csv\"");
    nights.refuses(&["files cannot be had by `ftp://`"]);
    nights.source("path = \"orgs.csv\"\npick = \"latest\"\nlatest_by = [\"dt\"]");
    nights.refuses(&["without `hive = true` there are no partition columns"]);
}

/// The folders' columns stand behind the files' own, in every format, with a model and without.
#[test]
fn folders_of_partitions_are_columns() {
    let day = |org: &str, dt: Value, region: &str| json!({"workspace_id": org, "dt": dt, "region": region});
    let expected = [
        day("a", json!("2026-01-14"), "eu"),
        day("b", json!("2026-01-15"), "eu"),
        day("c", json!("2026-01-15"), "S\u{e3}o Paulo/BR"),
        day("n", Value::Null, "eu"),
    ];
    let files = [
        ("dt=2026-01-14/region=eu", "a"),
        ("dt=2026-01-15/region=eu", "b"),
        ("dt=2026-01-15/region=S%C3%A3o Paulo%2FBR", "c"),
        ("dt=__HIVE_DEFAULT_PARTITION__/region=eu", "n"),
    ];
    for extension in ["csv", "parquet", "ndjson"] {
        let content = |org: &str| match extension {
            "csv" => format!("workspace_id\n{org}\n").into_bytes(),
            "ndjson" => format!("{{\"workspace_id\": \"{org}\"}}\n").into_bytes(),
            _ => parquet(&[org]),
        };
        for model in ["", "\nquery = \"SELECT * FROM extract WHERE dt IS NULL OR dt >= '2026'\""] {
            all(&format!("dt=*/*/part-*.{extension}"), &format!("hive = true{model}"), |case| {
                for (folder, org) in files {
                    case.write(&format!("{folder}/part-0.{extension}"), content(org), 0);
                    case.write(&format!("{folder}/_part-0.{extension}"), "no data", 0);
                }
                assert_eq!(case.nights.bodies(), expected, "{extension} {model}");
            });
        }
        all(&format!("**/part-*.{extension}"), "hive = true\npick = \"latest\"\nlatest_by = \"dt\"", |case| {
            for (folder, org) in files {
                case.write(&format!("{folder}/part-0.{extension}"), content(org), 0);
            }
            assert_eq!(case.nights.bodies(), expected[1..3], "{extension}");
        });
    }
}

/// A column that the files have themselves stays theirs.
#[test]
fn a_files_own_column_counts_before_its_folders() {
    all("dt=*/orgs.csv", "hive = true", |case| {
        case.write("dt=1/orgs.csv", "workspace_id,dt\na,own\n", 0);
        assert_eq!(case.nights.bodies(), [json!({"workspace_id": "a", "dt": "own"})]);
    });
    all("*/orgs.csv", "hive = true", |case| {
        case.write("plain/orgs.csv", csv(&["a"]), 0);
        case.nights.fails(&["plain/orgs.csv stands in no folder of a partition"]);
    });
}

//! Which files are read, how much of them, and how they are packed.

use super::{Case, numbers};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use nightmark::job::spec::FileFormat;
use nightmark::source::Source;
use nightmark::source::files::Files;
use std::io::Write;
use std::sync::Arc;

#[test]
fn files_are_found() {
    let case = Case::new(FileFormat::Csv, "orgs_*.csv")
        .file("orgs_2.csv", "name,id\nb,2\n")
        .file("orgs_1.csv", "id,name\n1,a\n")
        .file(".orgs_3.csv", "junk")
        .file("other.csv", "junk");
    std::fs::create_dir(case.folder.path().join("orgs_4.csv")).unwrap();
    case.check(&["1|a", "2|b"]);
    assert_eq!(Files::new(case.spec.clone()).describe(), "orgs_*.csv");
    Case::new(FileFormat::Csv, "orgs[1].csv").file("orgs[1].csv", "id\n1\n").check(&["1"]);
}

#[test]
fn files_that_are_not_there() {
    let case = Case::new(FileFormat::Csv, "orgs_*.csv");
    let folder = case.folder.path().display().to_string();
    case.check_error(&format!("no file matches: \"orgs_*.csv\" in {folder}"));
    let case = Case::new(FileFormat::Csv, "data/orgs.csv");
    let message = case.read().unwrap_err().message;
    assert!(
        message.starts_with("no such file: \"data/orgs.csv\" in ") && message.ends_with("data (which does not exist)")
    );
    let case = Case::new(FileFormat::Csv, "data");
    std::fs::create_dir(case.folder.path().join("data")).unwrap();
    assert!(case.read().unwrap_err().message.ends_with("data is a folder, not a file"));
}

#[test]
fn files_must_have_the_same_columns() {
    Case::new(FileFormat::Csv, "*.csv")
        .file("a.csv", "id,mrr\n1,2\n")
        .file("b.csv", "id,MRR\n1,2\n")
        .check_error("a.csv and b.csv have different columns: only a.csv has `mrr`; only b.csv has `MRR`");
    let text = RecordBatch::try_from_iter([("n", Arc::new(StringArray::from(vec!["x"])) as ArrayRef)]).unwrap();
    Case::new(FileFormat::Parquet, "*.parquet")
        .parquet("a.parquet", &numbers(&[1]))
        .parquet("b.parquet", &text)
        .check_error("a.parquet and b.parquet have different types: `n` is i64 there and str here");
}

#[test]
fn compression_is_recognised_by_content() {
    let text = "id,name\n1,a\n2,b\n";
    for (name, packed) in [("orgs.csv.gz", gzip(text)), ("orgs.csv.zst", zstd(text)), ("plain.csv", zstd(text))] {
        Case::new(FileFormat::Csv, name).file(name, &packed).check(&["1|a", "2|b"]);
        let error = Case::new(FileFormat::Csv, name).file(name, &packed[..packed.len() - 3]).read().unwrap_err();
        assert!(error.message.contains(&format!("{name} is not a complete ")), "{error}");
    }
    let mut corrupt = gzip(&"id\n1\n".repeat(100));
    let middle = corrupt.len() / 2;
    corrupt[middle] ^= 0xff;
    assert!(Case::csv(&corrupt).read().is_err());
    let mut members = gzip("id\n1\n");
    members.extend(gzip("2\n"));
    Case::csv(&members).check(&["1", "2"]);
    Case::new(FileFormat::Ndjson, "a.ndjson").file("a.ndjson", gzip("{\"id\":1}\n")).check(&["1"]);
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 3).unwrap()
}

#[test]
fn limit_takes_the_first_rows() {
    Case::csv("id,n\n1,a\n2,b\n3,c,d\n").limit(2).check(&["1|a", "2|b"]);
    Case::csv("id\n1\n2\n3\n").query("SELECT * FROM extract WHERE id > 1").limit(1).check(&["2"]);
    // What comes after the rows is not looked at, unpacked or opened.
    Case::ndjson("\n{\"id\":1}\n\n{\"id\":2}\n{\"id\":\n").limit(2).check(&["1", "2"]);
    Case::ndjson("{\"id\":1}\n{\"id\":2}").limit(5).check(&["1", "2"]);
    let many: String = (0..100_000).map(|n| format!("{{\"id\":{}}}\n", n * 7919 % 100_003)).collect();
    for packed in [gzip(&many), zstd(&many)] {
        let cut = &packed[..packed.len() / 2];
        let case = || Case::new(FileFormat::Ndjson, "*.ndjson").file("a.ndjson", cut).file("b.ndjson", "junk");
        case().limit(2).check(&["0", "7919"]);
        case().read().unwrap_err();
    }
    Case::new(FileFormat::Parquet, "*.parquet")
        .parquet("a.parquet", &numbers(&[1, 2, 3]))
        .parquet("b.parquet", &numbers(&[4, 5]))
        .limit(4)
        .check(&["1", "2", "3", "4"]);
    Case::new(FileFormat::Parquet, "*.parquet")
        .parquet("a.parquet", &numbers(&[1, 2, 3]))
        .file("b.parquet", "junk")
        .limit(3)
        .check(&["1", "2", "3"]);
}

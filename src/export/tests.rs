use super::*;
use crate::row::{Column, Kind};
use arrow::array::{ArrayRef, Decimal128Array, Int64Array, StringViewArray};
use std::sync::Arc;

fn rows() -> (Schema, RecordBatch) {
    let column = |name: &str, kind| Column { name: name.into(), kind };
    let columns = vec![column("id", Kind::Text), column("n\"", Kind::Int), column("mrr", Kind::Decimal { scale: 2 })];
    let schema = Schema { columns };
    let texts: ArrayRef = Arc::new(StringViewArray::from(vec![Some("a"), Some(""), Some("x\"y,\nz"), None]));
    let ints: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(-3), Some(0)]));
    let decimals = Decimal128Array::from(vec![Some(100), Some(1234), None, Some(10_000_000_000_000_000_001)]);
    let decimals: ArrayRef = Arc::new(decimals.with_precision_and_scale(38, 2).unwrap());
    let batch = RecordBatch::try_new(schema.arrow(), vec![texts, ints, decimals]).unwrap();
    (schema, batch)
}

fn written(name: &str, dialect: &Dialect) -> Result<String, ExportError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    let (schema, batch) = rows();
    let mut export = Export::create(&path, &schema, dialect)?;
    let result = export.write(&batch).and_then(|()| export.finish());
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), usize::from(result.is_ok()), "a file that is not whole is not left");
    result.map(|()| std::fs::read_to_string(&path).unwrap())
}

#[test]
fn csv_tells_null_from_the_empty_text() {
    let text = written("orgs.csv", &Dialect::default()).unwrap();
    assert_eq!(
        text,
        "\"id\",\"n\"\"\",\"mrr\"\n\"a\",1,1\n\"\",,12.34\n\"x\"\"y,\nz\",-3,\n,0,100000000000000000.01\n"
    );
}

#[test]
fn ndjson_keeps_every_digit() {
    let text = written("orgs.ndjson", &Dialect::default()).unwrap();
    assert_eq!(text.lines().next(), Some(r#"{"id":"a","n\"":1,"mrr":1}"#));
    assert_eq!(text.lines().last(), Some(r#"{"id":null,"n\"":0,"mrr":"100000000000000000.01"}"#));
}

#[test]
fn a_name_says_the_format() {
    let error = written("orgs.xlsx", &Dialect::default()).unwrap_err().to_string();
    assert!(error.contains("orgs.xlsx: give the file a name that ends in .csv, .parquet or .ndjson"), "{error}");
}

#[cfg(unix)]
#[test]
fn its_owner_alone_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("orgs.csv");
    let draft = dir.path().join(format!("orgs.csv.{}.part", std::process::id()));
    // Whatever was there before, under either name.
    for file in [&path, &draft] {
        std::fs::write(file, "before").unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let (schema, batch) = rows();
    let mut export = Export::create(&path, &schema, &Dialect::default()).unwrap();
    let mode = |file: &Path| std::fs::metadata(file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&draft), 0o600, "also while it is written");
    export.write(&batch).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
    export.finish().unwrap();
    assert_eq!(mode(&path), 0o600);
    assert!(!draft.exists());
}

//! The files source against real files: every format, every error that must name its place.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array,
    Int8Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int8Type, Int32Type, Int64Type, TimeUnit, UInt64Type};
use nightmark::job::spec::{CsvOptions, FileFormat, FilesSource};
use nightmark::row::{Column, Kind, Schema};
use nightmark::source::files::Files;
use nightmark::source::{Extract, Source, SourceError, Typing};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// Files in a folder of their own, and a source over them.
struct Case {
    folder: TempDir,
    spec: FilesSource,
    pinned: Option<Schema>,
    limit: Option<usize>,
}

impl Case {
    fn new(format: FileFormat, written: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let csv = CsvOptions { header: true, delimiter: b',', quote: Some(b'"'), null_values: vec![String::new()] };
        let path = folder.path().join(written);
        let spec = FilesSource { written: written.to_owned(), path, format, csv, query: None };
        Case { folder, spec, pinned: None, limit: None }
    }

    fn csv(content: impl AsRef<[u8]>) -> Self {
        Case::new(FileFormat::Csv, "orgs.csv").file("orgs.csv", content)
    }

    fn ndjson(content: &str) -> Self {
        Case::new(FileFormat::Ndjson, "orgs.ndjson").file("orgs.ndjson", content)
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.folder.path().join(name), content).unwrap();
        self
    }

    fn parquet(self, name: &str, batch: &RecordBatch) -> Self {
        let mut bytes = Vec::new();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2)).build();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        self.file(name, bytes)
    }

    fn query(mut self, query: &str) -> Self {
        self.spec.query = Some(query.to_owned());
        self
    }

    fn options(mut self, change: impl FnOnce(&mut CsvOptions)) -> Self {
        change(&mut self.spec.csv);
        self
    }

    fn pinned(mut self, kinds: &[(&str, Kind)]) -> Self {
        self.pinned = Some(schema(kinds));
        self
    }

    fn limit(mut self, rows: usize) -> Self {
        self.limit = Some(rows);
        self
    }

    fn pull(&self) -> Result<Extract, SourceError> {
        Files::new(self.spec.clone()).pull(self.pinned.as_ref(), self.limit)
    }

    /// The rows as text: columns by `|`, NULL as `NULL`.
    #[track_caller]
    fn check(&self, expected: &[&str]) -> Extract {
        let extract = self.pull().unwrap();
        assert_eq!(rows(&extract), expected);
        extract
    }

    /// The error, with the folder's name taken out of it.
    #[track_caller]
    fn check_error(&self, expected: &str) -> SourceError {
        let error = self.pull().unwrap_err();
        let folder = format!("{}/", self.folder.path().display());
        assert_eq!(error.message.replace(&folder, ""), expected);
        error
    }
}

fn schema(kinds: &[(&str, Kind)]) -> Schema {
    Schema { columns: kinds.iter().map(|&(name, kind)| Column { name: name.to_owned(), kind }).collect() }
}

fn whole(extract: &Extract) -> RecordBatch {
    assert!(!extract.batches.is_empty());
    concat_batches(&extract.schema, &extract.batches).unwrap()
}

fn rows(extract: &Extract) -> Vec<String> {
    let batch = whole(extract);
    let cell = |column: &ArrayRef, row: usize| {
        if column.is_null(row) {
            return "NULL".to_owned();
        }
        match column.data_type() {
            DataType::Utf8View => column.as_string_view().value(row).to_owned(),
            DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
            DataType::Float64 => format!("{:?}", column.as_primitive::<arrow::datatypes::Float64Type>().value(row)),
            DataType::Boolean => column.as_boolean().value(row).to_string(),
            other => format!("<{other}>"),
        }
    };
    let line = |row| batch.columns().iter().map(|c| cell(c, row)).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(line).collect()
}

fn kinds(extract: &Extract) -> Vec<Kind> {
    match &extract.typing {
        Typing::Guess(schema) => schema.columns.iter().map(|c| c.kind).collect(),
        Typing::Declared => panic!("declared"),
    }
}

// CSV values

#[test]
fn csv_values_stay_the_text_they_are() {
    let extract = Case::csv("id,mrr,trial,ratio,zip\n1,100,true,0.5,01234\n2,,false,1,98765\n")
        .check(&["1|100|true|0.5|01234", "2|NULL|false|1|98765"]);
    assert_eq!(kinds(&extract), [Kind::Int, Kind::Int, Kind::Bool, Kind::Float, Kind::Text]);
    assert!(extract.input.is_none());
    assert!(extract.schema.fields().iter().all(|f| *f.data_type() == DataType::Utf8View && f.is_nullable()));
}

#[test]
fn csv_spellings() {
    Case::csv("id,note\n1,\"a, \"\"b\"\"\nc\"\n2,5\" pipe\n").check(&["1|a, \"b\"\nc", "2|5\" pipe"]);
    Case::csv("id,note\r\n1,\"a\r\nb\"\r\n2,c\r\n").check(&["1|a\r\nb", "2|c"]);
    Case::csv("\u{feff}id,note\n1,ä").check(&["1|ä"]);
    Case::csv("\u{feff}\"id\",note\n1,ä").check(&["1|ä"]);
    Case::csv("id,note\n\n1,a\n\n\n2,b\n\n").check(&["1|a", "2|b"]);
    Case::csv("id,note\n 1 , a \n").check(&[" 1 | a "]);
    Case::csv("id,note\n").check(&[]);
    Case::csv("id;note\n1;'a;b'\n").options(|o| (o.delimiter, o.quote) = (b';', Some(b'\''))).check(&["1|a;b"]);
    Case::csv("id,note\n1,\"a\n2,b\"\n").options(|o| o.quote = None).check(&["1|\"a", "2|b\""]);
    let extract = Case::csv("1,a\n2,b\n").options(|o| o.header = false).check(&["1|a", "2|b"]);
    assert_eq!(extract.schema.field(1).name(), "column_2");
}

#[test]
fn csv_null_is_unquoted() {
    Case::csv("id,note\n1,\n2,\"\"\n").check(&["1|NULL", "2|"]);
    let null = |o: &mut CsvOptions| o.null_values = vec!["NULL".to_owned(), "\\N".to_owned()];
    let case = Case::csv("id,a,b,c\n1,NULL,\"NULL\",null\n2,\\N,,\"x\"\n").options(null);
    // In the first row, `NULL` in quotes is text.
    case.check(&["1|NULL|NULL|null", "2|NULL||x"]);
    let batch = whole(&case.pull().unwrap());
    assert!(batch.column(1).is_null(0) && batch.column(2).is_valid(0));
}

#[test]
fn a_large_csv_comes_through_in_order() {
    let text: String = (0..50_000).map(|n| format!("{n},\"org \"\"{n}\"\"\nline two\",{}\n", n % 7)).collect();
    let extract = Case::csv(format!("id,name,seats\n{text}")).pull().unwrap();
    let batch = whole(&extract);
    assert_eq!(batch.num_rows(), 50_000);
    for row in [0, 1, 777, 49_999] {
        assert_eq!(batch.column(0).as_string_view().value(row), row.to_string());
        assert_eq!(batch.column(1).as_string_view().value(row), format!("org \"{row}\"\nline two"));
    }
    assert_eq!(kinds(&extract), [Kind::Int, Kind::Text, Kind::Int]);
}

#[test]
fn limit_takes_the_first_rows() {
    Case::csv("id,n\n1,a\n2,b\n3,c,d\n").limit(2).check(&["1|a", "2|b"]);
    Case::csv("id\n1\n2\n3\n").query("SELECT * FROM extract WHERE id > 1").limit(1).check(&["2"]);
    Case::ndjson("{\"id\":1}\n{\"id\":2}\n").limit(1).check(&["1"]);
    Case::new(FileFormat::Parquet, "*.parquet")
        .parquet("a.parquet", &numbers(&[1, 2, 3]))
        .parquet("b.parquet", &numbers(&[4, 5]))
        .limit(4)
        .check(&["1", "2", "3", "4"]);
}

// CSV errors

#[test]
fn csv_faults_are_named_by_line() {
    let fields = "id,name,mrr\n1,a,10\n2,b\n3,c,30\n4,d,40,x\n";
    Case::csv(fields)
        .check_error("orgs.csv has 2 problems:\n  line 3: 2 fields, expected 3\n  line 5: 4 fields, expected 3");
    Case::csv("id,name\n1,a\n2").check_error("orgs.csv, line 3: 1 field, expected 2");
    Case::csv("id,name\r\n\r\n1,\"a\r\nb\"\r\n2\r\n").check_error("orgs.csv, line 5: 1 field, expected 2");
    let latin1 = b"id,name\n1,\"a\nb\"\n2,caf\xe9\n";
    let error = Case::csv(latin1).check_error("orgs.csv, line 4: column `name` is not valid UTF-8");
    assert!(error.hint.unwrap().contains("iconv -f latin1 -t utf8"));
    Case::csv(b"id,n\n1,\"a\nb\xe9\"\n").check_error("orgs.csv, line 3: column `n` is not valid UTF-8");
    // Valid as one text, but not as two fields.
    Case::csv(b"id,n\n\xc3,\xa9\n").check_error("orgs.csv, line 2: column `id` is not valid UTF-8");
    Case::csv("id,name\n1,\"a\n2,b\n3,c\n")
        .check_error("orgs.csv, line 2: a quote is opened here and never closed (field 2)");
    Case::csv("id,name\n1,\"a\n2,b\",\"c\n3,c\n")
        .check_error("orgs.csv, line 3: a quote is opened here and never closed (field 3)");
    Case::csv("id,name\n1,\"a\"b\n")
        .check_error("orgs.csv, line 2: a quoted field goes on after its closing quote (field 2)");
    Case::csv("id,name\n1,\"a\n2,\"b\"\n")
        .check_error("orgs.csv, line 3: a quoted field goes on after its closing quote (field 2)");
    let many = format!("id,n\n{}", "1\n".repeat(8));
    let error = Case::csv(many).pull().unwrap_err();
    assert!(error.message.contains("has 8 problems, the first 5:") && error.message.matches("\n  line ").count() == 5);
}

#[test]
fn csv_headers_must_be_names() {
    Case::csv("id,,id\n1,2,3\n").check_error(
        "orgs.csv has 2 problems:\n  line 1: column 2 has no name\n  line 1: the column name `id` occurs twice",
    );
    Case::csv("").check_error("orgs.csv is empty: it has no header line");
    Case::csv("\n\n").check_error("orgs.csv is empty: it has no header line");
    Case::csv(b"\xff\xfei\0d\0").check_error("orgs.csv is UTF-16, not UTF-8");
    Case::csv(b"id,caf\xe9\n").check_error("orgs.csv, line 1: the name of column 2 is not valid UTF-8");
}

// Which files

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
    let message = case.pull().unwrap_err().message;
    assert!(
        message.starts_with("no such file: \"data/orgs.csv\" in ") && message.ends_with("data (which does not exist)")
    );
    let case = Case::new(FileFormat::Csv, "data");
    std::fs::create_dir(case.folder.path().join("data")).unwrap();
    assert!(case.pull().unwrap_err().message.ends_with("data is a folder, not a file"));
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
        let error = Case::new(FileFormat::Csv, name).file(name, &packed[..packed.len() - 3]).pull().unwrap_err();
        assert!(error.message.contains(&format!("{name} is not a complete ")), "{error}");
    }
    let mut corrupt = gzip(&"id\n1\n".repeat(100));
    let middle = corrupt.len() / 2;
    corrupt[middle] ^= 0xff;
    assert!(Case::csv(&corrupt).pull().is_err());
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

// The SQL model

#[test]
fn a_model_over_csv_has_types() {
    let case = Case::csv("id,plan,seats,rate,on\n007,pro,12,0.5,true\n008,,3,2,false\n009,pro,30,1e1,true\n");
    let extract = case
        .query("SELECT id, seats * 2 AS twice, rate, \"on\" FROM extract WHERE plan = 'pro' AND seats > 3 ORDER BY id")
        .check(&["007|24|0.5|true", "009|60|10.0|true"]);
    assert_eq!(extract.typing, Typing::Declared);
    let kinds =
        [("id", Kind::Text), ("plan", Kind::Text), ("seats", Kind::Int), ("rate", Kind::Float), ("on", Kind::Bool)];
    assert_eq!(extract.input, Some(schema(&kinds)));
    Case::csv("id,deleted_at\n1,\n2,2026-01-01\n")
        .query("SELECT * FROM extract WHERE deleted_at IS NULL")
        .check(&["1|NULL"]);
    Case::csv("id,n\n").query("SELECT id, COUNT(*) AS c FROM extract GROUP BY id").check(&[]);
    Case::csv("id,n\na,1\na,2\nb,5\n")
        .query("WITH t AS (SELECT id, SUM(n) AS s FROM extract GROUP BY id) SELECT * FROM t ORDER BY id")
        .check(&["a|3", "b|5"]);
}

#[test]
fn models_that_cannot_run() {
    let case = |query: &str| Case::csv("id,seats\n1,2\n").query(query);
    let error = case("SELECT id, sets FROM extract").pull().unwrap_err();
    assert!(
        error.message.starts_with("the query over `extract` failed: ") && error.message.contains("sets"),
        "{error}"
    );
    assert_eq!(error.hint.as_deref(), Some("did you mean `seats`? `extract` has the columns: id, seats"));
    for (query, part) in [
        ("SELECT * FROM orgs", "orgs"),
        ("SELECT * FROM extract; SELECT 1", "one"),
        ("TRUNCATE TABLE extract", "must be one SELECT"),
        ("SELECT FROM WHERE", "failed"),
        ("SELECT id, id FROM extract", "id"),
        ("SELECT * FROM read_csv('/etc/passwd')", "read_csv"),
    ] {
        let error = case(query).pull().unwrap_err();
        assert!(error.message.contains(part), "{query}: {error}");
    }
}

#[test]
fn pinned_input_types_hold() {
    let query = "SELECT * FROM extract";
    let pins = [("id", Kind::Text), ("seats", Kind::Float)];
    // Tonight both look like integers; they stay what they were. A new column has its guess.
    let extract = Case::csv("id,seats,more\n1,2,3\n").query(query).pinned(&pins).check(&["1|2.0|3"]);
    assert_eq!(extract.input, Some(schema(&[("id", Kind::Text), ("seats", Kind::Float), ("more", Kind::Int)])));
    let error = Case::csv("id,seats\n1,2\n2,many\n3,\n4,\"1\n\"\n").query(query).pinned(&pins).check_error(
        "2 values do not fit the pinned types:\n  \
         orgs.csv, line 3: column `seats` is pinned as float, found \"many\"\n  \
         orgs.csv, line 5: column `seats` is pinned as float, found \"1\\n\"",
    );
    assert!(error.hint.unwrap().contains("pinned with the job's first base"));
    let mut two = Case::new(FileFormat::Csv, "*.csv").query(query).pinned(&[("n", Kind::Int)]);
    two = two.file("a.csv", "n\n1\n").file("b.csv", "n\n1\nx\n");
    two.check_error(
        "1 value does not fit the pinned types:\n  b.csv, line 3: column `n` is pinned as int, found \"x\"",
    );
    Case::csv("id\n1\n")
        .query(query)
        .pinned(&pins)
        .check_error("`seats` column is missing from the extract, which has: id");
    // Without a query the pins are normalise's business.
    Case::csv("id\n1\n").pinned(&pins).check(&["1"]);
}

// NDJSON

#[test]
fn ndjson_values() {
    let extract = Case::ndjson("{\"id\":\"a\",\"n\":1,\"f\":1}\r\n\n{\"id\":\"b\",\"f\":2.5,\"ok\":true}\n")
        .check(&["a|1|1.0|NULL", "b|NULL|2.5|true"]);
    assert_eq!(extract.typing, Typing::Declared);
    assert!(extract.input.is_none());
    Case::ndjson("{\"id\":1}\n{\"id\":\"b\"}\n").check(&["1", "b"]);
    Case::ndjson("\u{feff}{\"id\":1}").check(&["1"]);
    Case::ndjson("").check(&[]);
    Case::ndjson("\n \n").query("SELECT id FROM extract").pinned(&[("id", Kind::Int)]).check(&[]);
    let late: String = (0..3000).map(|n| format!("{{\"id\":{n}}}\n")).collect();
    let extract = Case::ndjson(&format!("{late}{{\"id\":1,\"late\":\"x\"}}\n")).pull().unwrap();
    assert_eq!(whole(&extract).column(1).as_string_view().value(3000), "x");
    Case::new(FileFormat::Ndjson, "*.ndjson")
        .file("a.ndjson", "{\"id\":1}")
        .file("b.ndjson", "{\"id\":2,\"n\":\"x\"}")
        .check(&["1|NULL", "2|x"]);
}

#[test]
fn ndjson_nested_values() {
    let extract = Case::ndjson(
        "{\"id\":1,\"flags\":{\"a\":true},\"tags\":[\"x\",\"y\"]}\n{\"id\":2,\"flags\":{\"b\":1},\"tags\":[]}\n",
    )
    .query("SELECT * FROM extract")
    .pull()
    .unwrap();
    let batch = whole(&extract);
    let flags = batch.column(1).as_struct();
    assert!(flags.column_by_name("a").unwrap().as_boolean().value(0));
    assert_eq!(flags.column_by_name("b").unwrap().as_primitive::<Int64Type>().value(1), 1);
    assert_eq!(batch.column(2).as_list::<i64>().value(0).as_string_view().value(1), "y");
    assert_eq!(extract.input, Some(schema(&[("id", Kind::Int), ("flags", Kind::Json), ("tags", Kind::Json)])));
}

#[test]
fn ndjson_faults_are_named_by_line() {
    Case::ndjson("{\"id\":1}\n\n{\"id\":2,}\n{\"id\":3\n").check_error(
        "orgs.ndjson has 2 faulty lines:\n  line 3: not valid JSON: trailing comma (column 9)\n  \
         line 4: not valid JSON: EOF while parsing an object (column 7)",
    );
    Case::ndjson("{\"id\":1}\n[1]\n").check_error("orgs.ndjson, line 2: not a JSON object but an array");
    Case::ndjson("{\"id\":1}\nnull\n").check_error("orgs.ndjson, line 2: not a JSON object but null");
    Case::new(FileFormat::Ndjson, "a.ndjson")
        .file("a.ndjson", b"{\"id\":1}\n{\"id\":\"\xe9\"}\n")
        .check_error("a.ndjson, line 2: not valid UTF-8");
    Case::ndjson("{\"id\":1}\n{\"id\":18446744073709551615}\n").check_error(
        "orgs.ndjson, line 2: `id`: 18446744073709551615 does not fit a signed 64-bit integer (write it as a string)",
    );
    Case::ndjson("{\"id\":[1]}\n{\"id\":2}\n")
        .check_error("orgs.ndjson, line 2: `id` is a number, but an array in line 1");
    Case::ndjson("{\"id\":true}\n{\"id\":2}\n").check_error("orgs.ndjson, line 1: column `id` is int, found true");
    Case::ndjson(&format!("{{\"id\":1}}\n{{\"id\":1{}}}\n", "0".repeat(60)))
        .check_error("orgs.ndjson, line 2: not readable: InvalidNumber at character 45 ('0')");
}

#[test]
fn ndjson_pins() {
    let case = |text: &str, pins: &[(&str, Kind)]| Case::ndjson(text).query("SELECT * FROM extract").pinned(pins);
    let extract = case("{\"id\":1,\"n\":2}\n", &[("id", Kind::Text), ("n", Kind::Float)]).check(&["1|2.0"]);
    assert_eq!(extract.input, Some(schema(&[("id", Kind::Text), ("n", Kind::Float)])));
    case("{\"n\":1}\n{\"n\":1.5}\n{\"n\":\"x\"}\n", &[("n", Kind::Int)]).check_error(
        "orgs.ndjson has 2 faulty lines:\n  line 2: column `n` is int, found 1.5\n  line 3: column `n` is int, found \"x\"",
    );
    case("{\"n\":{}}\n", &[("n", Kind::Int)]).pull().unwrap_err();
    case("{\"n\":1}\n", &[("m", Kind::Int)]).check_error("`m` column is missing from the extract, which has: n");
    let extract = case("{\"id\":1,\"n\":null}\n", &[("id", Kind::Int), ("n", Kind::Int)]).check(&["1|NULL"]);
    assert_eq!(extract.input, Some(schema(&[("id", Kind::Int), ("n", Kind::Int)])));
}

// Parquet

fn numbers(values: &[i64]) -> RecordBatch {
    RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(values.to_vec())) as ArrayRef)]).unwrap()
}

/// Three rows, the last one all NULL but for its id.
fn every_type() -> RecordBatch {
    let at = vec![Some(1_768_473_000_000_000), Some(0), None];
    let strings = StringArray::from(vec![Some("ä"), Some("a text that is longer than twelve bytes"), None]);
    let tags = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), Some(vec![]), None]);
    let nested = StructArray::from(vec![(
        Arc::new(Field::new("seats", DataType::Int64, true)),
        Arc::new(Int64Array::from(vec![Some(5), None, None])) as ArrayRef,
    )]);
    let plan: DictionaryArray<Int32Type> = [Some("pro"), Some("free"), None].into_iter().collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ("i8", Arc::new(Int8Array::from(vec![Some(-128), Some(127), None]))),
        ("u64", Arc::new(UInt64Array::from(vec![Some(u64::MAX), Some(0), None]))),
        ("f64", Arc::new(Float64Array::from(vec![Some(0.1), Some(-0.0), None]))),
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ("text", Arc::new(strings)),
        ("bytes", Arc::new(BinaryArray::from(vec![Some(&b"\xff\x00"[..]), Some(&b""[..]), None]))),
        ("date", Arc::new(Date32Array::from(vec![Some(20_468), Some(-1), None]))),
        ("local", Arc::new(TimestampMicrosecondArray::from(at.clone()))),
        ("zoned", Arc::new(TimestampMicrosecondArray::from(at).with_timezone("Europe/Berlin"))),
        (
            "money",
            Arc::new(
                Decimal128Array::from(vec![Some(12_345), Some(-1), None]).with_precision_and_scale(18, 2).unwrap(),
            ),
        ),
        ("tags", Arc::new(tags)),
        ("nested", Arc::new(nested)),
        ("plan", Arc::new(plan)),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()
}

fn check_every_type(batch: &RecordBatch) {
    let original = every_type();
    let column = |name: &str| batch.column_by_name(name).unwrap();
    assert_eq!(column("i8").as_primitive::<Int8Type>(), original.column(1).as_primitive::<Int8Type>());
    assert_eq!(column("u64").as_primitive::<UInt64Type>(), original.column(2).as_primitive::<UInt64Type>());
    for name in ["f64", "bool", "date", "local", "zoned"] {
        assert_eq!(column(name), original.column_by_name(name).unwrap(), "{name}");
    }
    assert_eq!(*column("zoned").data_type(), DataType::Timestamp(TimeUnit::Microsecond, Some("Europe/Berlin".into())));
    let text = column("text").as_string_view();
    assert_eq!((text.value(0), text.value(1)), ("ä", "a text that is longer than twelve bytes"));
    assert_eq!(column("bytes").as_binary_view().value(0), b"\xff\x00");
    let money = column("money").as_primitive::<arrow::datatypes::Decimal128Type>();
    assert_eq!((money.value(0), money.value(1), money.scale()), (12_345, -1, 2));
    let tags = column("tags").as_list::<i64>();
    assert!(tags.value(0).as_primitive::<Int32Type>().is_null(1) && tags.value(1).is_empty());
    assert_eq!(column("nested").as_struct().column(0).as_primitive::<Int64Type>().value(0), 5);
    assert_eq!((column("plan").as_string_view().value(0), column("plan").as_string_view().value(1)), ("pro", "free"));
    for name in ["i8", "u64", "f64", "bool", "text", "bytes", "date", "local", "zoned", "money", "tags", "plan"] {
        assert!(column(name).is_null(2), "{name}");
    }
}

#[test]
fn parquet_types_come_through() {
    let case = Case::new(FileFormat::Parquet, "orgs.parquet").parquet("orgs.parquet", &every_type());
    let extract = case.pull().unwrap();
    assert_eq!((&extract.typing, &extract.input), (&Typing::Declared, &None));
    assert!(extract.schema.fields().iter().all(|f| f.is_nullable()));
    check_every_type(&whole(&extract));
    let model = case.query("SELECT * FROM extract WHERE id <= 3").pull().unwrap();
    check_every_type(&whole(&model));
}

#[test]
fn parquet_files_are_one_table() {
    let nulls =
        RecordBatch::try_from_iter_with_nullable([("n", arrow::array::new_null_array(&DataType::Null, 1), true)])
            .unwrap();
    let case = Case::new(FileFormat::Parquet, "*.parquet")
        .parquet("a.parquet", &nulls)
        .parquet("b.parquet", &numbers(&[1, 2, 3, 4, 5]))
        .parquet("c.parquet", &numbers(&[]));
    case.check(&["NULL", "1", "2", "3", "4", "5"]);
    case.query("SELECT n + 1 AS m FROM extract WHERE n > 3").check(&["5", "6"]);
    Case::new(FileFormat::Parquet, "a.parquet").parquet("a.parquet", &numbers(&[])).check(&[]);
}

#[test]
fn parquet_faults_name_the_file() {
    let case = Case::new(FileFormat::Parquet, "a.parquet");
    case.file("a.parquet", "").check_error("a.parquet is empty (0 bytes), not a Parquet file");
    let case = Case::new(FileFormat::Parquet, "a.parquet").parquet("a.parquet", &every_type());
    let whole = std::fs::read(case.folder.path().join("a.parquet")).unwrap();
    let cut = [&whole[..whole.len() / 2], b"id,name\n1,a\n", &whole[..4]];
    for bytes in cut {
        let error = Case::new(FileFormat::Parquet, "a.parquet").file("a.parquet", bytes).pull().unwrap_err();
        let file = Path::new(&error.message);
        assert!(file.to_string_lossy().contains("a.parquet as Parquet: ") && error.hint.is_some(), "{error}");
    }
}

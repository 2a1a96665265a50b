//! DuckDB's own library.

use super::engines::duckdb;
use super::{Case, batches, count};
use std::path::PathBuf;

/// A database in a file, made by DuckDB itself.
fn database(case: &Case, sql: &str) -> PathBuf {
    let path = case.home.path().join("orgs.duckdb");
    let script = "import sys, duckdb; duckdb.connect(sys.argv[1]).execute(sys.argv[2])";
    let made = crate::support::python().args(["-c", script]).arg(&path).arg(sql).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    path
}

fn in_memory(query: &str) -> Case {
    Case::query(&duckdb(), "", query)
}

#[test]
fn every_type() {
    in_memory(
        "SELECT 1::TINYINT AS a, 2::UBIGINT AS b, 3::HUGEINT AS c, 1.50::DECIMAL(10,2) AS d, 0.5::DOUBLE AS e, 'x' AS f, true AS g, \
         DATE '2026-01-02' AS h, TIME '10:00:01.5' AS i, TIMESTAMP '2026-01-02 10:00:00' AS j, TIMESTAMPTZ '2026-01-02 10:00:00+02' AS k, \
         TIMESTAMP_NS '2026-01-02 10:00:00' AS l, '550e8400-e29b-41d4-a716-446655440000'::UUID AS m, [1, 2] AS n, {'p': 1} AS o, \
         MAP {'k': 1} AS p, 'y'::ENUM('x', 'y') AS q, [1, 2]::INT[2] AS r, NULL AS s, NULL::VARCHAR AS t",
    )
    .check(
        &[
            "a: int", "b: decimal(0)", "c: decimal(0)", "d: decimal(2)", "e: float", "f: text", "g: bool", "h: date", "i: time",
            "j: local timestamp", "k: timestamp", "l: local timestamp", "m: text", "n: json", "o: json", "p: json", "q: text", "r: json",
            "s: int", "t: text",
        ],
        &["1|2|3|1.5|0.5|x|true|2026-01-02|10:00:01.500|2026-01-02T10:00:00.000|2026-01-02T08:00:00.000Z|2026-01-02T10:00:00.000|\
           550e8400-e29b-41d4-a716-446655440000|[1,2]|{\"p\":1}|{\"k\":1}|y|[1,2]|NULL|NULL"],
    );
}

#[test]
fn types_that_cannot_be_sent_are_told_all_at_once_and_the_casts_help() {
    in_memory("SELECT 'a'::BLOB AS x, INTERVAL 1 DAY AS y, 1 AS z, ['a'::BLOB] AS w").check_error(&[
        "these columns cannot be sent: `x` (Binary), `y` (Interval(MonthDayNano)), `w` (List(",
        "hex(\"x\") AS \"x\"",
        "CAST(\"y\" AS VARCHAR) AS \"y\"",
    ]);
    in_memory("SELECT hex('a'::BLOB) AS x, CAST(INTERVAL 1 DAY AS VARCHAR) AS y")
        .check(&["x: text", "y: text"], &["61|1 day"]);
}

#[test]
fn columns_of_one_name_and_json_by_name() {
    in_memory("SELECT 1 AS a, 2 AS b, 3 AS a").check_error(&["columns of the same name: `a`", "AS"]);
    let text = "SELECT '{\"b\": 1.0, \"a\": 2}' AS j";
    in_memory(text).check(&["j: text"], &["{\"b\": 1.0, \"a\": 2}"]);
    Case::query(&duckdb(), "json = [\"j\"]", text).check(&["j: json"], &["{\"a\":2,\"b\":1}"]);
    Case::query(&duckdb(), "json = [\"k\"]", text).check_error(&["source.json", "no column k"]);
    Case::query(&duckdb(), "json = [\"n\"]", "SELECT 1 AS n").check_error(&["`n` (Int32)", "source.json"]);
}

#[test]
fn a_table_of_a_file_and_a_query_file() {
    let mut case = Case::new(
        &duckdb(),
        "table = 'main.\"my orgs\"'\n[source.options]\npath = \"PATH\"\naccess_mode = \"READ_ONLY\"",
    );
    let path = database(&case, "CREATE TABLE \"my orgs\" AS SELECT 1 AS id, 'Acme' AS name");
    case.source = case.source.replace("PATH", &path.display().to_string());
    case.check(&["id: int", "name: text"], &["1|Acme"]);
    super::file(&case.home, "models/orgs.sql", "SELECT id + 1 AS id FROM \"my orgs\";\n");
    case.source = case.source.replace("table = 'main.\"my orgs\"'", "query_file = \"models/orgs.sql\"");
    case.check(&["id: int"], &["2"]);
    case.source = case.source.replace("models/orgs.sql", "models/none.sql");
    case.check_error(&["models/none.sql cannot be read"]);
}

#[test]
fn parameters_are_bound() {
    in_memory(
        "SELECT {{last_success}} AS a, {{run_date}} AS b, {{last_success}} > TIMESTAMPTZ '2026-03-04 05:00:00+00' AS c",
    )
    .parameters("2026-03-04T05:06:07.089Z", "2026-03-05")
    .check(&["a: timestamp", "b: date", "c: bool"], &["2026-03-04T05:06:07.089Z|2026-03-05|true"]);
    in_memory("SELECT {{last_succes}}").check_error(&["`{{last_succes}}`, which there is not"]);
}

#[test]
fn errors_of_the_database() {
    in_memory("SELECT * FROM nowhere").check_error(&["nowhere", "does not exist"]);
    in_memory("SELEC 1").check_error(&["syntax error"]);
    Case::query(&duckdb(), "[source.options]\npath = \"/nonexistent/x.duckdb\"", "SELECT 1")
        .check_error(&["/nonexistent/x.duckdb"]);
    Case::query(&duckdb(), "[source.options]\nnonsense = \"1\"", "SELECT 1").check_error(&["nonsense"]);
    // An error that only a late row shows.
    in_memory("SELECT CASE WHEN i > 900000 THEN error('late') ELSE i END AS id FROM range(1000000) t(i)")
        .check_error(&["late"]);
}

#[test]
fn an_empty_extract_has_its_columns() {
    in_memory("SELECT 1 AS id, 'x' AS name WHERE false").check(&["id: int", "name: text"], &[]);
}

#[test]
fn a_million_rows_come_in_order() {
    let case = in_memory("SELECT i AS id, 'org ' || i AS name FROM range(1000000) t(i)");
    let mut expected = 0;
    for batch in batches(&*case.stream().unwrap().rows, 2).unwrap() {
        let ids = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(batch.column(0));
        assert!(ids.values().iter().copied().eq(expected..expected + ids.len() as i64));
        expected += ids.len() as i64;
    }
    assert_eq!(expected, 1_000_000);
}

#[test]
fn wide_rows() {
    let columns: Vec<String> = (0..300).map(|n| format!("repeat('x', 1000) || i AS c{n}")).collect();
    let case = in_memory(&format!("SELECT i AS id, {} FROM range(3000) t(i)", columns.join(", ")));
    assert_eq!(count(&case.stream().unwrap()).unwrap(), 3000);
}

#[test]
fn a_query_is_cancelled() {
    let slow = "SELECT count(*) AS id FROM range(100000000000) t(i) WHERE sqrt(i) > -1";
    Case::query(&duckdb(), "timeout = \"1s\"", slow).check_error(&["it was cancelled"]);
}

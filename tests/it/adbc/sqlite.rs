//! The SQLite driver.

use super::engines::sqlite;
use super::{Case, count};

fn case(query: &str) -> Case {
    Case::query(&sqlite(), "", query)
}

#[test]
fn every_type() {
    case("SELECT 1 AS a, 1.5 AS b, 'x' AS c, NULL AS d")
        .check(&["a: int", "b: float", "c: text", "d: int"], &["1|1.5|x|NULL"]);
    case("SELECT x'00' AS b, 1 AS a").check_error(&["cannot be sent: `b` (Binary)", "hex(\"b\")"]);
    case("SELECT hex(x'00ff') AS b").check(&["b: text"], &["00FF"]);
}

#[test]
fn a_file_and_parameters() {
    let mut case = Case::new(&sqlite(), "table = \"orgs\"\n[source.options]\nuri = \"PATH\"");
    let path = case.home.path().join("orgs.db");
    let sql = "CREATE TABLE orgs (id INTEGER, seen TEXT); INSERT INTO orgs VALUES (1, '2026-01-01T00:00:00'), (2, '2026-03-01T00:00:00')";
    assert!(std::process::Command::new("sqlite3").arg(&path).arg(sql).status().unwrap().success());
    case.source = case.source.replace("PATH", &path.display().to_string());
    case.check(&["id: int", "seen: text"], &["1|2026-01-01T00:00:00", "2|2026-03-01T00:00:00"]);
    case.source = case.source.replace(
        "table = \"orgs\"",
        "query = \"SELECT id, {{last_success}} AS l, {{run_date}} AS r FROM orgs WHERE seen > {{last_success}}\"",
    );
    case.parameters("2026-02-01T00:00:00Z", "2026-03-05")
        .check(&["id: int", "l: text", "r: text"], &["2|2026-02-01T00:00:00.000000|2026-03-05"]);
}

/// A driver would do what it is told, `check` or not.
#[test]
fn a_query_that_writes_is_not_asked() {
    let mut case = case("DELETE FROM orgs RETURNING id");
    let path = case.home.path().join("orgs.db");
    let sqlite = |sql: &str| std::process::Command::new("sqlite3").arg(&path).arg(sql).output().unwrap().stdout;
    sqlite("CREATE TABLE orgs (id INTEGER); INSERT INTO orgs VALUES (1), (2)");
    case.source = format!("{}[source.options]\nuri = {:?}\n", case.source, path.display().to_string());
    let asked = case.source.clone();
    case.check_error(&["query has DELETE in it", "only reads", "one SELECT"]);
    case.source = asked.replace("DELETE FROM orgs RETURNING id", "SELECT id FROM orgs; DROP TABLE orgs");
    case.check_error(&["query has DROP in it"]);
    super::file(&case.home, "write.sql", "-- all of them\nUPDATE orgs SET id = 3 RETURNING id");
    case.source = asked.replace("query = '''DELETE FROM orgs RETURNING id'''", "query_file = \"write.sql\"");
    case.check_error(&["write.sql has UPDATE in it"]);
    assert_eq!(String::from_utf8(sqlite("SELECT id FROM orgs")).unwrap(), "1\n2\n");
}

#[test]
fn errors_of_the_database() {
    let error = case("SELECT * FROM nowhere").check_error(&["no such table: nowhere"]);
    assert!(error.message.starts_with("libadbc_driver_sqlite.so: ") && !error.message.contains("SELECT"), "{error:?}");
    Case::query(&sqlite(), "[source.options]\nuri = \"/nonexistent/x.db\"", "SELECT 1")
        .check_error(&["/nonexistent/x.db"]);
    // The driver takes a column's type from its first rows.
    case("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 3000) SELECT x AS id, CASE WHEN x > 2000 THEN 'text' ELSE x END AS y FROM c")
        .check_error(&["reading the rows failed", "Type mismatch in column 1"]);
}

#[test]
fn a_million_rows_and_a_limit() {
    let numbers = "WITH RECURSIVE c(x) AS (SELECT 0 UNION ALL SELECT x+1 FROM c WHERE x < 999999) SELECT x AS id, 'org ' || x AS name FROM c";
    assert_eq!(count(&case(numbers).stream().unwrap()).unwrap(), 1_000_000);
    assert_eq!(count(&case(numbers).limit(20).stream().unwrap()).unwrap(), 20);
}

/// Longer than a time-out of a second, and with an end: the driver cannot cancel, and a query without one would take a core until the last test is over.
pub const SLOW: &str =
    "WITH RECURSIVE c(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM c WHERE x < 30000000) SELECT count(*) AS id FROM c";

#[test]
fn a_query_is_cancelled() {
    Case::query(&sqlite(), "timeout = \"1s\"", SLOW).check_error(&["longer than 1s", "`timeout`"]);
}

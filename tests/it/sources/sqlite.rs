//! A SQLite file, made by `sqlite3`.

use super::{Case, Engine, Types, conformance};
use std::path::PathBuf;
use std::process::Command;

/// A file in a folder of its own.
pub struct OfSqlite {
    folder: tempfile::TempDir,
}

impl OfSqlite {
    /// With a table that is too large for SQLite to keep in memory, so that a file that is gone is noticed.
    fn new() -> Self {
        let engine = OfSqlite { folder: tempfile::tempdir().unwrap() };
        engine.sql(
            "PRAGMA page_size = 4096;
             CREATE TABLE plans (id INTEGER PRIMARY KEY, plan TEXT, filler TEXT);
             WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s LIMIT 20000)
             INSERT INTO plans SELECT n, CASE n % 3 WHEN 0 THEN 'free' WHEN 1 THEN 'pro' ELSE 'team' END, hex(zeroblob(300)) FROM s;",
        );
        engine
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("orgs.db")
    }

    fn sql(&self, sql: &str) {
        let output = Command::new("sqlite3").args(["-bail"]).arg(self.file()).arg(sql).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn case(&self, query: &str) -> Case {
        Case::new(self, query, "")
    }
}

impl Engine for OfSqlite {
    fn source(&self) -> String {
        format!("kind = \"sqlite\"\npath = {:?}\n", self.file().display().to_string())
    }

    fn password(&self) -> String {
        String::new()
    }

    fn types(&self) -> Types {
        self.sql(
            "CREATE TABLE t (\"int\" INTEGER, big BIGINT, \"real\" REAL, dbl DOUBLE PRECISION, \"text\" TEXT, vc VARCHAR(9), \
             bool BOOLEAN, dec DECIMAL(12, 2), day DATE, at TIMESTAMP, j JSON);
             INSERT INTO t VALUES (-1, 9223372036854775807, 0.1, 2, 'ä ''ö', 'v', 1, 49.9, '2026-11-27', '2026-11-27 01:02:03', '[1.0]');
             INSERT INTO t VALUES (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);",
        );
        let query = "SELECT *, \"int\" * 2 AS product, dbl / 4 AS quotient, upper(vc) AS expression FROM t ORDER BY \"int\" IS NULL";
        let columns = vec![
            ("int", "Int64", "-1"),
            ("big", "Int64", "9223372036854775807"),
            ("real", "Float64", "0.1"),
            ("dbl", "Float64", "2.0"),
            ("text", "Utf8View", "ä 'ö"),
            ("vc", "Utf8View", "v"),
            ("bool", "Boolean", "true"),
            ("dec", "Float64", "49.9"),
            ("day", "Utf8View", "2026-11-27"),
            ("at", "Utf8View", "2026-11-27 01:02:03"),
            ("j", "Utf8View", "[1.0]"),
            ("product", "Int64", "-2"),
            ("quotient", "Float64", "0.5"),
            ("expression", "Utf8View", "V"),
        ];
        Types { query: query.to_owned(), columns }
    }

    fn unfit(&self) -> (String, Vec<(&'static str, &'static str)>) {
        let query = "SELECT x'00' AS a, column1 AS \"B b\", 1 AS ok FROM (VALUES (1), ('x'))";
        (query.to_owned(), vec![("a", "hex(\"a\") AS \"a\""), ("B b", "CAST(\"B b\" AS TEXT) AS \"B b\"")])
    }

    fn rows(&self, count: u64) -> String {
        format!(
            "SELECT 'ws_' || n AS workspace_id, n, (SELECT plan FROM plans WHERE id = n * 7919 % 20000) AS plan, n / 100.0 AS mrr \
             FROM (WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s LIMIT {count}) SELECT n FROM s)"
        )
    }

    /// What the types of expressions rest on is a look at all rows.
    fn many(&self) -> u64 {
        400_000
    }

    fn wide(&self, count: u64, bytes: usize) -> String {
        format!(
            "SELECT 'ws_' || n AS workspace_id, replace(hex(zeroblob({bytes} / 2)), '0', 'x') AS payload \
             FROM (WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s LIMIT {count}) SELECT n FROM s)"
        )
    }

    fn endless(&self) -> String {
        "SELECT 'ws_' || max(n) AS workspace_id FROM (WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT n FROM s)"
            .to_owned()
    }

    fn parameters(&self) -> String {
        "SELECT 'ws_1' AS workspace_id, {{last_success}} AS since, {{run_date}} AS day WHERE {{ run_date }} < date('now')".to_owned()
    }

    /// While somebody reads, nobody else has the file to himself.
    fn running(&self) -> Option<usize> {
        let output = Command::new("sqlite3").arg(self.file()).arg("BEGIN EXCLUSIVE; ROLLBACK;").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() || said.contains("locked"), "{said}");
        Some(usize::from(!output.status.success()))
    }

    /// Cuts the file off in the middle.
    fn cut(&self) {
        let file = std::fs::OpenOptions::new().write(true).open(self.file()).unwrap();
        file.set_len(64 * 1024).unwrap();
    }
}

conformance!(OfSqlite::new());

#[test]
fn a_value_of_another_class_is_an_error_that_names_the_column() {
    let engine = OfSqlite::new();
    engine.sql(
        "CREATE TABLE odd (id TEXT, n INTEGER, flag BOOLEAN, r REAL);
         INSERT INTO odd VALUES ('a', 1, 0, 1.5), ('b', 'two', 1, 2.5), ('c', 3, 7, 9007199254740993), (x'00', 1, 1, 1);",
    );
    for (query, parts) in [
        ("SELECT n FROM odd", ["`n` is declared as INTEGER", "text"]),
        ("SELECT flag FROM odd", ["`flag` is declared as BOOLEAN", "7"]),
        ("SELECT id FROM odd", ["`id` is declared as TEXT", "a blob"]),
    ] {
        let error = engine.case(query).error();
        assert!(parts.iter().all(|part| error.message.contains(part)), "{error:?}");
        assert!(error.hint.is_some_and(|hint| hint.contains("CAST(")));
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let engine = OfSqlite::new();
    let of = |path: &str| Case::of("", &format!("kind = \"sqlite\"\npath = {path:?}\ntable = \"plans\"\n"));
    assert!(of("none.db").error().message.contains("no such file"));
    let garbage = engine.folder.path().join("garbage.db");
    std::fs::write(&garbage, "this is not a database, and is long enough to be told apart from one: ".repeat(30))
        .unwrap();
    let error = of(&garbage.display().to_string()).error();
    assert!(error.message.contains("not a database") && error.hint.is_some(), "{error:?}");
    let error = engine.case("SELECT * FORM plans").error();
    assert!(error.message.contains("FORM") && error.hint.is_some(), "{error:?}");
    let error = engine.case("DELETE FROM plans RETURNING id").error();
    assert!(error.message.contains("has DELETE in it"), "{error:?}");
    let error = engine.case("SELECT * FROM plan").error();
    assert!(error.message.contains("no such table: plan"), "{error:?}");
    assert_eq!(error.hint.as_deref(), Some("the file has: plans"));
    let error = engine.case("SELECT 1 AS id; SELECT 2").error();
    assert!(error.hint.as_deref().is_some_and(|hint| hint.contains("one SELECT")), "{error:?}");
    let folder = of(&engine.folder.path().display().to_string()).error();
    assert!(folder.message.contains("this is a folder"), "{folder:?}");
    std::fs::write(engine.folder.path().join("empty.db"), "").unwrap();
    let empty = of(&engine.folder.path().join("empty.db").display().to_string()).error();
    assert!(empty.hint.as_deref().is_some_and(|hint| hint.contains("has no tables")), "{empty:?}");
    let table = of(&engine.file().display().to_string()).read().unwrap();
    assert_eq!(table.len(), 20_000);
}

#[test]
fn a_column_without_a_value_has_no_type_yet() {
    let table = OfSqlite::new().case("SELECT 'ws_1' AS workspace_id, NULL AS later").read().unwrap();
    assert_eq!((table.type_of("later"), table.column("later")), ("Null".to_owned(), vec!["NULL".to_owned()]));
}

/// SQLite takes `A` and `a` for one name: the second would have the values of the first.
#[test]
fn names_that_differ_in_case_only_are_refused() {
    let error = OfSqlite::new().case("SELECT 'ws_1' AS workspace_id, 1 AS Plan, 2 AS plan").error();
    assert!(error.message.contains("`Plan` and `plan`") && error.hint.is_some(), "{error:?}");
}

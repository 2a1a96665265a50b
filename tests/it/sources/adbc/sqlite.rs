//! The SQLite driver over a file.

use crate::adbc::engines;
use crate::adbc::sqlite::SLOW;
use crate::sources::{Engine, Types, conformance};
use std::process::Command;

struct OfSqlite {
    folder: tempfile::TempDir,
}

impl OfSqlite {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sql = "CREATE TABLE plans (id INTEGER PRIMARY KEY, plan TEXT); INSERT INTO plans VALUES (0, 'free'), (1, 'pro'), (2, 'team');";
        let made = Command::new("sqlite3").arg(folder.path().join("orgs.db")).arg(sql).status().unwrap();
        assert!(made.success());
        OfSqlite { folder }
    }
}

impl Engine for OfSqlite {
    fn source(&self) -> String {
        let file = self.folder.path().join("orgs.db");
        super::source(&engines::sqlite(), &format!("uri = {:?}", file.display().to_string()))
    }

    fn password(&self) -> String {
        String::new()
    }

    fn types(&self) -> Types {
        let query = "SELECT -1 AS int, 0.1 AS \"real\", 'ä ''ö' AS \"text\" UNION ALL SELECT NULL, NULL, NULL";
        Types {
            query: query.to_owned(),
            columns: vec![("int", "Int64", "-1"), ("real", "Float64", "0.1"), ("text", "Utf8", "ä 'ö")],
        }
    }

    fn unfit(&self) -> (String, Vec<(&'static str, &'static str)>) {
        ("SELECT x'00' AS a, 1 AS ok".to_owned(), vec![("a", "hex(\"a\") AS \"a\"")])
    }

    fn rows(&self, count: u64) -> String {
        format!(
            "SELECT 'ws_' || n AS workspace_id, n, (SELECT plan FROM plans WHERE id = n % 3) AS plan, n / 100.0 AS mrr \
             FROM (WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s LIMIT {count}) SELECT n FROM s)"
        )
    }

    fn wide(&self, count: u64, bytes: usize) -> String {
        format!(
            "SELECT 'ws_' || n AS workspace_id, printf('%.{bytes}c', 'x') AS payload \
             FROM (WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s LIMIT {count}) SELECT n FROM s)"
        )
    }

    fn endless(&self) -> String {
        "SELECT 'ws_' || max(n) AS workspace_id FROM (WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT n FROM s)"
            .to_owned()
    }

    fn slow(&self) -> String {
        format!("SELECT 'ws_' || id AS workspace_id FROM ({SLOW})")
    }

    /// The driver binds text.
    fn parameters(&self) -> String {
        "SELECT 'ws_1' AS workspace_id, datetime({{last_success}}) AS since, {{run_date}} AS day WHERE {{ run_date }} < date('now')".to_owned()
    }

    /// While somebody reads, nobody else has the file to himself.
    fn running(&self) -> Option<usize> {
        let file = self.folder.path().join("orgs.db");
        let output = Command::new("sqlite3").arg(file).arg("BEGIN EXCLUSIVE; ROLLBACK;").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() || said.contains("locked"), "{said}");
        Some(usize::from(!output.status.success()))
    }

    fn cut(&self) {
        unreachable!("there is nothing between the process and itself")
    }
}

mod conformance {
    use super::*;

    // Of no row the driver says no types: in an empty extract every column is a number.
    conformance!(@cases OfSqlite::new();
        types, unfit, empty, nulls, names_twice, parameters, limit, wanted, several_times, in_order, cancelled, time_out, memory);
}

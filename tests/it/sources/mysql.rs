//! A real MariaDB, which speaks MySQL's protocol.

use super::{Case, Engine, Types, conformance};
use crate::support::mariadb::{PASSWORD, Server, USER};

/// A database of the shared server.
pub struct OfMysql {
    database: String,
}

impl OfMysql {
    fn new() -> Self {
        OfMysql { database: Server::shared().database() }
    }

    /// As root.
    fn sql(&self, sql: &str) -> String {
        Server::shared().sql(&self.database, sql)
    }

    fn case(&self, query: &str) -> Case {
        Case::new(self, query, "")
    }
}

impl Engine for OfMysql {
    fn source(&self) -> String {
        let port = Server::shared().port;
        format!("kind = \"mysql\"\nurl = \"mysql://{USER}:${{file:password}}@127.0.0.1:{port}/{}\"\n", self.database)
    }

    fn password(&self) -> String {
        PASSWORD.to_owned()
    }

    fn types(&self) -> Types {
        let columns = vec![
            ("b", "BOOLEAN", "TRUE", "Boolean", "true"),
            ("i8", "TINYINT", "-128", "Int8", "-128"),
            ("u8", "TINYINT UNSIGNED", "255", "UInt8", "255"),
            ("i16", "SMALLINT", "-32768", "Int16", "-32768"),
            ("u16", "SMALLINT UNSIGNED", "65535", "UInt16", "65535"),
            ("i24", "MEDIUMINT", "-8388608", "Int32", "-8388608"),
            ("i32", "INT", "-2147483648", "Int32", "-2147483648"),
            ("u32", "INT UNSIGNED", "4294967295", "UInt32", "4294967295"),
            ("i64", "BIGINT", "-9223372036854775808", "Int64", "-9223372036854775808"),
            ("u64", "BIGINT UNSIGNED", "18446744073709551615", "UInt64", "18446744073709551615"),
            ("y", "YEAR", "2026", "UInt16", "2026"),
            ("f", "FLOAT", "0.5", "Float32", "0.5"),
            ("d", "DOUBLE", "-1e300", "Float64", "-1e300"),
            ("price", "DECIMAL(12, 2)", "49.9", "Decimal128(38, 2)", "49.90"),
            ("whole", "DECIMAL(20)", "-7", "Decimal128(38, 0)", "-7"),
            ("fine", "DECIMAL(30, 20)", "0.00000000000000000001", "Decimal128(38, 20)", "0.00000000000000000001"),
            ("c", "CHAR(4)", "'ab'", "Utf8View", "ab"),
            ("v", "VARCHAR(20)", "'ä ''ö 🎉'", "Utf8View", "ä 'ö 🎉"),
            ("t", "TEXT", "''", "Utf8View", ""),
            ("bin", "VARCHAR(20) COLLATE utf8mb4_bin", "'A'", "Utf8View", "A"),
            ("e", "ENUM('small', 'large')", "'large'", "Utf8View", "large"),
            ("s", "SET('a', 'b', 'c')", "'a,c'", "Utf8View", "a,c"),
            ("day", "DATE", "'1969-07-20'", "Date32", "1969-07-20"),
            ("clock", "TIME(6)", "'23:59:59.999999'", "Time64(µs)", "23:59:59.999999"),
            ("dt", "DATETIME(6)", "'2026-11-27 01:02:03.000004'", "Timestamp(µs)", "2026-11-27T01:02:03.000004"),
            ("midnight", "DATETIME", "'2026-11-27'", "Timestamp(µs)", "2026-11-27T00:00:00"),
            ("ts", "TIMESTAMP NULL", "'2000-01-01 04:00:00'", "Timestamp(µs, \"UTC\")", "2000-01-01T04:00:00Z"),
            (
                "id",
                "UUID",
                "'6BA7B810-9dad-11d1-80b4-00c04fd430c8'",
                "Utf8View",
                "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            ),
        ];
        let declared: Vec<String> = columns.iter().map(|(name, of, ..)| format!("`{name}` {of}")).collect();
        let values: Vec<&str> = columns.iter().map(|(_, _, value, ..)| *value).collect();
        self.sql(&format!(
            "SET time_zone = '+00:00'; CREATE TABLE t ({}); INSERT INTO t VALUES ({}); INSERT INTO t () VALUES ()",
            declared.join(", "),
            values.join(", ")
        ));
        let mut expected: Vec<_> = columns.into_iter().map(|(name, _, _, of, value)| (name, of, value)).collect();
        expected.push(("total", "Decimal128(38, 3)", "149.700"));
        let query = "SELECT *, price * 3.0 AS total FROM t ORDER BY i8 IS NULL".to_owned();
        Types { query, columns: expected }
    }

    fn unfit(&self) -> (String, Vec<(&'static str, &'static str)>) {
        self.sql("CREATE TABLE u (a BLOB, `B b` VARBINARY(4), c BIT(8), d POINT, ok INT)");
        let casts = vec![
            ("a", "HEX(`a`) AS `a`"),
            ("B b", "HEX(`B b`) AS `B b`"),
            ("c", "`c` + 0 AS `c`"),
            ("d", "ST_AsText(`d`) AS `d`"),
        ];
        ("SELECT * FROM u".to_owned(), casts)
    }

    fn rows(&self, count: u64) -> String {
        format!(
            "SELECT CONCAT('ws_', seq) AS workspace_id, seq AS n, ELT(seq % 3 + 1, 'free', 'pro', 'team') AS plan, \
             CAST(seq / 100 AS DECIMAL(12, 2)) AS mrr FROM seq_1_to_{count}"
        )
    }

    fn wide(&self, count: u64, bytes: usize) -> String {
        format!("SELECT CONCAT('ws_', seq) AS workspace_id, REPEAT('x', {bytes}) AS payload FROM seq_1_to_{count}")
    }

    fn endless(&self) -> String {
        "SELECT CONCAT('ws_', count(*)) AS workspace_id FROM seq_1_to_1000000 AS a, seq_1_to_1000000 AS b WHERE a.seq % 7 = b.seq % 5"
            .to_owned()
    }

    fn parameters(&self) -> String {
        "SELECT 'ws_1' AS workspace_id, DATE_FORMAT({{last_success}}, '%Y-%m-%d %H:%i:%s') AS since, \
         DATE_FORMAT({{run_date}}, '%Y-%m-%d') AS day FROM DUAL WHERE {{ run_date }} < NOW()"
            .to_owned()
    }

    fn running(&self) -> Option<usize> {
        let running = format!(
            "SELECT count(*) FROM information_schema.processlist WHERE user = '{USER}' AND db = DATABASE() AND command <> 'Sleep'"
        );
        Some(self.sql(&running).parse().unwrap())
    }

    fn cut(&self) {
        let ids = self
            .sql(&format!("SELECT id FROM information_schema.processlist WHERE user = '{USER}' AND db = DATABASE()"));
        for id in ids.lines() {
            self.sql(&format!("KILL CONNECTION {id}"));
        }
    }
}

conformance!(OfMysql::new());

/// Whatever is wrong is said with what to do, and never with the password.
#[track_caller]
fn says(case: &Case, parts: &[&str]) {
    let error = case.error();
    let text = format!("{} / {}", error.message, error.hint.clone().unwrap_or_default());
    for part in parts {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("planted"), "{text}");
    assert!(!format!("{:?} {}", case.source, case.source.describe()).contains("planted"));
}

#[test]
fn what_the_server_refuses_is_said_with_the_remedy() {
    let engine = OfMysql::new();
    Server::shared().sql("mysql", "CREATE DATABASE IF NOT EXISTS others; CREATE TABLE IF NOT EXISTS others.t (a INT)");
    says(&engine.case("SELECT a FROM others.t"), &["denied", "GRANT SELECT ON `others`.`t` TO", USER, "mend its name"]);
    engine.sql("CREATE TABLE IF NOT EXISTS others.`u v` (a INT)");
    says(
        &engine.case("WITH t AS (SELECT 1 AS a) SELECT t.a FROM t JOIN others.t AS s USING (a), others.`u v`"),
        &["denied", "for the tables `others`.`t`, `others`.`u v`", "GRANT SELECT ON `others`.`u v` TO"],
    );
    says(&engine.case("DELETE FROM others.t"), &["has DELETE in it", "only reads"]);
    says(&engine.case("SELECT 1 AS a; SELECT 2"), &["syntax"]);
    says(&engine.case("SELECT 1 AS a\nFORM orgs"), &["syntax", "line 2"]);
    says(&engine.case("SELECT * FROM nowhere"), &["doesn't exist", "crm.orgs"]);
}

#[test]
fn what_is_wrong_with_the_address_is_said_without_it() {
    let engine = OfMysql::new();
    let of =
        |password: &str, url: &str| Case::of(password, &format!("kind = \"mysql\"\nurl = \"{url}\"\ntable = \"t\"\n"));
    let port = Server::shared().port;
    let good = format!("mysql://{USER}:${{file:password}}@127.0.0.1:{port}/{}", engine.database);
    says(&of("planted-wrong", &good), &["Access denied", "mend user and password"]);
    says(
        &of(PASSWORD, &good.replace(&engine.database, "no_such_db")),
        &["no_such_db", "GRANT SELECT ON `no_such_db`.*"],
    );
    says(&of(PASSWORD, &good.replace("127.0.0.1", "no-such-host.invalid")), &["the host is not known"]);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    says(&of(PASSWORD, &good.replace(&format!(":{port}/"), &format!(":{free}/"))), &["nothing listens there"]);
    says(&of("postgres://u:planted@h/d", "${file:password}"), &["source.url is not the address of a MySQL database"]);
    let tls =
        Case::of(PASSWORD, &format!("kind = \"mysql\"\nurl = \"{good}\"\ntable = \"t\"\ntls = \"verify-full\"\n"));
    says(&tls, &["does not encrypt"]);
}

#[test]
fn dates_of_zeros_are_no_dates_and_no_nulls() {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::Date32Type;
    let engine = OfMysql::new();
    engine.sql("SET sql_mode = ''; CREATE TABLE z (d DATE, flag BOOLEAN); INSERT INTO z VALUES ('0000-00-00', 2)");
    let table = engine.case("SELECT d FROM z").read().unwrap();
    let days = table.batches[0].column(0).as_primitive::<Date32Type>();
    assert!(days.is_valid(0) && days.value(0) == i32::MIN, "it is rejected with its row");
    says(&engine.case("SELECT flag FROM z"), &["`flag`", "`flag` + 0"]);
}

#[test]
fn the_rows_are_those_of_one_moment() {
    let engine = OfMysql::new();
    engine.sql("CREATE TABLE orgs (n INT PRIMARY KEY, filler CHAR(100)); INSERT INTO orgs SELECT seq, 'x' FROM seq_1_to_300000");
    let stream = engine.case("SELECT n, filler FROM orgs").stream(None).unwrap();
    let first = stream.rows.next().unwrap().unwrap();
    engine.sql("DELETE FROM orgs WHERE n > 0");
    let mut rows: usize = first.batches.map(|batch| batch.unwrap().num_rows()).sum();
    while let Some(piece) = stream.rows.next().unwrap() {
        rows += piece.batches.map(|batch| batch.unwrap().num_rows()).sum::<usize>();
    }
    assert_eq!(rows, 300_000);
}

/// Limits that a server sets for all of its sessions cut nothing.
#[test]
fn no_limit_of_the_server_cuts_an_extract() {
    let engine = OfMysql::new();
    engine.sql("CREATE TABLE orgs (n INT PRIMARY KEY, tag VARCHAR(20)); INSERT INTO orgs SELECT seq, CONCAT('tag-', seq) FROM seq_1_to_1000");
    // Not for the superuser, by whom other tests ask.
    Server::shared()
        .sql("mysql", "SET GLOBAL init_connect = 'SET SESSION sql_select_limit = 3, SESSION group_concat_max_len = 8'");
    let rows = engine.case("SELECT n, (SELECT GROUP_CONCAT(tag) FROM orgs) AS tags FROM orgs").read();
    Server::shared().sql("mysql", "SET GLOBAL init_connect = ''");
    let rows = rows.unwrap();
    assert_eq!(rows.len(), 1000);
    assert_eq!(rows.column("tags")[0].len(), (1..=1000).map(|n: u32| format!("tag-{n}").len() + 1).sum::<usize>() - 1);
}

//! Apache Spark with two workers, by Spark Connect, through a connection that can be cut.

use crate::adbc::engines;
use crate::adbc::proxy::Proxy;
use crate::adbc::spark::{self, port};
use crate::sources::{Engine, Types, conformance};

struct OfSpark {
    proxy: Proxy,
}

impl OfSpark {
    fn new() -> Self {
        OfSpark { proxy: Proxy::to(port()) }
    }
}

impl Engine for OfSpark {
    fn source(&self) -> String {
        super::source(&engines::spark(), &format!("uri = \"sc://127.0.0.1:{}\"", self.proxy.port))
    }

    fn password(&self) -> String {
        String::new()
    }

    fn types(&self) -> Types {
        let columns = vec![
            ("true", "bool", "Boolean", "true"),
            ("CAST(-128 AS TINYINT)", "tinyint", "Int8", "-128"),
            ("CAST(-32768 AS SMALLINT)", "smallint", "Int16", "-32768"),
            ("2147483647", "int", "Int32", "2147483647"),
            ("9223372036854775807L", "bigint", "Int64", "9223372036854775807"),
            ("CAST(0.1 AS FLOAT)", "float", "Float32", "0.1"),
            ("-1e300D", "double", "Float64", "-1e300"),
            ("CAST(49.9 AS DECIMAL(12, 2))", "decimal", "Decimal128(12, 2)", "49.90"),
            ("'ä ö'", "text", "Utf8", "ä ö"),
            ("DATE '1969-07-20'", "date", "Date32", "1969-07-20"),
            ("TIMESTAMP_NTZ '2026-11-27 01:02:03.000004'", "ntz", "Timestamp(µs)", "2026-11-27T01:02:03.000004"),
        ];
        Types::of(columns, '`', |columns| format!("(SELECT {columns})"))
    }

    fn unfit(&self) -> (String, Vec<(&'static str, &'static str)>) {
        let query = "SELECT X'00' AS a, INTERVAL 1 DAY AS `B b`, INTERVAL 1 MONTH AS c, 1 AS ok";
        let casts =
            vec![("a", "hex(`a`) AS `a`"), ("B b", "CAST(`B b` AS STRING) AS `B b`"), ("c", "CAST(`c` AS STRING)")];
        (query.to_owned(), casts)
    }

    fn rows(&self, count: u64) -> String {
        // A partition is held whole by the worker that makes it.
        let partitions = (count / 50_000).max(8);
        format!(
            "SELECT concat('ws_', n) AS workspace_id, n, CASE n % 3 WHEN 0 THEN 'free' WHEN 1 THEN 'pro' ELSE 'team' END AS plan, \
             CAST(n / 100 AS DECIMAL(12, 2)) AS mrr FROM (SELECT id AS n FROM range(1, {count} + 1, 1, {partitions})) AS s"
        )
    }

    /// Two small workers on the machine of the tests.
    fn many(&self) -> u64 {
        2_000_000
    }

    fn wide(&self, count: u64, bytes: usize) -> String {
        format!(
            "SELECT concat('ws_', id) AS workspace_id, repeat('x', {bytes}) AS payload FROM range(1, {count} + 1, 1, 8)"
        )
    }

    fn endless(&self) -> String {
        format!("SELECT concat('ws_', id) AS workspace_id FROM ({})", spark::SLOW)
    }

    fn parameters(&self) -> String {
        "SELECT 'ws_1' AS workspace_id, date_format({{last_success}}, 'yyyy-MM-dd HH:mm:ss') AS since, \
         date_format({{run_date}}, 'yyyy-MM-dd') AS day WHERE {{ run_date }} < current_date()"
            .to_owned()
    }

    fn running(&self) -> Option<usize> {
        None
    }

    fn cut(&self) {
        self.proxy.cut();
    }
}

conformance!(OfSpark::new());

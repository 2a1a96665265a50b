//! DuckDB, in the process.

use crate::adbc::engines;
use crate::sources::{Engine, Types, conformance};

struct OfDuckdb;

impl Engine for OfDuckdb {
    fn source(&self) -> String {
        super::source(&engines::duckdb(), "threads = \"1\"")
    }

    fn password(&self) -> String {
        String::new()
    }

    fn types(&self) -> Types {
        let columns = vec![
            ("true", "bool", "Boolean", "true"),
            ("(-128)::TINYINT", "tinyint", "Int8", "-128"),
            ("(-32768)::SMALLINT", "smallint", "Int16", "-32768"),
            ("2147483647::INTEGER", "integer", "Int32", "2147483647"),
            ("9223372036854775807::BIGINT", "bigint", "Int64", "9223372036854775807"),
            ("18446744073709551615::UBIGINT", "ubigint", "UInt64", "18446744073709551615"),
            ("3::HUGEINT", "hugeint", "Decimal128(38, 0)", "3"),
            ("0.1::FLOAT", "float", "Float32", "0.1"),
            ("(-1e300)::DOUBLE", "double", "Float64", "-1e300"),
            ("49.9::DECIMAL(12, 2)", "decimal", "Decimal128(12, 2)", "49.90"),
            ("'ä ''ö'", "text", "Utf8", "ä 'ö"),
            ("'6BA7B810-9dad-11d1-80b4-00c04fd430c8'::UUID", "uuid", "Utf8", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
            ("DATE '1969-07-20'", "date", "Date32", "1969-07-20"),
            ("TIME '23:59:59.999999'", "time", "Time64(µs)", "23:59:59.999999"),
            ("TIMESTAMP '2026-11-27 01:02:03.000004'", "timestamp", "Timestamp(µs)", "2026-11-27T01:02:03.000004"),
        ];
        Types::of(columns, '"', |columns| format!("(SELECT {columns})"))
    }

    fn unfit(&self) -> (String, Vec<(&'static str, &'static str)>) {
        let query = "SELECT 'a'::BLOB AS a, INTERVAL 1 DAY AS \"B b\", ['a'::BLOB] AS c, 1 AS ok";
        let casts =
            vec![("a", "hex(\"a\") AS \"a\""), ("B b", "CAST(\"B b\" AS VARCHAR) AS \"B b\""), ("c", "hex(\"c\")")];
        (query.to_owned(), casts)
    }

    fn rows(&self, count: u64) -> String {
        format!(
            "SELECT 'ws_' || n AS workspace_id, n, CASE n % 3 WHEN 0 THEN 'free' WHEN 1 THEN 'pro' ELSE 'team' END AS plan, \
             (n / 100.0)::DECIMAL(12, 2) AS mrr FROM range(1, {count} + 1) AS s(n)"
        )
    }

    fn wide(&self, count: u64, bytes: usize) -> String {
        format!("SELECT 'ws_' || n AS workspace_id, repeat('x', {bytes}) AS payload FROM range(1, {count} + 1) AS s(n)")
    }

    fn endless(&self) -> String {
        "SELECT 'ws_' || count(*) AS workspace_id FROM range(1000000000000) AS s(n) WHERE sqrt(n) > -1".to_owned()
    }

    fn parameters(&self) -> String {
        "SELECT 'ws_1' AS workspace_id, strftime({{last_success}} AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M:%S') AS since, \
         strftime({{run_date}}, '%Y-%m-%d') AS day WHERE {{ run_date }} < DATE '2026-01-01'"
            .to_owned()
    }

    fn running(&self) -> Option<usize> {
        None
    }

    fn cut(&self) {
        unreachable!("there is nothing between the process and itself")
    }
}

mod conformance {
    use super::*;

    conformance!(@cases OfDuckdb;
        types, unfit, empty, nulls, names_twice, parameters, limit, wanted, several_times, in_order, cancelled, time_out, memory);
}

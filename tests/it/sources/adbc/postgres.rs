//! The PostgreSQL driver.

use crate::adbc::engines;
use crate::sources::postgres::questions;
use crate::sources::{Engine, Types, conformance};
use crate::support::postgres::{Cluster, Database, PASSWORD, USER};

struct OfPostgres {
    database: Database,
}

impl OfPostgres {
    fn new() -> Self {
        OfPostgres { database: Cluster::shared().database() }
    }

    fn ours(&self, what: &str, more: &str) -> String {
        let name = &self.database.name;
        let sql = format!("SELECT {what} FROM pg_stat_activity WHERE datname = '{name}' AND usename = '{USER}' {more}");
        Cluster::shared().sql("postgres", &sql)
    }
}

impl Engine for OfPostgres {
    fn source(&self) -> String {
        let Database { name, port, .. } = &self.database;
        let uri = format!("uri = \"postgresql://{USER}:${{file:password}}@127.0.0.1:{port}/{name}\"");
        super::source(&engines::postgres(), &uri)
    }

    fn password(&self) -> String {
        PASSWORD.to_owned()
    }

    fn types(&self) -> Types {
        let columns = vec![
            ("true", "bool", "Boolean", "true"),
            ("'-32768'::int2", "int2", "Int16", "-32768"),
            ("2147483647", "int4", "Int32", "2147483647"),
            ("'-9223372036854775808'::int8", "int8", "Int64", "-9223372036854775808"),
            ("0.1::float4", "float4", "Float32", "0.1"),
            ("'-1e300'::float8", "float8", "Float64", "-1e300"),
            ("'49.9'::numeric(12, 2)", "numeric", "Utf8 json", "49.90"),
            ("'ä ''ö'::text", "text", "Utf8", "ä 'ö"),
            ("'v'::varchar(9)", "varchar", "Utf8", "v"),
            ("'{\"b\": 1,  \"a\": [1.0]}'::json", "json", "Utf8 json", "{\"b\": 1,  \"a\": [1.0]}"),
            ("'{\"b\": 1,  \"a\": [1.0]}'::jsonb", "jsonb", "Utf8 json", "{\"a\": [1.0], \"b\": 1}"),
            (
                "'6BA7B810-9dad-11d1-80b4-00c04fd430c8'::uuid",
                "uuid",
                "Utf8View",
                "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            ),
            ("'1969-07-20'::date", "date", "Date32", "1969-07-20"),
            ("'23:59:59.999999'::time", "time", "Time64(µs)", "23:59:59.999999"),
            ("'2026-11-27 01:02:03.000004'::timestamp", "timestamp", "Timestamp(µs)", "2026-11-27T01:02:03.000004"),
        ];
        Types::of(columns, '"', |columns| format!("(SELECT {columns})"))
    }

    fn unfit(&self) -> (String, Vec<(&'static str, &'static str)>) {
        let query =
            "SELECT '\\x00'::bytea AS a, '1 day'::interval AS \"B b\", '1'::money AS c, '10.0.0.1'::inet AS d, 1 AS ok";
        let casts = vec![
            ("a", "encode(\"a\", 'hex') AS \"a\""),
            ("B b", "CAST(\"B b\" AS VARCHAR) AS \"B b\""),
            ("c", "CAST(\"c\" AS VARCHAR)"),
            ("d", "CAST(\"d\" AS VARCHAR)"),
        ];
        (query.to_owned(), casts)
    }

    fn rows(&self, count: u64) -> String {
        questions::rows(count)
    }

    fn wide(&self, count: u64, bytes: usize) -> String {
        questions::wide(count, bytes)
    }

    fn endless(&self) -> String {
        questions::endless()
    }

    fn parameters(&self) -> String {
        questions::parameters()
    }

    fn running(&self) -> Option<usize> {
        Some(self.ours("count(*)", "AND state = 'active'").parse().unwrap())
    }

    fn cut(&self) {
        self.ours("count(pg_terminate_backend(pid))", "");
    }
}

conformance!(OfPostgres::new());

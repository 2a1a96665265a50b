//! The PostgreSQL driver. For PostgreSQL there is `kind = "postgres"`; this shows that a driver over a network does what it should.

use super::engines;
use super::{Case, count};
use crate::support::postgres::{Cluster, Database, PASSWORD, USER};
use std::time::{Duration, Instant};

fn case(database: &Database, lines: &str, query: &str) -> Case {
    let options = format!(
        "{lines}\n[source.options]\nuri = \"postgresql://{USER}:${{file:password}}@127.0.0.1:{}/{}\"",
        database.port, database.name
    );
    let case = Case::query(&engines::postgres(), &options, query);
    super::file(&case.home, "password", PASSWORD);
    case
}

#[test]
fn every_type() {
    let database = Cluster::shared().database();
    case(
        &database,
        "",
        "SELECT 1::smallint AS a, 2::bigint AS b, 1.50::numeric(10,2) AS c, 0.5::float8 AS d, 'x'::text AS e, true AS f, '2026-01-02'::date AS g, \
         '10:00'::time AS h, '2026-01-02 10:00'::timestamp AS i, '2026-01-02 10:00+02'::timestamptz AS j, '{\"b\": 1.0, \"a\": 2}'::jsonb AS k, \
         ARRAY[1, 2] AS l, NULL::int AS m, '550e8400-e29b-41d4-a716-446655440000'::uuid::text AS n, 'c'::char(3) AS o",
    )
    .check(
        &[
            "a: int", "b: int", "c: json", "d: float", "e: text", "f: bool", "g: date", "h: time", "i: local timestamp", "j: timestamp",
            "k: json", "l: json", "m: int", "n: text", "o: text",
        ],
        &["1|2|1.5|0.5|x|true|2026-01-02|10:00:00.000|2026-01-02T10:00:00.000|2026-01-02T08:00:00.000Z|{\"a\":2,\"b\":1}|[1,2]|NULL|\
           550e8400-e29b-41d4-a716-446655440000|c  "],
    );
}

#[test]
fn types_that_cannot_be_sent_and_the_casts_that_help() {
    let database = Cluster::shared().database();
    case(&database, "", "SELECT '\\x00'::bytea AS x, '1 day'::interval AS y, '(1,2)'::point AS z, 1 AS ok")
        .check_error(&[
            "cannot be sent: `x` (bytea), `y` (interval), `z` (point)",
            "encode(\"x\", 'hex') AS \"x\"",
            "CAST(\"y\" AS VARCHAR) AS \"y\"",
        ]);
    case(&database, "", "SELECT encode(x, 'hex') AS x, CAST(y AS VARCHAR) AS y FROM (SELECT '\\x0a'::bytea AS x, '1 day'::interval AS y) AS t")
        .check(&["x: text", "y: text"], &["0a|1 day"]);
}

#[test]
fn parameters_are_bound() {
    let database = Cluster::shared().database();
    case(
        &database,
        "",
        "SELECT {{last_success}} AS a, {{run_date}} AS b, {{last_success}} > '2026-03-04 05:00+00'::timestamptz AS c",
    )
    .parameters("2026-03-04T05:06:07.089Z", "2026-03-05")
    .check(&["a: timestamp", "b: date", "c: bool"], &["2026-03-04T05:06:07.089Z|2026-03-05|true"]);
}

#[test]
fn a_wrong_password_is_told_without_it() {
    let database = Cluster::shared().database();
    let case = case(&database, "", "SELECT 1");
    super::file(&case.home, "password", "wrong/planted:pass@word");
    let error = case.check_error(&["password authentication failed"]);
    assert!(!format!("{error:?}").contains("planted"), "{error:?}");
    super::file(&case.home, "password", "");
    case.check_error(&["source.options.uri", "${file:password} is empty"]);
}

fn running(database: &Database) -> u32 {
    let query = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND usename = '{USER}' AND state = 'active'",
        database.name
    );
    Cluster::shared().sql("postgres", &query).parse().unwrap()
}

fn until_it_has_ended(database: &Database) {
    let began = Instant::now();
    while running(database) > 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "the query runs on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_query_that_takes_too_long_is_ended_at_the_server() {
    let database = Cluster::shared().database();
    case(&database, "timeout = \"1s\"", "SELECT 1 AS id FROM pg_sleep(300)")
        .check_error(&["longer than 1s; it was cancelled"]);
    until_it_has_ended(&database);
}

const MANY: &str = "SELECT n AS id, repeat('x', 100) AS name FROM generate_series(1, 20000000) AS n";

#[test]
fn rows_that_are_dropped_end_the_query_at_the_server() {
    let database = Cluster::shared().database();
    let stream = case(&database, "", MANY).stream().unwrap();
    assert!(stream.rows.next().unwrap().is_some());
    assert_eq!(running(&database), 1);
    drop(stream);
    until_it_has_ended(&database);
}

#[test]
fn a_connection_that_is_lost_is_an_error() {
    let database = Cluster::shared().database();
    let stream = case(&database, "", MANY).stream().unwrap();
    assert!(stream.rows.next().unwrap().is_some());
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND usename = '{USER}'",
        database.name
    );
    Cluster::shared().sql("postgres", &end);
    let error = count(&stream).unwrap_err();
    assert!(error.message.contains("reading the rows failed"), "{error:?}");
    assert_eq!(count(&stream).unwrap_err().message, error.message);
}

//! A real PostgreSQL.

use super::{Case, Engine, Types, conformance};
use crate::delivery::pki::Ca;
use crate::support::postgres::{Cluster, Database, PASSWORD, USER};

/// What is asked of any engine in Postgres's own SQL, whoever asks.
pub mod questions {
    pub fn rows(count: u64) -> String {
        format!(
            "SELECT 'ws_' || n AS workspace_id, n, CASE n % 3 WHEN 0 THEN 'free' WHEN 1 THEN 'pro' ELSE 'team' END AS plan, \
             (n / 100.0)::numeric(12, 2) AS mrr FROM (SELECT generate_series(1::bigint, {count}) AS n) AS s"
        )
    }

    pub fn wide(count: u64, bytes: usize) -> String {
        format!(
            "SELECT 'ws_' || n AS workspace_id, repeat('x', {bytes}) AS payload FROM (SELECT generate_series(1, {count}) AS n) AS s"
        )
    }

    pub fn endless() -> String {
        "SELECT 'ws_1' AS workspace_id FROM pg_sleep(120)".to_owned()
    }

    pub fn parameters() -> String {
        "SELECT 'ws_1' AS workspace_id, to_char({{last_success}} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS since, \
         to_char({{run_date}}, 'YYYY-MM-DD') AS day WHERE {{ run_date }} < now() AND {{last_success}} < now()"
            .to_owned()
    }
}

/// A database of the shared server.
pub struct OfPostgres {
    database: Database,
}

impl OfPostgres {
    fn new() -> Self {
        OfPostgres { database: Cluster::shared().database() }
    }

    /// As the superuser.
    fn sql(&self, sql: &str) -> String {
        Cluster::shared().sql(&self.database.name, sql)
    }

    fn case(&self, query: &str) -> Case {
        Case::new(self, query, "")
    }
}

impl Engine for OfPostgres {
    fn source(&self) -> String {
        let Database { name, port, .. } = &self.database;
        format!("kind = \"postgres\"\nurl = \"postgres://{USER}:${{file:password}}@127.0.0.1:{port}/{name}\"\n")
    }

    fn password(&self) -> String {
        PASSWORD.to_owned()
    }

    fn types(&self) -> Types {
        self.sql(
            "CREATE TYPE size AS ENUM ('small', 'large'); CREATE DOMAIN price AS numeric(8, 3); \
             CREATE TYPE seat AS (no integer, name text); CREATE EXTENSION citext",
        );
        let columns = vec![
            ("true", "bool", "Boolean", "true"),
            ("'-32768'::int2", "int2", "Int16", "-32768"),
            ("2147483647", "int4", "Int32", "2147483647"),
            ("'-9223372036854775808'::int8", "int8", "Int64", "-9223372036854775808"),
            ("4294967295::oid", "oid", "UInt32", "4294967295"),
            ("0.1::float4", "float4", "Float32", "0.1"),
            ("'-1e300'::float8", "float8", "Float64", "-1e300"),
            ("'49.9'::numeric(12, 2)", "numeric", "Decimal128(12, 2)", "49.90"),
            (
                "'-123456789012345678901234567890.12345678'::numeric(38, 8)",
                "n38",
                "Decimal128(38, 8)",
                "-123456789012345678901234567890.12345678",
            ),
            ("repeat('9', 40)::numeric(40, 0)", "n40", "Decimal256(40, 0)", "9999999999999999999999999999999999999999"),
            ("'0.10'::numeric", "unscaled", "Utf8View json", "0.10"),
            ("sum(1.25)", "sum", "Utf8View json", "1.25"),
            ("'7.5'::price", "domain", "Decimal128(8, 3)", "7.500"),
            ("'ä ''ö'::text", "text", "Utf8View", "ä 'ö"),
            ("'v'::varchar(9)", "varchar", "Utf8View", "v"),
            ("'ab'::char(4)", "bpchar", "Utf8View", "ab  "),
            ("'n'::name", "name", "Utf8View", "n"),
            ("'c'::\"char\"", "char", "Utf8View", "c"),
            ("'MiXed'::citext", "citext", "Utf8View", "MiXed"),
            ("'large'::size", "enum", "Utf8View", "large"),
            (
                "'6BA7B810-9dad-11d1-80b4-00c04fd430c8'::uuid",
                "uuid",
                "Utf8View",
                "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            ),
            ("'{\"b\": 1,  \"a\": [1.0]}'::json", "json", "Utf8View json", "{\"b\": 1,  \"a\": [1.0]}"),
            ("'{\"b\": 1,  \"a\": [1.0]}'::jsonb", "jsonb", "Utf8View json", "{\"a\": [1.0], \"b\": 1}"),
            ("'1969-07-20'::date", "date", "Date32", "1969-07-20"),
            ("'23:59:59.999999'::time", "time", "Time64(µs)", "23:59:59.999999"),
            ("'2026-11-27 01:02:03.000004'::timestamp", "timestamp", "Timestamp(µs)", "2026-11-27T01:02:03.000004"),
            (
                "'1999-12-31 23:00:00.5-05'::timestamptz",
                "timestamptz",
                "Timestamp(µs, \"UTC\")",
                "2000-01-01T04:00:00.500Z",
            ),
            ("'10.0.0.1'::inet", "inet", "Utf8View", "10.0.0.1/32"),
            ("'10.1.0.0/16'::cidr", "cidr", "Utf8View", "10.1.0.0/16"),
            ("'08:00:2b:01:02:03'::macaddr", "macaddr", "Utf8View", "08:00:2b:01:02:03"),
            ("'08:00:2b:01:02:03:04:05'::macaddr8", "macaddr8", "Utf8View", "08:00:2b:01:02:03:04:05"),
            ("B'101'", "bit", "Utf8View", "101"),
            ("'1'::varbit", "varbit", "Utf8View", "1"),
            ("'<a/>'::xml", "xml", "Utf8View", "<a/>"),
            ("ARRAY['a', NULL, '\"']", "text_array", "Utf8View json", "[\"a\",null,\"\\\"\"]"),
            ("ARRAY[[1, 2], [3, 4]]", "int_array", "Utf8View json", "[[1,2],[3,4]]"),
            ("ARRAY['small']::size[]", "enum_array", "Utf8View json", "[\"small\"]"),
            (
                "ARRAY['2026-11-27 01:02:03+01']::timestamptz[]",
                "instants",
                "Utf8View json",
                "[\"2026-11-27T00:02:03+00:00\"]",
            ),
            ("ROW(1, 'x')::seat", "composite", "Utf8View json", "{\"no\":1,\"name\":\"x\"}"),
        ];
        Types::of(columns, '"', |columns| {
            self.sql(&format!("CREATE TABLE t AS SELECT {columns}; GRANT SELECT ON t TO {USER}"));
            "t".to_owned()
        })
    }

    fn unfit(&self) -> (String, Vec<(&'static str, &'static str)>) {
        let query = "SELECT '\\x00'::bytea AS a, '1 day'::interval AS b, int4range(1, 2) AS c, '(1,2)'::point AS d, \
                     '1'::money AS e, '01:00+02'::timetz AS \"F f\", ARRAY['\\x00'::bytea] AS g, 'x'::tsvector AS h, 1 AS ok";
        let casts = vec![
            ("a", "encode(\"a\", 'hex')"),
            ("b", "extract(epoch FROM \"b\")"),
            ("c", "lower(\"c\")"),
            ("d", "\"d\"::text"),
            ("e", "\"e\"::numeric(19, 2)"),
            ("F f", "(\"F f\" AT TIME ZONE 'UTC')::time AS \"F f\""),
            ("g", "encode(item, 'hex')"),
            ("h", "\"h\"::text"),
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
        let active = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'nightmark' \
                      AND state = 'active' AND datname = current_database()";
        Some(self.sql(active).parse().unwrap())
    }

    fn cut(&self) {
        self.sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE application_name = 'nightmark' AND datname = current_database()",
        );
    }
}

conformance!(OfPostgres::new());

/// Whatever is wrong is said with what to do, and never with the password.
#[track_caller]
fn says(case: &Case, parts: &[&str]) {
    let error = case.error();
    let text = format!("{} / {}", error.message, error.hint.clone().unwrap_or_default());
    for part in parts {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains(PASSWORD) && !text.contains("planted"), "{text}");
    assert!(!format!("{:?} {}", case.source, case.source.describe()).contains("planted"));
}

#[test]
fn what_the_server_refuses_is_said_with_the_remedy() {
    let engine = OfPostgres::new();
    engine.sql("CREATE TABLE secret (a int); CREATE SCHEMA inner_one; CREATE TABLE inner_one.t (a int)");
    says(
        &engine.case("SELECT a FROM secret"),
        &["permission denied for table secret", &format!("GRANT SELECT ON secret TO \"{USER}\";")],
    );
    says(
        &engine.case("SELECT a FROM inner_one.t"),
        &["schema inner_one", &format!("GRANT USAGE ON SCHEMA inner_one TO \"{USER}\";")],
    );
    says(&engine.case("SELECT 1 AS a\nFORM orgs"), &["syntax error", "(line 2, column"]);
    says(
        &engine.case("SELECT *\nFROM nowhere"),
        &["\"nowhere\" does not exist", "(line 2, column 6 of the query)", "public.orgs"],
    );
    says(&engine.case("SELECT 1 / 0 AS a"), &["division by zero"]);
    says(&engine.case("SELECT 1 AS a; SELECT 2"), &["multiple commands", "one SELECT"]);
    says(&engine.case("SELECT 1 AS a; DROP TABLE secret"), &["has DROP in it", "only reads"]);
    says(&engine.case("SHOW server_version"), &["syntax error", "one SELECT"]);
    says(&engine.case("SELECT 1 AS a) TO PROGRAM 'true' --"), &["syntax error"]);
    engine.sql(&format!("CREATE TABLE mine (a int); ALTER TABLE mine OWNER TO {USER}"));
    says(&engine.case("INSERT INTO mine VALUES (1) RETURNING a"), &["only reads"]);
    engine.sql("CREATE FUNCTION grow() RETURNS int LANGUAGE sql VOLATILE AS 'INSERT INTO mine VALUES (1) RETURNING a'");
    says(&engine.case("SELECT grow() AS a"), &["read-only transaction", "only reads"]);
    assert_eq!(engine.sql("SELECT count(*) FROM mine"), "0");
}

#[test]
fn what_is_wrong_with_the_address_is_said_without_it() {
    let engine = OfPostgres::new();
    let Database { name, port, .. } = &engine.database;
    let of = |password: &str, url: &str| {
        Case::of(password, &format!("kind = \"postgres\"\nurl = \"{url}\"\ntable = \"t\"\n"))
    };
    let good = format!("postgres://{USER}:${{file:password}}@127.0.0.1:{port}/{name}");
    says(&of("planted-wrong", &good), &["password authentication failed", "mend user and password"]);
    says(
        &of(PASSWORD, &good.replace(name.as_str(), "no_such_db")),
        &["\"no_such_db\" does not exist", "mend the database"],
    );
    says(
        &of(PASSWORD, &good.replace("127.0.0.1", "no-such-host.invalid")),
        &["the host is not known (no-such-host.invalid"],
    );
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    says(
        &of(PASSWORD, &good.replace(&format!(":{port}/"), &format!(":{free}/"))),
        &["nothing listens there", "start the server"],
    );
    says(
        &of(PASSWORD, "postgres://u:${NOT_SET_ANYWHERE}@h/d"),
        &["source.url: the environment variable NOT_SET_ANYWHERE is not set"],
    );
    says(&of("mysql://u:planted@h/d", "${file:password}"), &["source.url is not the address of a Postgres database"]);
    says(&of("postgres://u:planted@h/d?options=planted", "${file:password}"), &["the parameter `options`"]);
    // All of it from one place, as hosts hand it out.
    engine.sql(&format!("CREATE TABLE t AS SELECT 1 AS a; GRANT SELECT ON t TO {USER}"));
    let whole = format!("{}?sslmode=prefer", engine.database.url());
    assert_eq!(of(&whole, "${file:password}").read().unwrap().column("a"), ["1"]);
    let tls = Case::of(PASSWORD, &format!("kind = \"postgres\"\nurl = \"{good}\"\ntable = \"t\"\ntls = \"require\"\n"));
    says(&tls, &["does not encrypt", "`ssl`"]);
    // Elsewhere than on this machine, nothing goes without a certificate that is looked at.
    let elsewhere =
        Case::of(PASSWORD, &format!("kind = \"postgres\"\nurl = \"{good}\"\ntable = \"t\"\ntls = \"verify-full\"\n"));
    says(&elsewhere, &["does not encrypt"]);
}

#[test]
fn numerics_are_numbers_whatever_their_scale() {
    let engine = OfPostgres::new();
    engine.sql(&format!(
        "CREATE TABLE v (x numeric(8, 2)); INSERT INTO v VALUES (1.5), (2.25); \
         CREATE VIEW totals AS SELECT sum(x)::numeric(20, 4) AS fixed, sum(x) AS free FROM v; \
         CREATE TABLE odd (a numeric(5, 2), b numeric); INSERT INTO odd VALUES ('NaN', 'NaN'); \
         GRANT SELECT ON v, totals, odd TO {USER}"
    ));
    let query = "SELECT t.*, avg(v.x) AS mean, max(v.x) AS most, 10::numeric ^ 50 AS large FROM totals t, v GROUP BY t.fixed, t.free";
    let table = engine.case(query).read().unwrap();
    let json = "Utf8View json";
    for (name, of, value) in [
        ("fixed", "Decimal128(20, 4)", "3.7500"),
        ("free", json, "3.75"),
        ("mean", json, "1.8750000000000000"),
        ("most", json, "2.25"),
    ] {
        assert_eq!((table.type_of(name), table.column(name)), (of.to_owned(), vec![value.to_owned()]), "{name}");
    }
    let fifty = format!("1{}", "0".repeat(50));
    assert!(table.column("large")[0].starts_with(&fifty), "{:?}", table.column("large"));
    assert_eq!(engine.case("SELECT x FROM v ORDER BY x").read().unwrap().type_of("x"), "Decimal128(8, 2)");
    let error = engine.case("SELECT a FROM odd").error();
    assert!(error.message.contains("`a` has the value NaN"), "{error:?}");
    assert!(error.hint.is_some_and(|hint| hint.contains("NULLIF(\"a\", 'NaN')")));
    // No number of JSON: it is rejected with its row.
    assert_eq!(engine.case("SELECT b FROM odd").read().unwrap().column("b"), ["NaN"]);
}

#[test]
fn infinite_dates_stay_what_no_calendar_has() {
    use arrow::array::AsArray;
    use arrow::datatypes::{Date32Type, TimestampMicrosecondType};
    let engine = OfPostgres::new();
    let query = "SELECT 'infinity'::date AS day, '-infinity'::timestamptz AS past, 'infinity'::timestamp AS future";
    let table = engine.case(query).read().unwrap();
    let batch = &table.batches[0];
    assert_eq!(batch.column(0).as_primitive::<Date32Type>().value(0), i32::MAX);
    assert_eq!(batch.column(1).as_primitive::<TimestampMicrosecondType>().value(0), i64::MIN);
    assert_eq!(batch.column(2).as_primitive::<TimestampMicrosecondType>().value(0), i64::MAX);
}

#[test]
fn models_of_every_form_are_read() {
    let engine = OfPostgres::new();
    engine.sql(&format!(
        "CREATE TABLE \"My Orgs\" AS SELECT 'ws_1' AS workspace_id; GRANT SELECT ON \"My Orgs\" TO {USER}"
    ));
    let of = |what: &str| Case::of(PASSWORD, &format!("{}{what}\n", engine.source()));
    assert_eq!(of("table = 'public.\"My Orgs\"'").read().unwrap().column("workspace_id"), ["ws_1"]);
    let case = of("query_file = \"orgs.sql\"");
    case.home.write("orgs.sql", "SELECT 'ws_2' AS workspace_id -- the last line is a comment\n;\n");
    assert_eq!(case.read().unwrap().column("workspace_id"), ["ws_2"]);
    assert_eq!(case.stream(Some(1)).and_then(super::collect).unwrap().len(), 1);
    assert!(case.source.describe().ends_with("orgs.sql"));
}

#[test]
fn the_rows_are_those_of_one_moment() {
    let engine = OfPostgres::new();
    engine.sql(&format!(
        "CREATE TABLE orgs AS SELECT n FROM generate_series(1, 300000) AS n; GRANT SELECT ON orgs TO {USER}"
    ));
    let case = engine.case("SELECT n, repeat('x', 100) AS filler FROM orgs");
    let stream = case.stream(None).unwrap();
    let first = stream.rows.next().unwrap().unwrap();
    engine.sql("DELETE FROM orgs");
    let mut rows: usize = first.batches.map(|batch| batch.unwrap().num_rows()).sum();
    while let Some(piece) = stream.rows.next().unwrap() {
        rows += piece.batches.map(|batch| batch.unwrap().num_rows()).sum::<usize>();
    }
    assert_eq!(rows, 300_000);
}

/// A server that speaks the protocol and knows neither binary COPY nor settings of our own: between us and the real one, each of the
/// two is made a syntax error.
#[test]
fn a_server_that_only_speaks_the_protocol_is_asked_for_text() {
    let engine = OfPostgres::new();
    let proxy = super::without_copy::start(engine.database.port);
    let section = engine.source().replace(&format!(":{}/", engine.database.port), &format!(":{proxy}/"));
    let of = |query: &str| Case::of(PASSWORD, &format!("{section}query = '''{query}'''\n"));
    let table = of(
        "SELECT true AS b, false AS nb, 7::int2 AS i, -8::int8 AS l, 0.5::float8 AS f, 'NaN'::float4 AS nan, 'text' AS t, '49.90'::numeric(12,2) AS n, \
         '1969-07-20'::date AS d, '23:59:59.5'::time AS clock, '2026-11-27 01:02:03.5'::timestamp AS ts, \
         '1999-12-31 23:00:00-05'::timestamptz AS tz, '{\"a\": 1}'::jsonb AS j, ARRAY[1, 2] AS a, NULL::int AS none, \
         to_char({{run_date}}, 'YYYY-MM-DD') AS day, {{last_success}} AS since",
    )
    .read()
    .unwrap_or_else(|error| panic!("{error:?}"));
    for (name, of, value) in [
        ("b", "Boolean", "true"),
        ("nb", "Boolean", "false"),
        ("i", "Int16", "7"),
        ("l", "Int64", "-8"),
        ("f", "Float64", "0.5"),
        ("nan", "Float32", "NaN"),
        ("t", "Utf8View", "text"),
        ("n", "Utf8View json", "49.90"),
        ("d", "Date32", "1969-07-20"),
        ("clock", "Time64(µs)", "23:59:59.500"),
        ("ts", "Timestamp(µs)", "2026-11-27T01:02:03.500"),
        ("tz", "Timestamp(µs, \"UTC\")", "2000-01-01T04:00:00Z"),
        ("j", "Utf8View json", "{\"a\": 1}"),
        ("a", "Utf8View json", "[1,2]"),
        ("none", "Int32", "NULL"),
        ("day", "Utf8View", "1970-01-01"),
        ("since", "Timestamp(µs, \"UTC\")", "1970-01-01T00:00:00Z"),
    ] {
        assert_eq!((name, table.type_of(name), table.column(name)), (name, of.to_owned(), vec![value.to_owned()]));
    }
    let many = of(&engine.rows(50_000)).read().unwrap();
    assert!(many.column("n").iter().map(|n| n.parse::<u64>().unwrap()).eq(1..=50_000));
    assert_eq!(of(&engine.rows(50_000)).stream(Some(7)).and_then(super::collect).unwrap().len(), 7);
    says(&of("SELECT 1 / 0 AS a"), &["division by zero"]);
}

/// An authority that is named is one whose word counts.
#[test]
fn an_authority_is_not_left_out_of_account() {
    let engine = OfPostgres::new();
    let Database { name, port, .. } = &engine.database;
    let of = |address: &str| {
        Case::of(address, "kind = \"postgres\"\nurl = \"${file:password}\"\ntable = \"t\"\ntls_ca = \"ca.pem\"\n")
    };
    let password = PASSWORD.replace('/', "%2F");
    let address = format!("postgres://{USER}:{password}@127.0.0.1:{port}/{name}");
    for mode in ["disable", "prefer", "require"] {
        says(&of(&format!("{address}?sslmode={mode}")), &["source.tls_ca is set", "verify-full"]);
    }
    // What is wrong with the file is told before anybody is asked.
    let case = of(&address);
    says(&case, &["source.tls_ca: ", "ca.pem cannot be read", "home folder"]);
    case.home.write("ca.pem", "id,name\n");
    says(&case, &["source.tls_ca: ", "ca.pem has no certificate (PEM) in it"]);
    // This server encrypts nothing, on loopback or not.
    for address in [address.clone(), format!("{address}?sslmode=verify-ca")] {
        let case = of(&address);
        case.home.write("ca.pem", &Ca::new().pem);
        says(&case, &["does not encrypt"]);
    }
}

#[test]
fn what_travels_is_encrypted_and_the_server_is_who_it_says() {
    let cluster = Cluster::start();
    let Database { name, port, .. } = cluster.database();
    let ca = Ca::new();
    let (certificate, key) = ca.certificate("localhost");
    cluster.write("data/server.crt", &certificate);
    cluster.write("data/server.key", &key);
    cluster.sql("postgres", "ALTER SYSTEM SET ssl = on");
    cluster.stop();
    cluster.resume();
    let query = "SELECT ssl::text AS is_encrypted FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let of = |host: &str, lines: &str, pem: &str| {
        let url = format!("postgres://{USER}:${{file:password}}@{host}:{port}/{name}");
        let case = Case::of(PASSWORD, &format!("kind = \"postgres\"\nurl = \"{url}\"\nquery = \"{query}\"\n{lines}\n"));
        case.home.write("ca.pem", pem);
        case
    };
    let ours = "tls_ca = \"ca.pem\"";
    for (lines, expected) in
        [(ours, "true"), ("tls = \"require\"", "true"), ("", "true"), ("tls = \"disable\"", "false")]
    {
        assert_eq!(of("localhost", lines, &ca.pem).read().unwrap().column("is_encrypted"), [expected], "{lines}");
    }
    says(&of("localhost", ours, &Ca::new().pem), &["cannot be encrypted: invalid peer certificate", "set `tls_ca`"]);
    says(
        &of("127.0.0.1", ours, &ca.pem),
        &["cannot be encrypted: invalid peer certificate", "\"verify-ca\" does not look at"],
    );
    says(&of("localhost", "tls = \"verify-full\"", &ca.pem), &["cannot be encrypted: invalid peer certificate"]);
}

/// An address of another kind of server.
#[test]
fn a_server_that_speaks_another_protocol_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            // As MySQL greets.
            let _ = std::io::Write::write_all(&mut client.unwrap(), b"J\0\0\0\n8.0.36\0");
        }
    });
    let url = format!("postgres://u:${{file:password}}@127.0.0.1:{port}/crm");
    let case = Case::of(PASSWORD, &format!("kind = \"postgres\"\nurl = \"{url}\"\ntable = \"t\"\n"));
    says(&case, &["what listens there does not speak Postgres's protocol", &port.to_string(), "`kind`"]);
}

/// A password that is not percent-encoded may be taken for any part of the address.
#[test]
fn no_part_of_a_password_is_shown() {
    let engine = OfPostgres::new();
    let port = engine.database.port;
    for address in [
        "postgres://u:12/x?planted=z@h/d",
        "postgres://u:12#planted@h/d",
        "postgres://u:planted/x@h/d",
        "postgres://u:planted?x@h/d",
        "postgres://u:1@planted@127.0.0.1:PORT/d",
        "postgres://u:[planted@127.0.0.1:PORT/d",
        "postgres://u:1:planted@127.0.0.1:PORT/d",
        "postgres://127.0.0.1:PORT/d?sslmode=planted",
        "postgres://127.0.0.1:PORT/d?port=planted",
    ] {
        let case = Case::of(
            &address.replace("PORT", &port.to_string()),
            "kind = \"postgres\"\nurl = \"${file:password}\"\ntable = \"t\"\n",
        );
        says(&case, &["url"]);
    }
}

/// The whole way: a number that is written otherwise is the same number, and a change is sent once.
#[test]
fn nights_over_a_database() {
    use crate::support::{Destination, Home};
    let engine = OfPostgres::new();
    engine.sql(&format!(
        "CREATE TABLE orgs (workspace_id text, plan text, mrr numeric(12, 2), seats numeric, tags text[], at timestamptz); \
         INSERT INTO orgs VALUES ('ws_1', 'free', 49.9, 5, '{{a,b}}', '2026-11-27 01:00+01'), ('ws_2', NULL, NULL, 2.50, NULL, NULL); \
         GRANT SELECT ON orgs TO {USER}"
    ));
    let destination = Destination::start();
    let home = Home::new();
    home.write("password", PASSWORD);
    let section = format!("{}table = \"orgs\"\n", engine.source());
    super::write_job(&home, &section, &format!("http://{}/", destination.address));
    assert_eq!(home.job("orgs", 0)["acknowledged"], 2);
    let seen = destination.take();
    let first = &seen.iter().find(|seen| seen.org() == "ws_1").unwrap().body;
    assert_eq!(
        (&first["plan"], &first["mrr"].to_string(), &first["seats"].to_string()),
        (&"free".into(), &"49.9".into(), &"5".into())
    );
    assert_eq!(first["tags"], serde_json::json!(["a", "b"]));
    engine.sql("UPDATE orgs SET seats = seats + 0.000, mrr = 49.900, at = at AT TIME ZONE 'Asia/Tokyo' AT TIME ZONE 'Asia/Tokyo' WHERE workspace_id = 'ws_1'");
    let night = home.job("orgs", 0);
    assert_eq!((&night["unchanged"], &night["acknowledged"]), (&2.into(), &0.into()), "{night}");
    engine.sql("UPDATE orgs SET seats = 2.51 WHERE workspace_id = 'ws_2'");
    assert_eq!(home.job("orgs", 0)["acknowledged"], 1);
    assert_eq!(destination.take_orgs(), ["ws_2"]);
    // `check` says what it sees and what is wrong.
    crate::support::says(&home.run(&["check", "orgs"]).expect(0), &["mrr", "decimal"]);
    engine.sql(&format!("REVOKE SELECT ON orgs FROM {USER}"));
    crate::support::says(
        &home.run(&["check", "orgs"]),
        &["permission denied for table orgs", "GRANT SELECT ON orgs TO"],
    );
}

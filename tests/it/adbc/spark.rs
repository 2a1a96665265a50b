//! Apache Spark with two workers, by Spark Connect.
//!
//! The server is that of the Python package, started once for all tests of the process. A shell beside it holds it: when the test process
//! is gone, however it ended, the shell finds its input closed, stops the server and removes its folder.

use super::engines::{self, in_python};
use super::proxy::Proxy;
use super::{Case, batches, count};
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// `$0`: the package, `$1`: the server's folder, `$2`: its port. Workers write beside the jars, and so the jars are linked into the folder.
const KEEPER: &str = r#"
cd "$1" && mkdir home && ln -s "$0/bin" "$0/jars" home/ || exit 1
export SPARK_HOME="$1/home" SPARK_LOCAL_DIRS="$1/local" SPARK_LOCAL_IP=127.0.0.1 SPARK_CONF_DIR="$1/conf"
mkdir conf local
cat >conf/log4j2.properties <<END
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %p %c: %m%n
END
set -- "$1" "$2"
"$SPARK_HOME/bin/spark-submit" --master 'local-cluster[2,2,512]' --driver-memory 512m \
  --conf spark.executor.memory=512m --conf spark.driver.host=127.0.0.1 --conf spark.driver.bindAddress=127.0.0.1 \
  --conf spark.connect.grpc.binding.address=127.0.0.1 --conf "spark.connect.grpc.binding.port=$2" \
  --conf spark.ui.enabled=false --conf spark.sql.session.timeZone=UTC --conf spark.sql.shuffle.partitions=2 \
  --class org.apache.spark.sql.connect.service.SparkConnectServer spark-internal >log 2>&1 </dev/null &
server=$!
read -r nothing
kill "$server"; wait "$server"
cd /
rm -rf "$1"
"#;

struct Spark {
    port: u16,
    /// Ends with this process.
    _keeper: Child,
}

fn shared() -> &'static Spark {
    static SHARED: OnceLock<Spark> = OnceLock::new();
    SHARED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap().keep();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let package = in_python("pyspark", "bin/spark-submit").parent().unwrap().parent().unwrap().to_owned();
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER]).args([&package, &folder]).arg(port.to_string());
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let keeper = command.spawn().unwrap();
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        let began = Instant::now();
        // The bound is there only so that a broken server ends.
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(170), "Spark does not start: {}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
        Spark { port, _keeper: keeper }
    })
}

/// Where it is.
pub fn port() -> u16 {
    shared().port
}

fn case_at(port: u16, lines: &str, query: &str) -> Case {
    Case::query(&engines::spark(), &format!("{lines}\n[source.options]\nuri = \"sc://127.0.0.1:{port}\""), query)
}

fn case(query: &str) -> Case {
    case_at(shared().port, "", query)
}

#[test]
fn every_type() {
    case(
        "SELECT CAST(1 AS TINYINT) AS a, 2L AS b, CAST(1.50 AS DECIMAL(10,2)) AS c, 0.5D AS d, 'x' AS e, true AS f, DATE '2026-01-02' AS g, \
         TIMESTAMP '2026-01-02 10:00:00+02:00' AS h, TIMESTAMP_NTZ '2026-01-02 10:00:00' AS i, array(1, 2) AS j, named_struct('p', 1) AS k, \
         map('k', 1) AS l, CAST(NULL AS STRING) AS m, CAST(1 AS DECIMAL(38,0)) AS n",
    )
    .check(
        &[
            "a: int", "b: int", "c: decimal(2)", "d: float", "e: text", "f: bool", "g: date", "h: timestamp", "i: local timestamp", "j: json",
            "k: json", "l: json", "m: text", "n: decimal(0)",
        ],
        &["1|2|1.5|0.5|x|true|2026-01-02|2026-01-02T08:00:00.000Z|2026-01-02T10:00:00.000|[1,2]|{\"p\":1}|{\"k\":1}|NULL|1"],
    );
}

#[test]
fn types_that_cannot_be_sent_and_the_casts_that_help() {
    case("SELECT X'00' AS x, INTERVAL 1 DAY AS y, INTERVAL 1 MONTH AS z").check_error(&[
        "cannot be sent: `x` (Binary), `y` (Duration(µs)), `z` (Interval(YearMonth))",
        "hex(`x`) AS `x`",
        "CAST(`y` AS STRING) AS `y`",
    ]);
    case("SELECT hex(`x`) AS `x`, CAST(`y` AS STRING) AS `y` FROM (SELECT X'0a' AS x, INTERVAL 1 DAY AS y)")
        .check(&["x: text", "y: text"], &["0A|INTERVAL '1' DAY"]);
}

#[test]
fn a_view_whose_name_needs_quotes_an_empty_extract_and_columns_of_one_name() {
    let table = format!("table = \"range\"\n[source.options]\nuri = \"sc://127.0.0.1:{}\"", shared().port);
    Case::new(&engines::spark(), &table).check_error(&["TABLE_OR_VIEW_NOT_FOUND", "`range`"]);
    case("SELECT id, 'x' AS name FROM range(5) WHERE id < 0").check(&["id: int", "name: text"], &[]);
    case("SELECT 1 AS a, 2 AS a").check_error(&["columns of the same name: `a`"]);
}

#[test]
fn parameters_are_bound() {
    case("SELECT {{last_success}} AS a, {{run_date}} AS b, {{last_success}} > TIMESTAMP '2026-03-04 05:00:00' AS c")
        .parameters("2026-03-04T05:06:07.089Z", "2026-03-05")
        .check(&["a: timestamp", "b: date", "c: bool"], &["2026-03-04T05:06:07.089Z|2026-03-05|true"]);
}

#[test]
fn a_million_rows_of_two_workers_come_in_order() {
    let case = case("SELECT id, concat('org ', id) AS name FROM range(0, 1000000, 1, 8)");
    let mut expected = 0;
    for batch in batches(&*case.stream().unwrap().rows, 2).unwrap() {
        let ids = batch.column(0).as_primitive::<Int64Type>();
        assert!(ids.values().iter().copied().eq(expected..expected + ids.len() as i64));
        expected += ids.len() as i64;
    }
    assert_eq!(expected, 1_000_000);
    assert_eq!(count(&case.limit(20).stream().unwrap()).unwrap(), 20);
}

#[test]
fn errors_of_the_database() {
    case("SELEC 1").check_error(&["PARSE_SYNTAX_ERROR"]);
    case("SELECT nothing FROM range(1)").check_error(&["UNRESOLVED_COLUMN"]);
    case("SELECT CASE WHEN id > 900000 THEN raise_error('late') ELSE 'x' END AS id FROM range(1000000)")
        .check_error(&["late"]);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    case_at(port, "", "SELECT 1").check_error(&["refused"]);
}

/// One task that sleeps: of those that count, a cancelled one goes on to its end, which takes a core from all other tests, and both workers from those of
/// Spark. So does this one where nobody cancels it (a client that is gone is missed after minutes), but there is a place beside it.
pub const SLOW: &str =
    "SELECT coalesce(reflect('java.lang.Thread', 'sleep', 90000L), '1') AS id FROM range(0, 1, 1, 1)";

#[test]
fn a_query_is_cancelled() {
    case_at(shared().port, "timeout = \"2s\"", SLOW).check_error(&["longer than 2s; it was cancelled"]);
}

#[test]
fn a_connection_that_is_lost_is_an_error() {
    let proxy = Proxy::to(shared().port);
    let case = case_at(proxy.port, "", "SELECT id, repeat('x', 1000) AS name FROM range(0, 3000000, 1, 300)");
    let stream = case.stream().unwrap();
    assert!(stream.rows.next().unwrap().is_some());
    proxy.cut();
    let error = count(&stream).unwrap_err();
    assert!(error.message.contains("reading the rows failed"), "{error:?}");
    assert_eq!(count(&stream).unwrap_err().message, error.message);
}

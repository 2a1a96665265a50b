//! PgBouncer in transaction mode between us and a Postgres: transactions of several clients take turns in one session of the server, so that
//! whatever is left in it meets somebody else.

use super::{Case, collect};
use crate::support::postgres::{Cluster, Database, PASSWORD, USER, as_user};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Ends with its input, whatever becomes of the test.
const KEEPER: &str = "/usr/sbin/pgbouncer -q \"$0\" & pooler=$!; cat >/dev/null; kill $pooler; wait $pooler";

struct Pooler {
    keeper: Child,
    input: Option<ChildStdin>,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Pooler {
    /// One session for all.
    fn start(database: &Database) -> Pooler {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (users, config) = (folder.path().join("users"), folder.path().join("config"));
        std::fs::write(&users, format!("\"{USER}\" \"{PASSWORD}\"\n")).unwrap();
        let text = format!(
            "[databases]\n{} = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = plain\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 1\nmax_client_conn = 50\n",
            database.name,
            database.port,
            users.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = as_user(folder.path());
        command.args(["sh", "-c", KEEPER]).arg(&config);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut keeper = command.spawn().unwrap();
        let pooler = Pooler { input: keeper.stdin.take(), keeper, port, _folder: folder };
        // The bound is there only so that a broken installation ends.
        for _ in 0..3000 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return pooler;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("PgBouncer does not answer; ./test.sh installs it");
    }

    /// What somebody else finds, in a transaction of their own.
    fn sql(&self, database: &Database, sql: &str) -> String {
        let mut psql = Command::new("psql");
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            "127.0.0.1",
            "-U",
            USER,
            "-d",
            &database.name,
        ]);
        psql.args(["-p", &self.port.to_string(), "-c", sql]).env("PGPASSWORD", PASSWORD);
        let output = psql.output().unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        if let Some(mut input) = self.input.take() {
            let _ = input.flush();
        }
        let _ = self.keeper.wait();
    }
}

#[test]
fn nothing_is_left_for_the_next_client_of_a_pooler() {
    let database = Cluster::shared().database();
    let pooler = Pooler::start(&database);
    let source = format!(
        "kind = \"postgres\"\nurl = \"postgres://{USER}:${{file:password}}@127.0.0.1:{}/{}\"\n",
        pooler.port, database.name
    );
    let of = |query: &str| Case::of(PASSWORD, &format!("{source}query = '''{query}'''\n"));
    let session = "SELECT pg_backend_pid() || current_setting('default_transaction_read_only') || \
                   coalesce(current_setting('nightmark.last_success', true), '') || current_setting('statement_timeout') || \
                   current_setting('extra_float_digits') || (SELECT count(*) FROM pg_prepared_statements)";
    let before = pooler.sql(&database, session);
    // Twice the same, and two at once: each prepares and sets its own.
    let asking = || {
        of(
            "SELECT n, {{last_success}} AS since, {{run_date}} AS day, pg_backend_pid() AS pid FROM generate_series(1, 1000) AS n",
        )
    };
    let asks = asking();
    for _ in 0..2 {
        let read = asks.read().unwrap();
        assert_eq!(read.column("since")[999], "1970-01-01T00:00:00Z");
        assert!(before.starts_with(&read.column("pid")[0]), "one session for all: {before}");
        assert_eq!(pooler.sql(&database, session), before);
    }
    std::thread::scope(|scope| {
        let reads: Vec<_> = (0..4).map(|_| scope.spawn(|| asking().read().unwrap().column("n").len())).collect();
        reads.into_iter().for_each(|read| assert_eq!(read.join().unwrap(), 1000));
    });
    pooler.sql(&database, "CREATE TABLE written (n int)");
    // What is not wanted any more is ended at the server, and the session is somebody else's at once.
    let endless = of("SELECT n, repeat('x', 1000) AS filler FROM generate_series(1, 100000000) AS n");
    let stream = endless.stream(None).unwrap();
    assert!(stream.rows.next().unwrap().is_some());
    drop(stream);
    assert!(pooler.sql(&database, session).contains("off"));
    // An error in a query leaves nothing either.
    assert!(of("SELECT 1 / n AS a FROM generate_series(-5, 5) AS n").read().is_err());
    assert_eq!(pooler.sql(&database, "SELECT count(*) FROM written"), "0");
    assert_eq!(of("SELECT 1 AS a").stream(Some(7)).and_then(collect).unwrap().len(), 1);
}

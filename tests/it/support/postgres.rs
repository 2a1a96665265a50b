//! A real Postgres: a server of its own in a temporary folder, on a loopback port and a socket in that folder.
//!
//! It is started once for the tests that leave it alone ([`Cluster::shared`]), and anew for those that stop or break it. A shell
//! beside it holds it: when the test process is gone, however it ended, the shell finds its input closed, stops the server and
//! removes the folder. A server that cannot be had is a failure: `./test.sh` installs it.

use nightmark::store::postgres::{PostgresStore, Server};
use secrecy::SecretString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// The planted password: never to be seen. It has what must be percent-encoded in an address.
pub const PASSWORD: &str = "planted/pg%pass:5@c0";
const ENCODED: &str = "planted%2Fpg%25pass%3A5%40c0";
/// Who the program logs in as.
pub const USER: &str = "nightmark_app";

/// Starts and stops the server as it is told, and cleans up at the end of its input. `$0`: where the programs are, `$1`: the
/// folder, `$2`: the port.
const KEEPER: &str = r#"
start() {
  "$0/postgres" -D "$1/data" -k "$1" -h 127.0.0.1 -p "$2" -c max_connections=200 -c shared_buffers=32MB \
    -c log_min_messages=fatal >>"$1/log" 2>&1 </dev/null &
  server=$!
}
stop() { kill "-$1" "$server" 2>/dev/null; wait "$server"; }
cd "$1"
"$0/initdb" -D "$1/data" -U postgres --auth-local=trust --auth-host=scram-sha-256 --no-sync -E UTF8 --locale=C \
  >"$1/log" 2>&1 </dev/null || { echo failed; exit 1; }
start "$@"
echo "$server"
while read -r command; do
  case $command in
    start) start "$@" ;;
    stop) stop INT ;;
    crash) stop QUIT ;;
  esac
  echo "$server"
done
stop INT
cd /
rm -rf "$1"
"#;

/// A server.
pub struct Cluster {
    folder: PathBuf,
    programs: PathBuf,
    pub port: u16,
    keeper: Child,
    orders: Mutex<Option<(ChildStdin, BufReader<ChildStdout>)>>,
    made: AtomicU32,
}

/// An empty database of a server.
#[derive(Clone)]
pub struct Database {
    pub name: String,
    pub port: u16,
    socket: PathBuf,
}

impl Cluster {
    /// The one that no test stops.
    pub fn shared() -> &'static Cluster {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Cluster::start)
    }

    /// One for the caller alone.
    pub fn start() -> Cluster {
        let programs = programs();
        let folder = super::folder_in_memory().keep();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = as_user(&folder);
        command.args(["sh", "-c", KEEPER]).args([&programs, &folder]).arg(port.to_string());
        // Of a group of its own: a Ctrl-C for the tests is the end of its input, and not of itself.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut keeper = command.spawn().unwrap();
        let mut answers = BufReader::new(keeper.stdout.take().unwrap());
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(answer.trim().parse::<u32>().is_ok(), "initdb failed: {}", log());
        let orders = Mutex::new(Some((keeper.stdin.take().unwrap(), answers)));
        let cluster = Cluster { folder, programs, port, keeper, orders, made: AtomicU32::new(0) };
        cluster.wait();
        let role = format!("CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'");
        cluster.sql("postgres", &role);
        cluster
    }

    /// A new database that belongs to [`USER`].
    pub fn database(&self) -> Database {
        let name = format!("nightmark_{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name} OWNER {USER}"));
        Database { name, port: self.port, socket: self.folder.clone() }
    }

    /// Does something as the superuser, and returns what it says.
    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let output = self.psql(database, sql).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {error}\n{}", self.log());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn psql(&self, database: &str, sql: &str) -> Command {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-c", sql]);
        command.arg("-h").arg(&self.folder).args(["-p", &self.port.to_string()]).stdin(Stdio::null());
        command
    }

    /// A program of Postgres that talks to it as the superuser.
    pub fn program(&self, name: &str, args: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.arg("-h").arg(&self.folder).args(["-p", &self.port.to_string(), "-U", "postgres"]).args(args);
        command.stdin(Stdio::null());
        command
    }

    /// A file in its folder that only the server can read.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        if is_root() {
            assert!(Command::new("chown").arg("postgres:").arg(&path).status().unwrap().success());
        }
    }

    /// SIGKILL to a connection of the program: the server takes that for a crash, and ends all others.
    pub fn kill_backend(&self, database: &str) {
        // The one that is at work, if any is.
        let pids = format!(
            "SELECT pid FROM pg_stat_activity WHERE usename = '{USER}' AND datname = '{database}' \
             ORDER BY state = 'idle', query_start DESC"
        );
        // The server may still be getting over the last one.
        for _ in 0..3000 {
            let output = self.psql("postgres", &pids).output().unwrap();
            if let Some(pid) =
                String::from_utf8_lossy(&output.stdout).lines().next().filter(|_| output.status.success())
            {
                return super::signal(pid.parse().unwrap(), "KILL");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the program has no connection: {}", self.log());
    }

    /// Ends the server in order, clients cut off.
    pub fn stop(&self) {
        self.order("stop");
    }

    /// Ends the server as a crash would: what it has not written to its log is lost.
    pub fn crash(&self) {
        self.order("crash");
    }

    /// Starts it again, and waits until it can be used.
    pub fn resume(&self) {
        self.order("start");
        self.wait();
    }

    fn order(&self, order: &str) {
        let mut orders = self.orders.lock().unwrap();
        let (stdin, answers) = orders.as_mut().unwrap();
        writeln!(stdin, "{order}").unwrap();
        answers.read_line(&mut String::new()).unwrap();
    }

    /// Until it takes connections. The bound is there only so that a broken server ends.
    pub fn wait(&self) {
        for _ in 0..3000 {
            if self.psql("postgres", "SELECT 1").output().is_ok_and(|output| output.status.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("Postgres does not start: {}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The end of its input is what the keeper waits for.
        drop(self.orders.lock().unwrap().take());
        let _ = self.keeper.wait();
    }
}

impl Database {
    /// As `[store] url` takes it once references are resolved.
    pub fn url(&self) -> String {
        format!("postgres://{USER}:{ENCODED}@127.0.0.1:{}/{}", self.port, self.name)
    }

    /// `[store] url` with the password by reference, of the variable `PG_PASSWORD`.
    pub fn setting(&self) -> String {
        format!("[store]\nurl = \"postgres://{USER}:${{PG_PASSWORD}}@127.0.0.1:{}/{}\"\n", self.port, self.name)
    }

    /// The same as the store takes it.
    pub fn server(&self) -> Server {
        Server::parse(&SecretString::from(self.url()), "nightmark").unwrap()
    }

    /// A store of its own in this database. By the socket, where no password is asked for: that takes long to check.
    pub fn schema(&self, name: &str) -> Server {
        let url = format!("postgres:///{}?host={}&port={}&user={USER}", self.name, self.socket.display(), self.port);
        Server::parse(&SecretString::from(url), name).unwrap()
    }

    pub async fn open(&self) -> PostgresStore {
        PostgresStore::open(&self.server()).await.unwrap()
    }
}

/// Postgres does not run as root.
pub fn as_user(folder: &Path) -> Command {
    if !is_root() {
        return Command::new("env");
    }
    let owned = Command::new("chown").arg("postgres:").arg(folder).status().unwrap();
    assert!(owned.success(), "there is no user `postgres`; run ./test.sh, which installs Postgres");
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]);
    command
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim() == "0"
}

/// Debian keeps them away from PATH, one folder for each version.
fn programs() -> PathBuf {
    let mut found: Vec<PathBuf> = glob::glob("/usr/lib/postgresql/*/bin").unwrap().flatten().collect();
    found.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let complete = |dir: &PathBuf| ["postgres", "initdb", "psql"].iter().all(|name| dir.join(name).is_file());
    found.into_iter().find(complete).expect("Postgres is missing; run ./test.sh, which installs it")
}

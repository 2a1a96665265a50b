//! A real MariaDB: a server of its own in a temporary folder, on a loopback port and a socket in that folder, started once.
//!
//! A shell beside it holds it: when the test process is gone, however it ended, the shell finds its input closed, stops the server
//! and removes the folder. A server that cannot be had is a failure: `./test.sh` installs it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The planted password: never to be seen. It has what must be percent-encoded in an address.
pub const PASSWORD: &str = "planted/my%pass:5@c0";
/// Who the program logs in as.
pub const USER: &str = "nightmark_app";

/// Starts the server, and stops it at the end of its input. `$0`: the server, `$1`: the folder, `$2`: the port.
const KEEPER: &str = r#"
cd "$1"
user=$(id -un)
mariadb-install-db --no-defaults --datadir="$1/data" --auth-root-authentication-method=normal --skip-test-db \
  --user="$user" >"$1/log" 2>&1 </dev/null || { echo failed; exit 1; }
"$0" --no-defaults --datadir="$1/data" --socket="$1/socket" --pid-file="$1/pid" --port="$2" --bind-address=127.0.0.1 \
  --user="$user" --skip-log-bin --innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size=32M --skip-name-resolve \
  >>"$1/log" 2>&1 </dev/null &
server=$!
echo "$server"
while read -r command; do :; done
kill "$server" 2>/dev/null
wait "$server"
cd /
rm -rf "$1"
"#;

/// A server.
pub struct Server {
    folder: PathBuf,
    pub port: u16,
    made: AtomicU32,
    // The end of its input is what the keeper waits for.
    _keeper: Child,
    _input: ChildStdin,
}

impl Server {
    pub fn shared() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Server::start)
    }

    fn start() -> Server {
        let folder = super::folder_in_memory().keep();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER]).args([&program(), &folder]).arg(port.to_string());
        // Of a group of its own: a Ctrl-C for the tests is the end of its input, and not of itself.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut keeper = command.spawn().unwrap();
        let mut answer = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut answer).unwrap();
        let input = keeper.stdin.take().unwrap();
        let server = Server { folder, port, made: AtomicU32::new(0), _keeper: keeper, _input: input };
        assert!(answer.trim().parse::<u32>().is_ok(), "mariadb-install-db failed: {}", server.log());
        server.wait();
        server.sql("mysql", &format!("CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}'"));
        server
    }

    /// A new database that [`USER`] may read.
    pub fn database(&self) -> String {
        let name = format!("nightmark_{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.sql(
            "mysql",
            &format!("CREATE DATABASE {name} CHARACTER SET utf8mb4; GRANT SELECT ON {name}.* TO {USER}@'%'"),
        );
        name
    }

    /// Does something as root, and returns what it says.
    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let output = self.client(database, sql).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {error}\n{}", self.log());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn client(&self, database: &str, sql: &str) -> Command {
        let mut command = Command::new("mariadb");
        command.args([
            "--no-defaults",
            "--batch",
            "--skip-column-names",
            "--default-character-set=utf8mb4",
            "-u",
            "root",
        ]);
        command.arg("--socket").arg(self.folder.join("socket")).args([database, "-e", sql]).stdin(Stdio::null());
        command
    }

    /// Until it takes connections. The bound is there only so that a broken server ends.
    fn wait(&self) {
        for _ in 0..3000 {
            if self.client("mysql", "SELECT 1").output().is_ok_and(|output| output.status.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("MariaDB does not start: {}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

/// Debian keeps it away from the PATH of users.
fn program() -> PathBuf {
    let folders = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
    let mut found =
        folders.iter().map(PathBuf::as_path).chain([Path::new("/usr/sbin")]).map(|dir| dir.join("mariadbd"));
    found.find(|program| program.is_file()).expect("MariaDB is missing; run ./test.sh, which installs it")
}

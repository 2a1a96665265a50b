//! What the tests share: a home folder, the real binary, and a destination that answers by script.

pub mod line;
pub mod mariadb;
pub mod postgres;

use arrow::array::RecordBatch;
use nightmark::source::{Rows, SourceError};
use serde_json::Value;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

/// The planted key: must never be seen outside the request itself.
pub const KEY: &str = "planted-key-7f3a";
/// The planted secret.
pub const SECRET: &str = "planted-secret-91cc";

/// A job over `orgs.csv`, with what stands in its tables besides what every such job has.
pub fn job_file(diff: &str, destination: &str, payload: &str) -> String {
    format!(
        r#"version = 1
[source]
kind = "files"
path = "orgs.csv"
[diff]
key = "workspace_id"
{diff}
[destination]
kind = "http"
{destination}
[payload]
{payload}
"#
    )
}

/// What sources are given in a test: this home folder, and the beginning of 1970.
pub fn environment(home: &Path) -> Arc<nightmark::source::Environment> {
    let home = nightmark::config::Home::new(home).unwrap();
    Arc::new(nightmark::source::Environment::new(&home, chrono::DateTime::UNIX_EPOCH))
}

/// The batches of an extract in their order, read by several threads.
pub fn batches(rows: &dyn Rows, threads: usize) -> Result<Vec<RecordBatch>, SourceError> {
    let (pieces, failed) = (Mutex::new(Vec::new()), Mutex::new(None));
    let work = || -> Result<(), SourceError> {
        while let Some(piece) = rows.next()? {
            let batches = piece.batches.collect::<Result<Vec<_>, _>>()?;
            pieces.lock().unwrap().push((piece.number, batches));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                if let Err(error) = work() {
                    failed.lock().unwrap().get_or_insert(error);
                }
            });
        }
    });
    if let Some(error) = failed.into_inner().unwrap() {
        return Err(error);
    }
    let mut pieces = pieces.into_inner().unwrap();
    pieces.sort_by_key(|(number, _)| *number);
    assert!(pieces.iter().map(|(number, _)| *number).eq(0..pieces.len() as u64), "numbers run from 0");
    Ok(pieces.into_iter().flat_map(|(_, batches)| batches).collect())
}

/// A folder of its own, removed at the end; in memory where there is such a place, for tests that fsync tens of thousands of
/// times.
pub fn folder_in_memory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// A command that runs a script of `tests/js` in Node, which finds the npm packages there.
pub fn node(script: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(scripts().join(script)).env("NODE_PATH", packages());
    command
}

fn scripts() -> PathBuf {
    scripts_of("js")
}

/// The folder of the tests' scripts in a language.
pub fn scripts_of(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(language)
}

/// Where the npm packages are that `./test.sh` installs.
pub fn packages() -> PathBuf {
    let packages = std::env::var_os("NIGHTMARK_TEST_JS").map_or_else(scripts, PathBuf::from).join("node_modules");
    assert!(packages.is_dir(), "{} is missing; run ./test.sh, which installs it", packages.display());
    packages
}

/// Python with the packages that `./test.sh` installs.
pub fn python() -> Command {
    let fallback = || Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/venv/bin/python");
    let python = std::env::var_os("NIGHTMARK_TEST_PYTHON").map_or_else(fallback, PathBuf::from);
    assert!(python.is_file(), "{} is missing; run ./test.sh, which installs it", python.display());
    Command::new(python)
}

/// What a program makes of an input: its standard output, as JSON. It must end well.
#[track_caller]
pub fn pipe(mut command: Command, input: &str) -> Value {
    let program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap_or_else(|e| panic!("{program:?}: {e}; run ./test.sh"));
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let ran = ran(child.wait_with_output().unwrap());
    ran.expect(0).json()
}

/// A number from the environment: a seed, or the size of a longer form of a test.
pub fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// A home folder of its own, removed at the end.
pub struct Home {
    dir: tempfile::TempDir,
}

/// What a command printed and how it ended.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {} / {}", self.stdout, self.stderr))
    }

    /// Panics with everything printed unless the exit code is as expected.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

/// All of this stands in what was printed, on either stream.
#[track_caller]
pub fn says(ran: &Ran, parts: &[&str]) {
    let text = format!("{}{}", ran.stdout, ran.stderr);
    for part in parts {
        assert!(text.contains(part), "{part}\n---\n{text}");
    }
}

impl Home {
    pub fn new() -> Self {
        Self::of(tempfile::tempdir().unwrap())
    }

    /// See [`folder_in_memory`].
    pub fn in_memory() -> Self {
        Self::of(folder_in_memory())
    }

    fn of(dir: tempfile::TempDir) -> Self {
        let home = Home { dir };
        std::fs::create_dir(home.path("jobs")).unwrap();
        home
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    pub fn write(&self, relative: &str, text: &str) {
        std::fs::write(self.path(relative), text).unwrap();
    }

    pub fn command(&self, args: &[&str]) -> Command {
        self.program(env!("CARGO_BIN_EXE_nightmark"), args)
    }

    /// Another program in the same surroundings.
    pub fn program(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .env_remove("NIGHTMARK_LOG")
            .env("NIGHTMARK_HOME", self.dir.path())
            .env("TEST_KEY", KEY)
            .env("TEST_SECRET", SECRET)
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        ran(self.command(args).output().unwrap())
    }

    /// What the last `nightmark serve` has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path("serve.log")).unwrap_or_default()).into_owned()
    }

    /// `nightmark run JOB --json`, as JSON, with the exit code expected.
    #[track_caller]
    pub fn job(&self, job: &str, code: i32) -> Value {
        self.run(&["run", job, "--json"]).expect(code).json()
    }

    /// Every file below the home folder.
    pub fn files(&self) -> Vec<PathBuf> {
        fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { walk(&path, out) } else { out.push(path) }
            }
        }
        let mut out = Vec::new();
        walk(self.dir.path(), &mut out);
        out.sort();
        out
    }
}

pub fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// One request as the destination saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: Value,
}

impl Seen {
    pub fn org(&self) -> &str {
        self.body["workspace_id"].as_str().unwrap_or_default()
    }
}

#[derive(Default)]
struct Script {
    seen: Vec<Seen>,
    /// Status by org; 200 where there is none. 0: never answer.
    statuses: HashMap<String, u16>,
    /// Stands on every answer.
    retry_after: Option<u64>,
}

/// An HTTP destination on loopback with a runtime of its own.
pub struct Destination {
    pub address: std::net::SocketAddr,
    script: Arc<Mutex<Script>>,
    arrived: Arc<tokio::sync::Notify>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Destination {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let script = Arc::new(Mutex::new(Script::default()));
        let arrived = Arc::new(tokio::sync::Notify::new());
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (shared, notify) = (Arc::clone(&script), Arc::clone(&arrived));
        let app = axum::Router::new()
            .fallback(move |request: axum::extract::Request| answer(Arc::clone(&shared), Arc::clone(&notify), request));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Destination { address, script, arrived, runtime: Some(runtime) }
    }

    /// From now on the org is answered so. 0: the request is read and never answered.
    pub fn set(&self, org: &str, status: u16) {
        self.script.lock().unwrap().statuses.insert(org.to_owned(), status);
    }

    pub fn clear(&self) {
        let mut script = self.script.lock().unwrap();
        script.statuses.clear();
        script.retry_after = None;
    }

    /// From now on every answer says `Retry-After`, in seconds.
    pub fn set_retry_after(&self, seconds: u64) {
        self.script.lock().unwrap().retry_after = Some(seconds);
    }

    /// What came since the last call.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.script.lock().unwrap().seen)
    }

    /// The orgs of the requests since the last call, sorted.
    pub fn take_orgs(&self) -> Vec<String> {
        let mut orgs: Vec<String> = self.take().iter().map(|s| s.org().to_owned()).collect();
        orgs.sort();
        orgs
    }

    /// Blocks until so many requests are there.
    pub fn wait_for(&self, requests: usize) {
        let runtime = self.runtime.as_ref().unwrap();
        runtime.block_on(async {
            loop {
                let arrival = self.arrived.notified();
                if self.script.lock().unwrap().seen.len() >= requests {
                    return;
                }
                arrival.await;
            }
        });
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn answer(
    script: Arc<Mutex<Script>>,
    arrived: Arc<tokio::sync::Notify>,
    request: axum::extract::Request,
) -> axum::http::Response<String> {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let headers = parts.headers.iter();
    let seen = Seen {
        path: parts.uri.path().to_owned(),
        headers: headers.map(|(n, v)| (n.to_string(), v.to_str().unwrap_or_default().to_owned())).collect(),
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    };
    let (status, retry_after) = {
        let mut script = script.lock().unwrap();
        let status = script.statuses.get(seen.org()).copied().unwrap_or(200);
        script.seen.push(seen);
        (status, script.retry_after)
    };
    arrived.notify_waiters();
    if status == 0 {
        std::future::pending::<()>().await;
    }
    let answer = axum::http::Response::builder().status(status);
    let answer = retry_after.into_iter().fold(answer, |answer, seconds| answer.header("retry-after", seconds));
    answer.body(r#"{"success":true}"#.to_owned()).unwrap()
}

/// `nightmark serve` on free ports; ended by SIGTERM.
pub struct Served {
    child: std::process::Child,
    pub receiver: String,
    pub admin: String,
}

impl Served {
    pub fn start(home: &Home) -> Self {
        Self::start_with(home, &[])
    }

    /// With variables of the environment.
    pub fn start_with(home: &Home, variables: &[(&str, &str)]) -> Self {
        Self::start_by(home, variables, "exec \"$0\" \"$@\"")
    }

    /// One request to the operator's address: status, head and body of the answer.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> (u16, String, String) {
        let mut connection = TcpStream::connect(&self.admin).unwrap();
        let mut lines = vec![format!("{method} {path} HTTP/1.1")];
        if !headers.iter().any(|line| line.to_ascii_lowercase().starts_with("host:")) {
            lines.push(format!("host: {}", self.admin));
        }
        lines.extend(headers.iter().map(|line| (*line).to_owned()));
        lines.push(format!("connection: close\r\ncontent-length: {}\r\n\r\n", body.len()));
        connection.write_all(&[lines.join("\r\n").as_bytes(), body].concat()).unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
    }

    /// The same of the admin API, whose answers are JSON.
    #[track_caller]
    pub fn call(&self, method: &str, path: &str, headers: &[&str], body: Option<&Value>) -> (u16, Value) {
        let json: &[&str] = if body.is_some() { &["content-type: application/json"] } else { &[] };
        let body = body.map(Value::to_string).unwrap_or_default();
        let (status, head, body) = self.request(method, path, &[headers, json].concat(), body.as_bytes());
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {head}\n{body}")))
    }

    /// By a shell that runs `script`, whose `$0` and `$@` are the program and its arguments.
    pub fn start_by(home: &Home, variables: &[(&str, &str)], script: &str) -> Self {
        let ready = home.path("ready.json");
        let _ = std::fs::remove_file(&ready);
        let args = ["serve", "--receiver", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--ready-file"];
        let mut command = home.program("sh", &["-c", script, env!("CARGO_BIN_EXE_nightmark")]);
        command.args(args);
        // Into a file: a pipe that nobody reads would hold the process up once it is full.
        let log = std::fs::File::create(home.path("serve.log")).unwrap();
        command.arg(&ready).envs(variables.iter().copied()).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().unwrap();
        // The file appears once it accepts connections. The bound is there only so that a broken build ends.
        for _ in 0..3000 {
            if let Ok(text) = std::fs::read_to_string(&ready) {
                let addresses: Value = serde_json::from_str(&text).unwrap();
                let of = |name: &str| addresses[name].as_str().unwrap().to_owned();
                return Served { child, receiver: of("receiver"), admin: of("admin") };
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("serve ended with {status}: {}", home.log());
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("serve did not become ready");
    }

    /// SIGTERM, and the exit code.
    pub fn stop(self) -> i32 {
        signal(self.pid(), "TERM");
        self.wait()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The same, if it ends in this time.
    pub fn wait_within(mut self, bound: std::time::Duration) -> Option<i32> {
        let began = std::time::Instant::now();
        while began.elapsed() < bound {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status.code().unwrap_or(-1));
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        None
    }

    /// The exit code of a process that has been told to end.
    pub fn wait(mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process that the test started.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().unwrap();
    assert!(status.success());
}

//! The end of `nightmark serve` in the midst of work that does not end by itself: it comes all the same, in order, and the next start goes on.

use crate::support::{Destination, Home, Served, job_file, signal};
use nightmark::clock::SystemClock;
use nightmark::config::Settings;
use nightmark::deliver::Http;
use nightmark::job::load::load_job;
use nightmark::pipeline::{How, PipelineError, Resources, Runner};
use nightmark::snapshot::JobLock;
use nightmark::store::sqlite::SqliteStore;
use nightmark::store::{RunState, RunStore};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// An end in order takes half a minute at most; this is only so that a broken build ends.
const BOUND: Duration = Duration::from_secs(90);

const EXTRACT: &str = "workspace_id,plan_id\nws_1,free\nws_2,free\n";

/// A server with one file, which it stops sending half-way until it is let go.
struct Hanging {
    address: SocketAddr,
    begun: Arc<AtomicUsize>,
    is_free: Arc<AtomicBool>,
}

impl Hanging {
    fn start() -> Hanging {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (begun, is_free) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let hanging = Hanging { address, begun: Arc::clone(&begun), is_free: Arc::clone(&is_free) };
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (begun, is_free) = (Arc::clone(&begun), Arc::clone(&is_free));
                std::thread::spawn(move || send(client.unwrap(), &begun, &is_free));
            }
        });
        hanging
    }

    /// Waits until so many readers have begun with the file.
    #[track_caller]
    fn is_read(&self, times: usize) {
        until(|| self.begun.load(Ordering::SeqCst) >= times);
    }

    fn let_go(&self) {
        self.is_free.store(true, Ordering::SeqCst);
    }
}

/// What waits for it at the end of a test, whatever that has come to, is not to wait for ever.
impl Drop for Hanging {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// One request, to its answer.
fn send(mut client: TcpStream, begun: &AtomicUsize, is_free: &AtomicBool) {
    let lines = BufReader::new(client.try_clone().unwrap()).lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let is_get = head.first().is_some_and(|line| line.starts_with("GET"));
    let (first, rest) = EXTRACT.split_at(if is_get { EXTRACT.len() / 2 } else { 0 });
    let length = EXTRACT.len();
    let answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nETag: \"1\"\r\nConnection: close\r\n\r\n{first}");
    let _ = client.write_all(answer.as_bytes());
    if is_get {
        begun.fetch_add(1, Ordering::SeqCst);
        while !is_free.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = client.write_all(rest.as_bytes());
    }
}

#[track_caller]
fn until(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < BOUND);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A home whose job, which only runs when somebody asks for it, reads a file behind HTTP.
fn home(source: &Hanging, destination: &Destination) -> Home {
    let home = Home::new();
    let to = format!("url = \"http://{}/\"\ntimeout = \"10m\"", destination.address);
    let job = job_file("", &to, "preset = \"flat\"");
    let path = format!("path = \"http://{}/orgs.csv\"", source.address);
    home.write("jobs/orgs.toml", &job.replace("path = \"orgs.csv\"", &path));
    home
}

fn ask(served: &Served) -> Value {
    let (status, fire) = served.call("POST", "/api/v1/jobs/orgs/run", &[], None);
    assert_eq!(status, 202, "{fire}");
    fire
}

/// SIGTERM, after which it ends in order.
#[track_caller]
fn ends(served: Served, home: &Home) {
    signal(served.pid(), "TERM");
    assert_eq!(served.wait_within(BOUND), Some(0), "{}", home.log());
}

/// The state of each fire, and when it was due; the newest first.
fn fires(home: &Home) -> Vec<(String, Value)> {
    let told = home.run(&["schedule", "orgs", "-n", "9", "--json"]).expect(0).json();
    let last = told[0]["last"].as_array().unwrap();
    last.iter().map(|fire| (fire["state"].as_str().unwrap().to_owned(), fire["due"].clone())).collect()
}

#[test]
fn an_extract_that_hangs_does_not_hold_the_end_up() {
    let (source, destination) = (Hanging::start(), Destination::start());
    let home = home(&source, &destination);
    let served = Served::start(&home);
    let fire = ask(&served);
    source.is_read(1);
    ends(served, &home);
    assert_eq!(fires(&home), [("running".to_owned(), fire["due"].clone())], "it is to be begun anew");
    let run = home.run(&["runs", "--json"]).expect(0).json()[0].clone();
    assert_eq!(run["state"], "discarded", "{run}");
    assert!(run["reason"].as_str().unwrap().contains("was told to stop before anything was published"), "{run}");
    assert!(!home.path("snapshots/orgs/manifest.json").exists() && destination.take().is_empty());

    source.let_go();
    let served = Served::start(&home);
    until(|| fires(&home) == [("done".to_owned(), fire["due"].clone())]);
    assert_eq!(destination.take_orgs(), ["ws_1", "ws_2"]);
    ends(served, &home);
}

#[test]
fn a_request_that_is_never_answered_does_not_hold_the_end_up() {
    let (source, destination) = (Hanging::start(), Destination::start());
    source.let_go();
    let home = home(&source, &destination);
    destination.set("ws_2", 0);
    let served = Served::start(&home);
    let fire = ask(&served);
    destination.wait_for(2);
    ends(served, &home);
    assert!(home.log().contains("run_not_stopped"), "{}", home.log());
    assert_eq!(fires(&home), [("running".to_owned(), fire["due"].clone())], "it is to be begun anew");
    let first = destination.take();
    let id = |org: &str, seen: &[crate::support::Seen]| {
        let of = seen.iter().find(|seen| seen.org() == org).unwrap();
        json!(of.headers["webhook-id"])
    };

    destination.clear();
    let served = Served::start(&home);
    until(|| fires(&home) == [("done".to_owned(), fire["due"].clone())]);
    let again = destination.take();
    // It may have been applied, and is sent again as what it is; what was acknowledged is not.
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!(id("ws_2", &again), id("ws_2", &first));
    ends(served, &home);
}

#[test]
fn a_run_that_is_told_to_stop_leaves_the_job_to_nobody_before_its_thread_has_ended() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (source, destination) = (Hanging::start(), Destination::start());
    let home = home(&source, &destination);
    let place = nightmark::config::Home::new(&home.path("")).unwrap();
    let dir = place.snapshots("orgs");
    let job = Arc::new(load_job(&place, "orgs").unwrap());
    let store = Arc::new(runtime.block_on(SqliteStore::open(&home.path("nightmark.db"))).unwrap());
    let (stop, stopping) = watch::channel(false);
    let runner = Runner {
        settings: Settings::load(&place).unwrap(),
        home: place,
        store: Arc::clone(&store) as _,
        clock: Arc::new(SystemClock),
        connect: Arc::new(Http),
        progress: Arc::new(()),
        metrics: Arc::new(()),
        resources: Resources { memory: 64 << 20, threads: 2 },
        stop: stopping,
        leases: None,
        tenures: Vec::new(),
        fences: Vec::new(),
        lock: Weak::new(),
    };
    let running = runtime.spawn(async move { runner.run(job, How::default()).await });
    source.is_read(1);
    stop.send_replace(true);
    let ended = runtime.block_on(running).unwrap();
    assert!(matches!(ended, Err(PipelineError::Stopped(_))), "{ended:?}");
    let run = runtime.block_on(store.runs(Some("orgs"), 1)).unwrap().remove(0);
    assert_eq!(run.state, RunState::Discarded, "{run:?}");
    // The source still has the thread.
    assert_eq!(JobLock::is_held(&dir), Some(true));
    source.let_go();
    until(|| JobLock::is_held(&dir) == Some(false));
    assert!(!dir.join("manifest.json").exists() && destination.take().is_empty());
}

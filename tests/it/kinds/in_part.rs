//! A batch that is taken in part. Whatever comes between the refusal and the answers about each of its rows, no row that was taken
//! counts as not taken: if the source goes back, the destination is told.

use super::batches::orgs;
use super::{QUICK, Site, ids};
use crate::delivery::server::{Reply, Seen, body, header, status};
use crate::support::signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

const ROWS: usize = 4;

fn job(at: SocketAddr) -> String {
    format!(
        "[diff]\nkey = \"id\"\n[destination]\nkind = \"http\"\nurl = \"http://{at}/hook\"\nbatch = {{ rows = {ROWS} }}\n{QUICK}\
         [payload]\npreset = \"flat\"\n"
    )
}

/// What the destination has, by org.
type Has = Arc<Mutex<BTreeMap<String, String>>>;

/// The first so many rows of a request are applied.
fn apply(has: &Has, body: &str, rows: usize) {
    let list: Vec<Value> = serde_json::from_str(body).unwrap();
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    has.lock().unwrap().extend(list.iter().take(rows).map(|row| (text(row, "id"), text(row, "name"))));
}

type Handler = Box<dyn Fn(&Seen) -> Reply + Send>;
/// What one night of the destination is like. `None`: it takes everything.
type Night = Arc<Mutex<Option<Handler>>>;

struct Story {
    site: Site,
    has: Has,
    night: Night,
}

impl Story {
    /// The destination has `A` of every org.
    fn begin() -> Story {
        let (has, night) = (Has::default(), Night::default());
        let (applied, tonight) = (Arc::clone(&has), Arc::clone(&night));
        let site = Site::new(job, move |seen| match &*tonight.lock().unwrap() {
            Some(night) => night(seen),
            None => {
                apply(&applied, &seen.body, usize::MAX);
                status(200)
            }
        });
        let story = Story { site, has, night };
        story.source("A");
        story.site.run(0);
        story.has("A");
        story.site.seen();
        story
    }

    /// Every org has this name.
    fn source(&self, name: &str) {
        let rows: String = ids(ROWS).iter().map(|id| format!("{id},{name}\n")).collect();
        self.site.home.write("orgs.csv", &format!("id,name\n{rows}"));
    }

    /// The first half of the whole batch is applied, and the batch answered so; halves meet `then`.
    fn in_part(&self, answer: impl Fn() -> Reply + Send + 'static, then: impl Fn() -> Reply + Send + 'static) {
        let has = Arc::clone(&self.has);
        let night = move |seen: &Seen| {
            if orgs(seen).len() < ROWS {
                return then();
            }
            apply(&has, &seen.body, ROWS / 2);
            answer()
        };
        *self.night.lock().unwrap() = Some(Box::new(night));
    }

    /// The source is back at `A`: one undisturbed night brings the destination there, and the next sends nothing.
    #[track_caller]
    fn back_at_a(&self, told: &str) {
        *self.night.lock().unwrap() = None;
        self.source("A");
        self.site.seen();
        self.site.run(0);
        self.has("A");
        assert_eq!(self.site.seen().iter().map(|seen| orgs(seen).len()).sum::<usize>(), ROWS, "{told}");
        self.site.run(0);
        assert!(self.site.seen().is_empty(), "{told}");
    }

    #[track_caller]
    fn has(&self, name: &str) {
        let all = ids(ROWS).into_iter().map(|id| (id, name.to_owned())).collect();
        assert_eq!(*self.has.lock().unwrap(), all);
    }
}

/// Every answer that a batch may be given that was taken in part.
const ANSWERS: [(u16, &str); 6] = [
    (200, r#"{"success": false}"#),
    (200, r#"{"success": false, "results": [{"success": true}, {"success": true}]}"#),
    (207, ""),
    (207, r#"{"items": [{"status": 200}]}"#),
    (400, r#"{"error": "row 3 is bad"}"#),
    (422, ""),
];

#[test]
fn what_was_taken_in_part_is_in_doubt_until_each_row_has_its_answer() {
    let interrupted = |name| match name {
        "401" => status(401),
        "a long pause" => header(429, "retry-after", "3600"),
        _ => status(429),
    };
    for (code, answer) in ANSWERS {
        for name in ["401", "a long pause", "429 till the attempts run out"] {
            let story = Story::begin();
            story.source("B");
            story.in_part(move || body(code, answer), move || interrupted(name));
            let report = story.site.run(1);
            let told = format!("{code} {answer}, then {name}: {report}");
            assert_eq!(
                (&report["unknown"], &report["pending"], &report["refused"]),
                (&json!(4), &json!(0), &json!(0)),
                "{told}"
            );
            story.site.home.run(&["destinations", "enable", "orgs"]).expect(0);
            story.back_at_a(&told);
        }
    }
}

#[test]
fn a_batch_that_was_too_large_has_not_been_taken_in_part() {
    let story = Story::begin();
    story.source("B");
    // Nothing of it is applied.
    *story.night.lock().unwrap() = Some(Box::new(|seen| status(if orgs(seen).len() == ROWS { 413 } else { 401 })));
    let report = story.site.run(1);
    assert_eq!((&report["unknown"], &report["pending"]), (&json!(0), &json!(4)), "{report}");
    *story.night.lock().unwrap() = None;
    story.source("A");
    assert_eq!(story.site.run(0)["unchanged"], json!(4), "nothing is in doubt");
}

#[test]
fn a_stop_in_the_middle_of_a_split() {
    let story = Story::begin();
    story.source("B");
    let arrived = Arc::new(tokio::sync::Notify::new());
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let notify = Arc::clone(&arrived);
    let answer = move || {
        notify.notify_one();
        let _ = gone.recv();
        body(200, r#"{"success": false}"#)
    };
    // If the answer overtakes the signal within the process, this ends the delivery.
    story.in_part(answer, || status(401));
    let command = &mut story.site.home.command(&["run", "orgs", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    story.site.block_on(arrived.notified());
    signal(child.id(), "TERM");
    let mut said = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    while !said.contains("stopping") {
        said.clear();
        assert!(stderr.read_line(&mut said).unwrap() > 0, "it ended before it was told to stop");
    }
    go.send(()).unwrap();
    let mut report = String::new();
    child.stdout.take().unwrap().read_to_string(&mut report).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["unknown"], &report["pending"]), (&json!(4), &json!(0)), "{report}");
    story.back_at_a("SIGTERM");
}

#[test]
fn a_destination_that_goes_away_in_the_middle_of_a_split() {
    let story = Story::begin();
    story.source("B");
    let job = std::fs::read_to_string(story.site.home.path("jobs/orgs.toml")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let another = format!("http://{}/hook", listener.local_addr().unwrap());
    let url = job.split('"').find(|part| part.ends_with("/hook")).unwrap();
    story.site.home.write("jobs/orgs.toml", &job.replace(url, &another));
    let has = Arc::clone(&story.has);
    let once = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        drop(listener);
        let mut stream = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        apply(&has, std::str::from_utf8(&body).unwrap(), ROWS / 2);
        let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 17\r\n\r\n{\"success\":false}";
        stream.get_mut().write_all(answer.as_bytes()).unwrap();
    });
    let report = story.site.run(1);
    once.join().unwrap();
    assert_eq!((&report["unknown"], &report["undelivered"]), (&json!(4), &json!(0)), "{report}");
    story.site.home.write("jobs/orgs.toml", &job);
    story.back_at_a("connection refused");
}

#[test]
fn a_row_that_is_refused_alone_is_refused_and_those_with_results_of_their_own_are_asked_once() {
    let refuses = |seen: &Seen| {
        let all = orgs(seen);
        match (all.len(), all.contains(&"ws_01".to_owned())) {
            (1, true) => status(422),
            (_, true) => status(207),
            // Any 2xx is a yes to a row alone.
            (1, false) => status(207),
            _ => status(200),
        }
    };
    let site = Site::new(job, refuses);
    site.orgs(&ids(ROWS));
    let report = site.run(1);
    assert_eq!((&report["acknowledged"], &report["refused"]), (&json!(3), &json!(1)), "{report}");
    assert_eq!(report["failures"][0]["key"], "ws_01");
    assert_eq!(site.seen().len(), 5, "4 → 2 + 2 → 1 + 1");

    let answers = |seen: &Seen| {
        let one = |org: &String| match org.as_str() {
            "ws_01" => json!({"success": false, "error": "no such plan"}),
            _ => json!({"success": true, "productOrgId": org}),
        };
        let results: Vec<Value> = orgs(seen).iter().map(one).collect();
        body(200, &json!({"success": false, "results": results}).to_string())
    };
    let site = Site::new(job, answers);
    site.orgs(&ids(ROWS));
    let report = site.run(1);
    assert_eq!((&report["acknowledged"], &report["refused"]), (&json!(3), &json!(1)), "{report}");
    assert_eq!(
        (&report["failures"][0]["key"], &report["failures"][0]["detail"]),
        (&json!("ws_01"), &json!("no such plan"))
    );
    assert_eq!(site.seen().len(), 1, "each row has its answer");
    site.run(1);
    assert_eq!(site.seen().iter().flat_map(orgs).collect::<Vec<_>>(), ["ws_01"]);
}

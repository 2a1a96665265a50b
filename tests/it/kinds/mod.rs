//! Each kind of destination, spoken to by the real binary: the exact request, the words about an answer, and what may not leave.

mod batches;
mod by_row;
mod cut_off;
mod events;
mod in_part;

use crate::delivery::server::{Reply, Seen, Server, body, status};
use crate::support::{Home, KEY, SECRET};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// What Basic authentication makes of the planted key and no password.
const BASIC: &str = "Basic cGxhbnRlZC1rZXktN2YzYTo=";

/// A destination and a home folder whose only job, `orgs`, sends to it.
pub struct Site {
    pub home: Home,
    server: Server,
    // Dropped last: the server runs in it.
    runtime: tokio::runtime::Runtime,
}

impl Site {
    /// `job`: everything of the job file from `[diff]` on, at the address of the destination.
    pub fn new(job: impl Fn(SocketAddr) -> String, answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Site {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = runtime.block_on(Server::start(answer));
        let home = Home::new();
        let head = "version = 1\n[source]\nkind = \"files\"\npath = \"orgs.csv\"\n";
        home.write("jobs/orgs.toml", &format!("{head}{}", job(server.addr)));
        Site { home, server, runtime }
    }

    /// Where the destination is.
    pub fn address(&self) -> SocketAddr {
        self.server.addr
    }

    /// One row for each id, with a name that is its id in capitals.
    pub fn orgs(&self, ids: &[String]) {
        let rows: String = ids.iter().map(|id| format!("{id},{}\n", id.to_uppercase())).collect();
        self.home.write("orgs.csv", &format!("id,name\n{rows}"));
    }

    /// Waits for something that a request brings about.
    pub fn block_on<T>(&self, waiting: impl Future<Output = T>) -> T {
        self.runtime.block_on(waiting)
    }

    /// What came from a process that is gone; `hung` of its requests were never answered.
    pub fn seen_of_the_dead(&self, hung: usize) -> Vec<Seen> {
        self.runtime.block_on(self.server.quiesce(hung));
        self.seen()
    }

    /// What came since the last call.
    pub fn seen(&self) -> Vec<Seen> {
        let seen = self.server.seen();
        self.server.forget();
        seen
    }

    /// Runs the job, with the exit code expected.
    #[track_caller]
    pub fn run(&self, code: i32) -> Value {
        self.home.job("orgs", code)
    }
}

/// `ws_00`, `ws_01`, …
pub fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("ws_{n:02}")).collect()
}

pub const QUICK: &str = "concurrency = 1\nretry = { attempts = 2, base = \"1ms\", max = \"2ms\" }\n";

fn yes(_: &Seen) -> Reply {
    body(200, r#"{"success": true, "productOrgId": "ws_00", "targetOrgId": 1, "isNewOrg": true}"#)
}

fn trailspark(at: SocketAddr) -> String {
    format!(
        "[diff]\nkey = \"id\"\n[destination]\nkind = \"trailspark\"\nbase_url = \"http://{at}/\"\nkey = \"${{TEST_KEY}}\"\n\
         secret = \"${{TEST_SECRET}}\"\n{QUICK}"
    )
}

fn parsed(seen: &Seen) -> Value {
    serde_json::from_str(&seen.body).unwrap()
}

#[test]
fn trailspark_gets_the_request_of_the_guide() {
    let site = Site::new(trailspark, yes);
    site.orgs(&ids(1));
    assert_eq!(site.run(0)["acknowledged"], json!(1));
    let seen = site.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].line, format!("POST /api/product-orgs/webhook/{KEY} HTTP/1.1"));
    assert_eq!(seen[0].headers["content-type"], "application/json");
    assert_eq!(seen[0].headers["x-api-secret"], SECRET);
    assert_eq!(seen[0].headers["nightmark-operation"], "added");
    assert_eq!(seen[0].body, r#"{"id":"ws_00","name":"WS_00"}"#, "flat, unless the job says otherwise");
}

#[test]
fn trailspark_answers_are_explained_as_in_the_guides_troubleshooting() {
    for (code, answer, counted, word, explanation) in [
        (
            403,
            r#"{"error": "wrong type"}"#,
            "pending",
            "remedy",
            "create a new key with the correct type at Settings > API Keys",
        ),
        (401, "", "pending", "remedy", "check destination.key and destination.secret"),
        (404, "", "pending", "remedy", "check destination.base_url and destination.key"),
        (400, r#"{"error": "missing productOrgId"}"#, "refused", "detail", "`workspace_id` for flat payloads"),
        (
            200,
            r#"{"success": false, "error": "no such plan"}"#,
            "refused",
            "detail",
            "\"success\": false: no such plan",
        ),
        (200, "<html>Sign in</html>", "unknown", "detail", "this may not be TrailSpark: <html>Sign in</html>"),
        (204, "", "unknown", "detail", "without \"success\": true"),
    ] {
        let site = Site::new(trailspark, move |_| body(code, answer));
        site.orgs(&ids(1));
        let report = site.run(1);
        assert_eq!(report[counted], json!(1), "{code} {answer}: {report}");
        let said = if word == "remedy" { &report["stopped"][word] } else { &report["failures"][0][word] };
        assert!(said.as_str().unwrap().contains(explanation), "{code} {answer}: {report}");
    }
}

fn events(kind: &str, address: &str, mode: &str, at: SocketAddr) -> String {
    format!(
        "[diff]\nkey = \"id\"\n[destination]\nkind = \"{kind}\"\n{address} = \"http://{at}\"\nwrite_key = \"${{TEST_KEY}}\"\n\
         mode = \"{mode}\"\n{QUICK}"
    )
}

/// Both kinds that take group events.
const EVENTS: [(&str, &str); 2] = [("segment", "base_url"), ("rudderstack", "data_plane_url")];

/// An event is what both APIs ask for; returns its id and that of its org.
fn checked_event(event: &Value) -> (String, String) {
    let id = event["groupId"].as_str().unwrap().to_owned();
    assert_eq!(event["type"], "group");
    assert_eq!(event["traits"], json!({ "name": id.to_uppercase() }));
    assert_eq!(event["anonymousId"], format!("nightmark:{id}"));
    let message = event["messageId"].as_str().unwrap().to_owned();
    assert!(!message.is_empty() && message.len() < 100);
    (message, id)
}

#[test]
fn segment_and_rudderstack_get_one_group_call_for_each_org() {
    for (kind, address) in EVENTS {
        let site = Site::new(|at| events(kind, address, "single", at), |_| body(200, "OK"));
        site.orgs(&ids(3));
        assert_eq!(site.run(0)["acknowledged"], json!(3));
        let seen = site.seen();
        assert_eq!(seen.len(), 3, "{kind}");
        for request in &seen {
            assert_eq!(request.line, "POST /v1/group HTTP/1.1");
            assert_eq!(request.headers["authorization"], BASIC);
            assert_eq!(request.headers["content-type"], "application/json");
            let (message, _) = checked_event(&parsed(request));
            assert_eq!(request.id(), message);
        }
    }
}

#[test]
fn segment_and_rudderstack_get_as_many_events_as_a_batch_holds() {
    for (kind, address) in EVENTS {
        let site = Site::new(|at| events(kind, address, "batch", at), |_| body(200, r#"{"success": true}"#));
        site.orgs(&ids(50));
        assert_eq!(site.run(0)["acknowledged"], json!(50));
        let seen = site.seen();
        assert_eq!(seen.len(), 1, "{kind}");
        assert_eq!(seen[0].line, "POST /v1/batch HTTP/1.1");
        assert_eq!(seen[0].headers["authorization"], BASIC);
        let batch = parsed(&seen[0]);
        let found: Vec<_> = batch["batch"].as_array().unwrap().iter().map(checked_event).collect();
        assert_eq!(found.iter().map(|(_, org)| org.clone()).collect::<Vec<_>>(), ids(50));
        assert!(seen[0].id().starts_with("nm_batch_"), "{}", seen[0].id());
    }
}

#[test]
fn an_oversize_event_never_leaves_and_keeps_no_other_back() {
    for ((kind, address), mode) in EVENTS.into_iter().flat_map(|kind| [(kind, "single"), (kind, "batch")]) {
        let site = Site::new(|at| events(kind, address, mode, at), |_| body(200, "OK"));
        let long = "x".repeat(33_000);
        site.home.write("orgs.csv", &format!("id,name\nws_00,WS_00\nws_01,{long}\nws_02,WS_02\n"));
        let report = site.run(1);
        assert_eq!((&report["acknowledged"], &report["undelivered"]), (&json!(2), &json!(1)), "{report}");
        let detail = report["failures"][0]["detail"].as_str().unwrap();
        assert!(detail.contains("bytes, more than the 32768 that are taken"), "{detail}");
        assert!(site.seen().iter().all(|request| !request.body.contains("ws_01")), "{kind} {mode}");
        assert_eq!(site.home.run(&["preview", "orgs", "--json"]).code, 1, "and a preview says so");
    }
}

#[test]
fn a_templated_event_that_would_not_be_taken_never_leaves() {
    for (template, problem) in [
        (r#"{"type": "track", "groupId": "{{row.id}}", "userId": "u"}"#, "payload field `type`: it is not `group`"),
        (r#"{"type": "group", "groupId": "{{row.id}}"}"#, "payload field `anonymousId`"),
        (r#"{"type": "group", "groupId": "", "userId": "u"}"#, "payload field `groupId`"),
        (r#"[{"type": "group"}]"#, "the body is no group event"),
    ] {
        let job = |at| format!("{}[payload]\ntemplate = '{template}'\n", events("segment", "base_url", "batch", at));
        let site = Site::new(job, |_| body(200, "OK"));
        site.orgs(&ids(2));
        let report = site.run(1);
        assert!(report["failures"][0]["detail"].as_str().unwrap().contains(problem), "{template}: {report}");
        assert_eq!((&report["undelivered"], site.seen().len()), (&json!(2), 0), "a 200 would prove nothing");
    }
}

#[test]
fn http_has_its_own_method_address_and_body_for_each_operation() {
    let job = |at: SocketAddr| {
        format!(
            "[diff]\nkey = \"id\"\non = [\"added\", \"changed\", \"removed\"]\n[guard]\nmax_removed = {{ floor = 9 }}\n\
             [destination]\nkind = \"http\"\nurl = \"http://{at}/orgs\"\nmethod = \"PUT\"\n{QUICK}\
             [destination.changed]\nmethod = \"PATCH\"\nurl = \"http://{at}/changed/${{TEST_KEY}}\"\n\
             [destination.removed]\nmethod = \"DELETE\"\nurl = \"http://{at}/gone\"\n\
             [payload]\npreset = \"flat\"\n[payload.changed]\ntemplate = '{{\"now\": {{{{row.name}}}}}}'\n"
        )
    };
    let site = Site::new(job, yes);
    let lines = |code| {
        assert_eq!(site.run(code)["pending"], json!(0));
        let seen = site.seen();
        for request in &seen {
            assert_eq!(request.headers.contains_key("content-type"), !request.body.is_empty());
        }
        let line = |seen: &Seen| format!("{} | {} | {}", seen.line, seen.headers["nightmark-operation"], seen.body);
        let mut lines: Vec<String> = seen.iter().map(line).collect();
        lines.sort();
        lines
    };
    site.home.write("orgs.csv", "id,name\na,one\nb,two\n");
    assert_eq!(
        lines(0),
        [
            r#"PUT /orgs HTTP/1.1 | added | {"id":"a","name":"one"}"#,
            r#"PUT /orgs HTTP/1.1 | added | {"id":"b","name":"two"}"#
        ]
    );
    site.home.write("orgs.csv", "id,name\nb,three\n");
    assert_eq!(
        lines(0),
        [
            "DELETE /gone HTTP/1.1 | removed | ".to_owned(),
            format!("PATCH /changed/{KEY} HTTP/1.1 | changed | {{\"now\": \"three\"}}")
        ]
    );
}

fn http(at: SocketAddr, more: &str) -> String {
    format!(
        "[diff]\nkey = \"id\"\n[destination]\nkind = \"http\"\nurl = \"http://{at}/hook\"\n{QUICK}{more}\n[payload]\npreset = \"flat\"\n"
    )
}

#[test]
fn http_writes_json_forms_and_lines() {
    let two = "[{\"id\":\"ws_00\",\"name\":\"WS_00\"},{\"id\":\"ws_01\",\"name\":\"WS_01\"}]";
    let [first, second] = [0, 1].map(|n| format!("{{\"id\":\"ws_0{n}\",\"name\":\"WS_0{n}\"}}"));
    for (settings, content, bodies) in [
        ("", "application/json", vec![first.clone(), second.clone()]),
        (
            "format = \"form\"",
            "application/x-www-form-urlencoded",
            vec!["id=ws_00&name=WS_00".into(), "id=ws_01&name=WS_01".into()],
        ),
        ("format = \"ndjson\"", "application/x-ndjson", vec![format!("{first}\n"), format!("{second}\n")]),
        ("batch = { rows = 5 }", "application/json", vec![two.to_owned()]),
        ("batch = { rows = 5 }\nformat = \"ndjson\"", "application/x-ndjson", vec![format!("{first}\n{second}\n")]),
        ("batch = { bytes = 40 }", "application/json", vec![format!("[{first}]"), format!("[{second}]")]),
    ] {
        let site = Site::new(|at| http(at, settings), yes);
        site.orgs(&ids(2));
        assert_eq!(site.run(0)["acknowledged"], json!(2));
        let seen = site.seen();
        assert_eq!(seen.iter().map(|request| request.body.clone()).collect::<Vec<_>>(), bodies, "{settings}");
        assert!(seen.iter().all(|request| request.headers["content-type"] == content), "{settings}");
    }
}

#[test]
fn a_user_name_and_password_are_sent_and_never_shown() {
    let job = |at| http(at, "auth = { user = \"me\", password = \"${TEST_KEY}\" }");
    // `me:` and the key.
    let basic = "Basic bWU6cGxhbnRlZC1rZXktN2YzYQ==";
    let site = Site::new(job, |seen| body(401, &format!("not known: {} {KEY}", seen.headers["authorization"])));
    site.orgs(&ids(1));
    let ran = site.home.run(&["run", "orgs"]).expect(1);
    assert_eq!(site.seen()[0].headers["authorization"], basic);
    for shown in [&ran.stdout, &ran.stderr] {
        assert!(!shown.contains(KEY) && !shown.contains("cGxhbnRlZC1"), "{shown}");
    }
    assert!(ran.stdout.contains("not known: Basic [redacted] [redacted]"), "{}", ran.stdout);
}

#[test]
fn a_method_that_is_not_taken_is_named() {
    let site = Site::new(|at| http(at, "method = \"PUT\""), |_| status(405));
    site.orgs(&ids(1));
    let report = site.run(1);
    let remedy = report["stopped"]["remedy"].as_str().unwrap();
    assert_eq!(remedy, "this address takes no PUT: check the path in destination.url");
}

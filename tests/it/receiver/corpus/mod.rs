//! Malformed and hostile requests against `nightmark serve`, byte by byte. Whatever comes: no 5xx, no panic, nothing is
//! written, and the next good request is served.
//!
//! What is stored under the id `kept` is what nearly all of them would change if they were taken.

mod bodies;
mod framing;
mod packed;
mod requests;
mod values;
pub(super) mod wire;

pub(super) use packed::gzip;

use crate::support::{Home, Served};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use wire::{Answer, Request};

const GUIDE_BODY: &str = include_str!("../../fixtures/curl_flat.json");
const GROUP_BODY: &str = include_str!("../../fixtures/segment_group.json");

/// Thousands of requests from one address, hundreds of them with bad keys, are what the limits are there for.
pub(super) const WITHOUT_RATES: &str = "[receiver]\nrate = 0\nbad_keys_per_minute = 0\n";

/// What a request must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// This status, with our words.
    Refused(u16),
    /// An SDK's call is answered 200 and none of its events is stored.
    NothingStored,
    /// It is no HTTP that a server can make sense of: refused by the HTTP layer in its own way, or cut off.
    NoHttp,
}

/// One malformed request.
struct Case {
    name: String,
    request: Vec<u8>,
    expected: Expected,
}

impl Case {
    fn new(name: &str, place: Place, body: &[u8], expected: Expected) -> Case {
        Case::of(name, place.request().body(body), expected)
    }

    fn of(name: &str, request: Request, expected: Expected) -> Case {
        Case { name: name.to_owned(), request: request.bytes(), expected }
    }

    /// What is wrong with an answer to it.
    fn fault(&self, answer: &Answer) -> Option<String> {
        let body = answer.json();
        let fine = match self.expected {
            Expected::Refused(status) => {
                let said =
                    body["success"] == json!(false) && body["error"].as_str().is_some_and(|text| !text.is_empty());
                // The answer to HEAD has no body.
                answer.status == Some(status) && (said || self.request.starts_with(b"HEAD "))
            }
            Expected::NothingStored => {
                answer.status == Some(200) && body["success"] == json!(true) && body["stored"] == json!(0)
            }
            Expected::NoHttp => answer.status.is_none_or(|status| (400..500).contains(&status)),
        };
        let shown: String = String::from_utf8_lossy(&self.request).chars().take(700).collect();
        (!fine).then(|| format!("{}: {:?} expected, answered {answer:?}\n    {shown:?}", self.name, self.expected))
    }
}

/// Where bodies are posted.
#[derive(Debug, Clone)]
struct Place {
    path: String,
    authorization: Option<String>,
}

impl Place {
    fn webhook(key: &str) -> Place {
        Place { path: format!("/api/product-orgs/webhook/{key}"), authorization: None }
    }

    fn sdk(call: &str, key: &str) -> Place {
        Place { path: format!("/v1/{call}"), authorization: Some(wire::basic(&format!("{key}:"))) }
    }

    fn request(&self) -> Request {
        let request = Request::post(&self.path).header("Content-Type", "application/json");
        match &self.authorization {
            Some(value) => request.header("Authorization", value),
            None => request,
        }
    }
}

/// The keys of the corpus.
struct Keys {
    flat: String,
    segment: String,
    /// Its template has every field, under its own name.
    full: String,
    secured: String,
    secret: String,
    signals: String,
    revoked: String,
    expired: String,
}

/// The calls of SDKs that take one event.
const EVENTS: [&str; 6] = ["group", "track", "identify", "page", "screen", "alias"];

impl Keys {
    fn create(home: &Home) -> Keys {
        let fields =
            ["name", "plan_id", "plan_name", "user_count", "mrr", "trial_status", "last_active_at", "feature_flags"];
        let lines: String = fields.iter().map(|field| format!("{field} = \"{field}\"\n")).collect();
        home.write("full.toml", &format!("product_org_id = \"id\"\n{lines}[custom]\nregion = \"region\"\n"));
        let create = |args: &[&str]| {
            let key = home.run(&[&["keys", "create", "--json", "--name", "corpus"], args].concat()).expect(0).json();
            let text = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
            (text("key"), text("secret"), text("id"))
        };
        let (secured, secret, _) = create(&["--template", "flat", "--with-secret"]);
        let (revoked, _, id) = create(&["--template", "flat"]);
        home.run(&["keys", "revoke", &id]).expect(0);
        Keys {
            flat: create(&["--template", "flat"]).0,
            segment: create(&["--template", "segment"]).0,
            full: create(&["--template", "full.toml"]).0,
            secured,
            secret,
            signals: create(&["--type", "signal-staging"]).0,
            revoked,
            expired: create(&["--template", "flat", "--expires", "2020-01-01T00:00:00Z"]).0,
        }
    }

    fn webhook(&self) -> Place {
        Place::webhook(&self.flat)
    }

    fn segment(&self) -> Place {
        Place::webhook(&self.segment)
    }

    fn sdk(&self, call: &str) -> Place {
        Place::sdk(call, &self.segment)
    }

    fn batch(&self) -> Place {
        self.sdk("batch")
    }

    /// One of each kind of place that takes one event.
    fn few(&self) -> Vec<Place> {
        vec![self.webhook(), self.sdk("group"), self.sdk("track")]
    }

    /// Every place that takes one event.
    fn single(&self) -> Vec<Place> {
        let calls = EVENTS.iter().map(|call| self.sdk(call));
        [self.webhook(), self.segment()].into_iter().chain(calls).collect()
    }
}

fn cases(keys: &Keys) -> Vec<Case> {
    let mut cases = Vec::new();
    bodies::bad_values(keys, &mut cases);
    bodies::cut(keys, &mut cases);
    bodies::around(keys, &mut cases);
    bodies::without_an_org(keys, &mut cases);
    bodies::wrong_kinds(keys, &mut cases);
    bodies::no_batches_and_too_much(keys, &mut cases);
    packed::all(keys, &mut cases);
    requests::all(keys, &mut cases);
    framing::all(keys, &mut cases);
    let mut seen = HashSet::new();
    cases.retain(|case| seen.insert(case.request.clone()));
    cases
}

/// Everything that is stored of orgs, with their history.
fn stored(home: &Home) -> Value {
    let orgs = home.run(&["orgs", "list", "--limit", "10000", "--json"]).expect(0).json();
    let history = |org: &Value| {
        let id = org["product_org_id"].as_str().unwrap();
        home.run(&["orgs", "history", id, "--limit", "10000", "--json"]).expect(0).json()
    };
    let histories: Vec<Value> = orgs.as_array().unwrap().iter().map(history).collect();
    json!({ "orgs": orgs, "histories": histories })
}

/// Sound requests, one at each kind of place. Each stores an org under the id that it is given.
fn send_good(served: &Served, keys: &Keys, id: &str) {
    let flat = json!({"workspace_id": id, "workspace_name": "as it was", "user_count": 1}).to_string();
    let group = json!({"type": "group", "groupId": id, "traits": {"name": "as it was", "employees": 1}}).to_string();
    let batch = format!("{{\"batch\":[{group}]}}");
    let full = json!({"id": id, "name": "as it was", "user_count": 1}).to_string();
    let packed = keys.segment().request().header("Content-Encoding", "gzip").body(&gzip(group.as_bytes()));
    let requests = [
        keys.webhook().request().body(flat.as_bytes()),
        keys.webhook().request().body(format!("[{flat}]").as_bytes()),
        packed,
        keys.sdk("group").request().body(group.as_bytes()),
        keys.batch().request().body(batch.as_bytes()),
        Place::webhook(&keys.full).request().body(full.as_bytes()),
        Place::webhook(&keys.secured).request().header("X-Api-Secret", &keys.secret).body(flat.as_bytes()),
    ];
    for request in requests {
        let answer = wire::send(&served.receiver, &request.bytes(), false);
        assert_eq!((answer.status, &answer.json()["success"]), (Some(200), &json!(true)), "{answer:?}");
    }
}

/// What is wrong with the answers, and how many there were of each status.
fn send_all(served: &Served, cases: &[Case]) -> (Vec<String>, BTreeMap<Option<u16>, usize>) {
    let send = |case: &Case| {
        let answer = wire::send(&served.receiver, &case.request, case.expected == Expected::NoHttp);
        (case.fault(&answer), answer.status)
    };
    let answers: Vec<(Option<String>, Option<u16>)> = std::thread::scope(|scope| {
        let parts: Vec<_> = cases.chunks(cases.len().div_ceil(8)).collect();
        let threads: Vec<_> =
            parts.into_iter().map(|part| scope.spawn(move || part.iter().map(send).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut statuses = BTreeMap::new();
    for (_, status) in &answers {
        *statuses.entry(*status).or_default() += 1;
    }
    (answers.into_iter().filter_map(|(fault, _)| fault).collect(), statuses)
}

#[test]
fn malformed_requests_are_refused_and_write_nothing() {
    let home = Home::new();
    home.write("nightmark.toml", WITHOUT_RATES);
    let served = Served::start(&home);
    let keys = Keys::create(&home);
    send_good(&served, &keys, "kept");
    let before = stored(&home);
    assert_eq!(
        (before["orgs"].as_array().map(Vec::len), &before["orgs"][0]["name"]),
        (Some(1), &json!("as it was")),
        "{before}"
    );

    let cases = cases(&keys);
    let (faults, statuses) = send_all(&served, &cases);
    println!("{} distinct requests, by status: {statuses:?}", cases.len());
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), cases.len(), faults[..faults.len().min(20)].join("\n"));
    assert!(cases.len() >= 300, "{}", cases.len());
    for status in [400, 401, 403, 404, 405, 413, 415] {
        assert!(statuses.contains_key(&Some(status)), "{status} never came up: {statuses:?}");
    }
    assert_eq!(stored(&home), before, "something was written");

    send_good(&served, &keys, "new");
    assert_eq!(stored(&home)["orgs"].as_array().map(Vec::len), Some(2));
    assert_eq!(served.stop(), 0);
    let log = home.log();
    assert!(!log.contains("panicked"), "{log}");
}

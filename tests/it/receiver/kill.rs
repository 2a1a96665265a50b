//! A receiver that is killed in the middle of a batch has stored all of it or nothing, and all of it once it has said so. One that is
//! killed at any time, under load, has everything that it has acknowledged, once, and still knows what it has answered.

use crate::support::postgres::{Cluster, Database, PASSWORD};
use crate::support::{Home, Served, number};
use futures_util::future::join_all;
use nightmark::store::{OrgChange, Place, StateStore};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// The marks in the code that a request comes past.
pub const RECEIVER_MARKS: [&str; 2] = ["orgs.written", "orgs.committed"];

/// Orgs of the batch.
const ORGS: usize = 1000;

/// Sends a batch to a receiver that is killed at a mark, and returns whether it was acknowledged and how many orgs are stored.
async fn killed_at(mark: Option<&str>) -> (bool, usize) {
    let home = Home::new();
    let failpoints = mark.map(|mark| format!("{mark}=return")).unwrap_or_default();
    let served = Served::start_with(&home, &[("FAILPOINTS", &failpoints)]);
    let key = home.run(&["keys", "create", "--json", "--name", "sdk", "--template", "segment"]).expect(0).json();
    let event = |number| json!({"type": "group", "groupId": format!("ws_{number}"), "traits": {"mrr": number}});
    let batch = json!({"batch": (0..ORGS).map(event).collect::<Vec<_>>()}).to_string();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("http://{}/v1/batch", served.receiver));
    let answer = request.basic_auth(key["key"].as_str().unwrap(), Some("")).body(batch).send().await;
    let acknowledged = answer.is_ok_and(|answer| answer.status() == 200);
    drop(served); // SIGKILL, if it is still there
    let listed = home.run(&["orgs", "list", "--limit", "10000", "--json"]).expect(0).json();
    (acknowledged, listed.as_array().unwrap().len())
}

#[tokio::test]
async fn a_batch_is_stored_as_a_whole_or_not_at_all() {
    if !cfg!(feature = "failpoints") {
        panic!("run the tests with --features failpoints, as ./test.sh does");
    }
    assert_eq!(killed_at(Some(RECEIVER_MARKS[0])).await, (false, 0), "written and not committed");
    assert_eq!(killed_at(Some(RECEIVER_MARKS[1])).await, (false, ORGS), "committed and not answered");
    assert_eq!(killed_at(None).await, (true, ORGS), "answered");
}

/// Connections that send at once.
const SENDERS: i64 = 24;

/// An update, by its number: every fourth is of one of few orgs, so that some have a long history.
fn org_of(number: i64) -> String {
    match number % 4 {
        0 => format!("ws_shared_{}", number % 7),
        _ => format!("ws_{number}"),
    }
}

/// Where a receiver keeps its state.
enum State {
    Sqlite,
    Postgres(Database),
}

/// A receiver's home, and what it has answered.
struct Life {
    home: Home,
    state: State,
    client: reqwest::Client,
    key: String,
    next: AtomicI64,
}

/// One request: the answer's text, and whether it says that it was done before. `None`: there was none, or a 503.
async fn send(life: &Life, address: &str, number: i64, request: &str) -> Option<(String, bool)> {
    let url = format!("http://{address}/api/product-orgs/webhook/{}", life.key);
    let body = json!({"workspace_id": org_of(number), "mrr": number}).to_string();
    let sent =
        life.client.post(url).header("content-type", "application/json").header("webhook-id", format!("m{number}"));
    let answer = sent.header("x-request-id", format!("{request}_{number}")).body(body).send().await.ok()?;
    assert!(matches!(answer.status().as_u16(), 200 | 503), "{}", answer.status());
    let (stored, replayed) = (answer.status() == 200, answer.headers().contains_key("idempotent-replayed"));
    answer.text().await.ok().filter(|_| stored).map(|text| (text, replayed))
}

impl Life {
    fn new(state: State) -> Life {
        let home = Home::new();
        let store = match &state {
            State::Sqlite => String::new(),
            State::Postgres(database) => database.setting(),
        };
        home.write("nightmark.toml", &format!("[receiver]\nrate = 1000000\n{store}"));
        let mut create = home.command(&["keys", "create", "--json", "--name", "k", "--template", "flat"]);
        let created = crate::support::ran(create.env("PG_PASSWORD", PASSWORD).output().unwrap()).expect(0).json();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let key = created["key"].as_str().unwrap().to_owned();
        Life { home, state, client, key, next: AtomicI64::new(1) }
    }

    fn serve(&self) -> Served {
        Served::start_with(&self.home, &[("PG_PASSWORD", PASSWORD)])
    }

    /// A look at what is stored, from beside.
    async fn store(&self) -> Arc<dyn StateStore> {
        let place = match &self.state {
            State::Sqlite => Place::File(self.home.path("nightmark.db")),
            State::Postgres(database) => Place::Postgres(Box::new(database.server())),
        };
        place.look().await.unwrap().unwrap()
    }

    /// Load until the process is killed: what was sent, with the answer if one came.
    async fn live(&self, served: Served, rng: &mut StdRng) -> BTreeMap<i64, Option<String>> {
        let address = served.receiver.clone();
        let sender = async |_| {
            let mut sent = Vec::new();
            loop {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                let answer = send(self, &address, number, "first").await;
                let ended = answer.is_none();
                sent.push((number, answer.map(|(text, _)| text)));
                if ended {
                    return sent;
                }
            }
        };
        let end = async {
            tokio::time::sleep(Duration::from_millis(rng.random_range(20..200))).await;
            drop(served); // SIGKILL
        };
        let (sent, ()) = tokio::join!(join_all((0..SENDERS).map(sender)), end);
        sent.into_iter().flatten().collect()
    }

    /// Everything that was acknowledged is there with its history, and nothing twice.
    async fn check_stored(&self, sent: &BTreeMap<i64, Option<String>>) {
        let store = self.store().await;
        for (number, answer) in sent {
            let Some(answer) = answer else { continue };
            let id = org_of(*number);
            let org = store.org(&id).await.unwrap().unwrap_or_else(|| panic!("{id} was acknowledged"));
            let target = format!("\"targetOrgId\":{},", org.target_org_id);
            assert!(answer.contains(&target), "{answer}: {target}");
            let made = changes_of(store.as_ref(), &id, *number).await;
            assert_eq!(made.len(), 1, "{id}: update {number} is in its history once");
            assert_eq!(made[0].fields["mrr"]["after"], json!(number));
        }
        store.close().await;
    }

    /// After the restart: each repeat is answered as the first was; what was not answered is done now, unless it was done before.
    async fn check_repeats(&self, address: &str, sent: &BTreeMap<i64, Option<String>>) {
        let numbers: Vec<i64> = sent.keys().copied().collect();
        for some in numbers.chunks(SENDERS as usize) {
            let again = join_all(some.iter().map(|number| send(self, address, *number, "again"))).await;
            for (number, again) in some.iter().zip(again) {
                let (text, replayed) = again.expect("answered");
                if let Some(first) = &sent[number] {
                    assert_eq!((&text, replayed), (first, true), "update {number}");
                }
            }
        }
    }
}

/// What an update did to its org, under whichever of its request ids.
async fn changes_of(store: &dyn StateStore, id: &str, number: i64) -> Vec<OrgChange> {
    let ids = [format!("first_{number}"), format!("again_{number}")];
    let changes = store.history(id, None, 1_000_000).await.unwrap();
    changes.into_iter().filter(|change| ids.contains(&change.request_id)).collect()
}

/// 50 kills. Every update that was sent in any life is there in the end, once, and each history leads to the org as it is.
async fn survives_every_kill(state: State) {
    let seed = number("NIGHTMARK_CRASH_SEED").unwrap_or_else(rand::random);
    let kills = number("NIGHTMARK_RECEIVER_KILLS").unwrap_or(50);
    println!("NIGHTMARK_CRASH_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let begun = Instant::now();
    let life = Life::new(state);
    let (mut last, mut acknowledged) = (BTreeMap::new(), 0);
    for _ in 0..kills {
        let served = life.serve();
        life.check_repeats(&served.receiver, &last).await;
        last = life.live(served, &mut rng).await;
        acknowledged += last.values().flatten().count();
        life.check_stored(&last).await;
    }
    let served = life.serve();
    life.check_repeats(&served.receiver, &last).await;
    assert_eq!(served.stop(), 0);
    let sent = life.next.load(Ordering::Relaxed) - 1;
    let took = begun.elapsed().as_secs();
    println!("{kills} kills, {sent} updates sent, {acknowledged} acknowledged before a kill, {took} s");
    assert!(acknowledged > kills as usize, "the kills came under load");
    check_all(&life, sent).await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_every_kill() {
    survives_every_kill(State::Sqlite).await;
}

/// The server lives on, with whatever the killed process had begun.
#[tokio::test]
async fn what_was_acknowledged_survives_every_kill_on_postgres() {
    survives_every_kill(State::Postgres(Cluster::shared().database())).await;
}

async fn check_all(life: &Life, sent: i64) {
    let store = life.store().await;
    let mut seen = vec![0; usize::try_from(sent).unwrap() + 1];
    let mut targets = Vec::new();
    for org in store.orgs(None, u32::MAX).await.unwrap() {
        let changes = store.history(&org.product_org_id, None, u32::MAX).await.unwrap();
        for (index, change) in changes.iter().enumerate() {
            assert_eq!(change.number, index as i64 + 1, "{}", org.product_org_id);
            let number = change.request_id.split_once('_').unwrap().1.parse::<usize>().unwrap();
            seen[number] += 1;
        }
        let last = &changes.last().unwrap().fields["mrr"]["after"];
        assert_eq!(*last, json!(org.fields.mrr), "{}", org.product_org_id);
        targets.push(org.target_org_id);
    }
    let wrong: Vec<usize> = (1..seen.len()).filter(|number| seen[*number] != 1).collect();
    assert!(wrong.is_empty(), "updates that are not there exactly once: {wrong:?}");
    targets.sort_unstable();
    assert!(targets.windows(2).all(|pair| pair[0] < pair[1]), "no number is given twice");
}

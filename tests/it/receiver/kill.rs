//! A receiver that is killed in the middle of a batch has stored all of it or nothing, and all of it once it has said so.

use crate::support::{Home, Served};
use serde_json::json;

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

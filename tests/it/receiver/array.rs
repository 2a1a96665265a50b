//! A JSON array at the webhook, as Segment's Webhooks (Actions) sends it with batching on.

use super::server::{Server, preset};
use nightmark::receiver::{MAX_BATCH_BODY, MAX_BODY, MAX_EVENTS};
use nightmark::store::OrgStore;
use serde_json::{Value, json};

fn event(id: &str, users: i64) -> Value {
    json!({"type": "group", "groupId": id, "traits": {"name": id, "employees": users}})
}

#[tokio::test]
async fn each_element_is_an_update_with_a_result() {
    let server = Server::start().await;
    let key = server.key(preset("segment"), true, None).await;
    let body = json!([event("a", 1), event("b", 2), event("a", 3)]).to_string();
    let answer = server.post(&key, format!(" \n{body}")).await.expect(200, "");
    let stored = |id: &str, number: i64, new: bool| json!({"success": true, "productOrgId": id, "targetOrgId": number, "isNewOrg": new});
    let expected =
        json!({"success": true, "results": [stored("a", 1, true), stored("b", 2, true), stored("a", 1, false)]});
    assert_eq!(answer.text, expected.to_string());
    assert_eq!(server.store.org("a").await.unwrap().unwrap().fields.user_count, Some(3), "the last one counts");
    assert_eq!(server.post(&key, "[]").await.expect(200, "").text, r#"{"success":true,"results":[]}"#);
}

#[tokio::test]
async fn a_bad_element_takes_no_other_down() {
    let server = Server::start().await;
    let key = server.key(preset("segment"), false, None).await;
    let deep = format!("{{\"groupId\": \"d\", \"x\": {}{}}}", "[".repeat(32), "]".repeat(32));
    let body = format!(
        "[{}, {{\"traits\": {{}}}}, {deep}, {{\"groupId\": \"e\", \"groupId\": \"f\"}}, 7, {}]",
        event("a", 1),
        event("b", 2)
    );
    let answer = server.post(&key, body).await.expect(200, "").json();
    assert_eq!(answer["success"], json!(false), "a sender that looks learns that not all was taken");
    let errors: Vec<&str> =
        answer["results"].as_array().unwrap().iter().map(|result| result["error"].as_str().unwrap_or("-")).collect();
    for (error, part) in
        errors.iter().zip(["-", "missing productOrgId", "deeper than 32", "stands twice", "object", "-"])
    {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!((errors.len(), server.org_count().await), (6, 2));
}

#[tokio::test]
async fn an_array_of_which_nothing_can_be_stored_is_a_bad_body() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    // The key's template is for flat bodies: what the guide's troubleshooting is about.
    let body = json!([event("a", 1), event("b", 2)]).to_string();
    server.post(&key, body).await.expect(400, "missing productOrgId");
    server.post(&key, "[{\"workspace_id\": \"a\"},]").await.expect(400, "not valid JSON");
    server.post(&key, "[{\"workspace_id\": \"a\"}").await.expect(400, "not valid JSON");
    assert_eq!(server.org_count().await, 0);
}

#[tokio::test]
async fn limits_of_arrays() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let padded = |text: &str, size: usize| format!("{text}{}", " ".repeat(size - text.len()));
    let one = r#"[{"workspace_id": "a"}]"#;
    server.post(&key, padded(one, MAX_BATCH_BODY)).await.expect(200, "");
    server.post(&key, padded(one, MAX_BATCH_BODY + 1)).await.expect(413, "4096 KB");
    server.post(&key, padded(r#"{"workspace_id": "a"}"#, MAX_BODY + 1)).await.expect(413, "256 KB");
    let many = |count: usize| format!("[{}7]", "7,".repeat(count - 1));
    server.post(&key, many(MAX_EVENTS)).await.expect(400, "must be a JSON object");
    server.post(&key, many(MAX_EVENTS + 1)).await.expect(413, "10000 events");
    let orgs: Vec<Value> = (0..MAX_EVENTS).map(|number| json!({"workspace_id": number})).collect();
    server.post(&key, json!(orgs).to_string()).await.expect(200, "");
    assert_eq!(server.org_count().await, MAX_EVENTS + 1);
}

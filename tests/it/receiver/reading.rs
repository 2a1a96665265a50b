//! The read API: orgs and their history over HTTP, in pages.

use super::server::{Key, Server};
use nightmark::store::OrgStore;
use nightmark::web::{self, Access, AdminState};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;

/// The admin API over a receiver's store; its address.
async fn api(server: &Server) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let access = Access::new(address, None).unwrap();
    let clock = Arc::clone(&server.clock) as Arc<dyn nightmark::clock::Clock>;
    let state = AdminState::new(Arc::clone(&server.store), clock, server.stop.subscribe());
    tokio::spawn(async move { axum::serve(listener, web::router(state, access)).await });
    format!("http://{address}/api/v1/orgs")
}

async fn get(server: &Server, url: &str, status: u16) -> Value {
    server.send(server.client.get(url)).await.expect(status, "").json()
}

async fn put(server: &Server, key: &Key, id: &str, mrr: i64) {
    server.post(key, json!({"workspace_id": id, "mrr": mrr}).to_string()).await.expect(200, "");
}

#[tokio::test]
async fn an_org_and_its_history_are_shown() {
    let server = Server::start().await;
    let (key, api) = (server.flat_key().await, api(&server).await);
    for mrr in 0..5 {
        put(&server, &key, "a/b ?é", mrr).await;
    }
    let org = get(&server, &format!("{api}/a%2Fb%20%3F%C3%A9"), 200).await;
    assert_eq!([&org["product_org_id"], &org["mrr"]], [&json!("a/b ?é"), &json!(4)]);
    let history = format!("{api}/a%2Fb%20%3F%C3%A9/history");
    let page = get(&server, &format!("{history}?limit=3"), 200).await;
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
    let first = &page["items"][0];
    assert_eq!(first["fields"]["mrr"], json!({"before": null, "after": 0}));
    assert_eq!([&first["number"], &first["key_id"]], [&json!(1), &json!(key.id)]);
    let after = page["next"].as_str().unwrap();
    let page = get(&server, &format!("{history}?limit=3&after={after}"), 200).await;
    let numbers: Vec<&Value> = page["items"].as_array().unwrap().iter().map(|item| &item["number"]).collect();
    assert_eq!((numbers, &page["next"]), (vec![&json!(4), &json!(5)], &Value::Null));

    for unknown in [format!("{api}/A%2Fb%20%3F%C3%A9"), format!("{api}/never/history"), format!("{api}/%ff")] {
        get(&server, &unknown, 404).await;
    }
    for bad in [format!("{api}?after=%25"), format!("{history}?after=YQ"), format!("{api}?limit=0")] {
        get(&server, &bad, 400).await;
    }
}

#[tokio::test]
async fn pages_have_each_org_once_while_others_are_stored() {
    let server = Server::start().await;
    let (key, api) = (server.flat_key().await, api(&server).await);
    let ids: Vec<String> = (0..120).map(|number| format!("{}_{number}", ["a", "é", "Z", "\"'"][number % 4])).collect();
    for id in &ids {
        put(&server, &key, id, 0).await;
    }
    let done = AtomicBool::new(false);
    let store_others = async {
        let mut number = 0;
        while !done.load(Ordering::Relaxed) {
            number += 1;
            put(&server, &key, &format!("{}_new_{number}", ["A", "b", "\u{10ffff}"][number % 3]), 1).await;
            put(&server, &key, &ids[number % ids.len()], number as i64).await;
        }
    };
    let read = async {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut url = format!("{api}?limit=7");
        loop {
            let page = get(&server, &url, 200).await;
            for org in page["items"].as_array().unwrap() {
                *seen.entry(org["product_org_id"].as_str().unwrap().to_owned()).or_default() += 1;
            }
            match page["next"].as_str() {
                Some(next) => url = format!("{api}?limit=7&after={next}"),
                None => break,
            }
        }
        done.store(true, Ordering::Relaxed);
        seen
    };
    let (seen, ()) = tokio::join!(read, store_others);
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
    let missing: Vec<&String> = ids.iter().filter(|id| !seen.contains_key(*id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(server.store.orgs(None, 10_000).await.unwrap().len() > ids.len(), "others were stored meanwhile");
}

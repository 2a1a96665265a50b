//! The receiver's description: it is the file's, it is served, and the receiver does what it says.

mod schemathesis;

use crate::support::{Home, Served};
use nightmark::receiver::openapi;
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn openapi_files_are_the_generated_ones() {
    for (name, document) in [("openapi", openapi::document()), ("admin-openapi", nightmark::web::openapi::document())] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/{name}.json"));
        let generated = document.to_pretty_json().unwrap() + "\n";
        if std::env::var_os("NIGHTMARK_BLESS").is_some() {
            std::fs::write(&path, &generated).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == generated,
            "schemas/{name}.json is not what the code says; run `NIGHTMARK_BLESS=1 cargo test --test it openapi_files`"
        );
    }
}

#[tokio::test]
async fn the_document_is_served_and_says_what_there_is() {
    let server = super::server::Server::start().await;
    let answer = server.send(server.client.get(format!("http://{}/openapi.json", server.address))).await;
    let document: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!((answer.status, &document), (200, &json!(openapi::document())));
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")), "{}", document["openapi"]);
    let webhook = &document["paths"]["/api/product-orgs/webhook/{apiKey}"]["post"];
    for status in ["200", "400", "401", "403", "404", "405", "408", "413", "415", "429", "503"] {
        let response = &webhook["responses"][status];
        assert!(
            response["description"].is_string() && response["content"]["application/json"]["schema"].is_object(),
            "{status}: {response}"
        );
    }
    // The calls of SDKs that are described are those that are taken.
    let key = server.key(super::server::preset("segment"), false, None).await;
    let paths = document["paths"].as_object().unwrap();
    let calls: Vec<&String> = paths.keys().filter(|path| path.starts_with("/v1/")).collect();
    assert_eq!(calls.len(), 7, "{calls:?}");
    for path in calls {
        let request = server.client.post(format!("http://{}{path}", server.address)).basic_auth(&key.key, Some(""));
        server
            .send(request.body(r#"{"batch": [], "groupId": "a", "type": "group"}"#))
            .await
            .expect(200, "\"success\":true");
    }
}

/// Every example of the description does what its place says.
#[test]
fn the_examples_are_answered_as_described() {
    let home = Home::new();
    let served = Served::start(&home);
    let key = |template: &str| {
        let key = home.run(&["keys", "create", "--json", "--name", template, "--template", template]).expect(0).json();
        key["key"].as_str().unwrap().to_owned()
    };
    let (flat, segment) = (key("flat"), key("segment"));
    let document = json!(openapi::document());
    let mut posted = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let body = &item["post"]["requestBody"]["content"]["application/json"];
        let named = body["examples"].as_object().into_iter().flatten().map(|(_, example)| &example["value"]);
        for example in named.chain(body.get("example")) {
            let of_group = example.get("groupId").is_some();
            let path = path.replace("{apiKey}", if of_group { &segment } else { &flat });
            let request = super::corpus::wire::Request::post(&path).header("Content-Type", "application/json");
            let request = request.header("Authorization", &super::corpus::wire::basic(&format!("{segment}:")));
            let request = request.body(example.to_string().as_bytes()).bytes();
            let answer = super::corpus::wire::send(&served.receiver, &request, false);
            assert_eq!(
                (answer.status, &answer.json()["success"]),
                (Some(200), &json!(true)),
                "{path}: {example}: {answer:?}"
            );
            assert!(answer.json().get("rejected").is_none_or(|rejected| *rejected == json!(0)), "{answer:?}");
            posted += 1;
        }
    }
    assert!(posted >= 10, "{posted}");
}

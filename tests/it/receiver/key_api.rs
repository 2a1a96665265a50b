//! `/api/v1/keys`: what `nightmark keys` does, over HTTP.

use super::GUIDE_BODY;
use super::server::Server;
use chrono::TimeDelta;
use nightmark::clock::Clock;
use nightmark::server::Server as HttpServer;
use nightmark::store::KeyStore;
use nightmark::web::{self, Access, AdminState};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

const TOKEN: &str = "made-up-token-0123456789";

struct Admin<'a> {
    server: &'a Server,
    address: SocketAddr,
    _stop: watch::Sender<bool>,
}

struct Told {
    status: u16,
    no_store: bool,
    text: String,
}

impl Told {
    #[track_caller]
    fn expect(self, status: u16, part: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert!(self.text.contains(part), "{}", self.text);
        let body: Value = serde_json::from_str(&self.text).unwrap();
        if status >= 400 {
            assert!(body["success"] == json!(false) && body["error"].is_string(), "{body}");
        }
        // A text of a key stands in no answer that somebody may keep.
        assert_eq!(self.no_store, body["key"].is_string(), "{body}");
        body
    }
}

impl Admin<'_> {
    async fn start(server: &Server) -> Admin<'_> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let access = Access::new(address, Some(&TOKEN.into())).unwrap();
        let clock = Arc::clone(&server.clock) as Arc<dyn Clock>;
        let state = AdminState::new(Arc::clone(&server.store), Arc::clone(&clock), stopped.clone());
        let http = HttpServer::new(web::router(state, access), nightmark::server::Options::default(), clock);
        tokio::spawn(http.run(listener, stopped));
        Admin { server, address, _stop: stop }
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Told {
        let url = format!("http://{}/api/v1/keys{path}", self.address);
        let mut request = self.server.client.request(method.parse().unwrap(), url).bearer_auth(TOKEN);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let no_store = response.headers().get("cache-control").is_some_and(|value| value == "no-store");
        Told { status: response.status().as_u16(), no_store, text: response.text().await.unwrap() }
    }

    async fn get(&self, path: &str) -> Told {
        self.call("GET", path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Told {
        self.call("POST", path, Some(body)).await
    }
}

#[tokio::test]
async fn a_key_lives_through_the_api() {
    let server = Server::start().await;
    let admin = Admin::start(&server).await;
    let asked = json!({
        "name": "from the API", "template": {"product_org_id": "workspace_id", "name": "workspace_name"}, "with_secret": true,
        "expires_at": "2026-04-01T00:00:00+02:00", "rate": 7,
    });
    let made = admin.post("", asked).await.expect(201, "from the API");
    let text = |of: &Value, name: &str| of[name].as_str().unwrap().to_owned();
    let (id, key, secret) = (text(&made, "id"), text(&made, "key"), text(&made, "secret"));
    let send = async |key: &str, secret: &str| server.post_with(key, Some(secret), GUIDE_BODY).await.status;
    assert_eq!((send(&key, &secret).await, send(&key, "ss_x").await), (200, 401));

    let shown = admin.get(&format!("/{id}")).await.expect(200, "");
    assert_eq!(
        (&shown["expires_at"], &shown["rate"], &shown["has_secret"]),
        (&json!("2026-03-31T22:00:00Z"), &json!(7), &json!(true))
    );
    assert_eq!(shown["payload_template"], json!({"product_org_id": "workspace_id", "name": "workspace_name"}));
    for planted in [&key, &secret] {
        assert!(!shown.to_string().contains(planted.as_str()), "shown once");
    }

    let rotated = admin.post(&format!("/{id}/rotate"), json!({"overlap_seconds": 60})).await.expect(200, "");
    let (new, new_secret) = (text(&rotated, "key"), text(&rotated, "secret"));
    assert_eq!(rotated["rotation"], json!({"prefix": shown["prefix"], "until": "2026-03-01T12:01:00Z"}));
    assert_eq!((send(&key, &secret).await, send(&new, &new_secret).await), (200, 200));
    admin.post(&format!("/{id}/rotate"), json!({})).await.expect(409, "until 2026-03-01T12:01:00Z");
    *server.clock.0.lock().unwrap() += TimeDelta::seconds(60);
    assert_eq!((send(&key, &secret).await, send(&new, &new_secret).await), (401, 200));
    let again = admin.post(&format!("/{id}/rotate"), json!({})).await.expect(200, "");
    assert_eq!(again["rotation"]["until"], json!("2026-03-02T12:01:00Z"), "a day, unless it is said otherwise");

    let revoked = admin.call("POST", &format!("/{id}/revoke"), None).await.expect(200, "");
    assert_eq!((&revoked["state"], &revoked["revoked_at"]), (&json!("revoked"), &json!("2026-03-01T12:01:00Z")));
    admin.post(&format!("/{id}/rotate"), json!({})).await.expect(409, "is revoked");
    let stored = server.store.key(&id).await.unwrap().unwrap();
    assert_eq!(stored.revoked_at, Some(server.clock.now()));
}

#[tokio::test]
async fn what_is_asked_wrongly_is_told_at_once() {
    let server = Server::start().await;
    let admin = Admin::start(&server).await;
    let all = json!({
        "name": " ", "type": "orgs", "template": "hubspot", "rate": 0,
        "signature": {"scheme": "md5", "secret": "planted-secret"},
    });
    let told = admin.post("", all).await.expect(400, "`type` is")["error"].to_string();
    assert!(
        told.contains("`template` is one of flat, segment, rudderstack") && told.contains("`signature.scheme`"),
        "{told}"
    );
    let told = admin
        .post("", json!({"name": "", "rate": 0, "signature": {"scheme": "segment", "secret": "planted-secret"}}))
        .await;
    let told = told.expect(400, "needs a name")["error"].to_string();
    assert!(
        told.contains("at least 1 request") && told.contains("${SIGNING_SECRET}") && !told.contains("planted"),
        "{told}"
    );
    for (body, part) in [
        (json!({"name": "k", "template": {"name": "n"}}), "`product_org_id` is missing"),
        (json!({"name": "k", "template": 5}), "`template` is one of"),
        (json!({"name": "k", "expires": "2027-01-01"}), "unknown field `expires`"),
        (json!({"name": "k", "expires_at": "tomorrow"}), "expires_at"),
        (json!({"name": "k", "rate": -1}), "rate"),
        (json!({}), "missing field `name`"),
        (json!([]), "invalid"),
    ] {
        admin.post("", body).await.expect(400, part);
    }
    admin.call("POST", "", None).await.expect(400, "Content-Type");
    let key = server.flat_key().await;
    for path in ["/key_none", "/key_none/x"] {
        admin.get(path).await.expect(404, "There is no");
    }
    for path in ["/key_none/rotate", "/key_none/revoke"] {
        admin.post(path, json!({})).await.expect(404, "There is no key");
    }
    admin.post(&format!("/{}/rotate", key.id), json!({"overlap_seconds": 91 * 86_400})).await.expect(400, "90 days");
    admin.post(&format!("/{}/rotate", key.id), json!({"overlap": "1d"})).await.expect(400, "unknown field `overlap`");
    admin.call("DELETE", &format!("/{}", key.id), None).await.expect(405, "");
    server.post(&key, GUIDE_BODY).await.expect(200, "");
    assert_eq!(server.store.keys().await.unwrap().len(), 1, "nothing was made");
}

#[tokio::test]
async fn keys_are_listed_page_by_page() {
    let server = Server::start().await;
    let admin = Admin::start(&server).await;
    let empty = admin.get("").await.expect(200, "");
    assert_eq!(empty, json!({"items": [], "next": null}));
    let mut made = Vec::new();
    for number in 0..5 {
        *server.clock.0.lock().unwrap() += TimeDelta::seconds(1);
        let kind = if number % 2 == 0 { "signal-staging" } else { "product-orgs" };
        let key = admin.post("", json!({"name": format!("k{number}"), "type": kind})).await.expect(201, "");
        assert_eq!((key["template"].is_null(), &key["secret"]), (number % 2 == 0, &Value::Null));
        made.push(key["id"].clone());
    }
    let (mut found, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let page = admin.get(&query).await.expect(200, "");
        found.extend(page["items"].as_array().unwrap().iter().map(|key| key["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=2&after={next}");
    }
    assert_eq!(found, made, "the oldest first, each once");
    admin.get("?after=key_none").await.expect(404, "There is no key");
    admin.get("?limit=0").await.expect(400, "`limit`");
}

//! Payload templates over HTTP: every field of WIRE.md, what absent and null do, what is ignored.

use super::server::{Key, Server, preset};
use nightmark::receiver::PayloadTemplate;
use serde_json::{Value, json};

/// Every field that there is, each behind a path of its own.
const EVERY: &str = "product_org_id = \"org.id\"\nname = \"org.title\"\nplan_id = \"plan\"\nplan_name = \"names.plan\"\n\
    user_count = \"metrics.users\"\nmrr = \"billing.mrr.cents\"\ntrial_status = \"trial\"\nlast_active_at = \"seen\"\n\
    feature_flags = \"flags\"\ntimestamp = \"at\"\nmessage_id = \"id\"\nonly_if = 'kind == \"org\"'\n\
    [custom]\nprojects_count = \"metrics.total_projects\"\ntags = \"tags\"\n";

/// A field as it is shown, its path, a value, that value as it is shown, and values that do not fit with why.
struct Case {
    field: &'static str,
    path: &'static str,
    value: Value,
    shown: Value,
    misfits: Vec<(Value, &'static str)>,
}

fn case(field: &'static str, path: &'static str, value: Value, misfits: Vec<(Value, &'static str)>) -> Case {
    Case { field, path, shown: value.clone(), value, misfits }
}

fn cases() -> Vec<Case> {
    let text =
        || vec![(json!(5), "must be a string, not an integer"), (json!(["a"]), "must be a string, not an array")];
    let time = "must be an RFC 3339 time such as 2026-01-15T10:30:00Z";
    vec![
        case("name", "org.title", json!("Acme \"Zoë\"\n"), text()),
        case("plan_id", "plan", json!("007"), text()),
        case("plan_name", "names.plan", json!(""), text()),
        case(
            "user_count",
            "metrics.users",
            json!(47),
            vec![
                (json!("47"), "must be an integer, not a string"),
                (json!(-1), "must not be negative"),
                (json!(1.5), "must be an integer, not a fraction"),
            ],
        ),
        case(
            "mrr",
            "billing.mrr.cents",
            json!(-9_007_199_254_740_993_i64),
            vec![
                (json!(true), "must be an integer, not a boolean"),
                (json!(99.5), "must be an integer, not a fraction"),
                (json!(9_223_372_036_854_775_808_u64), "must fit in 64 bits"),
            ],
        ),
        case(
            "trial_status",
            "trial",
            json!("expired"),
            vec![(json!("Expired"), "must be one of active, expired, converted")],
        ),
        Case {
            field: "last_active_at",
            path: "seen",
            value: json!("2026-01-15T12:30:00.5+02:00"),
            shown: json!("2026-01-15T10:30:00.500Z"),
            misfits: vec![(json!("2026-01-15"), time), (json!(1768473000), "must be a string, not an integer")],
        },
        case(
            "feature_flags",
            "flags",
            json!({"sso": true, "limits": {"seats": 5, "x": null}}),
            vec![
                (json!("sso"), "must be an object, not a string"),
                (json!(["sso"]), "must be an object, not an array"),
            ],
        ),
    ]
}

/// A body of the org with values at paths.
fn body(id: &str, values: &[(&str, &Value)]) -> String {
    let mut body = json!({"kind": "org", "org": {"id": id}});
    for (path, value) in values {
        let mut at = &mut body;
        for segment in path.split('.') {
            at = &mut at[segment];
        }
        *at = (*value).clone();
    }
    body.to_string()
}

async fn fields(server: &Server, id: &str) -> Value {
    use nightmark::store::OrgStore;
    json!(server.store.org(id).await.unwrap().unwrap().fields)
}

#[tokio::test]
async fn every_field_is_set_kept_and_cleared() {
    let server = Server::start().await;
    let key = server.template_key(EVERY).await;
    let cases = cases();
    let all: Vec<(&str, &Value)> = cases.iter().map(|case| (case.path, &case.value)).collect();
    let (projects, tags) = (json!(12), json!([{"a": null}]));
    let custom = [("metrics.total_projects", &projects), ("tags", &tags)];
    server.post(&key, body("a", &[&all[..], &custom].concat())).await.expect(200, "\"isNewOrg\":true");
    let full = fields(&server, "a").await;
    for case in &cases {
        assert_eq!(full[case.field], case.shown, "{}", case.field);
    }
    assert_eq!(full["custom"], json!({"projects_count": 12, "tags": [{"a": null}]}));

    // Nothing at any path but the id's: nothing changes.
    server.post(&key, body("a", &[])).await.expect(200, "\"isNewOrg\":false");
    assert_eq!(fields(&server, "a").await, full);
    // Null at one path: that field is gone, and no other.
    let mut expected = full.clone();
    for case in &cases {
        server.post(&key, body("a", &[(case.path, &Value::Null)])).await.expect(200, "");
        expected[case.field] = Value::Null;
        assert_eq!(fields(&server, "a").await, expected, "{}", case.field);
    }
    server.post(&key, body("a", &[("tags", &Value::Null)])).await.expect(200, "");
    assert_eq!(fields(&server, "a").await["custom"], json!({"projects_count": 12}));
}

#[tokio::test]
async fn what_does_not_fit_names_path_and_kind_and_changes_nothing() {
    let server = Server::start().await;
    let key = server.template_key(EVERY).await;
    server.post(&key, body("a", &[])).await.expect(200, "");
    let before = fields(&server, "a").await;
    for case in cases() {
        for (value, words) in &case.misfits {
            let answer = server.post(&key, body("a", &[(case.path, value), ("tags", &json!(1))])).await;
            answer.expect(400, &format!("{} at `{}` {words}", case.field, case.path));
        }
    }
    let envelope = [
        ("at", json!("yesterday"), "timestamp at `at` must be an RFC 3339 time such as 2026-01-15T10:30:00Z"),
        (
            "at",
            json!(1768473000),
            "timestamp at `at` must be an RFC 3339 time such as 2026-01-15T10:30:00Z, not an integer",
        ),
        ("id", json!({}), "message_id at `id` must be a string or an integer, not an object"),
        ("id", json!("x".repeat(256)), "message_id at `id` must have 1–255 characters"),
    ];
    for (path, value, words) in envelope {
        server.post(&key, body("a", &[(path, &value)])).await.expect(400, words);
    }
    // All at once.
    let cases = cases();
    let bad: Vec<(&str, &Value)> = cases.iter().map(|case| (case.path, &case.misfits[0].0)).collect();
    let answer = server.post(&key, body("a", &bad)).await.expect(400, "");
    for case in &cases {
        assert!(answer.text.contains(&format!("{} at `{}`", case.field, case.path)), "{}", answer.text);
    }
    assert_eq!(fields(&server, "a").await, before);
}

#[tokio::test]
async fn what_the_template_passes_over_is_answered_as_ignored() {
    let server = Server::start().await;
    let key = server.key(preset("segment"), false, None).await;
    let ignored = r#"{"success":true,"ignored":true}"#;
    for kind in [json!("track"), json!("Group"), json!(7)] {
        // Whatever else it has: what is no group call need not have an id.
        for rest in [json!({}), json!({"groupId": "a"}), json!({"groupId": 1.5, "timestamp": 5})] {
            let mut event = rest;
            event["type"] = kind.clone();
            assert_eq!(server.post(&key, event.to_string()).await.expect(200, "").text, ignored, "{event}");
        }
    }
    assert_eq!(server.org_count().await, 0);
    server.post(&key, r#"{"type": "track", "a": 1, "a": 2}"#).await.expect(400, "stands twice");
    // Nothing says what it is: it is not lost in silence.
    server.post(&key, r#"{"groupId": "a"}"#).await.expect(200, "\"productOrgId\":\"a\"");
    server.post(&key, r#"{"type": null, "groupId": "b"}"#).await.expect(200, "\"productOrgId\":\"b\"");
    server.post(&key, r#"{"type": "group"}"#).await.expect(400, "missing productOrgId");

    let array = json!([{"type": "page"}, {"type": "group", "groupId": "c"}, {"type": "group"}]).to_string();
    let answer = server.post(&key, array).await.expect(200, "").json();
    assert_eq!(
        (&answer["success"], &answer["results"][0]),
        (&json!(false), &json!({"success": true, "ignored": true}))
    );
    assert_eq!((&answer["results"][1]["productOrgId"], &answer["results"][2]["success"]), (&json!("c"), &json!(false)));
    let array = json!([{"type": "page"}, {"type": "track"}]).to_string();
    let answer = server.post(&key, array).await.expect(200, "").json();
    assert_eq!(answer["success"], json!(true), "{answer}");
}

/// The event as RudderStack's webhook destination delivers it (WIRE.md), and others that a source has.
#[tokio::test]
async fn rudderstacks_preset_takes_what_its_webhook_delivers() {
    let server = Server::start().await;
    let key = server.key(preset("rudderstack"), false, None).await;
    let event = |kind: &str| {
        json!({
            "type": kind, "messageId": "m-1", "channel": "server", "context": {"library": {"name": "http"}}, "userId": "u",
            "anonymousId": "an", "originalTimestamp": "2026-01-15T10:30:00.000Z", "sentAt": "2026-01-15T10:30:01.000Z",
            "integrations": {"All": true}, "groupId": "ws_1",
            "traits": {"name": "Acme", "plan": "pro", "plan_name": "Pro", "employees": 47, "mrr": 49900, "trial_status": "converted"},
        })
    };
    server.post(&key, event("identify").to_string()).await.expect(200, "\"ignored\":true");
    assert_eq!(server.org_count().await, 0);
    server.post(&key, event("group").to_string()).await.expect(200, "\"productOrgId\":\"ws_1\"");
    let stored = fields(&server, "ws_1").await;
    assert_eq!(
        (&stored["plan_name"], &stored["user_count"], &stored["trial_status"]),
        (&json!("Pro"), &json!(47), &json!("converted"))
    );
    let mut event = event("group");
    event["originalTimestamp"] = json!("15.1.2026");
    server.post(&key, event.to_string()).await.expect(400, "timestamp at `originalTimestamp` must be an RFC 3339 time");
}

#[tokio::test]
async fn sdk_calls_keep_to_the_templates_condition() {
    let server = Server::start().await;
    let key = server.template_key("product_org_id = \"groupId\"\nonly_if = 'context.group == \"workspace\"'").await;
    let call = async |key: &Key, path: &str, body: Value| {
        let request = server.client.post(format!("http://{}{path}", server.address)).basic_auth(&key.key, Some(""));
        server.send(request.body(body.to_string())).await.expect(200, "").json()
    };
    let event = |id: &str, group: &str| json!({"type": "group", "groupId": id, "context": {"group": group}});
    let counts = |answer: &Value| ["stored", "ignored", "rejected"].map(|name| answer[name].as_u64().unwrap());
    assert_eq!(counts(&call(&key, "/v1/group", event("a", "team")).await), [0, 1, 0]);
    assert_eq!(counts(&call(&key, "/v1/group", event("b", "workspace")).await), [1, 0, 0]);
    let batch = json!({"batch": [event("c", "team"), event("d", "workspace"), {"type": "track"}, {"type": "group"}]});
    assert_eq!(counts(&call(&key, "/v1/batch", batch).await), [1, 2, 1]);
    assert_eq!(server.org_count().await, 2);
}

#[test]
fn the_limits_hold_for_every_path() {
    let custom: Vec<String> = (0..60).map(|i| format!("c{i} = \"{}\"", ["p"; 16].join("."))).collect();
    let around = "timestamp = \"t\"\nmessage_id = \"m\"\nonly_if = 't == \"x\"'\n";
    let of = |around: &str| {
        PayloadTemplate::from_toml_text(&format!("product_org_id = \"id\"\n{around}[custom]\n{}", custom.join("\n")))
    };
    assert!(of(around).is_ok(), "64 fields, 16 segments");
    let error = of(&format!("name = \"n\"\n{around}")).unwrap_err().to_string();
    assert!(error.contains("65 fields, at most 64"), "{error}");
    for name in ["timestamp", "message_id"] {
        let error = of(&format!("{name} = \"{}\"\n", ["a"; 17].join("."))).unwrap_err().to_string();
        assert!(error.contains(&format!("{name}: the path has 17 segments")), "{error}");
    }
}

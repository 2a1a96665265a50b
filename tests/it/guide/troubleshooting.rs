//! "Troubleshooting": each entry is brought about, and our own words lead to its remedy.

use super::{GUIDE_BODY, create_key, curl, keep, org};
use crate::support::{Home, Served, says};
use serde_json::{Value, json};

#[test]
fn the_troubleshooting_answers_hold() {
    let home = Home::new();
    let served = Served::start(&home);
    let wrong = create_key(&home, &["--name", "signals", "--type", "signal-staging"]);
    let (status, answer) = curl(&served, wrong["key"].as_str().unwrap(), None, GUIDE_BODY);
    assert_eq!(status, 403);
    assert!(answer.contains("Product Org Updates"), "{answer}");

    let secured = create_key(&home, &["--name", "s", "--type", "product-orgs", "--template", "flat", "--with-secret"]);
    let (key, secret) = (secured["key"].as_str().unwrap(), secured["secret"].as_str().unwrap());
    let expired = create_key(
        &home,
        &["--name", "e", "--type", "product-orgs", "--template", "flat", "--expires", "2020-01-01T00:00:00Z"],
    );
    let revoked = create_key(&home, &["--name", "r", "--type", "product-orgs", "--template", "flat"]);
    home.run(&["keys", "revoke", revoked["id"].as_str().unwrap()]).expect(0);
    let refused = [
        curl(&served, "sk_unknown", None, GUIDE_BODY),
        curl(&served, key, None, GUIDE_BODY),
        curl(&served, key, Some("wrong"), GUIDE_BODY),
        curl(&served, expired["key"].as_str().unwrap(), None, GUIDE_BODY),
        curl(&served, revoked["key"].as_str().unwrap(), None, GUIDE_BODY),
    ];
    for answer in &refused {
        assert_eq!((answer.0, &answer.1), (401, &refused[0].1), "nothing tells the causes apart");
    }
    assert_eq!(curl(&served, key, Some(secret), GUIDE_BODY).0, 200);

    let listed = home.run(&["keys", "list", "--json"]).expect(0).stdout;
    for planted in [key, secret] {
        assert!(!listed.contains(planted), "a key is shown once");
        for file in home.files() {
            let bytes = std::fs::read(&file).unwrap();
            assert!(
                !bytes.windows(planted.len()).any(|w| w == planted.as_bytes()),
                "stored hashed: {}",
                file.display()
            );
        }
    }
}

/// A home with a receiver, and a job `orgs` over `orgs.csv` that sends `payload` to it with `key`.
fn sender(key: &[&str], payload: &str) -> (Home, Served) {
    let home = Home::new();
    let served = Served::start(&home);
    let create = ["--name", "guide"];
    keep(&home, &create_key(&home, &[&create, key].concat()));
    home.write(
        "jobs/orgs.toml",
        &format!(
            "version = 1\n[source]\nkind = \"files\"\npath = \"orgs.csv\"\n[diff]\nkey = \"workspace_id\"\n\
             [destination]\nkind = \"trailspark\"\nbase_url = \"http://{}\"\nkey = \"${{file:receiver.key}}\"\n\
             [payload]\n{payload}\n",
            served.receiver
        ),
    );
    home.write("orgs.csv", "workspace_id,workspace_name,plan_id,user_count\nws_1,One,pro,3\nws_2,Two,free,5\n");
    (home, served)
}

const FLAT: [&str; 4] = ["--type", "product-orgs", "--template", "flat"];

/// "HTTP 403 — The API key was not created with the Product Org Updates endpoint type. Create a new key with the correct type."
#[test]
fn http_403() {
    let (home, _served) = sender(&["--type", "signal-staging"], "preset = \"flat\"");
    let ran = home.run(&["run", "orgs"]).expect(1);
    says(&ran, &["answered 403", "not created with the Product Org Updates endpoint type", "2 not sent"]);
    keep(&home, &create_key(&home, &[&["--name", "new"], &FLAT[..]].concat()));
    home.run(&["run", "orgs"]).expect(0);
    assert_eq!(org(&home, "ws_1")["name"], json!("One"));
}

/// "HTTP 400: missing productOrgId — The payload template's Product Org ID path does not match a field in the incoming payload."
#[test]
fn http_400_missing_product_org_id() {
    let (home, served) = sender(&FLAT, "preset = \"group\"\n[payload.fields]\ngroupId = \"workspace_id\"");
    let ran = home.run(&["run", "orgs"]).expect(1);
    says(&ran, &["HTTP 400: missing productOrgId", "nothing at `workspace_id`", "case-sensitive"]);
    says(&home.run(&["runs", "show", "orgs"]), &["2 refused", "missing productOrgId"]);
    // Each CDP's body against the other's template.
    let segment = create_key(&home, &["--name", "s", "--type", "product-orgs", "--template", "segment"]);
    let (status, answer) = curl(&served, segment["key"].as_str().unwrap(), None, GUIDE_BODY);
    assert_eq!(status, 400);
    assert!(answer.contains("missing productOrgId") && answer.contains("`groupId`"), "{answer}");
    let body = home.path("body.json").display().to_string();
    home.write("body.json", GUIDE_BODY);
    let ran = home.run(&["template", "test", "--body", &body, "--template", "segment"]).expect(2);
    says(&ran, &["refused (400): missing productOrgId", "nothing at `groupId`"]);
    home.run(&["template", "test", "--body", &body, "--template", "flat"]).expect(0);
    // A job that knows the key's template finds it before anything is sent.
    let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/orgs.toml", &format!("{job}[payload.conforms_to]\npreset = \"hightouch\"\n"));
    says(&home.run(&["check", "orgs"]).expect(2), &["the destination would refuse the body: missing productOrgId"]);
    home.write("jobs/orgs.toml", &job);
    // "Verify the dot-notation path."
    keep(&home, &segment);
    home.run(&["run", "orgs"]).expect(0);
    assert_eq!(org(&home, "ws_1")["product_org_id"], json!("ws_1"));
}

/// "Fields not appearing — Paths are case-sensitive and use dot notation for nested fields (e.g., `traits.plan`)."
#[test]
fn fields_not_appearing() {
    let home = Home::new();
    let served = Served::start(&home);
    let key = |paths: &str| {
        home.write("template.toml", &format!("product_org_id = \"groupId\"\nname = \"traits.name\"\n{paths}\n"));
        let create = ["--name", "t", "--type", "product-orgs", "--template", "template.toml"];
        // What is printed is a body as this key expects it: there a reader sees where a field is looked for.
        let shown = home.run(&[&["keys", "create"], &create[..]].concat()).expect(0).stdout;
        (create_key(&home, &create)["key"].as_str().unwrap().to_owned(), shown)
    };
    let body = json!({"groupId": "ws_1", "traits": {"name": "One", "plan": "pro", "employees": 3}}).to_string();
    let (wrong, shown) = key("plan_id = \"traits.Plan\"\nuser_count = \"employees\"");
    assert!(shown.contains(r#""traits":{"name":"Test Workspace","Plan":"pro"},"employees":10"#), "{shown}");
    assert_eq!(curl(&served, &wrong, None, &body).0, 200, "optional fields are no reason to refuse");
    let stored = org(&home, "ws_1");
    assert_eq!(
        [&stored["name"], &stored["plan_id"], &stored["user_count"]],
        [&json!("One"), &Value::Null, &Value::Null]
    );
    let (right, shown) = key("plan_id = \"traits.plan\"\nuser_count = \"traits.employees\"");
    assert!(shown.contains(r#""traits":{"name":"Test Workspace","plan":"pro","employees":10}"#), "{shown}");
    assert_eq!(curl(&served, &right, None, &body).0, 200);
    let stored = org(&home, "ws_1");
    assert_eq!([&stored["plan_id"], &stored["user_count"]], [&json!("pro"), &json!(3)]);
}

/// "Hightouch sync failing — Verify the primary key column contains unique, non-null values. Check that the SQL model returns
/// results when previewed. Confirm the base URL and endpoint path are correct."
#[test]
fn hightouch_sync_failing() {
    let (home, _served) = sender(&FLAT, "preset = \"flat\"");
    let rows = std::fs::read_to_string(home.path("orgs.csv")).unwrap();
    home.write("orgs.csv", &format!("{rows}ws_1,One again,pro,3\n,Nobody,pro,3\n"));
    let ran = home.run(&["run", "orgs"]).expect(2);
    says(
        &ran,
        &[
            "2 bad keys (diff.key = workspace_id); nothing was sent",
            "`ws_1` stands in 2 rows",
            "row 4: the key is NULL",
        ],
    );
    says(&home.run(&["orgs", "list"]), &["no orgs"]);

    home.write("orgs.csv", "workspace_id,workspace_name,plan_id,user_count\n");
    says(&home.run(&["preview", "orgs"]).expect(3), &["0 orgs extracted", "the extract has 0 rows"]);
    says(&home.run(&["run", "orgs"]).expect(3), &["HELD, nothing was sent"]);

    home.write("orgs.csv", &rows);
    let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    let at = job.find("base_url = \"http://").unwrap();
    let end = at + job[at..].find("\"\n").unwrap();
    home.write("jobs/orgs.toml", &format!("{}/v2{}", &job[..end], &job[end..]));
    says(&home.run(&["run", "orgs"]).expect(1), &["answered 404", "what to do:", "destination.base_url", "2 not sent"]);
    home.write("jobs/orgs.toml", &job);
    home.run(&["run", "orgs"]).expect(0);
    assert_eq!(home.run(&["orgs", "list", "--json"]).expect(0).json().as_array().unwrap().len(), 2);
}

/// "Duplicate product orgs — verify the Product Org ID value is consistent across all payloads (case-sensitive exact match)."
#[test]
fn duplicate_product_orgs() {
    let (home, _served) = sender(&FLAT, "preset = \"flat\"");
    let ids = || -> Vec<String> {
        let orgs = home.run(&["orgs", "list", "--json"]).expect(0).json();
        orgs.as_array().unwrap().iter().map(|org| org["product_org_id"].as_str().unwrap().to_owned()).collect()
    };
    home.run(&["run", "orgs"]).expect(0);
    // One night a model spells the id in another way.
    home.write("orgs.csv", "workspace_id,workspace_name,plan_id,user_count\nWS_1,One,pro,3\nws_2,Two,free,5\n");
    let preview = home.run(&["preview", "orgs"]).expect(0);
    says(&preview, &["1 added", "1 unchanged", "WS_1"]);
    home.run(&["run", "orgs"]).expect(0);
    assert_eq!(ids(), ["WS_1", "ws_1", "ws_2"], "two spellings are two orgs");
    // The remedy: one spelling, made in the model.
    let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    let query =
        "query = \"SELECT LOWER(workspace_id) AS workspace_id, workspace_name, plan_id, user_count FROM extract\"";
    home.write("jobs/orgs.toml", &job.replace("[diff]", &format!("{query}\n[diff]")));
    let report = home.job("orgs", 0);
    assert_eq!([&report["added"], &report["unchanged"]], [&json!(0), &json!(2)], "{report}");
}

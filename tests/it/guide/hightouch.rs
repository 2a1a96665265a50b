//! "Hightouch": the guide's SQL model, primary key, triggers and JSON editor text, taken over by a job as they are.

use super::{GUIDE_BODY, GUIDE_FIELDS, create_key, keep, org};
use crate::support::{Home, Served};
use serde_json::{Value, json};

const MODEL: &str = include_str!("../fixtures/guide/hightouch_model.sql");
const BODY: &str = include_str!("../fixtures/guide/hightouch_body.liquid");

const WORKSPACES: &str = "workspace_id,workspace_name,plan_id,plan_name,user_count,mrr_cents,trial_status,last_active_at\n\
    test_ws_001,Test Workspace,pro,Pro,10,9900,active,2026-01-15T09:58:12Z\n\
    ws_002,\"Ångström \"\"Labs\"\"\",team,Team,41,,converted,2026-01-15T08:12:33Z\n\
    ws_003,Blue Heron,free,Free,3,0,expired,2025-12-30T17:20:05Z\n";

#[test]
fn a_sync_is_taken_over_and_sends_only_what_changes() {
    let home = Home::new();
    let served = Served::start(&home);
    keep(&home, &create_key(&home, &["--name", "h", "--type", "product-orgs", "--template", "flat", "--with-secret"]));
    // The model names a table of the warehouse; a file source calls it `extract`.
    let model = MODEL.replace("product.workspaces", "extract");
    assert_ne!(model, MODEL);
    home.write(
        "jobs/workspaces.toml",
        &format!(
            "version = 1\nschedule = \"0 * * * *\"\n[source]\nkind = \"files\"\npath = \"workspaces.csv\"\nquery = '''\n{model}'''\n\
             [diff]\nkey = \"workspace_id\"\non = [\"added\", \"changed\"]\n\
             [destination]\nkind = \"http\"\nmethod = \"POST\"\nurl = \"http://{}/api/product-orgs/webhook/${{file:receiver.key}}\"\n\
             secret = \"${{file:receiver.secret}}\"\n[payload]\ntemplate = '''\n{BODY}'''\n",
            served.receiver
        ),
    );
    home.write("workspaces.csv", WORKSPACES);
    home.run(&["check", "workspaces"]).expect(0);
    // "Click Preview to verify results."
    let preview = home.run(&["preview", "workspaces"]).expect(0).stdout;
    assert!(preview.contains("3 orgs extracted: 3 added") && preview.contains("ws_002"), "{preview}");
    let first = home.job("workspaces", 0);
    assert_eq!([&first["added"], &first["acknowledged"]], [&json!(3), &json!(3)], "{first}");

    let sent: Value = serde_json::from_str(GUIDE_BODY).unwrap();
    let stored = org(&home, "test_ws_001");
    for (field, path) in GUIDE_FIELDS {
        assert_eq!(stored[field], sent[path], "{field}");
    }
    // The same template makes broken JSON of these elsewhere.
    let stored = org(&home, "ws_002");
    assert_eq!([&stored["name"], &stored["mrr"]], [&json!("Ångström \"Labs\""), &Value::Null]);

    // A column that the model leaves out may change as it likes.
    let active = WORKSPACES.replace("2026-01-15T", "2026-01-16T");
    home.write("workspaces.csv", &active);
    let second = home.job("workspaces", 0);
    assert_eq!([&second["unchanged"], &second["acknowledged"]], [&json!(3), &json!(0)], "{second}");
    home.write("workspaces.csv", &active.replace("free,Free,3", "free,Free,4"));
    let third = home.job("workspaces", 0);
    assert_eq!(
        [&third["changed"], &third["unchanged"], &third["acknowledged"]],
        [&json!(1), &json!(2), &json!(1)],
        "{third}"
    );
    assert_eq!(org(&home, "ws_003")["user_count"], json!(4));
}

/// "One row per request or batched": the receiver stores a list element by element, and says which it did not.
#[test]
fn a_batched_sync_finds_the_one_bad_row() {
    let home = Home::new();
    let served = Served::start(&home);
    keep(&home, &create_key(&home, &["--name", "h", "--type", "product-orgs", "--template", "flat"]));
    home.write(
        "jobs/workspaces.toml",
        &format!(
            "version = 1\n[source]\nkind = \"files\"\npath = \"workspaces.csv\"\n[diff]\nkey = \"workspace_id\"\n[destination]\n\
             kind = \"http\"\nbatch = {{ rows = 100 }}\nurl = \"http://{}/api/product-orgs/webhook/${{file:receiver.key}}\"\n\
             [payload]\npreset = \"flat\"\n",
            served.receiver
        ),
    );
    home.write("workspaces.csv", &WORKSPACES.replace("team,Team,41,,converted", "team,Team,41,,Converted"));
    let report = home.job("workspaces", 1);
    assert_eq!([&report["acknowledged"], &report["refused"]], [&json!(2), &json!(1)], "{report}");
    let shown = home.run(&["runs", "show", "workspaces"]).expect(0).stdout;
    assert!(
        shown.contains("ws_002") && shown.contains("trial_status at `trial_status` must be one of active"),
        "{shown}"
    );
    home.write("workspaces.csv", WORKSPACES);
    assert_eq!(home.job("workspaces", 0)["acknowledged"], json!(1), "mended, it is sent by the next run");
    assert_eq!(org(&home, "ws_002")["trial_status"], json!("converted"));
}

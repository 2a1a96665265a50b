//! schemathesis makes requests out of the description, sound ones and damaged ones, and holds the answers to it.

use crate::support::{Home, Served, python};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

/// What is asked of each answer. Not asked: whether a damaged body is refused and a sound one accepted, since which fields a
/// body has is for the key's template to say, which no description knows; the corpus and the tests beside it do that.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,unsupported_method,allow_header_conformance,ignored_auth";

/// `schemathesis run`, beside the Python that it is installed with.
fn schemathesis() -> Command {
    let python = python();
    let program = std::path::Path::new(python.get_program()).with_file_name("schemathesis");
    assert!(program.is_file(), "{} is missing; run ./test.sh, which installs it", program.display());
    Command::new(program)
}

/// Answers by operation and status, as the HAR report has them.
fn statuses(har: &Value, key: &str) -> BTreeMap<(String, u64), usize> {
    let mut counts = BTreeMap::new();
    for entry in har["log"]["entries"].as_array().unwrap() {
        let url = entry["request"]["url"].as_str().unwrap().replace(key, "{apiKey}");
        let path = url.splitn(4, '/').nth(3).unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
        let operation = format!("{} /{path}", entry["request"]["method"].as_str().unwrap());
        *counts.entry((operation, entry["response"]["status"].as_u64().unwrap_or(0))).or_default() += 1;
    }
    counts
}

/// Runs it over what an address says of itself, with the arguments; gives what it printed and the answers that there were.
#[track_caller]
fn run(home: &Home, address: &str, arguments: &[&str], key: &str) -> BTreeMap<(String, u64), usize> {
    let har = home.path("report.har");
    let mut command = schemathesis();
    command
        .arg("--config-file")
        .arg(home.path("schemathesis.toml"))
        .args(["run", &format!("http://{address}/openapi.json")]);
    command.args(["--phases", "examples,coverage,fuzzing", "--seed", "20260115", "--generation-database", "none"]);
    command.args([
        "--no-color",
        "--continue-on-failure",
        "--request-timeout",
        "30",
        "--report",
        "har",
        "--report-har-path",
    ]);
    let output = command.arg(&har).args(arguments).current_dir(home.path("")).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "schemathesis found what is not as described:\n{said}");
    let statuses = statuses(&serde_json::from_slice(&std::fs::read(har).unwrap()).unwrap(), key);
    println!("{said}\n{statuses:?}");
    assert!(!home.log().contains("panicked"), "{}", home.log());
    statuses
}

fn create(home: &Home, template: &str) -> Value {
    home.run(&["keys", "create", "--json", "--name", template, "--template", template]).expect(0).json()
}

#[test]
fn the_receiver_does_what_its_description_says() {
    let home = Home::new();
    home.write("nightmark.toml", crate::receiver::corpus::WITHOUT_RATES);
    let served = Served::start(&home);
    let (flat, segment) = (create(&home, "flat"), create(&home, "segment"));
    let key = flat["key"].as_str().unwrap();
    home.write("schemathesis.toml", &format!("[parameters]\n\"path.apiKey\" = \"{key}\"\n"));
    let auth = format!("{}:", segment["key"].as_str().unwrap());
    let statuses = run(&home, &served.receiver, &["--checks", CHECKS, "--max-examples", "60", "--auth", &auth], key);
    for operation in ["POST /api/product-orgs/webhook/{apiKey}", "POST /v1/group", "POST /v1/batch", "POST /v1/track"] {
        let answered = |status| statuses.get(&(operation.to_owned(), status)).copied().unwrap_or(0);
        assert!(answered(200) >= 5 && answered(400) >= 5, "{operation}: too few of 200 or 400: {statuses:#?}");
    }
}

#[test]
fn the_admin_api_does_what_its_description_says() {
    let home = Home::new();
    home.write("token", "a-token-of-the-test-0123456789");
    home.write("nightmark.toml", "[admin]\ntoken = \"${file:token}\"\n");
    home.write("orgs.csv", "workspace_id,plan_id\nws_1,free\n");
    let job = crate::support::job_file("first_run = \"adopt\"", "url = \"http://127.0.0.1:9/\"", "preset = \"flat\"");
    home.write("jobs/nightly.toml", &job);
    let held = "preset = \"flat\"\n[guard]\nmin_rows = 5";
    home.write("jobs/guarded.toml", &crate::support::job_file("", "url = \"http://127.0.0.1:9/\"", held));
    home.job("guarded", 3);
    let served = Served::start(&home);
    let key = create(&home, "flat");
    let body = r#"{"workspace_id": "ws_1", "workspace_name": "One"}"#;
    let place = format!("/api/product-orgs/webhook/{}", key["key"].as_str().unwrap());
    let request = crate::receiver::corpus::wire::Request::post(&place).body(body.as_bytes()).bytes();
    assert_eq!(crate::receiver::corpus::wire::send(&served.receiver, &request, false).status, Some(200));
    let id = key["id"].as_str().unwrap();
    // Ids that there are; whatever else is made up is answered 404.
    let operations = format!(
        "[[operations]]\ninclude-tag = \"keys\"\nparameters = {{ \"path.id\" = \"{id}\" }}\n\
         [[operations]]\ninclude-tag = \"orgs\"\nparameters = {{ \"path.id\" = \"ws_1\" }}\n\
         [[operations]]\ninclude-tag = \"jobs\"\nparameters = {{ \"path.job\" = \"nightly\" }}\n\
         [[operations]]\ninclude-tag = \"holds\"\nparameters = {{ \"path.job\" = \"guarded\" }}\n"
    );
    home.write("schemathesis.toml", &operations);
    let token = [
        "--header",
        "Authorization: Bearer a-token-of-the-test-0123456789",
        "--checks",
        CHECKS,
        "--max-examples",
        "15",
    ];
    let statuses = run(&home, &served.admin, &token, id);
    for operation in [
        "GET /api/v1/keys",
        "POST /api/v1/keys",
        "GET /api/v1/orgs",
        "GET /api/v1/orgs/ws_1",
        "GET /api/v1/orgs/ws_1/history",
        "GET /api/v1/jobs",
        "GET /api/v1/jobs/nightly",
        "GET /api/v1/jobs/guarded/held",
        "POST /api/v1/jobs/nightly/run",
        "POST /api/jobs/nightly/run",
    ] {
        let good = match operation {
            "POST /api/v1/keys" => 201,
            _ if operation.starts_with("POST") => 202,
            _ => 200,
        };
        assert!(statuses.contains_key(&(operation.to_owned(), good)), "{operation}: never {good}: {statuses:#?}");
    }
    // Runs that are made up are none; the one that is held it may have found.
    for operation in ["POST /api/v1/jobs/guarded/approve", "POST /api/v1/jobs/guarded/discard"] {
        let answered = |status| statuses.contains_key(&(operation.to_owned(), status));
        assert!(answered(400) && answered(409), "{operation}: {statuses:#?}");
    }
}

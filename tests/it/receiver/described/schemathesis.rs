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

#[test]
fn the_receiver_does_what_its_description_says() {
    let home = Home::new();
    home.write("nightmark.toml", crate::receiver::corpus::WITHOUT_RATES);
    let served = Served::start(&home);
    let create = |template: &str| {
        let key = home.run(&["keys", "create", "--json", "--name", template, "--template", template]).expect(0).json();
        key["key"].as_str().unwrap().to_owned()
    };
    let (flat, segment) = (create("flat"), create("segment"));
    home.write("schemathesis.toml", &format!("[parameters]\n\"path.apiKey\" = \"{flat}\"\n"));
    let har = home.path("report.har");
    let mut command = schemathesis();
    command
        .arg("--config-file")
        .arg(home.path("schemathesis.toml"))
        .args(["run", &format!("http://{}/openapi.json", served.receiver)]);
    command.args([
        "--checks",
        CHECKS,
        "--phases",
        "examples,coverage,fuzzing",
        "--max-examples",
        "60",
        "--seed",
        "20260115",
    ]);
    command.args(["--generation-database", "none", "--no-color", "--continue-on-failure", "--request-timeout", "30"]);
    command.args(["--auth", &format!("{segment}:"), "--report", "har", "--report-har-path"]).arg(&har);
    let output = command.current_dir(home.path("")).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "schemathesis found what is not as described:\n{said}");

    let har = serde_json::from_slice(&std::fs::read(har).unwrap()).unwrap();
    let statuses = statuses(&har, &flat);
    println!("{said}\n{statuses:#?}");
    for operation in ["POST /api/product-orgs/webhook/{apiKey}", "POST /v1/group", "POST /v1/batch", "POST /v1/track"] {
        let answered = |status| statuses.get(&(operation.to_owned(), status)).copied().unwrap_or(0);
        assert!(answered(200) >= 5 && answered(400) >= 5, "{operation}: too few of 200 or 400: {statuses:#?}");
    }
    assert!(!home.log().contains("panicked"), "{}", home.log());
}

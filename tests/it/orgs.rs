//! `nightmark orgs`: what the receiver holds, on the command line, and as an extract that a job has as its source.

use crate::support::{Destination, Home, Served, job_file, says};
use arrow::array::{Array, AsArray};
use serde_json::{Value, json};
use std::process::Command;

const TEMPLATE: &str = "product_org_id = \"id\"\nname = \"name\"\nplan_id = \"plan\"\nuser_count = \"users\"\nmrr = \"mrr\"\n\
    trial_status = \"trial\"\nlast_active_at = \"seen\"\nfeature_flags = \"flags\"\n[custom]\nprojects = \"projects\"\n\
    name = \"own_name\"\nmixed = \"mixed\"\n";

/// Ids that programs like to change.
const IDS: [&str; 10] =
    ["007", "7", "1e3", "it's \"quoted\"", "Ångström, Ltd", " padded ", "NULL", "=1+1", "a/b\\c", "-5"];

const NAMES: [&str; 3] = ["", "O'Hara \"&\" Söhne\nzwei", "NULL"];

/// Sends bodies to a receiver over a home, and ends it.
fn received(home: &Home, bodies: &[Value]) {
    home.write("template.toml", TEMPLATE);
    let create = ["keys", "create", "--json", "--name", "k", "--template", "template.toml"];
    let key = home.run(&create).expect(0).json()["key"].as_str().unwrap().to_owned();
    let served = Served::start(home);
    for body in bodies {
        let mut command = Command::new("curl");
        command.args(["-sS", "--noproxy", "*", "-H", "Content-Type: application/json", "-d", &body.to_string()]);
        let output =
            command.arg(format!("http://{}/api/product-orgs/webhook/{key}", served.receiver)).output().unwrap();
        let answer = String::from_utf8(output.stdout).unwrap();
        assert!(answer.contains("\"success\":true"), "{body}: {answer}");
    }
    assert_eq!(served.stop(), 0);
}

fn odd_orgs() -> Vec<Value> {
    let org = |(number, id): (usize, &&str)| {
        json!({
            "id": id,
            "name": NAMES.get(number),
            "plan": (number % 2 == 0).then_some("007"),
            "users": number,
            "mrr": (number != 3).then_some(-(number as i64)),
            "trial": (number == 1).then_some("expired"),
            "seen": (number == 2).then_some("2026-01-15T10:30:00.000001Z"),
            "flags": (number == 0).then(|| json!({"sso": true, "b": {"a": [1, null]}})),
            "projects": number * 10,
            "own_name": format!("own {number}"),
            "mixed": if number == 0 { json!("text") } else { json!([number]) },
        })
    };
    IDS.iter().enumerate().map(org).collect()
}

#[test]
fn history_is_shown() {
    let home = Home::new();
    home.run(&["orgs", "history", "ws"]).expect(2);
    let body = |name: &str| json!({"id": "ws", "name": name, "projects": 3});
    received(&home, &[body("first"), body("second"), body("second")]);
    let all = home.run(&["orgs", "history", "ws", "--json"]).expect(0).json();
    let names = all.as_array().unwrap().iter().map(|change| &change["fields"]["name"]);
    let expected = [json!({"before": null, "after": "first"}), json!({"before": "first", "after": "second"})];
    assert!(names.eq(&expected), "{all}");
    assert_eq!(all[0]["fields"]["custom.projects"], json!({"before": null, "after": 3}));
    let shown = home.run(&["orgs", "history", "ws"]).expect(0);
    says(&shown, &["NUMBER", "name", "first", "second", "custom.projects"]);
    let page = home.run(&["orgs", "history", "ws", "--limit", "1"]).expect(0);
    says(&page, &["first", "--after 1"]);
    let rest = home.run(&["orgs", "history", "ws", "--after", "1", "--json"]).expect(0).json();
    assert_eq!(rest.as_array().unwrap().len(), 1);
    says(&home.run(&["orgs", "history", "WS"]).expect(2), &["no org WS", "case-sensitive"]);
}

#[test]
fn an_export_appears_whole_or_not_at_all() {
    let home = Home::new();
    // Nothing is there yet: an extract without rows.
    says(&home.run(&["orgs", "export", "--output", "none.csv"]).expect(0), &["0 orgs written to none.csv"]);
    assert!(std::fs::read_to_string(home.path("none.csv")).unwrap().starts_with("\"product_org_id\",\"name\","));
    received(&home, &odd_orgs());
    says(&home.run(&["orgs", "export", "--output", "orgs.txt"]).expect(2), &["--format"]);
    says(&home.run(&["orgs", "export", "--json"]).expect(2), &["--output"]);
    home.write("orgs.csv", "before");
    home.run(&["orgs", "export", "--output", "missing/orgs.csv"]).expect(2);
    let named = ["--custom", "mixed:json,name", "--custom", "projects:int"];
    let export = |args: &[&str]| home.run(&[&["orgs", "export"][..], &named, args].concat());
    let done = export(&["--output", "orgs.csv", "--json"]).expect(0).json();
    assert_eq!([&done["orgs"], &done["output"]], [&json!(IDS.len()), &json!("orgs.csv")]);
    let columns = done["columns"].as_array().unwrap();
    let custom: Vec<&str> = columns[13..].iter().filter_map(Value::as_str).collect();
    assert_eq!(custom, ["custom", "mixed", "custom.name", "projects"], "as they were named, and none twice");
    says(&home.run(&["orgs", "export", "--custom", "mixed:int"]).expect(2), &["`mixed` of org", "mixed:json"]);
    says(&home.run(&["orgs", "export", "--custom", "mixed,mixed"]).expect(2), &["name each field once"]);
    let printed = export(&[]).expect(0).stdout;
    assert_eq!(printed, std::fs::read_to_string(home.path("orgs.csv")).unwrap(), "the same on stdout");
    let lines = home.run(&["orgs", "export", "--format", "ndjson"]).expect(0).stdout;
    let ids: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["product_org_id"].as_str().unwrap().to_owned())
        .collect();
    let mut sorted = IDS;
    sorted.sort_unstable();
    assert_eq!(ids, sorted, "in the byte order of their ids");
    let left = home.files().into_iter().filter(|file| file.to_string_lossy().ends_with(".part"));
    assert_eq!(left.count(), 0);
}

/// What a job makes of the exported orgs, by id, as the destination sees them.
fn sent_by_a_job(home: &Home, format: &str) -> Vec<Value> {
    let file = format!("orgs.{format}");
    let export = ["orgs", "export", "--output", &file, "--custom", "projects:int,mixed:json"];
    home.run(&export).expect(0);
    let destination = Destination::start();
    let template = "template = '''{\"workspace_id\": \"{{ row.product_org_id }}\", \"name\": {{ row.name | json }}, \"plan\": \
        {{ row.plan_id | json }}, \"users\": {{ row.user_count }}, \"mrr\": {{ row.mrr | json }}, \"trial\": {{ row.trial_status | json }}, \
        \"seen\": {{ row.last_active_at | json }}, \"flags\": {{ row.feature_flags | json }}, \"projects\": {{ row.projects }}, \
        \"mixed\": {{ row.mixed | json }}}'''";
    let job = job_file("ignore = [\"updated_at\"]", &format!("url = \"http://{}/\"", destination.address), template);
    let job = job.replace("orgs.csv", &file).replace("key = \"workspace_id\"", "key = \"product_org_id\"");
    let name = format!("back_{format}");
    home.write(&format!("jobs/{name}.toml"), &job);
    home.run(&["check", &name]).expect(0);
    let report = home.job(&name, 0);
    assert_eq!(report["acknowledged"], json!(IDS.len()), "{report}");
    // Nothing has changed: nothing is sent.
    home.run(&export).expect(0);
    let sent = destination.take().into_iter().map(|seen| seen.body).collect();
    assert_eq!(home.job(&name, 0)["acknowledged"], json!(0));
    sent
}

#[test]
fn an_export_is_an_extract_in_every_format() {
    let home = Home::new();
    received(&home, &odd_orgs());
    for format in ["csv", "parquet", "ndjson"] {
        let sent = sent_by_a_job(&home, format);
        for org in odd_orgs() {
            let body = sent.iter().find(|body| body["workspace_id"] == org["id"]);
            let body = body.unwrap_or_else(|| panic!("{format}: {} was not sent as it is", org["id"]));
            for field in ["name", "plan", "users", "mrr", "trial", "projects"] {
                assert_eq!(body[field], org[field], "{format}: {field} of {}", org["id"]);
            }
        }
        assert_eq!(sent.len(), IDS.len(), "{format}");
    }
}

#[test]
fn parquet_has_the_types() {
    let home = Home::new();
    received(&home, &odd_orgs());
    let custom = "projects:int,name,mixed:json";
    home.run(&["orgs", "export", "--format", "parquet", "--output", "orgs.bin", "--custom", custom]).expect(0);
    let file = std::fs::File::open(home.path("orgs.bin")).unwrap();
    let builder = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let batch = builder.build().unwrap().next().unwrap().unwrap();
    let ids = batch.column_by_name("product_org_id").unwrap().as_string::<i32>();
    let row = (0..ids.len()).find(|row| ids.value(*row) == "007").unwrap();
    let projects = batch.column_by_name("projects").unwrap().as_primitive::<arrow::datatypes::Int64Type>();
    let names = batch.column_by_name("name").unwrap().as_string::<i32>();
    let own = batch.column_by_name("custom.name").unwrap().as_string::<i32>();
    assert_eq!((projects.value(row), names.value(row), own.value(row)), (0, "", "own 0"), "the empty text is not NULL");
    assert!(!names.is_null(row) && names.is_null((0..ids.len()).find(|row| ids.value(*row) == "-5").unwrap()));
    let flags = batch.column_by_name("feature_flags").unwrap().as_string::<i32>();
    assert_eq!(serde_json::from_str::<Value>(flags.value(row)).unwrap(), json!({"sso": true, "b": {"a": [1, null]}}));
    let mixed = batch.column_by_name("mixed").unwrap().as_string::<i32>();
    assert_eq!(mixed.value(row), "\"text\"", "JSON where it is mixed");
    let all = batch.column_by_name("custom").unwrap().as_string::<i32>();
    assert_eq!(all.value(row), r#"{"mixed":"text","name":"own 0","projects":0}"#);
}

/// A custom field that no org has any more, or one that was not there yesterday, does not hold a job.
#[test]
fn an_exports_columns_do_not_come_and_go() {
    let home = Home::new();
    let destination = Destination::start();
    let template = "template = '''{\"workspace_id\": \"{{ row.product_org_id }}\", \"projects\": {{ row.projects | json }}, \
        \"custom\": {{ row.custom | json }}}'''";
    let body = |fields: &Value| {
        let mut body = json!({"id": "ws"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    let nights = [
        (json!({}), json!(null), json!({})),
        (json!({"projects": 3}), json!(3), json!({"projects": 3})),
        (json!({"mixed": [1]}), json!(3), json!({"mixed": [1], "projects": 3})),
        (json!({"projects": null, "mixed": "text"}), json!(null), json!({"mixed": "text"})),
        (json!({"mixed": null, "plan": "p"}), json!(null), json!({})),
    ];
    for format in ["parquet", "ndjson"] {
        let url = format!("url = \"http://{}/\"", destination.address);
        let job = job_file("ignore = [\"updated_at\"]", &url, template);
        let file = format!("orgs.{format}");
        let job = job.replace("orgs.csv", &file).replace("key = \"workspace_id\"", "key = \"product_org_id\"");
        home.write(&format!("jobs/{format}.toml"), &job);
        let mut columns = Vec::new();
        for (fields, projects, custom) in &nights {
            received(&home, &[body(fields)]);
            let export = ["orgs", "export", "--output", &file, "--custom", "projects:int", "--json"];
            columns.push(home.run(&export).expect(0).json()["columns"].clone());
            home.job(format, 0);
            let seen = destination.take();
            let seen = seen.last().unwrap_or_else(|| panic!("{format}: {fields} was not sent"));
            assert_eq!(&seen.body["projects"], projects, "{format} {fields}");
            let sent = &seen.body["custom"];
            let sent = sent.as_str().map_or_else(|| sent.clone(), |text| serde_json::from_str(text).unwrap());
            assert_eq!(&sent, custom, "{format} {fields}");
        }
        columns.dedup();
        assert_eq!(columns.len(), 1, "{columns:?}");
    }
}

/// Our receiver says something of each row, and our sender hears all of it: a large batch is one request.
#[test]
fn a_batch_of_a_thousand_is_one_request() {
    let home = Home::new();
    let create = ["keys", "create", "--json", "--name", "k", "--template", "flat"];
    let key = home.run(&create).expect(0).json()["key"].as_str().unwrap().to_owned();
    // As long as ids may be.
    let id = |number: usize| format!("{number:04}{}", "é\\x".repeat(60));
    let rows: String = (0..1000).map(|number| format!("{},{number}\n", id(number))).collect();
    home.write("orgs.csv", &format!("workspace_id,mrr\n{rows}"));
    home.write("receiver.key", &key);
    let served = Served::start(&home);
    let url = format!("url = \"http://{}/api/product-orgs/webhook/${{file:receiver.key}}\"", served.receiver);
    home.write(
        "jobs/many.toml",
        &job_file("", &format!("{url}\nbatch = {{ rows = 1000, bytes = 4000000 }}"), "preset = \"flat\""),
    );
    assert_eq!(home.job("many", 0)["acknowledged"], json!(1000));
    let mut requests: Vec<String> = (0..1000)
        .step_by(111)
        .map(|number| home.run(&["orgs", "history", &id(number), "--json"]).expect(0).json())
        .map(|history| history[0]["request_id"].to_string())
        .collect();
    requests.dedup();
    assert_eq!(requests.len(), 1, "{requests:?}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_fault() {
    let home = Home::new();
    // More than a pipe holds.
    received(&home, &["a", "b", "c"].map(|id| json!({"id": id, "name": "x".repeat(100_000)})));
    let script = format!("'{}' orgs export | head -c 5; echo \" ${{PIPESTATUS[0]}}\"", env!("CARGO_BIN_EXE_nightmark"));
    let piped = Command::new("bash").args(["-c", &script]).env("NIGHTMARK_HOME", home.path("")).output().unwrap();
    let said = (String::from_utf8(piped.stdout).unwrap(), String::from_utf8(piped.stderr).unwrap());
    assert_eq!(said, ("\"prod 0\n".to_owned(), String::new()));
}

//! docs/RECEIVER.md: its commands are run as a reader would paste them, through the real nginx, and print what the page shows; its
//! tables say what the code says.

use super::shell::Shell;
use crate::receiver::nginx::server::Nginx;
use crate::support::{Home, Served};
use nightmark::mapping::{MAX_DEPTH, MAX_FIELDS, MAX_SEGMENTS, PayloadTemplate};
use nightmark::receiver::{MAX_BATCH_BODY, MAX_BODY, MAX_EVENTS, MAX_UNKNOWN_SENDER, openapi};
use serde_json::json;
use std::path::Path;

const PAGE: &str = include_str!("../../../docs/RECEIVER.md");

/// The page's blocks of code, each with its language, in their order.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let fenced = PAGE.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).collect()
}

fn of_language(language: &str) -> Vec<&'static str> {
    blocks().into_iter().filter(|(of, _)| *of == language).map(|(_, text)| text).collect()
}

/// The key that a command has printed.
fn key_in(text: &str) -> &str {
    let at = text.find("sk_").expect("a key");
    let end = text[at..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len() - at);
    &text[at..at + end]
}

#[test]
fn the_commands_of_the_page_print_what_it_shows() {
    let home = Home::new();
    let settings = blocks().into_iter().find(|(language, text)| *language == "toml" && text.contains("[receiver]"));
    home.write("nightmark.toml", settings.expect("the settings").1);
    let served = Served::start(&home);
    let nginx = Nginx::start(&home, &served.receiver);
    let mut shell = Shell::new(home, &served, &nginx);
    let (mut key, mut shown, mut run) = (String::new(), 0, 0);
    let blocks = blocks();
    for (at, (language, text)) in blocks.iter().enumerate() {
        // The receiver runs already, on free ports.
        if *language != "bash" || text.starts_with("nightmark serve") {
            continue;
        }
        let output = match text.split_once("export KEY=sk_…") {
            Some((create, _)) => {
                let created = shell.run(create);
                key = key_in(&String::from_utf8_lossy(&created.stdout)).to_owned();
                shell.run(&format!("export KEY={key}\n"));
                created
            }
            None => shell.run(text),
        };
        run += 1;
        if let Some(("json", expected)) = blocks.get(at + 1) {
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), expected.trim(), "{text}");
            shown += 1;
        }
    }
    assert!(run >= 6 && shown >= 3, "{run} {shown}");
    assert!(shell.home.path("backup.db").is_file());
    let org = shell.home.run(&["orgs", "show", "test_ws_001", "--json"]).expect(0).json();
    assert_eq!((&org["name"], &org["mrr"]), (&json!("Test Workspace"), &json!(9900)));
    for (file, log) in nginx.logs() {
        assert!(!log.contains(&key[3..]), "{}", file.display());
    }
}

#[test]
fn files_that_the_page_names_are_there_and_its_template_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in [
        "docker/nginx/receiver.conf",
        "docker/nightmark.service",
        "src/config/default.toml",
        "schemas/openapi.json",
        "schemas/admin-openapi.json",
    ] {
        assert!(PAGE.contains(file) && root.join(file).is_file(), "{file}");
    }
    let templates: Vec<_> = of_language("toml").into_iter().filter(|text| text.contains("product_org_id")).collect();
    assert_eq!(templates.len(), 1);
    let template = PayloadTemplate::from_toml_text(templates[0]).unwrap();
    assert_eq!(template.fields.len(), 8, "every field is shown");
    // What the unit starts is a command of ours.
    let unit = std::fs::read_to_string(root.join("docker/nightmark.service")).unwrap();
    let start =
        unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/nightmark ")).expect("a command");
    let home = Home::new();
    let words: Vec<&str> = start.split(' ').chain(["--help"]).collect();
    home.run(&words).expect(0);
}

#[test]
fn the_tables_of_the_page_are_those_of_the_code() {
    let kb = |bytes: usize| bytes / 1024;
    let (one, many, unknown) = (kb(MAX_BODY), kb(MAX_BATCH_BODY) / 1024, kb(MAX_UNKNOWN_SENDER));
    for limit in [
        format!("{one} KB one org; {many} MB an array or `/v1/batch`; {unknown} KB where the key stands in the body"),
        format!("| events of one body | {MAX_EVENTS} | 413 |"),
        format!("| JSON depth | {MAX_DEPTH} | 400 |"),
        format!("| template | {MAX_FIELDS} fields, {MAX_SEGMENTS} path segments |"),
    ] {
        assert!(PAGE.contains(&limit), "{limit}");
    }
    let document = json!(openapi::document());
    let responses = document["paths"]["/api/product-orgs/webhook/{apiKey}"]["post"]["responses"].as_object().unwrap();
    for (status, response) in responses {
        let rows =
            PAGE.lines().filter(|line| line.starts_with("| ") && line[..12.min(line.len())].contains(status.as_str()));
        let row = rows.map(str::to_owned).next().unwrap_or_else(|| panic!("{status} is not in the table"));
        // Words that are always the same stand in the table.
        if ["401", "403", "408", "413", "429", "503"].contains(&status.as_str()) {
            let first = &response["content"]["application/json"]["examples"]["1"]["value"]["error"];
            assert!(row.contains(first.as_str().unwrap()), "{status}: {first}: {row}");
        }
    }
}

//! The job files that docs/guide shows are job files.

use nightmark::job::parse;
use std::path::Path;

const PAGES: [(&str, &str); 5] = [
    ("webhook", include_str!("../../../docs/guide/webhook.md")),
    ("backfill", include_str!("../../../docs/guide/backfill.md")),
    ("hightouch", include_str!("../../../docs/guide/hightouch.md")),
    ("segment", include_str!("../../../docs/guide/segment.md")),
    ("rudderstack", include_str!("../../../docs/guide/rudderstack.md")),
];
const DIFF_PAGE: &str = include_str!("../../../docs/guide/when-to-send.md");

/// The tables that a piece of a job file leaves to the reader.
const REST: [(&str, &str); 3] = [
    ("[source]", "[source]\nkind = \"files\"\npath = \"orgs.csv\"\n"),
    ("[diff]", "[diff]\nkey = \"workspace_id\"\n"),
    (
        "[destination]",
        "[destination]\nkind = \"http\"\nurl = \"https://hooks.example.com\"\n[payload]\npreset = \"flat\"\n",
    ),
];

/// How many blocks of a page are job files or pieces of one; each must be right.
fn check(page: &str, text: &str) -> usize {
    let blocks: Vec<&str> = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    for block in &blocks {
        let head = if block.contains("version = 1") { "" } else { "version = 1\n" };
        let rest = REST.iter().filter(|(table, _)| !block.contains(table)).map(|(_, text)| *text);
        let job = format!("{head}{block}\n{}", rest.collect::<String>());
        if let Err(problems) = parse(&job, Path::new("jobs/page.toml"), Path::new("/home")) {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{page}: {}\n{job}", problems.join("\n"));
        }
    }
    blocks.len()
}

#[test]
fn job_files_of_the_pages_are_valid() {
    for (page, text) in PAGES {
        assert_eq!(check(page, text), 1, "{page}");
    }
    assert_eq!(check("when-to-send", DIFF_PAGE), 1);
}

//! The pages of docs/sources: each has a job to copy, which is one.

use nightmark::config::Home;
use nightmark::job::load_all;
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn the_jobs_to_copy_are_jobs() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sources");
    let mut checked = Vec::new();
    for page in std::fs::read_dir(pages).unwrap() {
        let page = page.unwrap().path();
        let text = std::fs::read_to_string(&page).unwrap();
        let jobs = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let jobs: Vec<&str> = jobs.filter(|block| block.contains("version = 1")).collect();
        assert!(!jobs.is_empty(), "{} has no job to copy", page.display());
        for (number, job) in jobs.iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("jobs")).unwrap();
            std::fs::write(folder.path().join(format!("jobs/job{number}.toml")), job).unwrap();
            let (found, problems) = load_all(&Home::new(folder.path()).unwrap());
            assert!(problems.is_empty() && found.len() == 1, "{}: {problems:#?}", page.display());
        }
        checked.push(page.file_stem().unwrap().to_string_lossy().into_owned());
    }
    for page in ["postgres", "redshift", "mysql", "sqlite"] {
        assert!(checked.iter().any(|name| name == page), "{page}");
    }
}

fn text(page: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page)).unwrap()
}

/// What stands in backticks in a cell.
fn in_backticks(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The rows of all tables that begin with this head, cell by cell.
fn rows<'t>(text: &'t str, head: &str) -> Vec<Vec<&'t str>> {
    let tables = text.split(head).skip(1);
    let lines = tables.flat_map(|table| table.lines().skip(2).take_while(|line| line.starts_with('|')));
    lines.map(|line| line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect()).collect()
}

/// The fields of `[source]` by its kind, from the schema.
fn fields(kind: &str) -> BTreeSet<String> {
    let schema = nightmark::job::job_schema();
    let kinds = schema["properties"]["source"]["oneOf"].as_array().unwrap();
    let of = kinds.iter().find(|one| one["properties"]["kind"]["const"] == kind).unwrap();
    of["properties"].as_object().unwrap().keys().filter(|name| *name != "kind").cloned().collect()
}

#[test]
fn the_pages_have_the_fields_that_there_are() {
    for (kind, pages) in [
        ("postgres", &["sources/postgres.md"][..]),
        ("mysql", &["sources/mysql.md"]),
        ("sqlite", &["sources/sqlite.md"]),
        ("adbc", &["sources/adbc.md"]),
        ("files", &["sources/files.md", "JOBS.md"]),
    ] {
        let mut named = BTreeSet::new();
        for page in pages {
            let text = text(page);
            // JOBS.md has tables of other sections as well.
            let part =
                text.split("## `[source]` with `kind = \"files\"`").last().unwrap().split("\n## ").next().unwrap();
            let part = if *page == "JOBS.md" { part } else { text.as_str() };
            let names = rows(part, "| field |").into_iter().flat_map(|cells| in_backticks(cells[0]));
            named.extend(names.map(|name| name.trim_start_matches("[source.").trim_end_matches(']').to_owned()));
        }
        assert_eq!(named, fields(kind), "{pages:?}");
    }
}

#[test]
fn the_page_of_files_has_the_settings_that_there_are() {
    let page = text("sources/files.md");
    let table = rows(&page, "| place | `options` |");
    assert_eq!(table.len(), 5);
    for (cells, address) in table.iter().zip([
        "s3://bucket/orgs.csv",
        "gs://bucket/orgs.csv",
        "az://container/orgs.csv",
        "https://host/orgs.csv",
        "sftp://user@host/orgs.csv",
    ]) {
        let home = crate::support::Home::new();
        let job = crate::support::job_file("", "url = \"http://127.0.0.1:9/\"", "preset = \"flat\"");
        let there = format!("path = \"{address}\"\noptions = {{ nothing = \"\" }}");
        home.write("jobs/orgs.toml", &job.replace("path = \"orgs.csv\"", &there));
        let (_, problems) = load_all(&Home::new(&home.path("")).unwrap());
        let hint = problems[0].hint.as_deref().unwrap();
        let known: BTreeSet<String> = hint.split("there are ").last().unwrap().split(", ").map(str::to_owned).collect();
        let named: BTreeSet<String> = in_backticks(cells[1]).into_iter().collect();
        assert_eq!(named, known, "{address}");
    }
}

//! The job file as text. Pure.

use super::proposal::Proposal;
use crate::import::toml::{comment, quoted};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What a job file is made of.
pub(super) struct Parts<'a> {
    pub(super) name: &'a str,
    /// The fields of `[source]`.
    pub(super) source: &'a [String],
    pub(super) columns: &'a Proposal,
    /// `[destination]` and `[payload]`.
    pub(super) destination: &'a str,
    /// Rows that the columns were judged by.
    pub(super) rows: u64,
}

pub(super) fn job_file(parts: &Parts<'_>) -> String {
    let mut out = String::from("#:schema ../schemas/job.schema.json\n");
    let name = parts.name;
    let _ = writeln!(out, "# Written by `nightmark init`. Every field: docs/JOBS.md. What to do next:");
    let _ = writeln!(out, "#\n#     nightmark check {name}       is all of it right?");
    let _ = writeln!(out, "#     nightmark preview {name}     what would a run send? Sends nothing");
    let _ = writeln!(out, "#     nightmark run {name}         sends it\n");
    let _ = writeln!(out, "version = 1\nname = {}", quoted(name));
    let _ = writeln!(out, "# schedule = \"30 2 * * *\"    # minute hour day month weekday; with `timezone`\n");
    let _ = writeln!(out, "[source]\n{}\n", parts.source.join("\n"));
    diff(parts, &mut out);
    let _ = writeln!(out, "\n{}", parts.destination);
    out
}

fn diff(parts: &Parts<'_>, out: &mut String) {
    let Proposal { key, ignore, compared } = parts.columns;
    let _ = writeln!(out, "[diff]");
    match key.as_slice() {
        [one] => {
            let _ = writeln!(
                out,
                "key = {}    # unique and never empty in the {} rows that were looked at",
                quoted(one),
                parts.rows
            );
        }
        several => {
            let _ = writeln!(out, "key = {}", list(several));
        }
    }
    comment(
        &format!("What counts as a change: every column but the key and those in `ignore`. Now: {}.", named(compared)),
        out,
    );
    if ignore.is_empty() {
        comment(
            "Name columns here that change without mattering, such as `updated_at`: each would send its org every night.",
            out,
        );
        let _ = writeln!(out, "ignore = []");
    } else {
        let _ = writeln!(out, "ignore = [");
        for (column, why) in ignore {
            let _ = writeln!(out, "  {},    # {}", quoted(column), one_line(why));
        }
        let _ = writeln!(out, "]");
    }
    let _ = writeln!(out, "first_run = \"send\"    # \"adopt\": take the first extract as known and send nothing");
}

fn named(columns: &[String]) -> String {
    if columns.is_empty() { "none".to_owned() } else { one_line(&columns.join(", ")) }
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn list(names: &[String]) -> String {
    format!("[{}]", names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", "))
}

/// The environment variables that a job file names, outside of its comments.
pub(super) fn variables(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        for part in line.split("${").skip(1) {
            let name = part.split_once('}').map_or("", |(name, _)| name);
            if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                names.insert(name.to_owned());
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::parse;
    use std::path::Path;

    #[test]
    fn whatever_columns_are_called_the_file_can_be_read_back() {
        let odd = "a \"b\"\n'c' \\ #é".to_owned();
        let columns = Proposal {
            key: vec![odd.clone()],
            ignore: vec![("x\ty".to_owned(), "moves\nby itself".to_owned())],
            compared: vec!["p".to_owned(), "q\n[r]".to_owned()],
        };
        let source = ["kind = \"files\"".to_owned(), "path = \"a.csv\"".to_owned()];
        let destination = "[destination]\nkind = \"http\"\nurl = \"https://h.example/${KEY}\"\n# ${NOT}\n[payload]\npreset = \"flat\"";
        let text = job_file(&Parts { name: "orgs", source: &source, columns: &columns, destination, rows: 3 });
        let job = parse(&text, Path::new("jobs/orgs.toml"), Path::new("/home")).unwrap();
        assert_eq!((job.name.as_str(), job.diff.key, job.diff.ignore), ("orgs", vec![odd], vec!["x\ty".to_owned()]));
        assert_eq!(variables(&text).into_iter().collect::<Vec<_>>(), ["KEY"]);
    }

    #[test]
    fn a_key_of_several_columns_and_nothing_to_ignore() {
        let columns = Proposal { key: vec!["a".into(), "b".into()], ignore: Vec::new(), compared: Vec::new() };
        let source = ["kind = \"files\"".to_owned(), "path = \"a.csv\"".to_owned()];
        let destination = "[destination]\nkind = \"http\"\nurl = \"https://h.example/\"\n[payload]\npreset = \"flat\"";
        let text = job_file(&Parts { name: "orgs", source: &source, columns: &columns, destination, rows: 3 });
        let job = parse(&text, Path::new("jobs/orgs.toml"), Path::new("/home")).unwrap();
        assert_eq!((job.diff.key, job.diff.ignore), (vec!["a".to_owned(), "b".to_owned()], Vec::new()));
    }
}

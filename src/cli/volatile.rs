//! Names the columns that make most orgs change every night, with the line of the job file to change: after a comparison ([`notes`]), and before
//! there is anything to compare with ([`suspects`]).

pub mod names;

use super::report::{grouped, plural};
use crate::job::spec::Job;
use crate::pipeline::{Observed, Planned, Survey};
use serde_json::{Value, json};

/// One note for each volatile column of a plan.
pub fn notes(planned: &Planned) -> Vec<String> {
    let changed = planned.counts.changed;
    let note = |(name, count, alone)| note(&planned.of.job, changed, name, count, alone);
    planned.stats.volatile(&planned.compared(), changed, planned.known).into_iter().map(note).collect()
}

fn note(job: &Job, changed: u64, name: &str, count: u64, alone: u64) -> String {
    let alone = match alone {
        0 => String::new(),
        alone => format!(", and it is the only one in {} of them", grouped(alone)),
    };
    format!(
        "column `{name}` differs in {} of {}{alone}. If it does not matter for scoring, {}",
        grouped(count),
        plural(changed, "changed org"),
        remedy(job, name)
    )
}

/// What to write where.
fn remedy(job: &Job, name: &str) -> String {
    let place = |line: Option<usize>| match line {
        Some(line) => format!("{}:{line}", job.file.display()),
        None => job.file.display().to_string(),
    };
    let lines = job.diff.lines;
    if job.diff.compare.is_some() {
        format!("take it out of `compare` in {}", place(lines.compare))
    } else if lines.ignore.is_some() {
        format!("add it to `ignore` in {}", place(lines.ignore))
    } else {
        format!("write `ignore = [{name:?}]` below [diff] in {}", place(lines.table))
    }
}

/// A compared column that may make orgs change every night.
pub struct Suspect {
    name: String,
    /// Orgs in which it has changed between two looks, and those that both have; `None`: nobody looked twice, or it has not changed.
    changed: Option<(u64, u64)>,
    by_name: bool,
    remedy: String,
}

/// The compared columns that have changed between two looks, most first, then those whose names say that they will.
pub fn suspects(job: &Job, survey: &Survey, observed: Option<&Observed>) -> Vec<Suspect> {
    let mut suspects = Vec::new();
    for column in survey.columns.iter().filter(|column| column.purpose == "compared") {
        let changed = observed.and_then(|observed| {
            observed.changed.iter().find(|(name, _)| *name == column.name).map(|(_, changed)| (*changed, observed.orgs))
        });
        let by_name = names::moves(&column.name);
        if changed.is_some() || by_name {
            let (name, remedy) = (column.name.clone(), remedy(job, &column.name));
            suspects.push(Suspect { name, changed, by_name, remedy });
        }
    }
    suspects.sort_by_key(|suspect| std::cmp::Reverse(suspect.changed));
    suspects
}

impl Suspect {
    /// One line.
    pub fn text(&self) -> String {
        let why = match (self.changed, self.by_name) {
            (Some((changed, orgs)), true) => {
                format!("has changed in {} of {}, as its name says", grouped(changed), plural(orgs, "org"))
            }
            (Some((changed, orgs)), false) => format!("has changed in {} of {}", grouped(changed), plural(orgs, "org")),
            (None, _) => "moves by itself, as its name says".to_owned(),
        };
        format!("`{}` {why}. If it does not matter for scoring, {}", self.name, self.remedy)
    }

    /// The same for `--json`.
    pub fn json(&self) -> Value {
        json!({
            "column": self.name,
            "changed": self.changed.map(|(changed, _)| changed),
            "by_name": self.by_name,
            "remedy": self.remedy,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::ColumnStats;
    use crate::job::parse;
    use std::path::Path;

    fn job(diff: &str) -> Job {
        let text = format!(
            "version = 1\n[source]\nkind = \"files\"\npath = \"a.csv\"\n\n[diff]\nkey = \"id\"\n{diff}\n[destination]\n\
             kind = \"http\"\nurl = \"http://localhost/\"\n[payload]\npreset = \"flat\"\n"
        );
        parse(&text, Path::new("jobs/orgs.toml"), Path::new("/home")).unwrap()
    }

    #[test]
    fn the_line_to_change_is_named() {
        for (diff, said) in [
            ("", "write `ignore = [\"seen\"]` below [diff] in jobs/orgs.toml:6"),
            ("on = [\"added\"]\nignore = [\n  \"x\",\n]", "add it to `ignore` in jobs/orgs.toml:9"),
            ("compare = [\"seen\", \"plan\"]", "take it out of `compare` in jobs/orgs.toml:8"),
        ] {
            assert_eq!(remedy(&job(diff), "seen"), said);
        }
    }

    #[test]
    fn a_column_is_volatile_by_its_share() {
        let mut stats = ColumnStats::new(3);
        (0..18).for_each(|_| stats.add(&[0, 1]));
        stats.add(&[1]);
        stats.add(&[2]);
        let names = ["seen", "synced", "plan"];
        assert_eq!(stats.volatile(&names, 20, 20), [("synced", 19, 1), ("seen", 18, 0)]);
        let mut alone = ColumnStats::new(3);
        (0..10).for_each(|_| alone.add(&[0]));
        (0..10).for_each(|_| alone.add(&[1, 2]));
        assert!(stats.volatile(&names, 19, 20).is_empty() && stats.volatile(&names, 20, 41).is_empty());
        assert_eq!(alone.volatile(&names, 20, 20), [("seen", 10, 10)]);
    }
}

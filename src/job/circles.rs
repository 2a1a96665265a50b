//! Jobs that would begin each other for ever, or wait for each other for ever.
//!
//! The two are looked at apart: what another job's success begins comes besides a schedule, and holds none of its fires back. That jobs wait for each other
//! is a mistake whenever they are due: after one fire that was not done none of them would run again.

use super::spec::Job;
use std::collections::{BTreeMap, VecDeque};

/// How a job names others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Whose success begins a run of it.
    RunAfter,
    /// Whose fires its own wait for.
    DependsOn,
}

impl Link {
    /// Each of them.
    pub const ALL: [Link; 2] = [Link::RunAfter, Link::DependsOn];

    /// Its field of a job file.
    pub fn field(self) -> &'static str {
        match self {
            Link::RunAfter => "run_after",
            Link::DependsOn => "depends_on",
        }
    }

    /// Whom the job names so.
    pub fn of(self, job: &Job) -> &[String] {
        job.schedule.as_ref().map_or(&[], |schedule| match self {
            Link::RunAfter => schedule.run_after.as_slice(),
            Link::DependsOn => schedule.depends_on.as_slice(),
        })
    }

    /// The jobs that come back to themselves so, each with its way.
    pub fn circles<'j>(self, jobs: impl Iterator<Item = &'j Job>) -> BTreeMap<String, Vec<String>> {
        circles(&jobs.map(|job| (job.name.as_str(), self.of(job))).collect())
    }

    /// What is said of such a way.
    pub fn told(self, way: &[String]) -> String {
        let (verb, step) = match self {
            Link::RunAfter => ("begin", "runs after"),
            Link::DependsOn => ("wait for", "depends on"),
        };
        let steps: Vec<String> = way.windows(2).map(|two| format!("`{}` {step} `{}`", two[0], two[1])).collect();
        format!("the job would {verb} itself: {}", steps.join(", "))
    }
}

/// Each name from which `after` leads back to it, with the shortest such way: itself, whom it names, and so on to itself again.
fn circles(after: &BTreeMap<&str, &[String]>) -> BTreeMap<String, Vec<String>> {
    let found = after.keys().filter_map(|name| Some(((*name).to_owned(), circle(after, name)?)));
    found.collect()
}

fn circle(after: &BTreeMap<&str, &[String]>, start: &str) -> Option<Vec<String>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(name) = next.pop_front() {
        for other in after.get(name).copied().unwrap_or_default() {
            if other == start {
                let back = std::iter::successors(Some(name), |at| came_from.get(at).copied());
                let mut way: Vec<String> = std::iter::once(start).chain(back).map(str::to_owned).collect();
                way.reverse();
                return Some(way);
            }
            if let Some((&known, _)) = after.get_key_value(other.as_str())
                && !came_from.contains_key(known)
            {
                came_from.insert(known, name);
                next.push_back(known);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_back_is_found() {
        let written: [(&str, &[&str]); 7] = [
            ("a", &["b"]),
            ("b", &["d", "c"]),
            ("c", &["a"]),
            ("d", &[]),
            ("e", &["a", "gone"]),
            ("f", &["f"]),
            ("g", &["e"]),
        ];
        let owned: Vec<(&str, Vec<String>)> =
            written.iter().map(|(name, after)| (*name, after.iter().map(|&one| one.to_owned()).collect())).collect();
        let after = owned.iter().map(|(name, after)| (*name, after.as_slice())).collect();
        let found = circles(&after);
        let ways: Vec<String> = found.values().map(|way| way.join(" ")).collect();
        assert_eq!(ways, ["a b c a", "b c a b", "c a b c", "f f"]);
        assert_eq!(
            Link::RunAfter.told(&found["c"]),
            "the job would begin itself: `c` runs after `a`, `a` runs after `b`, `b` runs after `c`"
        );
        assert_eq!(Link::DependsOn.told(&found["f"]), "the job would wait for itself: `f` depends on `f`");
    }
}

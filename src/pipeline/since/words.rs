//! A `{{last_success}}` that stands still, in words. Pure.

use super::{Obstacle, Since};
use crate::snapshot::Manifest;
use chrono::{DateTime, SecondsFormat, Utc};

/// Keys that are named.
pub(super) const NAMED: usize = 3;

impl Since {
    /// What a report says of an extract that has only what has changed since then.
    pub fn notes(&self) -> Vec<String> {
        let asked = match self.last_success {
            Some(at) => format!(
                "the extract has orgs that have changed since {{{{last_success}}}} = {} (--full reads all)",
                shown(at)
            ),
            None => "the extract has all orgs: {{last_success}} is 1970-01-01".to_owned(),
        };
        [Some(asked), self.warning()].into_iter().flatten().collect()
    }

    /// That it stands still, why, and what to do about it.
    pub fn warning(&self) -> Option<String> {
        let standstill = self.standstill.as_ref()?;
        let stays = match (self.last_success, standstill.days) {
            (Some(at), Some(days)) => format!("has stayed at {} for {days} days", shown(at)),
            _ => "has never been later".to_owned(),
        };
        Some(format!(
            "{{{{last_success}}}} {stays}, and every extract has all that has changed since, because {}; what to do: {}",
            standstill.why.join(", and "),
            standstill.what_to_do.join("; ")
        ))
    }
}

fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// `keys`: some of the orgs that are waited for.
pub(super) fn why(obstacles: &[Obstacle], manifest: &Manifest, keys: &[String]) -> Vec<String> {
    let run = &manifest.run;
    let of = |count: u64, one: &str, several: &str| {
        if count == 1 { format!("1 {one}") } else { format!("{count} {several}") }
    };
    let such_as = if keys.is_empty() { String::new() } else { format!(" ({})", listed(keys)) };
    let reason = |obstacle: &Obstacle| match *obstacle {
        Obstacle::Forgotten => format!("the state store has no record of the last run, {run}"),
        Obstacle::Ahead => format!("the last run, {run}, started at a time that is still to come: a clock was wrong"),
        Obstacle::Empty => format!("the last run, {run}, found no row at all, which is no success and costs nothing"),
        Obstacle::Rejected(n) => format!("{} rejected in the last run, {run}", of(n, "row was", "rows were")),
        Obstacle::Refused(n) => {
            format!("the destination has refused {} of the last run, {run}", of(n, "change", "changes"))
        }
        Obstacle::SetAside(n) => format!("{} set aside as dead letters or dropped", of(n, "change is", "changes are")),
        Obstacle::Left(0) => format!("the last run, {run}, is not at its end"),
        Obstacle::Left(n) => {
            format!("{} of the last run, {run}, not acknowledged", of(n, "change is", "changes are"))
        }
        Obstacle::Some => format!("the last run, {run}, was a backfill's, about some orgs alone"),
        Obstacle::Waiting(1) => {
            format!("1 change that is not acknowledged waits for its org to be in an extract again{such_as}")
        }
        Obstacle::Waiting(n) => {
            format!("{n} changes that are not acknowledged wait for their orgs to be in an extract again{such_as}")
        }
    };
    obstacles.iter().map(reason).collect()
}

fn listed(keys: &[String]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    keys.join(", ")
}

/// Of obstacles that go away by themselves nothing is said.
pub(super) fn what_to_do(obstacles: &[Obstacle], job: &str, run: &str) -> Vec<String> {
    let command = |obstacle: &Obstacle| match obstacle {
        Obstacle::Forgotten | Obstacle::Ahead => format!("`nightmark run {job}` makes a new record"),
        Obstacle::Empty => format!("`nightmark run {job} --full` reads all orgs, and is a success if it finds any"),
        Obstacle::Rejected(_) => format!("`nightmark preview {job}` names the rows; mend the values or the query"),
        Obstacle::Refused(_) => format!("`nightmark runs show {run}` says why"),
        Obstacle::SetAside(_) => format!(
            "`nightmark dead-letters list {job} --all` names them; mend the orgs, or `nightmark dead-letters retry` once the destination takes them"
        ),
        Obstacle::Some => format!("`nightmark run {job}` is about all orgs"),
        Obstacle::Left(_) => format!("`nightmark retry {job}` sends what is left"),
        Obstacle::Waiting(_) => format!(
            "`nightmark explain {job} KEY` says what is known of such an org, `nightmark preview {job} --full` whether the query gives it at all: let it \
             give the org once, with a mark that it is deleted"
        ),
    };
    obstacles.iter().map(command).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Standstill;

    #[test]
    fn a_note_says_from_when_on_and_why() {
        let at = chrono::DateTime::UNIX_EPOCH;
        let quiet = Since { last_success: Some(at), standstill: None };
        assert_eq!(
            quiet.notes(),
            ["the extract has orgs that have changed since {{last_success}} = 1970-01-01T00:00:00Z (--full reads all)"]
        );
        assert_eq!(Since::default().notes(), ["the extract has all orgs: {{last_success}} is 1970-01-01"]);
        let obstacles = [Obstacle::Rejected(1), Obstacle::SetAside(2)];
        let still = |days| Standstill {
            days,
            why: vec!["a".to_owned(), "b".to_owned()],
            what_to_do: what_to_do(&obstacles, "orgs", "R"),
        };
        let told = Since { last_success: Some(at), standstill: Some(still(Some(5))) }.notes().pop().unwrap();
        for part in
            ["stayed at 1970-01-01T00:00:00Z for 5 days", "because a, and b", "preview orgs", "dead-letters list orgs"]
        {
            assert!(told.contains(part), "{part}: {told}");
        }
        let never = Since { last_success: None, standstill: Some(still(None)) }.notes().pop().unwrap();
        assert!(never.contains("has never been later"), "{never}");
    }
}

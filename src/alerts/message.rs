//! What a channel is told, in words. Pure.

use super::condition::{Condition, Kind};
use crate::store::AlertRecord;
use chrono::{DateTime, Utc};

/// A message: for people, of plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// One line.
    pub subject: String,
    /// Several.
    pub body: String,
}

impl Message {
    /// Subject and body in one, for channels that have no subject.
    pub fn text(&self) -> String {
        format!("{}\n{}", self.subject, self.body)
    }
}

/// Something is wrong.
pub fn raised(condition: &Condition) -> Message {
    let todo: Vec<String> = condition.todo.iter().map(|line| format!("  {line}")).collect();
    Message {
        subject: format!("[nightmark] {}: {}", condition.job, title(condition.kind.as_str())),
        body: format!(
            "What happened: {}\nWhat was not sent: {}\nWhat to do:\n{}",
            shown(&condition.what),
            shown(&condition.unsent),
            todo.join("\n")
        ),
    }
}

/// It is over, as of `at`: it is right again, or the job is gone.
pub fn over(alert: &AlertRecord, at: DateTime<Utc>, is_gone: bool) -> Message {
    let (since, at) = (alert.since.format("%Y-%m-%d %H:%M UTC"), at.format("%Y-%m-%d %H:%M UTC"));
    // A file that had mistakes may as well have been taken away.
    let (over, body) = match is_gone && alert.kind != Kind::Faulty.as_str() {
        true => ("the job is gone", format!("Its file is no more in jobs/ as of {at}. It was so since {since}.")),
        false => ("right again", format!("It was so from {since} to {at}.")),
    };
    Message { subject: format!("[nightmark] {}: {over} ({})", alert.job, title(&alert.kind)), body }
}

/// For somebody who wants to know whether messages arrive.
pub fn test(at: DateTime<Utc>) -> Message {
    Message {
        subject: "[nightmark] a test: this channel works".to_owned(),
        body: format!(
            "Somebody has typed `nightmark alerts test` at {}. Nothing is wrong, and nothing is to be done.",
            at.format("%Y-%m-%d %H:%M UTC")
        ),
    }
}

fn title(kind: &str) -> &str {
    match kind {
        "failed" => "the run FAILED",
        "held" => "the run is HELD",
        "missed" => "a run did not take place",
        "stale" => "nothing has gone through for too long",
        "destination" => "the destination takes nothing",
        "dead_letters" => "rows are set aside",
        "volatile" => "a column changes in most orgs",
        "faulty" => "the job file has mistakes",
        other => other,
    }
}

/// What comes from outside stays one paragraph of a readable length.
fn shown(text: &str) -> String {
    const MOST: usize = 1500;
    let line: String = text.lines().map(str::trim).collect::<Vec<_>>().join("; ");
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_happened_what_was_not_sent_and_what_to_type() {
        let condition = Condition {
            job: "orgs".into(),
            kind: Kind::Failed,
            about: String::new(),
            what: "run R failed: no disk\n  hint: \u{1b}[2Jmake room".into(),
            unsent: "nothing".into(),
            todo: vec!["nightmark run orgs".into()],
        };
        let message = raised(&condition);
        assert_eq!(
            message.text(),
            "[nightmark] orgs: the run FAILED\nWhat happened: run R failed: no disk; hint: [2Jmake room\nWhat was not sent: nothing\n\
             What to do:\n  nightmark run orgs"
        );
        let long = raised(&Condition { what: "é".repeat(5000), ..condition });
        assert!(long.body.chars().count() < 1700 && long.body.contains('…'));
        for kind in Kind::ALL {
            assert_ne!(title(kind.as_str()), kind.as_str(), "{kind:?}");
        }
    }
}

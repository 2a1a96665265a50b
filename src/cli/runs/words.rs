//! A run's state and what follows from it, in words. Pure.

use crate::store::{RunKind, RunRecord, RunState};

/// What is known around a run besides its record.
#[derive(Debug, Clone, Copy, Default)]
pub struct Around {
    /// Surely no process works on the run's job.
    pub left_alone: bool,
    /// The snapshot is this run's.
    pub is_current: bool,
    /// Of a held run: it can be approved or discarded.
    pub can_be_decided: bool,
    /// The job's destination takes nothing until somebody enables it, or until a time that it has named.
    pub is_out_of_service: bool,
    /// Of the rows that were refused in this run, those that are set aside or dropped now.
    pub given_up: u64,
    /// Rows of the job that are set aside and that nobody has dropped, if the run has such rows.
    pub dead_letters: u64,
}

/// The state as lists show it. `left_alone`: no process works on the run's job.
pub fn state(run: &RunRecord, left_alone: bool) -> &'static str {
    match run.state {
        RunState::Held => "HELD",
        RunState::Failed => "FAILED",
        RunState::Delivering if run.finished_at.is_some() => "stopped",
        RunState::Extracting | RunState::Diffed | RunState::Delivering if left_alone => "cut off",
        state => state.as_str(),
    }
}

/// The state as a sentence.
pub fn sentence(run: &RunRecord, around: &Around) -> &'static str {
    let left_alone = around.left_alone;
    if run.kind == RunKind::Backfill {
        return "a backfill: what the destination is known to have, once more";
    }
    match run.state {
        RunState::Extracting | RunState::Diffed if left_alone && around.is_current => {
            "published; its process ended before anything was sent"
        }
        RunState::Extracting if left_alone => "cut off while it read the extract; nothing was published or sent",
        RunState::Extracting => "reads and compares the extract",
        RunState::Diffed if left_alone => "cut off before its publication; nothing was sent",
        RunState::Diffed => "has its change set and is about to publish it",
        RunState::Held => "held by a guard; nothing was published or sent",
        RunState::Published => "published; nothing was sent",
        RunState::Delivering if run.finished_at.is_some() => "stopped before everything was sent",
        RunState::Delivering if left_alone => "cut off while it was sending",
        RunState::Delivering => "is sending",
        RunState::Finished if run.counts.refused + run.counts.unknown > 0 => {
            "finished; every change was tried, and some did not get through"
        }
        RunState::Finished if run.counts.set_aside > 0 => "finished; some changes are set aside as dead letters",
        RunState::Finished => "finished; everything was acknowledged",
        RunState::Superseded => "superseded: a later run took over what was left",
        RunState::Discarded => "discarded; nothing was published or sent",
        RunState::Failed => "failed; nothing was published or sent",
    }
}

/// What a person can do about a run, as commands with their effect.
pub fn what_to_do(run: &RunRecord, around: &Around) -> Vec<String> {
    let job = &run.job;
    if run.kind == RunKind::Backfill {
        return vec![format!("nightmark backfill {job} --status  shows how far the last one is")];
    }
    let mut todo = Vec::new();
    if around.is_out_of_service {
        todo.push(format!(
            "nightmark destinations enable {job}  once its address takes webhooks again, or is another one"
        ));
    }
    let left = (run.counts.pending + run.counts.unknown + run.counts.refused).saturating_sub(around.given_up);
    let (left_alone, is_current) = (around.left_alone, around.is_current);
    match run.state {
        // There is a change set, and it is not here.
        RunState::Held if !around.can_be_decided && run.counts.planned() > 0 => {
            todo.push(format!(
                "nightmark approve {}  sends it, on the machine where it was held: its files are not here",
                run.id
            ));
            todo.push(format!("nightmark run {job} --approve   compares anew and sends what it finds, guards or not"));
        }
        RunState::Held if !around.can_be_decided => {
            todo.push(format!("nightmark schema {job} show  compares the pinned types with tonight's"));
            todo.push(format!("nightmark run {job}  starts anew, once the cause is mended"));
        }
        RunState::Held => {
            todo.push(format!("nightmark preview {job} --held  shows what it would send"));
            todo.push(format!("nightmark approve {}  sends exactly that", run.id));
            todo.push(format!("nightmark discard {}  gives it up", run.id));
            todo.push(format!("nightmark run {job} --approve   compares anew and sends what it finds, guards or not"));
        }
        RunState::Failed | RunState::Discarded => {
            todo.push(format!("nightmark run {job}  starts anew, once the cause is mended"));
        }
        RunState::Extracting | RunState::Diffed if left_alone => match is_current {
            true => send_the_rest(&mut todo, job),
            false => todo.push(format!("nightmark run {job}  starts anew")),
        },
        RunState::Published | RunState::Delivering | RunState::Finished if is_current && left_alone && left > 0 => {
            send_the_rest(&mut todo, job);
        }
        _ => {}
    }
    if around.dead_letters > 0 {
        todo.push(format!("nightmark dead-letters list {job}  shows what the destination keeps refusing"));
    }
    todo
}

fn send_the_rest(todo: &mut Vec<String>, job: &str) {
    todo.push(format!("nightmark retry {job}  sends what is left, without a new extract"));
    todo.push(format!(
        "nightmark run {job}    compares anew and sends the newest values; the next scheduled run does that too"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receipt::Counts;

    fn record(state: RunState, ended: bool) -> RunRecord {
        let at = chrono::DateTime::UNIX_EPOCH;
        RunRecord { state, finished_at: ended.then_some(at), ..RunRecord::new("R", "orgs", at) }
    }

    #[test]
    fn a_run_whose_process_is_gone_does_not_look_busy() {
        for (state, ended, left_alone, expected) in [
            (RunState::Extracting, false, false, "extracting"),
            (RunState::Extracting, false, true, "cut off"),
            (RunState::Diffed, false, true, "cut off"),
            (RunState::Delivering, false, false, "delivering"),
            (RunState::Delivering, false, true, "cut off"),
            (RunState::Delivering, true, true, "stopped"),
            (RunState::Published, true, true, "published"),
            (RunState::Held, true, true, "HELD"),
            (RunState::Finished, true, true, "finished"),
        ] {
            assert_eq!(super::state(&record(state, ended), left_alone), expected, "{state:?}");
        }
    }

    #[test]
    fn only_what_can_be_done_is_proposed() {
        let left = |state| RunRecord { counts: Counts { pending: 3, ..Counts::default() }, ..record(state, true) };
        let alone = Around { left_alone: true, ..Around::default() };
        let current = Around { is_current: true, ..alone };
        let commands = |run: &RunRecord, around: Around| {
            let todo = what_to_do(run, &around);
            todo.iter().map(|line| line.split_whitespace().nth(1).unwrap().to_owned()).collect::<Vec<_>>()
        };
        let nothing = Vec::<String>::new();
        assert_eq!(commands(&left(RunState::Delivering), current), ["retry", "run"]);
        assert_eq!(commands(&left(RunState::Diffed), current), ["retry", "run"]);
        assert_eq!(commands(&left(RunState::Diffed), alone), ["run"]);
        assert_eq!(commands(&left(RunState::Superseded), alone), nothing);
        assert_eq!(commands(&record(RunState::Finished, true), current), nothing);
        assert_eq!(
            commands(&record(RunState::Finished, true), Around { dead_letters: 2, ..current }),
            ["dead-letters"]
        );
        let given_up = Around { dead_letters: 3, given_up: 3, ..current };
        assert_eq!(commands(&left(RunState::Finished), given_up), ["dead-letters"]);
        assert_eq!(commands(&record(RunState::Held, true), alone), ["schema", "run"]);
        let changes = Counts { changed: 3, ..Counts::default() };
        let elsewhere = RunRecord { counts: changes, ..record(RunState::Held, true) };
        assert_eq!(commands(&elsewhere, alone), ["approve", "run"]);
        let decided = Around { can_be_decided: true, ..alone };
        assert_eq!(commands(&record(RunState::Held, true), decided), ["preview", "approve", "discard", "run"]);
        let disabled = what_to_do(&left(RunState::Delivering), &Around { is_out_of_service: true, ..current });
        assert!(disabled[0].starts_with("nightmark destinations enable orgs") && disabled.len() == 3, "{disabled:?}");
    }
}

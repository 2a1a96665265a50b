//! One history, step by step, against the model.

use super::history::{Act, History, Step, Weather};
use super::model::{Model, Row};
use super::replay::Seen;
use super::row::{End, end_of};
use super::site::{Asked, Ground, Keeps, Site};
use super::source::{Org, Source};
use super::tally::Tally;
use nightmark::deliver::Summary;
use nightmark::pipeline::{PipelineError, RunReport};
use nightmark::receipt::{Counts, Outcome};
use nightmark::store::{RefusalChange, RunState};

/// What does not hold.
pub type Broken = String;

macro_rules! ensure {
    ($holds:expr, $($said:tt)+) => {
        if !$holds {
            return Err(format!($($said)+));
        }
    };
}
pub(super) use ensure;

/// What a process came to: its report, or the place where it ended.
type Ended = Result<Result<RunReport, PipelineError>, &'static str>;

/// Says what does not hold; panics where the code does.
pub fn check(ground: &mut Ground, history: &History, keeps: Keeps, tally: &mut Tally) -> Result<(), Broken> {
    let source = Source::new(history.orgs);
    let model = Model::new(history.removals, history.dead_letter_after);
    let site = Site::new(ground, history, keeps);
    let mut checked = Checked { history, site, source, model, manifest: Vec::new(), tally };
    for (number, step) in history.steps.iter().enumerate() {
        checked.step(step).map_err(|broken| format!("step {number}: {broken}"))?;
    }
    checked.last_nights().map_err(|broken| format!("the last nights: {broken}"))?;
    checked.tally.histories += 1;
    Ok(())
}

/// A history on its way.
pub struct Checked<'a> {
    pub history: &'a History,
    pub site: Site<'a>,
    pub source: Source,
    pub model: Model,
    /// As it was read last.
    pub manifest: Vec<u8>,
    pub tally: &'a mut Tally,
}

impl Checked<'_> {
    fn step(&mut self, step: &Step) -> Result<(), Broken> {
        for (org, turn) in &step.turns {
            if let Some(turn) = self.source.turn(*org, *turn) {
                self.tally.turn(turn);
            }
        }
        match &step.act {
            Act::Run(weather) => self.night(Asked::Run, weather),
            Act::Publish(weather) => self.night(Asked::Publish, weather),
            Act::Retry(weather) => self.night(Asked::Retry, weather),
            Act::Lift => {
                self.lift();
                Ok(())
            }
            Act::Drop => {
                self.drop_dead_letters();
                Ok(())
            }
        }
    }

    fn lift(&mut self) {
        self.site.with_store(async |store, job| {
            let ids: Vec<String> = store.refusals(None).await.unwrap().into_iter().map(|r| r.webhook_id).collect();
            store.change_refusals(job, &ids, RefusalChange::Retry).await.unwrap();
        });
        self.model.lift();
    }

    fn drop_dead_letters(&mut self) {
        let after = u32::from(self.history.dead_letter_after);
        let dropped = self.site.with_store(async |store, job| {
            let refusals = store.refusals(None).await.unwrap().into_iter();
            let ids: Vec<String> = refusals.filter(|r| after > 0 && r.count >= after).map(|r| r.webhook_id).collect();
            store.change_refusals(job, &ids, RefusalChange::Drop).await.unwrap();
            ids
        });
        self.model.drop_versions(dropped);
    }

    /// Undisturbed: the first brings the destination to the source's state, the second sends nothing.
    fn last_nights(&mut self) -> Result<(), Broken> {
        self.lift();
        self.night(Asked::Run, &Weather::default())?;
        let tonight = self.source.tonight();
        // Without removals nothing is said of an org that is gone.
        let is_away = |org: &Org| !self.history.removals && !tonight.contains_key(org);
        let doubt = self.model.known().into_iter().find(|(org, of)| of.in_doubt && !is_away(org));
        ensure!(doubt.is_none(), "still in doubt: {doubt:?}");
        let applied = self.site.world.lock().unwrap().applied.clone();
        let gone = applied.keys().filter(|org| !tonight.contains_key(org)).count();
        ensure!(!self.history.removals || gone == 0, "the destination has what is gone: {applied:?}");
        let same = tonight.iter().all(|(org, value)| applied.get(org) == Some(value));
        ensure!(same, "the destination has {applied:?}, and the source {tonight:?}");
        if self.history.looks_again {
            self.night(Asked::Run, &Weather::default())?;
            ensure!(self.model.rows.is_empty(), "sent again: {:?}", self.model.rows);
        }
        let open = self.site.with_store(async |store, job| store.open_runs(job).await.unwrap());
        ensure!(open.is_empty(), "runs that have not come to their end: {open:?}");
        Ok(())
    }

    fn night(&mut self, asked: Asked, weather: &Weather) -> Result<(), Broken> {
        self.source.write(&self.site.extract());
        let seen = Seen::begin(&self.model);
        let ended = self.site.act(asked, weather);
        self.tally.night(asked, weather, ended.as_ref().err().copied());
        let seen = self.replay(asked, seen)?;
        match &ended {
            Err(_) => {}
            Ok(Err(PipelineError::NothingPublished(_))) if asked == Asked::Retry && self.model.run.is_empty() => {
                return Ok(());
            }
            Ok(Err(error)) => return Err(format!("{asked:?} failed: {error}")),
            Ok(Ok(report)) => self.report(asked, &seen, report)?,
        }
        self.destination(&ended)
    }

    fn report(&mut self, asked: Asked, seen: &Seen, report: &RunReport) -> Result<(), Broken> {
        ensure!(report.run == self.model.run, "{} reports {}", self.model.run, report.run);
        let stopped = report.delivery.as_ref().and_then(|summary| summary.stopped.as_ref());
        if asked == Asked::Publish {
            ensure!(seen.requests.is_empty(), "sent although nothing was to be sent");
        } else {
            for (seq, row) in (0..).zip(&self.model.rows) {
                self.row_is_through(seen, seq, row, stopped.is_some())?;
            }
            self.tally.stopped(stopped.map(|stopped| stopped.kind));
        }
        self.counts_add_up(seen, report, asked == Asked::Publish || stopped.is_some())?;
        let run = report.run.clone();
        let record = self.site.with_store(async |store, _| store.run(&run).await.unwrap());
        let record = record.ok_or("no record")?;
        let same = (record.state, record.counts) == (report.state, report.counts);
        ensure!(same && record.finished_at.is_some(), "{record:?} and {report:?}");
        let is_done =
            |seq: &u64| seen.had.contains(seq) || seen.set_aside.contains(seq) || seen.words.contains_key(seq);
        let were_tried = (0..self.model.rows.len() as u64).all(|seq| is_done(&seq));
        let expected = match (asked, report.counts.pending) {
            (Asked::Publish, _) => RunState::Published,
            (_, 0) if were_tried => RunState::Finished,
            _ => RunState::Delivering,
        };
        ensure!(report.state == expected, "{:?} where {expected:?}: {report:?}", report.state);
        Ok(())
    }

    /// Every row that can be sent was, and every answer has its receipt.
    fn row_is_through(&self, seen: &Seen, seq: u64, row: &Row, is_stopped: bool) -> Result<(), Broken> {
        let requests = seen.requests.get(&seq).map(Vec::as_slice).unwrap_or_default();
        if seen.had.contains(&seq) || seen.set_aside.contains(&seq) {
            ensure!(requests.is_empty(), "{row:?} was sent: {requests:?}");
            return Ok(());
        }
        let has_word = seen.words.contains_key(&seq);
        match end_of(requests, self.history.attempts)? {
            End::Final(..) => ensure!(has_word, "no word of {row:?} after {requests:?}"),
            End::Open { may_be_applied } => {
                ensure!(is_stopped, "{row:?} was not sent to its end: {requests:?}");
                ensure!(has_word == may_be_applied, "{row:?}: a word is {has_word} after {requests:?}");
            }
        }
        Ok(())
    }

    fn counts_add_up(&self, seen: &Seen, report: &RunReport, is_cut_short: bool) -> Result<(), Broken> {
        let of = |seq: &&u64| self.model.deliveries[**seq as usize];
        let silent = seen.set_aside.iter().filter(|seq| !of(seq).refused && !of(seq).unknown).count() as u64;
        let expected = self.model.counts_now(silent);
        let Counts { acknowledged, refused, unknown, pending, set_aside, .. } = report.counts;
        let sum = acknowledged + refused + unknown + pending + set_aside;
        ensure!(sum == report.counts.planned(), "{:?} does not add up", report.counts);
        // If it was stopped it may not have come to the dead letters.
        let split = Counts { pending: pending + set_aside, set_aside: 0, ..report.counts };
        let whole = Counts { pending: expected.pending + expected.set_aside, set_aside: 0, ..expected };
        ensure!(split == whole && (is_cut_short || report.counts == expected), "{report:?} where {expected:?}");
        let Some(summary) = &report.delivery else { return Ok(()) };
        let words = |outcome| seen.words.values().filter(|word| word.outcome == outcome).count() as u64;
        let Summary { acknowledged, refused, unknown, .. } = *summary;
        let expected = (words(Outcome::Acknowledged), words(Outcome::Refused), words(Outcome::Unknown));
        ensure!((acknowledged, refused, unknown) == expected, "{summary:?} where {expected:?}");
        ensure!(summary.pending == pending, "{summary:?} where {pending} are pending");
        Ok(())
    }

    /// What is known for sure of the destination is so.
    fn destination(&self, ended: &Ended) -> Result<(), Broken> {
        let world = self.site.world.lock().unwrap();
        for (org, known) in self.model.known() {
            let has = world.applied.get(&org).copied();
            let sure = known.in_doubt || has == known.value;
            ensure!(sure, "{org} has {has:?} at the destination, and {known:?} is known; {ended:?}");
        }
        let strange = world.applied.keys().find(|org| !self.model.known().contains_key(org));
        ensure!(strange.is_none(), "nobody knows of {strange:?} at the destination");
        Ok(())
    }
}

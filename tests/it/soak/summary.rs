//! What the years were.

use std::collections::BTreeMap;
use std::fmt;

/// See the module.
#[derive(Debug, Default)]
pub struct Summary {
    /// Processes, by how they ended.
    pub lives: BTreeMap<&'static str, u64>,
    /// How often nobody was there.
    pub away: usize,
    /// What became of the fires of each job.
    pub fires: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// What `crash` says of each job's requests.
    pub requests: BTreeMap<&'static str, String>,
    pub runs: usize,
    pub failed: u64,
    pub held: u64,
    pub approved: u64,
    pub discarded: u64,
    pub outages: u64,
    /// Of what people were told, and how often.
    pub told: BTreeMap<String, u64>,
}

impl Summary {
    /// What has not come up of all that must, in so many years. Of a year or two nothing is asked that comes up a few times in each, and in some
    /// by chance not at all.
    pub fn absent(&self, years: u64) -> Vec<&'static str> {
        let lives = |how: &[&str]| how.iter().filter_map(|how| self.lives.get(how)).sum::<u64>();
        let fires = |state: &str| self.fires.values().filter_map(|states| states.get(state)).sum::<u64>();
        let often = [
            ("kills", lives(&["killed at any time", "killed at a request", "killed at a mark"])),
            ("failed runs", self.failed.min(fires("failed"))),
            ("held runs", self.held.min(fires("held"))),
            ("approvals", self.approved),
            ("discards", self.discarded),
            ("outages", self.outages),
            ("times without a daemon", self.away as u64),
            ("people who are told", self.told.values().sum()),
        ];
        let seldom = [
            ("kills at any time", lives(&["killed at any time"])),
            ("kills at a request", lives(&["killed at a request"])),
            // Few of them: whether a mark is come by is a matter of luck, too.
            ("kills at a mark", lives(&["killed at a mark"]) * years),
            ("stops within a run", lives(&["stopped within a run"])),
            ("missed fires", fires("missed")),
            ("fires that come together", fires("come together with the next")),
        ];
        let seldom = seldom.into_iter().filter(|_| years > 2);
        often.into_iter().chain(seldom).filter(|(_, n)| *n < years).map(|(what, _)| what).collect()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { runs, failed, held, approved, discarded, outages, .. } = self;
        writeln!(f, "processes: {:?}, {} times nobody was there", self.lives, self.away)?;
        writeln!(
            f,
            "runs begun: {runs}; {failed} failed for want of an extract, {held} held ({approved} approved, {discarded} discarded), {outages} met a \
             destination that took nothing"
        )?;
        for (job, states) in &self.fires {
            writeln!(f, "{job}: {states:?}; {}", self.requests[job])?;
        }
        write!(f, "told: {:?}", self.told)
    }
}

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
    /// Whether everything has come up that there is, in so many years.
    pub fn is_eventful(&self, years: u64) -> bool {
        let lives = ["killed at any time", "killed at a request", "stopped within a run"];
        let events = [self.failed, self.held, self.approved, self.discarded, self.outages, self.away as u64];
        let of = |state: &str| self.fires.values().filter_map(|states| states.get(state)).sum::<u64>();
        let fires = ["missed", "come together with the next", "failed", "held"];
        let enough = |n: u64| n >= years;
        // Few of them: whether a mark is come by is a matter of luck, too.
        let marks = self.lives.get("killed at a mark").copied().unwrap_or(0);
        marks > 0
            && lives.iter().all(|how| enough(self.lives.get(how).copied().unwrap_or(0)))
            && events.into_iter().all(enough)
            && fires.into_iter().all(|state| enough(of(state)))
            && enough(self.told.values().sum())
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

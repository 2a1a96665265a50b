//! One job: its extract from night to night, its destination, and what was seen of its runs.

use super::fires::Fires;
use super::talk::How;
use crate::crash::{Era, Form, Kind, Night, Source, check, job_text, misbehave, recorded};
use crate::faulty::{Act, Asked, End, Faulty, Plan, Stage};
use crate::support::Home;
use chrono::{DateTime, Utc};
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::path::PathBuf;

const ORGS: usize = 30;

/// A job, as its file says it.
pub struct Plans {
    pub name: &'static str,
    pub kind: Kind,
    /// What its file says before its sections.
    pub schedule: &'static str,
}

/// By night, twice a day, and on Sundays, each in another form.
pub const JOBS: [Plans; 3] = [
    Plans {
        name: "nightly",
        kind: Kind { form: Form::Csv, removals: true, spills: false },
        schedule: "schedule = \"30 2 * * *\"\ntimezone = \"America/New_York\"",
    },
    Plans {
        name: "often",
        kind: Kind { form: Form::Parquet, removals: false, spills: false },
        schedule: "schedule = \"0 */12 * * *\"\ntimezone = \"Europe/Berlin\"\ncatch_up = \"1h\"\njitter = \"10m\"",
    },
    Plans {
        name: "weekly",
        kind: Kind { form: Form::Parquet, removals: true, spills: false },
        schedule: "schedule = \"15 1 * * SUN\"\ntimezone = \"Australia/Lord_Howe\"\ncatch_up = \"24h\"\nblackout = [\"Sun 00:00-02:00\"]",
    },
];

/// So few orgs may change or go, that a night in which most do is held.
const GUARD: &str = "[guard]\nmax_changed = { share = 0.6, floor = 12 }\nmax_removed = { share = 0.5, floor = 10 }\n";

/// What the extract of a run is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extract {
    Sound,
    /// There is none, or it was cut off while it was written: the run must fail.
    None,
    CutOff,
    /// It has no orgs: the run must be held.
    Empty,
}

/// A run, or the sending of a held one, that is on.
struct On {
    extract: Extract,
    /// Requests that had come before.
    before: usize,
    /// It gives up what is held.
    is_discard: bool,
}

/// See the module.
pub struct Place {
    pub plans: &'static Plans,
    pub source: Source,
    pub faulty: Faulty,
    pub fires: Fires,
    folder: PathBuf,
    eras: Vec<Era>,
    on: Option<On>,
    /// What a run has found that is held.
    held: Option<Night>,
    pub counts: Counts,
}

/// What was seen.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub failed: u64,
    pub held: u64,
    pub approved: u64,
    pub discarded: u64,
    pub outages: u64,
}

impl Place {
    pub fn new(home: &Home, plans: &'static Plans, since: DateTime<Utc>, rng: &mut StdRng) -> Self {
        let source = Source::new(plans.kind.form, ORGS, rng);
        let faulty = Faulty::start(|_: &Asked| Plan::ok());
        let folder = home.path(&format!("extracts/{}", plans.name));
        std::fs::create_dir_all(&folder).unwrap();
        let extract = format!("extracts/{}/{}", plans.name, source.file());
        let text = job_text(plans.kind, &extract, faulty.address, plans.schedule) + GUARD;
        home.write(&format!("jobs/{}.toml", plans.name), &text);
        let fires = Fires::new(plans, &text, since);
        let (eras, counts) = (Vec::new(), Counts::default());
        Place { plans, source, faulty, fires, folder, eras, on: None, held: None, counts }
    }

    /// A run is about to begin on another night's extract, mostly, and the destination is as it is.
    pub fn begins(&mut self, rng: &mut StdRng) {
        let extract = match rng.random_range(0..80) {
            0 => Extract::None,
            1 if self.plans.kind.form == Form::Parquet => Extract::CutOff,
            2 => Extract::Empty,
            3 => {
                self.source.turn_all(rng);
                Extract::Sound
            }
            _ => {
                if rng.random_bool(0.7) {
                    self.source.turn(rng);
                }
                Extract::Sound
            }
        };
        self.write(extract);
        self.misbehaves(rng);
        let source = if extract == Extract::Empty { Night::new() } else { self.source.now.clone() };
        self.begin(extract, source);
    }

    /// A run is about to begin on the extract as it was, and the destination is sound.
    pub fn begins_calmly(&mut self) {
        self.write(Extract::Sound);
        self.faulty.script(|_| Plan::ok());
        self.begin(Extract::Sound, self.source.now.clone());
    }

    /// What is held is about to be sent.
    pub fn is_approved(&mut self, rng: Option<&mut StdRng>) {
        match rng {
            Some(rng) => self.misbehaves(rng),
            None => self.faulty.script(|_| Plan::ok()),
        }
        let source = self.held.take().expect("it is held");
        self.counts.approved += 1;
        self.begin(Extract::Sound, source);
    }

    /// What is held is about to be given up: nothing is to be sent.
    pub fn is_discarded(&mut self) {
        self.held = None;
        self.counts.discarded += 1;
        self.begin(Extract::Sound, self.source.now.clone());
        self.on.as_mut().expect("it has begun").is_discard = true;
    }

    /// It is sent, or given up, and then nothing was sent.
    pub fn was_decided(&mut self, home: &Home) {
        if self.on.as_ref().is_some_and(|on| on.is_discard) {
            self.sends_nothing();
        }
        self.end(home, true);
    }

    fn sends_nothing(&self) {
        let before = self.on.as_ref().expect("it has begun").before;
        assert_eq!(self.faulty.len(), before, "{}: held, failed or discarded, and something was sent", self.plans.name);
    }

    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    fn begin(&mut self, extract: Extract, source: Night) {
        assert!(self.on.is_none(), "two runs of {} at once", self.plans.name);
        self.on = Some(On { extract, before: self.faulty.len(), is_discard: false });
        let era = self.faulty.next_era();
        self.eras.push(Era { source, ended: false, recorded: BTreeMap::new() });
        assert_eq!(era, self.eras.len());
    }

    /// A run has ended by itself.
    pub fn ended(&mut self, home: &Home, how: &How) {
        let extract = self.on.as_ref().expect("it has begun").extract;
        match how {
            How::Done => self.held = None,
            How::Held => {
                self.counts.held += 1;
                self.held = self.eras.last().map(|era| era.source.clone());
            }
            How::Failed(_) => self.counts.failed += 1,
            How::Stopped => {}
            How::Busy => panic!("nobody else runs {}", self.plans.name),
        }
        if matches!(how, How::Held | How::Failed(_)) {
            self.sends_nothing();
        }
        let is_as_expected = match extract {
            Extract::Sound => !matches!(how, How::Failed(_)),
            Extract::None | Extract::CutOff => matches!(how, How::Failed(_) | How::Stopped),
            Extract::Empty => matches!(how, How::Held | How::Stopped),
        };
        assert!(is_as_expected, "{} on an extract that is {extract:?}: {how:?}", self.plans.name);
        self.end(home, true);
    }

    /// The process has ended, and with it what was on.
    pub fn is_left(&mut self, home: &Home) {
        if self.on.is_some() {
            self.end(home, false);
        }
    }

    fn end(&mut self, home: &Home, in_order: bool) {
        self.on = None;
        self.faulty.quiesce();
        let era = self.eras.last_mut().expect("it has begun");
        (era.ended, era.recorded) = (in_order, recorded(&home.path(""), self.plans.name));
    }

    fn write(&mut self, extract: Extract) {
        let path = self.folder.join(self.source.file());
        match extract {
            Extract::Sound => self.source.write(&self.folder),
            Extract::None => drop(std::fs::remove_file(&path)),
            Extract::CutOff => {
                self.source.write(&self.folder);
                let whole = std::fs::read(&path).unwrap();
                std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
            }
            Extract::Empty => {
                let now = std::mem::take(&mut self.source.now);
                self.source.write(&self.folder);
                self.source.now = now;
            }
        }
    }

    /// It mostly does what it should; now and then it takes nothing for a whole run.
    fn misbehaves(&mut self, rng: &mut StdRng) {
        let (seed, bad, outage) = (rng.random(), self.eras.len() / 4, rng.random_range(0..40));
        self.counts.outages += u64::from(outage < 2);
        match outage {
            0 => self.faulty.script(|_| Plan::status(401)),
            1 => self.faulty.script(|_| Plan::header(503, "retry-after", "7200")),
            _ => self.faulty.script(move |asked| misbehave(seed, bad, asked)),
        }
    }

    /// From now on its n-th request calls this, is applied and never answered.
    pub fn at_request(&self, nth: usize, fatal: impl Fn() + Send + Sync + 'static) {
        let fatal_one = self.faulty.len() + nth;
        let before = self.faulty.current();
        self.faulty.script(move |asked| match asked.number == fatal_one {
            true => {
                fatal();
                Plan::of(Act::Cut(Stage::Body, End::Stay)).applied()
            }
            false => before(asked),
        });
    }

    /// Panics at the first thing that does not hold of its requests, answers and receipts. Returns what there were.
    pub fn check(&self) -> String {
        check(self.plans.kind, &self.faulty.entries(), &self.faulty.state(), &self.eras).to_string()
    }

    pub fn runs(&self) -> usize {
        self.eras.len()
    }
}

//! The life of one process: what it did that can be seen from outside, and where it ends.
//!
//! A process ends at a place that it comes by: a mark in the code (`failpoint!`), a write to the state store (before it, or
//! done and not known to be), a request (before it arrives, or applied and not answered). From then on nothing that it does
//! is seen: its ports stand still.

use super::history::{Answer, Crash};
use super::source::{Org, Value};
use nightmark::receipt::{FailureKind, Outcome};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{Notify, watch};

/// A final word of a row, as it was given to the store.
#[derive(Debug, Clone)]
pub struct Word {
    pub seq: u64,
    pub outcome: Outcome,
    /// How far it got and the id of its version, if it was not acknowledged.
    pub failure: Option<(FailureKind, String)>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub seq: u64,
    pub id: String,
    pub operation: &'static str,
    pub org: Org,
    /// What the org is to have; `None`: it is gone.
    pub value: Option<Value>,
    /// How many rows the request had, and which of them this is.
    pub together: usize,
    pub place: usize,
    pub answer: Answer,
    pub applied: bool,
}

/// What was seen of a process, in order.
#[derive(Debug, Clone)]
pub enum Event {
    /// Durable: rows that may leave, and final words.
    Committed { run: String, granted: Vec<Range<u64>>, words: Vec<Word> },
    /// Durable: the delivery of the run was cut off.
    CutOff { run: String },
    /// Durable: the delivery of the run ended in order.
    Ended { run: String },
    /// A request arrived.
    Asked(Request),
}

impl Event {
    /// Whether it is known to be of this run.
    pub fn is_of(&self, id: &str) -> bool {
        match self {
            Event::Committed { run, .. } | Event::CutOff { run } | Event::Ended { run } => run == id,
            Event::Asked(_) => false,
        }
    }
}

/// What is outside of any process.
#[derive(Default)]
pub struct World {
    /// What the destination has.
    pub applied: BTreeMap<Org, Value>,
    pub events: Vec<Event>,
    /// A write of which it is not known whether it was done.
    pub in_doubt: Option<Event>,
    /// Versions that it refuses whenever it is not friendly.
    disliked: BTreeSet<(Org, Value)>,
    /// Orgs with a request under way.
    under_way: BTreeSet<Org>,
    /// Requests of each org in this step.
    attempts: BTreeMap<Org, usize>,
    /// Orgs of which the destination has taken a version in this step with a request that it refused.
    in_part: BTreeSet<Org>,
    /// The rows of each request, by their ids, and its own id.
    compositions: BTreeMap<Vec<String>, String>,
    /// Broken rules that only the destination can see.
    pub broken: Vec<String>,
}

impl World {
    /// One whose destination refuses these versions whenever it is not friendly.
    pub fn that_dislikes(versions: &[(Org, Value)]) -> Arc<Mutex<World>> {
        let disliked = versions.iter().copied().collect();
        Arc::new(Mutex::new(World { disliked, ..World::default() }))
    }

    /// Which of the script's answers an org has next.
    fn turn_of(&mut self, org: Org) -> usize {
        let attempt = self.attempts.entry(org).or_default();
        let turn = usize::from(org) + *attempt * 3;
        *attempt += 1;
        turn
    }

    /// How rows are met where the script says `answer`. Nothing that the destination dislikes is taken; what it has taken with a request
    /// that it refused, it takes again when it is asked about that row.
    fn meets(&self, rows: &[Request], answer: Answer) -> Answer {
        let dislikes = rows.iter().any(|row| self.dislikes(row));
        let had = |row: &Request| self.in_part.contains(&row.org);
        let bits = |of: &dyn Fn(&Request) -> bool| (0..).zip(rows).map(|(at, row)| u8::from(of(row)) << at).sum::<u8>();
        match answer {
            Answer::InPart(taken) if rows.len() > 1 => Answer::InPart(taken & !bits(&|row| self.dislikes(row))),
            Answer::Results(taken) => {
                let taken = taken & !bits(&|row| self.dislikes(row)) | bits(&had);
                Answer::Results(taken & bits(&|_| true))
            }
            Answer::Refusal | Answer::TakenBack | Answer::InPart(_) if rows.len() == 1 && had(&rows[0]) => {
                Answer::Success
            }
            _ if dislikes => Answer::Refusal,
            other => other,
        }
    }

    /// Remembers what a request was made of: the same rows have the same id, and others another.
    pub fn composed(&mut self, rows: Vec<String>, id: &str) {
        match self.compositions.get(&rows) {
            Some(known) if known != id => self.broken.push(format!("{rows:?} came as {known} and as {id}")),
            Some(_) => {}
            None => {
                if let Some((others, _)) = self.compositions.iter().find(|(_, known)| *known == id) {
                    self.broken.push(format!("{id} is the id of {others:?} and of {rows:?}"));
                }
                self.compositions.insert(rows, id.to_owned());
            }
        }
    }

    fn dislikes(&self, row: &Request) -> bool {
        row.value.is_some_and(|value| self.disliked.contains(&(row.org, value)))
    }
}

/// What is to happen in this step.
#[derive(Default)]
struct Script {
    answers: Vec<Answer>,
    crash: Option<Crash>,
    stop: Option<u8>,
    requests: usize,
    places: u16,
}

/// One process.
pub struct Life {
    home: PathBuf,
    /// Where the disk is copied to when it is killed.
    image: PathBuf,
    pub world: Arc<Mutex<World>>,
    script: Mutex<Script>,
    is_over: AtomicBool,
    over: Notify,
    /// The name of the place where it ended.
    pub ended_at: Mutex<Option<&'static str>>,
    stop: watch::Sender<bool>,
}

thread_local! {
    static LIFE: RefCell<Option<Arc<Life>>> = const { RefCell::new(None) };
}

/// From now on this thread is one of the process.
pub fn enter(life: Option<Arc<Life>>) {
    LIFE.with(|of| *of.borrow_mut() = life);
}

/// A thread comes by a mark in the code.
pub fn mark(name: &'static str) {
    let life = LIFE.with(|of| of.borrow().clone());
    if let Some(life) = life {
        life.comes_by(name);
    }
}

impl Life {
    pub fn new(home: PathBuf, image: PathBuf, world: Arc<Mutex<World>>) -> Arc<Self> {
        Arc::new(Life {
            home,
            image,
            world,
            script: Mutex::default(),
            is_over: AtomicBool::new(false),
            over: Notify::new(),
            ended_at: Mutex::default(),
            stop: watch::channel(false).0,
        })
    }

    /// Another step begins.
    pub fn step(&self, answers: Vec<Answer>, crash: Option<Crash>, stop: Option<u8>) -> watch::Receiver<bool> {
        *self.script.lock().unwrap() = Script { answers, crash, stop, requests: 0, places: 0 };
        let mut world = self.world();
        world.events.clear();
        world.attempts.clear();
        world.in_part.clear();
        self.stop.send_replace(false);
        self.stop.subscribe()
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    pub async fn over(&self) {
        self.over.notified().await;
    }

    /// Whether the process was killed, and goes on from the image.
    pub fn was_killed(&self) -> bool {
        self.is_over() && self.script.lock().unwrap().crash.is_some_and(|crash| crash.is_kill)
    }

    /// The disk as it was then.
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// Returns whether the process is no more.
    fn comes_by(&self, place: &'static str) -> bool {
        if self.is_over() {
            return true;
        }
        let mut script = self.script.lock().unwrap();
        let Some(crash) = script.crash else { return false };
        script.places += 1;
        if script.places <= crash.at {
            return false;
        }
        if crash.is_kill {
            copy(&self.home, &self.image);
        }
        *self.ended_at.lock().unwrap() = Some(place);
        self.is_over.store(true, Ordering::SeqCst);
        self.over.notify_one();
        true
    }

    /// A port comes by a place; it stands still there if the process is no more.
    pub async fn place(&self, place: &'static str) {
        if self.comes_by(place) {
            std::future::pending::<()>().await;
        }
    }

    /// A write: what is seen of it once it is done. It stands still if the process ended meanwhile.
    pub async fn write<T>(&self, event: Option<Event>, doing: impl Future<Output = T>) -> T {
        self.place("write.before").await;
        self.world().in_doubt.clone_from(&event);
        let done = doing.await;
        if self.is_over() {
            std::future::pending::<()>().await;
        }
        {
            let mut world = self.world();
            world.in_doubt = None;
            world.events.extend(event);
        }
        self.place("write.after").await;
        done
    }

    /// A request arrives, with all its rows. Returns their places among the events, and how it is met.
    pub fn arrives(&self, rows: Vec<Request>) -> (Range<usize>, Answer) {
        let mut script = self.script.lock().unwrap();
        script.requests += 1;
        if script.stop.is_some_and(|at| usize::from(at) + 1 == script.requests) {
            self.stop.send_replace(true);
        }
        let mut world = self.world();
        let turns: Vec<usize> = rows.iter().map(|row| world.turn_of(row.org)).collect();
        let mut answer = Answer::Success;
        if !script.answers.is_empty() {
            // One answer for all of them.
            answer = turns.first().map_or(answer, |turn| script.answers[turn % script.answers.len()]);
            answer = world.meets(&rows, answer);
        }
        let first = world.events.len();
        for row in rows {
            let request = Request { answer, ..row };
            if !world.under_way.insert(request.org) {
                world.broken.push(format!("two requests of one org at once: {request:?}"));
            }
            world.events.push(Event::Asked(request));
        }
        (first..world.events.len(), answer)
    }

    /// The destination takes a request in.
    pub fn applies(&self, at: usize) {
        let mut world = self.world();
        let World { events, applied, in_part, .. } = &mut *world;
        if let Some(Event::Asked(request)) = events.get_mut(at) {
            request.applied = true;
            if matches!(request.answer, Answer::InPart(_)) {
                in_part.insert(request.org);
            }
            match request.value {
                Some(value) => drop(applied.insert(request.org, value)),
                None => drop(applied.remove(&request.org)),
            }
        }
    }

    pub fn leaves(&self, org: Org) {
        self.world().under_way.remove(&org);
    }

    /// Requests of a process that is no more are not under way.
    pub fn bury(&self) {
        self.world().under_way.clear();
    }
}

/// The disk as it is now. The database comes before its log, so that a write between the two is in neither or in the log.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let mut entries: Vec<_> = std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&path, &target);
        } else if !entry.file_name().to_string_lossy().ends_with("-shm") {
            std::fs::copy(path, target).unwrap();
        }
    }
}

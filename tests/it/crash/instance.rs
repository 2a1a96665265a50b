//! One home, one source, one destination, and nights that may end in a kill.

use super::check::{Checked, check};
use super::source::{Form, Night, Source};
use super::stored::{published, recorded};
use crate::faulty::{Act, Answer, Asked, End, Faulty, Plan, Stage};
use crate::support::Home;
use nightmark::receipt::Outcome;
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const JOB: &str = "orgs";
const SIGKILL: i32 = 9;

/// What an instance is like.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub form: Form,
    pub removals: bool,
    pub spills: bool,
}

/// How a night ends.
#[derive(Debug, Clone)]
pub enum Kill {
    Never,
    After(Duration),
    /// While the n-th request of the night, from 0, is at the destination, read and not answered.
    AtRequest(usize),
    /// At a named place, when it is reached for the n-th time, from 0.
    AtPoint(&'static str, usize),
}

/// What a night was.
pub struct Era {
    /// What the source had.
    pub source: Night,
    /// Whether the process came to its own end.
    pub ended: bool,
    /// What was recorded afterwards of the deliveries of the run that was current then.
    pub recorded: BTreeMap<String, Outcome>,
}

pub struct Instance {
    pub kind: Kind,
    pub rng: StdRng,
    pub kills: usize,
    pub source: Source,
    home: Home,
    faulty: Faulty,
    eras: Vec<Era>,
    /// The run that is published, and what the source had then.
    published: Option<(String, Night)>,
    retries: usize,
    dead_letters: u64,
    /// How long the longest night was so far.
    longest: Duration,
}

impl Instance {
    pub fn new(kind: Kind, rows: usize, mut rng: StdRng) -> Self {
        let (home, source) = (Home::new(), Source::new(kind.form, rows, &mut rng));
        let faulty = Faulty::start(|_: &Asked| Plan::ok());
        home.write("jobs/orgs.toml", &job_text(kind, source.file(), faulty.address, ""));
        home.write("nightmark.toml", SETTINGS);
        let longest = Duration::from_millis(200);
        Instance {
            kind,
            rng,
            kills: 0,
            source,
            home,
            faulty,
            eras: Vec::new(),
            published: None,
            retries: 0,
            dead_letters: 0,
            longest,
        }
    }

    /// A time within which the next process will do something.
    pub fn random_time(&mut self) -> Duration {
        self.rng.random_range(Duration::ZERO..self.longest)
    }

    /// A night with a faulty destination. The source goes on first, mostly.
    pub fn night(&mut self, kill: &Kill) -> bool {
        if !self.eras.is_empty() && self.rng.random_bool(0.7) {
            self.source.turn(&mut self.rng);
        }
        let (seed, bad) = (self.rng.random(), self.eras.len() / 4);
        let misbehave = move |asked: &Asked| misbehave(seed, bad, asked);
        if self.published.is_some() && self.rng.random_bool(0.2) {
            return self.process_night("retry", kill, misbehave);
        }
        self.process_night("run", kill, misbehave)
    }

    /// Nights without kills and without faults, until nothing is left; then everything is checked.
    pub fn finish(&mut self) {
        let sound = |_: &Asked| Plan::ok();
        self.end_pause();
        let again = self.home.run(&["dead-letters", "retry", JOB, "--all", "--json"]).expect(0).json();
        self.dead_letters += again["changed"].as_u64().unwrap();
        self.process_night("run", &Kill::Never, sound);
        let before = self.faulty.len();
        self.process_night("run", &Kill::Never, sound);
        assert_eq!(self.faulty.len(), before, "one good night leaves nothing behind");
        self.check();
    }

    /// Where the destination has asked for a minute's pause, nobody here waits for it.
    fn end_pause(&self) {
        self.home.run(&["destinations", "enable", JOB]).expect(0);
    }

    fn check(&self) -> Checked {
        check(self.kind, &self.faulty.entries(), &self.faulty.state(), &self.eras)
    }

    /// The counts of what was done, for the reports.
    pub fn summary(&self) -> String {
        let (nights, retries) = (self.eras.len(), self.retries);
        format!(
            "{nights} nights, {retries} of them `retry`, {} killed; {}; {} refused versions at the end",
            self.kills,
            self.check(),
            self.dead_letters
        )
    }

    /// Whether the process was killed.
    fn process_night(
        &mut self,
        verb: &str,
        kill: &Kill,
        script: impl Fn(&Asked) -> Plan + Send + Sync + 'static,
    ) -> bool {
        self.source.write(&self.home.path(""));
        if self.eras.last().is_some_and(|era| era.ended) {
            self.end_pause();
        }
        let era = self.faulty.next_era();
        assert_eq!(era, self.eras.len() + 1);
        let (arrived, arrival) = mpsc::channel();
        let fatal = match kill {
            Kill::AtRequest(n) => Some(self.faulty.len() + n),
            _ => None,
        };
        self.faulty.script(move |asked| {
            if Some(asked.number) == fatal {
                let _ = arrived.send(());
                return Plan::of(Act::Cut(Stage::Body, End::Stay)).applied();
            }
            script(asked)
        });
        let begun = Instant::now();
        let output = self.process(verb, kill, &arrival);
        self.longest = self.longest.max(begun.elapsed());
        self.faulty.quiesce();
        let killed = output.status.signal() == Some(SIGKILL);
        let code = output.status.code();
        assert!(killed || matches!(code, Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!killed || !matches!(kill, Kill::Never));
        self.kills += usize::from(killed);
        let home = self.home.path("");
        let run = published(&home, JOB);
        let before = self.published.as_ref().map(|(run, _)| run);
        if run.as_ref() != before {
            self.published = run.map(|run| (run, self.source.now.clone()));
        }
        // What a retry sends is what the source had in the night of the publication.
        let source = match (verb, &self.published) {
            ("retry", Some((_, source))) => source.clone(),
            _ => self.source.now.clone(),
        };
        self.retries += usize::from(verb == "retry");
        self.eras.push(Era { source, ended: !killed, recorded: recorded(&home, JOB) });
        killed
    }

    fn process(&self, verb: &str, kill: &Kill, arrival: &mpsc::Receiver<()>) -> Output {
        let mut command = self.home.command(&[verb, JOB, "--json"]);
        if verb == "run" {
            command.arg("--approve");
        }
        if verb == "run" && self.kind.spills {
            // So little that a few partitions are needed, whatever the number of rows.
            command.args(["--memory", &format!("{}", self.source.now.len() * 32)]);
        }
        if let Kill::AtPoint(name, nth) = kill {
            command.env("FAILPOINTS", format!("{name}={nth}*off->return"));
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        match kill {
            Kill::After(time) => std::thread::sleep(*time),
            Kill::AtRequest(_) => wait_for(&mut child, arrival),
            Kill::Never | Kill::AtPoint(..) => return child.wait_with_output().unwrap(),
        }
        // A process that has ended meanwhile has nothing against it.
        let _ = child.kill();
        child.wait_with_output().unwrap()
    }
}

/// Small batches, so that there is much to be cut off.
pub const SETTINGS: &str = "[delivery]\nreceipt_rows = 16\nreceipt_interval = \"5ms\"\n";

/// A job that reads `extract` and sends to `destination`. `first`: what its file says before its sections.
pub fn job_text(kind: Kind, extract: &str, destination: SocketAddr, first: &str) -> String {
    let on = if kind.removals { r#"["added", "changed", "removed"]"# } else { r#"["added", "changed"]"# };
    format!(
        r#"version = 1
{first}
[source]
kind = "files"
path = "{extract}"
[diff]
key = "workspace_id"
compare = ["plan_id", "user_count"]
on = {on}
[destination]
kind = "http"
url = "http://{destination}/hook/${{TEST_KEY}}"
retry = {{ attempts = 2, base = "1ms", max = "5ms" }}
dead_letter_after = 2
[payload]
template = '''{{"workspace_id": {{{{row.workspace_id}}}}, "plan_id": {{{{row.plan_id}}}}, "user_count": {{{{row.user_count}}}},
  "note": {{{{row.note}}}}, "gone": {{% if op == "removed" %}}true{{% else %}}false{{% endif %}}}}'''
"#
    )
}

/// Blocks until the request is there, or the process has ended without one.
fn wait_for(child: &mut Child, arrival: &mpsc::Receiver<()>) {
    while arrival.recv_timeout(Duration::from_millis(2)).is_err() {
        if child.try_wait().unwrap().is_some() {
            return;
        }
    }
}

/// Orgs of one kind are refused for some nights, until they are dead letters.
const POISONS: usize = 12;

fn poison(asked: &Asked) -> usize {
    asked.org.bytes().map(usize::from).sum::<usize>() % POISONS
}

/// What the destination does on a bad night: mostly what it should. `bad`: the kind of orgs that it refuses.
pub fn misbehave(seed: u64, bad: usize, asked: &Asked) -> Plan {
    if poison(asked) == bad % POISONS {
        return Plan::status(422);
    }
    let answer = |text: &str, end| Plan::of(Act::Bytes(text.as_bytes().to_vec(), end));
    // The script has no state, so that it can be told again from the seed.
    let draw =
        (seed ^ (asked.number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd134_2543_de82_ef95) >> 32;
    match draw % 400 {
        0..20 => Plan::status(500).applied(),
        20..30 => Plan::status(502),
        30..40 => Plan::of(Act::Cut(Stage::Body, End::Reset)).applied(),
        40..48 => Plan::of(Act::Cut(Stage::Body, End::Close)),
        48..54 => Plan::of(Act::Cut(Stage::Unread, End::Reset)),
        54..62 => answer("HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{\"su", End::Close).applied(),
        62..70 => Plan::header(429, "retry-after", "0"),
        70..82 => Plan::status(422),
        82..86 => Plan::body(200, r#"{"success":false,"message":"not now"}"#),
        86..92 => Plan::of(Act::ThenClose(Answer::new(200, "OK"))).applied(),
        92..100 => Plan::ok().after(Duration::from_millis(3)),
        100 => Plan::status(401),
        101 => Plan::header(503, "retry-after", "60"),
        _ => Plan::ok(),
    }
}

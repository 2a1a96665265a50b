//! A job as the rest of the program sees it: validated, every default filled in, no IO done.

mod adbc;
mod destination;
mod source;

pub use destination::{
    Auth, Batch, BodyFormat, DEAD_LETTER_AFTER, Destination, DestinationKind, Method, PerOperation, RESERVED_HEADERS,
    Rate, Retry, Route,
};

pub use adbc::{AdbcSource, Library, Placeholder};
pub use source::{
    Choice, CsvOptions, DatabaseSource, FileFormat, FilesSource, Latest, Model, Remote, Scheme, Source, SqliteSource,
    Tls,
};

use crate::mapping::PayloadTemplate;
use crate::row;
use chrono_tz::Tz;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// One validated job.
#[derive(Debug, Clone)]
pub struct Job {
    /// `name`, or the file's stem. Letters, digits, `-` and `_`; it names a folder.
    pub name: String,
    /// The file it was read from, for messages.
    pub file: PathBuf,
    /// When it is to run by itself; `None`: never.
    pub schedule: Option<Schedule>,
    /// The zone of the job's days: `{{run_date}}` is the date there.
    pub timezone: Tz,
    /// Where rows come from.
    pub source: Source,
    /// What is compared.
    pub diff: Diff,
    /// Where webhooks go.
    pub destination: Destination,
    /// What a webhook says.
    pub payload: Payload,
    /// What the destination's key takes fields from (`[payload.conforms_to]`); `None`: nobody said.
    pub conforms_to: Option<PayloadTemplate>,
    /// What it says of one kind of difference, where that is something else.
    pub payload_of: PerOperation<Option<Payload>>,
    /// When it is held.
    pub guard: Guard,
    /// When somebody is told.
    pub alerts: Alerts,
}

/// When somebody is told of a job, besides what the settings say.
#[derive(Debug, Clone, Default)]
pub struct Alerts {
    /// It is to go through once in this time.
    pub no_success_for: Option<Duration>,
    /// What is called after each run that went through.
    pub ping_url: Option<Templated>,
}

/// When a job runs by itself.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// As written; 5 fields, 6 with seconds, a macro such as `@daily`, or `@every 6h`. Empty: the clock begins nothing.
    pub expression: String,
    /// The parsed form.
    pub timing: Timing,
    /// The zone that the expression's times are in.
    pub timezone: Tz,
    /// A fire is still run so long after it was due.
    pub catch_up: Duration,
    /// A fire waits while the run before it is on; else it is left out.
    pub queues: bool,
    /// Fires are put off by up to this much, those of a job all by the same.
    pub jitter: Duration,
    /// When nothing may begin.
    pub blackout: Vec<Blackout>,
    /// Jobs whose last fire before one of this job's must have been done.
    pub depends_on: Vec<String>,
    /// How often it is looked for a new extract; only of files.
    pub on_file: Option<Duration>,
    /// Jobs whose success begins a run.
    pub run_after: Vec<String>,
}

/// A time of the day, of some days of the week, at which no run begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blackout {
    /// The days on which it begins, from Monday on.
    pub days: [bool; 7],
    /// Minutes from midnight to its beginning; less than 1440.
    pub from: u16,
    /// Its length in minutes; at least 1, at most 1440.
    pub minutes: u16,
}

/// At which times.
#[derive(Debug, Clone)]
pub enum Timing {
    /// At those of a crontab, by the clock of the zone.
    Cron(Box<cron::Schedule>),
    /// At the multiples of a period, counted from 1970-01-01T00:00:00Z; whole seconds, at least one.
    Every(Duration),
    /// At none: the clock begins nothing.
    Never,
}

impl Schedule {
    /// That of a job which nothing begins by itself.
    pub fn never(timezone: Tz) -> Self {
        Schedule {
            expression: String::new(),
            timing: Timing::Never,
            timezone,
            catch_up: Duration::ZERO,
            queues: false,
            jitter: Duration::ZERO,
            blackout: Vec::new(),
            depends_on: Vec::new(),
            on_file: None,
            run_after: Vec::new(),
        }
    }
}

/// `[diff]`
#[derive(Debug, Clone)]
pub struct Diff {
    /// Key columns, at least one.
    pub key: Vec<String>,
    /// Compared columns; `None`: every column but the key and those in `ignore`.
    pub compare: Option<Vec<String>>,
    /// Columns that never trigger a send.
    pub ignore: Vec<String>,
    /// How single columns are compared, none of them a key or ignored one; the others are compared as they are. Whether
    /// a form fits its column is known with the extract: [`row::Form::fits`].
    pub columns: BTreeMap<String, row::Form>,
    /// Which differences are sent.
    pub on: Triggers,
    /// What the first run does.
    pub first_run: Baseline,
    /// What a compared column that the snapshot lacks does.
    pub on_new_column: Baseline,
    /// Whether rows with a bad key are left out instead of failing the run.
    pub quarantine_bad_keys: bool,
    /// Where this stands in the job file.
    pub lines: DiffLines,
}

/// Lines of the job file, from 1; `None` where it does not have the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiffLines {
    /// `[diff]`
    pub table: Option<usize>,
    /// `compare`
    pub compare: Option<usize>,
    /// `ignore`
    pub ignore: Option<usize>,
}

/// `on = ["added", "changed", "removed"]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Triggers {
    /// Orgs that the destination does not have.
    pub added: bool,
    /// Orgs whose compared columns differ.
    pub changed: bool,
    /// Orgs that are gone from the extract.
    pub removed: bool,
}

/// Send what is new, or take it as known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// Everything new is sent.
    Send,
    /// It becomes the baseline and nothing is sent.
    Adopt,
}

/// A string of the job file with `${ENV}` and `${file:PATH}` in it. Printing it shows the names, never the values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Templated {
    /// As written, safe to show.
    pub written: String,
    /// The pieces in order.
    pub parts: Vec<Part>,
    /// What it is, which decides how values are put in.
    pub form: Form,
}

/// What a [`Templated`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text: values stand in it as they are.
    Text,
    /// An address: values in its path and query and those that are a user name or a password are percent-encoded, so that
    /// a `/` or `?` in an API key is part of the key. Those that are its origin, or all of it, are taken as they are.
    Address,
}

/// A piece of a [`Templated`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text as written.
    Literal(String),
    /// `${NAME}`: an environment variable.
    Env(String),
    /// `${file:PATH}`: a file's content without its last line break; absolute, or relative to the home folder.
    File(PathBuf),
}

/// `[payload]`
#[derive(Debug, Clone)]
pub enum Payload {
    /// A JSON object of columns.
    Flat {
        /// Dot path in the body ← column, in order. Empty: every column but the ignored ones under its own name.
        fields: Vec<(String, String)>,
    },
    /// A Segment / RudderStack group event.
    Group {
        /// Dot path in the event ← column, in order. Empty: `groupId` ← key, `traits.NAME` ← each other column.
        fields: Vec<(String, String)>,
    },
    /// A Liquid template.
    Liquid {
        /// The template text.
        template: String,
    },
    /// A Liquid template of the body of several rows: `rows` in place of `row`.
    Rows {
        /// The template text.
        template: String,
    },
    /// Nothing: the request has no body.
    Empty,
}

impl Job {
    /// What is said of an `added`, `changed` or `removed` row.
    pub fn payload_for(&self, operation: &str) -> &Payload {
        self.payload_of.get(operation).as_ref().unwrap_or(&self.payload)
    }

    /// Every payload that a request of this job may carry.
    pub fn payloads(&self) -> impl Iterator<Item = &Payload> {
        std::iter::once(&self.payload).chain(self.payload_of.iter().filter_map(|(_, own)| own.as_ref()))
    }
}

/// `[guard]`: a change set beyond these is held. A share counts only together with its absolute floor.
#[derive(Debug, Clone, PartialEq)]
pub struct Guard {
    /// Fewer rows than this hold the run. At least 1: an empty extract is never taken for the truth unasked.
    pub min_rows: u64,
    /// Changed orgs, as a share of the snapshot.
    pub max_changed: Threshold,
    /// Removed orgs, as a share of the snapshot (counted whether or not removals are sent).
    pub max_removed: Threshold,
    /// Rejected rows, as a share of the extract.
    pub max_rejected: Threshold,
    /// So long a held run can be approved.
    pub hold_expires: Duration,
}

/// Exceeded when `count > floor` and `count > share × whole`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// 0.0–1.0
    pub share: f64,
    /// Counts up to this never hold.
    pub floor: u64,
}

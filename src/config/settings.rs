//! `nightmark.toml` over the embedded defaults.

use super::Home;
use super::admin::{AdminSettings, RawAdmin};
use super::alerts::{self, AlertsSettings, RawAlerts};
use super::fleet::{self, FleetSettings, RawFleet};
use super::receiver::{RawReceiver, ReceiverSettings};
use super::snapshots::{self, RawSnapshots, SnapshotsSettings};
use super::store::{self, RawStore, StoreSettings};
use super::telemetry::{RawTelemetry, TelemetrySettings};
use crate::job::document::Document;
use crate::job::problem::{Fault, Invalid, Problem};
use crate::job::schema::schema_of;
use crate::job::structure::Required;
use crate::job::units;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, io};

/// Every setting with its default and its comment.
pub const DEFAULT: &str = include_str!("default.toml");

/// The daemon's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The upsert endpoint.
    pub receiver: ReceiverSettings,
    /// Health and metrics.
    pub admin: AdminSettings,
    /// Logs.
    pub log: LogSettings,
    /// Receipts.
    pub delivery: DeliverySettings,
    /// Past runs.
    pub runs: RunsSettings,
    /// What received orgs were.
    pub retention: RetentionSettings,
    /// Where the state is.
    pub store: StoreSettings,
    /// Where snapshots are shared.
    pub snapshots: SnapshotsSettings,
    /// Who takes turns with this daemon.
    pub fleet: FleetSettings,
    /// Where traces go.
    pub telemetry: TelemetrySettings,
    /// Who is told when something is wrong.
    pub alerts: AlertsSettings,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// A level or a filter of `tracing`.
    pub level: String,
    /// For whom.
    pub format: LogFormat,
}

/// `[log] format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// `[delivery]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverySettings {
    /// Receipts in a batch, at least 1.
    pub receipt_rows: usize,
    /// The longest that a receipt waits.
    pub receipt_interval: Duration,
}

/// `[runs]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunsSettings {
    /// Days after which a run is forgotten.
    #[schemars(range(min = 1, max = 36500))]
    pub keep_days: u32,
    /// How many of a job's newest runs keep the rows that did not get through.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub keep_rows_of: u32,
    /// How many runs that schedules begin are on together at most.
    #[schemars(range(min = 1, max = 64))]
    pub at_once: usize,
}

/// `[retention]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionSettings {
    /// Days after which a change of a received org is forgotten; 0: never.
    #[schemars(range(min = 0, max = 36500))]
    pub history_days: u32,
}

/// Why the settings could not be had.
#[derive(Debug)]
pub enum SettingsError {
    /// The file has mistakes.
    Invalid(Invalid),
    /// The file is there and cannot be read.
    Unreadable(PathBuf, io::Error),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingsError::Invalid(invalid) => invalid.fmt(f),
            SettingsError::Unreadable(path, error) => write!(f, "{} cannot be read: {error}", path.display()),
        }
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// Reads `nightmark.toml` of the home folder, if it is there.
    ///
    /// # Errors
    /// A file that cannot be read, or every problem that it has.
    pub fn load(home: &Home) -> Result<Self, SettingsError> {
        let path = home.settings_file();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(SettingsError::Unreadable(path, error)),
        };
        let file = path.strip_prefix(home.dir()).unwrap_or(&path);
        Settings::parse(&text, file)
            .map_err(|problems| SettingsError::Invalid(Invalid { file: file.to_owned(), problems }))
    }

    /// The defaults with what `text` overrides. `file` is how the file is shown.
    ///
    /// # Errors
    /// Every problem of the text.
    pub fn parse(text: &str, file: &Path) -> Result<Self, Vec<Problem>> {
        let schema = schema_of::<Raw>();
        let mut doc = Document::read(file, text, &schema, Required::Waived)?;
        let defaults = Document::read(Path::new("default.toml"), DEFAULT, &schema, Required::Enforced)?;
        let mut merged = defaults.value().clone();
        overlay(&mut merged, doc.value());
        let settings = match serde_json::from_value(merged) {
            Ok(raw) => check(&mut doc, &raw),
            Err(error) => {
                doc.report("", Fault::new(format!("cannot be read: {error}")));
                None
            }
        };
        let problems = doc.into_problems();
        settings.filter(|_| problems.is_empty()).ok_or(problems)
    }
}

fn check(doc: &mut Document<'_>, raw: &Raw) -> Option<Settings> {
    let receiver = raw.receiver.check(doc);
    let admin = raw.admin.check(doc);
    let interval = doc.accept("delivery.receipt_interval", units::duration(&raw.delivery.receipt_interval));
    let store = store::check(doc, &raw.store);
    let snapshots = snapshots::check(doc, &raw.snapshots);
    let fleet = fleet::check(doc, &raw.fleet, store.as_ref(), snapshots.as_ref());
    let telemetry = raw.telemetry.check(doc);
    let alerts = alerts::check(doc, &raw.alerts);
    Some(Settings {
        receiver: receiver?,
        admin: admin?,
        log: LogSettings { level: raw.log.level.clone(), format: raw.log.format },
        delivery: DeliverySettings { receipt_rows: raw.delivery.receipt_rows, receipt_interval: interval? },
        runs: raw.runs,
        retention: raw.retention,
        store: store?,
        snapshots: snapshots?,
        fleet: fleet?,
        telemetry: telemetry?,
        alerts: alerts?,
    })
}

/// Both are tables of the same schema.
fn overlay(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                overlay(under.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}

/// The file as written. The defaults are those of default.toml alone.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Raw {
    receiver: RawReceiver,
    admin: RawAdmin,
    log: RawLog,
    delivery: RawDelivery,
    runs: RunsSettings,
    retention: RetentionSettings,
    store: RawStore,
    snapshots: RawSnapshots,
    fleet: RawFleet,
    telemetry: RawTelemetry,
    alerts: RawAlerts,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawLog {
    #[schemars(length(min = 1))]
    level: String,
    format: LogFormat,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawDelivery {
    #[schemars(range(min = 1, max = 10000))]
    receipt_rows: usize,
    receipt_interval: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TlsSettings;
    use std::num::NonZeroU32;

    fn problems(text: &str) -> Vec<String> {
        let problems = Settings::parse(text, Path::new("nightmark.toml")).err().unwrap_or_default();
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_default_file_has_every_setting() {
        let settings = Settings::parse("", Path::new("nightmark.toml")).unwrap();
        assert_eq!(settings.admin.address.to_string(), "127.0.0.1:8081");
        assert_eq!(settings.log, LogSettings { level: "warn".into(), format: LogFormat::Text });
        let receiver = ReceiverSettings {
            address: "127.0.0.1:8080".parse().unwrap(),
            trusted_proxies: Vec::new(),
            connections: 1024,
            connections_per_address: 64,
            idle: Duration::from_secs(75),
            rate: NonZeroU32::new(100),
            bad_keys_per_minute: NonZeroU32::new(10),
            queue: 4096,
            body_memory: 256 * 1024 * 1024,
            tls: None,
        };
        assert_eq!((settings.receiver, settings.admin.token), (receiver, None));
        let delivery = DeliverySettings { receipt_rows: 256, receipt_interval: Duration::from_millis(100) };
        assert_eq!(settings.delivery, delivery);
        assert_eq!(settings.runs, RunsSettings { keep_days: 90, keep_rows_of: 30, at_once: 2 });
        let lines: Vec<&str> = DEFAULT.lines().collect();
        for (above, line) in lines.iter().zip(&lines[1..]) {
            assert!(!line.contains(" = ") || line.starts_with('#') || above.starts_with('#'), "no comment: {line}");
        }
    }

    #[test]
    fn a_file_overrides_what_it_names() {
        let text = "[log]\nformat = \"json\"\n[receiver]\naddress = \"[::1]:0\"\n";
        let settings = Settings::parse(text, Path::new("nightmark.toml")).unwrap();
        assert_eq!(settings.log, LogSettings { level: "warn".into(), format: LogFormat::Json });
        assert_eq!(settings.receiver.address.to_string(), "[::1]:0");
        assert_eq!(settings.admin.address.to_string(), "127.0.0.1:8081");
    }

    #[test]
    fn all_problems_are_reported_with_their_place() {
        let text = "[receiver]\nadress = \"x\"\n[admin]\naddress = \"localhost\"\n[log]\nformat = \"jsn\"\n\
                    [delivery]\nreceipt_rows = 0\nreceipt_interval = \"soon\"\n\
                    [runs]\nkeep_days = 0\n[store]\nurl = \"postgres://u:secret@h/d\"\nschema = \"A\"\n";
        insta::assert_snapshot!(problems(text).join("\n"), @r#"
        nightmark.toml:2:1: receiver.adress: unknown field (did you mean `address`?)
        nightmark.toml:4:11: admin.address: `localhost` is not an address
            hint: IP and port, such as `127.0.0.1:8080` or `[::]:8080`
        nightmark.toml:6:10: log.format: unknown value `jsn` (did you mean `json`?)
            hint: one of `text`, `json`
        nightmark.toml:8:16: delivery.receipt_rows: must be between 1 and 10000, found 0
        nightmark.toml:9:20: delivery.receipt_interval: `soon` is not a duration
            hint: a number and ms, s, m or h: `500ms`, `30s`, `5m`
        nightmark.toml:11:13: runs.keep_days: must be between 1 and 36500, found 0
        nightmark.toml:13:7: store.url: a password stands in this file
            hint: write `${NAME}` for an environment variable, or `${file:PATH}`, or leave it to PGPASSWORD or pgpass
        nightmark.toml:14:10: store.schema: `A` is not the name of a schema
            hint: 1–63 lower-case letters, digits and `_`, with a letter first, and not `pg_…`
        "#);
    }

    #[test]
    fn the_receiver_is_set() {
        let text = "[receiver]\ntrusted_proxies = [\"10.1.2.3/8\", \"::1\", \"127.0.0.1\"]\nrate = 0\nidle = \"5s\"\nbody_memory_mb = 8\n\
                    [receiver.tls]\ncertificate = \"tls/cert.pem\"\nkey = \"/run/key.pem\"\n\
                    [admin]\ntoken = \"${ADMIN_TOKEN}\"\n";
        let Settings { receiver, admin, .. } = Settings::parse(text, Path::new("nightmark.toml")).unwrap();
        let proxies: Vec<String> = receiver.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(proxies, ["10.0.0.0/8", "::1/128", "127.0.0.1/32"]);
        assert_eq!((receiver.rate, receiver.idle, receiver.body_memory), (None, Duration::from_secs(5), 8 << 20));
        let tls = TlsSettings { certificate: "tls/cert.pem".into(), key: "/run/key.pem".into() };
        assert_eq!(receiver.tls, Some(tls));
        assert_eq!(admin.token.unwrap().written, "${ADMIN_TOKEN}");
    }

    #[test]
    fn what_is_wrong_with_the_receiver_is_said() {
        let text = "[receiver]\ntrusted_proxies = [\"10.0.0.0/8\", \"proxy.internal\", \"10.0.0.0/33\"]\nconnections = 0\nidle = \"0s\"\n\
                    rate = -1\nqueue = 0\nbody_memory_mb = 4\n\
                    [receiver.tls]\ncertificate = \"cert.pem\"\n\
                    [admin]\ntoken = \"made-up-token\"\n";
        let found = problems(text).join("\n");
        assert!(!found.contains("made-up-token"), "{found}");
        insta::assert_snapshot!(found, @r#"
        nightmark.toml:2:34: receiver.trusted_proxies[1]: `proxy.internal` is neither an address nor a network
            hint: such as `10.0.0.0/8`, `192.168.1.4` or `fd00::/8`
        nightmark.toml:2:52: receiver.trusted_proxies[2]: `10.0.0.0/33` is neither an address nor a network
            hint: such as `10.0.0.0/8`, `192.168.1.4` or `fd00::/8`
        nightmark.toml:3:15: receiver.connections: must be between 1 and 100000, found 0
        nightmark.toml:4:8: receiver.idle: `0s` is out of range
            hint: more than 0 and at most `24h`
        nightmark.toml:5:8: receiver.rate: must be between 0 and 1000000, found -1
        nightmark.toml:6:9: receiver.queue: must be between 1 and 1000000, found 0
        nightmark.toml:7:18: receiver.body_memory_mb: must be between 8 and 1000000, found 4
        nightmark.toml:8:1: receiver.tls: `key` is missing
            hint: TLS needs both `certificate` and `key`; without both: plain HTTP
        nightmark.toml:11:9: admin.token: a token must not stand in the settings
            hint: write `${NAME}` (environment) or `${file:PATH}`; for one, `openssl rand -hex 32`
        "#);
    }

    #[test]
    fn a_fleet_needs_what_machines_share() {
        let shared = "[store]\nurl = \"postgres://u:${P}@h/d\"\nlease = \"10s\"\n[snapshots]\nurl = \"s3://b/f\"\n[fleet]\nname = \"nightly\"\n";
        let settings = Settings::parse(shared, Path::new("nightmark.toml")).unwrap();
        assert_eq!((settings.fleet.name.as_deref(), settings.store.lease), (Some("nightly"), Duration::from_secs(10)));
        insta::assert_snapshot!(problems("[store]\nlease = \"1s\"\n[fleet]\nname = \"a b\"\n").join("\n"), @r"
        nightmark.toml:2:9: store.lease: `1s` is out of range
            hint: between `2s` and `10m`; `30s` is usual
        nightmark.toml:4:8: fleet.name: `a b` is not a name
            hint: letters, digits, `-`, `_` and `.`: `nightly`
        nightmark.toml:4:8: fleet.name: a fleet needs snapshots that machines share
            hint: set [snapshots] url to a folder of an object store (docs/SNAPSHOT.md)
        ");
        insta::assert_snapshot!(problems("[fleet]\nname = \"nightly\"\n").join("\n"), @r"
        nightmark.toml:2:8: fleet.name: a fleet needs a state store that machines share, and this one is a file
            hint: set [store] url to a Postgres database (docs/STORE.md)
        nightmark.toml:2:8: fleet.name: a fleet needs snapshots that machines share
            hint: set [snapshots] url to a folder of an object store (docs/SNAPSHOT.md)
        ");
    }

    #[test]
    fn no_file_is_the_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path()).unwrap();
        assert_eq!(Settings::load(&home).unwrap().delivery.receipt_rows, 256);
        std::fs::write(home.settings_file(), "[logs]\n").unwrap();
        let message = Settings::load(&home).unwrap_err().to_string();
        assert!(message.starts_with("nightmark.toml:1:2: logs: unknown field (did you mean `log`?)"), "{message}");
        assert!(message.ends_with("1 problem in nightmark.toml"), "{message}");
    }
}

//! The demo's extracts: two nights of the same 2,000 orgs, as a warehouse would export them, in Parquet and in CSV.

use anyhow::Context as _;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::DateTime;
use parquet::arrow::ArrowWriter;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Orgs on night one.
pub const ORGS: usize = 2000;
/// Orgs of which a compared column changes on night two: 1 %.
pub const CHANGED: usize = 20;
/// Orgs that are new on night two.
pub const ADDED: usize = 7;

/// One org of the extract.
#[derive(Debug, Clone)]
pub struct Org {
    id: String,
    name: String,
    plan: &'static str,
    plan_name: &'static str,
    users: i64,
    mrr: i64,
    trial: Option<&'static str>,
    /// Microseconds since the epoch; volatile.
    last_active: i64,
}

const PLANS: [(&str, &str, i64); 3] = [("free", "Free", 0), ("pro", "Pro", 990), ("enterprise", "Enterprise", 2490)];
const NAMES: [&str; 8] =
    ["Acme", "Globex", "Müller & Söhne", "Initech", "\"Quoted\" Labs", "Umbrella, Inc.", "Hooli", "東京データ"];
const NIGHT_ONE: i64 = 1_768_440_000_000_000;
const DAY: i64 = 86_400_000_000;

/// The orgs of the first night. Made by rule, not by chance, so that every demo shows the same.
pub fn night_one() -> Vec<Org> {
    (0..ORGS).map(org).collect()
}

/// The second night: every org was active since, a few changed plan or size, a few are new.
pub fn night_two(first: &[Org]) -> Vec<Org> {
    let mut orgs = first.to_vec();
    orgs.extend((ORGS..ORGS + ADDED).map(org));
    for (index, org) in orgs.iter_mut().enumerate() {
        org.last_active += DAY - (index as i64 * 7_919_000_000) % DAY;
    }
    for (turn, index) in (0..ORGS).step_by(ORGS / CHANGED).enumerate() {
        let org = &mut orgs[index + 41];
        match turn % 3 {
            0 => org.users += 3,
            1 => org.trial = if org.trial == Some("active") { Some("converted") } else { Some("active") },
            _ => set_plan(org, if org.plan == "enterprise" { 1 } else { 2 }),
        }
    }
    orgs
}

fn org(index: usize) -> Org {
    let mut org = Org {
        id: format!("ws_{index:05}"),
        name: format!("{} {index}", NAMES[index % NAMES.len()]),
        plan: "",
        plan_name: "",
        users: 1 + (index * index) as i64 % 240,
        mrr: 0,
        trial: [Some("active"), Some("expired"), Some("converted"), None][index % 4],
        last_active: NIGHT_ONE - (index as i64 * 104_729_000) % DAY,
    };
    set_plan(&mut org, index % PLANS.len());
    org
}

fn set_plan(org: &mut Org, plan: usize) {
    let (id, name, per_user) = PLANS[plan];
    org.plan = id;
    org.plan_name = name;
    org.mrr = org.users * per_user;
}

/// Writes one night as Parquet.
///
/// # Errors
/// A folder that cannot be written.
pub fn write_parquet(path: &Path, orgs: &[Org]) -> anyhow::Result<()> {
    let text = |of: fn(&Org) -> Option<&str>| -> ArrayRef { Arc::new(orgs.iter().map(of).collect::<StringArray>()) };
    let int = |of: fn(&Org) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(orgs.iter().map(of))) };
    let last_active = TimestampMicrosecondArray::from_iter_values(orgs.iter().map(|o| o.last_active));
    let batch = RecordBatch::try_from_iter([
        ("workspace_id", text(|o| Some(&o.id))),
        ("workspace_name", text(|o| Some(&o.name))),
        ("plan_id", text(|o| Some(o.plan))),
        ("plan_name", text(|o| Some(o.plan_name))),
        ("user_count", int(|o| o.users)),
        ("mrr", int(|o| o.mrr)),
        ("trial_status", text(|o| o.trial)),
        ("last_active_at", Arc::new(last_active.with_timezone("UTC"))),
    ])?;
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

/// Writes one night as CSV.
///
/// # Errors
/// A folder that cannot be written.
pub fn write_csv(path: &Path, orgs: &[Org]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_path(path).with_context(|| format!("cannot write {}", path.display()))?;
    writer.write_record([
        "workspace_id",
        "workspace_name",
        "plan_id",
        "plan_name",
        "user_count",
        "mrr",
        "trial_status",
        "last_active_at",
    ])?;
    for org in orgs {
        let last_active = DateTime::from_timestamp_micros(org.last_active).unwrap_or_default();
        writer.write_record([
            org.id.as_str(),
            &org.name,
            org.plan,
            org.plan_name,
            &org.users.to_string(),
            &org.mrr.to_string(),
            org.trial.unwrap_or(""),
            &last_active.to_rfc3339(),
        ])?;
    }
    writer.flush()?;
    Ok(())
}

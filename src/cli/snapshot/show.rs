//! `nightmark snapshot show JOB [RUN]`

use super::super::report::{grouped, plural};
use super::super::table::{shown, table};
use super::super::{Context, Exit, columns};
use super::{Of, size};
use crate::diff::{ColumnStats, Operation};
use crate::row::{Column, Form, Schema};
use crate::snapshot::{ChangeSet, Manifest};
use serde_json::{Value, json};

/// A change set, counted.
struct Counted {
    operations: [(Operation, u64); 3],
    compared: Vec<String>,
    stats: ColumnStats,
}

pub(super) fn run(context: &Context, of: &Of, run: Option<&str>) -> anyhow::Result<Exit> {
    let manifest = of.manifest(run)?;
    let counted = count(of, &manifest)?;
    match context.json {
        true => print_json(&manifest, &counted),
        false => print_text(of, &manifest, &counted),
    }
    Ok(Exit::Done)
}

fn count(of: &Of, manifest: &Manifest) -> anyhow::Result<Counted> {
    let changes = ChangeSet::published(&of.dir, manifest)?;
    let compared: Vec<String> = changes.shape().compared().map(str::to_owned).collect();
    let mut stats = ColumnStats::new(compared.len());
    let mut operations = [Operation::Added, Operation::Changed, Operation::Removed].map(|operation| (operation, 0));
    for batch in changes.batches()? {
        let batch = batch?;
        for at in 0..batch.len() {
            let operation = batch.rows[at].operation;
            operations.iter_mut().filter(|(of, _)| *of == operation).for_each(|(_, count)| *count += 1);
            if operation == Operation::Changed {
                let names = batch.changed_columns(at);
                let differing: Vec<usize> =
                    (0..compared.len()).filter(|index| names.contains(&compared[*index].as_str())).collect();
                stats.add(&differing);
            }
        }
    }
    Ok(Counted { operations, compared, stats })
}

impl Counted {
    fn names(&self) -> Vec<&str> {
        self.compared.iter().map(String::as_str).collect()
    }
}

/// How a column is compared, as the job file says it; nothing for a plain column.
pub(in crate::cli) fn form_text(form: &Form) -> String {
    let Ok(Value::Object(options)) = serde_json::to_value(form) else { return String::new() };
    let text = |value: &Value| match value {
        Value::Object(bucket) => bucket.values().map(bare).collect::<Vec<_>>().join(", "),
        other => bare(other),
    };
    options.iter().map(|(option, value)| format!("{option} = {}", text(value))).collect::<Vec<_>>().join(", ")
}

/// Exact numbers are stored as text.
fn bare(value: &Value) -> String {
    value.to_string().replace('"', "")
}

fn print_text(of: &Of, manifest: &Manifest, counted: &Counted) {
    crate::say!(
        "{}, run {}, published {}",
        of.job,
        manifest.run,
        manifest.published_at.format("%Y-%m-%d %H:%M:%S UTC")
    );
    let mut files = table(&["file", "rows", "size"]);
    for file in manifest.files() {
        files.add_row([&file.path, &grouped(file.rows), &size(file.bytes)]);
    }
    crate::say!("\n{}", files.trim_fmt());
    let mut columns = table(&["column", "kind", "role", "compared by"]);
    for Column { name, kind } in &of_all(manifest).columns {
        let compared = manifest.compared.iter().find(|compared| compared.name == *name);
        let form = compared.map(|compared| form_text(&compared.form)).unwrap_or_default();
        columns.add_row([&shown(name), &kind.to_string(), role(manifest, name), &form]);
    }
    crate::say!("\n{}", columns.trim_fmt());
    for set in &manifest.unknown {
        crate::say!("not known of some orgs: {}", shown(&set.join(", ")));
    }
    let operations =
        counted.operations.iter().map(|(operation, count)| format!("{} {}", grouped(*count), operation.as_str()));
    let changes = plural(manifest.changes.rows, "change");
    crate::say!("\n{changes}: {}", operations.collect::<Vec<_>>().join(", "));
    columns::lines(&counted.names(), &counted.stats).iter().for_each(|line| crate::say!("{}", shown(line)));
}

/// The pinned columns, and the compared ones that never had a value, whose kind is not pinned yet.
fn of_all(manifest: &Manifest) -> Schema {
    let unpinned = manifest.compared.iter().filter(|c| manifest.schema.index_of(&c.name).is_none());
    let unpinned = unpinned.map(|c| Column { name: c.name.clone(), kind: c.kind });
    Schema { columns: manifest.schema.columns.iter().cloned().chain(unpinned).collect() }
}

fn role(manifest: &Manifest, name: &str) -> &'static str {
    if manifest.key.iter().any(|key| key == name) {
        "key"
    } else if manifest.compared.iter().any(|compared| compared.name == name) {
        "compared"
    } else {
        "not compared"
    }
}

fn print_json(manifest: &Manifest, counted: &Counted) {
    let operations = counted.operations.iter().map(|(of, count)| (of.as_str().to_owned(), json!(count)));
    let compared = manifest.compared.iter();
    let compared = compared.map(|c| json!({ "name": c.name, "kind": c.kind.to_string(), "form": c.form }));
    let pinned = |c: &Column| json!({ "name": c.name, "kind": c.kind.to_string(), "role": role(manifest, &c.name) });
    crate::say!(
        "{}",
        json!({
            "job": manifest.job,
            "run": manifest.run,
            "published_at": manifest.published_at,
            "orgs": manifest.sidecar.rows,
            "files": manifest.files().collect::<Vec<_>>(),
            "key": manifest.key,
            "compared": compared.collect::<Value>(),
            "pinned": manifest.schema.columns.iter().map(pinned).collect::<Value>(),
            "unknown": manifest.unknown,
            "changes": operations.collect::<serde_json::Map<_, _>>(),
            "columns": columns::object(&counted.names(), &counted.stats),
        })
    );
}

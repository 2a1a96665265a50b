//! `nightmark snapshot diff JOB A B`

use super::super::preview::shown_value;
use super::super::report::{clipped, grouped};
use super::super::table::{shown, table};
use super::super::{Context, Exit, columns};
use super::{Of, Opened};
use crate::diff::{ColumnStats, Operation};
use crate::row::{RowRef, key_json, key_text};
use crate::snapshot::{Between, OrgDifference, SnapshotError};
use serde_json::{Map, Value, json};

/// Arguments of `nightmark snapshot diff`.
#[derive(Debug, clap::Args)]
pub(super) struct DiffArgs {
    /// The job's name, or the path of its file
    job: String,
    /// The earlier run, as `snapshot list` shows it
    a: String,
    /// The later run [default: the current one]
    b: Option<String>,
    /// Show at most so many orgs [default: 20 as text, all as JSON]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// What was found.
struct Found {
    compared: Vec<String>,
    operations: [(Operation, u64); 3],
    stats: ColumnStats,
    /// The first differences: as rows of a table, or as JSON.
    listed: Vec<Listed>,
    notes: Vec<String>,
}

enum Listed {
    Rows(Vec<[String; 5]>),
    Json(Value),
}

pub(super) async fn run(context: &Context, args: DiffArgs) -> anyhow::Result<Exit> {
    let of = Of::job(context, &args.job).await?;
    let earlier = of.open(context, Some(&args.a)).await?;
    let later = of.open(context, args.b.as_deref()).await?;
    let (json, limit) = (context.json, args.limit.unwrap_or(if context.json { usize::MAX } else { 20 }));
    let runs = (earlier.snapshot.manifest().run.clone(), later.snapshot.manifest().run.clone());
    let found = tokio::task::spawn_blocking(move || find(&earlier, &later, limit, json)).await??;
    match context.json {
        true => print_json(&of, &runs, found),
        false => print_text(&of, &runs, found),
    }
    Ok(Exit::Done)
}

fn find(earlier: &Opened, later: &Opened, limit: usize, json: bool) -> Result<Found, SnapshotError> {
    let between = Between::new(&earlier.snapshot, &later.snapshot)?;
    let compared: Vec<String> = between.compared().iter().map(|c| c.name.clone()).collect();
    let mut found = Found {
        operations: [Operation::Added, Operation::Changed, Operation::Removed].map(|operation| (operation, 0)),
        stats: ColumnStats::new(compared.len()),
        listed: Vec::new(),
        notes: [&earlier.note, &later.note].into_iter().flatten().cloned().collect(),
        compared,
    };
    found.notes.extend(only_in(earlier, later));
    found.notes.extend(only_in(later, earlier));
    let key: Vec<usize> = (0..between.key()).collect();
    between.tell(&mut |difference| {
        let operation = difference.operation;
        found.operations.iter_mut().filter(|(of, _)| *of == operation).for_each(|(_, count)| *count += 1);
        if operation == Operation::Changed {
            found.stats.add(&difference.differing);
        }
        if found.listed.len() < limit {
            found.listed.push(match json {
                true => Listed::Json(difference_json(&difference, &key, &found.compared)),
                false => Listed::Rows(rows(&difference, &key, &found.compared)),
            });
        }
    })?;
    Ok(found)
}

/// Compared columns that the other run did not compare, as a note.
fn only_in(this: &Opened, other: &Opened) -> Option<String> {
    let (this, other) = (this.snapshot.manifest(), other.snapshot.manifest());
    let only = this.compared.iter().filter(|c| !other.compared.iter().any(|o| o.name == c.name));
    let names: Vec<&str> = only.map(|c| c.name.as_str()).collect();
    let list = names.join(", ");
    (!names.is_empty()).then(|| format!("compared by run {} only, and left out here: {list}", this.run))
}

/// The row that has the key, whatever the operation.
fn keyed<'a>(difference: &OrgDifference<'a>) -> RowRef<'a> {
    if difference.operation == Operation::Removed { difference.before } else { difference.after }
}

fn rows(difference: &OrgDifference<'_>, key: &[usize], compared: &[String]) -> Vec<[String; 5]> {
    let text = clipped(&key_text(keyed(difference), key));
    let operation = difference.operation.as_str().to_owned();
    if difference.differing.is_empty() {
        return vec![[text, operation, String::new(), String::new(), String::new()]];
    }
    let row = |(index, column): (usize, &usize)| {
        let name = &compared[*column];
        let (before, after) = (shown_value(difference.before, name), shown_value(difference.after, name));
        let first = index == 0;
        let of_org = |text: &String| if first { text.clone() } else { String::new() };
        [of_org(&text), of_org(&operation), shown(name), before, after]
    };
    difference.differing.iter().enumerate().map(row).collect()
}

fn difference_json(difference: &OrgDifference<'_>, key: &[usize], compared: &[String]) -> Value {
    let object = |row: RowRef<'_>| -> Value {
        let values = compared.iter().enumerate().map(|(i, name)| (name.clone(), row.value(key.len() + i).to_json()));
        Value::Object(values.collect::<Map<_, _>>())
    };
    let operation = difference.operation;
    json!({
        "key": key_json(keyed(difference), key),
        "op": operation.as_str(),
        "changed": difference.differing.iter().map(|column| &compared[*column]).collect::<Vec<_>>(),
        "before": if operation == Operation::Added { Value::Null } else { object(difference.before) },
        "after": if operation == Operation::Removed { Value::Null } else { object(difference.after) },
    })
}

fn print_text(of: &Of, (earlier, later): &(String, String), found: Found) {
    let counts =
        found.operations.iter().map(|(operation, count)| format!("{} {}", grouped(*count), operation.as_str()));
    crate::say!("{}, from run {earlier} to run {later}: {}", of.job, counts.collect::<Vec<_>>().join(", "));
    let names: Vec<&str> = found.compared.iter().map(String::as_str).collect();
    columns::lines(&names, &found.stats).iter().for_each(|line| crate::say!("{}", shown(line)));
    found.notes.iter().for_each(|note| crate::say!("note: {}", shown(note)));
    let mut out = table(&["key", "operation", "column", "before", "after"]);
    let listed = found.listed.len() as u64;
    for rows in
        found.listed.into_iter().filter_map(|listed| if let Listed::Rows(rows) = listed { Some(rows) } else { None })
    {
        out.add_rows(rows);
    }
    if listed > 0 {
        crate::say!("\n{}", out.trim_fmt());
    }
    let all: u64 = found.operations.iter().map(|(_, count)| count).sum();
    if all > listed {
        crate::say!("… and {} more (--limit)", grouped(all - listed));
    }
}

fn print_json(of: &Of, (earlier, later): &(String, String), found: Found) {
    let names: Vec<&str> = found.compared.iter().map(String::as_str).collect();
    let mut object = Map::new();
    object.insert("job".into(), json!(of.job));
    object.insert("a".into(), json!(earlier));
    object.insert("b".into(), json!(later));
    object.extend(found.operations.iter().map(|(operation, count)| (operation.as_str().to_owned(), json!(count))));
    object.insert("columns".into(), columns::object(&names, &found.stats));
    object.insert("notes".into(), json!(found.notes));
    let listed =
        found.listed.into_iter().filter_map(|listed| if let Listed::Json(json) = listed { Some(json) } else { None });
    object.insert("orgs".into(), listed.collect());
    crate::say!("{}", Value::Object(object));
}

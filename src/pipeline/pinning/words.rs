//! What accepting a schema means, in words.

use crate::job::spec::Baseline;
use crate::pipeline::PipelineError;
use crate::pipeline::columns::Columns;
use crate::row::{Column, Kind, Schema};
use crate::snapshot::Manifest;
use crate::source::Stream;

/// A key is what orgs are matched by; under another kind no org would be found again.
pub(super) fn refused(columns: &Columns<'_>, manifest: &Manifest, schema: &Schema) -> Vec<String> {
    // Every key that is known must have its place in the new kind.
    let widens = |from, to| matches!((from, to), (Kind::Int, Kind::Decimal { .. }));
    let kind_in = |schema: &Schema, name: &str| schema.index_of(name).map(|index| schema.columns[index].kind);
    let problem = |name: &String| match (kind_in(&manifest.schema, name), kind_in(schema, name)) {
        (Some(pinned), None) => Some(format!("key column `{name}` ({pinned}) is gone")),
        (Some(pinned), Some(now)) if pinned != now && !widens(pinned, now) => {
            Some(format!("key column `{name}` was {pinned} and is {now} now"))
        }
        _ => None,
    };
    let remedy = |problem: String| {
        format!(
            "{problem}: orgs are matched by it, so this cannot be accepted. Mend the extract or its query; or start anew: \
             move {} away, and with diff.first_run = \"adopt\" the next run sends nothing",
            columns.dir.display()
        )
    };
    manifest.key.iter().filter_map(problem).map(remedy).collect()
}

/// What the next run makes of the accepted schema.
pub(super) fn consequences(
    columns: &Columns<'_>,
    manifest: &Manifest,
    stream: &Stream,
    tonight: &Schema,
    accepted: &Schema,
) -> Result<Vec<String>, PipelineError> {
    let is_new = |name: &str| columns.is_compared(name) && !manifest.compared.iter().any(|c| c.name == name);
    let mut words = Vec::new();
    for column in tonight.columns.iter().filter(|column| is_new(&column.name)) {
        words.push(match columns.job.diff.on_new_column {
            Baseline::Send => format!(
                "`{}` is compared from now on: every org that has a value in it counts as changed (diff.on_new_column = \
                 \"adopt\" takes the values as known)",
                column.name
            ),
            Baseline::Adopt => format!("the values of `{}` are taken as known (diff.on_new_column)", column.name),
        });
    }
    words.extend(manifest.compared.iter().filter_map(|column| {
        let now = accepted.index_of(&column.name).map(|index| accepted.columns[index].kind);
        let is_there = stream.schema.field_with_name(&column.name).is_ok();
        let name = Some(&column.name).filter(|name| columns.is_compared(name))?;
        match now {
            None if !is_there => Some(format!("`{name}` is not compared any more; nothing is sent for that")),
            Some(now) if now != column.kind => Some(format!(
                "`{name}` is compared as {now}: what is known is read so too, and a value that is not the same then counts \
                 as changed"
            )),
            _ => None,
        }
    }));
    // What the job file says of columns that are gone must be taken out of it by hand.
    let names = stream.schema.fields().iter().map(|f| Column { name: f.name().clone(), kind: Kind::Text });
    match columns.check(&Schema { columns: names.collect() }, false) {
        Err(PipelineError::Columns(problems)) => words.extend(problems),
        other => other?,
    }
    Ok(words)
}

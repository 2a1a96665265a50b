//! Everything that is wrong between a job and its extract, at once; a run stops at the first.

use super::PipelineError;
use super::bodies::Bodies;
use super::columns::Columns;
use super::extract::role;
use super::planned::PlanInput;
use crate::normalise::{Plan, PlanError};
use crate::row::{Column, Kind, Schema};
use crate::snapshot::Manifest;
use crate::source::{SourceError, Stream};
use std::sync::Arc;

/// Types, drift, columns that are missing, forms that do not fit and payloads that cannot be built. Empty: a run gets past all of it.
pub(super) fn of(input: &PlanInput, manifest: Option<&Manifest>, stream: &Stream) -> Vec<PipelineError> {
    let job = &input.job;
    let columns = Columns { job, manifest, dir: &input.dir };
    let mut found = Vec::new();
    let schema = schema(&columns, stream, &mut found);
    found.extend(columns.check(&schema, stream.partial).err());
    found.extend(Bodies::compile(job, &schema).err());
    found.extend(columns.compared(&columns.before_schema(&schema)).err());
    found
}

/// What is wrong besides with an extract that cannot be read for the types of its columns alone: what the job names and they are not.
pub(super) fn beside(input: &PlanInput, manifest: Option<&Manifest>, error: &SourceError) -> Vec<PipelineError> {
    let named = |name: &String| Column { name: name.clone(), kind: Kind::Text };
    let schema = Schema { columns: error.columns.iter().map(named).collect() };
    if schema.columns.is_empty() {
        return Vec::new();
    }
    let columns = Columns { job: &input.job, manifest, dir: &input.dir };
    // Whether it has all orgs is known once it can be read.
    let mut found: Vec<PipelineError> = columns.check(&schema, false).err().into_iter().collect();
    found.extend(Bodies::compile(&input.job, &schema).err());
    found
}

/// The kinds that the columns have, as far as they have one. A column of a type that cannot be sent counts as text, so that nothing else is
/// said of it.
fn schema(columns: &Columns<'_>, stream: &Stream, found: &mut Vec<PipelineError>) -> Schema {
    let role = |name: &str| role(columns, name);
    let pinned = columns.manifest.map(|manifest| &manifest.schema);
    match Plan::new(&stream.schema, &stream.typing, pinned, &role) {
        Ok(plan) => return plan.schema().clone(),
        // Of types that cannot be sent it names one.
        Err(PlanError::Unsupported { .. }) => {}
        Err(drift) => found.push(drift.into()),
    }
    let mut schema = Schema::default();
    for field in stream.schema.fields() {
        let alone = Arc::new(arrow::datatypes::Schema::new(vec![Arc::clone(field)]));
        let kind = match Plan::new(&alone, &stream.typing, None, &role) {
            Ok(plan) => plan.schema().columns.first().map_or(Kind::Text, |column| column.kind),
            Err(error) => {
                found.push(error.into());
                Kind::Text
            }
        };
        schema.columns.push(Column { name: field.name().clone(), kind });
    }
    schema
}

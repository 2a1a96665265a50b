//! Models: `models/*.yaml`, or the REST API's answer.

use super::bag::Bag;
use super::{ImportError, Notes};
use serde_json::Value;

/// What a job needs of a model.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) name: Option<String>,
    slug: Option<String>,
    /// The columns that identify a row; at least one.
    pub(super) key: Vec<String>,
    /// As it is written.
    pub(super) sql: Option<String>,
    /// What Hightouch calls the warehouse.
    pub(super) source: Option<String>,
}

impl Model {
    /// Whether a sync means this model by `name`. A model that says neither name nor slug may be meant by any.
    pub(super) fn is_called(&self, name: &str) -> bool {
        let known = [&self.slug, &self.name].into_iter().flatten();
        let same = |known: &&String| slug_of(known) == slug_of(name);
        known.clone().next().is_none() || known.into_iter().any(|known| same(&known))
    }
}

/// A name as slugs have it: `Workspaces for TrailSpark` is `workspaces-for-trailspark`.
pub(super) fn slug_of(name: &str) -> String {
    let dashed: String = name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    dashed.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

pub(super) fn read(mut bag: Bag, notes: &mut Notes) -> Result<Model, ImportError> {
    bag.pass_over(&[
        "id",
        "createdat",
        "updatedat",
        "workspaceid",
        "sourceid",
        "folderid",
        "folder",
        "tags",
        "labels",
        "syncs",
        "querytype",
        "description",
        "type",
    ]);
    let key = match bag.take(&["primarykey"]) {
        Some(Value::String(column)) if !column.is_empty() => vec![column],
        Some(Value::Array(columns)) => columns.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    if bag.flag(&["isschema"]) == Some(true) {
        notes.changed("model: isSchema: the model is a parent of others in Customer Studio; here it is the sync's own");
    }
    let model = Model {
        name: bag.text(&["name"]),
        slug: bag.text(&["slug"]),
        source: bag.text(&["source"]),
        sql: sql(&mut bag, notes),
        key,
    };
    bag.tell_rest(notes);
    if model.key.is_empty() {
        return Err(ImportError::NoKey);
    }
    Ok(model)
}

/// The model's SQL: Git Sync's `rawSql`, or `raw.sql` of the REST API.
fn sql(bag: &mut Bag, notes: &mut Notes) -> Option<String> {
    if let Some(sql) = bag.text(&["rawsql", "sql", "query"]) {
        return Some(sql);
    }
    if let Some(mut raw) = bag.bag(&["raw"]) {
        let sql = raw.text(&["sql"]);
        raw.tell_rest(notes);
        return sql;
    }
    let table = bag.text(&["table"]).or_else(|| bag.bag(&["table"]).and_then(|mut table| table.text(&["name"])));
    if let Some(table) = table {
        return Some(format!("SELECT * FROM {table}"));
    }
    if let Some(mut dbt) = bag.bag(&["dbt", "dbtmodel"]) {
        let sql = dbt.text(&["compiledsql", "rawsql"]);
        notes.changed("model: dbt: the SQL of the dbt model as it was when Hightouch compiled it");
        dbt.pass_over(&["database", "schema", "name", "modelid", "dbtuniqueid", "rawsql"]);
        dbt.tell_rest(notes);
        return sql;
    }
    for other in ["visual", "visualquery", "custom", "customquery", "audience", "looker", "sigma"] {
        if bag.take(&[other]).is_some() {
            notes.lost(format!("model: {other}: only SQL can be taken over"));
        }
    }
    None
}

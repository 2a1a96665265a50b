//! `[payload.conforms_to]`: whether a body answers the payload template of the destination's key, judged by the code that a
//! receiver judges it by (`mapping`). One pass over the body, after it is rendered.

use super::{Place, RenderError};
use crate::job::spec::Payload;
use crate::mapping::{Mapping, Misfit, PayloadTemplate, Seen, Unfit};
use crate::row::Schema;
use std::collections::BTreeMap;

/// What the destination's key expects, and which column stands where it looks.
#[derive(Debug)]
pub struct Conformance {
    mapping: Mapping,
    /// The column by path, as far as the payload says so.
    columns: BTreeMap<String, String>,
}

impl Conformance {
    /// `payload`, `schema`, `key` and `ignore` are those that the bodies are compiled with.
    pub fn new(
        template: &PayloadTemplate,
        payload: &Payload,
        schema: &Schema,
        key: &[String],
        ignore: &[String],
    ) -> Self {
        let column = |path: String| column(&path, payload, schema, key, ignore).map(|column| (path, column));
        let columns = template.paths().filter_map(|(_, path)| column(path.to_string())).collect();
        Conformance { mapping: Mapping::new(template.clone()), columns }
    }

    /// What bodies have to conform to.
    pub fn template(&self) -> &PayloadTemplate {
        self.mapping.template()
    }

    /// Which paths lead to something in a body that fits.
    ///
    /// # Errors
    /// What the destination would refuse the body for, with the columns as far as the payload says which they are.
    pub fn check(&self, body: &str) -> Result<Seen, RenderError> {
        self.mapping.check(body.as_bytes()).map_err(|unfit| self.refused(&unfit))?.ok_or_else(|| self.ignored())
    }

    /// It would answer as if all were well.
    fn ignored(&self) -> RenderError {
        let (place, words) = match &self.template().envelope.only_if {
            Some(condition) => {
                (Place::Field(condition.path.to_string()), format!(": it takes only what has {condition}"))
            }
            None => (Place::Payload, String::new()),
        };
        RenderError::new(place, format!("the destination would ignore the body{words}"))
            .hint("mend the payload; `conforms_to.only_if` must say what the payload template of the key says")
    }

    /// As the receiver would say it, with the columns.
    fn refused(&self, unfit: &Unfit) -> RenderError {
        let (place, words) = match unfit {
            Unfit::Body(_) | Unfit::NoObject => (Place::Payload, unfit.to_string()),
            Unfit::Fields(misfits) => {
                let words: Vec<String> = misfits.iter().map(|misfit| self.words(misfit)).collect();
                let first = misfits.first().map(|misfit| Place::Field(misfit.path.clone()));
                (first.unwrap_or(Place::Payload), words.join("; "))
            }
        };
        RenderError::new(place, format!("the destination would refuse the body: {words}"))
            .hint("mend the column or the payload; `conforms_to` must say what the payload template of the key says")
    }

    fn words(&self, misfit: &Misfit) -> String {
        match self.columns.get(&misfit.path) {
            Some(column) => format!("{misfit} (column `{column}`)"),
            None => misfit.to_string(),
        }
    }
}

/// The column whose value a preset puts at `path`. A template is free to put anything there.
fn column(path: &str, payload: &Payload, schema: &Schema, key: &[String], ignore: &[String]) -> Option<String> {
    let fields = match payload {
        Payload::Flat { fields } | Payload::Group { fields } => fields,
        Payload::Liquid { .. } | Payload::Rows { .. } | Payload::Empty => return None,
    };
    if let Some((_, column)) = fields.iter().find(|(field, _)| field == path) {
        return Some(column.clone());
    }
    let by_default = match payload {
        Payload::Flat { .. } => fields.is_empty().then_some(path),
        _ if path == "groupId" => return key.first().cloned(),
        _ if fields.iter().any(|(field, _)| field.starts_with("traits.")) => None,
        _ => path.strip_prefix("traits."),
    };
    by_default.filter(|name| schema.index_of(name).is_some() && !ignore.iter().any(|i| i == name)).map(str::to_owned)
}

//! `preset = "flat"`: a typed JSON object of columns, as Hightouch's JSON editor would send it.

use super::tree::Tree;
use super::{Pieces, Preset};
use crate::row::Schema;
use crate::template::{Place, TemplateError};

/// Compiles `fields` (dot path ← column); without any, every column but `ignore` under its own name.
pub(in crate::template) fn compile(
    fields: &[(String, String)],
    schema: &Schema,
    ignore: &[String],
) -> Result<Preset, Vec<TemplateError>> {
    let mut problems = Vec::new();
    let mut tree = Tree::default();
    for (path, column) in fields {
        let Some(index) = schema.index_of(column) else {
            problems.push(TemplateError::no_column(Place::Field(path.clone()), column, schema));
            continue;
        };
        let segments: Vec<&str> = path.split('.').collect();
        if let Err(problem) = tree.insert(path, &segments, index) {
            problems.push(problem);
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    if fields.is_empty() {
        for (index, column) in schema.columns.iter().enumerate().filter(|(_, c)| !ignore.contains(&c.name)) {
            tree.push(&column.name, index);
        }
    }
    let mut pieces = Pieces::default();
    tree.emit(&mut pieces);
    Ok(Preset::new(pieces.0, None))
}

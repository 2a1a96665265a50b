//! The names of columns, and whether two files have the same ones. Pure.

use crate::source::SourceError;
use polars::prelude::DataFrame;
use std::path::Path;

/// A frame's column names in order.
pub fn names(frame: &DataFrame) -> Vec<String> {
    frame.get_column_names().into_iter().map(|name| name.to_string()).collect()
}

/// An error that names both files and what the columns differ in, unless they have the same in any order.
pub fn same_columns(first: (&Path, &[String]), other: (&Path, &[String])) -> Result<(), SourceError> {
    let lacking = |of: &[String], other: &[String]| -> Vec<String> {
        of.iter().filter(|name| !other.contains(name)).map(|name| format!("`{name}`")).collect()
    };
    let (only_first, only_other) = (lacking(first.1, other.1), lacking(other.1, first.1));
    if only_first.is_empty() && only_other.is_empty() {
        return Ok(());
    }
    let side = |(path, _): (&Path, &[String]), names: &[String]| {
        (!names.is_empty()).then(|| format!("only {} has {}", path.display(), names.join(", ")))
    };
    let sides: Vec<String> = [side(first, &only_first), side(other, &only_other)].into_iter().flatten().collect();
    let (first, other) = (first.0.display(), other.0.display());
    Err(SourceError::new(format!("{first} and {other} have different columns: {}", sides.join("; ")))
        .hint("all files of one extract need the same columns; narrow the path if one of them does not belong to it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_differences_are_named() {
        let names = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let check = |a: &str, b: &str| same_columns((Path::new("a.csv"), &names(a)), (Path::new("b.csv"), &names(b)));
        assert!(check("id,mrr", "mrr,id").is_ok());
        assert_eq!(
            check("id,mrr,seats", "id,MRR").unwrap_err().message,
            "a.csv and b.csv have different columns: only a.csv has `mrr`, `seats`; only b.csv has `MRR`"
        );
        assert_eq!(
            check("id", "id,mrr").unwrap_err().message,
            "a.csv and b.csv have different columns: only b.csv has `mrr`"
        );
    }
}

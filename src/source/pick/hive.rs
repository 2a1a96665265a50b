//! Partition columns in the names of folders: `dt=2026-01-15/part-0.parquet`.

use crate::source::SourceError;

/// How a partition without a value is written.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// A partition column and its value; `None` is NULL.
pub type Partition = (String, Option<String>);

/// The columns of a file's folders, outermost first, with their values. Values are percent-decoded, as Hive, Spark and
/// the others encode them.
pub fn columns(name: &str) -> Vec<Partition> {
    let folders = name.rsplit_once('/').map_or("", |(folders, _)| folders);
    let parts = folders.split('/').filter_map(|folder| folder.split_once('='));
    let named = parts.filter(|(column, _)| !column.is_empty());
    named.map(|(column, value)| (decoded(column), (value != NULL).then(|| decoded(value)))).collect()
}

/// The same of several files, which must all have the same columns. `names`: at least one.
///
/// # Errors
/// No file has such a folder, or two have different ones; a column twice.
pub fn of_all(names: &[String]) -> Result<Vec<Vec<Partition>>, SourceError> {
    const FORM: &str = "source.hive reads folders such as `dt=2026-01-15`, the same columns in every path";
    let all: Vec<Vec<Partition>> = names.iter().map(|name| columns(name)).collect();
    let only = |columns: &[Partition]| columns.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let shown = |columns: &[String]| match columns.is_empty() {
        true => "no partition column".to_owned(),
        false => columns.join(", "),
    };
    let Some((first, first_name)) = all.first().map(|columns| only(columns)).zip(names.first()) else { return Ok(all) };
    if first.is_empty() {
        return Err(SourceError::new(format!("{first_name} stands in no folder of a partition")).hint(FORM));
    }
    if let Some(twice) = first.iter().enumerate().find(|(at, name)| first[..*at].contains(name)) {
        return Err(SourceError::new(format!("{first_name} has the partition column `{}` twice", twice.1)).hint(FORM));
    }
    match all.iter().zip(names).find(|(columns, _)| only(columns) != first) {
        None => Ok(all),
        Some((columns, name)) => {
            let (first, other) = (shown(&first), shown(&only(columns)));
            Err(SourceError::new(format!("{first_name} is partitioned by {first}, and {name} by {other}")).hint(FORM))
        }
    }
}

/// `%XX` as the byte; what is no such code stays as it is.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        let code = code.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

//! `[source] kind = "files"`

use super::{choice, place};
use crate::job::document::Document;
use crate::job::problem::Fault;
use crate::job::raw::{RawFiles, RawFormat};
use crate::job::spec::{CsvOptions, FileFormat, FilesSource};
use std::path::Path;

pub(super) fn files(doc: &mut Document<'_>, mut raw: RawFiles, home: &Path) -> Option<FilesSource> {
    let choice = choice::choice(doc, &mut raw);
    let remote = place::remote(doc, &mut raw);
    let format = match (raw.format, &raw.path) {
        (Some(format), _) => Some(format),
        // In a section with other mistakes, `format` may be there under a misspelt name.
        (None, Some(path)) if doc.is_sound("source") => doc.accept("source.path", by_extension(path)),
        (None, _) => None,
    };
    if let Some(RawFormat::Parquet | RawFormat::Ndjson) = format {
        only_csv(doc, &raw);
    }
    let tabs =
        format == Some(RawFormat::Tsv) || raw.path.as_ref().is_some_and(|p| by_extension(p) == Ok(RawFormat::Tsv));
    let delimiter = match &raw.delimiter {
        Some(text) => doc.accept("source.delimiter", one_character(text)),
        None => Some(if tabs { b'\t' } else { b',' }),
    };
    let quote = match raw.quote.as_deref() {
        Some("") => Some(None),
        Some(text) => doc.accept("source.quote", one_character(text)).map(Some),
        None => Some(Some(b'"')),
    };
    if let (Some(delimiter), Some(Some(quote))) = (delimiter, quote)
        && delimiter == quote
    {
        doc.report("source.quote", Fault::new("the quote and the delimiter are the same character"));
    }
    if let Some(query) = &raw.query
        && query.trim().is_empty()
    {
        doc.report(
            "source.query",
            Fault::new("the query is empty").hint("leave `query` out to take the files as they are"),
        );
    }
    let plain = raw.query.as_deref().unwrap_or_default().replace(' ', "");
    if ["{{last_success}}", "{{run_date}}"].iter().any(|parameter| plain.contains(parameter)) {
        let fault = Fault::new("a query over files has no parameters such as {{last_success}}");
        doc.report("source.query", fault.hint("files are read whole; databases take them"));
    }
    let written = raw.path?;
    Some(FilesSource {
        path: home.join(&written),
        remote: remote?,
        choice: choice?,
        written,
        format: match format? {
            RawFormat::Csv | RawFormat::Tsv => FileFormat::Csv,
            RawFormat::Parquet => FileFormat::Parquet,
            RawFormat::Ndjson => FileFormat::Ndjson,
        },
        csv: CsvOptions {
            header: raw.header.unwrap_or(true),
            delimiter: delimiter?,
            quote: quote?,
            null_values: raw.null_values.unwrap_or_else(|| vec![String::new()]),
        },
        query: raw.query,
    })
}

fn by_extension(path: &str) -> Result<RawFormat, Fault> {
    // Behind HTTP, what follows the `?` is no part of the name.
    let path = match path.starts_with("http://") || path.starts_with("https://") {
        true => path.split('?').next().unwrap_or(path),
        false => path,
    };
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path).to_ascii_lowercase();
    let packed = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst"));
    let is_packed = packed.is_some();
    match packed.unwrap_or(&name).rsplit_once('.').map(|(_, extension)| extension) {
        Some("csv") => Ok(RawFormat::Csv),
        Some("tsv") => Ok(RawFormat::Tsv),
        Some("ndjson" | "jsonl") => Ok(RawFormat::Ndjson),
        Some("parquet") if !is_packed => Ok(RawFormat::Parquet),
        Some("parquet") => {
            Err(Fault::new("compressed Parquet files cannot be read")
                .hint("Parquet compresses inside: unpack the file"))
        }
        _ => Err(Fault::new("the file's format cannot be told from its extension")
            .hint("set `format`: \"csv\", \"tsv\", \"parquet\" or \"ndjson\"")),
    }
}

/// Options that would silently do nothing.
fn only_csv(doc: &mut Document<'_>, raw: &RawFiles) {
    let options = [
        ("header", raw.header.is_some()),
        ("delimiter", raw.delimiter.is_some()),
        ("quote", raw.quote.is_some()),
        ("null_values", raw.null_values.is_some()),
    ];
    for (option, _) in options.iter().filter(|(_, set)| *set) {
        doc.report(&format!("source.{option}"), Fault::new("only CSV files have this option").hint("remove it"));
    }
}

fn one_character(text: &str) -> Result<u8, Fault> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Ok(*byte),
        _ => Err(Fault::new("expected one ASCII character").hint("such as \",\", \";\", \"|\" or \"\\t\"")),
    }
}

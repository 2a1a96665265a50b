//! `[source] kind = "adbc"`

mod secret;

use super::model::RawModel;
use crate::job::document::{Document, join};
use crate::job::problem::Fault;
use crate::job::raw::{RawAdbc, RawPlaceholder, RawQuotes};
use crate::job::spec::{AdbcSource, Library, Placeholder, Templated};
use crate::job::units;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30 * 60);

pub(super) fn adbc(doc: &mut Document<'_>, raw: RawAdbc, home: &Path) -> Option<AdbcSource> {
    let driver = raw.driver.as_deref().map(str::trim).unwrap_or_default().to_owned();
    if raw.driver.is_some() && driver.is_empty() {
        doc.report("source.driver", Fault::new("this is empty").hint(DRIVERS));
    }
    let entrypoint = raw.entrypoint.map(|name| doc.accept("source.entrypoint", symbol(name)));
    let options = options(doc, "source.options", raw.options);
    let connection_options = self::options(doc, "source.connection_options", raw.connection_options);
    let statement_options = self::options(doc, "source.statement_options", raw.statement_options);
    let timeout = match &raw.timeout {
        Some(written) => doc.accept("source.timeout", units::duration(written)),
        None => Some(TIMEOUT),
    };
    let model = RawModel { query: raw.query, query_file: raw.query_file, table: raw.table, dbt: raw.dbt };
    let model = model.check(doc, home);
    let placeholder = raw.placeholder.map_or_else(
        || placeholder_of(&driver),
        |written| match written {
            RawPlaceholder::Question => Placeholder::Question,
            RawPlaceholder::Dollar => Placeholder::Dollar,
            RawPlaceholder::At => Placeholder::At,
            RawPlaceholder::Colon => Placeholder::Colon,
        },
    );
    Some(AdbcSource {
        library: (!driver.is_empty()).then(|| library(&driver, home))?,
        entrypoint: entrypoint.map_or(Some(None), |checked| checked.map(Some))?,
        options: options?,
        connection_options: connection_options?,
        statement_options: statement_options?,
        model: model?,
        json: raw.json,
        timeout: timeout?,
        backticks: raw.quotes.map_or_else(|| has(&driver, BACKTICKS), |quotes| quotes == RawQuotes::Backtick),
        placeholder,
        driver,
    })
}

const DRIVERS: &str = "the path of the driver's shared library, such as `/usr/local/lib/libadbc_driver_snowflake.so`, or the name of an \
                       installed driver, such as `snowflake`";

/// Databases that quote names by backticks.
const BACKTICKS: &[&str] = &["spark", "databricks", "bigquery", "mysql", "mariadb", "hive"];

/// Whether the file's or driver's name has any of these in it; its folders do not count.
fn has(driver: &str, words: &[&str]) -> bool {
    let name = driver.rsplit(['/', '\\']).next().unwrap_or(driver).to_ascii_lowercase();
    words.iter().any(|word| name.contains(word))
}

fn placeholder_of(driver: &str) -> Placeholder {
    match () {
        () if has(driver, &["postgres", "redshift"]) => Placeholder::Dollar,
        () if has(driver, &["mssql", "sqlserver"]) => Placeholder::At,
        () => Placeholder::Question,
    }
}

/// What has a separator or an extension is a path.
fn library(driver: &str, home: &Path) -> Library {
    match driver.contains(['/', '\\', '.']) {
        true => Library::Path(home.join(driver)),
        false => Library::Name(driver.to_owned()),
    }
}

fn symbol(name: String) -> Result<String, Fault> {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    match starts && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        true => Ok(name),
        false => Err(Fault::new(format!("`{name}` is not the name of a function"))
            .hint("such as `AdbcDriverInit`; most drivers need none")),
    }
}

/// `None`: something was reported.
fn options(doc: &mut Document<'_>, path: &str, raw: BTreeMap<String, String>) -> Option<BTreeMap<String, Templated>> {
    let (mut checked, mut is_sound) = (BTreeMap::new(), true);
    for (name, value) in raw {
        match doc.accept(&join(path, &name), secret::option(&name, &value)) {
            Some(value) => drop(checked.insert(name, value)),
            None => is_sound = false,
        }
    }
    is_sound.then_some(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_driver_is_called_says_where_it_is_and_how_it_quotes() {
        let home = Path::new("/home/me");
        let at = |path: &str| Library::Path(path.into());
        for (driver, expected) in [
            ("snowflake", Library::Name("snowflake".into())),
            ("adbc_driver_sqlite", Library::Name("adbc_driver_sqlite".into())),
            ("/usr/lib/libx.so", at("/usr/lib/libx.so")),
            ("libx.so", at("/home/me/libx.so")),
            ("drivers/snowflake", at("/home/me/drivers/snowflake")),
            ("my.toml", at("/home/me/my.toml")),
        ] {
            assert_eq!(library(driver, home), expected, "{driver}");
        }
        assert!(has("/opt/duckdb/libadbc_driver_Spark.so", BACKTICKS) && has("bigquery", BACKTICKS));
        assert!(!has("/opt/spark/libduckdb.so", BACKTICKS) && !has("snowflake", BACKTICKS));
        assert_eq!(placeholder_of("/lib/libadbc_driver_postgresql.so"), Placeholder::Dollar);
        assert_eq!(placeholder_of("mssql"), Placeholder::At);
        assert_eq!(placeholder_of("libduckdb.so"), Placeholder::Question);
        assert_eq!(Placeholder::Colon.of(2), ":2");
    }
}

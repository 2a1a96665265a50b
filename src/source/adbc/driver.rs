//! A driver's library: where it is, and how it begins.

use super::request::Request;
use crate::job::spec::Library;
use crate::source::SourceError;
use adbc_core::LOAD_FLAG_DEFAULT;
use adbc_core::error::{Error, Status};
use adbc_core::options::AdbcVersion;
use adbc_driver_manager::ManagedDriver;
use std::path::Path;

/// Loads and initialises the driver: as version 1.1 of ADBC, else as 1.0, which cannot cancel.
pub(super) fn load(request: &Request) -> Result<ManagedDriver, SourceError> {
    if let Library::Path(path) = &request.library
        && !path.is_file()
        && !path.with_extension("toml").is_file()
    {
        let message = format!("source.driver: there is no file {}", path.display());
        return Err(
            SourceError::new(message).hint(format!("{}; relative paths start at the home folder", whence(request)))
        );
    }
    let entrypoint = entrypoint(request);
    let load = |version| {
        let entrypoint = entrypoint.map(str::as_bytes);
        match &request.library {
            Library::Path(path) => ManagedDriver::load_from_name(path, entrypoint, version, LOAD_FLAG_DEFAULT, None),
            Library::Name(name) => ManagedDriver::load_from_name(name, entrypoint, version, LOAD_FLAG_DEFAULT, None),
        }
    };
    load(AdbcVersion::V110)
        .or_else(|error| match error.status {
            Status::NotImplemented => load(AdbcVersion::V100),
            _ => Err(error),
        })
        .map_err(|error| refused(request, &error))
}

/// DuckDB's library is not named after its entrypoint.
fn entrypoint(request: &Request) -> Option<&str> {
    request.entrypoint.as_deref().or_else(|| known(&request.driver).and_then(|known| known.entrypoint))
}

fn refused(request: &Request, error: &Error) -> SourceError {
    // The trace of a search says where it looked and what it met there.
    let trace = error.details.iter().flatten().map(|(_, text)| String::from_utf8_lossy(text).into_owned());
    let said: Vec<String> = std::iter::once(error.message.clone()).chain(trace).collect();
    let said = said.join("; ");
    if is_missing_symbol(&said) {
        let name = entrypoint(request).unwrap_or("AdbcDriverInit");
        return request
            .error(&format!("the library has no function `{name}` and no `AdbcDriverInit` to begin with: {said}"))
            .hint("is it an ADBC driver? If it begins with another function, name that in source.entrypoint");
    }
    match (&request.library, error.status) {
        (Library::Name(_), Status::NotFound) => request
            .error(&match said.contains(".toml") {
                true => format!("no driver of this name is installed: {said}"),
                // Nothing was met on the way.
                false => {
                    format!("no driver of this name is installed: {LOOKED} have no manifest {}.toml", request.driver)
                }
            })
            .hint(format!("{}; or write the path of the library", whence(request))),
        _ => request.error(&format!("the driver cannot be loaded: {said}")).hint(format!(
            "the library has to be one for this system ({}) with all that it needs; {}",
            std::env::consts::ARCH,
            whence(request)
        )),
    }
}

/// Where manifests are looked for.
const LOOKED: &str = "ADBC_DRIVER_PATH, ~/.config/adbc/drivers and /etc/adbc/drivers";

/// dlsym's words for a symbol that was asked for; one that a library itself lacks is another matter.
fn is_missing_symbol(said: &str) -> bool {
    said.contains("undefined symbol: AdbcDriverInit") || said.contains("AdbcDriverInit: symbol not found")
}

/// A driver that we know how to come by.
struct Known {
    word: &'static str,
    entrypoint: Option<&'static str>,
    whence: &'static str,
}

const KNOWN: [Known; 8] = [
    Known {
        word: "snowflake",
        entrypoint: None,
        whence: "it is in the Python package adbc-driver-snowflake (docs/sources/snowflake.md)",
    },
    Known {
        word: "bigquery",
        entrypoint: None,
        whence: "it is in the Python package adbc-driver-bigquery (docs/sources/bigquery.md)",
    },
    Known { word: "databricks", entrypoint: None, whence: "docs/sources/databricks-spark.md says where it is" },
    Known {
        word: "spark",
        entrypoint: None,
        whence: "it is in the Python package adbc-driver-spark (docs/sources/databricks-spark.md)",
    },
    Known {
        word: "duckdb",
        entrypoint: Some("duckdb_adbc_init"),
        whence: "it is libduckdb of a DuckDB release (docs/sources/duckdb.md)",
    },
    Known {
        word: "sqlite",
        entrypoint: None,
        whence: "it is in the Python package adbc-driver-sqlite (docs/sources/adbc.md)",
    },
    Known {
        word: "postgresql",
        entrypoint: None,
        whence: "it is in the Python package adbc-driver-postgresql (docs/sources/adbc.md)",
    },
    Known {
        word: "flightsql",
        entrypoint: None,
        whence: "it is in the Python package adbc-driver-flightsql (docs/sources/adbc.md)",
    },
];

fn known(driver: &str) -> Option<&'static Known> {
    let name = Path::new(driver).file_name().map_or(String::new(), |name| name.to_string_lossy().to_ascii_lowercase());
    KNOWN.iter().find(|known| name.contains(known.word))
}

fn whence(request: &Request) -> &'static str {
    known(&request.driver).map_or("docs/sources/adbc.md says how drivers are installed", |known| known.whence)
}

//! Engines behind ADBC drivers. How large a batch is, is the driver's business, and so `wide` is there only for those that bound it; what runs
//! within the process has no connection that could be lost.

mod duckdb;
mod postgres;
mod spark;
mod sqlite;

/// `[source]` up to what is asked. `options`: those of the database.
fn source(driver: &std::path::Path, options: &str) -> String {
    format!("kind = \"adbc\"\ndriver = {:?}\noptions = {{ {options} }}\n", driver.display().to_string())
}

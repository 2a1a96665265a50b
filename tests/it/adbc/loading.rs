//! Drivers that cannot be had: what is wrong, and what to install.

use super::{Case, engines};
use std::path::Path;

fn case(driver: &str, lines: &str) -> Case {
    Case::query(Path::new(driver), lines, "SELECT 1")
}

#[test]
fn a_file_that_is_not_there() {
    let error = case("drivers/libadbc_driver_snowflake.so", "").check_error(&[
        "source.driver: there is no file /",
        "drivers/libadbc_driver_snowflake.so",
        "adbc-driver-snowflake",
    ]);
    assert!(error.hint.unwrap().contains("home folder"));
}

#[test]
fn a_driver_that_is_not_installed() {
    case("bigquery", "").check_error(&["no driver of this name is installed", "adbc-driver-bigquery"]);
    case("nobody_knows_it", "").check_error(&["nobody_knows_it", "docs/sources/adbc.md"]);
}

#[test]
fn a_file_that_is_no_library_and_a_library_that_is_no_driver() {
    let mut text = case("libx.so", "");
    super::file(&text.home, "libx.so", "not a library");
    text.check_error(&["the driver cannot be loaded", "libx.so", std::env::consts::ARCH]);
    super::file(&text.home, "x.toml", "manifest_version = 1\n[Driver]\n");
    text.source = text.source.replace("libx.so", "x.toml");
    text.check_error(&["the driver cannot be loaded", "Driver.shared"]);
    let source = text.home.path().join("empty.c");
    std::fs::write(&source, "int nothing;").unwrap();
    let library = text.home.path().join("libempty.so");
    let done = std::process::Command::new("cc").args(["-shared", "-o"]).arg(&library).arg(&source).status().unwrap();
    assert!(done.success());
    case(&library.display().to_string(), "entrypoint = \"WrongInit\"")
        .check_error(&["no function `WrongInit`", "source.entrypoint"]);
}

#[test]
fn a_manifest_says_where_the_library_is() {
    let case = case("drivers/mine", "");
    let manifest = format!("manifest_version = 1\n[Driver]\nshared = {:?}\n", engines::sqlite().display().to_string());
    super::file(&case.home, "drivers/mine.toml", &manifest);
    case.check(&["1: int"], &["1"]);
    let by_file = Case { source: case.source.replace("drivers/mine", "drivers/mine.toml"), ..case };
    by_file.check(&["1: int"], &["1"]);
}

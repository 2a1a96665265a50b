//! A driver that misbehaves: errors, never undefined behaviour, and no secret in any of them.

use super::engines::foreign;
use super::{Case, count};
use std::time::{Duration, Instant};

const PASSWORD: &str = "planted/pass:5@word";

/// A case over the foreign driver with a password in its address.
fn case(mode: &str, lines: &str) -> Case {
    let folder = tempfile::tempdir().unwrap();
    let driver = foreign(folder.path());
    let secret = super::file(&folder, "password", PASSWORD);
    let witness = folder.path().join("witness");
    let options = format!(
        "[source.options]\nuri = \"x://me:${{file:{}}}@db.example/orgs\"\nwitness = {:?}\n",
        secret.display(),
        witness.display().to_string()
    );
    let case = Case::query(&driver, &format!("{lines}\n{options}"), mode);
    // What the case needs lives in its home folder.
    Case { home: folder, ..case }
}

fn witnessed(case: &Case) -> String {
    std::fs::read_to_string(case.home.path().join("witness")).unwrap_or_default()
}

/// Waits for what a thread of the driver's own is about to do.
fn until(case: &Case, what: &str) {
    let began = Instant::now();
    while !witnessed(case).contains(what) {
        assert!(began.elapsed() < Duration::from_secs(60), "`{what}` never came: {}", witnessed(case));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn it_can_behave() {
    let case = case("rows", "");
    let found = case.read().unwrap();
    assert_eq!(found.columns, ["id: int", "name: text"]);
    assert_eq!((found.rows.len(), found.rows[4999].as_str()), (5000, "4999|n0004999"));
    until(&case, "database released");
    assert!(!witnessed(&case).contains("cancelled"), "what came to its end is not cancelled");
}

#[test]
fn whatever_it_hands_over_is_an_error_if_it_is_not_valid() {
    for (mode, part) in [
        ("no stream", "already released"),
        ("no get_schema", "get_schema"),
        ("no get_next", "get_next"),
        ("no schema", "Cannot get schema"),
        ("schema of no struct", "Schema"),
        ("schema of an unknown type", "not"),
        ("schema without a format", ""),
        ("one column too few", "not valid"),
        ("columns of different lengths", "not valid"),
        ("a buffer that is not there", "is null"),
        ("too few buffers", "not valid"),
        ("text that is not UTF-8", "column `name`"),
        ("offsets that go back", "column `name`"),
        ("an offset beyond the text", "column `name`"),
    ] {
        let error = case(mode, "").check_error(&[part]);
        assert!(error.message.contains("libforeign.so: "), "{mode}: {error:?}");
        assert!(!error.message.contains("planted"), "{mode}: {error:?}");
    }
}

#[test]
fn its_errors_are_told_without_secrets() {
    let error = case("fail", "").check_error(&["the query failed: no such table at line 1 (SQLSTATE 57014)"]);
    assert!(!error.message.contains("[redacted]"), "{error:?}");
    case("fail without a message", "").check_error(&["the query failed"]);
    case("fail with an unknown status", "").check_error(&["the query failed", "200"]);
    case("fail with broken text", "").check_error(&["the query failed"]);
    let lost = case("break off", "")
        .check_error(&["reading the rows failed: connection to x://me:[redacted]@db.example/orgs lost"]);
    assert!(lost.hint.is_some(), "{lost:?}");
    case("break off without a word", "").check_error(&["reading the rows failed"]);
    let refused = case("rows", "").into_refused();
    refused.check_error(&["cannot connect to refused://me:[redacted]@db.example/orgs"]);
}

impl Case {
    fn into_refused(mut self) -> Self {
        self.source = self.source.replace("x://me", "refused://me");
        self
    }
}

#[test]
fn an_error_stays_one() {
    let case = case("break off", "");
    let stream = case.stream().unwrap();
    let first = count(&stream).unwrap_err();
    for _ in 0..3 {
        assert_eq!(count(&stream).unwrap_err().message, first.message);
    }
}

#[test]
fn a_query_that_takes_too_long_is_cancelled() {
    for mode in ["hang", "hang in rows", "endless"] {
        let case = case(mode, "timeout = \"300ms\"");
        let error = case.check_error(&["longer than 300ms; it was cancelled"]);
        assert!(error.hint.is_some());
        until(&case, "cancelled");
        until(&case, "database released");
    }
}

#[test]
fn a_driver_that_does_not_react_does_not_keep_the_run() {
    for mode in ["hang, deaf", "hang in rows, deaf"] {
        let case = case(mode, "timeout = \"300ms\"").grace(Duration::from_millis(300));
        case.check_error(&["longer than 300ms", "did not react to being cancelled"]);
        assert!(!witnessed(&case).contains("database released"), "it was waited for");
        std::fs::write(case.home.path().join("witness.enough"), "").unwrap();
        until(&case, "database released");
    }
}

#[test]
fn an_old_driver_is_used_though_it_cannot_cancel() {
    let case = case("rows", "entrypoint = \"OldInit\"");
    assert_eq!(case.read().unwrap().rows.len(), 5000);
    let late = super::foreign::case("hang, deaf", "entrypoint = \"OldInit\"\ntimeout = \"200ms\"");
    let late = late.grace(Duration::from_millis(200));
    late.check_error(&["did not react to being cancelled"]);
    std::fs::write(late.home.path().join("witness.enough"), "").unwrap();
}

#[test]
fn a_driver_without_functions_and_one_that_does_not_begin() {
    case("rows", "entrypoint = \"EmptyInit\"").check_error(&["the database's options"]);
    case("rows", "entrypoint = \"FailingInit\"").check_error(&["cannot be loaded", "out of order"]);
}

#[test]
fn rows_that_are_dropped_end_the_query() {
    let case = case("endless", "");
    let stream = case.stream().unwrap();
    assert!(stream.rows.next().unwrap().is_some());
    drop(stream);
    // Dropping waits for it.
    assert!(
        witnessed(&case).contains("cancelled") && witnessed(&case).contains("database released"),
        "{}",
        witnessed(&case)
    );
}

#[test]
fn a_limit_ends_the_query() {
    let case = case("endless", "").limit(2500);
    let stream = case.stream().unwrap();
    assert_eq!(count(&stream).unwrap(), 2500);
    assert_eq!(count(&stream).unwrap(), 0, "the end stays the end");
    drop(stream);
    assert!(witnessed(&case).contains("cancelled") && witnessed(&case).contains("stream released"));
}

#[test]
fn a_driver_that_cannot_bind_is_told_so() {
    case("SELECT {{last_success}}", "").check_error(&["cannot bind values", "take `{{last_success}}`"]);
}

#[test]
fn options_that_it_does_not_know() {
    let case = case("rows", "[source.statement_options]\n\"batch.rows\" = \"5\"");
    case.check_error(&["unknown option"]);
}

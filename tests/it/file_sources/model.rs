//! The SQL model and the types of its input.

use super::{Case, schema};
use nightmark::job::spec::FileFormat;
use nightmark::row::Kind;
use nightmark::source::Typing;

#[test]
fn a_model_over_csv_has_types() {
    let case = Case::csv("id,plan,seats,rate,on\n007,pro,12,0.5,true\n008,,3,2,false\n009,pro,30,1e1,true\n");
    let extract = case
        .query("SELECT id, seats * 2 AS twice, rate, \"on\" FROM extract WHERE plan = 'pro' AND seats > 3 ORDER BY id")
        .check(&["007|24|0.5|true", "009|60|10.0|true"]);
    assert_eq!(extract.typing, Typing::Declared);
    let kinds =
        [("id", Kind::Text), ("plan", Kind::Text), ("seats", Kind::Int), ("rate", Kind::Float), ("on", Kind::Bool)];
    assert_eq!(extract.input, Some(schema(&kinds)));
    Case::csv("id,deleted_at\n1,\n2,2026-01-01\n")
        .query("SELECT * FROM extract WHERE deleted_at IS NULL")
        .check(&["1|NULL"]);
    Case::csv("id,n\n").query("SELECT id, COUNT(*) AS c FROM extract GROUP BY id").check(&[]);
    Case::csv("id,n\na,1\na,2\nb,5\n")
        .query("WITH t AS (SELECT id, SUM(n) AS s FROM extract GROUP BY id) SELECT * FROM t ORDER BY id")
        .check(&["a|3", "b|5"]);
}

#[test]
fn models_that_cannot_run() {
    let case = |query: &str| Case::csv("id,seats\n1,2\n").query(query);
    let error = case("SELECT id, sets FROM extract").read().unwrap_err();
    assert!(
        error.message.starts_with("the query over `extract` failed: ") && error.message.contains("sets"),
        "{error}"
    );
    assert_eq!(error.hint.as_deref(), Some("did you mean `seats`? `extract` has the columns: id, seats"));
    for (query, part) in [
        ("SELECT * FROM orgs", "orgs"),
        ("SELECT * FROM extract; SELECT 1", "several statements"),
        ("TRUNCATE TABLE extract", "must be one SELECT"),
        ("SELECT FROM WHERE", "failed"),
        ("SELECT id, id FROM extract", "id"),
        ("SELECT * FROM read_csv('/etc/passwd')", "read_csv"),
    ] {
        let error = case(query).read().unwrap_err();
        assert!(error.message.contains(part), "{query}: {error}");
    }
}

#[test]
fn pinned_input_types_hold() {
    let query = "SELECT * FROM extract";
    let pins = [("id", Kind::Text), ("seats", Kind::Float)];
    // Tonight both look like integers; they stay what they were. A new column has its guess.
    let extract = Case::csv("id,seats,more\n1,2,3\n").query(query).pinned(&pins).check(&["1|2.0|3"]);
    assert_eq!(extract.input, Some(schema(&[("id", Kind::Text), ("seats", Kind::Float), ("more", Kind::Int)])));
    let error = Case::csv("id,seats\n1,2\n2,many\n3,\n4,\"1\n\"\n").query(query).pinned(&pins).check_error(
        "2 values do not fit the pinned types:\n  \
         orgs.csv, line 3: column `seats` is pinned as float, found \"many\"\n  \
         orgs.csv, line 5: column `seats` is pinned as float, found \"1\\n\"",
    );
    assert!(error.hint.unwrap().contains("pinned with the job's first base"));
    let mut two = Case::new(FileFormat::Csv, "*.csv").query(query).pinned(&[("n", Kind::Int)]);
    two = two.file("a.csv", "n\n1\n").file("b.csv", "n\n1\nx\n");
    two.check_error(
        "1 value does not fit the pinned types:\n  b.csv, line 3: column `n` is pinned as int, found \"x\"",
    );
    // A pinned column that is gone is a fault only for a query that needs it; its pin stays.
    let gone = |query: &str| Case::csv("id\n1\n").query(query).pinned(&pins);
    assert_eq!(gone("SELECT id FROM extract").check(&["1"]).input, Some(schema(&pins)));
    let error = gone("SELECT id, seats FROM extract").read().unwrap_err();
    assert!(error.message.contains("failed") && error.message.contains("seats"), "{error}");
    // Without a query the pins are normalise's business.
    Case::csv("id\n1\n").pinned(&pins).check(&["1"]);
}

#[test]
fn a_column_without_a_value_is_not_pinned() {
    let case = |text: &str| Case::csv(text).query("SELECT * FROM extract");
    let first = case("id,seats\n1,\n2,\n").check(&["1|NULL", "2|NULL"]);
    let pins = [("id", Kind::Int)];
    assert_eq!(first.input, Some(schema(&pins)));
    let second = case("id,seats\n1,5\n2,\n").pinned(&pins).query("SELECT id, seats + 1 AS s FROM extract");
    let pins = [("id", Kind::Int), ("seats", Kind::Int)];
    assert_eq!(second.check(&["1|6", "2|NULL"]).input, Some(schema(&pins)));
    // Once pinned, it stays pinned on nights without a value.
    let third = case("id,seats\n1,\n2,\n").pinned(&pins).query("SELECT id, seats + 1 AS s FROM extract");
    assert_eq!(third.check(&["1|NULL", "2|NULL"]).input, Some(schema(&pins)));
}

//! Drift, and what accepting it means.

use crate::normalise::{Drift, DriftProblem, Plan, PlanError, Role, accepted};
use crate::row::{Column, Kind, Schema};
use crate::source::Typing;
use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use std::sync::Arc;

/// `id text, mrr decimal(2)`.
fn schema(text: &str) -> Schema {
    let column = |text: &str| {
        let (name, kind) = text.trim().split_once(' ').unwrap();
        let kind = match kind {
            "int" => Kind::Int,
            "float" => Kind::Float,
            "text" => Kind::Text,
            "bool" => Kind::Bool,
            "timestamp" => Kind::Timestamp,
            "decimal(2)" => Kind::Decimal { scale: 2 },
            "decimal(4)" => Kind::Decimal { scale: 4 },
            other => panic!("{other}"),
        };
        Column { name: name.to_owned(), kind }
    };
    Schema { columns: text.split(',').filter(|t| !t.is_empty()).map(column).collect() }
}

fn drift(pinned: &str, tonight: &str) -> Drift {
    let result = Plan::new(&schema(tonight).arrow(), &Typing::Declared, Some(&schema(pinned)), &|_| Role::Strict);
    match result {
        Err(PlanError::Drift(drift)) => drift,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_likeliest_new_name_comes_first() {
    #[track_caller]
    fn check(pinned: &str, tonight: &str, expected: &[&str]) {
        match &drift(pinned, tonight).problems[..] {
            [DriftProblem::Gone { candidates, .. }] => assert_eq!(candidates, expected),
            other => panic!("{other:?}"),
        }
    }
    check("id text,seats int,mrr int", "id text,mrr int,logins int,seat_count int", &["seat_count", "logins"]);
    // The same name but for its case; the same place.
    check("id text,Seats int", "id text,licences int,seats int", &["seats", "licences"]);
    check("id text,seats int,mrr int", "id text,licences int,mrr int,zzz int", &["licences", "zzz"]);
    // Text is no new name of a number; a decimal may be.
    check("id text,seats int", "id text,seats_text text,seats_exact decimal(2)", &["seats_exact"]);
    check("id text,seats int", "id text", &[]);
}

#[test]
fn the_text_names_the_remedy() {
    insta::assert_snapshot!(drift("id text,at text", "id text,at timestamp"), @"the extract's schema has drifted: column `at` was text and is timestamp now; pin tonight's schema with `nightmark schema … accept`, if text was pinned only since the extract had no such type then (CSV, NDJSON); or make `at` text again, in the extract or its query; or take what is not the key out of the comparison (diff.ignore)");
    insta::assert_snapshot!(drift("id text,seats int,mrr int", "id text,seat_count int,users int,mrr bool"), @"the extract's schema has drifted: column `mrr` was int and is bool now; column `seats` (int) is gone; was it renamed to `seat_count`? (or to `users`); make `mrr` int again, in the extract or its query; give `seat_count` its old name back (`seat_count AS seats` in a query); or pin tonight's schema with `nightmark schema … accept`; or take what is not the key out of the comparison (diff.ignore)");
    insta::assert_snapshot!(drift("a int,b int,c int,d int", "e text"), @"the extract's schema has drifted: column `a` (int) is gone; column `b` (int) is gone; column `c` (int) is gone; column `d` (int) is gone; give the columns their old names and types back, in the extract or its query; or pin tonight's schema with `nightmark schema … accept`; or take what is not the key out of the comparison (diff.ignore)");
}

#[test]
fn new_columns_are_told_and_hold_nothing() {
    assert_eq!(drift("id text,at text", "id text,at int,x int").new, schema("x int").columns);
    let plan = |tonight: &str| {
        Plan::new(&schema(tonight).arrow(), &Typing::Declared, Some(&schema("id text")), &|_| Role::Strict).unwrap()
    };
    assert_eq!(plan("id text,x int").new_columns().cloned().collect::<Vec<_>>(), schema("x int").columns);
}

#[test]
fn accepting_takes_tonights_schema() {
    #[track_caller]
    fn check(pinned: &str, tonight: &str, expected: &str, words: &[&str]) {
        let (schema_now, said) = accepted(&schema(pinned), &schema(tonight));
        assert_eq!(schema_now, schema(expected));
        assert_eq!(said, words);
        // Accepting is the end of it.
        let plan = Plan::new(&schema(tonight).arrow(), &Typing::Declared, Some(&schema_now), &|_| Role::Strict);
        assert!(plan.is_ok(), "{plan:?}");
        assert_eq!(accepted(&schema_now, &schema(tonight)), (schema_now.clone(), vec![]));
    }
    check("id text,mrr int", "mrr int,id text", "id text,mrr int", &[]);
    check(
        "id text,at text,old int",
        "new bool,id text,at timestamp",
        "id text,at timestamp,new bool",
        &["column `at` becomes timestamp (it was text)", "column `old` (int) is dropped", "column `new` (bool) is new"],
    );
    // A format without timestamps does not unpin them; numbers take the kind that holds both.
    check("at timestamp,mrr decimal(2)", "at text,mrr int", "at timestamp,mrr decimal(2)", &[]);
    check("mrr int", "mrr decimal(2)", "mrr decimal(2)", &["column `mrr` becomes decimal(2) (it was int)"]);
    check("mrr decimal(4)", "mrr decimal(2)", "mrr decimal(4)", &[]);
    check("mrr float", "mrr int", "mrr float", &[]);
}

#[test]
fn tonights_own_kinds() {
    let extract = |fields: &[(&str, DataType)]| -> SchemaRef {
        let field = |(name, data_type): &(&str, DataType)| Field::new(*name, data_type.clone(), true);
        Arc::new(arrow::datatypes::Schema::new(fields.iter().map(field).collect::<Vec<_>>()))
    };
    let role = |name: &str| if name == "id" { Role::Key } else { Role::Strict };
    let typed = extract(&[
        ("id", DataType::Int64),
        ("at", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
        ("seats", DataType::Null),
        ("new", DataType::Null),
    ]);
    let tonight = Plan::tonight(&typed, &Typing::Declared, &schema("id text,at text,seats int"), &role).unwrap();
    assert_eq!(tonight, schema("id text,at timestamp,seats int"));

    let text = extract(&[("id", DataType::Utf8), ("zip", DataType::Utf8), ("seats", DataType::Utf8)]);
    let guess = Typing::Guess(schema("id int,zip int,seats float"));
    let tonight = Plan::tonight(&text, &guess, &schema("zip text,seats int"), &role).unwrap();
    assert_eq!(tonight, schema("id text,zip text,seats float"));
}

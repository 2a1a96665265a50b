//! Random columns and the values of their cells.

use chrono::{DateTime, NaiveDate};
use nightmark::row::{Form, Kind, Value};
use proptest::prelude::*;

/// One value, owned.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    /// Hundredths.
    Decimal(i128),
    Float(f64),
    Text(String),
    Date(i32),
    Timestamp(i64),
    Json(String),
}

impl Cell {
    pub fn value(&self) -> Value<'_> {
        match self {
            Cell::Null => Value::Null,
            Cell::Bool(v) => Value::Bool(*v),
            Cell::Int(v) => Value::Int(*v),
            Cell::Decimal(unscaled) => Value::Decimal { unscaled: *unscaled, scale: 2 },
            Cell::Float(v) => Value::Float(*v),
            Cell::Text(v) => Value::Text(v),
            Cell::Date(days) => Value::Date(NaiveDate::default() + chrono::TimeDelta::days(i64::from(*days))),
            Cell::Timestamp(micros) => Value::Timestamp(DateTime::from_timestamp_micros(*micros).unwrap()),
            Cell::Json(v) => Value::Json(v),
        }
    }
}

/// A compared column: its kind and how it is compared.
#[derive(Debug, Clone)]
pub struct ColumnSpec {
    pub kind: Kind,
    pub form: Form,
    pub toml: String,
}

const TEXTS: [&str; 6] = ["", "Pro ", "pro", "PRO", "Stra\u{df}e \u{e9}", "STRASSE e\u{301}"];
const JSONS: [&str; 6] = ["{}", r#"{"a":1,"b":[true,null]}"#, "[1,2]", r#""x""#, "2.5", r#"{"a":1,"b":[true]}"#];

impl ColumnSpec {
    /// Seed 0 is NULL.
    pub fn cell(&self, seed: u16) -> Cell {
        if seed == 0 {
            return Cell::Null;
        }
        let n = i64::from(seed);
        match self.kind {
            Kind::Bool => Cell::Bool(n % 2 == 0),
            Kind::Int => Cell::Int([0, 1, 4, 5, 1_000_000, -7][usize::from(seed) % 6]),
            Kind::Decimal { .. } => {
                Cell::Decimal([0, 100, 149, 150, -50, 99_999_999_999_999_999_999_i128][usize::from(seed) % 6])
            }
            Kind::Float => Cell::Float([0.0, -0.0, 1.5, 1.25, 1e15, -3.0][usize::from(seed) % 6]),
            Kind::Text => Cell::Text(TEXTS[usize::from(seed) % 6].to_owned()),
            Kind::Date => Cell::Date([0, 1, -1, 20_000, 11_016, 2][usize::from(seed) % 6]),
            Kind::Timestamp => {
                Cell::Timestamp([0, 1, -1, 1_768_473_000_000_000, 1_000_000, -1_000_001][usize::from(seed) % 6])
            }
            _ => Cell::Json(JSONS[usize::from(seed) % 6].to_owned()),
        }
    }

    pub fn form_toml(&self, index: usize) -> String {
        if self.toml.is_empty() { String::new() } else { format!("[diff.columns.c{index}]\n{}\n", self.toml) }
    }
}

/// The form that a table of a job file means.
fn spec(kind: Kind, toml: &str) -> ColumnSpec {
    let job = format!(
        "version = 1\n[source]\nkind = \"files\"\npath = \"x.csv\"\n[diff]\nkey = \"id\"\n[diff.columns.c]\n{toml}\n\
         [destination]\nkind = \"http\"\nurl = \"http://127.0.0.1:9/\"\n[payload]\npreset = \"flat\"\n"
    );
    let form = match toml {
        "" => Form::default(),
        _ => {
            nightmark::job::parse(&job, std::path::Path::new("x.toml"), std::path::Path::new("/")).unwrap().diff.columns
                ["c"]
                .clone()
        }
    };
    ColumnSpec { kind, form, toml: toml.to_owned() }
}

pub fn column() -> impl Strategy<Value = ColumnSpec> {
    let number = prop_oneof![Just(Kind::Int), Just(Kind::Decimal { scale: 2 }), Just(Kind::Float)];
    let number_form = prop_oneof![
        3 => Just(""),
        1 => Just("round = 0"),
        1 => Just("bucket = 5"),
        1 => Just("bucket = [0, 2, 1000]"),
        2 => Just("tolerance = 0.5"),
        1 => Just("round = 1\nbucket = 10"),
    ];
    let text_form = prop_oneof![
        3 => Just(""),
        1 => Just("trim = true"),
        1 => Just("case_fold = true"),
        1 => Just("nfc = true"),
        1 => Just("trim = true\ncase_fold = true\nnfc = true"),
    ];
    let other = prop_oneof![Just(Kind::Bool), Just(Kind::Date), Just(Kind::Timestamp), Just(Kind::Json)];
    prop_oneof![
        (number, number_form).prop_map(|(kind, form)| spec(kind, form)),
        text_form.prop_map(|form| spec(Kind::Text, form)),
        other.prop_map(|kind| spec(kind, "")),
    ]
}

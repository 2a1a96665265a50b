//! Templates against LiquidJS (npm), which Hightouch renders with: the same template and row through both, equal as JSON.
//!
//! `fixtures/liquid/expressions.txt` and `templates.txt` have what must be equal, `exceptions.txt` what differs on purpose,
//! each for every row of `rows.json`.

use crate::support::node;
use arrow::array::{ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringViewArray};
use chrono::DateTime;
use nightmark::job::spec::Payload;
use nightmark::row::{Column, Kind, RowRef, Schema};
use nightmark::template::{BatchMeta, BatchTemplate, Meta, Template, TextKind, TextTemplate};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

/// 2026-01-15T10:30:00Z
const AT: i64 = 1_768_473_000_000;
const META: Meta<'static> =
    Meta { job: "orgs", webhook_id: "nm_1", operation: "changed", at: DateTime::from_timestamp_millis(AT).unwrap() };

#[test]
fn the_installed_liquidjs_is_the_locked_one() {
    let lock = include_str!("../js/package-lock.json");
    let lock: Value = serde_json::from_str(lock).unwrap();
    let output = node("version.cjs").arg("liquidjs").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let installed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(Some(installed.trim()), lock["packages"]["node_modules/liquidjs"]["version"].as_str());
}

/// A row as we have it and as LiquidJS gets it.
struct Row {
    batch: RecordBatch,
    json: Map<String, Value>,
}

fn rows() -> (Schema, Vec<Row>) {
    let file: Value = serde_json::from_str(&fixture("rows.json")).unwrap();
    let kind = |name: &str| match name {
        "text" => Kind::Text,
        "int" => Kind::Int,
        "float" => Kind::Float,
        "decimal" => Kind::Decimal { scale: 2 },
        "bool" => Kind::Bool,
        "json" => Kind::Json,
        other => panic!("{other}"),
    };
    let columns = file["columns"].as_object().unwrap().iter();
    let columns = columns.map(|(name, of)| Column { name: name.clone(), kind: kind(of.as_str().unwrap()) });
    let schema = Schema { columns: columns.collect() };
    let rows = file["rows"].as_array().unwrap().iter().map(|row| {
        let json = row.as_object().unwrap().clone();
        let arrays = schema.columns.iter().map(|column| array(column.kind, &json[&column.name])).collect();
        Row { batch: RecordBatch::try_new(schema.arrow(), arrays).unwrap(), json }
    });
    let rows = rows.collect();
    (schema, rows)
}

fn array(kind: Kind, value: &Value) -> ArrayRef {
    match kind {
        Kind::Int => Arc::new(Int64Array::from(vec![value.as_i64()])),
        Kind::Float => Arc::new(Float64Array::from(vec![value.as_f64()])),
        Kind::Bool => Arc::new(BooleanArray::from(vec![value.as_bool()])),
        Kind::Decimal { scale } => {
            let unscaled = value.as_f64().map(|v| (v * 100.0).round() as i128);
            Arc::new(Decimal128Array::from(vec![unscaled]).with_precision_and_scale(38, scale).unwrap())
        }
        Kind::Json => Arc::new(StringViewArray::from(vec![(!value.is_null()).then(|| value.to_string())])),
        _ => Arc::new(StringViewArray::from(vec![value.as_str()])),
    }
}

impl Row {
    fn of<'a>(&'a self, schema: &'a Schema) -> RowRef<'a> {
        RowRef { schema, batch: &self.batch, row: 0 }
    }

    fn data(&self) -> Value {
        json!({"row": self.json, "record": self.json, "job": META.job, "op": META.operation,
               "run_at": "2026-01-15T10:30:00.000Z", "message_id": META.webhook_id})
    }
}

/// The blocks of a file: their name, and what stands below.
fn blocks(file: &str) -> Vec<(String, String)> {
    let text = fixture(file);
    let blocks = text.split("\n---- ").skip(1).map(|block| block.split_once('\n').unwrap());
    blocks.map(|(name, text)| (name.to_owned(), text.trim_end().to_owned())).collect()
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/liquid").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn templates() -> Vec<String> {
    let file = fixture("expressions.txt");
    let expressions = file.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let alone = expressions.map(|line| format!("{{\"x\": {{{{ {line} | json }}}}}}"));
    let whole = blocks("templates.txt").into_iter().map(|(_, template)| template);
    alone.chain(whole).collect()
}

/// What LiquidJS makes of each template and data, all in one process.
fn liquidjs(cases: &[(&str, Value)]) -> Vec<Result<String, String>> {
    let cases: Vec<_> = cases.iter().map(|(template, data)| json!({"template": template, "data": data})).collect();
    let mut child = node("render.cjs")
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = json!({"at": AT, "cases": cases}).to_string();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let results: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let result = |result: Value| match result["text"].as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(result["error"].as_str().unwrap().to_owned()),
    };
    results.into_iter().map(result).collect()
}

fn ours(template: &str, schema: &Schema, row: &Row) -> Result<String, String> {
    let payload = Payload::Liquid { template: template.to_owned() };
    let compiled = Template::compile(&payload, schema, &["id".to_owned()], &[]);
    let compiled = compiled.map_err(|problems| format!("not compiled: {problems:?}"))?;
    compiled.render(row.of(schema), &META).map_err(|error| error.to_string())
}

/// Equal as JSON: 1 is 1.0, and the order of members says nothing.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| equal(value, other)))
        }
        (a, b) => a == b,
    }
}

fn parsed(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// Both make the same of each template and row, or both an error. What LiquidJS does not print (`undefined`) counts as null.
fn check(schema: &Schema, cases: &[(&str, &Row)]) {
    let theirs = liquidjs(&cases.iter().map(|(template, row)| (*template, row.data())).collect::<Vec<_>>());
    let mut differences = Vec::new();
    for ((template, row), theirs) in cases.iter().zip(theirs) {
        let ours = ours(template, schema, row);
        let same = match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => {
                let theirs = theirs.replace("{\"x\": }", "{\"x\": null}");
                parsed(ours).zip(parsed(&theirs)).is_some_and(|(ours, theirs)| equal(&ours, &theirs))
            }
            (Err(ours), Err(_)) => !ours.starts_with("not compiled"),
            _ => false,
        };
        if !same {
            differences.push(format!("{template}, row {:?}\n  ours   {ours:?}\n  theirs {theirs:?}", row.json["id"]));
        }
    }
    assert!(differences.is_empty(), "{} of {} differ:\n{}", differences.len(), cases.len(), differences.join("\n"));
}

#[test]
fn bodies_are_those_of_liquidjs() {
    let (schema, rows) = rows();
    let templates = templates();
    let cases = templates.iter().flat_map(|template| rows.iter().map(move |row| (template.as_str(), row)));
    let cases: Vec<_> = cases.collect();
    assert!(cases.len() >= 800, "{}", cases.len());
    check(&schema, &cases);
}

/// Every filter that `expressions.txt` calls, on every kind of value; then two in a row, spread over all pairs.
#[test]
fn every_filter_on_every_kind_of_value() {
    const VALUES: &str = "row.name row.none row.n row.neg row.f row.yes row.no row.blank row.spaces row.tags row.set row.list \
                          row.nums row.mixed row.at row.num row.uni row.words (1..3) 2.5 row.list[0]";
    // JavaScript makes dates of anything: of `true`, of [3, 1, 2], of "-7". We do not.
    const DATES: &str = "row.name row.none row.n row.at row.words 2.5";
    let guessed = |expression: &String| {
        let (value, calls) = expression.split_once(" | ").unwrap();
        calls.contains("date") && !(calls.starts_with("date") && DATES.split(' ').any(|date| date == value))
    };
    // The exceptions: half a character, and digits that doubles lose.
    let excepted = |e: &String| {
        (e.starts_with("row.uni") && e.contains("\"\"")) || (e.contains("33.335") && e.matches('|').count() > 1)
    };
    let (schema, rows) = rows();
    let values: Vec<_> = VALUES.split(' ').collect();
    let file = fixture("expressions.txt");
    let lines = file.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let calls: BTreeSet<_> = lines.flat_map(|line| line.split(" | ").skip(1)).collect();
    let single = values.iter().flat_map(|value| calls.iter().map(move |call| format!("{value} | {call}")));
    let pairs = calls.iter().flat_map(|first| calls.iter().map(move |second| format!("{first} | {second}")));
    let some = pairs.step_by(5).enumerate().map(|(at, pair)| format!("{} | {pair}", values[at % values.len()]));
    let expressions = single.chain(some).filter(|e| !guessed(e) && !excepted(e));
    let templates: Vec<_> = expressions.map(|e| format!("{{\"x\": {{{{ {e} | json }}}}}}")).collect();
    let row = |at: usize| &rows[(at + at / values.len()) % rows.len()];
    check(&schema, &templates.iter().enumerate().map(|(at, text)| (text.as_str(), row(at))).collect::<Vec<_>>());
}

#[test]
fn the_exceptions_are_as_they_are_told() {
    let (schema, rows) = rows();
    let blocks = blocks("exceptions.txt");
    let cases: Vec<_> = blocks
        .iter()
        .flat_map(|(name, block)| {
            let (template, expected) = block.split_once("\n=> ").unwrap();
            expected.split("\n=> ").zip(&rows).map(move |(expected, row)| (name, template, expected, row))
        })
        .collect();
    let theirs = liquidjs(&cases.iter().map(|(_, template, _, row)| (*template, row.data())).collect::<Vec<_>>());
    let docs = include_str!("../../docs/TEMPLATES.md").to_lowercase();
    for ((name, template, expected, row), theirs) in cases.into_iter().zip(theirs) {
        let ours = parsed(&ours(template, &schema, row).unwrap()).unwrap();
        let expected = parsed(expected).unwrap();
        assert!(equal(&ours, &expected), "{name}: {ours}, expected {expected}");
        let theirs = theirs.ok().and_then(|text| parsed(&text));
        assert!(!theirs.as_ref().is_some_and(|theirs| equal(theirs, &ours)), "{name}: LiquidJS makes the same: {ours}");
        let told = name.split(':').next().unwrap().to_lowercase();
        assert!(docs.contains(&told), "docs/TEMPLATES.md does not tell of: {told}");
    }
}

/// Outside of JSON, nothing is typed or escaped: the text itself is the same.
#[test]
fn text_is_that_of_liquidjs() {
    let (schema, rows) = rows();
    let templates = [
        "{{ row.n }}/{{ row.f }}/{{ row.yes }}/{{ row.none }}/{{ row.id }}",
        "{{ row.f | times: 100000000000 | times: 100000000000 }} {{ 0.000001 | times: 0.1 | divided_by: 3 }}",
        "{{ row.n | divided_by: 0 }} {{ row.n | divided_by: 7 }}",
        "{{ row.set.a.k }} {{ row.set.nothing }} {{ row.tags | join: ';' }}",
        "{% if row.n %}a{% endif %}{% for t in row.tags %}[{{ t }}]{% endfor %}",
        "{{ 'now' | date }} {{ row.day | date: '%a %d.%m.%y' }}",
    ];
    let cases: Vec<_> = templates.iter().flat_map(|template| rows.iter().map(move |row| (*template, row))).collect();
    let theirs = liquidjs(&cases.iter().map(|(template, row)| (*template, row.data())).collect::<Vec<_>>());
    for ((template, row), theirs) in cases.into_iter().zip(theirs) {
        let compiled = TextTemplate::compile(template, &schema, TextKind::Header).unwrap();
        assert_eq!(compiled.render(row.of(&schema), &META).unwrap(), theirs.unwrap(), "{template}");
    }
}

#[test]
fn batches_are_those_of_liquidjs() {
    let (schema, rows) = rows();
    let templates = [
        r#"{"ids": [{% for r in rows %}"{{ r.id }}"{% unless forloop.last %},{% endunless %}{% endfor %}], "n": {{ rows.size }}}"#,
        r#"[{% for r in rows %}{% if r.n > 0 %}{"n": {{ r.n }}, "k": {{ r.set.a.k | default: 0 }}},{% endif %}{% endfor %}{"job": "{{ job }}"}]"#,
        r#"{{ rows | map: "n" | json }}"#,
        r#"{"x": "{{ rows[0].id }}", "y": {{ rows.last.yes | json }}, "z": {{ rows | where: "n" | size }}}"#,
    ];
    let data: Vec<_> = rows.iter().map(|row| Value::Object(row.json.clone())).collect();
    let cases: Vec<_> = templates.iter().map(|template| (*template, json!({"rows": data, "job": META.job}))).collect();
    let prepared: Vec<_> = rows.iter().map(|row| BatchTemplate::prepare(row.of(&schema), &META)).collect();
    for (template, theirs) in templates.iter().zip(liquidjs(&cases)) {
        let compiled = BatchTemplate::compile(template, &schema).unwrap();
        let ours = compiled.render(&prepared, &BatchMeta { job: META.job, at: META.at }).unwrap();
        let theirs = theirs.unwrap();
        assert!(equal(&parsed(&ours).unwrap(), &parsed(&theirs).unwrap()), "{template}: {ours} {theirs}");
    }
}

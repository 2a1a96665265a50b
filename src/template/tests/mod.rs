//! Bodies of hand-built batches: the guide's examples and every preset rule; templates are in the files below.

mod liquid_bodies;
mod places;
mod properties;

use super::*;
use crate::job::spec::Payload;
use crate::row::{Column, Kind};
use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringViewArray,
    TimestampMicrosecondArray,
};
use std::sync::Arc;

/// A column of one row.
fn cell(name: &str, kind: Kind, array: ArrayRef) -> (Column, ArrayRef) {
    (Column { name: name.into(), kind }, array)
}

fn text(name: &str, value: Option<&str>) -> (Column, ArrayRef) {
    cell(name, Kind::Text, Arc::new(StringViewArray::from(vec![value])))
}

fn json(name: &str, value: &str) -> (Column, ArrayRef) {
    cell(name, Kind::Json, Arc::new(StringViewArray::from(vec![value])))
}

fn int(name: &str, value: Option<i64>) -> (Column, ArrayRef) {
    cell(name, Kind::Int, Arc::new(Int64Array::from(vec![value])))
}

fn float(name: &str, value: f64) -> (Column, ArrayRef) {
    cell(name, Kind::Float, Arc::new(Float64Array::from(vec![value])))
}

fn decimal(name: &str, unscaled: i128, scale: i8) -> (Column, ArrayRef) {
    let array = Decimal128Array::from(vec![unscaled]).with_precision_and_scale(38, scale).unwrap();
    cell(name, Kind::Decimal { scale }, Arc::new(array))
}

fn instant(name: &str, micros: i64) -> (Column, ArrayRef) {
    let array = TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC");
    cell(name, Kind::Timestamp, Arc::new(array))
}

struct Row {
    schema: Schema,
    batch: RecordBatch,
}

fn row(cells: Vec<(Column, ArrayRef)>) -> Row {
    let (columns, arrays) = cells.into_iter().unzip();
    let schema = Schema { columns };
    let batch = RecordBatch::try_new(schema.arrow(), arrays).unwrap();
    Row { schema, batch }
}

const AT: i64 = 1_768_473_000_000_000;

impl Row {
    fn compile(&self, payload: &Payload) -> Result<Template, Vec<TemplateError>> {
        let key = [self.schema.columns[0].name.clone()];
        Template::compile(payload, &self.schema, &key, &["last_active_at".to_owned()])
    }

    fn render(&self, payload: &Payload) -> Result<String, RenderError> {
        let template = self.compile(payload).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let at = DateTime::from_timestamp_micros(AT).unwrap();
        let meta = Meta { job: "orgs", webhook_id: "nm_1", operation: "changed", at };
        template.render(RowRef { schema: &self.schema, batch: &self.batch, row: 0 }, &meta)
    }

    fn problems(&self, payload: &Payload) -> Vec<String> {
        let problems = self.compile(payload).err().unwrap_or_default();
        problems.into_iter().map(|p| format!("{p} ({})", p.hint.clone().unwrap_or_default())).collect()
    }
}

fn fields(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(path, column)| ((*path).to_owned(), (*column).to_owned())).collect()
}

fn flat(list: &[(&str, &str)]) -> Payload {
    Payload::Flat { fields: fields(list) }
}

fn group(list: &[(&str, &str)]) -> Payload {
    Payload::Group { fields: fields(list) }
}

fn liquid(template: &str) -> Payload {
    Payload::Liquid { template: template.to_owned() }
}

fn compact(json: &str) -> String {
    serde_json::from_str::<serde_json::Value>(json).unwrap().to_string()
}

fn workspace() -> Row {
    row(vec![
        text("workspace_id", Some("test_ws_001")),
        text("workspace_name", Some("Test Workspace")),
        text("plan_id", Some("pro")),
        text("plan_name", Some("Pro")),
        int("user_count", Some(10)),
        int("mrr", Some(9900)),
        text("trial_status", Some("active")),
        text("last_active_at", Some("2026-01-15")),
    ])
}

const CURL_BODY: &str = include_str!("../../../tests/it/fixtures/curl_flat.json");
const SEGMENT_BODY: &str = include_str!("../../../tests/it/fixtures/segment_group.json");
const HIGHTOUCH: &str = r#"{
  "workspace_id": "{{row.workspace_id}}",
  "workspace_name": "{{row.workspace_name}}",
  "plan_id": "{{row.plan_id}}",
  "plan_name": "{{row.plan_name}}",
  "user_count": {{row.user_count}},
  "mrr": {{row.mrr}},
  "trial_status": "{{row.trial_status}}"
}
"#;

#[test]
fn flat_makes_the_guides_body() {
    assert_eq!(workspace().render(&flat(&[])).unwrap(), compact(CURL_BODY));
}

#[test]
fn the_hightouch_template_makes_the_same_body() {
    let body = workspace().render(&liquid(HIGHTOUCH)).unwrap();
    assert_eq!(body, CURL_BODY.trim_end());
}

#[test]
fn flat_renames_nests_and_takes_ignored_columns_by_name() {
    let list = [("id", "workspace_id"), ("m.users", "user_count"), ("seen", "last_active_at"), ("m.b.mrr", "mrr")];
    let body = workspace().render(&flat(&list)).unwrap();
    assert_eq!(body, r#"{"id":"test_ws_001","m":{"users":10,"b":{"mrr":9900}},"seen":"2026-01-15"}"#);
    let dotted = row(vec![int("a.b", None), text("q\"", Some("x\"\n"))]);
    assert_eq!(dotted.render(&flat(&[])).unwrap(), r#"{"a.b":null,"q\"":"x\"\n"}"#);
}

#[test]
fn every_problem_of_a_preset_is_told() {
    let list = [("a", "mrr"), ("a.b", "mrr"), ("a", "plan_id"), ("x..y", "mrr"), ("n", "pln_id"), ("m", "zzz")];
    let problems = workspace().problems(&flat(&list));
    let expected = [
        "`a.b`: the field is both a value and an object",
        "`a`: the field is set twice",
        "`x..y`: the path has an empty segment",
        "`n`: column `pln_id` is not in the extract (did you mean `plan_id`?)",
        "`m`: column `zzz` is not in the extract (the extract has: workspace_id, ",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.contains(expected), "{problem}");
    }
}

fn account(user: Option<&str>) -> Row {
    row(vec![
        text("workspace_id", Some("ws_abc123")),
        text("workspace_name", Some("Acme Corp Workspace")),
        text("plan_id", Some("pro_annual")),
        text("plan_name", Some("Pro Annual")),
        int("user_count", Some(47)),
        int("mrr_cents", Some(49900)),
        text("trial_status", Some("converted")),
        text("owner_id", user),
        instant("changed_at", AT),
        text("message_id", Some("seg-msg-abc123")),
    ])
}

const TRAITS: [(&str, &str); 6] = [
    ("traits.name", "workspace_name"),
    ("traits.plan", "plan_id"),
    ("traits.plan_name", "plan_name"),
    ("traits.employees", "user_count"),
    ("traits.mrr", "mrr_cents"),
    ("traits.trial_status", "trial_status"),
];

#[test]
fn group_makes_the_event_that_segment_delivers() {
    let mut list = vec![("messageId", "message_id"), ("userId", "owner_id"), ("timestamp", "changed_at")];
    list.extend(TRAITS);
    assert_eq!(account(Some("user_789")).render(&group(&list)).unwrap(), compact(SEGMENT_BODY));
    let body = account(None).render(&group(&list)).unwrap();
    assert!(body.contains(r#"},"anonymousId":"nightmark:ws_abc123","timestamp""#), "{body}");
}

#[test]
fn group_fills_in_what_is_not_mapped() {
    let orgs = row(vec![int("id", Some(7)), text("name", Some("A")), float("last_active_at", 1.5), text("r", None)]);
    assert_eq!(
        orgs.render(&group(&[("context.app.region", "r")])).unwrap(),
        r#"{"type":"group","groupId":"7","traits":{"name":"A"},"anonymousId":"nightmark:7","timestamp":"2026-01-15T10:30:00.000Z","messageId":"nm_1","context":{"app":{"region":null}}}"#
    );
    let only = row(vec![text("id", Some("a\"b"))]);
    let body = only.render(&group(&[])).unwrap();
    assert!(
        body.starts_with(r#"{"type":"group","groupId":"a\"b","traits":{},"anonymousId":"nightmark:a\"b","#),
        "{body}"
    );
}

#[test]
fn group_refuses_unknown_fields_with_a_suggestion() {
    let list =
        [("groupid", "plan_id"), ("trait.x", "plan_id"), ("plan", "plan_id"), ("type", "plan_id"), ("traits", "mrr")];
    let problems = workspace().problems(&group(&list));
    let expected =
        ["did you mean `groupId`?", "did you mean `traits.x`?", "`traits.plan`", "always `group`", "a member of it"];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.contains(expected), "{problem}");
    }
    let two = ["workspace_id".to_owned(), "plan_id".to_owned()];
    let error = Template::compile(&group(&[]), &workspace().schema, &two, &[]).unwrap_err();
    assert!(error[0].to_string().contains("the key has several columns"), "{error:?}");
}

#[test]
fn a_group_event_that_would_be_dropped_is_an_error() {
    let check = |cells: Vec<(Column, ArrayRef)>, list: &[(&str, &str)], expected: &str| {
        let error = row(cells).render(&group(list)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(vec![text("id", None)], &[], "`groupId`: column `id` is NULL or empty");
    check(vec![text("id", Some(""))], &[], "`groupId`: column `id` is NULL or empty");
    let message = [("messageId", "m")];
    let long = "x".repeat(100);
    check(vec![text("id", Some("1")), text("m", Some(&long))], &message, "`messageId`: column `m` has 100 characters");
    check(vec![text("id", Some("1")), int("m", Some(1))], &message, "`m` is not text");
    check(vec![text("id", Some("1")), text("m", None)], &message, "`m` is NULL");
    check(vec![text("id", Some("1")), text("t", Some("soon"))], &[("timestamp", "t")], "which is no ISO 8601 time");
    let huge = "x".repeat(33 * 1024);
    check(vec![text("id", Some("1")), text("n", Some(&huge))], &[], "more than the 32768 that are taken");
}

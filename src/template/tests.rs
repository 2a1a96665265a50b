//! Bodies of hand-built batches: the guide's examples, every preset rule, and no value that can break a template.

use super::*;
use crate::job::spec::Payload;
use crate::row::{Column, Kind};
use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringViewArray,
    TimestampMicrosecondArray,
};
use proptest::prelude::*;
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

const CURL_BODY: &str = include_str!("../../tests/it/fixtures/curl_flat.json");
const SEGMENT_BODY: &str = include_str!("../../tests/it/fixtures/segment_group.json");
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

fn check_liquid(template: &str, expected: &str) {
    let orgs = row(vec![
        text("id", Some("w1")),
        text("name", Some("Q\"uote\nline\\")),
        text("none", None),
        int("n", Some(3)),
        decimal("exact", 12_345_678_901_234_567_890_123, 2),
        decimal("money", 4990, 2),
        float("nan", f64::NAN),
        cell("yes", Kind::Bool, Arc::new(BooleanArray::from(vec![true]))),
        json("tags", r#"["a","b\"c"]"#),
        json("set", r#"{"a":{"k":1},"big":12345678901234567890123}"#),
        json("word", r#""w\"d""#),
        instant("at", AT),
        text("My Column", Some("spaced")),
    ]);
    match orgs.render(&liquid(template)) {
        Ok(body) => assert_eq!(body, expected, "{template}"),
        Err(error) => panic!("{template}: {error}"),
    }
}

#[test]
fn liquid_output_takes_the_form_of_its_place() {
    check_liquid("{{row.name}}", r#""Q\"uote\nline\\""#);
    check_liquid(r#""{{row.name}}""#, r#""Q\"uote\nline\\""#);
    check_liquid(r#"["{{row.none}}",{{row.none}},{{row.nan}},"{{row.nan}}"]"#, r#"["",null,null,""]"#);
    check_liquid(
        r#"[{{row.exact}},"{{row.exact}}",{{row.money}}]"#,
        r#"[123456789012345678901.23,"123456789012345678901.23",49.9]"#,
    );
    check_liquid(r#"[{{row.yes}},{{row.n}},"{{row.n}}"]"#, r#"[true,3,"3"]"#);
    check_liquid("{{row.set}}", r#"{"a":{"k":1},"big":12345678901234567890123}"#);
    check_liquid(r#"["{{row.tags}}",{{row.word}},"{{row.word}}"]"#, r#"["[\"a\",\"b\\\"c\"]","w\"d","w\"d"]"#);
    check_liquid(r#"[{{row["My Column"]}},"{{ record['My Column'] }}"]"#, r#"["spaced","spaced"]"#);
    check_liquid(
        r#"["{{job}}",{{op}},{{run_at}},"{{message_id}}"]"#,
        r#"["orgs","changed","2026-01-15T10:30:00.000Z","nm_1"]"#,
    );
}

#[test]
fn filters_and_paths_are_made_safe_too() {
    check_liquid(r#"{{row.none | default: "}}" | append: '"|'}}"#, r#""}}\"|""#);
    check_liquid(r#"[{{row.name | upcase}},"{{row.name|downcase}}"]"#, r#"["Q\"UOTE\nLINE\\","q\"uote\nline\\"]"#);
}

#[test]
fn json_columns_are_walked_leniently() {
    check_liquid(
        "[{{row.set.a.k}},{{row.set.a}},{{row.set.zzz}},{{row.none.a.b}},{{row.tags[7]}}]",
        r#"[1,{"k":1},null,null,null]"#,
    );
    check_liquid(r#"[{{row.tags.size}},{{row.tags[1]}},"{{row.tags[-1]}}"]"#, r#"[2,"b\"c","b\"c"]"#);
    check_liquid(
        "[{% for t in row.tags %}{{t}}{% unless forloop.last %},{% endunless %}{% endfor %}]",
        r#"["a","b\"c"]"#,
    );
    check_liquid(r#"{{ row.tags | join: "," }}"#, r#""a,b\"c""#);
    check_liquid("{% for t in row.none %}{% endfor %}1", "1");
    check_liquid(r#"{% assign key = "n" %}{{row[key]}}"#, "3");
}

#[test]
fn census_and_control_flow() {
    check_liquid(
        "[{{ record.name | json }},{{ row.none | json }},{{ row.set.a | json }}]",
        r#"["Q\"uote\nline\\",null,{"k":1}]"#,
    );
    check_liquid(r#""{{ row.tags | json }}""#, r#""[\"a\",\"b\\\"c\"]""#);
    check_liquid("{%- if row.none == nil -%} 1 {%- else -%} 2 {%- endif -%}", "1");
    check_liquid("{% if row.none %}1{% elsif row.n > 2 %}{{ row.n | plus: 1 }}{% endif %}", "4");
    check_liquid(
        r#"{% assign x = row.name | upcase %}{"x":"{{ x }}","y":{{- x -}} }"#,
        r#"{"x":"Q\"UOTE\nLINE\\","y":"Q\"UOTE\nLINE\\"}"#,
    );
    check_liquid(r#"{% capture x %}"{{row.name}}"{% endcapture %}{{ x }}"#, r#""\"Q\"uote\nline\\\"""#);
    check_liquid(r#""{% raw %}{{ row.n }}{% endraw %}{% comment %}"{{ nope }}{% endcomment %}""#, r#""{{ row.n }}""#);
    // What is no number counts as 0.
    check_liquid("{{ row.name | plus: 1 }}", "1");
    check_liquid(r#"["{{ row.at | date: "%Y-%m-%d" }}",{{ "now" | date: "%H:%M" }}]"#, r#"["2026-01-15","10:30"]"#);
}

fn check_problems(template: &str, expected: &[&str]) {
    let problems = workspace().problems(&liquid(template));
    assert_eq!(problems.len(), expected.len(), "{template}: {problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn a_template_is_checked_before_the_first_row() {
    check_problems(
        "{\n \"a\": {{row.mr}},\n \"b\": \"{{ row[\"pln_id\"] | upcse }}\", \"c\": {{ plan_id }}}",
        &[
            "template 2:13: column `mr` is not in the extract (did you mean `mrr`?)",
            "template 3:15: column `pln_id` is not in the extract (did you mean `plan_id`?)",
            "template 3:27: there is no filter `upcse` (did you mean `upcase`?)",
            "template 3:46: there is no variable `plan_id` (did you mean `row.plan_id`?)",
        ],
    );
    check_problems("{% if row.nope == 1 %}1{% endif %}", &["1:11: column `nope`"]);
    check_problems("[\n{{ row.mrr | }}]", &["template 2:"]);
    check_problems("[1,{{ row.mrr ]", &["template 1:4: `{{` is never closed"]);
    check_problems("[1,\n{% if row.mrr }]", &["template 2:1: `{%` is never closed"]);
    check_problems("{% include 'x' %}", &["1:1: `{% include %}` cannot be used"]);
    check_problems(
        "{% if row.mrr %}1{% endfi %}{% x %}",
        &["1:18: there is no tag `endfi` (did you mean `endif`?)", "1:29: there is no tag `x` (there are: "],
    );
    check_problems("{% for a in row.mrr %}1{% endif %}", &["1:27: `{% endif %}` stands outside"]);
    check_problems("1{% endif %}", &["1:5: `{% endif %}` stands outside of its block"]);
    check_problems("{% assign row = 1 %}1", &["1:11: `row` is a name"]);
    check_problems("{{ 99999999999999999999 }}", &["1:4: the number 99999999999999999999 is too large"]);
    check_problems(r#"{{ row.mrr | date: "%!" }}"#, &["1:14: "]);
    check_problems(r#"{"a": "{{row.mrr}}}"#, &["a JSON string is not closed"]);
    check_problems("{\n\"a\": {{row.mrr}},\n}", &["template 3:1: a comma too many before this bracket"]);
    check_problems("{{row.mrr}} {{row.mrr}}", &["template 1:15: there is more behind the end of the JSON"]);
}

#[test]
fn all_problems_of_a_template_are_told_at_once() {
    check_problems(
        "[{{ row.mr }}, {{ row.mrr | plus }}, {{ row.mrr | times: 2, 3 }},\n{% if row.x and %}1{% endif %} {{ a b }}",
        &[
            "1:9: column `mr`",
            "1:29: the filter `plus` takes one argument, not 0",
            "1:51: the filter `times` takes one argument, not 2",
            "2:11: column `x`",
            "2:16: a value is missing",
            "2:35: there is no variable `a`",
            "2:37: `b` is not expected here",
        ],
    );
    check_problems(
        "{% for t in row.mrr limt: 2 %}{{ t }}{% endfor %}{{ t }}",
        &["1:21: `limt` is not expected", "1:53: there"],
    );
    check_problems("{% if row.mrr %}1", &["1:1: `{% if %}` is never closed (an `{% endif %}` is missing)"]);
    check_problems(
        "{% case row.mrr %}{% when 1 %}1{% elsif 2 %}{% endcase %}",
        &["1:35: `{% elsif %}` stands outside"],
    );
    check_problems(
        "{% if 1 %}1{% else %}2{% elsif 3 %}3{% endif %}",
        &["1:23: `{% elsif %}` stands behind `{% else %}`"],
    );
    check_problems("{% break %}1", &["1:1: `{% break %}` stands outside of a loop"]);
    check_problems(
        "{% for t in (1..2) %}{{ forloop.indx }}{% endfor %}1",
        &["1:33: `forloop` has no `indx` (did you mean `index`?)"],
    );
    check_problems("{{ (row.mrr or 1) }}", &["1:4: parentheses are for ranges"]);
    check_problems("{{ row.mrr | default: 1, allow: true }}", &["1:26: the filter `default` has no argument `allow`"]);
    check_problems("{{ 'a }}", &["1:1: `{{` is never closed"]);
    check_problems("{% raw %}1", &["1:1: `{%` is never closed (an `{% endraw %}`"]);
    check_problems("{% assign x 1 %}1", &["1:13: `=` is missing"]);
    check_problems("", &["the template makes no JSON"]);
    check_problems(&format!("[{{{{ {}1 }}}}]", "not ".repeat(50_000)), &["the expression has more than 100 levels"]);
    check_problems(&format!("[{{{{ 1{} }}}}]", " and 1".repeat(50_000)), &["the expression has more than 100 levels"]);
    check_problems(&"{% if 1 %}".repeat(50_000), &["1:1001: blocks stand more than 100 deep"]);
}

#[test]
fn what_cannot_be_json_is_a_problem_of_the_template() {
    check_problems("{\"a\": -{{row.mrr}}}", &["1:10: the value stands right behind other characters"]);
    check_problems("{\"a\": {{row.mrr}}00}", &["1:18: a comma is missing, at `0`"]);
    check_problems("[{{row.mrr}}", &["1:13: a `]` is missing"]);
    check_problems("[{% if row.mrr %}1,{% else %}2,{% endif %}]", &["1:43: a comma too many before this bracket"]);
    check_problems("{a: 1}", &["1:2: a key in quotes is expected"]);
    check_problems("[yes]", &["1:2: this is no JSON"]);
    check_problems("\n\"\\{{row.mrr}}\"", &["2:5: a backslash before"]);
    check_problems(r#"{% if row.mrr %}"{% endif %}a""#, &["1:1: the ways through this if block"]);
    check_problems(r#"{% if row.mrr %}"{% else %}1{% endif %}""#, &["the ways through this if block"]);
    check_problems(r#"{% for x in row.mrr %}"{% endfor %}""#, &["the ways through this for block"]);
}

#[test]
fn a_row_that_fails_says_where_and_shows_little() {
    let check = |template: &str, expected: &str| {
        let error = workspace().render(&liquid(template)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(
        "{\n\"a\": [{% if row.mrr %}\n{{row.mrr}},{% endif %}]\n}",
        "template 3:24: the body is not JSON: a comma too many before this bracket, near `]",
    );
    check(
        "[{% for t in (1..2) %}\n{{t}}{% endfor %}]",
        "template 2:3: the body is not JSON: a comma is missing, near `2]",
    );
    check("[\n{{ '%zz' | url_decode }}]", "template 2:12: the filter `url_decode` needs two hexadecimal digits");
    check("[{% for t in (1..2000000) %}{% endfor %}]", "1:2: the range has more than 1000000 numbers");
    check(
        "{% assign s = 'x' %}{% for t in (1..99) %}{% assign s = s | append: s %}{% endfor %}{{ s }}",
        "1:61: the filter `append` makes a text of more than 8388608 bytes",
    );
    let error = row(vec![text("id", Some(&"s3".repeat(400)))])
        .render(&liquid("[{% if row.id %}{{row.id}},{% endif %}]"))
        .unwrap_err();
    assert!(error.to_string().len() < 300, "{error}");
    assert!(error.to_string().matches("s3").count() <= 30, "{error}");
}

fn check_text(template: &str, kind: TextKind, expected: Result<&str, &str>) {
    let row = row(vec![
        text("id", Some("w/1 ?&ü")),
        text("none", None),
        text("dots", Some("..")),
        text("line", Some("a\r\nX-Admin: 1")),
        int("n", Some(-3)),
        json("tags", r#"["a"]"#),
    ]);
    let meta = Meta {
        job: "orgs",
        webhook_id: "nm_1",
        operation: "changed",
        at: DateTime::from_timestamp_micros(AT).unwrap(),
    };
    let row = RowRef { schema: &row.schema, batch: &row.batch, row: 0 };
    let made = TextTemplate::compile(template, row.schema, kind).map_err(|p| p[0].to_string());
    let made = made.and_then(|text| text.render(row, &meta).map_err(|e| e.to_string()));
    match (made, expected) {
        (Ok(made), Ok(expected)) => assert_eq!(made, expected, "{template}"),
        (Err(error), Err(expected)) => assert!(error.contains(expected), "{template}: {error}"),
        (made, _) => panic!("{template}: {made:?}"),
    }
}

#[test]
fn values_stay_in_their_place_in_urls() {
    let check = |template: &str, expected| check_text(template, TextKind::Url, expected);
    check(
        "https://x.test/o/{{ row.id }}?q={{ row.id }}&n={{row.n}}",
        Ok("https://x.test/o/w%2F1%20%3F%26%C3%BC?q=w%2F1%20%3F%26%C3%BC&n=-3"),
    );
    check("https://x.test/{{ op }}?q={{ row.id | url_encode }}", Ok("https://x.test/changed?q=w%2F1+%3F%26%C3%BC"));
    check("https://x.test/{% if row.n > 0 %}up{% else %}down{% endif %}", Ok("https://x.test/down"));
    check(
        "https://x.test?t={{ row.tags }}&none={{ row.none }}#{{ row.n }}",
        Ok("https://x.test?t=%5B%22a%22%5D&none=#-3"),
    );
    check("/orgs/{{ row.n }}", Ok("/orgs/-3"));
    check(
        "{% capture c %}a/{{ row.id }}{% endcapture %}https://x.test/{{ c }}",
        Ok("https://x.test/a%2Fw%2F1%20%3F%26%C3%BC"),
    );
    check("https://x.test/o/{{ row.none }}", Err("1:21: the value is NULL or empty"));
    check("https://x.test/{{ row.dots }}/x", Err("is `.` or `..`"));
    check("https://x.test/%2E{{ '.' }}", Err("is `.` or `..`"));
    check("https://{{ row.id }}.test/", Err("1:12: a value stands before the path"));
    check("{{ row.id }}", Err("1:4: a value stands before the path"));
    check("//{{ row.id }}/", Err("a value stands before the path"));
    check("https://x.test/{{ row.idd }}", Err("1:23: column `idd`"));
}

#[test]
fn values_stay_in_their_place_in_headers() {
    let check = |template: &str, expected| check_text(template, TextKind::Header, expected);
    check("{{ row.id }}; n={{ row.n | plus: 5 }}{{ row.none }}", Ok("w/1 ?&ü; n=2"));
    check("a {{ row.line }}", Err("1:6: the value has the control character U+000D"));
    check("a\nb", Err("the value has the control character U+000A"));
    check("{{ row.line | strip_newlines }}", Ok("aX-Admin: 1"));
}

#[test]
fn secrets_come_into_the_templates_own_text_only() {
    let orgs = row(vec![text("id", Some("${KEY}"))]);
    let written = "{% if row.id %}Bearer ${KEY}{% endif %} {{ row.id }}";
    let mut template = TextTemplate::compile(written, &orgs.schema, TextKind::Header).unwrap();
    let filled = template.map_text(|text| Ok::<_, ()>(text.replace("${KEY}", "{{ row.id }}")));
    assert_eq!(filled, Ok(()));
    let at = DateTime::from_timestamp_micros(AT).unwrap();
    let meta = Meta { job: "orgs", webhook_id: "nm_1", operation: "changed", at };
    let row = RowRef { schema: &orgs.schema, batch: &orgs.batch, row: 0 };
    assert_eq!(template.render(row, &meta).unwrap(), "Bearer {{ row.id }} ${KEY}");
    assert_eq!(template.map_text(|_| Err("no")), Err("no"));
    assert_eq!(format!("{template:?}"), "TextTemplate");
}

#[test]
fn a_batch_is_split_and_rendered_again() {
    let orgs: Vec<Row> =
        (0..3).map(|n| row(vec![text("id", Some(&format!("w{n}\""))), int("n", (n > 0).then_some(n))])).collect();
    let template = r#"{"job": "{{ job }}", "rows": [{% for r in rows %}
      {"id": "{{ r.id }}", "n": {{ r.n }}, "op": "{{ r.op }}", "m": {{ r.message_id }}}{% unless forloop.last %},{% endunless %}
    {% endfor %}], "all": {{ rows | json }}}"#;
    let compiled = BatchTemplate::compile(template, &orgs[0].schema).unwrap();
    let at = DateTime::from_timestamp_micros(AT).unwrap();
    let prepared: Vec<_> = orgs
        .iter()
        .enumerate()
        .map(|(at_row, org)| {
            let id = format!("nm_{at_row}");
            let meta = Meta { job: "orgs", webhook_id: &id, operation: "added", at };
            BatchTemplate::prepare(RowRef { schema: &org.schema, batch: &org.batch, row: 0 }, &meta)
        })
        .collect();
    let body = |rows: &[PreparedRow]| -> serde_json::Value {
        serde_json::from_str(&compiled.render(rows, &BatchMeta { job: "orgs", at }).unwrap()).unwrap()
    };
    let row = |n: i64| serde_json::json!({"id": format!("w{n}\""), "n": (n > 0).then_some(n), "op": "added", "m": format!("nm_{n}")});
    let plain = |n: i64| serde_json::json!({"id": format!("w{n}\""), "n": (n > 0).then_some(n)});
    assert_eq!(
        body(&prepared),
        serde_json::json!({"job": "orgs", "rows": [row(0), row(1), row(2)], "all": [plain(0), plain(1), plain(2)]})
    );
    assert_eq!(body(&prepared[1..2]), serde_json::json!({"job": "orgs", "rows": [row(1)], "all": [plain(1)]}));
    let problems = |template: &str| BatchTemplate::compile(template, &orgs[0].schema).unwrap_err()[0].clone();
    assert_eq!(
        problems("[{% for r in rows %}{{ r.idd }}{% endfor %}]").to_string(),
        "payload template 1:26: column `idd` is not in the extract"
    );
    assert!(problems("[{{ row.id }}]").hint.unwrap().contains("a batch has `rows`"));
    assert!(problems("[{{ op }}]").hint.unwrap().contains("a batch has `rows`"));
}

fn arbitrary_text() -> impl Strategy<Value = Option<String>> {
    let nasty = prop_oneof![
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just("{{ row.x }}".to_owned()),
        Just("{% raw %}".to_owned()),
        Just("\u{2028}\0\n\r\t".to_owned()),
        Just("\",\"admin\":true,\"x\":\"".to_owned()),
        any::<String>(),
    ];
    proptest::option::of(proptest::collection::vec(nasty, 0..4).prop_map(|parts| parts.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_value_breaks_a_body(a in arbitrary_text(), b in proptest::option::of(any::<i64>()), c in any::<f64>()) {
        let orgs = row(vec![text("a", a.as_deref()), int("b", b), float("c", c), json("d", "{\"k\":[1,\"\\\"\"]}")]);
        let template = r#"{"a":{{row.a}},"as":"<{{- row.a -}}>","au":{{row.a | append: ""}},"aj":{{row.a|json}},
            "ai":"{% if row.a %}{{ row.a | default: "" }}{% endif %}","b":{{row.b}},"bs":"{{row.b}}","c":{{row.c}},
            "d":{{row.d.k[1]}},"ds":"{{row.d}}"{% assign z = row.a %},"z":{{z}},"zs":"{{z}}"}"#;
        let text = a.clone().unwrap_or_default();
        // Both sides are read by the same parser, whose last digit is not exact.
        let number = serde_json::Number::from_f64(c).map_or(serde_json::Value::Null, |n| {
            if c == c.trunc() && c.abs() < 9.0e15 { (c as i64).into() } else { serde_json::from_str(&n.to_string()).unwrap() }
        });
        let expected = serde_json::json!({
            "a": a, "as": format!("<{text}>"), "au": text, "aj": a, "ai": text, "b": b,
            "bs": b.map(|b| b.to_string()).unwrap_or_default(), "c": number, "d": "\"",
            "ds": "{\"k\":[1,\"\\\"\"]}", "z": a, "zs": text,
        });
        let body = orgs.render(&liquid(template)).unwrap();
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap(), expected);

        let body = orgs.render(&flat(&[])).unwrap();
        let expected = serde_json::json!({"a": a, "b": b, "c": number, "d": {"k": [1, "\""]}});
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap(), expected);
    }
    /// A body is JSON or there is an error, whatever a template does with whatever a row has.
    #[test]
    fn any_row_and_any_expression_make_json_or_an_error(
        a in arbitrary_text(), b in proptest::option::of(any::<i64>()), c in any::<f64>(), d in any::<i64>(),
        tags in proptest::collection::vec(arbitrary_text(), 0..4),
        value in proptest::sample::select(vec!["row.a", "row.b", "row.c", "row.d", "row.tags", "row.tags[0]", "row", "'x'", "1.5", "nil", "(1..row.b)"]),
        filters in proptest::collection::vec(proptest::sample::select(vec![
            "abs", "ceil", "floor", "round: 3", "round: row.b", "plus: row.b", "minus: row.c", "times: row.d", "divided_by: row.b", "modulo: row.c",
            "append: row.a", "split: row.a", "slice: row.b, row.d", "truncate: row.b", "truncatewords: row.b", "replace: row.a, row.a",
            "date: row.a", "date: '%Y%10N%_d'", "json", "default: row.a", "sort", "uniq", "join: row.a", "map: row.a", "where: 'x', row.b",
            "concat: row.tags", "url_decode", "url_encode", "escape", "capitalize", "strip_html", "sum", "first", "last", "size",
        ]), 0..4),
    ) {
        let list = serde_json::to_string(&tags).unwrap();
        let orgs = row(vec![text("a", a.as_deref()), int("b", b), float("c", c), decimal("d", i128::from(d) * 1_000_000_007, 9), json("tags", &list)]);
        let filtered = filters.iter().fold(value.to_owned(), |text, filter| format!("{text} | {filter}"));
        let templates = [
            format!(r#"{{"x": {{{{ {filtered} }}}}, "y": "{{{{ {filtered} }}}}"}}"#),
            format!(r#"{{% assign v = {filtered} %}}{{"x": [{{% for i in v %}}{{{{ i }}}}{{% unless forloop.last %}},{{% endunless %}}{{% endfor %}}], "y": {{% if v > row.b or v contains row.a %}}1{{% else %}}{{{{ v.size }}}}{{% endif %}}}}"#),
            format!("[{{% for i in row.tags %}}{{{{ i | {} }}}}{{% endfor %}}]", filters.first().unwrap_or(&"json")),
        ];
        for template in templates {
            if let Ok(body) = orgs.render(&liquid(&template)) {
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok(), "{}: {}", template, body);
            }
        }
    }

    /// No template, however odd, brings the compiler down.
    #[test]
    fn any_template_compiles_or_says_why(parts in proptest::collection::vec(proptest::sample::select(vec![
        "{{", "}}", "{%", "%}", "-", "if ", "endif", "for x in ", "row", ".a", "endfor", "[", "]", "\"", "'", "|", ":", "default", "1", "..", "(", ")",
        " ", "\n", "é", "raw", "endraw", "case ", "when ", "endcase", "liquid ", "assign x = ", "\\", "forloop", ".last", "#", ",", "cycle ", "{", "}",
    ]), 0..14)) {
        let orgs = row(vec![text("a", Some("x"))]);
        if let Ok(template) = orgs.compile(&liquid(&parts.concat())) {
            let meta = Meta { job: "orgs", webhook_id: "nm_1", operation: "changed", at: DateTime::from_timestamp_micros(AT).unwrap() };
            if let Ok(body) = template.render(RowRef { schema: &orgs.schema, batch: &orgs.batch, row: 0 }, &meta) {
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok(), "{}: {}", parts.concat(), body);
            }
        }
    }
}

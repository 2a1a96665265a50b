//! URLs, headers and batches.

use super::*;

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
        (Err(error), Err(expected)) => {
            assert!(error.contains(expected), "{template}: {error}");
        }
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

//! No value that can break a body, and no template that can bring the compiler down.

use super::*;
use proptest::prelude::*;

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

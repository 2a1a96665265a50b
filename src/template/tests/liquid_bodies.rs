//! Liquid: what comes out, what is wrong with a template, and what a row that fails says.

use super::*;

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

//! NDJSON: kinds, nested values, and faults named by line.

use super::{Case, Table, schema};
use arrow::array::AsArray;
use arrow::datatypes::DataType;
use nightmark::job::spec::FileFormat;
use nightmark::row::Kind;
use nightmark::source::{KIND_JSON, KIND_KEY, Typing};

#[test]
fn ndjson_values() {
    let extract = Case::ndjson("{\"id\":\"a\",\"n\":1,\"f\":1}\r\n\n{\"id\":\"b\",\"f\":2.5,\"ok\":true}\n")
        .check(&["a|1|1.0|NULL", "b|NULL|2.5|true"]);
    assert_eq!(extract.typing, Typing::Declared);
    assert!(extract.input.is_none());
    Case::ndjson("{\"id\":1}\n{\"id\":\"b\"}\n").check(&["1", "b"]);
    Case::ndjson("\u{feff}{\"id\":1}").check(&["1"]);
    Case::ndjson("").check(&[]);
    Case::ndjson("\n \n").query("SELECT id FROM extract").pinned(&[("id", Kind::Int)]).check(&[]);
    let late: String = (0..3000).map(|n| format!("{{\"id\":{n}}}\n")).collect();
    let extract = Case::ndjson(&format!("{late}{{\"id\":1,\"late\":\"x\"}}\n")).read().unwrap();
    assert_eq!(extract.batch.column(1).as_string_view().value(3000), "x");
    Case::new(FileFormat::Ndjson, "*.ndjson")
        .file("a.ndjson", "{\"id\":1}")
        .file("b.ndjson", "{\"id\":2,\"n\":\"x\"}")
        .check(&["1|NULL", "2|x"]);
}

/// Each column's `nightmark.kind`.
fn marks(extract: &Table) -> Vec<Option<&str>> {
    extract.schema.fields().iter().map(|f| f.metadata().get(KIND_KEY).map(String::as_str)).collect()
}

const NESTED: &str = r#"{"id":1,"flags":{"a":true, "z":1.50},"tags":["x",1]}
{"id":2,"flags":{"b":{"c":9007199254740993}},"tags":[]}
{"id":3,"flags":null}
"#;

#[test]
fn nested_values_are_the_json_of_their_own_line() {
    let expected = [r#"1|{"a":true, "z":1.50}|["x",1]"#, r#"2|{"b":{"c":9007199254740993}}|[]"#, "3|NULL|NULL"];
    let extract = Case::ndjson(NESTED).check(&expected);
    assert_eq!(marks(&extract), [None, Some(KIND_JSON), Some(KIND_JSON)]);
    assert!(extract.schema.fields().iter().skip(1).all(|f| *f.data_type() == DataType::Utf8View));
    // A value beside nested ones is JSON as well.
    let extract = Case::ndjson("{\"v\":[1]}\n{\"v\":\"a\\\"\"}\n{\"v\":2.0}\n").check(&["[1]", "\"a\\\"\"", "2.0"]);
    assert_eq!(marks(&extract), [Some(KIND_JSON)]);
}

#[test]
fn nested_values_go_through_a_model_as_they_are() {
    let case = |query: &str| Case::ndjson(NESTED).query(query);
    let expected = [r#"1|{"a":true, "z":1.50}|["x",1]"#, r#"2|{"b":{"c":9007199254740993}}|[]"#, "3|NULL|NULL"];
    let extract = case("SELECT * FROM extract").check(&expected);
    assert_eq!(marks(&extract), [None, Some(KIND_JSON), Some(KIND_JSON)]);
    assert_eq!(extract.input, Some(schema(&[("id", Kind::Int), ("flags", Kind::Json), ("tags", Kind::Json)])));
    case("SELECT DISTINCT * FROM extract WHERE flags IS NOT NULL ORDER BY id").check(&expected[..2]);
    let renamed = "SELECT e.id, t.f AS g, e.tags.\"$json\" AS tags FROM extract AS e \
                   LEFT JOIN (SELECT id + 1 AS id, flags AS f FROM extract) AS t ON e.id = t.id ORDER BY e.id";
    let extract = case(renamed).check(&[
        r#"1|NULL|["x",1]"#,
        r#"2|{"a":true, "z":1.50}|[]"#,
        r#"3|{"b":{"c":9007199254740993}}|NULL"#,
    ]);
    assert_eq!(marks(&extract), [None, Some(KIND_JSON), None]);
    let extract = case("SELECT flags.a, flags.z * 2 AS z, flags.b AS b, flags.b.c AS c FROM extract").check(&[
        "true|3.0|NULL|NULL",
        r#"NULL|NULL|{"c":9007199254740993}|9007199254740993"#,
        "NULL|NULL|NULL|NULL",
    ]);
    assert_eq!(marks(&extract), [None, None, Some(KIND_JSON), None]);
    let error = case("SELECT ARRAY_AGG(flags) AS all_flags FROM extract").read().unwrap_err();
    assert!(error.message.contains("`all_flags` collects nested JSON values"), "{error}");
}

#[test]
fn members_without_one_type_stay_json() {
    let mixed = "{\"o\":{\"m\":true,\"n\":0.5}}\n{\"o\":{\"m\":1,\"n\":9007199254740993}}\n{\"o\":{}}\n";
    let extract = Case::ndjson(mixed).query("SELECT o.m, o.n FROM extract");
    assert_eq!(marks(&extract.check(&["true|0.5", "1|9007199254740993", "NULL|NULL"])), [Some(KIND_JSON); 2]);
    // Keys that are data are no members.
    let map: String = (0..300).map(|n| format!("{{\"o\":{{\"k{n}\":{n}}}}}\n")).collect();
    let extract = Case::ndjson(&map).query("SELECT * FROM extract").read().unwrap();
    assert_eq!(extract.batch.column(0).as_string_view().value(299), "{\"k299\":299}");
    Case::ndjson(&map).query("SELECT o.k1 FROM extract").read().unwrap_err();
}

#[test]
fn integers_are_never_rounded() {
    let ids = "{\"id\":9007199254740993}\n{\"id\":9007199254740995}\n";
    Case::ndjson(&format!("{ids}{{\"id\":7.0}}\n")).check(&["9007199254740993", "9007199254740995", "7"]);
    Case::ndjson(&format!("{ids}{{\"id\":7.5}}\n")).check_error(
        "orgs.ndjson, line 1: `id` cannot be read exactly: a column with fractions holds integers up to 2^53, not \
         9007199254740993 (write it as a string); the fraction is 7.5 in line 3",
    );
    Case::new(FileFormat::Ndjson, "*.ndjson").file("a.ndjson", ids).file("b.ndjson", "\n{\"id\":0.5}").check_error(
        "a.ndjson, line 1: `id` cannot be read exactly: a column with fractions holds integers up to 2^53, not \
         9007199254740993 (write it as a string); the fraction is 0.5 in b.ndjson, line 2",
    );
    let pinned = |kind| Case::ndjson(ids).query("SELECT * FROM extract").pinned(&[("id", kind)]);
    pinned(Kind::Text).check(&["9007199254740993", "9007199254740995"]);
    pinned(Kind::Float).check_error(
        "orgs.ndjson has 2 faulty lines:\n  line 1: column `id` is float, found 9007199254740993\n  \
         line 2: column `id` is float, found 9007199254740995",
    );
    Case::ndjson("{\"id\":1.50}\n{\"id\":18446744073709551615}\n{\"id\":\"x\"}\n").check(&[
        "1.50",
        "18446744073709551615",
        "x",
    ]);
}

#[test]
fn ndjson_faults_are_named_by_line() {
    Case::ndjson("{\"id\":1}\n\n{\"id\":2,}\n{\"id\":3\n").check_error(
        "orgs.ndjson has 2 faulty lines:\n  line 3: not valid JSON: trailing comma (column 9)\n  \
         line 4: not valid JSON: EOF while parsing an object (column 7)",
    );
    Case::ndjson("{\"id\":1}\n[1]\n").check_error("orgs.ndjson, line 2: not a JSON object but an array");
    Case::ndjson("{\"id\":1}\nnull\n").check_error("orgs.ndjson, line 2: not a JSON object but null");
    Case::new(FileFormat::Ndjson, "a.ndjson")
        .file("a.ndjson", b"{\"id\":1}\n{\"id\":\"\xe9\"}\n")
        .check_error("a.ndjson, line 2: not valid UTF-8");
    Case::ndjson("{\"id\":1}\n{\"id\":18446744073709551615}\n").check_error(
        "orgs.ndjson, line 2: `id` is too large: 18446744073709551615 does not fit a signed 64-bit integer (write it as \
         a string)",
    );
    Case::ndjson("{\"o\":{\"id\":[18446744073709551616]}}\n").check_error(
        "orgs.ndjson, line 1: `o`: 18446744073709551616 does not fit a signed 64-bit integer (write it as a string)",
    );
    let mixed = "{\"id\":true}\n{\"id\":2,\"n\":1}\n{\"n\":false}\n";
    let error = Case::ndjson(mixed).check_error(
        "orgs.ndjson has 2 faulty lines:\n  line 2: `id` is a number, but a bool in line 1\n  \
         line 3: `n` is a bool, but a number in line 2",
    );
    assert_eq!(error.hint.as_deref(), Some("write a field's values as the same JSON type on every line"));
    Case::ndjson("{\"n\":1e999}\n").check_error("orgs.ndjson, line 1: `n`: 1e999 does not fit a double");
    Case::ndjson("{\"t\":\"\\ud800\"}\n").read().unwrap_err();
    let deep = format!("{{\"d\":{}{}}}\n", "[".repeat(200), "]".repeat(200));
    assert!(Case::ndjson(&deep).read().unwrap_err().message.contains("recursion limit"));
}

#[test]
fn ndjson_pins() {
    let case = |text: &str, pins: &[(&str, Kind)]| Case::ndjson(text).query("SELECT * FROM extract").pinned(pins);
    let extract = case("{\"id\":1,\"n\":2}\n", &[("id", Kind::Text), ("n", Kind::Float)]).check(&["1|2.0"]);
    assert_eq!(extract.input, Some(schema(&[("id", Kind::Text), ("n", Kind::Float)])));
    case("{\"n\":1}\n{\"n\":1.5}\n{\"n\":\"x\"}\n", &[("n", Kind::Int)]).check_error(
        "orgs.ndjson has 2 faulty lines:\n  line 2: column `n` is int, found 1.5\n  line 3: column `n` is int, found \"x\"",
    );
    case("{\"n\":{}}\n", &[("n", Kind::Int)]).read().unwrap_err();
    // A pinned column that no line has is gone: a query that needs it fails, and its pin stays.
    let extract = case("{\"n\":1}\n", &[("m", Kind::Int)]).check(&["1"]);
    assert_eq!(extract.input, Some(schema(&[("n", Kind::Int), ("m", Kind::Int)])));
    case("{\"n\":1}\n", &[("m", Kind::Int)]).query("SELECT m FROM extract").read().unwrap_err();
    case("{\"n\":7.0}\n{\"n\":-0}\n", &[("n", Kind::Int)]).check(&["7", "0"]);
    case("{\"n\":\"a\"}\n{\"n\":null}\n", &[("n", Kind::Json)]).check(&["\"a\"", "NULL"]);
    let extract = case("{\"id\":1,\"n\":null}\n", &[("id", Kind::Int), ("n", Kind::Int)]).check(&["1|NULL"]);
    assert_eq!(extract.input, Some(schema(&[("id", Kind::Int), ("n", Kind::Int)])));
}

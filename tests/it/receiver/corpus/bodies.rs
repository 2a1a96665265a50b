//! Bodies: damaged ones, and sound ones that mean nothing.

use super::values::{self, Fault};
use super::{Case, Expected, Keys, Place};
use serde_json::{Value, json};

/// What makes a body an update of a stored org by the templates of either key. Were it ever read, the org would change.
const UPDATE: &str = r#""workspace_id":"kept","groupId":"kept","type":"group","userId":"u","workspace_name":"changed","user_count":99,"traits":{"name":"changed","employees":99}"#;

/// The places of a body where a bad value may stand, each with what stands before and behind it.
fn positions() -> [(&'static str, String, String); 6] {
    let at = |name, before: &str, after: &str| (name, before.to_owned(), after.to_owned());
    [
        at("alone", "", ""),
        at("in a member", &format!("{{{UPDATE},\"x\":"), "}"),
        at("in the first member", "{\"x\":", &format!(",{UPDATE}}}")),
        at("in an array", &format!("{{{UPDATE},\"x\":[1,"), ",2]}"),
        at("deeper", &format!("{{{UPDATE},\"x\":{{\"y\":[0,{{\"z\":"), "}]}}"),
        at("in a field", "{\"workspace_id\":\"kept\",\"groupId\":\"kept\",\"type\":\"group\",\"workspace_name\":", "}"),
    ]
}

/// Every bad value at every position, at every place that takes bodies, alone and as one of many events.
pub fn bad_values(keys: &Keys, cases: &mut Vec<Case>) {
    for value in values::all() {
        for (position, before, after) in positions() {
            let body = [before.as_bytes(), &value.bytes, after.as_bytes()].concat();
            let name = format!("{} {position}", value.name);
            for place in keys.few() {
                cases.push(Case::new(&name, place, &body, Expected::Refused(400)));
            }
            // Nothing between brackets is an empty list, which is sound.
            if !body.is_empty() {
                as_one_of_many(keys, &name, &body, value.fault, cases);
            }
        }
    }
}

/// The same event in an array and in a batch.
fn as_one_of_many(keys: &Keys, name: &str, event: &[u8], fault: Fault, cases: &mut Vec<Case>) {
    let batch = match fault {
        Fault::Syntax => Expected::Refused(400),
        Fault::Strict => Expected::NothingStored,
    };
    let wrapped = |before: &str, after: &str| [before.as_bytes(), event, after.as_bytes()].concat();
    cases.push(Case::new(name, keys.batch(), &wrapped("{\"batch\":[", "]}"), batch));
    cases.push(Case::new(name, keys.webhook(), &wrapped("[", "]"), Expected::Refused(400)));
}

/// Sound bodies cut at each byte.
pub fn cut(keys: &Keys, cases: &mut Vec<Case>) {
    let flat = super::GUIDE_BODY.trim_end();
    let group = super::GROUP_BODY.trim_end();
    let batch = format!(
        "{{\"batch\":[{group},{{\"type\":\"track\",\"event\":\"\u{e9}\"}}],\"sentAt\":\"2026-01-15T10:30:00Z\"}}"
    );
    let array = format!("[{flat},\n{flat}]");
    let bodies = [
        (keys.webhook(), flat),
        (keys.segment(), group),
        (keys.webhook(), &array),
        (keys.sdk("group"), group),
        (keys.sdk("track"), group),
        (keys.batch(), &batch),
    ];
    for (place, body) in bodies {
        for length in 0..body.len() {
            cases.push(Case::new(
                &format!("cut at {length}"),
                place.clone(),
                &body.as_bytes()[..length],
                Expected::Refused(400),
            ));
        }
    }
}

/// What stands before, behind or instead of a sound body, and other ways of writing it.
pub fn around(keys: &Keys, cases: &mut Vec<Case>) {
    let good = format!("{{{UPDATE}}}");
    let utf16 = |big: bool| -> Vec<u8> {
        let unit = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
        "\u{feff}".encode_utf16().chain(good.encode_utf16()).flat_map(unit).collect()
    };
    let utf32: Vec<u8> = good.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("byte order mark", [b"\xef\xbb\xbf", good.as_bytes()].concat()),
        ("UTF-16, little endian", utf16(false)),
        ("UTF-16, big endian", utf16(true)),
        ("UTF-32", utf32),
        ("UTF-7", good.replace('{', "+AHs-").into_bytes()),
        ("NUL behind", format!("{good}\0").into_bytes()),
        ("NUL before", format!("\0{good}").into_bytes()),
        ("twice", format!("{good}{good}").into_bytes()),
        ("two lines", format!("{good}\n{good}").into_bytes()),
        ("comma behind", format!("{good},").into_bytes()),
        ("brace behind", format!("{good}}}").into_bytes()),
        ("bracket behind", format!("{good}]").into_bytes()),
        ("semicolon behind", format!("{good};").into_bytes()),
        ("text behind", format!("{good} ok").into_bytes()),
        ("a guard before", format!(")]}}',\n{good}").into_bytes()),
        ("a call around", format!("callback({good})").into_bytes()),
        ("a record separator before", format!("\x1e{good}").into_bytes()),
        ("base64", b"eyJ3b3Jrc3BhY2VfaWQiOiJrZXB0In0=".to_vec()),
        ("JSON in a string", json!(good).to_string().into_bytes()),
        ("a form", b"workspace_id=kept&workspace_name=changed".to_vec()),
        ("a form with JSON", format!("payload={good}").into_bytes()),
        ("XML", b"<?xml version=\"1.0\"?><org><workspace_id>kept</workspace_id></org>".to_vec()),
        ("an entity bomb", b"<!DOCTYPE a [<!ENTITY b \"bb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>".to_vec()),
        ("YAML", b"workspace_id: kept\nworkspace_name: changed\n".to_vec()),
        ("MessagePack", b"\x81\xacworkspace_id\xa4kept".to_vec()),
        ("CBOR", b"\xa1\x6cworkspace_id\x64kept".to_vec()),
        (
            "multipart",
            b"--b\r\nContent-Disposition: form-data; name=\"workspace_id\"\r\n\r\nkept\r\n--b--\r\n".to_vec(),
        ),
        ("Python", b"{'workspace_id': 'kept', 'x': None}".to_vec()),
        ("single quotes", good.replace('"', "'").into_bytes()),
        ("typographic quotes", good.replace('"', "\u{201d}").into_bytes()),
        ("keys without quotes", b"{workspace_id: \"kept\"}".to_vec()),
        ("white space alone", b" \t\r\n ".to_vec()),
        ("a number", b"7".to_vec()),
        ("null", b"null".to_vec()),
        ("a string", b"\"kept\"".to_vec()),
        ("a template that was not filled in", b"{\"workspace_id\": \"kept\", \"mrr\": {{row.mrr}}}".to_vec()),
        ("a template filled in with nothing", b"{\"workspace_id\": \"kept\", \"mrr\": }".to_vec()),
        (
            "an id twice",
            b"{\"workspace_id\":\"kept\",\"groupId\":\"kept\",\"workspace_id\":\"kept\",\"groupId\":\"kept\"}".to_vec(),
        ),
        (
            "an id twice, escaped",
            b"{\"workspace_id\":\"kept\",\"groupId\":\"kept\",\"workspace\\u005fid\":\"kept\",\"group\\u0049d\":\"x\"}"
                .to_vec(),
        ),
    ];
    for (name, body) in bodies {
        for place in keys.single().into_iter().chain([keys.batch()]) {
            cases.push(Case::new(name, place, &body, Expected::Refused(400)));
        }
    }
}

/// Sound JSON that names no org.
pub fn without_an_org(keys: &Keys, cases: &mut Vec<Case>) {
    let bodies = [
        "{}",
        "{\"\":\"kept\"}",
        "{\"workspace_name\":\"changed\",\"traits\":{\"name\":\"changed\"}}",
        "{\"workspace_id\":null,\"groupId\":null}",
        "{\"Workspace_ID\":\"kept\",\"GroupId\":\"kept\"}",
        "{\"workspace_id \":\"kept\",\"groupId \":\"kept\"}",
        "{\" workspace_id\":\"kept\",\" groupId\":\"kept\"}",
        "{\"workspaceId\":\"kept\",\"group_id\":\"kept\"}",
        "{\"data\":{\"workspace_id\":\"kept\",\"groupId\":\"kept\"}}",
        "{\"traits\":{\"groupId\":\"kept\"}}",
        "{\"__proto__\":{\"workspace_id\":\"kept\",\"groupId\":\"kept\"}}",
        "{\"constructor\":{\"prototype\":{\"workspace_id\":\"kept\",\"groupId\":\"kept\"}}}",
        "{\"prototype\":{\"groupId\":\"kept\",\"workspace_id\":\"kept\"}}",
        "{\"workspace_id.\":\"kept\",\"groupId.\":\"kept\"}",
        "{\"workspace_id[0]\":\"kept\",\"groupId[]\":\"kept\"}",
        "{\"$ne\":null}",
        "{\"workspace\u{5f}\u{443}d\":\"kept\",\"group\u{406}d\":\"kept\"}",
        "{\"workspace_i\u{200b}d\":\"kept\",\"group\u{ad}Id\":\"kept\"}",
    ];
    for body in bodies {
        cases.push(Case::new(body, keys.webhook(), body.as_bytes(), Expected::Refused(400)));
        cases.push(Case::new(body, keys.segment(), body.as_bytes(), Expected::Refused(400)));
        cases.push(Case::new(body, keys.sdk("group"), body.as_bytes(), Expected::NothingStored));
        let array = format!("[{body},{body}]");
        cases.push(Case::new(&array, keys.segment(), array.as_bytes(), Expected::Refused(400)));
        let batch = format!("{{\"batch\":{array}}}");
        cases.push(Case::new(&batch, keys.batch(), batch.as_bytes(), Expected::NothingStored));
    }
    for array in [
        "[null]",
        "[7,\"a\",true]",
        "[[]]",
        "[[{\"workspace_id\":\"kept\"}]]",
        "[\"kept\"]",
        "[{\"workspace_id\":[\"kept\"]}]",
    ] {
        cases.push(Case::new(array, keys.webhook(), array.as_bytes(), Expected::Refused(400)));
        let batch = format!("{{\"batch\":{array}}}");
        cases.push(Case::new(&batch, keys.batch(), batch.as_bytes(), Expected::NothingStored));
    }
}

/// Values of a kind that the field does not have.
pub fn wrong_kinds(keys: &Keys, cases: &mut Vec<Case>) {
    let (flag, fraction, text, list, map) = (json!(true), json!(1.5), json!("ten"), json!([1]), json!({"a": 1}));
    let no_text = vec![flag.clone(), json!(7), fraction.clone(), list.clone(), map.clone()];
    let no_integer = vec![
        flag.clone(),
        fraction.clone(),
        text.clone(),
        json!("10"),
        json!(""),
        list.clone(),
        map.clone(),
        json!(u64::MAX),
        json!(1e17),
        json!(-0.5),
    ];
    let no_status = vec![
        flag.clone(),
        json!(1),
        list.clone(),
        map.clone(),
        json!("Active"),
        json!(" active"),
        json!("trial"),
        json!("active,expired"),
    ];
    let no_time = vec![
        flag.clone(),
        json!(1_768_473_000),
        fraction.clone(),
        list.clone(),
        map.clone(),
        json!("yesterday"),
        json!("2026-01-15"),
        json!("2026-13-01T00:00:00Z"),
        json!("2026-02-30T00:00:00Z"),
        json!("2026-01-15T25:00:00Z"),
        json!("2026-01-15T10:30:00"),
        json!("10:30"),
        json!("+99999-01-01T00:00:00Z"),
    ];
    let no_id = vec![
        flag.clone(),
        fraction,
        json!(10.0),
        list.clone(),
        map,
        json!(""),
        json!("x".repeat(256)),
        json!("\u{e9}".repeat(128)),
        json!(1e300),
    ];
    let no_object = vec![flag, json!(1), text, list];
    let mut no_count = no_integer.clone();
    no_count.extend([json!(-1), json!(i64::MIN)]);
    let fields = [
        ("id", no_id),
        ("name", no_text.clone()),
        ("plan_id", no_text.clone()),
        ("plan_name", no_text),
        ("user_count", no_count),
        ("mrr", no_integer),
        ("trial_status", no_status),
        ("last_active_at", no_time),
        ("feature_flags", no_object),
    ];
    for (field, values) in fields {
        for value in values {
            for (place, is_sdk) in keys.every_field() {
                let body = (place.body)(field, &value).to_string();
                let expected = if is_sdk { Expected::NothingStored } else { Expected::Refused(400) };
                cases.push(Case::new(&format!("{field} is {value:.40}"), place.place, body.as_bytes(), expected));
            }
        }
    }
    // Each control character in an id.
    for code in (1..0x20).chain(0x7f..0xa0) {
        let body =
            json!({"workspace_id": format!("ke{}pt", char::from_u32(code).unwrap()), "workspace_name": "changed"})
                .to_string();
        cases.push(Case::new(
            &format!("U+{code:04X} in an id"),
            keys.webhook(),
            body.as_bytes(),
            Expected::Refused(400),
        ));
    }
}

/// Bodies for `/v1/batch` that are no batch, and too much of everything.
pub fn no_batches_and_too_much(keys: &Keys, cases: &mut Vec<Case>) {
    for body in [
        "{}",
        "{\"batch\":null}",
        "{\"batch\":{}}",
        "{\"batch\":\"x\"}",
        "{\"batch\":7}",
        "{\"Batch\":[]}",
        "{\"batch\":[],\"batch\":[]}",
        "[]",
        "[[]]",
        "{\"batch\":[]}]",
        "{\"batches\":[]}",
        "{\"data\":{\"batch\":[]}}",
        "[{\"batch\":[]}]",
        "{\"batch\":[{}}",
        "{\"batch\":[{}],}",
    ] {
        cases.push(Case::new(body, keys.batch(), body.as_bytes(), Expected::Refused(400)));
    }
    // Beside the events stands what is passed over.
    for beside in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"] {
        let body = [b"{\"context\":{\"x\":\"", beside, b"\"},\"batch\":[]}"].concat();
        cases.push(Case::new("no UTF-8 beside the events", keys.batch(), &body, Expected::Refused(400)));
        let key = [b"{\"", beside, b"\":1,\"batch\":[]}"].concat();
        cases.push(Case::new("a member that is no UTF-8", keys.batch(), &key, Expected::Refused(400)));
    }
    let padded = |size: usize| format!("{{{UPDATE}}}{}", " ".repeat(size - UPDATE.len() - 2));
    let (one, many) = (nightmark::receiver::MAX_BODY, nightmark::receiver::MAX_BATCH_BODY);
    for place in keys.single() {
        cases.push(Case::new("one byte too much", place, padded(one + 1).as_bytes(), Expected::Refused(413)));
    }
    let list = |count: usize| format!("[{}{{}}]", "{},".repeat(count));
    let events = nightmark::receiver::MAX_EVENTS;
    cases.push(Case::new(
        "an event too many",
        keys.batch(),
        format!("{{\"batch\":{}}}", list(events)).as_bytes(),
        Expected::Refused(413),
    ));
    cases.push(Case::new("an element too many", keys.webhook(), list(events).as_bytes(), Expected::Refused(413)));
    cases.push(Case::new(
        "a long array of nothing",
        keys.webhook(),
        list(events - 1).as_bytes(),
        Expected::Refused(400),
    ));
    let string = format!("{{\"workspace_id\":\"{}\"}}", "x".repeat(one));
    cases.push(Case::new("a long string", keys.webhook(), string.as_bytes(), Expected::Refused(413)));
    cases.push(Case::new(
        "a batch too long",
        keys.batch(),
        format!("{{\"batch\":[]}}{}", " ".repeat(many)).as_bytes(),
        Expected::Refused(413),
    ));
    cases.push(Case::new(
        "an array too long",
        keys.webhook(),
        format!("[{}]", " ".repeat(many)).as_bytes(),
        Expected::Refused(413),
    ));
    let event = format!("{{\"type\":\"group\",\"groupId\":\"kept\",\"x\":\"{}\"}}", "x".repeat(one));
    cases.push(Case::new(
        "an event too long",
        keys.batch(),
        format!("{{\"batch\":[{event}]}}").as_bytes(),
        Expected::NothingStored,
    ));
}

/// A place whose bodies name every field.
pub struct Fields {
    pub place: Place,
    /// A body in which a field has the value.
    pub body: fn(&str, &Value) -> Value,
}

impl Keys {
    /// Where one event is posted, as `full` and `events` templates read it, and whether it is a call of an SDK.
    fn every_field(&self) -> Vec<(Fields, bool)> {
        fn flat(field: &str, value: &Value) -> Value {
            let mut body = json!({"id": "kept", "name": "changed"});
            body[field] = value.clone();
            body
        }
        fn batch(field: &str, value: &Value) -> Value {
            let mut event = flat(field, value);
            event["type"] = json!("group");
            json!({"batch": [event]})
        }
        fn array(field: &str, value: &Value) -> Value {
            json!([flat(field, value)])
        }
        vec![
            (Fields { place: Place::webhook(&self.full), body: flat }, false),
            (Fields { place: Place::webhook(&self.full), body: array }, false),
            (Fields { place: Place::sdk("group", &self.full), body: flat }, true),
            (Fields { place: Place::sdk("batch", &self.full), body: batch }, true),
        ]
    }
}

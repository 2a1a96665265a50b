//! Finds what stands at a template's paths in one pass over a body, without building the rest of it.

use super::extract::judge;
use super::json::{Keep, Key, Keys, Strict, body_by, may_be_wide, no_nul};
use super::{PayloadTemplate, Reading, Unfit};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::fmt;

/// A template with its paths laid out for reading bodies. Shared between threads.
#[derive(Debug, Clone)]
pub struct Mapping {
    template: PayloadTemplate,
    root: Node,
    slots: usize,
}

/// Which paths lead to something in a body, nulls included, in the order of [`PayloadTemplate::paths`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen(pub Vec<bool>);

/// A place in a body that paths lead to or through.
#[derive(Debug, Clone, Default)]
struct Node {
    /// The paths that end here. Two fields may have the same path.
    slots: Vec<usize>,
    children: Vec<(String, Node)>,
}

impl Node {
    fn insert(&mut self, segments: &[String], slot: usize) {
        let Some((first, rest)) = segments.split_first() else { return self.slots.push(slot) };
        let at = self.children.iter().position(|(name, _)| name == first).unwrap_or_else(|| {
            self.children.push((first.clone(), Node::default()));
            self.children.len() - 1
        });
        self.children[at].1.insert(rest, slot);
    }

    fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|(child, _)| child == name).map(|(_, node)| node)
    }
}

impl Mapping {
    /// Lays a template out.
    pub fn new(template: PayloadTemplate) -> Mapping {
        let (mut root, mut slots) = (Node::default(), 0);
        for (_, path) in template.paths().chain(template.envelope.paths()) {
            root.insert(path.segments(), slots);
            slots += 1;
        }
        Mapping { template, root, slots }
    }

    /// The template.
    pub fn template(&self) -> &PayloadTemplate {
        &self.template
    }

    /// What a body means, as the receiver takes it.
    ///
    /// # Errors
    /// Why it is answered 400.
    pub fn read(&self, body: &[u8]) -> Result<Reading, Unfit> {
        let mut found = self.find(body, Keep::All)?;
        judge(&self.template, |slot, _| found[slot].take())
    }

    /// Whether the receiver would take a body, and which of the paths lead to something in it. `None`: it would ignore it.
    ///
    /// # Errors
    /// Why it would be answered 400.
    pub fn check(&self, body: &[u8]) -> Result<Option<Seen>, Unfit> {
        let mut found = self.find(body, Keep::Kind)?;
        let fields = self.slots - self.template.envelope.paths().count();
        let seen = Seen(found.iter().take(fields).map(Option::is_some).collect());
        let reading = judge(&self.template, |slot, _| found[slot].take())?;
        Ok((reading != Reading::Ignored).then_some(seen))
    }

    /// What stands at each path.
    fn find(&self, body: &[u8], keep: Keep) -> Result<Vec<Option<Value>>, Unfit> {
        let mut found = vec![None; self.slots];
        let wide = Cell::new(false);
        let inside = Strict { keep, depth: 0, wide: &wide };
        let at = At { node: &self.root, inside, found: &mut found };
        match body_by("the body", body, at, &wide).map_err(Unfit::Body)? {
            true => Ok(found),
            false => Err(Unfit::NoObject),
        }
    }
}

/// Reads the value at a node. Yields whether it is an object.
struct At<'a, 'c> {
    node: &'a Node,
    inside: Strict<'c>,
    found: &'a mut [Option<Value>],
}

impl At<'_, '_> {
    fn nothing(&self) -> Strict<'_> {
        Strict { keep: Keep::Nothing, ..self.inside }
    }
}

impl<'de> DeserializeSeed<'de> for At<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        if self.node.slots.is_empty() {
            return deserializer.deserialize_any(self);
        }
        // What other paths lead through is kept whole: they are looked up in it.
        let keep = if self.node.children.is_empty() { self.inside.keep } else { Keep::All };
        let value = Strict { keep, ..self.inside }.deserialize(deserializer)?;
        let is_object = value.is_object();
        if let Value::Object(object) = &value {
            look_up(self.node, object, self.found);
        }
        put(self.node, value, self.found);
        Ok(is_object)
    }
}

/// Puts a value where the paths that end at `node` have it.
fn put(node: &Node, value: Value, found: &mut [Option<Value>]) {
    let Some((last, others)) = node.slots.split_last() else { return };
    for slot in others {
        found[*slot] = Some(value.clone());
    }
    found[*last] = Some(value);
}

/// The same for the paths that lead through `node`, in a value that was built.
fn look_up(node: &Node, object: &Map<String, Value>, found: &mut [Option<Value>]) {
    for (name, child) in &node.children {
        let Some(value) = object.get(name) else { continue };
        if let Value::Object(inner) = value {
            look_up(child, inner, found);
        }
        put(child, value.clone(), found);
    }
}

impl<'de> Visitor<'de> for At<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<bool, E> {
        if may_be_wide(value) {
            self.inside.wide.set(true);
        }
        Ok(false)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<bool, E> {
        no_nul(value).map(|()| false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<bool, A::Error> {
        self.nothing().visit_seq(items).map(|_| false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<bool, A::Error> {
        let inside = self.inside.enter()?;
        let passed = Strict { keep: Keep::Nothing, ..inside };
        let mut keys = Keys::default();
        while let Some(key) = entries.next_key_seed(Key)? {
            let node = self.node.child(&key);
            keys.insert(key)?;
            if let Some(node) = node {
                entries.next_value_seed(At { node, inside, found: &mut *self.found })?;
            } else {
                entries.next_value_seed(passed)?;
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{Envelope, Field, OrgPatch, Patch, extract, parse_strict};
    use proptest::prelude::*;
    use serde_json::json;

    fn mapping(toml: &str) -> Mapping {
        Mapping::new(PayloadTemplate::from_toml_text(toml).expect("valid"))
    }

    /// What a receiver that builds the whole body would say.
    fn by_parsing(template: &PayloadTemplate, body: &[u8]) -> Result<Reading, String> {
        match parse_strict(body)? {
            Value::Object(payload) => extract(template, &payload),
            _ => Err("the body must be a JSON object".to_owned()),
        }
    }

    #[track_caller]
    fn check_reading(mapping: &Mapping, body: &[u8]) -> Result<Reading, String> {
        let shown: String = String::from_utf8_lossy(body).chars().take(200).collect();
        let read = mapping.read(body).map_err(|unfit| unfit.to_string());
        assert_eq!(read, by_parsing(mapping.template(), body), "{shown}");
        let checked = mapping.check(body).map(|seen| seen.is_some()).map_err(|unfit| unfit.to_string());
        assert_eq!(checked, read.clone().map(|reading| reading != Reading::Ignored), "{shown}");
        read
    }

    #[track_caller]
    fn check(mapping: &Mapping, body: &[u8]) -> Result<OrgPatch, String> {
        Ok(check_reading(mapping, body)?.update().expect("an update").patch)
    }

    #[test]
    fn paths_through_and_at_the_same_value() {
        let mapping = mapping(
            "product_org_id = \"a.id\"\nname = \"a.id\"\nfeature_flags = \"a\"\n[custom]\nwhole = \"a.b\"\ninner = \"a.b.c\"",
        );
        let patch = check(&mapping, br#"{"x": [{"a": {"id": 1}}], "a": {"id": "ws", "b": {"c": [1, {"d": null}]}}}"#);
        let patch = patch.expect("fits");
        assert_eq!((patch.product_org_id.as_str(), &patch.name), ("ws", &Patch::Set("ws".to_owned())));
        assert_eq!(patch.custom["inner"], Patch::Set(json!([1, {"d": null}])));
        assert_eq!(patch.custom["whole"], Patch::Set(json!({"c": [1, {"d": null}]})));
        assert!(check(&mapping, br#"{"a": "text"}"#).is_err_and(|words| words.contains("missing productOrgId")));
    }

    #[test]
    fn what_no_path_leads_to_is_checked_all_the_same() {
        let mapping = mapping("product_org_id = \"id\"\nname = \"t.name\"");
        for (body, part) in [
            (r#"{"id": "a", "x": {"k": 1, "k": 2}}"#, "stands twice"),
            (r#"{"id": "a", "id": "b"}"#, "stands twice"),
            (r#"{"id": "a", "t": {"name": "x", "n\u0061me": "y"}}"#, "stands twice"),
            (r#"{"id": "a", "x": ["\u0000"]}"#, "NUL"),
            (r#"{"id": "a", "t": "\u0000"}"#, "NUL"),
            (r#"{"id": "a", "t": 99999999999999999999999}"#, "64 bits"),
            (r#"{"id": "a", "x": [18446744073709551616]}"#, "64 bits"),
            (r#"{"id": "a", "x": -9223372036854775809}"#, "64 bits"),
            (r#"{"id": "a"} x"#, "not valid JSON"),
            (r#"{"id": "a""#, "not valid JSON"),
            (r#"["id"]"#, "must be a JSON object"),
            ("5", "must be a JSON object"),
        ] {
            assert!(check(&mapping, body.as_bytes()).is_err_and(|words| words.contains(part)), "{body}");
        }
        let deep = format!(r#"{{"id": "a", "x": {}1{}}}"#, "[".repeat(32), "]".repeat(32));
        assert!(check(&mapping, deep.as_bytes()).is_err_and(|words| words.contains("deeper than 32")));
        assert!(check(&mapping, br#"{"id": "a", "x": 1e30, "y": 18446744073709551615}"#).is_ok());
    }

    #[test]
    fn an_object_of_many_keys_may_not_repeat_one() {
        let mapping = mapping("product_org_id = \"id\"");
        let keys: Vec<String> = (0..1000).map(|i| format!("\"k{i}\": {i}")).collect();
        let body = |last: &str| format!(r#"{{"id": 7, {}, {last}}}"#, keys.join(", "));
        assert_eq!(check(&mapping, body("\"l\": 1").as_bytes()).map(|p| p.product_org_id), Ok("7".to_owned()));
        assert!(check(&mapping, body("\"k3\": 1").as_bytes()).is_err_and(|words| words.contains("stands twice")));
    }

    #[test]
    fn what_is_seen_is_what_something_stands_at() {
        let mapping = mapping("product_org_id = \"id\"\nname = \"t.name\"\nmrr = \"t.mrr\"\n[custom]\nx = \"t.x.y\"");
        let seen = mapping.check(br#"{"t": {"mrr": null, "x": {"y": []}}, "id": 5}"#);
        assert_eq!(seen, Ok(Some(Seen(vec![true, false, true, true]))));
    }

    #[test]
    fn what_stands_around_is_found_wherever_it_stands() {
        let mapping = mapping(
            "product_org_id = \"id\"\ntimestamp = \"e.at\"\nmessage_id = \"id\"\nonly_if = 'e.at.kind == \"group\"'\n[custom]\nx = \"e\"",
        );
        let read = |body: &str| check_reading(&mapping, body.as_bytes());
        let update = read(r#"{"e": {"at": "2026-01-15T10:30:00Z"}, "id": "a"}"#).expect("fits").update().expect("one");
        assert_eq!(update.event_at, Some("2026-01-15T10:30:00Z".parse().expect("a time")));
        assert_eq!((update.message_id.as_deref(), update.patch.product_org_id.as_str()), (Some("a"), "a"));
        assert_eq!(read(r#"{"id": [], "e": {"at": {"kind": "page"}}}"#), Ok(Reading::Ignored));
        assert!(read(r#"{"e": {"at": {"kind": "group"}}, "id": "a"}"#).is_err_and(|words| words.contains("`e.at`")));
        assert!(
            read(r#"{"e": {"at": {"kind": "page"}}, "x": {"k": 1, "k": 2}}"#).is_err(),
            "read strictly all the same"
        );
        let seen = mapping.check(br#"{"id": "a"}"#);
        assert_eq!(seen, Ok(Some(Seen(vec![true, false]))), "of the org's fields alone");
    }

    /// Few names, so that paths hit and objects repeat keys.
    fn name() -> impl Strategy<Value = String> {
        prop::sample::select(vec!["a", "b", "c", "é", "\\u0061"]).prop_map(str::to_owned)
    }

    /// JSON text, sometimes with a key twice, a wide integer or a NUL.
    fn body() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec![
            "null",
            "true",
            "0",
            "-1",
            "7",
            "2.5",
            "10.0",
            "1e30",
            "18446744073709551615",
            "18446744073709551616",
            "\"\"",
            "\"x\"",
            "\"active\"",
            "\"2026-01-15T10:30:00Z\"",
            "\"\\u0000\"",
            "\"\\n\"",
        ])
        .prop_map(str::to_owned);
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                3 => prop::collection::vec((name(), inner.clone()), 0..6).prop_map(|entries| {
                    let entries: Vec<String> = entries.iter().map(|(k, v)| format!("\"{k}\": {v}")).collect();
                    format!("{{{}}}", entries.join(","))
                }),
                1 => prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            ]
        })
    }

    fn path() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "é"]), 1..4).prop_map(|names| names.join("."))
    }

    proptest! {
        #[test]
        fn reading_once_is_the_same_as_building_it_all(
            body in body(),
            paths in prop::collection::vec(path(), 14),
            around in 0_u8..8,
        ) {
            let fields = Field::ALL.into_iter().zip(&paths[1..]);
            let mut template: Map<String, Value> =
                fields.map(|(field, path)| (field.as_str().to_owned(), json!(path))).collect();
            template.insert("product_org_id".to_owned(), json!(paths[0]));
            template.insert("custom".to_owned(), json!({"x": paths[9], "y": paths[10]}));
            for (bit, name) in Envelope::NAMES.into_iter().enumerate().filter(|(bit, _)| around & (1 << bit) != 0) {
                let path = &paths[11 + bit];
                let text = if name == Envelope::ONLY_IF { format!("{path} == \"x\"") } else { path.clone() };
                template.insert(name.to_owned(), json!(text));
            }
            let template = PayloadTemplate::from_json_text(&Value::Object(template).to_string()).expect("valid");
            let _ = check_reading(&Mapping::new(template), body.as_bytes());
        }
    }
}

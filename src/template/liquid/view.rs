//! Rows as Liquid sees them, and Liquid's values as JSON.
//!
//! A path that leads nowhere reads as NULL, as in LiquidJS: a member that this org's JSON lacks is no error. Members
//! of objects come out sorted by name, since Liquid keeps no order.

use crate::row;
use crate::template::write;
use liquid::model::{_ObjectView as ObjectView, _ValueView as ValueView};
use liquid::model::{ArrayView, DisplayCow, KStringCow, ScalarCow, State, Value};
use std::fmt;

/// A value that can be walked into.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Nil,
    Scalar(Value),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

static NIL: Node = Node::Nil;

impl Node {
    /// A column's value. Liquid counts in i64 and f64, so a decimal that neither holds exactly is given as text: all
    /// its digits are kept through filters, and only arithmetic on it is rounded.
    pub(super) fn of(value: row::Value<'_>) -> Node {
        match value {
            row::Value::Null => Node::Nil,
            row::Value::Bool(v) => Node::Scalar(Value::scalar(v)),
            row::Value::Int(v) => Node::Scalar(Value::scalar(v)),
            row::Value::Decimal { .. } => Node::number(value.text()),
            row::Value::Float(v) if !v.is_finite() => Node::Nil,
            row::Value::Float(v) => Node::Scalar(Value::scalar(v)),
            row::Value::Json(text) => serde_json::from_str(text).map_or_else(|_| Node::text(text), Node::json),
            other => Node::text(other.text()),
        }
    }

    pub(super) fn text(text: impl Into<String>) -> Node {
        Node::Scalar(Value::scalar(text.into()))
    }

    fn number(text: String) -> Node {
        if let Ok(whole) = text.parse::<i64>() {
            return Node::Scalar(Value::scalar(whole));
        }
        match text.parse::<f64>() {
            Ok(number) if number.to_string() == text => Node::Scalar(Value::scalar(number)),
            _ => Node::text(text),
        }
    }

    fn json(json: serde_json::Value) -> Node {
        match json {
            serde_json::Value::Null => Node::Nil,
            serde_json::Value::Bool(v) => Node::Scalar(Value::scalar(v)),
            serde_json::Value::Number(n) => match (n.as_i64(), n.as_f64()) {
                (Some(whole), _) => Node::Scalar(Value::scalar(whole)),
                (None, Some(number)) if n.is_f64() => Node::Scalar(Value::scalar(number)),
                _ => Node::text(n.to_string()),
            },
            serde_json::Value::String(text) => Node::text(text),
            serde_json::Value::Array(items) => Node::Array(items.into_iter().map(Node::json).collect()),
            serde_json::Value::Object(map) => {
                Node::Object(map.into_iter().map(|(key, value)| (key, Node::json(value))).collect())
            }
        }
    }
}

impl ValueView for Node {
    fn as_debug(&self) -> &dyn fmt::Debug {
        self
    }

    fn render(&self) -> DisplayCow<'_> {
        DisplayCow::Owned(Box::new(self.to_value().render().to_string()))
    }

    fn source(&self) -> DisplayCow<'_> {
        DisplayCow::Owned(Box::new(self.to_value().source().to_string()))
    }

    fn type_name(&self) -> &'static str {
        match self {
            Node::Nil => "nil",
            Node::Scalar(value) => value.type_name(),
            Node::Array(_) => "array",
            Node::Object(_) => "object",
        }
    }

    fn query_state(&self, state: State) -> bool {
        let empty = match self {
            Node::Nil => return Value::Nil.query_state(state),
            Node::Scalar(value) => return value.query_state(state),
            Node::Array(items) => items.is_empty(),
            Node::Object(members) => members.is_empty(),
        };
        state == State::Truthy || empty
    }

    fn to_kstr(&self) -> KStringCow<'_> {
        match self {
            Node::Scalar(value) => value.to_kstr(),
            other => KStringCow::from_string(other.to_value().to_kstr().into_string()),
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Node::Nil => Value::Nil,
            Node::Scalar(value) => value.clone(),
            Node::Array(items) => Value::Array(items.iter().map(ValueView::to_value).collect()),
            Node::Object(members) => {
                Value::Object(members.iter().map(|(key, node)| (key.clone().into(), node.to_value())).collect())
            }
        }
    }

    fn as_scalar(&self) -> Option<ScalarCow<'_>> {
        match self {
            Node::Scalar(value) => value.as_scalar(),
            _ => None,
        }
    }

    fn as_array(&self) -> Option<&dyn ArrayView> {
        matches!(self, Node::Array(_)).then_some(self)
    }

    /// NULL answers too, so that a path may lead through it.
    fn as_object(&self) -> Option<&dyn ObjectView> {
        matches!(self, Node::Object(_) | Node::Nil).then_some(self)
    }

    fn is_nil(&self) -> bool {
        matches!(self, Node::Nil)
    }
}

impl Node {
    fn items(&self) -> &[Node] {
        if let Node::Array(items) = self { items } else { &[] }
    }

    fn members(&self) -> &[(String, Node)] {
        if let Node::Object(members) = self { members } else { &[] }
    }
}

impl ArrayView for Node {
    fn as_value(&self) -> &dyn ValueView {
        self
    }

    fn size(&self) -> i64 {
        i64::try_from(self.items().len()).unwrap_or(i64::MAX)
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        Box::new(self.items().iter().map(|node| node as &dyn ValueView))
    }

    fn contains_key(&self, index: i64) -> bool {
        usize::try_from(index).is_ok_and(|index| index < self.items().len())
    }

    /// A negative index counts from the end.
    fn get(&self, index: i64) -> Option<&dyn ValueView> {
        let from_start = if index < 0 { index.checked_add(ArrayView::size(self)) } else { Some(index) };
        let at = from_start.and_then(|index| usize::try_from(index).ok());
        Some(at.and_then(|at| self.items().get(at)).unwrap_or(&NIL))
    }
}

impl ObjectView for Node {
    fn as_value(&self) -> &dyn ValueView {
        self
    }

    /// -1 for NULL, so that NULL is not taken for an empty object.
    fn size(&self) -> i64 {
        if self.is_nil() { -1 } else { i64::try_from(self.members().len()).unwrap_or(i64::MAX) }
    }

    fn keys<'k>(&'k self) -> Box<dyn Iterator<Item = KStringCow<'k>> + 'k> {
        Box::new(self.members().iter().map(|(key, _)| KStringCow::from_ref(key)))
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        Box::new(self.members().iter().map(|(_, node)| node as &dyn ValueView))
    }

    fn iter<'k>(&'k self) -> Box<dyn Iterator<Item = (KStringCow<'k>, &'k dyn ValueView)> + 'k> {
        Box::new(self.members().iter().map(|(key, node)| (KStringCow::from_ref(key), node as &dyn ValueView)))
    }

    fn contains_key(&self, index: &str) -> bool {
        self.members().iter().any(|(key, _)| key == index)
    }

    fn get<'s>(&'s self, index: &str) -> Option<&'s dyn ValueView> {
        let found = self.members().iter().find(|(key, _)| key == index).map(|(_, node)| node);
        match (found, index) {
            (Some(node), _) => Some(node),
            // Left to Liquid, which then counts the members.
            (None, "size") if !self.is_nil() => None,
            (None, _) => Some(&NIL),
        }
    }
}

/// Appends a Liquid value as JSON.
pub(super) fn json(value: &dyn ValueView, out: &mut String) {
    if let Some(array) = value.as_array() {
        out.push('[');
        for (at, item) in array.values().enumerate() {
            if at > 0 {
                out.push(',');
            }
            json(item, out);
        }
        out.push(']');
    } else if value.is_nil() {
        out.push_str("null");
    } else if let Some(object) = value.as_object() {
        let mut members: Vec<_> = object.iter().collect();
        members.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        out.push('{');
        for (at, (key, member)) in members.into_iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            write::string(key.as_str(), out);
            out.push(':');
            json(member, out);
        }
        out.push('}');
    } else if let Some(scalar) = number_or_bool(value) {
        write::value(scalar, out);
    } else if value.is_scalar() {
        write::string(value.to_kstr().as_str(), out);
    } else {
        out.push_str("null");
    }
}

/// Appends a Liquid value as it reads within a JSON string: NULL as nothing, arrays and objects as their JSON text.
pub(super) fn within_string(value: &dyn ValueView, out: &mut String) {
    if value.is_array() || (value.is_object() && !value.is_nil()) {
        let mut text = String::new();
        json(value, &mut text);
        write::escaped(&text, out);
    } else if let Some(scalar) = number_or_bool(value) {
        write::within_string(scalar, out);
    } else {
        write::escaped(value.to_kstr().as_str(), out);
    }
}

/// A number or truth value as ours. `nil`, `empty` and `blank` are no scalars.
fn number_or_bool(value: &dyn ValueView) -> Option<row::Value<'static>> {
    let scalar = value.as_scalar()?;
    match value.type_name() {
        "whole number" => scalar.to_integer().map(row::Value::Int),
        "fractional number" => scalar.to_float().map(row::Value::Float),
        "boolean" => scalar.to_bool().map(row::Value::Bool),
        _ => None,
    }
}

//! One JSON object as cells, each with the JSON text that it has in the file. Pure.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;

/// The names of fields in the order in which they were met.
#[derive(Debug, Default)]
pub struct Names {
    names: Vec<String>,
    index: HashMap<String, usize>,
}

impl Names {
    /// Whether no field was met.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names in order.
    pub fn all(&self) -> &[String] {
        &self.names
    }

    /// The position of a field, which is added if it is new. `expected`: where it stands if this object has the fields
    /// of the ones before in the same order, which spares the look-up.
    fn position(&mut self, name: &str, expected: usize) -> usize {
        if self.names.get(expected).is_some_and(|known| known == name) {
            return expected;
        }
        if let Some(&known) = self.index.get(name) {
            return known;
        }
        let new = self.names.len();
        self.names.push(name.to_owned());
        self.index.insert(name.to_owned(), new);
        new
    }
}

impl FromIterator<String> for Names {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        let mut all = Names::default();
        for name in names {
            all.position(&name, all.names.len());
        }
        all
    }
}

/// The fields of one object by position; `None` where it has none.
pub type Cells<'a> = Vec<Option<&'a RawValue>>;

/// Reads the object in `text` into `cells`; fields that are new are added to `names`.
///
/// Only the syntax of values is checked; [`Cell::check`] does the rest.
pub fn parse<'a>(text: &'a str, names: &mut Names, cells: &mut Cells<'a>) -> Result<(), String> {
    cells.clear();
    cells.resize(names.names.len(), None);
    let mut json = serde_json::Deserializer::from_str(text);
    let read = Object { names, cells }.deserialize(&mut json).and_then(|()| json.end());
    read.map_err(|error| match serde_json::from_str::<Value>(text) {
        Ok(value) => format!("not a JSON object but {}", type_name(&value)),
        Err(syntax) if error.is_data() => not_json(&syntax),
        Err(_) => not_json(&error),
    })
}

fn not_json(error: &serde_json::Error) -> String {
    let (column, text) = (error.column(), error.to_string());
    format!("not valid JSON: {} (column {column})", text.split(" at line ").next().unwrap_or(&text))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a bool",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

struct Object<'n, 'a> {
    names: &'n mut Names,
    cells: &'n mut Cells<'a>,
}

/// A key, borrowed unless it has escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> DeserializeSeed<'a> for Object<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Object<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let mut expected = 0;
        while let Some(Key(name)) = map.next_key()? {
            let at = self.names.position(&name, expected);
            expected = at + 1;
            if at == self.cells.len() {
                self.cells.push(None);
            }
            self.cells[at] = Some(map.next_value()?);
        }
        Ok(())
    }
}

/// A value that is not null, as its JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell<'a> {
    /// `true` or `false`
    Bool(&'a str),
    /// A number as it is spelled.
    Number(&'a str),
    /// A string with its quotes and escapes.
    String(&'a str),
    /// An object or array.
    Nested(&'a str),
}

impl<'a> Cell<'a> {
    /// The value of a field; `None` for null and for a field that is not there.
    pub fn of(field: Option<&'a RawValue>) -> Option<Self> {
        let json = field?.get();
        match json.as_bytes().first()? {
            b'n' => None,
            b't' | b'f' => Some(Cell::Bool(json)),
            b'"' => Some(Cell::String(json)),
            b'{' | b'[' => Some(Cell::Nested(json)),
            _ => Some(Cell::Number(json)),
        }
    }

    /// The value as JSON.
    pub fn json(self) -> &'a str {
        match self {
            Cell::Bool(json) | Cell::Number(json) | Cell::String(json) | Cell::Nested(json) => json,
        }
    }

    /// What a string says; any other value as it is spelled.
    pub fn text(self) -> Cow<'a, str> {
        match self {
            Cell::String(json) => unquoted(json).unwrap_or(Cow::Borrowed(json)),
            other => Cow::Borrowed(other.json()),
        }
    }

    /// What the syntax leaves open: half a surrogate pair, a number that no double holds, nesting without end, and
    /// integers within nested values that 64 bits do not hold.
    pub fn check(self) -> Result<(), String> {
        match self {
            Cell::Bool(_) => Ok(()),
            Cell::String(json) => unquoted(json).map(drop).map_err(|e| not_json(&e)),
            Cell::Number(json) => match Number::of(json) {
                Number::Float(float) if !float.is_finite() => Err(format!("{json} does not fit a double")),
                _ => Ok(()),
            },
            Cell::Nested(json) => {
                serde_json::from_str::<Value>(json).map_err(|e| not_json(&e))?;
                oversized(json).map_or(Ok(()), |number| Err(too_big(number)))
            }
        }
    }
}

fn unquoted(json: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(text) if !text.contains('\\') => Ok(Cow::Borrowed(text)),
        _ => serde_json::from_str(json).map(Cow::Owned),
    }
}

/// What to say of an integer that 64 bits do not hold.
pub fn too_big(number: &str) -> String {
    format!("{number} does not fit a signed 64-bit integer (write it as a string)")
}

/// The first integer within nested JSON that 64 bits with a sign do not hold.
fn oversized(json: &str) -> Option<&str> {
    let bytes = json.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = end_of_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let part = |b: &u8| matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let length = bytes[at..].iter().take_while(|b| part(b)).count();
                let number = &json[at..at + length];
                if matches!(Number::of(number), Number::TooBig) {
                    return Some(number);
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    None
}

/// The position after the string that begins at `open`.
fn end_of_string(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// What a JSON number is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Without fraction or exponent, in 64 bits.
    Int(i64),
    /// With a fraction or exponent; also `-0`, whose sign an integer would lose.
    Float(f64),
    /// An integer that 64 bits with a sign do not hold.
    TooBig,
}

impl Number {
    /// Reads a number as JSON spells it.
    pub fn of(json: &str) -> Self {
        if json == "-0" || json.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) {
            return Number::Float(json.parse().unwrap_or(f64::INFINITY));
        }
        json.parse().map_or(Number::TooBig, Number::Int)
    }
}

/// The integer that a number is, however it is spelled (`7.0`, `1e3`), if that is certain.
pub fn whole(json: &str) -> Option<i64> {
    match Number::of(json) {
        Number::Int(int) => Some(int),
        // With so few characters it has at most 15 digits, of which a double loses none.
        Number::Float(float) if float == float.trunc() && json.len() <= 16 && float.abs() <= 1e15 => Some(float as i64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[Option<&str>], &str>) {
        let mut names: Names = ["a".to_owned(), "b".to_owned()].into_iter().collect();
        let mut cells = Cells::new();
        let read = parse(text, &mut names, &mut cells);
        let found: Vec<Option<&str>> = cells.iter().map(|cell| cell.map(RawValue::get)).collect();
        assert_eq!(read.as_ref().map(|()| found.as_slice()).map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn objects_are_cells() {
        check("{}", Ok(&[None, None]));
        check(r#" {"b": {"x" : 1.50} , "a":null}"#, Ok(&[Some("null"), Some(r#"{"x" : 1.50}"#)]));
        check(r#"{"a":1,"c":2,"\u0061":3}"#, Ok(&[Some("3"), None, Some("2")]));
        check("[1]", Err("not a JSON object but an array"));
        check("[1", Err("not valid JSON: EOF while parsing a list (column 2)"));
        check("7", Err("not a JSON object but a number"));
        check(r#"{"a":1} {"#, Err("not valid JSON: trailing characters (column 9)"));
        check(r#"{"a":01}"#, Err("not valid JSON: invalid number (column 7)"));
    }

    #[test]
    fn values_are_checked() {
        let check = |json: &'static str, fault: Option<&str>| {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            assert_eq!(Cell::of(Some(raw)).unwrap().check().err().as_deref(), fault, "{json}");
        };
        check(r#""\ud83d\ude00""#, None);
        check(r#""\ud83d""#, Some("not valid JSON: unexpected end of hex escape (column 8)"));
        check("1e999", Some("1e999 does not fit a double"));
        check("18446744073709551615", None);
        check(r#"{"a \" 18446744073709551615":[-9223372036854775808,1e30]}"#, None);
        let too_big = "18446744073709551615 does not fit a signed 64-bit integer (write it as a string)";
        check(r#"{"a":[{"b":"\\"},18446744073709551615]}"#, Some(too_big));
    }

    #[test]
    fn numbers() {
        assert_eq!((Number::of("7"), whole("7")), (Number::Int(7), Some(7)));
        assert_eq!((Number::of("7.0"), whole("7.0"), whole("-1e3")), (Number::Float(7.0), Some(7), Some(-1000)));
        assert!(matches!(Number::of("-0"), Number::Float(zero) if zero.is_sign_negative()));
        for json in ["7.5", "1e16", "9007199254740993.0", "4503599627370496.3", "9223372036854775808"] {
            assert_eq!(whole(json), None, "{json}");
        }
    }
}

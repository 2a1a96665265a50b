//! Values that no body may hold, wherever they stand.

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is no JSON: of many events no other can be read either.
    Syntax,
    /// It is JSON that would be stored as something else: the fault of the one event that it stands in.
    Strict,
}

/// A value with its fault, and what to call it.
#[derive(Debug, Clone)]
pub struct Value {
    pub name: String,
    pub fault: Fault,
    pub bytes: Vec<u8>,
}

impl Value {
    fn new(fault: Fault, bytes: impl Into<Vec<u8>>) -> Value {
        let bytes = bytes.into();
        let shown: String = String::from_utf8_lossy(&bytes).chars().take(40).collect();
        Value { name: format!("{shown:?} of {} bytes", bytes.len()), fault, bytes }
    }
}

/// No JSON.
const SYNTAX: [&str; 82] = [
    "",
    "undefined",
    "NaN",
    "-NaN",
    "Infinity",
    "-Infinity",
    "nul",
    "nullx",
    "Null",
    "NULL",
    "None",
    "nil",
    "tru",
    "True",
    "TRUE",
    "falsy",
    "yes",
    "'x'",
    "`x`",
    "x",
    "$x",
    "@x",
    "%s",
    "{{row.mrr}}",
    "00",
    "01",
    "-01",
    "+1",
    ".5",
    "-.5",
    "1.",
    "1.e5",
    "1e",
    "1e+",
    "-",
    "--1",
    "-a",
    "0x10",
    "0b1",
    "1_000",
    "1e5.5",
    "1.2.3",
    "5%",
    "\u{663}",
    "\"abc",
    "\"\\",
    "\"\\x41\"",
    "\"\\u12\"",
    "\"\\u12G4\"",
    "\"\\u{41}\"",
    "\"\\U00000041\"",
    "\"\\'\"",
    "\"\\a\"",
    "\"\\0\"",
    "[",
    "[1",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1,,2]",
    "{",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,}",
    "{,}",
    "{\"a\" 1}",
    "{\"a\"=1}",
    "{a:1}",
    "{'a':1}",
    "{1:1}",
    "{null:1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1;\"b\":2}",
    "{\"a\"::1}",
    "]",
    ")",
    "/* c */ 1",
    "1 // c",
    "# c",
    "<a/>",
    "---\na: 1",
];

/// No JSON for the bytes that they have: control characters, white space that JSON does not know, text that is no UTF-8.
const BYTES: [&[u8]; 28] = [
    b"\"a\nb\"",
    b"\"a\tb\"",
    b"\"a\rb\"",
    b"\"a\x00b\"",
    b"\"a\x1fb\"",
    b"\x00",
    b"\x081",
    b"\x0c1",
    b"\x0b1",
    b"\xc2\xa01",
    b"\xef\xbb\xbf1",
    b"\xe2\x80\xa81",
    b"\xe2\x80\x8b1",
    b"\"\xff\"",
    b"\"\xfe\xff\"",
    b"\"\xc0\xaf\"",
    b"\"\xc0\x80\"",
    b"\"\xc3\"",
    b"\"\xc3(\"",
    b"\"\xe2\x82\"",
    b"\"\xed\xa0\x80\"",
    b"\"\xed\xb0\x80\"",
    b"\"\xf0\x9f\x98\"",
    b"\"\xf4\x90\x80\x80\"",
    b"\"\xf8\x88\x80\x80\x80\"",
    b"\"\x80\"",
    b"\xff",
    b"{\"\xff\":1}",
];

/// JSON whose sender said something else than what a lenient reader would store.
const STRICT: [&str; 41] = [
    "18446744073709551616",
    "-9223372036854775809",
    "99999999999999999999999",
    "-99999999999999999999999",
    "[18446744073709551616]",
    "{\"a\":18446744073709551616}",
    "1e400",
    "-1e400",
    "1.5e999",
    "123456789e4000",
    "\"\\u0000\"",
    "\"a\\u0000\"",
    "\"\\u0000a\"",
    "[\"\\u0000\"]",
    "{\"\\u0000\":1}",
    "{\"a\\u0000b\":1}",
    "{\"a\":1,\"a\":2}",
    "{\"a\":1,\"a\":1}",
    "{\"a\":null,\"a\":1}",
    "{\"a\":1,\"\\u0061\":2}",
    "{\"\":1,\"\":2}",
    "{\"a\":{\"b\":1,\"b\":1}}",
    "[{\"a\":1,\"a\":1}]",
    "{\"a\":1,\"b\":2,\"a\":3}",
    "{\"\u{e9}\":1,\"\\u00e9\":1}",
    "{\"__proto__\":1,\"__proto__\":2}",
    "{\"/\":1,\"\\/\":2}",
    "\"\\ud800\"",
    "\"\\udc00\"",
    "\"\\uDBFF\"",
    "\"\\ud800\\ud800\"",
    "\"\\ud800x\"",
    "\"\\ud800\\u0041\"",
    "\"\\ud800\\n\"",
    "\"\\udfff\\ud800\"",
    "\"\\uD83D\"",
    "\"\\uD83D\\\\uDE00\"",
    "[\"\\ud800\"]",
    "{\"\\ud800\":1}",
    "{\"\\udc00\\ud800\":1}",
    "{\"a\":\"\\ud800\"}",
];

/// Levels of nesting that are too many even alone.
const TOO_DEEP: [usize; 5] = [33, 64, 128, 1_000, 40_000];

/// All of them.
pub fn all() -> Vec<Value> {
    let mut values: Vec<Value> = SYNTAX.iter().map(|text| Value::new(Fault::Syntax, *text)).collect();
    values.extend(BYTES.iter().map(|bytes| Value::new(Fault::Syntax, *bytes)));
    values.extend(STRICT.iter().map(|text| Value::new(Fault::Strict, *text)));
    let mut strict = |text: String| values.push(Value::new(Fault::Strict, text));
    for levels in TOO_DEEP {
        strict(format!("{}{}", "[".repeat(levels), "]".repeat(levels)));
        strict(format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels)));
    }
    strict(format!("{}{}", "[{\"a\":".repeat(17), "1".to_owned() + &"}]".repeat(17)));
    // An integer that is a float to most readers, and one that is infinite to them.
    strict("1".repeat(25));
    strict("1".repeat(400));
    // Beyond the number of keys that are compared one by one.
    let keys = |count: usize| (0..count).map(|key| format!("\"k{key}\":{key},")).collect::<String>();
    strict(format!("{{{}\"k0\":1}}", keys(20)));
    strict(format!("{{{}\"k999\":1}}", keys(1_000)));
    for open in ["[", "{\"a\":", "[{\"a\":"] {
        values.push(Value::new(Fault::Syntax, open.repeat(20_000)));
    }
    values
}

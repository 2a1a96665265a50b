//! JSON, one byte at a time: how far a text has come, and whether it can go on.
//!
//! In: bytes of the template, and holes where a value will stand. Always holds: what is accepted to its end is one JSON
//! value (RFC 8259), whatever values fill the holes.

use super::scan::{Number, Then};

/// How far a JSON text has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Json {
    /// What is open: `true` for an object.
    open: Vec<bool>,
    at: At,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before the value.
    Start,
    /// Behind a colon.
    Member,
    /// Behind `[`.
    FirstItem,
    /// Behind a comma of an array.
    Item,
    /// Behind `{`.
    FirstKey,
    /// Behind a comma of an object.
    Key,
    /// Behind a key.
    Colon,
    /// Behind a value.
    After,
    /// In a string.
    String {
        key: bool,
        then: Then,
    },
    Number(Number),
    /// In `true`, `false` or `null`: what is left of it.
    Word(&'static str),
}

/// Inside a JSON string, outside, or inside behind a backslash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Outside,
    Inside,
    Escape,
}

impl Side {
    /// The side after a text, when no more is known.
    pub(super) fn after(self, text: &str) -> Side {
        text.bytes().fold(self, |side, byte| match (side, byte) {
            (Side::Outside, b'"') => Side::Inside,
            (Side::Outside, _) => Side::Outside,
            (Side::Inside, b'"') => Side::Outside,
            (Side::Inside, b'\\') => Side::Escape,
            (Side::Inside | Side::Escape, _) => Side::Inside,
        })
    }
}

impl Json {
    pub(super) fn new() -> Json {
        Json { open: Vec::new(), at: At::Start }
    }

    pub(super) fn side(&self) -> Side {
        match self.at {
            At::String { then: Then::Any, .. } => Side::Inside,
            At::String { .. } => Side::Escape,
            _ => Side::Outside,
        }
    }

    /// Whether a value could stand here that is no string: not where a key is expected.
    pub(super) fn takes_key(&self) -> bool {
        matches!(self.at, At::FirstKey | At::Key)
    }

    /// A value stands here.
    ///
    /// # Errors
    /// Why it cannot.
    pub(super) fn value(&mut self) -> Result<(), &'static str> {
        match self.at {
            At::Start | At::Member | At::FirstItem | At::Item => {
                self.at = At::After;
                Ok(())
            }
            At::FirstKey | At::Key => {
                self.at = At::Colon;
                Ok(())
            }
            At::Colon => Err("a `:` is missing before the value"),
            At::After => Err(self.crowded()),
            At::Number(_) | At::Word(_) => {
                Err("the value stands right behind other characters: put both in quotes, or compute it by a filter")
            }
            At::String { .. } => Ok(()),
        }
    }

    fn crowded(&self) -> &'static str {
        if self.open.is_empty() { "there is more behind the end of the JSON" } else { "a comma is missing" }
    }

    /// The template's own text.
    ///
    /// # Errors
    /// Where in `text` it stops being JSON, and why.
    pub(super) fn text(&mut self, text: &str) -> Result<(), (usize, &'static str)> {
        for (at, byte) in text.bytes().enumerate() {
            self.byte(byte).map_err(|why| (at, why))?;
        }
        Ok(())
    }

    /// The text is over.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn end(&mut self) -> Result<(), &'static str> {
        self.close_number()?;
        match self.at {
            At::After if self.open.is_empty() => Ok(()),
            At::String { .. } => Err("a JSON string is not closed"),
            At::Start => Err("the template makes no JSON"),
            _ => match self.open.last() {
                Some(true) => Err("a `}` is missing"),
                Some(false) => Err("a `]` is missing"),
                None => Err("the template ends within a value"),
            },
        }
    }

    fn close_number(&mut self) -> Result<(), &'static str> {
        match self.at {
            At::Number(number) if number.is_complete() => self.at = At::After,
            At::Number(_) => return Err("the number is not complete"),
            _ => {}
        }
        Ok(())
    }

    fn byte(&mut self, byte: u8) -> Result<(), &'static str> {
        match self.at {
            At::String { key, then } => self.in_string(key, then, byte),
            At::Word(rest) => {
                let left = rest.strip_prefix(char::from(byte));
                let left = left.ok_or("a word that JSON does not know: is it missing quotes?")?;
                self.at = if left.is_empty() { At::After } else { At::Word(left) };
                Ok(())
            }
            At::Number(state) => match state.after(byte) {
                Some(next) => {
                    self.at = At::Number(next);
                    Ok(())
                }
                None => {
                    self.close_number()?;
                    self.sign(byte)
                }
            },
            _ => self.sign(byte),
        }
    }

    /// A byte between values, or the first of one.
    fn sign(&mut self, byte: u8) -> Result<(), &'static str> {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => Ok(()),
            b'"' => self.open_string(),
            b',' => self.comma(),
            b':' if self.at == At::Colon => {
                self.at = At::Member;
                Ok(())
            }
            b':' => Err("this `:` is not expected"),
            b'}' | b']' => self.close(byte == b'}'),
            b'{' | b'[' => {
                self.begin()?;
                self.open.push(byte == b'{');
                self.at = if byte == b'{' { At::FirstKey } else { At::FirstItem };
                Ok(())
            }
            b't' => self.word("rue"),
            b'f' => self.word("alse"),
            b'n' => self.word("ull"),
            b'-' => self.number(Number::Minus),
            b'0' => self.number(Number::Zero),
            b'1'..=b'9' => self.number(Number::Whole),
            _ => Err(match self.at {
                At::FirstKey | At::Key => "a key in quotes is expected",
                _ => "this is no JSON: is it missing quotes?",
            }),
        }
    }

    /// A value begins that has more than one character.
    fn begin(&self) -> Result<(), &'static str> {
        match self.at {
            At::Start | At::Member | At::FirstItem | At::Item => Ok(()),
            At::FirstKey | At::Key => Err("a key in quotes is expected"),
            At::Colon => Err("a `:` is missing"),
            _ => Err(self.crowded()),
        }
    }

    fn number(&mut self, state: Number) -> Result<(), &'static str> {
        self.begin()?;
        self.at = At::Number(state);
        Ok(())
    }

    fn word(&mut self, rest: &'static str) -> Result<(), &'static str> {
        self.begin()?;
        self.at = At::Word(rest);
        Ok(())
    }

    fn open_string(&mut self) -> Result<(), &'static str> {
        let key = self.takes_key();
        if !key {
            self.begin()?;
        }
        self.at = At::String { key, then: Then::Any };
        Ok(())
    }

    fn in_string(&mut self, key: bool, then: Then, byte: u8) -> Result<(), &'static str> {
        self.at = match then.after(byte)? {
            Some(then) => At::String { key, then },
            None if key => At::Colon,
            None => At::After,
        };
        Ok(())
    }

    fn comma(&mut self) -> Result<(), &'static str> {
        match (self.at, self.open.last()) {
            (At::After, Some(object)) => {
                self.at = if *object { At::Key } else { At::Item };
                Ok(())
            }
            (At::After, None) => Err("there is more behind the end of the JSON"),
            (At::Member, _) => Err("a value is missing before this comma"),
            _ => Err("a comma too many"),
        }
    }

    fn close(&mut self, object: bool) -> Result<(), &'static str> {
        match (self.at, self.open.last()) {
            (At::Key | At::Item, _) => return Err("a comma too many before this bracket"),
            (At::Member, _) => return Err("a value is missing before this bracket"),
            (At::After | At::FirstKey | At::FirstItem, Some(open)) if *open == object => {}
            (_, None) => return Err("this bracket closes nothing"),
            _ => return Err("this bracket is not the one that is open"),
        }
        self.open.pop();
        self.at = At::After;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn accepts(text: &str) -> bool {
        let mut json = Json::new();
        json.text(text).is_ok() && json.end().is_ok()
    }

    #[test]
    fn what_serde_reads_is_accepted_and_nothing_else() {
        let texts = "1 -0 0.5 1e3 1E-2 -1.5e+10 true null \"\" [] {} [1,2] {\"a\":1} {\"a\":[{}],\"b\":\"\\u00e9\\n\"} \
                     01 - 1. .5 1e tru nulll \"\\x\" [1,] [,1] {\"a\"} {\"a\":} {\"a\":1,} {1:2} [1}{ 1,2 } ] [1 1] \"a\"\"b\" \"\\u12\" [ {";
        for text in texts.split(' ') {
            let text = text.replace('_', " ");
            let expected = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            assert_eq!(accepts(&text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_as_serde_judges_it(parts in proptest::collection::vec(
            proptest::sample::select(vec!["{", "}", "[", "]", ",", ":", "\"", "\"a\"", "1", "-", ".5", "e1", "0", "true", "nul", "l", " ", "\\", "n", "\\u0041"]),
            0..9,
        )) {
            let text = parts.concat();
            let expected = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(accepts(&text), expected, "{}", text);
        }
    }
}

//! The inside of an output or tag, character by character: words, literals and signs.

use super::lex::is_word;
use super::number::Num;
use super::text::is_space;

/// A place that cannot be read.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Fault {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Fault {
        Fault { at, message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = Some(hint.into());
        self
    }
}

/// Reads from `at` to `end`, both byte offsets of the template.
#[derive(Debug, Clone)]
pub(super) struct Reader<'t> {
    template: &'t str,
    pub(super) at: usize,
    end: usize,
}

impl<'t> Reader<'t> {
    pub(super) fn new(template: &'t str, span: std::ops::Range<usize>) -> Reader<'t> {
        Reader { template, at: span.start, end: span.end }
    }

    fn rest(&self) -> &'t str {
        &self.template[self.at..self.end]
    }

    pub(super) fn skip_all(&mut self) {
        self.at = self.end;
    }

    pub(super) fn between(&self, from: usize) -> &'t str {
        &self.template[from..self.at]
    }

    pub(super) fn skip(&mut self) {
        self.at = self.end - self.rest().trim_start_matches(is_space).len();
    }

    /// The next character that is no white space.
    pub(super) fn peek(&mut self) -> Option<char> {
        self.skip();
        self.rest().chars().next()
    }

    /// Takes `sign` if it is next.
    pub(super) fn take(&mut self, sign: &str) -> bool {
        self.skip();
        let found = self.rest().starts_with(sign);
        self.at += if found { sign.len() } else { 0 };
        found
    }

    /// A name; empty if there is none.
    pub(super) fn word(&mut self) -> &'t str {
        self.skip();
        let rest = self.rest();
        let word = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    /// Takes a name if it is `word`.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let before = self.at;
        let found = self.word() == word;
        self.at = if found { self.at } else { before };
        found
    }

    /// A `.` that is followed by a name.
    pub(super) fn take_dot(&mut self) -> bool {
        let mut next = self.rest().chars();
        let found = next.next() == Some('.') && next.next().is_some_and(is_word);
        self.at += usize::from(found);
        found
    }

    /// A `[` that follows at once.
    pub(super) fn take_bracket(&mut self) -> bool {
        let found = self.rest().starts_with('[');
        self.at += usize::from(found);
        found
    }

    /// A number, if one is next.
    pub(super) fn number(&mut self) -> Result<Option<Num>, Fault> {
        self.skip();
        let rest = self.rest();
        let unsigned = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        if !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(None);
        }
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let mut length = rest.len() - unsigned.len() + digits(unsigned);
        if let Some(part) = rest[length..].strip_prefix('.')
            && !part.starts_with('.')
        {
            length += 1 + digits(part);
        }
        if rest[length..].starts_with(is_word) {
            return Ok(None);
        }
        let text = &rest[..length];
        let fault = |message: String| Fault::new(self.at, message).hint("write it as text, in quotes");
        let number = match Num::parse(text) {
            Some(Num::Float(_)) | None => return Err(fault(format!("the number {text} is too large"))),
            Some(Num::Decimal { scale: 0, .. }) => return Err(fault(format!("the number {text} is too large"))),
            Some(number) => number,
        };
        self.at += length;
        Ok(Some(number))
    }

    /// A text in quotes, if one is next, with its escapes resolved.
    pub(super) fn quoted(&mut self) -> Result<Option<String>, Fault> {
        self.skip();
        let Some(quote) = self.rest().chars().next().filter(|c| matches!(c, '"' | '\'')) else { return Ok(None) };
        let body = &self.rest()[1..];
        let mut escaped = false;
        for (at, c) in body.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                _ if c == quote => {
                    self.at += at + 2;
                    return Ok(Some(unescape(&body[..at])));
                }
                _ => {}
            }
        }
        Err(Fault::new(self.at, format!("the text is not closed by a {quote}")))
    }
}

/// JavaScript's escapes: `\n` and its kin, `\uXXXX`, octal; any other character stands for itself.
fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut units: Vec<u16> = Vec::new();
    let mut chars = text.chars().peekable();
    let mut buffer = [0; 2];
    while let Some(c) = chars.next() {
        let next = if c == '\\' { chars.next() } else { None };
        let digits = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>, most: usize, radix: u32, start: u32| {
            let mut value = start;
            for _ in 0..most {
                let Some(digit) = chars.peek().and_then(|c| c.to_digit(radix)) else { break };
                value = value * radix + digit;
                chars.next();
            }
            value as u16
        };
        match next {
            Some('u') => units.push(digits(&mut chars, 4, 16, 0)),
            Some(octal @ '0'..='7') => units.push(digits(&mut chars, 2, 8, octal as u32 - '0' as u32)),
            Some(other) => {
                let plain = match other {
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'v' => '\u{b}',
                    other => other,
                };
                units.extend_from_slice(plain.encode_utf16(&mut buffer));
            }
            None => units.extend_from_slice(c.encode_utf16(&mut buffer)),
        }
    }
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_javascript() {
        for (text, expected) in [
            (r"a\nb", "a\nb"),
            (r#"\"\\"#, "\"\\"),
            (r"\u00e9\ud83d\ude00", "é😀"),
            (r"\101\x", "Ax"),
            (r"\u", "\0"),
            ("é", "é"),
        ] {
            assert_eq!(unescape(text), expected, "{text}");
        }
    }
}

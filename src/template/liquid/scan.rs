//! The inside of JSON's strings and numbers, one byte at a time.

/// What stands before the next character of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Any,
    /// A backslash.
    Escape,
    /// `\u`, and how many digits are to come.
    Hex(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Minus,
    Zero,
    Whole,
    Point,
    Part,
    E,
    Sign,
    Power,
}

impl Then {
    /// After one more byte; `None` if it closes the string.
    ///
    /// # Errors
    /// Why no string can have it there.
    pub(super) fn after(self, byte: u8) -> Result<Option<Then>, &'static str> {
        Ok(Some(match (self, byte) {
            (Then::Any, b'"') => return Ok(None),
            (Then::Any, b'\\') => Then::Escape,
            (Then::Any, b'\n' | b'\r') => return Err("a JSON string cannot have a line break: write \\n"),
            (Then::Any, 0..0x20) => return Err("a JSON string cannot have a control character: write \\u00XX"),
            (Then::Any, _) => Then::Any,
            (Then::Escape, b'u') => Then::Hex(4),
            (Then::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Then::Any,
            (Then::Escape, _) => return Err("JSON has no such escape"),
            (Then::Hex(1), _) if byte.is_ascii_hexdigit() => Then::Any,
            (Then::Hex(left), _) if byte.is_ascii_hexdigit() => Then::Hex(left - 1),
            (Then::Hex(_), _) => return Err("`\\u` needs four hexadecimal digits"),
        }))
    }
}

impl Number {
    /// Whether the number can end here.
    pub(super) fn is_complete(self) -> bool {
        matches!(self, Number::Zero | Number::Whole | Number::Part | Number::Power)
    }

    /// After one more byte, if it belongs to the number.
    pub(super) fn after(self, byte: u8) -> Option<Number> {
        match (self, byte) {
            (Number::Minus, b'0') => Some(Number::Zero),
            (Number::Minus, b'1'..=b'9') | (Number::Whole, b'0'..=b'9') => Some(Number::Whole),
            (Number::Zero | Number::Whole, b'.') => Some(Number::Point),
            (Number::Point | Number::Part, b'0'..=b'9') => Some(Number::Part),
            (Number::Zero | Number::Whole | Number::Part, b'e' | b'E') => Some(Number::E),
            (Number::E, b'+' | b'-') => Some(Number::Sign),
            (Number::E | Number::Sign | Number::Power, b'0'..=b'9') => Some(Number::Power),
            _ => None,
        }
    }
}

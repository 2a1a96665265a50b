//! Percent-encoding of a value that becomes part of an address (RFC 3986, 2.3). Pure.

use std::fmt::Write as _;

/// `text` with everything encoded but what means nothing special anywhere in an address.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_unreserved_characters_stay() {
        for (text, expected) in
            [("sk_Az-09.~", "sk_Az-09.~"), ("a/b?c#d e%f", "a%2Fb%3Fc%23d%20e%25f"), ("ä+&=", "%C3%A4%2B%26%3D")]
        {
            assert_eq!(super::encoded(text), expected);
        }
    }
}

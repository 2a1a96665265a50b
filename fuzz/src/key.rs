//! Keys: what a text is that comes where a key belongs, and where a request says its key.

use crate::receiver::answer::Refusal;
use crate::receiver::keys::{Shape, made, shape};
use crate::receiver::sdk::{basic, write_key};
use serde_json::Value;

/// The input as a key, as `Authorization`, and as a body that has a key in it.
pub fn check(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input) {
        check_shape(text);
    }
    check_made(input);
    check_authorization(input);
    check_write_key(input);
}

/// The checksum decides, as a reader of its own computes it.
fn check_shape(text: &str) {
    let rest =
        text.strip_prefix("sk_").filter(|rest| rest.len() == 49 && rest.bytes().all(|b| b.is_ascii_alphanumeric()));
    match (rest, shape(text)) {
        (Some(rest), found) => {
            let expected =
                if rest[43..] == digits(crc32(rest[..43].as_bytes())) { Shape::Key } else { Shape::Mistyped };
            assert_eq!(found, expected, "{text}");
        }
        // Keys of before had no checksum, and another length.
        (None, Shape::Key) => assert_eq!((text.len(), &text[..3]), (46, "sk_")),
        (None, Shape::Mistyped) => panic!("{text:?} is as long as a key"),
        (None, Shape::Other) => {}
    }
}

/// Whatever the bits are, a key is known; and one that differs in a character is not.
fn check_made(input: &[u8]) {
    let (Some(bits), Some(&[at, to])) = (input.first_chunk::<32>(), input.get(32..34)) else { return };
    let key = made(*bits);
    assert_eq!((key.len(), shape(&key)), (52, Shape::Key), "{key}");
    let mut slip = key.clone().into_bytes();
    let at = 3 + usize::from(at) % 49;
    slip[at] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[usize::from(to) % 62];
    if slip != key.as_bytes() {
        assert_eq!(shape(&String::from_utf8_lossy(&slip)), Shape::Mistyped, "{key}, at {at}");
    }
}

/// What is read is what the header encodes.
fn check_authorization(input: &[u8]) {
    match basic(input) {
        Some(Ok(Some((user, password)))) => {
            assert!(input[..5].eq_ignore_ascii_case(b"basic") && !user.contains(':'));
            let again = basic(format!("Basic {}", base64(&[user.as_bytes(), b":", &password].concat())).as_bytes());
            assert_eq!(again, Some(Ok(Some((user, password)))), "written and read again");
        }
        Some(Ok(None)) => panic!("there is a header"),
        Some(Err(refusal)) => {
            assert_eq!(refusal, Refusal::Unauthorized, "anything that is wrong with a key is one answer")
        }
        // It cannot stand in a header at all.
        None => {}
    }
}

/// What is read stands at the top of the body. A body that is no good for other reasons is refused later.
fn check_write_key(input: &[u8]) {
    let (Some(key), Ok(body)) = (write_key(input), serde_json::from_slice::<Value>(input)) else { return };
    let first = body.as_array().and_then(|items| items.first());
    assert_eq!(body.get("writeKey").or(first).and_then(Value::as_str), Some(key.as_str()));
}

/// Bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

/// Six digits of base 62.
fn digits(number: u32) -> String {
    let alphabet = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    // 62⁵ still fits.
    (0..6).rev().map(|power| char::from(alphabet[(number / 62_u32.pow(power) % 62) as usize])).collect()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

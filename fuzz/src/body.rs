//! Bodies off the wire: unpacked within their limit, and read strictly.

use crate::mapping::{MAX_DEPTH, parse_strict};
use crate::receiver::answer::Refusal;
use crate::receiver::{events, read};
use serde_json::Value;
use std::io::Read;

/// Limits that a fuzzer's inputs reach.
const ARRAY: usize = 4096;
const OTHER: usize = 1024;

/// The first byte says whether the rest is packed and into what pieces it is cut.
pub fn check(input: &[u8]) {
    let Some((&how, bytes)) = input.split_first() else { return };
    let (packed, piece) = (how & 1 == 1, usize::from(how >> 1).max(1));
    let whole = read(packed, vec![bytes.to_vec()], ARRAY, OTHER);
    let pieces = read(packed, bytes.chunks(piece).map(<[u8]>::to_vec).collect(), ARRAY, OTHER);
    match (&whole, &pieces) {
        (Ok(one), Ok(other)) => assert!(one == other, "what comes out depends on the pieces"),
        // Where the limit is met first depends on the pieces; whether the body is refused does not.
        (Err(_), Err(_)) => {}
        _ => panic!("{whole:?} in one piece, {pieces:?} in pieces of {piece}"),
    }
    let Ok(body) = whole else { return };
    check_unpacked(packed, bytes, &body);
    check_strict(&body);
    check_events(&body);
}

/// What came out is within the limit, and what another reader unpacks.
fn check_unpacked(packed: bool, bytes: &[u8], body: &[u8]) {
    let first = body.iter().find(|byte| !b" \t\r\n".contains(byte));
    assert!(body.len() <= if first == Some(&b'[') || first.is_none() { ARRAY } else { OTHER });
    if packed {
        let mut expected = Vec::new();
        let unpacked = flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut expected);
        assert!(unpacked.is_ok() && expected == body, "{unpacked:?}");
    } else {
        assert!(bytes == body);
    }
}

/// What is taken is what a lenient reader reads as well, and survives being written.
fn check_strict(body: &[u8]) {
    let lenient: Result<Value, _> = serde_json::from_slice(body);
    match parse_strict(body) {
        Ok(value) => {
            assert_eq!(lenient.ok().as_ref(), Some(&value), "read otherwise");
            assert!(depth(&value) <= MAX_DEPTH);
            assert_eq!(parse_strict(value.to_string().as_bytes()).as_ref(), Ok(&value), "written and read again");
        }
        Err(words) => assert!(!words.is_empty()),
    }
}

/// One event at a time is the same as all at once, but for what is wrong with one of them.
fn check_events(body: &[u8]) {
    match events(body) {
        Ok(read) if read.iter().all(Result::is_ok) => {
            let all: Value = read.into_iter().map(|event| Value::Object(event.unwrap_or_default())).collect();
            // An array is a level of its own.
            if depth(&all) <= MAX_DEPTH {
                assert_eq!(parse_strict(body).as_ref(), Ok(&all));
            }
        }
        Ok(_) => {}
        Err(Refusal::Bad(_)) => assert!(!parse_strict(body).is_ok_and(|value| value.is_array())),
        Err(refusal) => panic!("{refusal:?} within the limit"),
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

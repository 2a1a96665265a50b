//! Packed bodies: cut, damaged, endless, and not packed after all.

use super::{Case, Expected, Keys};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use std::io::Write;

const UPDATE: &[u8] = br#"{"workspace_id":"kept","groupId":"kept","type":"group","workspace_name":"changed","traits":{"name":"changed"}}"#;

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One member whose header has the flags, with what they announce.
fn with_header(flags: u8, extra: &[u8]) -> Vec<u8> {
    let whole = gzip(UPDATE);
    let mut head = whole[..10].to_vec();
    head[3] = flags;
    [&head, extra, &whole[10..]].concat()
}

fn damaged() -> Vec<(&'static str, Vec<u8>)> {
    let whole = gzip(UPDATE);
    let (head, tail) = (&whole[..10], whole.len() - 8);
    let flipped = |at: usize, bit: u8| {
        let mut bytes = whole.clone();
        bytes[at] ^= bit;
        bytes
    };
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
    deflate.write_all(UPDATE).unwrap();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(UPDATE).unwrap();
    vec![
        ("nothing", Vec::new()),
        ("not packed", UPDATE.to_vec()),
        ("noise", (0..400_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()),
        ("bare deflate", deflate.finish().unwrap()),
        ("zlib", zlib.finish().unwrap()),
        ("a zip's mark", b"PK\x03\x04".to_vec()),
        ("zstd's mark", b"\x28\xb5\x2f\xfd\x00".to_vec()),
        ("a wrong mark", flipped(0, 1)),
        ("half a mark", flipped(1, 1)),
        ("an unknown method", flipped(2, 1)),
        ("reserved flags", flipped(3, 0xe0)),
        ("a wrong checksum", flipped(tail, 1)),
        ("a wrong length", flipped(tail + 4, 1)),
        ("a head and nothing", head.to_vec()),
        ("a reserved block", [head, &[0x07]].concat()),
        ("a stored block of a wrong length", [head, &[0x01, 5, 0, 5, 0]].concat()),
        ("a distance beyond the beginning", [head, &[0x63, 0x00, 0x42, 0x00]].concat()),
        ("a name without an end", with_header(0x08, &[b'n'; 70_000])[..70_000].to_vec()),
        ("a comment without an end", with_header(0x10, &[b'n'; 70_000])[..70_000].to_vec()),
        ("an extra field beyond the end", with_header(0x04, &[0xff, 0xff])),
        ("a wrong checksum of the head", with_header(0x02, &[0x12, 0x34])),
        ("text behind", [&whole[..], b"{}"].concat()),
        ("noise behind", [&whole[..], &[0x1f, 0x8b, 0x09]].concat()),
        ("half a member behind", [&whole[..], &whole[..whole.len() / 2]].concat()),
        ("the same twice", [&whole[..], &whole[..]].concat()),
        ("packed twice", gzip(&whole)),
        ("base64 of it", b"H4sIAAAAAAAC/6tWKs8vyi5OTE5VslLKTq0sVqoFAA==".to_vec()),
        ("nothing in it", gzip(b"")),
        ("many times nothing", gzip(b"").repeat(100)),
        ("white space in it", gzip(b"  \n ")),
        ("a byte order mark in it", gzip(&[b"\xef\xbb\xbf", UPDATE].concat())),
        ("half a body in it", gzip(&UPDATE[..UPDATE.len() / 2])),
        ("no JSON in it", gzip(b"workspace_id=kept")),
        ("no UTF-8 in it", gzip(b"{\"workspace_id\":\"\xff\"}")),
        ("half a body and a member of noise", [gzip(&UPDATE[..20]), UPDATE[20..].to_vec()].concat()),
    ]
}

/// Small bodies that unpack to very large ones.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let large = 8 * 1024 * 1024;
    let member = gzip(&vec![b' '; 1024 * 1024]);
    vec![
        ("8 MB of white space", gzip(&vec![b' '; large])),
        ("8 MB of brackets", gzip(&vec![b'['; large])),
        ("8 MB of zeros", gzip(&vec![0; large])),
        ("8 members of 1 MB", member.repeat(8)),
        ("an update before 8 MB", gzip(&[UPDATE, &vec![b' '; large]].concat())),
    ]
}

pub fn all(keys: &Keys, cases: &mut Vec<Case>) {
    let mut add = |name: &str, place: super::Place, body: &[u8], status: u16| {
        let request = place.request().header("Content-Encoding", "gzip").body(body);
        cases.push(Case::of(&format!("packed: {name}"), request, Expected::Refused(status)));
    };
    let whole = gzip(UPDATE);
    for length in 0..whole.len() {
        for place in [keys.webhook(), keys.sdk("group"), keys.batch()] {
            add(&format!("cut at {length}"), place, &whole[..length], 400);
        }
    }
    for (name, body) in damaged() {
        for place in keys.single().into_iter().chain([keys.batch()]) {
            add(name, place, &body, 400);
        }
    }
    for (name, bomb) in bombs() {
        for place in [keys.webhook(), keys.sdk("group"), keys.sdk("track"), keys.batch()] {
            add(name, place, &bomb, 413);
        }
    }
    // One event in a batch is held to the same rules.
    add("no batch in it", keys.batch(), &whole, 400);
}

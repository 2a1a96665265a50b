//! Requests that break HTTP itself: lines, lengths, chunks.

use super::wire::Request;
use super::{Case, Expected, Keys};

const UPDATE: &[u8] = br#"{"workspace_id":"kept","groupId":"kept","type":"group","workspace_name":"changed","traits":{"name":"changed"}}"#;

pub fn all(keys: &Keys, cases: &mut Vec<Case>) {
    lines(keys, cases);
    headers(keys, cases);
    lengths(keys, cases);
    chunks(keys, cases);
}

fn add(cases: &mut Vec<Case>, name: &str, request: Request, expected: Expected) {
    cases.push(Case::of(name, request, expected));
}

/// Request lines that are none.
fn lines(keys: &Keys, cases: &mut Vec<Case>) {
    let path = keys.webhook().path;
    let lines = [
        format!("POST {path}"),
        format!("POST {path} "),
        format!("POST {path} HTTP/9.9"),
        format!("POST {path} HTTP/1.2"),
        format!("POST {path} HTTP/2.0"),
        format!("POST {path} HTTP/1.1 x"),
        format!("POST {path} http/1.1"),
        format!("POST {path} HTTP/1,1"),
        format!("POST {path} HTTPS/1.1"),
        format!("POST {path} FTP/1.1"),
        format!(" POST {path} HTTP/1.1"),
        format!("POST\t{path}\tHTTP/1.1"),
        format!("POST {path} x HTTP/1.1"),
        format!("POST {path}\0 HTTP/1.1"),
        format!("PO\0ST {path} HTTP/1.1"),
        format!("POST  {path} HTTP/1.1"),
        format!("P{{}}ST {path} HTTP/1.1"),
        format!("P\u{e9}ST {path} HTTP/1.1"),
        format!("POST {path}\u{1}x HTTP/1.1"),
        format!("POST {path}%zz<x> HTTP/1.1 "),
        "POST".to_owned(),
        "POST HTTP/1.1".to_owned(),
        "POST  HTTP/1.1".to_owned(),
        String::new(),
        "\0\0\0\0".to_owned(),
        "hello".to_owned(),
        "{}".to_owned(),
        "PRI * HTTP/2.0".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0".to_owned(),
        "SSH-2.0-x".to_owned(),
        "EHLO x".to_owned(),
        "* OK".to_owned(),
        "HTTP/1.1 200 OK".to_owned(),
        "CONNECT * HTTP/1.1".to_owned(),
        "POST x:y:z HTTP/1.1".to_owned(),
        "POST http:// HTTP/1.1".to_owned(),
        "POST \\ HTTP/1.1".to_owned(),
    ];
    for line in lines {
        add(cases, &format!("line {line:.60}"), Request::line(&line).body(UPDATE), Expected::NoHttp);
    }
}

/// Header lines that are none.
fn headers(keys: &Keys, cases: &mut Vec<Case>) {
    let lines: [&[u8]; 17] = [
        b"no colon\r\n",
        b": no name\r\n",
        b"na me: x\r\n",
        b"name : x\r\n",
        b" folded: x\r\n",
        b"a: b\r\n folded\r\n",
        b"a: b\r\n\tfolded\r\n",
        b"a: \0\r\n",
        b"a: b\x01c\r\n",
        b"a: b\x7fc\r\n",
        b"a\0: b\r\n",
        b"\xff: b\r\n",
        b"a(b): c\r\n",
        b"a{b}: c\r\n",
        b"a\"b\": c\r\n",
        b"a: b\rc: d\r\n",
        b"\r: x\r\n",
    ];
    for line in lines {
        let request = keys.webhook().request().raw(line).body(UPDATE);
        add(cases, &format!("header {:?}", String::from_utf8_lossy(line)), request, Expected::NoHttp);
    }
    let many = |count: usize| (0..count).map(|at| format!("x-{at}: y\r\n")).collect::<String>();
    let long = |length: usize| format!("x: {}\r\n", "y".repeat(length));
    for (name, lines) in [
        ("100 lines", many(100)),
        ("10,000 lines", many(10_000)),
        ("the same line 500 times", "a: b\r\n".repeat(500)),
        ("17 KB in one line", long(17 * 1024)),
        ("1 MB in one line", long(1024 * 1024)),
        ("a name of 20 KB", format!("{}: y\r\n", "x".repeat(20 * 1024))),
    ] {
        add(cases, name, keys.webhook().request().raw(lines.as_bytes()).body(UPDATE), Expected::NoHttp);
    }
}

fn lengths(keys: &Keys, cases: &mut Vec<Case>) {
    for value in [
        "-1",
        "+5",
        "0x10",
        "1e3",
        "12 12",
        "1.0",
        "",
        " ",
        "abc",
        "18446744073709551616",
        "99999999999999999999999999",
        "5;q=1",
        "\u{663}",
        "1_0",
    ] {
        let request = keys.webhook().request().without_length().header("Content-Length", value).body(UPDATE);
        add(cases, &format!("length {value:?}"), request, Expected::NoHttp);
    }
    let two = keys.webhook().request().header("Content-Length", "3").body(UPDATE);
    add(cases, "two lengths", two, Expected::NoHttp);
    // The client says more than it sends, and is gone.
    for said in [UPDATE.len() + 1, 1_000_000, 4_000_000_000] {
        for place in keys.few().into_iter().chain([keys.batch()]) {
            let request = place.request().without_length().header("Content-Length", &said.to_string()).body(UPDATE);
            add(cases, &format!("{said} bytes said"), request, Expected::NoHttp);
        }
    }
    // Less than it sends: the rest would be another request, and is none.
    let less = keys.webhook().request().without_length().header("Content-Length", "10").body(UPDATE);
    add(cases, "ten bytes said", less, Expected::Refused(400));
    for place in keys.few() {
        let nothing = place.request().without_length().body(UPDATE);
        add(cases, "no length", nothing, Expected::Refused(400));
        let none = place.request().without_length().header("Content-Length", "0").body(UPDATE);
        add(cases, "no bytes said", none, Expected::Refused(400));
    }
}

fn chunks(keys: &Keys, cases: &mut Vec<Case>) {
    let whole = |size: &str| [size.as_bytes(), b"\r\n", UPDATE, b"\r\n0\r\n\r\n"].concat();
    let length = UPDATE.len();
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("no size", whole("")),
        ("a size in words", whole("ten")),
        ("a negative size", whole("-1")),
        ("a size with 0x", whole(&format!("0x{length:x}"))),
        ("a size with a sign", whole(&format!("+{length:x}"))),
        ("a size past 64 bits", whole("fffffffffffffffff")),
        ("the largest size", whole("ffffffffffffffff")),
        ("a size too small", whole("5")),
        ("a size too large", whole(&format!("{:x}", length + 50))),
        ("no chunk at all", UPDATE.to_vec()),
        ("no last chunk", [format!("{length:x}\r\n").as_bytes(), UPDATE, b"\r\n"].concat()),
        ("half a chunk", [format!("{length:x}\r\n").as_bytes(), &UPDATE[..20]].concat()),
        ("half a size", b"6".to_vec()),
        ("nothing", Vec::new()),
        ("no line end behind the data", [format!("{length:x}\r\n").as_bytes(), UPDATE, b"0\r\n\r\n"].concat()),
        ("NUL in the size", whole("6\0d")),
        ("an endless extension", whole(&format!("{length:x};{}", "a".repeat(40_000)))),
    ];
    for (name, body) in bodies {
        for place in keys.few().into_iter().chain([keys.batch()]) {
            let request = place.request().without_length().header("Transfer-Encoding", "chunked").body(&body);
            add(cases, &format!("chunks: {name}"), request, Expected::NoHttp);
        }
    }
    // Sound chunks of a body that is not.
    let one_by_one: Vec<u8> =
        UPDATE[..40].iter().flat_map(|byte| [b"1\r\n", &[*byte][..], b"\r\n"].concat()).chain(*b"0\r\n\r\n").collect();
    for place in keys.few() {
        for (name, body) in [
            ("only the last", &b"0\r\n\r\n"[..]),
            ("byte by byte", &one_by_one),
            ("trailers", b"1\r\n{\r\n0\r\nX-Trailer: workspace_id\r\n\r\n"),
        ] {
            let request = place.request().without_length().header("Transfer-Encoding", "chunked").body(body);
            add(cases, &format!("chunks: {name}"), request, Expected::Refused(400));
        }
    }
    for coding in [
        "gzip",
        "identity",
        "chunked, gzip",
        "x",
        "",
        "chunked, chunked",
        "chunked;q=1",
        "gzip, chunked, x",
        "\"chunked\"",
    ] {
        let request = keys
            .webhook()
            .request()
            .without_length()
            .header("Transfer-Encoding", coding)
            .body(&whole(&format!("{length:x}"))[..20]);
        add(cases, &format!("transfer encoding {coding:?}"), request, Expected::NoHttp);
    }
    // What smuggling would use: both, and a second request behind the first.
    let smuggled = [
        b"0\r\n\r\nPOST ",
        keys.webhook().path.as_bytes(),
        b" HTTP/1.1\r\nHost: x\r\nContent-Length: 110\r\n\r\n",
        UPDATE,
    ]
    .concat();
    let both = keys.webhook().request().header("Transfer-Encoding", "chunked").body(&smuggled);
    add(cases, "a length and chunks", both, Expected::NoHttp);
}

//! The faults and what each must come to.

use crate::faulty::act::APPLIED;
use crate::faulty::{Act, Answer, End, Plan, Stage};
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Acknowledged,
    Refused,
    NotDelivered,
    Unknown,
}
use Class::{Acknowledged, NotDelivered, Refused, Unknown};

/// A fault: what the destination does with the n-th request, what the org ends as, after how many requests of at most two.
#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub plan: fn(usize) -> Plan,
    pub class: Class,
    pub attempts: usize,
}

const fn case(name: &'static str, plan: fn(usize) -> Plan, class: Class, attempts: usize) -> Case {
    Case { name, plan, class, attempts }
}

/// Statuses, made into cases by a macro because a plan is a plain function.
macro_rules! statuses {
    ($class:expr, $attempts:expr, $($status:literal)*) => {
        [$(case(concat!("status ", $status), |_| Plan::status($status), $class, $attempts)),*]
    };
}

fn raw(text: &str, end: End) -> Plan {
    Plan::of(Act::Bytes(text.as_bytes().to_vec(), end))
}

fn cut(stage: Stage, end: End) -> Plan {
    Plan::of(Act::Cut(stage, end))
}

fn good() -> Answer {
    Answer::new(200, APPLIED)
}

fn later(nth: usize, first: Plan) -> Plan {
    if nth == 0 { first } else { Plan::ok() }
}

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// Everything that one org can suffer without stopping the others.
pub fn ordinary() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(statuses!(Acknowledged, 1, 200 201 202 203 204 206 207 226 299));
    cases.extend(
        statuses!(Refused, 1, 400 402 406 409 411 412 413 414 415 416 417 418 421 422 423 424 426 428 431 451 499),
    );
    cases.extend(statuses!(NotDelivered, 2, 408 425 429));
    cases.extend(statuses!(Unknown, 2, 500 502 503 504 506 507 508 510 511 520 529 599 600 999));
    cases.extend(statuses!(Unknown, 1, 501 505));
    cases.extend_from_slice(BODIES);
    cases.extend_from_slice(RETRY_AFTER);
    cases.extend_from_slice(CONNECTIONS);
    cases.extend_from_slice(ANSWERS);
    cases.extend_from_slice(RECOVERING);
    cases
}

const BODIES: &[Case] = &[
    case("taken back", |_| Plan::body(200, r#"{"success":false,"message":"no such plan"}"#), Refused, 1),
    case("taken back, nothing said", |_| Plan::body(201, r#"{"success": false}"#), Refused, 1),
    case("not taken back: a text", |_| Plan::body(200, r#"{"success":"false"}"#).applied(), Acknowledged, 1),
    case("an HTML page", |_| Plan::body(200, "<html>hello</html>").applied(), Acknowledged, 1),
    case("more than is read", |_| Plan::body(200, &"x".repeat(100_000)).applied(), Acknowledged, 1),
    case("more than is read, refused", |_| Plan::body(422, &"x".repeat(100_000)), Refused, 1),
];

const RETRY_AFTER: &[Case] = &[
    case("429, no wait", |_| Plan::header(429, "retry-after", "0"), NotDelivered, 2),
    case(
        "429, a date of the past",
        |_| Plan::header(429, "retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
        NotDelivered,
        2,
    ),
    case(
        "429, an old form of date",
        |_| Plan::header(429, "retry-after", "Sunday, 06-Nov-94 08:49:37 GMT"),
        NotDelivered,
        2,
    ),
    case("429, the oldest", |_| Plan::header(429, "retry-after", "Sun Nov  6 08:49:37 1994"), NotDelivered, 2),
    case("429, nonsense", |_| Plan::header(429, "retry-after", "soon"), NotDelivered, 2),
    case("429, negative", |_| Plan::header(429, "retry-after", "-5"), NotDelivered, 2),
    case("429, empty", |_| Plan::header(429, "retry-after", ""), NotDelivered, 2),
    case("503, no wait", |_| Plan::header(503, "retry-after", "0"), Unknown, 2),
    case("503, nonsense", |_| Plan::header(503, "retry-after", "1e9"), Unknown, 2),
    // Longer than the job waits, for this row alone: it is left to the next run.
    case("500, an hour", |_| Plan::header(500, "retry-after", "3600"), Unknown, 1),
    case("408, an hour", |_| Plan::header(408, "retry-after", "3600"), NotDelivered, 1),
    case("422, an hour", |_| Plan::header(422, "retry-after", "3600"), Refused, 1),
];

const CONNECTIONS: &[Case] = &[
    case("reset, unread", |_| cut(Stage::Unread, End::Reset), Unknown, 2),
    case("closed, unread", |_| cut(Stage::Unread, End::Close), Unknown, 2),
    case("reset after the head", |_| cut(Stage::Head, End::Reset), Unknown, 2),
    case("closed after the head", |_| cut(Stage::Head, End::Close), Unknown, 2),
    case("reset after the body", |_| cut(Stage::Body, End::Reset), Unknown, 2),
    case("reset after the body, applied", |_| cut(Stage::Body, End::Reset).applied(), Unknown, 2),
    case("closed after the body", |_| cut(Stage::Body, End::Close), Unknown, 2),
    case("closed after the body, applied", |_| cut(Stage::Body, End::Close).applied(), Unknown, 2),
    case("closed after a while, applied", |_| cut(Stage::Body, End::Close).applied().after(20 * MS), Unknown, 2),
];

const ANSWERS: &[Case] = &[
    case("half a status line", |_| raw("HTTP/1.1 2", End::Close), Unknown, 2),
    case("half a status line, reset", |_| raw("HTTP/1.1 2", End::Reset).applied(), Unknown, 2),
    case("half a head", |_| raw("HTTP/1.1 200 OK\r\ncontent-le", End::Close).applied(), Unknown, 2),
    case(
        "half a body",
        |_| raw("HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{\"suc", End::Close).applied(),
        Unknown,
        2,
    ),
    case("half a body, reset", |_| raw("HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{\"suc", End::Reset), Unknown, 2),
    case("half a refusal", |_| raw("HTTP/1.1 422 No\r\ncontent-length: 16\r\n\r\n{\"mes", End::Close), Refused, 1),
    case(
        "half a chunk",
        |_| raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\n{\"suc", End::Close),
        Unknown,
        2,
    ),
    case(
        "a chunk that is none",
        |_| raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", End::Close),
        Unknown,
        2,
    ),
    // Only the announced part of the body is one; it is no JSON, and so takes nothing back.
    case(
        "a length too short",
        |_| raw("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{\"success\":false}", End::Close).applied(),
        Acknowledged,
        1,
    ),
    case("a length that is none", |_| raw("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", End::Close), Unknown, 2),
    case(
        "two lengths",
        |_| raw("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nok", End::Close),
        Unknown,
        2,
    ),
    case(
        "no length, closed",
        |_| raw("HTTP/1.1 200 OK\r\n\r\n{\"success\":true}", End::Close).applied(),
        Acknowledged,
        1,
    ),
    case("no length, taken back", |_| raw("HTTP/1.1 200 OK\r\n\r\n{\"success\":false}", End::Close), Refused, 1),
    case("HTTP/1.0", |_| raw("HTTP/1.0 200 OK\r\n\r\n", End::Close).applied(), Acknowledged, 1),
    case(
        "100, then 200",
        |_| raw("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", End::Close).applied(),
        Acknowledged,
        1,
    ),
    case("100, then nothing", |_| raw("HTTP/1.1 100 Continue\r\n\r\n", End::Close).applied(), Unknown, 2),
    case("another protocol", |_| raw("220 mail.example.org ESMTP\r\n", End::Close), Unknown, 2),
    case("bytes", |_| raw("\u{1}\u{2}\u{3}\0\0\0", End::Close), Unknown, 2),
    case("an empty line", |_| raw("\r\n\r\n", End::Close), Unknown, 2),
    case("a status of two digits", |_| raw("HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n", End::Close), Unknown, 2),
    case("byte by byte", |_| Plan::of(Act::Drip(good(), MS)).applied(), Acknowledged, 1),
    case("byte by byte, refused", |_| Plan::of(Act::Drip(Answer::new(422, "no"), MS)), Refused, 1),
    case("endless", |_| Plan::of(Act::Endless(200)).applied(), Acknowledged, 1),
    case("endless, refused", |_| Plan::of(Act::Endless(422)), Refused, 1),
    case("endless, unknown", |_| Plan::of(Act::Endless(500)), Unknown, 2),
    case("answered before it was read", |_| Plan::of(Act::Early(good())).applied(), Acknowledged, 1),
    case("refused before it was read", |_| Plan::of(Act::Early(Answer::new(422, ""))), Refused, 1),
    case("answered twice", |_| Plan::of(Act::Twice(good())).applied(), Acknowledged, 1),
    case("answered, then closed", |_| Plan::of(Act::ThenClose(good())).applied(), Acknowledged, 1),
    case("answered late", |_| Plan::ok().after(50 * MS), Acknowledged, 1),
];

const RECOVERING: &[Case] = &[
    case("500, then well", |n| later(n, Plan::status(500).applied()), Acknowledged, 2),
    case("429, then well", |n| later(n, Plan::status(429)), Acknowledged, 2),
    case("reset, applied, then well", |n| later(n, cut(Stage::Body, End::Reset).applied()), Acknowledged, 2),
    case("half an answer, then well", |n| later(n, raw("HTTP/1.1 200", End::Close).applied()), Acknowledged, 2),
    case("unknown, then refused", |n| if n == 0 { Plan::status(500) } else { Plan::status(422) }, Unknown, 2),
    case("unknown, then busy", |n| if n == 0 { cut(Stage::Body, End::Close) } else { Plan::status(429) }, Unknown, 2),
    case("busy, then unknown", |n| if n == 0 { Plan::status(429) } else { Plan::status(500) }, Unknown, 2),
    case("busy, then refused", |n| if n == 0 { Plan::status(429) } else { Plan::status(422) }, Refused, 2),
];

/// No answer within the time-out, whatever the machine does meanwhile.
pub const TIMED: &[Case] = &[
    case("never answered", |_| cut(Stage::Body, End::Stay), Unknown, 2),
    case("never answered, applied", |_| cut(Stage::Body, End::Stay).applied(), Unknown, 2),
    case("never read", |_| cut(Stage::Unread, End::Stay), Unknown, 2),
    case("the head alone", |_| raw("HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n", End::Stay).applied(), Unknown, 2),
    case(
        "half a body and no end",
        |_| raw("HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{\"suc", End::Stay),
        Unknown,
        2,
    ),
    case("too slow byte by byte", |_| Plan::of(Act::Drip(good(), SECOND)).applied(), Unknown, 2),
    case("hangs once", |n| later(n, cut(Stage::Body, End::Stay).applied()), Acknowledged, 2),
];

/// The name of a fault that stops delivery, and what the destination does.
pub type Stopping = (&'static str, fn() -> Plan);

/// Faults of the set-up: delivery stops.
pub const STOPPING: &[Stopping] = &[
    ("300", || Plan::status(300)),
    ("301", || Plan::header(301, "location", "/elsewhere")),
    ("302", || Plan::header(302, "location", "http://127.0.0.1:1/")),
    ("304", || Plan::status(304)),
    ("307", || Plan::header(307, "location", "/elsewhere")),
    ("308", || Plan::header(308, "location", "/elsewhere")),
    ("401", || Plan::status(401)),
    ("403", || Plan::body(403, r#"{"error":"wrong endpoint type"}"#)),
    ("404", || Plan::status(404)),
    ("405", || Plan::status(405)),
    ("407", || Plan::status(407)),
    ("410", || Plan::status(410)),
    ("401 that breaks off", || raw("HTTP/1.1 401 No\r\ncontent-length: 9\r\n\r\nno", End::Close)),
    ("401 without an end", || Plan::of(Act::Endless(401))),
    ("429, a minute", || Plan::header(429, "retry-after", "60")),
    ("429, a year", || Plan::header(429, "retry-after", "31536000")),
    ("429, more than a number holds", || Plan::header(429, "retry-after", "99999999999999999999")),
    ("429, a date", || Plan::header(429, "retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")),
];

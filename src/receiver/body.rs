//! Bodies off the wire: bounded, in time, unpacked.
//!
//! Whatever a sender does, no more than the limit of a body is held, packed or unpacked: a small gzip body that unpacks to
//! gigabytes is given up at the first byte beyond.

use super::answer::Refusal;
use super::memory::{Memory, Share};
use crate::server::Late;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use flate2::write::MultiGzDecoder;
use futures_util::StreamExt;
use std::io::Write;
use std::ops::Deref;
use std::sync::Arc;

/// Bytes of a body with one org at most (WIRE.md).
pub const MAX_BODY: usize = 256 * 1024;
/// Bytes of a body with many events at most, unpacked (WIRE.md).
pub const MAX_BATCH_BODY: usize = 4 * 1024 * 1024;
/// How much of a body beyond the limit is read and thrown away before the answer. A client that is cut off while it still
/// sends sees a reset instead of the 413.
const MAX_DISCARDED: usize = 4 * 1024 * 1024;
/// What a body takes at first; it is doubled from there.
const FIRST: usize = 4 * 1024;

/// How many bytes a body may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// If it begins with `[`.
    pub array: usize,
    /// If it begins with anything else.
    pub other: usize,
}

impl Limits {
    /// The same for all.
    pub(super) fn all(bytes: usize) -> Limits {
        Limits { array: bytes, other: bytes }
    }

    fn most(self) -> usize {
        self.array.max(self.other)
    }

    fn of(self, first: u8) -> usize {
        if first == b'[' { self.array } else { self.other }
    }
}

/// The first byte that is no JSON white space.
pub(super) fn first(bytes: &[u8]) -> Option<u8> {
    bytes.iter().copied().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
}

/// A body, and its share of the memory for bodies.
#[derive(Debug)]
pub(super) struct Held {
    bytes: Vec<u8>,
    share: Arc<Share>,
}

impl Held {
    /// What it takes of the memory, to be held on to as long as what was read out of it.
    pub(super) fn share(&self) -> Arc<Share> {
        Arc::clone(&self.share)
    }
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body to its end, unpacked. The server ends it when the request's time is over.
///
/// # Errors
/// 415 for an encoding other than gzip, 413, 408, 400 for a body that breaks off or is no gzip after all, and 503 when there is no memory
/// left for it.
pub(super) async fn read(headers: &HeaderMap, body: Body, limits: Limits, memory: &Memory) -> Result<Held, Refusal> {
    let mut inlet = Inlet::new(headers, limits, memory.share())?;
    let mut chunks = body.into_data_stream();
    let mut arrived = 0;
    // How much had arrived when the limit was passed.
    let mut over = None;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| match Late::is_cause_of(&error) {
            true => Refusal::Slow,
            // The sender is most likely gone; if not, this is what it did.
            false => Refusal::Bad("the body broke off".to_owned()),
        })?;
        arrived += chunk.len();
        match over {
            Some((_, since)) if arrived - since > MAX_DISCARDED => break,
            Some(_) => {}
            None => over = inlet.take(&chunk, arrived > limits.most())?.map(|limit| (limit, arrived)),
        }
    }
    match over {
        Some((limit, _)) => Err(Refusal::TooLarge(limit)),
        None => inlet.finish(),
    }
}

/// Where chunks go in.
enum Inlet {
    Plain(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
}

impl Inlet {
    fn new(headers: &HeaderMap, limits: Limits, share: Share) -> Result<Inlet, Refusal> {
        let bounded = Bounded { bytes: Vec::new(), share, limits, decided: None, over: None, no_room: false };
        let coding = headers.get(header::CONTENT_ENCODING).map_or(&b"identity"[..], |coding| coding.as_bytes());
        match coding {
            coding if coding.eq_ignore_ascii_case(b"identity") => Ok(Inlet::Plain(bounded)),
            // RFC 9110 takes the two names for the same.
            coding if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") => {
                Ok(Inlet::Gzip(Box::new(MultiGzDecoder::new(bounded))))
            }
            _ => Err(Refusal::NotJson(
                "The body may be compressed with gzip only; leave Content-Encoding out otherwise".to_owned(),
            )),
        }
    }

    /// `Some(limit)` once there is too much. `packed_over`: more has arrived than may come out.
    fn take(&mut self, chunk: &[u8], packed_over: bool) -> Result<Option<usize>, Refusal> {
        let written = match self {
            Inlet::Plain(bounded) => bounded.write_all(chunk),
            Inlet::Gzip(decoder) => decoder.write_all(chunk),
        };
        let bounded = self.bounded();
        match bounded.over {
            _ if bounded.no_room => Err(Refusal::Overloaded),
            Some(limit) => Ok(Some(limit)),
            None if packed_over => Ok(Some(bounded.limit())),
            None => written.map(|()| None).map_err(|_| not_gzip()),
        }
    }

    fn finish(mut self) -> Result<Held, Refusal> {
        if let Inlet::Gzip(decoder) = &mut self {
            let finished = decoder.try_finish();
            if decoder.get_ref().no_room {
                return Err(Refusal::Overloaded);
            }
            if let Some(limit) = decoder.get_ref().over {
                return Err(Refusal::TooLarge(limit));
            }
            finished.map_err(|_| not_gzip())?;
        }
        let bounded = match &mut self {
            Inlet::Plain(bounded) => bounded,
            Inlet::Gzip(decoder) => decoder.get_mut(),
        };
        Ok(bounded.take())
    }

    fn bounded(&self) -> &Bounded {
        match self {
            Inlet::Plain(bounded) => bounded,
            Inlet::Gzip(decoder) => decoder.get_ref(),
        }
    }
}

fn not_gzip() -> Refusal {
    Refusal::Bad("the body is not the gzip that its Content-Encoding says".to_owned())
}

/// Bytes up to their limit.
struct Bounded {
    bytes: Vec<u8>,
    share: Share,
    limits: Limits,
    /// The limit, once a byte that is no white space was there.
    decided: Option<usize>,
    /// The limit that was passed.
    over: Option<usize>,
    /// Whether there was no memory for more.
    no_room: bool,
}

impl Bounded {
    /// Makes room for so many bytes in all, by doubling, and takes the share of what is then held.
    fn grow_to(&mut self, bytes: usize) -> bool {
        if bytes <= self.bytes.capacity() {
            return true;
        }
        let capacity = bytes.max(2 * self.bytes.capacity()).max(FIRST).min(self.limit());
        if !self.share.grow_to(capacity) {
            return false;
        }
        self.bytes.reserve_exact(capacity - self.bytes.len());
        true
    }

    fn take(&mut self) -> Held {
        let nothing = self.share.nothing();
        Held { bytes: std::mem::take(&mut self.bytes), share: Arc::new(std::mem::replace(&mut self.share, nothing)) }
    }

    fn limit(&self) -> usize {
        self.decided.unwrap_or(self.limits.most())
    }
}

impl Write for Bounded {
    fn write(&mut self, chunk: &[u8]) -> std::io::Result<usize> {
        if self.decided.is_none() {
            self.decided = first(chunk).map(|first| self.limits.of(first));
        }
        if self.over.is_some() || self.bytes.len() + chunk.len() > self.limit() {
            self.over = Some(self.limit());
            return Err(std::io::Error::other("too large"));
        }
        if !self.grow_to(self.bytes.len() + chunk.len()) {
            self.no_room = true;
            return Err(std::io::Error::other("no room"));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(chunk.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    const LIMITS: Limits = Limits { array: 100, other: 50 };

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).expect("to memory");
        encoder.finish().expect("to memory")
    }

    async fn run_within(memory: usize, coding: Option<&'static str>, chunks: Vec<Vec<u8>>) -> Result<Vec<u8>, Refusal> {
        let mut headers = HeaderMap::new();
        if let Some(coding) = coding {
            headers.insert(header::CONTENT_ENCODING, coding.parse().expect("a header"));
        }
        let chunks = futures_util::stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>));
        let memory = Memory::new(memory);
        read(&headers, Body::from_stream(chunks), LIMITS, &memory).await.map(|held| held.to_vec())
    }

    async fn run(coding: Option<&'static str>, chunks: Vec<Vec<u8>>) -> Result<Vec<u8>, Refusal> {
        run_within(1 << 20, coding, chunks).await
    }

    #[track_caller]
    fn check_bad(result: Result<Vec<u8>, Refusal>, part: &str) {
        match result {
            Err(Refusal::Bad(reason) | Refusal::NotJson(reason)) => assert!(reason.contains(part), "{reason}"),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_limit_is_exact_and_goes_by_the_first_byte() {
        for coding in [None, Some("gzip"), Some("X-Gzip")] {
            for (first, limit) in [("{", 50), (" \n[", 100), ("[", 100), ("\"", 50)] {
                let sized = |size: usize| {
                    let text = format!("{first}{}", "x".repeat(size - first.len())).into_bytes();
                    if coding.is_some() { gzip(&text) } else { text }
                };
                let bytes = |text: Vec<u8>| text.chunks(7).map(<[u8]>::to_vec).collect::<Vec<_>>();
                assert_eq!(run(coding, vec![sized(limit)]).await.map(|body| body.len()), Ok(limit));
                assert_eq!(run(coding, bytes(sized(limit))).await.map(|body| body.len()), Ok(limit));
                assert_eq!(run(coding, vec![sized(limit + 1)]).await, Err(Refusal::TooLarge(limit)), "{coding:?}");
                assert_eq!(run(coding, bytes(sized(limit + 1))).await, Err(Refusal::TooLarge(limit)), "{coding:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_in_memory_is_refused() {
        for (coding, body) in [(None, b"[1, 2]".to_vec()), (Some("gzip"), gzip(b"[1, 2]"))] {
            assert_eq!(run_within(4095, coding, vec![body.clone()]).await, Err(Refusal::Overloaded));
            assert_eq!(run_within(4096, coding, vec![body]).await.as_deref(), Ok(&b"[1, 2]"[..]));
        }
        let memory = Memory::new(4096);
        let headers = HeaderMap::new();
        let held = read(&headers, Body::from("[]"), LIMITS, &memory).await.expect("room");
        assert_eq!(read(&headers, Body::from("[]"), LIMITS, &memory).await.err(), Some(Refusal::Overloaded));
        drop(held);
        assert!(read(&headers, Body::from("[]"), LIMITS, &memory).await.is_ok(), "given back");
    }

    #[tokio::test]
    async fn a_bomb_is_given_up_at_the_limit() {
        let bomb = gzip(&vec![b'['; 64 * 1024 * 1024]);
        assert!(bomb.len() < 70_000, "{}", bomb.len());
        let chunks = bomb.chunks(4096).map(<[u8]>::to_vec).collect();
        assert_eq!(run(Some("gzip"), chunks).await, Err(Refusal::TooLarge(100)));
        // Many members that are empty: nothing comes out, and what goes in is bounded too.
        let members = vec![gzip(b""); 10];
        assert_eq!(run(Some("gzip"), members).await, Err(Refusal::TooLarge(100)));
    }

    #[tokio::test]
    async fn members_are_joined_and_what_is_no_gzip_is_said() {
        let two = [gzip(b"{\"a\":"), gzip(b"1}")].concat();
        assert_eq!(run(Some("gzip"), vec![two]).await.as_deref(), Ok(&b"{\"a\":1}"[..]));
        let whole = gzip(b"{\"a\":1}");
        check_bad(run(Some("gzip"), vec![whole[..whole.len() - 3].to_vec()]).await, "not the gzip");
        check_bad(run(Some("gzip"), vec![b"{\"a\":1}".to_vec()]).await, "not the gzip");
        check_bad(run(Some("gzip"), vec![]).await, "not the gzip");
        let mut damaged = whole;
        let last = damaged.len() - 5;
        damaged[last] ^= 1;
        check_bad(run(Some("gzip"), vec![damaged]).await, "not the gzip");
        check_bad(run(Some("br"), vec![b"{}".to_vec()]).await, "gzip only");
        check_bad(run(Some("gzip, gzip"), vec![b"{}".to_vec()]).await, "gzip only");
    }
}

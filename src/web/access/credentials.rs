//! The token that a request shows.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `Authorization: Bearer TOKEN`: whoever sends it means to.
    Bearer,
    /// As the password of HTTP's own dialogue, whatever the user: browsers send it by themselves.
    Basic,
}

/// Of several headers the one that counts is not known, so none does.
pub(super) fn shown(headers: &HeaderMap) -> Option<(Scheme, Vec<u8>)> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (all.next()?.as_bytes(), all.next()) else { return None };
    let at = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = (&value[..at], value[at..].trim_ascii());
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some((Scheme::Bearer, rest.to_vec()));
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let pair = STANDARD.decode(rest).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some((Scheme::Basic, pair[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read() {
        let of = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            lines.iter().for_each(|line| _ = headers.append(header::AUTHORIZATION, line.parse().expect("a value")));
            shown(&headers).map(|(scheme, token)| (scheme, String::from_utf8(token).expect("text")))
        };
        let is = |scheme, token: &str| Some((scheme, token.to_owned()));
        assert_eq!(of(&["Bearer t"]), is(Scheme::Bearer, "t"));
        assert_eq!(of(&["bEARER   t "]), is(Scheme::Bearer, "t"));
        assert_eq!(of(&[&format!("Basic {}", STANDARD.encode("me:a:b"))]), is(Scheme::Basic, "a:b"));
        assert_eq!(of(&[&format!("basic {}", STANDARD.encode(":t"))]), is(Scheme::Basic, "t"));
        for none in
            [&[][..], &["Bearer"], &["t"], &["Digest t"], &["Basic t"], &["Basic dA=="], &["Bearer t", "Bearer t"]]
        {
            assert_eq!(of(none), None, "{none:?}");
        }
    }
}

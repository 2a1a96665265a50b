use super::*;
use crate::job::spec::DestinationKind::{Http, Rudderstack, Segment, Trailspark};
use chrono::TimeZone;
use proptest::prelude::*;

const KINDS: [DestinationKind; 4] = [Trailspark, Segment, Rudderstack, Http];

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(1994, 11, 6, 8, 49, 0).unwrap()
}

fn judge(attempt: &Attempt, now: DateTime<Utc>) -> Verdict {
    super::judge(attempt, &Peer::plain(), now)
}

fn answer(status: u16, retry_after: Option<&str>, body: &str) -> Attempt {
    let retry_after = retry_after.map(str::to_owned).into_iter().collect();
    Attempt::Answered(Answer { retry_after, ..Answer::of(status, body) })
}

fn fault(kind: FaultKind) -> Fault {
    Fault { kind, text: "why".to_owned() }
}

/// One word per verdict, so that the tables below stay readable.
fn word(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Acknowledged => "acknowledged".to_owned(),
        Verdict::Refused { .. } => "refused".to_owned(),
        Verdict::Unknown { .. } => "unknown".to_owned(),
        Verdict::ConfigFault { .. } => "config".to_owned(),
        Verdict::Retry { maybe_applied, after, pause, .. } => {
            let applied = if *maybe_applied { "maybe" } else { "not" };
            let pause = if *pause { " pause" } else { "" };
            let after = after.map_or_else(String::new, |a| format!(" {}s", a.as_secs()));
            format!("retry {applied}{pause}{after}")
        }
    }
}

#[test]
fn statuses() {
    let table: &[(&[u16], &str)] = &[
        (&[200, 201, 202, 204, 299], "acknowledged"),
        (&[300, 301, 302, 304, 307, 308], "config"),
        (&[401, 403, 404, 405, 407, 410], "config"),
        (&[400, 402, 406, 409, 413, 415, 422, 423, 451, 499], "refused"),
        (&[408, 425, 429], "retry not"),
        (&[500, 502, 503, 504, 507, 529, 599], "retry maybe"),
        (&[501, 505], "unknown"),
        (&[100, 101, 600, 999], "retry maybe"),
    ];
    for (statuses, expected) in table {
        for status in *statuses {
            assert_eq!(word(&judge(&answer(*status, None, ""), now())), *expected, "{status}");
        }
    }
}

/// Every status that HTTP has room for. `*`: with Retry-After it pauses the whole destination.
const EVERY_STATUS: &[(std::ops::RangeInclusive<u16>, &str)] = &[
    (100..=199, "retry maybe"),
    (200..=299, "yes"),
    (300..=399, "config"),
    (400..=400, "refused"),
    (401..=401, "config"),
    (402..=402, "refused"),
    (403..=405, "config"),
    (406..=406, "refused"),
    (407..=407, "config"),
    (408..=408, "retry not"),
    (409..=409, "refused"),
    (410..=410, "config"),
    (411..=424, "refused"),
    (425..=425, "retry not"),
    (426..=428, "refused"),
    (429..=429, "retry not*"),
    (430..=499, "refused"),
    (500..=500, "retry maybe"),
    (501..=501, "unknown"),
    (502..=502, "retry maybe"),
    (503..=503, "retry maybe*"),
    (504..=504, "retry maybe"),
    (505..=505, "unknown"),
    (506..=599, "retry maybe"),
];

#[test]
fn every_status_with_every_retry_after_of_every_kind() {
    let all = EVERY_STATUS.iter().flat_map(|(range, word)| range.clone().map(move |status| (status, *word)));
    let all: Vec<(u16, &str)> = all.collect();
    assert!(all.iter().map(|(status, _)| *status).eq(100..=599), "the table has each status once");
    let waits = [(None, ""), (Some("7"), " 7s"), (Some("Sun, 06 Nov 1994 08:49:37 GMT"), " 37s"), (Some("soon"), "")];
    for (status, class) in all {
        for ((retry_after, wait), kind) in waits.iter().flat_map(|w| KINDS.map(|kind| (w, kind))) {
            for body in ["", r#"{"success":false}"#, r#"{"success":true}"#] {
                let expected = match class.strip_suffix('*') {
                    Some(retry) if wait.is_empty() => retry.to_owned(),
                    Some(retry) => format!("{retry} pause{wait}"),
                    None if class.starts_with("retry") => format!("{class}{wait}"),
                    None if class == "yes" && body.ends_with("false}") => "refused".into(),
                    None if class == "yes" && kind == Trailspark && body.is_empty() => "unknown".into(),
                    None if class == "yes" => "acknowledged".into(),
                    None => class.to_owned(),
                };
                let peer = Peer { kind, ..Peer::plain() };
                let verdict = super::judge(&answer(status, *retry_after, body), &peer, now());
                assert_eq!(word(&verdict), expected, "{status} {retry_after:?} {kind:?} {body}");
            }
        }
    }
}

#[test]
fn of_several_retry_after_the_longest_valid_one_counts() {
    for (values, expected) in [
        (&["7", "120", "soon"][..], "retry not pause 120s"),
        (&["soon", ""], "retry not"),
        (&["Sun, 06 Nov 1994 08:49:37 GMT", "7"], "retry not pause 37s"),
        (&["7, 8"], "retry not"),
    ] {
        let retry_after = values.iter().map(|v| (*v).to_owned()).collect();
        let attempt = Attempt::Answered(Answer { retry_after, ..Answer::of(429, "") });
        assert_eq!(word(&judge(&attempt, now())), expected, "{values:?}");
    }
}

#[test]
fn a_year_of_two_digits_is_near() {
    let day = 24 * 60 * 60;
    for (year, written, expected) in [
        (2026, "Sunday, 06-Nov-26 08:49:37 GMT", 37),
        (2026, "Sunday, 06-Nov-27 08:49:37 GMT", day),
        (2026, "Sunday, 06-Nov-25 08:49:37 GMT", 0),
        (2026, "Sunday, 06-Nov-76 08:49:37 GMT", day),
        (2026, "Sunday, 06-Nov-77 08:49:37 GMT", 0),
        (2090, "Sunday, 06-Nov-90 08:49:37 GMT", 37),
        (2090, "Sunday, 06-Nov-10 08:49:37 GMT", day),
        (1994, "Sunday, 06-Nov-44 08:49:37 GMT", day),
        (1994, "Sunday, 06-Nov-45 08:49:37 GMT", 0),
    ] {
        let now = Utc.with_ymd_and_hms(year, 11, 6, 8, 49, 0).unwrap();
        assert_eq!(retry_after(written, now), Some(Duration::from_secs(expected)), "{year} {written}");
    }
}

proptest! {
    #[test]
    fn retry_after_never_panics_and_never_exceeds_its_cap(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..64),
            "[0-9]{0,40}".prop_map(String::into_bytes),
            "(Sun|Sunday),? [0-9]{2}[- ](Feb|Nov)[- ][0-9]{2,4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT".prop_map(String::into_bytes),
        ],
        seconds in -200_000_000_000_i64..200_000_000_000,
    ) {
        let now = Utc.timestamp_opt(seconds, 0).unwrap();
        let value = String::from_utf8_lossy(&bytes);
        if let Some(wait) = retry_after(&value, now) {
            prop_assert!(wait <= RETRY_AFTER_CAP);
        }
        let verdict = judge(&answer(429, Some(&value), &value), now);
        prop_assert!(matches!(verdict, Verdict::Retry { maybe_applied: false, .. }), "{verdict:?}");
    }
}

#[test]
fn transport_errors() {
    for (kind, expected) in [
        (FaultKind::Invalid, "refused"),
        (FaultKind::Connect, "retry not"),
        (FaultKind::Unprocessed, "retry not"),
        (FaultKind::Address, "config"),
        (FaultKind::Tls, "config"),
        (FaultKind::Proxy, "config"),
        (FaultKind::Timeout, "retry maybe"),
        (FaultKind::Broken, "retry maybe"),
    ] {
        assert_eq!(word(&judge(&Attempt::Failed(fault(kind)), now())), expected, "{kind:?}");
    }
}

#[test]
fn a_body_can_take_a_success_back() {
    for (body, expected) in [
        (r#"{"success": true, "isNewOrg": true}"#, "acknowledged"),
        (r#"{"success": false, "message": "no such plan"}"#, "refused"),
        (r#"{"success": false}"#, "refused"),
        (r#"{"success": "false"}"#, "acknowledged"),
        (r#"{"success": null}"#, "acknowledged"),
        (r#"[{"success": false}]"#, "acknowledged"),
        (r#"{"data": {"success": false}}"#, "acknowledged"),
        (r#"{"success": false, "cut"#, "acknowledged"),
        ("OK", "acknowledged"),
        ("", "acknowledged"),
    ] {
        assert_eq!(word(&judge(&answer(200, None, body), now())), expected, "{body}");
    }
}

#[test]
fn trailspark_says_success_with_every_yes() {
    let peer = Peer { kind: Trailspark, ..Peer::plain() };
    for (body, expected) in [
        (r#"{"success": true, "productOrgId": "a", "targetOrgId": 1, "isNewOrg": true}"#, "acknowledged"),
        (r#"{"success": false, "error": "no such plan"}"#, "refused"),
        (r#"{"success": "true"}"#, "unknown"),
        (r#"{"ok": true}"#, "unknown"),
        ("<html>Sign in</html>", "unknown"),
        ("", "unknown"),
    ] {
        assert_eq!(word(&super::judge(&answer(200, None, body), &peer, now())), expected, "{body}");
    }
    let verdict = super::judge(&answer(200, None, "<html>Sign in</html>"), &peer, now());
    let Verdict::Unknown { detail } = verdict else { panic!("{verdict:?}") };
    assert!(detail.starts_with("answered 200 without \"success\": true") && detail.ends_with("<html>Sign in</html>"));
}

#[test]
fn a_page_is_no_answer_about_events() {
    let html = Some("Text/HTML; charset=utf-8");
    for (content_type, body, expected) in [
        (None, r#"{"success": true}"#, "acknowledged"),
        (None, r#"{"success": false, "error": "no"}"#, "refused"),
        (None, r#"{"success": true, "stored": 0, "rejected": 1}"#, "refused"),
        (None, "OK", "acknowledged"),
        (None, "", "acknowledged"),
        (None, "thanks", "acknowledged"),
        (Some("text/plain"), "OK", "acknowledged"),
        (html, "OK", "acknowledged"),
        (html, r#"{"success": true}"#, "acknowledged"),
        (html, "Please sign in", "config"),
        (html, "", "config"),
        (None, "<!doctype html><title>Sign in</title>", "config"),
        (Some("application/json"), " \n<html>", "config"),
        (None, "\u{feff} \n<html>", "config"),
    ] {
        let Attempt::Answered(answer) = answer(200, None, body) else { unreachable!() };
        let attempt = Attempt::Answered(Answer { content_type: content_type.map(str::to_owned), ..answer });
        for kind in [Segment, Rudderstack] {
            let peer = Peer { kind, address: "destination.base_url", ..Peer::plain() };
            let verdict = super::judge(&attempt, &peer, now());
            assert_eq!(word(&verdict), expected, "{kind:?} {content_type:?} {body}");
            if let Verdict::ConfigFault { maybe_applied, remedy, .. } = verdict {
                assert!(maybe_applied && remedy.ends_with("check destination.base_url"), "{remedy}");
            }
        }
        assert_ne!(word(&super::judge(&attempt, &Peer::plain(), now())), "config", "any web server may say so");
    }
}

#[test]
fn a_body_beyond_the_limit_can_take_a_success_back_before_it() {
    for (body, expected) in [
        (r#"{"success": false, "trace": "at line 1"#, "refused"),
        (r#"{"id": {"success": true}, "success": false, "trace": ["at"#, "refused"),
        (r#"{"success": false"#, "refused"),
        (r#"{"success": true, "trace": "success\": false"#, "acknowledged"),
        (r#"{"data": {"success": false, "trace": "at line 1"#, "acknowledged"),
        (r#"{"data": {"success": false}, "trace": "at line 1"#, "acknowledged"),
        (r#"{"trace": "\"success\": false"#, "acknowledged"),
        // Whatever it would have said, it comes too late.
        (r#"{"trace": "at line 1"#, "acknowledged"),
        (r#"{"success": fals"#, "acknowledged"),
        (r#"[{"success": false}, {"#, "acknowledged"),
        ("OK", "acknowledged"),
    ] {
        let Attempt::Answered(answer) = answer(200, None, body) else { unreachable!() };
        let attempt = Attempt::Answered(Answer { truncated: true, ..answer });
        assert_eq!(word(&judge(&attempt, now())), expected, "{body}");
        let segment = Peer { kind: Segment, ..Peer::plain() };
        assert_eq!(word(&super::judge(&attempt, &segment, now())), expected, "{body}");
    }
}

#[test]
fn an_answer_that_breaks_off() {
    for (status, expected) in [(200, "retry maybe"), (400, "refused"), (401, "config"), (500, "retry maybe")] {
        let broken = Some(fault(FaultKind::Broken));
        let attempt = Attempt::Answered(Answer { broken, ..Answer::of(status, "") });
        assert_eq!(word(&judge(&attempt, now())), expected, "{status}");
    }
}

#[test]
fn retry_after_pauses_the_destination_on_429_and_503_only() {
    for (status, value, expected) in [
        (429, "7", "retry not pause 7s"),
        (503, "7", "retry maybe pause 7s"),
        (500, "7", "retry maybe 7s"),
        (408, "7", "retry not 7s"),
        (429, "soon", "retry not"),
        (400, "7", "refused"),
    ] {
        assert_eq!(word(&judge(&answer(status, Some(value), ""), now())), expected, "{status} {value}");
    }
}

#[test]
fn retry_after_forms() {
    let day = 24 * 60 * 60;
    for (value, expected) in [
        ("0", Some(0)),
        (" 120 ", Some(120)),
        ("00012", Some(12)),
        ("86401", Some(day)),
        ("99999999999999999999999999", Some(day)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", Some(37)),
        ("Sun Nov  6 08:49:37 1994", Some(37)),
        ("Sun, 06 Nov 1994 08:48:00 GMT", Some(0)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(day)),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1 2", None),
        ("tomorrow", None),
        ("٣", None),
    ] {
        assert_eq!(retry_after(value, now()), expected.map(Duration::from_secs), "{value:?}");
    }
}

#[test]
fn a_wrong_key_type_is_explained() {
    let verdict = judge(&answer(403, None, r#"{"error":"wrong type"}"#), now());
    let Verdict::ConfigFault { reason, remedy, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(reason, "the destination answered 403: wrong type");
    assert!(remedy.contains("was not created with the Product Org Updates endpoint type"), "{remedy}");
}

#[test]
fn unknown_stays_unknown_unless_acknowledged() {
    use Outcome::{Acknowledged, Refused, Unknown};
    for (before, last, expected) in [
        (false, Refused, Refused),
        (false, Unknown, Unknown),
        (false, Acknowledged, Acknowledged),
        (true, Refused, Unknown),
        (true, Unknown, Unknown),
        (true, Acknowledged, Acknowledged),
    ] {
        assert_eq!(settle(before, last), expected, "{before} {last:?}");
    }
}

use super::*;
use crate::deliver::verdict::{Fault, FaultKind, judge};
use crate::job::spec::DestinationKind::{Http, Rudderstack, Segment, Trailspark};
use chrono::DateTime;

fn peer(kind: DestinationKind) -> Peer {
    Peer { kind, is_batched: kind != Trailspark, ..Peer::plain() }
}

/// In a word, so that the tables stay readable: `+` and `-` are rows with an answer of their own.
fn word(answer: Answer, peer: &Peer, rows: usize) -> String {
    let attempt = Attempt::Answered(answer);
    match shares(judge(&attempt, peer, DateTime::UNIX_EPOCH), &attempt, peer, rows) {
        Shares::Alike(Verdict::Acknowledged) => "yes".to_owned(),
        Shares::Alike(Verdict::Refused { .. }) => "no".to_owned(),
        Shares::Alike(Verdict::ConfigFault { .. }) => "stop".to_owned(),
        Shares::Alike(Verdict::Unknown { .. }) => "unknown".to_owned(),
        Shares::Alike(Verdict::Retry { .. }) => "again".to_owned(),
        Shares::Each(each) => each.iter().map(|one| if one.is_ok() { '+' } else { '-' }).collect(),
        Shares::Halves { in_doubt: true, .. } => "halves, in doubt".to_owned(),
        Shares::Halves { in_doubt: false, .. } => "halves".to_owned(),
    }
}

#[test]
fn a_status_for_several_rows() {
    // Of one row, of several of kind http, of several events.
    for (status, one, several, events) in [
        (200, "yes", "yes", "yes"),
        (204, "yes", "yes", "yes"),
        (207, "yes", "halves, in doubt", "yes"),
        (400, "no", "halves, in doubt", "halves"),
        (409, "no", "halves, in doubt", "halves"),
        (413, "no", "halves", "halves"),
        (422, "no", "halves, in doubt", "halves"),
        (401, "stop", "stop", "stop"),
        (429, "again", "again", "again"),
        (500, "again", "again", "again"),
        (501, "unknown", "unknown", "unknown"),
    ] {
        for kind in [Http, Segment, Rudderstack] {
            assert_eq!(word(Answer::of(status, ""), &peer(kind), 1), one, "{status} {kind:?}");
        }
        assert_eq!(word(Answer::of(status, ""), &peer(Http), 2), several, "{status}");
        assert_eq!(word(Answer::of(status, ""), &peer(Segment), 2), events, "{status}");
        assert_eq!(word(Answer::of(status, ""), &peer(Rudderstack), 2), events, "{status}");
    }
}

#[test]
fn results_for_each_row() {
    let (yes, no) = (r#"{"success":true,"productOrgId":"a"}"#, r#"{"success":false,"error":"bad"}"#);
    for (status, body, rows, expected) in [
        (200, format!(r#"{{"success":false,"results":[{yes},{no},{yes}]}}"#), 3, "+-+"),
        (200, format!(r#"{{"results":[{no},{yes}]}}"#), 2, "-+"),
        (200, format!(r#"{{"success":true,"results":[{yes},{yes}]}}"#), 2, "++"),
        (207, format!(r#"{{"results":[{yes},{no}]}}"#), 2, "+-"),
        (200, format!(r#"{{"results":[{no}]}}"#), 1, "-"),
        (200, format!(r#"{{"success":false,"results":[{no}]}}"#), 1, "-"),
        // Not one for each row, or not each with a word of its own.
        (200, format!(r#"{{"success":false,"results":[{yes},{no}]}}"#), 3, "halves, in doubt"),
        (200, format!(r#"{{"success":false,"results":[{yes},{no}]}}"#), 1, "no"),
        (200, format!(r#"{{"success":false,"results":[{yes},{{}}]}}"#), 2, "halves, in doubt"),
        (200, format!(r#"{{"success":false,"results":[{yes},{{"success":"false"}}]}}"#), 2, "halves, in doubt"),
        (200, r#"{"success":false,"results":[true,false]}"#.to_owned(), 2, "halves, in doubt"),
        (200, r#"{"success":false,"results":{}}"#.to_owned(), 2, "halves, in doubt"),
        (207, r#"{"results":[{"status":200},{"status":400}]}"#.to_owned(), 2, "halves, in doubt"),
        (200, r#"{"success":true,"results":[{"status":200}]}"#.to_owned(), 2, "yes"),
        // One of the two must be wrong.
        (200, format!(r#"{{"success":false,"results":[{yes},{yes}]}}"#), 2, "halves, in doubt"),
        (422, format!(r#"{{"results":[{yes},{no}]}}"#), 2, "halves, in doubt"),
    ] {
        assert_eq!(word(Answer::of(status, &body), &peer(Http), rows), expected, "{status} {body} of {rows}");
    }
    let two = format!(r#"{{"success":true,"results":[{yes},{no}]}}"#);
    let cut = Answer { truncated: true, ..Answer::of(200, &two[..two.len() - 5]) };
    assert_eq!(word(cut, &peer(Http), 2), "yes", "what has not come is not known");
    let cut = Answer { truncated: true, ..Answer::of(200, &two.replacen("true", "false", 1)[..two.len() - 5]) };
    assert_eq!(word(cut, &peer(Http), 2), "halves, in doubt");
    let broken = Some(Fault { kind: FaultKind::Broken, text: String::new() });
    assert_eq!(word(Answer { broken, ..Answer::of(200, &two) }, &peer(Http), 2), "again");
    assert_eq!(word(Answer::of(200, &two), &Peer { is_batched: false, ..peer(Http) }, 1), "yes", "not a list of ours");
}

#[test]
fn rejected_events_are_those_that_are_named() {
    let of = |rejected: u64, indexes: &str| {
        format!(r#"{{"success":true,"stored":9,"ignored":0,"rejected":{rejected},"rejectedIndexes":"{indexes}"}}"#)
    };
    for (body, rows, expected) in [
        (of(0, ""), 5, "yes"),
        (of(1, "2"), 5, "++-++"),
        (of(4, "0-2,4"), 5, "---+-"),
        (of(5, "0-4"), 5, "-----"),
        (of(1, "0"), 1, "no"),
        (of(1, ""), 1, "no"),
        // The list is not whole, or is none.
        (of(2, "2"), 5, "halves, in doubt"),
        (of(1, "1-2"), 5, "halves, in doubt"),
        (of(1, "5"), 5, "halves, in doubt"),
        (of(2, "2,2"), 5, "halves, in doubt"),
        (of(1, "0-99999999999999"), 5, "halves, in doubt"),
        (of(1, "99999999999999999999"), 5, "halves, in doubt"),
        (of(1, ""), 5, "halves, in doubt"),
        (of(1, "two"), 5, "halves, in doubt"),
        (of(1, "3-2"), 5, "halves, in doubt"),
        (r#"{"success":true,"rejected":1}"#.to_owned(), 5, "halves, in doubt"),
        (r#"{"success":true,"rejected":1}"#.to_owned(), 1, "no"),
        (of(1, "2").replace("true", "false"), 5, "halves, in doubt"),
        (r#"{"success":false}"#.to_owned(), 5, "halves, in doubt"),
        (r#"{"success":false}"#.to_owned(), 1, "no"),
    ] {
        for kind in [Segment, Rudderstack] {
            assert_eq!(word(Answer::of(200, &body), &peer(kind), rows), expected, "{body} of {rows}");
        }
    }
    let cut = |body: &str| Answer { truncated: true, ..Answer::of(200, body) };
    assert_eq!(word(cut(r#"{"success":true,"rejected":1,"rejectedIndexes":"2","reje"#), &peer(Segment), 5), "++-++");
    assert_eq!(
        word(cut(r#"{"success":true,"rejected":1,"rejectedIndexes":"2"#), &peer(Segment), 5),
        "halves, in doubt"
    );
}

#[test]
fn a_rejected_event_is_refused_with_its_reason() {
    let body = r#"{"success":true,"rejected":2,"rejectedIndexes":"1-2","rejections":[{"index":1,"error":"missing productOrgId"}]}"#;
    let attempt = Attempt::Answered(Answer::of(200, body));
    let peer = peer(Segment);
    let found = shares(judge(&attempt, &peer, DateTime::UNIX_EPOCH), &attempt, &peer, 3);
    let Shares::Each(each) = found else { panic!("{found:?}") };
    assert_eq!(each[1], Err("missing productOrgId".to_owned()));
    assert!(each[2].as_ref().is_err_and(|said| said.starts_with("answered 200, and rejected the event")), "{each:?}");
}

#[test]
fn how_a_row_ends() {
    use Outcome::{Acknowledged, Refused, Unknown};
    // Last outcome, whether it is the destination's answer about this row; with no doubt, one from a part, one from an attempt.
    for (last, is_answered, sure, in_part, maybe_applied) in [
        (Some(Acknowledged), true, Some(Acknowledged), Some(Acknowledged), Some(Acknowledged)),
        (Some(Acknowledged), false, Some(Acknowledged), Some(Acknowledged), Some(Acknowledged)),
        (Some(Refused), true, Some(Refused), Some(Refused), Some(Unknown)),
        (Some(Refused), false, Some(Refused), Some(Unknown), Some(Unknown)),
        (Some(Unknown), false, Some(Unknown), Some(Unknown), Some(Unknown)),
        (None, false, None, Some(Unknown), Some(Unknown)),
    ] {
        let end = |maybe_applied, in_part| Doubt { maybe_applied, in_part }.end(last, is_answered);
        assert_eq!(end(false, false), sure, "{last:?} {is_answered}");
        assert_eq!(end(false, true), in_part, "{last:?} {is_answered}");
        assert_eq!(end(true, false), maybe_applied, "{last:?} {is_answered}");
        assert_eq!(end(true, true), maybe_applied, "{last:?} {is_answered}");
    }
}

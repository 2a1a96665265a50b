use super::*;
use crate::job::spec::{DestinationKind, Templated};
use proptest::prelude::*;

fn destination(kind: DestinationKind, format: BodyFormat, batch: Option<Batch>) -> Destination {
    Destination { kind, format, batch, ..Destination::plain(Templated::parse("").unwrap()) }
}

fn message(seq: u64, operation: &'static str, body: &str) -> Message {
    let body = Bytes::copy_from_slice(body.as_bytes());
    Message {
        seq,
        key: format!("org_{seq}"),
        id: format!("msg_{seq}"),
        version: String::new(),
        operation,
        body,
        part: None,
        aside: None,
    }
}

/// What becomes of rows, in order, and the problems of those that no request can carry.
fn packed(destination: &Destination, messages: Vec<Message>) -> (Vec<Parcel>, Vec<String>) {
    let (mut packer, mut out) = (Packer::new(destination), Packed::default());
    messages.into_iter().for_each(|message| packer.put(message, &mut out));
    packer.rest(&mut out);
    let problems = out.unfit.iter().map(|(row, problem)| format!("{}: {problem}", row.key));
    (out.parcels, problems.collect())
}

fn text(parcel: &Parcel) -> String {
    String::from_utf8(parcel.body().to_vec()).unwrap()
}

fn seqs(parcel: &Parcel) -> Vec<u64> {
    parcel.messages().iter().map(|message| message.seq).collect()
}

#[test]
fn a_body_is_written_as_the_destination_takes_it() {
    use BodyFormat::{Form, Json, Ndjson};
    use DestinationKind::{Http, Rudderstack, Segment};
    let batch = Some(Batch { rows: 2, bytes: 1000 });
    for (kind, format, batch, expected) in [
        (Http, Json, None, &["{\n\"a\":1}", "{\"a\":2}", "{\"a\":3}"][..]),
        (Http, Form, None, &["a=1", "a=2", "a=3"]),
        (Http, Ndjson, None, &["{\"a\":1}\n", "{\"a\":2}\n", "{\"a\":3}\n"]),
        (Http, Json, batch, &["[{\n\"a\":1},{\"a\":2}]", "[{\"a\":3}]"]),
        (Http, Ndjson, batch, &["{\"a\":1}\n{\"a\":2}\n", "{\"a\":3}\n"]),
        (Segment, Json, None, &["{\n\"a\":1}", "{\"a\":2}", "{\"a\":3}"]),
        (Segment, Json, batch, &["{\"batch\":[{\n\"a\":1},{\"a\":2}]}", "{\"batch\":[{\"a\":3}]}"]),
        (Rudderstack, Json, batch, &["{\"batch\":[{\n\"a\":1},{\"a\":2}]}", "{\"batch\":[{\"a\":3}]}"]),
    ] {
        let rows = ["{\n\"a\":1}", "{\"a\":2}", "{\"a\":3}"];
        let rows = rows.iter().zip(0..).map(|(body, seq)| message(seq, "added", body)).collect();
        let (parcels, problems) = packed(&destination(kind, format, batch), rows);
        assert_eq!(parcels.iter().map(text).collect::<Vec<_>>(), expected, "{kind:?} {format:?} {batch:?}");
        assert!(problems.is_empty());
    }
}

#[test]
fn a_row_by_itself_is_not_copied() {
    let (parcels, _) =
        packed(&destination(DestinationKind::Http, BodyFormat::Json, None), vec![message(0, "added", r#"{"a":1}"#)]);
    let body = &parcels[0].messages()[0].body;
    assert_eq!(parcels[0].body().as_ptr(), body.as_ptr());
    assert_eq!(parcels[0].id(), "msg_0");
}

#[test]
fn each_operation_has_parcels_of_its_own_and_what_has_no_body_goes_alone() {
    let batch = Some(Batch { rows: 10, bytes: 1000 });
    let rows = vec![
        message(0, "added", "1"),
        message(1, "changed", "2"),
        message(2, "removed", ""),
        message(3, "added", "3"),
        message(4, "removed", ""),
        message(5, "changed", "4"),
    ];
    let (parcels, _) = packed(&destination(DestinationKind::Http, BodyFormat::Json, batch), rows);
    let found: Vec<_> = parcels.iter().map(|parcel| (parcel.operation(), seqs(parcel), text(parcel))).collect();
    assert_eq!(
        found,
        [
            ("removed", vec![2], String::new()),
            ("removed", vec![4], String::new()),
            ("added", vec![0, 3], "[1,3]".to_owned()),
            ("changed", vec![1, 5], "[2,4]".to_owned()),
        ]
    );
}

#[test]
fn a_row_that_no_request_has_room_for_is_told_with_its_size() {
    // `[` and `]` take two bytes.
    let batch = Some(Batch { rows: 10, bytes: 9 });
    let rows = vec![message(0, "added", "1234567"), message(1, "added", "12345678"), message(2, "added", "1")];
    let (parcels, problems) = packed(&destination(DestinationKind::Http, BodyFormat::Json, batch), rows);
    assert_eq!(problems, ["org_1: the row has 8 bytes, and a request takes 9 at most"]);
    assert_eq!(parcels.iter().map(text).collect::<Vec<_>>(), ["[1234567]", "[1]"]);
    let form = destination(DestinationKind::Http, BodyFormat::Form, None);
    assert!(packed(&form, vec![message(0, "added", "[]")]).1[0].starts_with("org_0: a form is made of the members"));
}

#[test]
fn the_id_of_several_rows_is_that_of_these_rows() {
    let batch = Some(Batch { rows: 3, bytes: 1000 });
    let of = |seqs: &[u64]| {
        let rows = seqs.iter().map(|seq| message(*seq, "added", "{}")).collect();
        let (parcels, _) = packed(&destination(DestinationKind::Http, BodyFormat::Json, batch), rows);
        assert_eq!(parcels.len(), 1);
        parcels[0].id().to_owned()
    };
    let id = of(&[1, 2, 3]);
    assert_eq!(id, of(&[1, 2, 3]));
    assert!(id.starts_with("nm_batch_") && id.len() == "nm_batch_".len() + 32, "{id}");
    assert!([of(&[1, 2]), of(&[1, 3, 2]), of(&[1, 2, 4])].iter().all(|other| *other != id));
    assert_eq!(of(&[7]), "msg_7", "a row's own");
}

/// A row of a template that cannot make a body of more than so many rows, or of one with this text.
#[derive(Debug)]
struct Sum(&'static str, usize);

impl Part for Sum {
    fn join(&self, rows: &[&dyn Part]) -> Result<String, String> {
        let texts: Vec<&str> = rows.iter().filter_map(|row| row.as_any().downcast_ref::<Sum>()).map(|t| t.0).collect();
        if texts.len() > self.1 || texts.contains(&"bad") { Err("no body".to_owned()) } else { Ok(texts.join("+")) }
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[test]
fn a_template_makes_one_body_of_as_many_rows_as_it_can() {
    use std::sync::Arc;
    let check = |rows: &[&'static str], most: usize, bytes: usize, bodies: &[&str], unfit: &[&str]| {
        let of = destination(DestinationKind::Http, BodyFormat::Json, Some(Batch { rows: 4, bytes }));
        let messages = rows.iter().zip(0..).map(|(text, seq)| {
            let part: Arc<dyn Part> = Arc::new(Sum(text, most));
            Message { part: Some(part), ..message(seq, "added", "") }
        });
        let (parcels, problems) = packed(&of, messages.collect());
        assert_eq!(
            (parcels.iter().map(text).collect::<Vec<_>>(), problems),
            (
                bodies.iter().map(ToString::to_string).collect(),
                unfit.iter().map(ToString::to_string).collect::<Vec<_>>()
            )
        );
        parcels
    };
    let parcels = check(&["a", "b", "c", "d", "e"], 9, 100, &["a+b+c+d", "e"], &[]);
    let halves = parcels[0].clone().split(100).parcels;
    assert_eq!(halves.iter().map(text).collect::<Vec<_>>(), ["a+b", "c+d"]);
    assert_ne!(halves[0].id(), parcels[0].id());
    assert_eq!((parcels[1].id(), seqs(&parcels[1])), ("msg_4", vec![4]));
    check(&["a", "b", "c", "d"], 2, 100, &["a+b", "c+d"], &[]);
    check(&["a", "b", "bad", "d"], 9, 100, &["a+b", "d"], &["org_2: no body"]);
    check(&["aaaa", "b", "c"], 9, 3, &["b", "c"], &["org_0: the row has 4 bytes, and a request takes 3 at most"]);
}

proptest! {
    #[test]
    fn every_row_is_in_one_parcel_within_the_limits_and_so_are_its_halves(
        lengths in prop::collection::vec((1_usize..40, 0_usize..3), 0..60), rows in 1_usize..9, bytes in 20_usize..200
    ) {
        let operations = ["added", "changed", "removed"];
        let batch = Batch { rows, bytes };
        let of = destination(DestinationKind::Segment, BodyFormat::Json, Some(batch));
        let messages: Vec<Message> = lengths.iter().zip(0..)
            .map(|((length, op), seq)| message(seq, operations[*op], &"1".repeat(*length))).collect();
        let (parcels, problems) = packed(&of, messages.clone());
        let mut found: Vec<u64> = parcels.iter().flat_map(seqs).collect();
        found.sort_unstable();
        let fits = |message: &&Message| message.body.len() + Frame::Events.overhead(1) <= bytes;
        prop_assert!(found.into_iter().eq(messages.iter().filter(fits).map(|message| message.seq)));
        prop_assert_eq!(problems.len(), messages.iter().filter(|message| !fits(message)).count());
        for parcel in parcels {
            prop_assert!(parcel.messages().len() <= rows && parcel.body().len() <= bytes);
            prop_assert!(parcel.messages().iter().all(|message| message.operation == parcel.operation()));
            let whole = seqs(&parcel);
            let halves = parcel.split(bytes).parcels;
            prop_assert_eq!(halves.iter().flat_map(seqs).collect::<Vec<_>>(), whole.clone());
            prop_assert_eq!(halves.len(), whole.len().min(2));
            prop_assert!(halves.iter().all(|half| half.messages().len() <= whole.len().div_ceil(2)));
        }
    }
}

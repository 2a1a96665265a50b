use super::*;
use ::csv::{ByteRecord, ReaderBuilder};
use proptest::prelude::*;

const DIALECT: Dialect = Dialect { delimiter: b',', quote: Some(b'"') };

#[track_caller]
fn check(record: &str, quoted: &[bool], fault: Option<(usize, FaultKind)>) {
    let mut fields = Vec::new();
    let found = Lexer::new(record.as_bytes(), 0, DIALECT).next(&mut fields).unwrap();
    assert_eq!(found.fault.map(|f| (f.at, f.kind)), fault, "{record:?}");
    assert_eq!(fields.iter().map(|f| f.quoted).collect::<Vec<_>>(), quoted, "{record:?}");
}

#[test]
fn quotes() {
    check("a,b\r\n", &[false, false], None);
    check("\"\",,", &[true, false, false], None);
    check("a,\"b,\"\"c\"\"\n\",d\n", &[false, true, false], None);
    check("5\" pipe,\"x\"", &[false, true], None);
    check("\"\"\"\"", &[true], None);
    check("a,\"bc\n", &[false, true], Some((2, FaultKind::Open)));
    check("\"\"\"", &[true], Some((0, FaultKind::Open)));
    check("\"", &[true], Some((0, FaultKind::Open)));
    check("a,\"b\"c,d", &[false, true, false], Some((5, FaultKind::After)));
    check("\"b\" ,d", &[true, false], Some((3, FaultKind::After)));
}

#[test]
fn boundaries() {
    let check = |bytes: &str, expected| assert_eq!(DIALECT.boundary(bytes.as_bytes()), expected, "{bytes:?}");
    check("a,b\nc", Some(4));
    check("a,b\r", None);
    check("a,b\rc\r", Some(4));
    check("a,b\r\nc", Some(5));
    check("a,\"b\nc", None);
    check("a\nb,\"c\nd\"\ne", Some(10));
    check("a\nb,\"c\n\"", Some(2));
    check("a\nb,\"c\"\"\n\"\n", Some(11));
    check("a 5\" b\nc\"\n", Some(10));
}

/// Records with their values, as `csv` reads them.
fn reference(bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut record = ByteRecord::new();
    let mut all = Vec::new();
    while reader.read_byte_record(&mut record).unwrap() {
        all.push(record.iter().map(<[u8]>::to_vec).collect());
    }
    all
}

fn ours(bytes: &[u8]) -> (Vec<Vec<Vec<u8>>>, bool) {
    let (mut lexer, mut fields, mut all, mut faulty) = (Lexer::new(bytes, 0, DIALECT), Vec::new(), Vec::new(), false);
    while let Some(record) = lexer.next(&mut fields) {
        faulty |= record.fault.is_some();
        let value = |f: &Field| String::from_utf8(bytes[f.start..f.end].to_vec()).unwrap();
        let plain = |f: &Field| if f.doubled { value(f).replace("\"\"", "\"") } else { value(f) };
        all.push(fields.iter().map(|f| plain(f).into_bytes()).collect());
    }
    (all, faulty)
}

proptest! {
    #[test]
    fn reads_what_the_csv_crate_reads(text in "[ab,\"\"\n\r]{0,40}") {
        let (records, faulty) = ours(text.as_bytes());
        let expected = reference(text.as_bytes());
        if faulty {
            // The values of faulty records are used by nobody; where records begin and end counts.
            let widths = |all: &[Vec<Vec<u8>>]| all.iter().map(Vec::len).collect::<Vec<_>>();
            prop_assert_eq!(widths(&records), widths(&expected));
        } else {
            prop_assert_eq!(records, expected);
        }
    }

    #[test]
    fn a_boundary_splits_into_the_same_records(text in "[ab,\"\n\r]{0,40}", end in 0usize..40) {
        let bytes = text.as_bytes();
        let (whole, _) = ours(bytes);
        let end = end.min(bytes.len());
        if let Some(cut) = DIALECT.boundary(&bytes[..end]) {
            let (mut parts, _) = ours(&bytes[..cut]);
            parts.extend(ours(&bytes[cut..]).0);
            prop_assert_eq!(parts, whole);
            prop_assert_eq!(line_breaks(&bytes[..cut]) + line_breaks(&bytes[cut..]), line_breaks(bytes));
        }
    }
}

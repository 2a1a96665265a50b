use super::*;
use crate::row::Value;

fn number(text: &str) -> Number {
    Number::parse(text).unwrap()
}

fn float(value: f64) -> Value<'static> {
    Value::Float(value)
}

fn decimal(unscaled: i128, scale: i8) -> Value<'static> {
    Value::Decimal { unscaled, scale }
}

fn check(form: &Form, a: Value<'_>, b: Value<'_>, same: bool) {
    assert_eq!(equal(a, b, form), same, "{a:?} {b:?} {form:?}");
    assert_eq!(equal(b, a, form), same, "{b:?} {a:?} {form:?}");
}

#[test]
fn plain_values() {
    let instant = chrono::DateTime::from_timestamp_nanos(1_500);
    let cases = [
        (Value::Null, Value::Null, true),
        (Value::Null, Value::Text(""), false),
        (Value::Int(1), decimal(100, 2), true),
        (Value::Int(1), float(1.0), true),
        (Value::Int(0), float(-0.0), true),
        (decimal(5, 1), float(0.5), true),
        (decimal(30, 2), float(0.1 + 0.2), false),
        (float(f64::NAN), float(-f64::NAN), true),
        (float(f64::INFINITY), float(f64::NEG_INFINITY), false),
        (Value::Int(1), Value::Text("1"), false),
        (Value::Int(1), Value::Bool(true), false),
        (Value::Text("a"), Value::Text("a "), false),
        (Value::Text("{}"), Value::Json("{}"), false),
        (Value::Timestamp(instant), Value::Timestamp(chrono::DateTime::from_timestamp_nanos(1_900)), true),
        (Value::Timestamp(instant), Value::LocalTimestamp(instant.naive_utc()), false),
    ];
    for (a, b, same) in cases {
        check(&Form::default(), a, b, same);
    }
}

#[test]
fn texts() {
    let trim = Form { trim: true, ..Form::default() };
    let case_fold = Form { case_fold: true, ..Form::default() };
    let nfc = Form { nfc: true, ..Form::default() };
    let all = Form { trim: true, case_fold: true, nfc: true, ..Form::default() };
    let cases = [
        (&trim, " a\t", "a", true),
        (&trim, "\u{a0}\u{3000}a\u{2028}", "a", true),
        (&trim, "a b", "a  b", false),
        (&trim, "\u{200b}a", "a", false),
        (&trim, "  ", "", true),
        (&trim, "A", "a", false),
        (&case_fold, "STRASSE", "straße", true),
        (&case_fold, "ẞ", "ss", true),
        (&case_fold, "ΣΑΣ", "σας", true),
        (&case_fold, "\u{212a}", "k", true),
        (&case_fold, "É", "é", true),
        (&case_fold, "É", "e\u{301}", false),
        (&case_fold, "a ", "A", false),
        (&nfc, "e\u{301}", "é", true),
        (&nfc, "E\u{301}", "é", false),
        (&all, " E\u{301}cole\n", "ÉCOLE", true),
        // Folding takes this letter apart, the second composition puts it together.
        (&all, "\u{1f0}", "J\u{30c}", true),
    ];
    for (form, a, b, same) in cases {
        check(form, Value::Text(a), Value::Text(b), same);
        check(form, Value::Text(a), Value::Null, false);
    }
    assert!(matches!(all.text("plain"), Cow::Borrowed("plain")));
    assert!(matches!(trim.text(" plain "), Cow::Borrowed("plain")));
}

#[test]
fn rounded() {
    let to = |places: i8| Form { round: Some(places), ..Form::default() };
    let cases = [
        (2, float(1.005), decimal(101, 2), true),
        (2, float(1.004), Value::Int(1), true),
        (0, float(-0.4), Value::Int(0), true),
        (0, decimal(-25, 1), Value::Int(-3), true),
        (-3, Value::Int(1_499), Value::Int(600), true),
        (-3, Value::Int(1_499), Value::Int(1_500), false),
        (2, float(f64::NAN), float(f64::NAN), true),
        (2, float(f64::INFINITY), float(f64::MAX), false),
    ];
    for (places, a, b, same) in cases {
        check(&to(places), a, b, same);
        check(&to(places), a, Value::Null, false);
    }
}

#[test]
fn binned() {
    let by = |bucket: Bucket| Form { bucket: Some(bucket), ..Form::default() };
    let tens = by(Bucket::Width(number("10")));
    let tenths = by(Bucket::Width(number("0.1")));
    let sizes = by(Bucket::Bounds(["0", "10.5", "50"].map(number).to_vec()));
    let rounded = Form { round: Some(0), ..tens.clone() };
    let cases = [
        (&tens, Value::Int(10), float(19.999), true),
        (&tens, Value::Int(9), Value::Int(10), false),
        (&tens, Value::Int(-1), Value::Int(0), false),
        (&tens, Value::Int(-1), Value::Int(-10), true),
        (&tens, float(1e300), float(1.000_000_1e300), false),
        (&tens, float(1e300), Value::Int(0), false),
        (&tens, float(f64::INFINITY), float(1e300), false),
        (&tenths, float(0.3), decimal(39, 2), true),
        (&tenths, float(0.1 + 0.2), float(0.3), true),
        (&tenths, float(0.299), float(0.3), false),
        (&sizes, Value::Int(0), decimal(1049, 2), true),
        (&sizes, float(10.5), Value::Int(10), false),
        (&sizes, Value::Int(-5), float(f64::NEG_INFINITY), true),
        (&sizes, Value::Int(50), float(f64::INFINITY), true),
        (&sizes, float(f64::NAN), float(f64::INFINITY), false),
        (&rounded, float(9.5), Value::Int(10), true),
    ];
    for (form, a, b, same) in cases {
        check(form, a, b, same);
        check(form, a, Value::Null, false);
    }
}

#[test]
fn within_a_tolerance() {
    let form = Form { tolerance: Some(number("0.01")), ..Form::default() };
    let cases = [
        (float(1.0), decimal(101, 2), true),
        (float(0.1 + 0.2), float(0.29), false),
        (Value::Int(1), Value::Int(2), false),
        (Value::Null, Value::Int(0), false),
        (Value::Null, Value::Null, true),
        (float(f64::NAN), float(f64::NAN), true),
        (float(f64::NAN), float(1.0), false),
        (float(f64::INFINITY), float(f64::INFINITY), true),
        (float(f64::INFINITY), float(f64::MAX), false),
        (Value::Text("1"), Value::Text("1.001"), false),
    ];
    for (a, b, same) in cases {
        assert_eq!(within(a, b, &form), same, "{a:?} {b:?}");
        assert_eq!(within(b, a, &form), same, "{b:?} {a:?}");
    }
    check(&form, float(1.0), float(1.001), false);
}

#[test]
fn forms_fit_kinds() {
    let trim = Form { trim: true, ..Form::default() };
    let round = Form { round: Some(1), ..Form::default() };
    let tolerance = Form { tolerance: Some(number("1")), ..Form::default() };
    let numbers = [Kind::Int, Kind::Decimal { scale: 2 }, Kind::Float];
    let others = [Kind::Bool, Kind::Date, Kind::Time, Kind::Timestamp, Kind::LocalTimestamp, Kind::Json];
    for kind in numbers {
        assert!(trim.fits(kind).is_err() && round.fits(kind).is_ok() && tolerance.fits(kind).is_ok(), "{kind}");
    }
    for kind in others {
        assert!([&trim, &round, &tolerance].iter().all(|form| form.fits(kind).is_err()), "{kind}");
        assert!(Form::default().fits(kind).is_ok(), "{kind}");
    }
    assert!(trim.fits(Kind::Text).is_ok() && round.fits(Kind::Text).is_err());
    let message = trim.fits(Kind::Int).unwrap_err();
    assert_eq!(message, "`trim` compares text, and the column is int: remove `trim`, or cast the column with a query");
}

#[test]
fn a_manifest_keeps_forms() {
    let bounds = Some(Bucket::Bounds(vec![number("0"), number("10.5")]));
    for (form, json) in [
        (Form::default(), "{}"),
        (Form { trim: true, nfc: true, ..Form::default() }, r#"{"trim":true,"nfc":true}"#),
        (
            Form { round: Some(-2), bucket: bounds, ..Form::default() },
            r#"{"round":-2,"bucket":{"bounds":["0","10.5"]}}"#,
        ),
        (Form { bucket: Some(Bucket::Width(number("5"))), ..Form::default() }, r#"{"bucket":{"width":"5"}}"#),
        (Form { tolerance: Some(number("0.01")), ..Form::default() }, r#"{"tolerance":"0.01"}"#),
    ] {
        assert_eq!(serde_json::to_string(&form).unwrap(), json);
        assert_eq!(serde_json::from_str::<Form>(json).unwrap(), form);
        assert_eq!(form.is_plain(), json == "{}");
        assert!(form.without_tolerance().tolerance.is_none());
    }
    assert!(serde_json::from_str::<Form>(r#"{"trimm":true}"#).is_err());
}

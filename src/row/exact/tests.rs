use super::*;
use proptest::prelude::*;

fn number(text: &str) -> Number {
    Number::parse(text).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn one_number_for_one_value() {
    for (text, unscaled, scale, shown) in [
        ("0.00", 0, 0, "0"),
        ("1.00", 1, 0, "1"),
        ("-12.50", -125, 1, "-12.5"),
        ("1200", 12, -2, "1200"),
        ("1e300", 1, -300, "1e300"),
        ("0.05", 5, 2, "0.05"),
    ] {
        let read = number(text);
        assert_eq!((read.unscaled(), read.scale(), read.to_string().as_str()), (unscaled, scale, shown), "{text}");
        let written = serde_json::to_string(&read).unwrap();
        assert_eq!(written, format!("\"{shown}\""));
        assert_eq!(serde_json::from_str::<Number>(&written).unwrap(), read);
    }
    for text in ["", "x", "1e1001", "NaN", "1234567890123456789012345678901234567890.5"] {
        assert_eq!(Number::parse(text), None, "{text}");
    }
    assert!(serde_json::from_str::<Number>("\"ten\"").is_err());
}

#[test]
fn a_double_is_the_number_that_somebody_wrote() {
    for (double, text) in [
        (0.1, "0.1"),
        (0.1 + 0.2, "0.30000000000000004"),
        (-0.0, "0"),
        (49.99, "49.99"),
        (1e23, "99999999999999991611392"),
        (9_007_199_254_740_993.0, "9007199254740992"),
        (5e-324, "5e-324"),
        (f64::MAX, "1.7976931348623157e308"),
        (-1.5e-7, "-0.00000015"),
        // Right between two texts of the same length.
        (649_150_575_463_468.3, "649150575463468.2"),
    ] {
        assert_eq!(Number::from_f64(double), Some(number(text)), "{text}");
    }
    assert_eq!([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(Number::from_f64), [None; 3]);
}

#[test]
fn rounding_is_half_away_from_zero() {
    for (text, places, rounded) in [
        ("2.5", 0, "3"),
        ("-2.5", 0, "-3"),
        ("2.4999", 0, "2"),
        ("1.005", 2, "1.01"),
        ("1.004", 2, "1"),
        ("7", 3, "7"),
        ("1499", -3, "1000"),
        ("1500", -3, "2000"),
        ("-500", -3, "-1000"),
        ("499", -4, "0"),
        ("170141183460469231731687303715884105727", -38, "2e38"),
        ("149999999999999999999999999999999999999", -38, "1e38"),
        ("1e-300", 18, "0"),
        ("1e300", 18, "1e300"),
    ] {
        assert_eq!(number(text).round(places), number(rounded), "{text} to {places}");
    }
}

#[test]
fn bins_are_floors() {
    for (text, width, bin) in [
        ("0", "10", Some(0)),
        ("9.99", "10", Some(0)),
        ("10", "10", Some(1)),
        ("-0.01", "10", Some(-1)),
        ("-10", "10", Some(-1)),
        ("0.3", "0.1", Some(3)),
        ("1e-300", "10", Some(0)),
        ("-1e-300", "10", Some(-1)),
        ("1e300", "10", None),
        ("1e30", "1000", Some(10i128.pow(27))),
    ] {
        assert_eq!(number(text).bin(number(width)), bin, "{text} by {width}");
    }
    assert_eq!(number("1").bin(Number::ZERO), None, "a damaged manifest is no panic");
}

#[test]
fn distances_are_exact() {
    for (a, b, tolerance, is_within) in [
        ("1.00", "1.01", "0.01", true),
        ("1.00", "1.0100000000000000000001", "0.01", false),
        ("-1", "1", "2", true),
        ("-1", "1", "1.99", false),
        ("1e300", "1e-300", "1e300", true),
        ("1e300", "-1e-300", "1e300", false),
        ("-1e300", "-1e-300", "1e300", true),
        ("1e-300", "1e300", "9.9e299", false),
        ("1e300", "0", "1e300", true),
        ("1e300", "1e-300", "2e300", true),
        ("5", "5", "1e-300", true),
        ("5", "6", "1e-300", false),
        ("5", "6", "1e300", true),
        ("170141183460469231731687303715884105727", "-170141183460469231731687303715884105727", "4e38", true),
        ("170141183460469231731687303715884105727", "-170141183460469231731687303715884105727", "3e38", false),
    ] {
        for (a, b) in [(a, b), (b, a)] {
            assert_eq!(number(a).is_within(number(b), number(tolerance)), is_within, "{a} {b} {tolerance}");
        }
    }
}

/// Any double, those that people write, and those at the edges of integers.
fn doubles() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |v| v.is_finite()),
        (any::<i32>(), 0..9i32).prop_map(|(n, places)| f64::from(n) / 10f64.powi(places)),
        (any::<i64>(), 0..20i32).prop_map(|(n, places)| n as f64 / 10f64.powi(places)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The standard library's shortest text may differ in the last digit where the double lies right between two.
    #[test]
    fn a_double_that_is_not_whole_is_its_shortest_text(value in doubles()) {
        let number = Number::from_f64(value).unwrap();
        prop_assert_eq!(number.to_string().parse(), Ok(value));
        if value != value.trunc() {
            let shortest = Number::parse(&format!("{value:e}")).unwrap();
            prop_assert_eq!(number.scale(), shortest.scale(), "{}", shortest);
            prop_assert!(number.unscaled().abs_diff(shortest.unscaled()) <= 1, "{}", shortest);
        }
    }

    #[test]
    fn numbers_are_ordered_by_value(a in doubles(), b in doubles()) {
        let (x, y) = (Number::from_f64(a).unwrap(), Number::from_f64(b).unwrap());
        prop_assert_eq!(Some(x.cmp(&y)), a.partial_cmp(&b));
        prop_assert_eq!(x == y, a == b);
    }

    #[test]
    fn small_numbers_behave_as_integers(a in -5000i64..5000, b in -5000i64..5000, t in 1i64..3000, places in 0i16..4) {
        let at = |n: i64| Number::new(i128::from(n), places);
        prop_assert_eq!(at(a).is_within(at(b), at(t)), (a - b).abs() <= t);
        prop_assert_eq!(at(a).bin(at(t)), Some(i128::from(a.div_euclid(t))));
        prop_assert_eq!(at(a).cmp(&at(b)), a.cmp(&b));
    }
}

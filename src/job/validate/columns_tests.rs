use super::*;
use crate::job::problem::Problem;
use crate::job::spec::Job;
use std::path::Path;

/// A job with these lines in `[diff]` and a table `[diff.columns]` of these lines.
fn job(diff: &str, columns: &str) -> Result<Job, Vec<Problem>> {
    let text = format!(
        "version = 1\n[source]\nkind = \"files\"\npath = \"a.csv\"\n[diff]\nkey = \"id\"\n{diff}\n[diff.columns]\n{columns}\n\
         [destination]\nkind = \"http\"\nurl = \"https://h.example/\"\n[payload]\npreset = \"flat\"\n"
    );
    crate::job::validate::parse(&text, Path::new("jobs/x.toml"), Path::new("/home/nm"))
}

fn number(text: &str) -> Number {
    Number::parse(text).unwrap()
}

#[test]
fn every_option_is_read() {
    let cases = [
        ("trim = true", Form { trim: true, ..Form::default() }),
        ("nfc = true, case_fold = true", Form { nfc: true, case_fold: true, ..Form::default() }),
        ("round = -18", Form { round: Some(-18), ..Form::default() }),
        ("round = 2, bucket = 10", {
            Form { round: Some(2), bucket: Some(Bucket::Width(number("10"))), ..Form::default() }
        }),
        ("bucket = 0.1", Form { bucket: Some(Bucket::Width(number("0.1"))), ..Form::default() }),
        ("bucket = [-1.5, 0, 1e3]", {
            let bounds = ["-1.5", "0", "1000"].map(number).to_vec();
            Form { bucket: Some(Bucket::Bounds(bounds)), ..Form::default() }
        }),
        ("tolerance = 0.01", Form { tolerance: Some(number("0.01")), ..Form::default() }),
        ("tolerance = 9007199254740993", Form { tolerance: Some(number("9007199254740993")), ..Form::default() }),
    ];
    for (written, form) in cases {
        let job =
            job("", &format!("mrr = {{ {written} }}")).unwrap_or_else(|problems| panic!("{written}: {problems:?}"));
        assert_eq!(job.diff.columns["mrr"], form, "{written}");
    }
}

#[test]
fn every_mistake_is_named_at_its_place() {
    let cases = [
        ("", "a = {}", "diff.columns.a", "nothing is set"),
        ("", "a = { trim = false }", "diff.columns.a", "nothing is set"),
        ("", "a = true", "diff.columns.a", "expected a table"),
        ("", "a = { trimm = true }", "diff.columns.a.trimm", "did you mean `trim`?"),
        ("", "a = { round = 19 }", "diff.columns.a.round", "between -18 and 18"),
        ("", "a = { round = 1.5 }", "diff.columns.a.round", "expected an integer"),
        ("", "a = { bucket = 0 }", "diff.columns.a.bucket", "above 0, found 0"),
        (
            "",
            "a = { bucket = \"10\" }",
            "diff.columns.a.bucket",
            "expected a number or a list of numbers, found a string",
        ),
        ("", "a = { bucket = [] }", "diff.columns.a.bucket", "must not be empty"),
        ("", "a = { bucket = [1, 1.0] }", "diff.columns.a.bucket[1]", "1 follows 1"),
        ("", "a = { bucket = [1, 3, 2] }", "diff.columns.a.bucket[2]", "2 follows 3"),
        ("", "a = { tolerance = -0.5 }", "diff.columns.a.tolerance", "above 0, found -0.5"),
        ("", "a = { tolerance = inf }", "diff.columns.a.tolerance", "finite"),
        ("", "a = { tolerance = 1, bucket = 5 }", "diff.columns.a.tolerance", "`tolerance` and `bucket` are two ways"),
        ("", "a = { tolerance = 1, round = 0 }", "diff.columns.a.tolerance", "`tolerance` and `round` are two ways"),
        ("", "a = { trim = true, round = 0 }", "diff.columns.a.round", "keep one"),
        ("", "id = { trim = true }", "diff.columns.id", "a key is always compared as it is"),
        ("ignore = [\"a\"]", "a = { trim = true }", "diff.columns.a", "remove it from `ignore`"),
        ("compare = [\"b\"]", "a = { trim = true }", "diff.columns.a", "add it to `compare`"),
        ("", "\"a b\" = { round = 99 }", "diff.columns.\"a b\".round", "between"),
    ];
    for (diff, columns, path, part) in cases {
        let problems = job(diff, columns).err().unwrap_or_default();
        let [problem] = problems.as_slice() else { panic!("one problem of {columns}: {problems:#?}") };
        assert_eq!(problem.path, path, "{problem}");
        assert!(problem.to_string().contains(part), "{columns}: {problem}");
        assert!(problem.line > 0, "{problem}");
    }
    assert!(job("compare = [\"a\"]", "a = { trim = true }").is_ok());
}

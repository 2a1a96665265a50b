use super::*;
use crate::job::spec::{Baseline, FileFormat, Part, Payload, Rate, Source};
use std::path::PathBuf;
use std::time::Duration;

const SOURCE: &str = "[source]\nkind = \"files\"\npath = \"orgs.csv\"\n";
const DIFF: &str = "[diff]\nkey = \"id\"\n";
const DESTINATION: &str = "[destination]\nkind = \"http\"\nurl = \"https://h.example/webhook/${KEY}\"\n";
const PAYLOAD: &str = "[payload]\npreset = \"flat\"\n";

fn read(text: &str) -> Result<Job, Vec<Problem>> {
    parse(text, Path::new("jobs/x.toml"), Path::new("/home/nm"))
}

/// A job of these sections, after `version`. A section that is left out takes the plain form from above.
fn job(head: &str, sections: &str) -> Result<Job, Vec<Problem>> {
    let mut text = format!("version = 1\n{head}\n{sections}\n");
    for plain in [SOURCE, DIFF, DESTINATION, PAYLOAD] {
        let header = plain.lines().next().unwrap();
        if !sections.contains(header) {
            text.push_str(plain);
        }
    }
    read(&text)
}

fn shown(result: Result<Job, Vec<Problem>>) -> String {
    let problems = result.err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Exactly one problem, at `path`, that says `part`.
fn one_problem(result: Result<Job, Vec<Problem>>, path: &str, part: &str) {
    let problems = result.expect_err(part);
    let [problem] = problems.as_slice() else { panic!("expected one problem about {part}: {problems:#?}") };
    assert_eq!(problem.path, path, "{problem}");
    assert!(problem.to_string().contains(part), "{problem}");
}

#[test]
fn every_default_is_as_documented() {
    let job = job("", "").unwrap();
    assert_eq!((job.name.as_str(), job.file.as_path()), ("x", Path::new("jobs/x.toml")));
    assert!(job.schedule.is_none());
    let Source::Files(files) = &job.source else { panic!("not files") };
    assert_eq!((files.written.as_str(), files.path.as_path()), ("orgs.csv", Path::new("/home/nm/orgs.csv")));
    assert_eq!((files.format, files.query.as_deref()), (FileFormat::Csv, None));
    assert!(files.csv.header);
    assert_eq!((files.csv.delimiter, files.csv.quote), (b',', Some(b'"')));
    assert_eq!(files.csv.null_values, [""]);
    assert_eq!(job.diff.key, ["id"]);
    assert!(job.diff.compare.is_none() && job.diff.ignore.is_empty() && job.diff.columns.is_empty());
    assert!(job.diff.on.added && job.diff.on.changed && !job.diff.on.removed);
    assert_eq!((job.diff.first_run, job.diff.on_new_column), (Baseline::Send, Baseline::Send));
    assert!(!job.diff.quarantine_bad_keys);
    assert_eq!(job.destination.url.parts[1], Part::Env("KEY".into()));
    assert!(job.destination.secret.is_none() && job.destination.headers.is_empty() && job.destination.rate.is_none());
    assert_eq!((job.destination.concurrency, job.destination.timeout), (8, Duration::from_secs(30)));
    assert!(job.destination.signing.is_empty() && job.destination.allow_addresses.is_empty());
    assert!(job.destination.ca_file.is_none() && job.destination.proxy.is_none());
    let retry = job.destination.retry;
    assert_eq!((retry.attempts, retry.base, retry.max), (5, Duration::from_secs(1), Duration::from_secs(300)));
    assert!(matches!(&job.payload, Payload::Flat { fields } if fields.is_empty()));
    assert_eq!(job.guard.min_rows, 1);
    assert_eq!(job.guard.max_changed, Threshold { share: 0.5, floor: 1000 });
    assert_eq!(job.guard.max_removed, Threshold { share: 0.2, floor: 100 });
    assert_eq!(job.guard.max_rejected, Threshold { share: 0.01, floor: 10 });
}

#[test]
fn every_key_is_read() {
    let text = r##"
version = 1
name = "orgs-eu_1"
schedule = "15 30 2 * * 1-5"
timezone = "Europe/Berlin"

[source]
kind = "files"
path = "/data/*.txt"
format = "csv"
query = "SELECT * FROM extract"
header = false
delimiter = "\t"
quote = ""
null_values = ["NULL", "\\N"]

[diff]
key = ["region", "id"]
compare = ["plan"]
ignore = ["seen_at"]
on = ["removed", "added"]
first_run = "adopt"
on_new_column = "adopt"
on_bad_key = "quarantine"

[destination]
kind = "http"
url = "http://127.0.0.1:9000/hook"
secret = "${file:/run/secrets/a}"
headers = { Authorization = "Bearer ${TOKEN}", X-Team = "growth" }
rate = "600/m"
concurrency = 1_024
retry = { attempts = 1, base = "250ms", max = "1m" }
timeout = "5s"

[payload]
template = '''{"id": {{row.id}}}'''

[guard]
min_rows = 100
max_changed = { share = 1, floor = 0 }
max_removed = { share = 0.05 }
max_rejected = { floor = 3 }
"##;
    let job = read(text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(job.name, "orgs-eu_1");
    let schedule = job.schedule.unwrap();
    assert_eq!((schedule.expression.as_str(), schedule.timezone), ("15 30 2 * * 1-5", chrono_tz::Europe::Berlin));
    let Source::Files(files) = job.source else { panic!("not files") };
    assert_eq!((files.path, files.format), (PathBuf::from("/data/*.txt"), FileFormat::Csv));
    assert_eq!((files.csv.header, files.csv.delimiter, files.csv.quote), (false, b'\t', None));
    assert_eq!(
        (files.csv.null_values, files.query.as_deref()),
        (vec!["NULL".to_owned(), "\\N".into()], Some("SELECT * FROM extract"))
    );
    assert_eq!(
        (job.diff.key, job.diff.compare),
        (vec!["region".to_owned(), "id".into()], Some(vec!["plan".to_owned()]))
    );
    assert_eq!(job.diff.ignore, ["seen_at"]);
    assert!(job.diff.on.added && !job.diff.on.changed && job.diff.on.removed);
    assert_eq!((job.diff.first_run, job.diff.on_new_column), (Baseline::Adopt, Baseline::Adopt));
    assert!(job.diff.quarantine_bad_keys);
    assert_eq!(job.destination.secret.unwrap().parts, [Part::File("/run/secrets/a".into())]);
    let authorization = &job.destination.headers["Authorization"];
    assert_eq!(authorization.parts, [Part::Literal("Bearer ".into()), Part::Env("TOKEN".into())]);
    assert_eq!(job.destination.headers["X-Team"].written, "growth");
    assert_eq!(job.destination.rate, Some(Rate { quantity: 600, per: Duration::from_secs(60) }));
    assert_eq!((job.destination.concurrency, job.destination.timeout), (1024, Duration::from_secs(5)));
    let retry = job.destination.retry;
    assert_eq!((retry.attempts, retry.base, retry.max), (1, Duration::from_millis(250), Duration::from_secs(60)));
    assert!(matches!(job.payload, Payload::Liquid { template } if template == r#"{"id": {{row.id}}}"#));
    assert_eq!(job.guard.min_rows, 100);
    assert_eq!(job.guard.max_changed, Threshold { share: 1.0, floor: 0 });
    assert_eq!(job.guard.max_removed, Threshold { share: 0.05, floor: 100 });
    assert_eq!(job.guard.max_rejected, Threshold { share: 0.01, floor: 3 });
}

#[test]
fn mistakes_of_every_kind_are_reported_together() {
    let text = "version = 1\nschedule = \"30 26 * * *\"\n\n[source]\nkind = \"file\"\npath = 3\n\n[diff]\nkey = \"id\"\n\
                compair = [\"plan\"]\nignore = [\"id\"]\non = [\"added\", \"change\"]\n\n[destination]\nkind = \"http\"\n\
                url = \"https://h.example/webhook/made-up\"\nsecret = \"hunter2\"\nconcurrency = 0\ntimeout = \"soon\"\n\n\
                [payload]\nfields = { \"a.b\" = \"x\" }\n\n[guard]\nmax_removed = { share = 20 }\n";
    insta::assert_snapshot!(shown(read(text)), @r#"
    jobs/x.toml:2:12: schedule: `26` is not a valid hour
        hint: hour: 0–23
    jobs/x.toml:5:8: source.kind: unknown value `file` (did you mean `files`?)
        hint: one of `files`, `postgres`, `mysql`, `sqlite`, `adbc`
    jobs/x.toml:10:1: diff.compair: unknown field (did you mean `compare`?)
    jobs/x.toml:11:11: diff.ignore[0]: `id` is a key column
        hint: a key is never compared: remove it from `ignore`
    jobs/x.toml:12:16: diff.on[1]: unknown value `change` (did you mean `changed`?)
        hint: one of `added`, `changed`, `removed`
    jobs/x.toml:16:7: destination.url: an API key (the part after /webhook/) must not stand in a job file
        hint: put it into an environment variable and write ${NAME}, or into a file and write ${file:PATH}
    jobs/x.toml:17:10: destination.secret: a secret must not stand in a job file
        hint: put it into an environment variable and write ${NAME}, or into a file and write ${file:PATH}
    jobs/x.toml:18:15: destination.concurrency: must be between 1 and 1024, found 0
    jobs/x.toml:19:11: destination.timeout: `soon` is not a duration
        hint: a number and ms, s, m or h: `500ms`, `30s`, `5m`
    jobs/x.toml:21:1: payload: neither `preset` nor `template` is set
        hint: preset = "flat" or "group"
    jobs/x.toml:25:25: guard.max_removed.share: must be between 0 and 1, found 20
        hint: 20 % is 0.2
    "#);
}

#[test]
fn a_key_in_the_wrong_place_is_shown_the_right_one() {
    one_problem(job("ignore = [\"a\"]", ""), "ignore", "`ignore` belongs in [diff]");
    one_problem(job("", "[diff]\nkey = \"id\"\nurl = \"x\""), "diff.url", "`url` belongs in [source] or [destination]");
    one_problem(job("template = \"{}\"", ""), "template", "`template` belongs in [payload]");
    one_problem(job("bogus = 1", ""), "bogus", "known here: `version`");
}

#[test]
fn what_is_missing_is_named() {
    insta::assert_snapshot!(shown(read("")), @r#"
    jobs/x.toml: version: the key is missing
        hint: version = 1
    jobs/x.toml: source: the section is missing
        hint: Where rows come from, one per org.
    jobs/x.toml: diff: the section is missing
        hint: What is compared with what the destination is known to have.
    jobs/x.toml: destination: the section is missing
        hint: Where webhooks go.
    jobs/x.toml: payload: the section is missing
        hint: What a webhook says: a `preset` or a `template`.
    "#);
    one_problem(job("", "[source]\nkind = \"files\"\n"), "source.path", "the key is missing");
    one_problem(
        job("", "[source]\nkind = \"mysql\"\ntable = \"orgs\"\n"),
        "source.url",
        "`mysql://nightmark:${MYSQL_PASSWORD}@db.example:3306/crm`.",
    );
    one_problem(
        job("", "[source]\npath = \"a.csv\"\n"),
        "source.kind",
        "one of `files`, `postgres`, `mysql`, `sqlite`, `adbc`",
    );
    one_problem(job("", "[payload]\n"), "payload", "neither `preset` nor `template`");
    // It is there, under a misspelt name.
    one_problem(job("", "[payload]\ntemplte = \"{}\"\n"), "payload.templte", "did you mean `template`?");
}

#[test]
fn text_that_is_not_toml() {
    let problems = read("version = 1\nname = \n[diff\n").unwrap_err();
    let places: Vec<(usize, usize)> = problems.iter().map(|p| (p.line, p.column)).collect();
    assert_eq!(places.iter().map(|place| place.0).collect::<Vec<_>>(), [2, 3], "{problems:?}");
    assert_eq!(read("version = 1\nversion = 1\n").unwrap_err().len(), 1);
}

#[test]
fn columns_count_characters_not_bytes() {
    let problems = read("version = 1\nsource = { kind = \"files\", path = \"é.csv\", x = 1 }").unwrap_err();
    let problem = problems.iter().find(|p| p.path == "source.x").unwrap();
    assert_eq!((problem.line, problem.column), (2, 44));
}

#[test]
fn heads() {
    one_problem(
        read(&format!("version = 2\n{SOURCE}{DIFF}{DESTINATION}{PAYLOAD}")),
        "version",
        "version 2 are not known",
    );
    one_problem(job("name = \"a/b\"", ""), "name", "is not a job name");
    one_problem(job(&format!("name = \"{}\"", "a".repeat(65)), ""), "name", "is not a job name");
    one_problem(job("timezone = \"Europe/Berln\"", ""), "timezone", "did you mean `Europe/Berlin`?");
    let text = format!("version = 1\n{SOURCE}{DIFF}{DESTINATION}{PAYLOAD}");
    one_problem(parse(&text, Path::new("jobs/my job.toml"), Path::new("/")), "name", "set `name`");
}

#[test]
fn formats_come_from_extensions() {
    let format = |path: &str, extra: &str| {
        let Source::Files(files) = job("", &format!("[source]\nkind = \"files\"\npath = \"{path}\"\n{extra}"))?.source
        else {
            panic!("not files")
        };
        Ok::<_, Vec<Problem>>((files.format, files.csv.delimiter))
    };
    for path in ["a.csv", "d/*.csv", "a.csv.gz", "a.csv.zst", "A.CSV", "2026.01.csv"] {
        assert_eq!(format(path, "").unwrap(), (FileFormat::Csv, b','), "{path}");
    }
    for path in ["a.tsv", "a.tsv.gz"] {
        assert_eq!(format(path, "").unwrap(), (FileFormat::Csv, b'\t'), "{path}");
    }
    for path in ["a.ndjson", "a.jsonl", "a.jsonl.zst"] {
        assert_eq!(format(path, "").unwrap().0, FileFormat::Ndjson, "{path}");
    }
    assert_eq!(format("a.parquet", "").unwrap().0, FileFormat::Parquet);
    assert_eq!(format("a", "format = \"parquet\"").unwrap().0, FileFormat::Parquet);
    assert_eq!(format("a.txt", "format = \"tsv\"").unwrap(), (FileFormat::Csv, b'\t'));
    for path in ["a", "d.csv/a", "a.xlsx", "a.gz", "data/*", "a.parquet.gz"] {
        let problems = format(path, "").unwrap_err();
        assert_eq!(problems.len(), 1, "{path}");
        assert!(problems[0].path == "source.path" && problems[0].hint.is_some(), "{path}: {problems:?}");
    }
}

#[test]
fn source_options() {
    let source = |extra: &str| job("", &format!("[source]\nkind = \"files\"\npath = \"a.csv\"\n{extra}"));
    one_problem(source("delimiter = \";;\""), "source.delimiter", "one ASCII character");
    one_problem(source("delimiter = \"\""), "source.delimiter", "one ASCII character");
    one_problem(source("quote = \"é\""), "source.quote", "one ASCII character");
    one_problem(source("quote = \",\""), "source.quote", "same character");
    one_problem(source("query = \"  \""), "source.query", "the query is empty");
    one_problem(source("format = \"excel\""), "source.format", "unknown value `excel`");
    let parquet = "[source]\nkind = \"files\"\npath = \"a.parquet\"\nheader = true";
    one_problem(job("", parquet), "source.header", "only CSV files");
    assert!(source("query = \"SELECT '${x' FROM extract\"").is_ok(), "references mean nothing outside [destination]");
}

#[test]
fn diffs() {
    let diff = |body: &str| job("", &format!("[diff]\n{body}"));
    one_problem(diff("key = []"), "diff.key", "must not be empty");
    one_problem(diff("key = \"\""), "diff.key", "must not be empty");
    one_problem(diff("key = 1"), "diff.key", "expected a string or a list of strings, found an integer");
    one_problem(diff("key = [\"a\", 1]"), "diff.key[1]", "expected a string, found an integer");
    one_problem(diff("key = [\"a\", \"a\"]"), "diff.key[1]", "listed twice");
    one_problem(diff("key = \"id\"\ncompare = [\"a\", \"id\"]"), "diff.compare[1]", "is a key column");
    one_problem(
        diff("key = \"id\"\ncompare = [\"a\"]\nignore = [\"b\", \"a\"]"),
        "diff.ignore[1]",
        "stands in `compare`",
    );
    one_problem(diff("key = \"id\"\ncompare = []"), "diff.compare", "must not be empty");
    one_problem(diff("key = \"id\"\non = []"), "diff.on", "must not be empty");
    one_problem(diff("key = \"id\"\non = [\"added\", \"added\"]"), "diff.on[1]", "listed twice");
    one_problem(diff("key = \"id\"\non = [\"added\", \"removed\"]"), "diff.on[1]", "use a `template`");
    one_problem(diff("key = \"id\"\nfirst_run = \"adpot\""), "diff.first_run", "did you mean `adopt`?");
    assert!(diff("key = \"ID\"\ncompare = [\"id\"]").is_ok(), "names are case-sensitive");
}

#[test]
fn payloads() {
    let payload = |diff: &str, body: &str| job("", &format!("[diff]\n{diff}\n[payload]\n{body}"));
    one_problem(
        payload("key = \"id\"", "preset = \"flat\"\ntemplate = \"{}\""),
        "payload.template",
        "keep one of the two",
    );
    one_problem(payload("key = \"id\"", "template = \"{}\"\nfields = {}"), "payload.fields", "remove `fields`");
    one_problem(payload("key = \"id\"", "template = \" \""), "payload.template", "the template is empty");
    let flat = |fields: &str| payload("key = \"id\"", &format!("preset = \"flat\"\nfields = {fields}"));
    one_problem(flat("{ \"a..b\" = \"x\" }"), "payload.fields.\"a..b\"", "between any two dots");
    one_problem(flat("{ a = \"x\", \"a.b\" = \"y\" }"), "payload.fields.\"a.b\"", "`a` is a column already");
    one_problem(flat("{ a.b = \"x\" }"), "payload.fields.a", "stands in quotes: \"….b\"");
    one_problem(payload("key = [\"r\", \"id\"]", "preset = \"group\""), "payload.preset", "set fields.groupId");
    assert!(payload("key = [\"r\", \"id\"]", "preset = \"group\"\nfields = { groupId = \"id\" }").is_ok());
}

#[test]
fn fields_keep_their_order_and_groups_get_an_id() {
    let fields = |preset: &str, diff: &str, fields: &str| {
        let text = format!("[diff]\n{diff}\n[payload]\npreset = \"{preset}\"\n{fields}");
        match job("", &text).unwrap_or_else(|problems| panic!("{problems:#?}")).payload {
            Payload::Flat { fields } | Payload::Group { fields } => fields,
            Payload::Liquid { .. } | Payload::Rows { .. } | Payload::Empty => panic!("a preset"),
        }
    };
    let names = |fields: Vec<(String, String)>| fields.into_iter().map(|(p, c)| format!("{p}<{c}")).collect::<Vec<_>>();
    let flat =
        fields("flat", "key = \"id\"", "[payload.fields]\nz = \"1\"\na = \"2\"\n\"m.b\" = \"3\"\n\"m.a\" = \"4\"\n");
    assert_eq!(names(flat), ["z<1", "a<2", "m.b<3", "m.a<4"]);
    let group = fields("group", "key = [\"id\"]", "fields = { \"traits.name\" = \"n\" }");
    assert_eq!(names(group), ["groupId<id", "traits.name<n"]);
    assert!(fields("group", "key = \"id\"", "").is_empty());
}

fn destination(url: &str, extra: &str) -> Result<Job, Vec<Problem>> {
    job("", &format!("[destination]\nkind = \"http\"\nurl = \"{url}\"\n{extra}"))
}

#[test]
fn addresses() {
    let good = [
        "https://acme.trailspark.ai/api/product-orgs/webhook/${TRAILSPARK_API_KEY}",
        "http://127.0.0.1:8080/hook",
        "https://${HOST}:${PORT}/x",
        "https://${HOST}:${PORT}",
        "https://${USER}:${PASSWORD}@h.example/",
        "https://${USER}@h.example/",
        "${WEBHOOK_URL}",
        "${BASE_URL}/webhook/${KEY}",
        "${SCHEME}://h.example/",
        "https://h.example/?token=${T}&page=2",
        "https://h.example/webhook/prefix-${KEY}",
        "https://h.example/webhooks/orders",
        "https://h.example/sk_short",
    ];
    for url in good {
        assert_eq!(shown(destination(url, "")), "", "{url}");
    }
    let bad = [
        ("", "must not be empty"),
        ("h.example/x", "is not an address"),
        ("ftp://h.example/", "`ftp` is not a scheme"),
        ("https://h.example/${", "closing `}`"),
        ("https://h.example:99999/", "is not an address"),
        ("https://", "is not an address"),
    ];
    for (url, part) in bad {
        one_problem(destination(url, ""), "destination.url", part);
    }
}

#[test]
fn literal_secrets_are_refused_and_not_repeated() {
    const LITERAL: &str = "not-a-real-secret";
    let refused = |result: Result<Job, Vec<Problem>>, path: &str| {
        let text = shown(result);
        assert_eq!(text.matches("must not stand in a job file").count(), 1, "{path}: {text}");
        assert!(text.contains(path) && text.contains("${NAME}") && !text.contains(LITERAL), "{text}");
    };
    for url in [
        format!("https://{LITERAL}@h.example/"),
        format!("https://{LITERAL}:@h.example/"),
        format!("https://h.example/api/product-orgs/webhook/{LITERAL}"),
        format!("https://h.example/webhook/{LITERAL}/more/${{X}}"),
        format!("https://user:{LITERAL}@h.example/"),
        format!("https://${{USER}}:{LITERAL}@h.example/"),
        format!("https://h.example/hook/sk_{LITERAL}"),
        format!("https://h.example/hook?a=1&Api-Key={LITERAL}"),
        format!("https://h.example/hook?token={LITERAL}"),
        format!("${{BASE}}/webhook/{LITERAL}"),
    ] {
        refused(destination(&url, ""), "destination.url");
    }
    for secret in [LITERAL.to_owned(), format!("${{A}}{LITERAL}"), String::new()] {
        refused(destination("https://h.example/", &format!("secret = \"{secret}\"")), "destination.secret");
    }
    for name in ["Authorization", "Proxy-Authorization", "X-Api-Token", "x-api-id", "Cookie", "My-Secret", "App-Key"] {
        let headers = format!("headers = {{ {name} = \"{LITERAL}\" }}");
        refused(destination("https://h.example/", &headers), &format!("destination.headers.{name}"));
    }
    let header = format!("headers = {{ X-Plain = \"sk_{LITERAL}\" }}");
    refused(destination("https://h.example/", &header), "destination.headers.X-Plain");
}

#[test]
fn signing_secrets_are_references_one_or_several() {
    let with = |signing: &str| destination("https://h.example/", &format!("signing = {signing}"));
    let parts = |signing: &str| {
        let destination = with(signing).unwrap_or_else(|problems| panic!("{problems:#?}")).destination;
        let fields: Vec<String> = destination.signing_fields().map(|(field, _)| field).collect();
        (fields, destination.signing.into_iter().map(|s| s.parts).collect::<Vec<_>>())
    };
    let env = |name: &str| vec![Part::Env(name.into())];
    assert_eq!(parts("\"${A}\""), (vec!["destination.signing".into()], vec![env("A")]));
    let (fields, parts) = parts("[\"${NEW}\", \"${file:old}\"]");
    assert_eq!(fields, ["destination.signing[0]", "destination.signing[1]"]);
    assert_eq!(parts, [env("NEW"), vec![Part::File("old".into())]]);
    let literal = "whsec_cGxhbnRlZHBsYW50ZWRwbGFudGVkcGxhbnRlZA==";
    for (signing, path) in [
        (format!("\"{literal}\""), "destination.signing"),
        (format!("[\"${{A}}\", \"{literal}\"]"), "destination.signing[1]"),
        ("\"whsec_${A}\"".to_owned(), "destination.signing"),
    ] {
        assert!(!shown(with(&signing)).contains("cGxhbnRl"), "{signing}");
        one_problem(with(&signing), path, "must not stand in a job file");
    }
    one_problem(with("[]"), "destination.signing", "must not be empty");
    one_problem(with("true"), "destination.signing", "found");
}

#[test]
fn certificates_proxies_and_addresses() {
    let with = |extra: &str| destination("https://h.example/", extra);
    let path = |written: &str| with(&format!("ca_file = \"{written}\"")).unwrap().destination.ca_file.unwrap();
    assert_eq!((path("tls/ca.pem"), path("/ca.pem")), (PathBuf::from("/home/nm/tls/ca.pem"), PathBuf::from("/ca.pem")));
    one_problem(with("ca_file = \"\""), "destination.ca_file", "empty");

    let proxy = |written: &str| with(&format!("proxy = \"{written}\""));
    for good in
        ["http://proxy:3128", "https://proxy.example/", "http://${U}:${P}@10.0.0.1:3128", "${PROXY}", "http://u:${P}@h"]
    {
        assert_eq!(shown(proxy(good)), "", "{good}");
    }
    for (bad, part) in [
        ("proxy:3128", "a proxy of scheme `proxy` is not known"),
        ("socks5://proxy:1080", "a proxy of scheme `socks5` is not known"),
        ("http://proxy/path", "ends with its port"),
        ("http://proxy?x", "ends with its port"),
        ("//proxy", "is not an address"),
        ("http://u:literal-one@proxy", "a password must not stand in a job file"),
        ("http://u:literal-one${REST}@proxy", "a password must not stand in a job file"),
        ("http://literal-one@proxy", "a password must not stand in a job file"),
    ] {
        one_problem(proxy(bad), "destination.proxy", part);
        assert!(!shown(proxy(bad)).contains("literal-one"), "{bad}");
    }

    let allow = |nets: &str| with(&format!("allow_addresses = [{nets}]"));
    let nets = allow("\"169.254.10.0/24\", \"169.254.1.1\", \"fe80::/64\"").unwrap().destination.allow_addresses;
    let nets: Vec<String> = nets.iter().map(ToString::to_string).collect();
    assert_eq!(nets, ["169.254.10.0/24", "169.254.1.1/32", "fe80::/64"]);
    let first = "destination.allow_addresses[0]";
    one_problem(allow("\"169.254.10.0/33\""), first, "is not a network");
    one_problem(allow("\"metadata.internal\""), first, "is not a network");
    one_problem(allow("\"169.254.10.5/24\""), first, "write `169.254.10.0/24` for the network, or `169.254.10.5`");
}

#[test]
fn headers_and_limits() {
    let with = |extra: &str| destination("https://h.example/", extra);
    assert!(with("headers = { X-Api-Version = \"2\", Accept = \"*/*\", X-Api-Key = \"${K}\" }").is_ok());
    one_problem(with("headers = { \"a b\" = \"x\" }"), "destination.headers.\"a b\"", "not the name of a header");
    one_problem(with("headers = { X-Api-Secret = \"${S}\" }"), "destination.headers.X-Api-Secret", "use `secret`");
    one_problem(with("headers = { Webhook-Id = \"x\" }"), "destination.headers.Webhook-Id", "by Nightmark itself");
    one_problem(with("headers = { X-A = \"x\", x-a = \"y\" }"), "destination.headers.x-a", "the same header as `X-A`");
    one_problem(with("headers = { X-A = \"a\\nb\" }"), "destination.headers.X-A", "without line breaks");
    one_problem(with("rate = \"50/d\""), "destination.rate", "is not a rate");
    one_problem(with("concurrency = 1025"), "destination.concurrency", "between 1 and 1024");
    one_problem(with("retry = { attempts = 0 }"), "destination.retry.attempts", "between 1 and 100");
    one_problem(with("retry = { base = \"10m\" }"), "destination.retry", "`base` (10m) is above `max` (5m)");
    one_problem(with("timeout = \"0s\""), "destination.timeout", "out of range");
    one_problem(job("", "[guard]\nmin_rows = 0"), "guard.min_rows", "at least 1");
    one_problem(job("", "[guard]\nmax_changed = \"20%\""), "guard.max_changed", "expected a table, found a string");
    one_problem(job("", "[guard]\nmax_changed = { share = nan }"), "guard.max_changed.share", "finite");
}

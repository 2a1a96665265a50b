use crate::job::problem::Problem;
use crate::job::spec::{Batch, BodyFormat, Destination, DestinationKind, Job, Method, Payload, Templated};
use std::path::Path;

/// A job with this destination, and what stands in other sections.
fn job(destination: &str, on: &str, payload: &str) -> Result<Job, Vec<Problem>> {
    let text = format!(
        "version = 1\n[source]\nkind = \"files\"\npath = \"a.csv\"\n[diff]\nkey = \"id\"\non = [{on}]\n[destination]\n{destination}\n{payload}\n"
    );
    crate::job::validate::parse(&text, Path::new("jobs/x.toml"), Path::new("/home/nm"))
}

const BOTH: &str = "\"added\", \"changed\"";
const ALL: &str = "\"added\", \"changed\", \"removed\"";

fn good(destination: &str, payload: &str) -> Job {
    job(destination, BOTH, payload).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[track_caller]
fn one_problem(result: Result<Job, Vec<Problem>>, path: &str, part: &str) {
    let problems = result.expect_err(part);
    let [problem] = problems.as_slice() else { panic!("expected one problem about {part}: {problems:#?}") };
    assert_eq!(problem.path, path, "{problem}");
    assert!(problem.to_string().contains(part), "{problem}");
}

const TRAILSPARK: &str = "kind = \"trailspark\"\nkey = \"${KEY}\"\n";
const SEGMENT: &str = "kind = \"segment\"\nwrite_key = \"${KEY}\"\n";
const RUDDERSTACK: &str = "kind = \"rudderstack\"\nwrite_key = \"${KEY}\"\ndata_plane_url = \"https://dp.example/\"\n";
const HTTP: &str = "kind = \"http\"\nurl = \"https://h.example/\"\n";
const FLAT: &str = "[payload]\npreset = \"flat\"";

#[test]
fn every_kind_has_its_address_and_payload() {
    for (destination, kind, url, field) in [
        (
            format!("{TRAILSPARK}subdomain = \"acme\""),
            DestinationKind::Trailspark,
            "https://acme.trailspark.ai/api/product-orgs/webhook/${KEY}",
            "destination.key",
        ),
        (
            format!("{TRAILSPARK}subdomain = \"${{SUB}}\""),
            DestinationKind::Trailspark,
            "https://${SUB}.trailspark.ai/api/product-orgs/webhook/${KEY}",
            "destination.key",
        ),
        (
            format!("{TRAILSPARK}base_url = \"http://127.0.0.1:8787/\""),
            DestinationKind::Trailspark,
            "http://127.0.0.1:8787/api/product-orgs/webhook/${KEY}",
            "destination.base_url or destination.key",
        ),
        (SEGMENT.to_owned(), DestinationKind::Segment, "https://api.segment.io/v1/group", "destination.region"),
        (
            format!("{SEGMENT}region = \"eu\"\nmode = \"batch\""),
            DestinationKind::Segment,
            "https://events.eu1.segmentapis.com/v1/batch",
            "destination.region",
        ),
        (
            format!("{SEGMENT}base_url = \"${{PROXY}}/segment\""),
            DestinationKind::Segment,
            "${PROXY}/segment/v1/group",
            "destination.base_url",
        ),
        (
            RUDDERSTACK.to_owned(),
            DestinationKind::Rudderstack,
            "https://dp.example/v1/group",
            "destination.data_plane_url",
        ),
    ] {
        let job = good(&destination, "");
        assert_eq!((job.destination.kind, job.destination.url.written.as_str()), (kind, url));
        assert_eq!(job.destination.url_field, field);
        let is_default = match kind {
            DestinationKind::Trailspark => matches!(&job.payload, Payload::Flat { fields } if fields.is_empty()),
            _ => matches!(&job.payload, Payload::Group { fields } if fields.is_empty()),
        };
        assert!(is_default, "{:?}", job.payload);
    }
    let batch = |destination: &str| good(&format!("{destination}mode = \"batch\""), "").destination.batch;
    assert_eq!(batch(SEGMENT), Some(Batch { rows: 2_500, bytes: 500_000 }));
    assert_eq!(batch(RUDDERSTACK), Some(Batch { rows: 10_000, bytes: 4_000_000 }));
    assert_eq!(good(SEGMENT, "").destination.batch, None);
    let fields = good(SEGMENT, "[payload.fields]\n\"traits.plan\" = \"plan_id\"").payload;
    assert!(matches!(fields, Payload::Group { fields } if fields.len() == 2), "and groupId");
    assert!(matches!(good(SEGMENT, "[payload]\ntemplate = '{}'").payload, Payload::Liquid { .. }));
    let group = good(&format!("{TRAILSPARK}subdomain = \"acme\""), "[payload]\npreset = \"group\"").payload;
    assert!(matches!(group, Payload::Group { .. }));
}

#[test]
fn the_mistakes_of_all_kinds_are_told_where_they_are() {
    let of = |destination: String| job(&destination, BOTH, "");
    one_problem(of(TRAILSPARK.to_owned()), "destination", "neither `subdomain` nor `base_url`");
    for kind in [SEGMENT, RUDDERSTACK] {
        let header = "headers = { Authorization = \"Bearer ${TOKEN}\" }";
        one_problem(
            of(format!("{kind}{header}")),
            "destination.headers.Authorization",
            "`write_key` makes this header",
        );
    }
    one_problem(
        of(format!("{TRAILSPARK}subdomain = \"acme\"\nbase_url = \"http://h/\"")),
        "destination.base_url",
        "keep one of the two",
    );
    for written in ["acme.trailspark.ai", "https://acme", "-a", "a b", "a/b"] {
        one_problem(
            of(format!("{TRAILSPARK}subdomain = \"{written}\"")),
            "destination.subdomain",
            "is not a subdomain",
        );
    }
    one_problem(of(format!("{TRAILSPARK}base_url = \"http://h/?a=b\"")), "destination.base_url", "take the query out");
    one_problem(of(format!("{TRAILSPARK}base_url = \"acme\"")), "destination.base_url", "is not an address");
    let literal = "sk_not_a_real_one_at_all";
    for (destination, path) in [
        (format!("kind = \"trailspark\"\nsubdomain = \"acme\"\nkey = \"{literal}\""), "destination.key"),
        (format!("kind = \"segment\"\nwrite_key = \"{literal}\""), "destination.write_key"),
        (
            format!("kind = \"rudderstack\"\ndata_plane_url = \"http://h/\"\nwrite_key = \"{literal}\""),
            "destination.write_key",
        ),
        (format!("{TRAILSPARK}subdomain = \"acme\"\nsecret = \"{literal}\""), "destination.secret"),
        (format!("{HTTP}auth = {{ user = \"u\", password = \"{literal}\" }}\n{FLAT}"), "destination.auth.password"),
        (format!("{HTTP}auth = {{ user = \"{literal}\" }}\n{FLAT}"), "destination.auth.user"),
    ] {
        let result = of(destination);
        let shown = result.as_ref().err().map(|problems| format!("{problems:?}")).unwrap_or_default();
        assert!(!shown.contains(literal), "{shown}");
        one_problem(result, path, "must not stand in a job file");
    }
    one_problem(of("kind = \"segment\"".to_owned()), "destination.write_key", "the key is missing");
    one_problem(of("kind = \"rudderstack\"\nwrite_key = \"${K}\"".to_owned()), "destination.data_plane_url", "missing");
    one_problem(of(format!("{SEGMENT}region = \"uk\"")), "destination.region", "unknown value `uk`");
    one_problem(
        of(format!("{SEGMENT}region = \"eu\"\nbase_url = \"http://h/\"")),
        "destination.base_url",
        "keep one of the two",
    );
    one_problem(of(format!("{SEGMENT}url = \"http://h/\"")), "destination.url", "unknown field");
    one_problem(job(SEGMENT, BOTH, FLAT), "payload.preset", "takes group events and nothing else");
    one_problem(job("kind = \"htp\"", BOTH, FLAT), "destination.kind", "did you mean `http`?");
    one_problem(job("", BOTH, FLAT), "destination.kind", "one of `trailspark`, `segment`, `rudderstack`, `http`");
    one_problem(job(HTTP, BOTH, ""), "payload", "the section is missing");
}

#[test]
fn no_group_is_ever_removed() {
    for destination in [SEGMENT, RUDDERSTACK] {
        one_problem(job(destination, ALL, ""), "diff.on[2]", "has no way to say that a group is gone");
        one_problem(job(destination, ALL, "[payload]\ntemplate = '{}'"), "diff.on[2]", "take \"removed\" out");
    }
    let trailspark = format!("{TRAILSPARK}subdomain = \"acme\"");
    one_problem(job(&trailspark, ALL, ""), "diff.on[2]", "use a `template` that shows {{op}}");
    assert!(job(&trailspark, ALL, "[payload]\ntemplate = '{}'").is_ok());
}

#[test]
fn http_has_methods_formats_and_operations_of_its_own() {
    let job = job(
        &format!(
            "{HTTP}method = \"PUT\"\nformat = \"ndjson\"\nbatch = {{ rows = 7 }}\n[destination.changed]\nmethod = \"PATCH\"\n\
             [destination.removed]\nmethod = \"DELETE\"\nurl = \"https://h.example/${{KEY}}\""
        ),
        ALL,
        FLAT,
    )
    .unwrap_or_else(|problems| panic!("{problems:#?}"));
    let Destination { routes, format, batch, .. } = &job.destination;
    assert_eq!((*format, *batch), (BodyFormat::Ndjson, Some(Batch { rows: 7, bytes: 1_000_000 })));
    assert_eq!(
        routes.iter().map(|(_, route)| route.method).collect::<Vec<_>>(),
        [Method::Put, Method::Patch, Method::Delete]
    );
    assert_eq!(routes.removed.url.as_ref().map(|url| url.written.as_str()), Some("https://h.example/${KEY}"));
    assert!(routes.added.url.is_none());
    assert!(matches!(job.payload_for("added"), Payload::Flat { .. }));
    assert!(matches!(job.payload_for("removed"), Payload::Empty), "a DELETE has no body unless the job gives it one");
    let fields: Vec<String> = job.destination.templated().map(|(field, _)| field).collect();
    assert_eq!(fields, ["destination.url", "destination.removed.url"]);

    let none = good(&format!("{HTTP}method = \"GET\""), "");
    assert!(matches!(none.payload, Payload::Empty));
    let own = "[payload.added]\ntemplate = '{}'\n[payload.changed]\npreset = \"flat\"";
    let own = good(HTTP, own);
    assert!(matches!(
        (own.payload_for("added"), own.payload_for("changed")),
        (Payload::Liquid { .. }, Payload::Flat { .. })
    ));
    let user = |text: &str| good(&format!("{HTTP}auth = {text}"), FLAT).destination.auth.unwrap();
    assert_eq!(user("{ user = \"me\", password = \"${P}\" }").password, Templated::parse("${P}").ok());
    assert_eq!(user("{ user = \"${KEY}\" }").password, None);
}

#[test]
fn what_does_not_go_together_is_refused() {
    let of = |more: &str, on: &str, payload: &str| job(&format!("{HTTP}{more}"), on, payload);
    one_problem(of("method = \"post\"", BOTH, FLAT), "destination.method", "did you mean `POST`?");
    one_problem(of("format = \"form\"\nbatch = {}", BOTH, FLAT), "destination.batch", "a form holds one row");
    one_problem(of("method = \"GET\"\nbatch = {}", BOTH, ""), "destination.batch", "a GET has no body");
    one_problem(of("batch = { rows = 0 }", BOTH, FLAT), "destination.batch.rows", "between 1 and 10000");
    one_problem(
        of("[destination.removed]\nmethod = \"PUT\"", BOTH, FLAT),
        "destination.removed",
        "no removed org is sent",
    );
    one_problem(
        of("[destination.added]\nurl = \"ftp://h/\"", BOTH, FLAT),
        "destination.added.url",
        "`ftp` is not a scheme",
    );
    one_problem(
        of("headers = { authorization = \"${A}\" }\nauth = { user = \"${K}\" }", BOTH, FLAT),
        "destination.headers.authorization",
        "`auth` makes this header",
    );
    one_problem(of("auth = { user = \"a:b\", password = \"${P}\" }", BOTH, FLAT), "destination.auth.user", "no colon");
    let own = |own: &str| format!("{FLAT}\n{own}");
    one_problem(
        of("", BOTH, &own("[payload.removed]\npreset = \"flat\"")),
        "payload.removed",
        "no removed org is sent",
    );
    one_problem(
        of("[destination.changed]\nmethod = \"GET\"", BOTH, &own("[payload.changed]\npreset = \"flat\"")),
        "payload.changed",
        "a GET has no body",
    );
    one_problem(of("", BOTH, &own("[payload.changed]")), "payload.changed", "neither `preset` nor `template`");
    one_problem(of("", ALL, FLAT), "diff.on[2]", "a preset's body cannot say that an org is gone");
    assert!(of("[destination.removed]\nmethod = \"DELETE\"", ALL, FLAT).is_ok());
    assert!(of("", ALL, &own("[payload.removed]\npreset = \"flat\"")).is_ok());
    let trailspark = format!("{TRAILSPARK}subdomain = \"acme\"");
    one_problem(
        job(&trailspark, BOTH, "[payload.changed]\ntemplate = '{}'"),
        "payload.changed",
        "only `kind = \"http\"`",
    );
}

#[test]
fn what_differs_by_row_takes_one_row_a_request() {
    let of = |more: &str, on: &str, payload: &str| job(&format!("kind = \"http\"\n{more}"), on, payload);
    let batch = "batch = {}";
    let told = "takes one row a request";
    one_problem(of(&format!("url = \"https://h/{{{{row.id}}}}\"\n{batch}"), BOTH, FLAT), "destination.url", told);
    let own = "url = \"https://h/\"\nbatch = {}\n[destination.changed]\nurl = \"https://h/{% if row.a %}a{% endif %}\"";
    one_problem(of(own, BOTH, FLAT), "destination.changed.url", told);
    let header = "headers = { X-Org = \"{{row.id}}\" }";
    one_problem(of(&format!("url = \"https://h/\"\n{batch}\n{header}"), BOTH, FLAT), "destination.headers.X-Org", told);
    one_problem(job(&format!("{SEGMENT}mode = \"batch\"\n{header}"), BOTH, ""), "destination.headers.X-Org", told);
    assert!(job(&format!("{SEGMENT}{header}"), BOTH, "").is_ok());
    let gone =
        "url = \"https://h/\"\nbatch = {}\n[destination.removed]\nmethod = \"DELETE\"\nurl = \"https://h/{{row.id}}\"";
    assert!(of(gone, ALL, FLAT).is_ok(), "without a body a row goes alone anyway");
    one_problem(
        job(&format!("{SEGMENT}base_url = \"https://h/{{{{row.id}}}}\""), BOTH, ""),
        "destination.base_url",
        "the same for every row",
    );
}

#[test]
fn a_template_of_batches_needs_batches() {
    let rows = "[payload]\nbatch_template = '{{rows}}'";
    let taken = good(&format!("{HTTP}batch = {{}}"), rows).payload;
    assert!(matches!(taken, Payload::Rows { template } if template == "{{rows}}"));
    assert!(job(&format!("{HTTP}batch = {{}}"), ALL, rows).is_ok(), "each row has its `op`");
    let told = "only kind = \"http\" with `batch` and JSON";
    one_problem(job(HTTP, BOTH, rows), "payload.batch_template", told);
    one_problem(job(&format!("{HTTP}batch = {{}}\nformat = \"ndjson\""), BOTH, rows), "payload.batch_template", told);
    one_problem(job(&format!("{SEGMENT}mode = \"batch\""), BOTH, rows), "payload.batch_template", told);
    let conforms = format!("{rows}\nconforms_to = {{ preset = \"segment\" }}");
    one_problem(
        job(&format!("{HTTP}batch = {{}}"), BOTH, &conforms),
        "payload.conforms_to",
        "several rows cannot conform",
    );
    let both = format!("{rows}\npreset = \"flat\"");
    one_problem(job(&format!("{HTTP}batch = {{}}"), BOTH, &both), "payload.batch_template", "keep one of them");
}

#[test]
fn the_mistakes_of_a_file_come_together_with_line_and_column() {
    let destination =
        "kind = \"segment\"\nwrite_key = \"literal-key-value\"\nregion = \"moon\"\nmode = \"all\"\nrate = \"fast\"";
    let problems = job(destination, ALL, FLAT).unwrap_err();
    let places: Vec<_> = problems.iter().map(|p| (p.line, p.column, p.path.as_str())).collect();
    assert_eq!(
        places,
        [
            (7, 27, "diff.on[2]"),
            (10, 13, "destination.write_key"),
            (11, 10, "destination.region"),
            (12, 8, "destination.mode"),
            (13, 8, "destination.rate"),
            (15, 10, "payload.preset"),
        ]
    );
}

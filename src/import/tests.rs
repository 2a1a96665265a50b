use super::*;
use crate::job::spec::{Baseline, BodyFormat, DestinationKind, Job, Payload, Rate, Source};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

const TEMPLATE: &str = "{\n  \"id\": \"{{row.id}}\",\n  \"mrr\": {{ row.mrr | default: 0 }}\n}";

fn model() -> Value {
    json!({"name": "Orgs", "primaryKey": "id", "rawSql": "SELECT id, mrr FROM db.orgs\n", "source": "warehouse"})
}

fn sync(config: Value) -> Value {
    json!({"model": "orgs", "destination": "hook", "config": config})
}

fn config() -> Value {
    json!({"triggers": ["added", "changed"], "path": "/hook", "template": TEMPLATE})
}

fn wishes() -> Wishes {
    Wishes { name: "orgs".into(), base_url: Some("https://h.example".into()), ..Wishes::default() }
}

#[track_caller]
fn import(model: Value, sync: Value, wishes: &Wishes) -> (Job, Imported) {
    let imported = hightouch(model, sync, None, wishes).expect("a job");
    let job = crate::job::parse(&imported.text, Path::new("jobs/orgs.toml"), Path::new("/home"));
    (job.unwrap_or_else(|problems| panic!("{problems:#?}\n{}", imported.text)), imported)
}

/// The schedule that a sync's schedule becomes, and whether anything is noted besides the time zone and the interval.
#[track_caller]
fn check_schedule(schedule: Value, expected: Option<&str>, note: &str) {
    let mut sync = sync(config());
    sync["schedule"] = schedule.clone();
    let (job, imported) = import(model(), sync, &wishes());
    assert_eq!(job.schedule.map(|s| s.expression).as_deref(), expected, "{schedule}");
    let told = format!("{:?}", imported.notes);
    assert!(told.contains(note), "{schedule}: {told}");
}

#[test]
fn everything_that_a_job_has_a_place_for_is_carried_over() {
    let mut config = config();
    config["rateLimit"] = json!({"quantity": 600, "unit": "minute", "concurrency": 3});
    config["errorHandling"] = json!({"maxRetries": 2});
    config["timeoutMs"] = json!(2500);
    config["headers"] = json!([{"name": "X-Tenant", "value": "acme"}]);
    let mut sync = sync(config);
    sync["schedule"] = json!({"type": "cron", "schedule": {"expression": "30 2 * * 1-5"}});
    let (job, imported) = import(model(), sync, &wishes());
    assert_eq!((job.name.as_str(), job.diff.key.as_slice()), ("orgs", ["id".to_owned()].as_slice()));
    let schedule = job.schedule.expect("a schedule");
    assert_eq!((schedule.expression.as_str(), schedule.timezone.name()), ("30 2 * * 1-5", "UTC"));
    let Source::Files(files) = &job.source else { panic!("not files") };
    assert_eq!(
        (files.written.as_str(), files.query.as_deref()),
        ("data/orgs.csv", Some("SELECT id, mrr FROM extract\n"))
    );
    assert!(job.diff.on.added && job.diff.on.changed && !job.diff.on.removed && job.diff.quarantine_bad_keys);
    assert_eq!((job.diff.first_run, job.diff.compare), (Baseline::Send, None));
    assert_eq!(job.destination.url.written, "https://h.example/hook");
    assert_eq!(job.destination.rate, Some(Rate { quantity: 600, per: Duration::from_secs(60) }));
    assert_eq!((job.destination.concurrency, job.destination.retry.attempts), (3, 3));
    assert_eq!(job.destination.timeout, Duration::from_millis(2500));
    assert_eq!(job.destination.headers["X-Tenant"].written, "acme");
    assert!(
        matches!(&job.payload, Payload::Liquid { template } if template.trim_end() == TEMPLATE),
        "{:?}",
        job.payload
    );
    assert_eq!(imported.notes.lost, Vec::<String>::new());
}

#[test]
fn what_is_not_known_is_told_by_its_name_and_never_by_its_value() {
    let mut config = config();
    config["shiny"] = json!("planted-value");
    config["batching"] = json!({"enabled": true, "size": 50, "odd": "planted-value"});
    config["contentType"] = json!("application/xml");
    let mut sync = sync(config);
    sync["alerts"] = json!({"to": "planted-value"});
    let mut model = model();
    model["columns"] = json!(["planted-value"]);
    let (_, imported) = import(model, sync, &wishes());
    let told = imported.notes.lost.join("\n");
    for part in [
        "model: columns",
        "sync: alerts",
        "sync: config.shiny",
        "sync: config.batching.odd",
        "one request per row",
        "sends JSON",
    ] {
        assert!(told.contains(part), "{part}: {told}");
        assert!(imported.text.contains(part.split(' ').next().expect("a word")), "{part}: {}", imported.text);
    }
    assert!(!format!("{told}{}", imported.text).contains("planted-value"), "{told}{}", imported.text);
}

#[test]
fn schedules() {
    let interval = |quantity: u32, unit: &str| json!({"type": "interval", "schedule": {"interval": {"quantity": quantity, "unit": unit}}});
    check_schedule(interval(1, "hour"), Some("0 * * * *"), "by the clock");
    check_schedule(interval(15, "minute"), Some("*/15 * * * *"), "every 15 minutes");
    check_schedule(interval(25, "minute"), Some("*/20 * * * *"), "nearest");
    check_schedule(interval(7, "hour"), Some("0 */6 * * *"), "nearest");
    check_schedule(interval(1440, "minute"), Some("0 0 * * *"), "every 1440 minutes");
    check_schedule(interval(1, "day"), Some("0 0 * * *"), "every 1 day");
    check_schedule(interval(3, "day"), Some("0 0 * * *"), "nearest");
    check_schedule(interval(1, "week"), Some("0 0 * * 0"), "every 1 week");
    check_schedule(interval(1, "fortnight"), None, "unit is not understood");
    check_schedule(json!({"type": "interval", "unit": "hour", "amount": 6}), Some("0 */6 * * *"), "every 6 hours");
    check_schedule(json!({"type": "cron", "expression": "*/30 * * * *"}), Some("*/30 * * * *"), "in UTC");
    check_schedule(json!({"type": "manual"}), None, "");
    check_schedule(Value::Null, None, "");
    check_schedule(json!({"type": "dbt-cloud", "schedule": {"job": {"id": 1}}}), None, "`dbt-cloud`");
    let visual = |expressions: Value| json!({"type": "visual", "schedule": {"expressions": expressions}});
    let days = json!({"monday": true, "friday": true, "sunday": false});
    check_schedule(visual(json!([{"days": days, "time": "08:30"}])), Some("30 8 * * 1,5"), "");
    let (early, late) = (json!({"days": days, "time": "08:30"}), json!({"days": days, "time": "20:30"}));
    check_schedule(visual(json!([early, late])), Some("30 8,20 * * 1,5"), "");
    let saturday = json!({"days": {"saturday": true}, "time": "08:30"});
    check_schedule(visual(json!([early, saturday])), Some("30 8 * * 1,5,6"), "");
    let odd = json!({"days": {"saturday": true}, "time": "09:00"});
    check_schedule(visual(json!([early, odd])), Some("30 8 * * 1,5"), "missing: `0 9 * * 6`");
    check_schedule(visual(json!([{"days": {}, "time": "x"}])), None, "not understood");
}

#[test]
fn a_paused_sync_has_its_schedule_as_a_comment() {
    let mut sync = sync(config());
    sync["schedule"] = json!({"type": "cron", "expression": "0 3 * * *"});
    sync["schedulePaused"] = json!(true);
    let (job, imported) = import(model(), sync, &wishes());
    assert!(job.schedule.is_none() && imported.text.contains("# schedule = \"0 3 * * *\""), "{}", imported.text);
    assert!(imported.notes.todo.iter().any(|note| note.contains("paused")));
}

#[test]
fn triggers_in_every_form() {
    let forms = [
        json!({"triggers": ["added", "removed"]}),
        json!({"events": {"rowsAdded": {"enabled": true}, "rows_changed": {"enabled": false}, "rowsRemoved": true}}),
        json!({"operations": [{"trigger": "insert"}, {"trigger": "delete"}, "upsert"]}),
        json!({"subscribeAdd": true, "subscribeChange": false, "subscribeDelete": true}),
    ];
    for form in forms {
        let mut config = config();
        config.as_object_mut().expect("a table").shift_remove("triggers");
        config.as_object_mut().expect("a table").extend(form.as_object().expect("a table").clone());
        let (job, _) = import(model(), sync(config), &wishes());
        assert_eq!((job.diff.on.added, job.diff.on.changed, job.diff.on.removed), (true, false, true), "{form}");
    }
    let mut config = config();
    config["triggers"] = Value::Null;
    let (job, imported) = import(model(), sync(config), &wishes());
    assert!(job.diff.on.added && job.diff.on.changed && !job.diff.on.removed);
    assert!(imported.notes.todo.iter().any(|note| note.contains("does not say what triggers")));
}

#[test]
fn triggers_keep_what_is_their_own() {
    let gone = "{\"gone\": {{row.id}}}";
    let config = json!({"events": {
        "added": {"method": "post", "path": "/hook", "body": TEMPLATE},
        "changed": {"method": "PATCH", "path": "/hook/changed", "body": "{\"id\": {{row.id}}}"},
        "removed": {"method": "DELETE", "path": "/hook/changed", "body": gone},
    }, "contentType": "application/x-www-form-urlencoded"});
    let (job, imported) = import(model(), sync(config), &wishes());
    let route = |name: &str| {
        let route = job.destination.routes.get(name);
        (route.method.as_str(), route.url.as_ref().map(|url| url.written.as_str()))
    };
    assert_eq!(job.destination.url.written, "https://h.example/hook/changed");
    assert_eq!(route("added"), ("POST", Some("https://h.example/hook")));
    assert_eq!((route("changed"), route("removed")), (("PATCH", None), ("DELETE", None)));
    assert_eq!(job.destination.format, BodyFormat::Form);
    let template = |payload: Option<&Payload>| match payload {
        Some(Payload::Liquid { template }) => template.trim_end().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(template(Some(&job.payload)), "{\"id\": {{row.id}}}");
    assert_eq!(
        (template(job.payload_of.added.as_ref()), template(job.payload_of.removed.as_ref())),
        (TEMPLATE.into(), gone.into())
    );
    assert_eq!((job.payload_of.changed.is_none(), imported.notes.lost.len()), (true, 0));
}

#[test]
fn what_a_trigger_cannot_keep_is_told() {
    let config = json!({"events": {
        "added": {"method": "BREW", "path": "/hook", "body": TEMPLATE},
        "changed": {"path": "/hook/{{row.id}}", "body": TEMPLATE},
        "removed": {"method": "GET", "path": "/gone", "body": TEMPLATE},
    }});
    let (job, imported) = import(model(), sync(config), &wishes());
    assert_eq!(job.destination.url.written, "https://h.example/hook/{{row.id}}");
    let told = imported.notes.lost.join("\n");
    for part in ["rows added: the method BREW", "rows removed: the body, since a GET has none"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn a_product_org_webhook_is_kind_trailspark() {
    let mut config = config();
    config["path"] = json!("/api/product-orgs/webhook/{apiKey}");
    let kind = |base: Option<&str>| {
        let wishes = Wishes { base_url: base.map(str::to_owned), ..wishes() };
        let (job, imported) = import(model(), sync(config.clone()), &wishes);
        assert_eq!(job.destination.kind, DestinationKind::Trailspark);
        (job.destination.url.written, imported.text)
    };
    let (url, text) = kind(Some("https://acme.trailspark.ai"));
    assert_eq!(url, "https://acme.trailspark.ai/api/product-orgs/webhook/${TRAILSPARK_API_KEY}");
    assert!(text.contains("subdomain = \"acme\"\nkey = \"${TRAILSPARK_API_KEY}\""), "{text}");
    assert!(kind(Some("http://127.0.0.1:8787/")).1.contains("base_url = \"http://127.0.0.1:8787\""));
    assert!(kind(Some("https://{subdomain}.trailspark.ai")).1.contains("subdomain = \"${DESTINATION_SUBDOMAIN}\""));
    assert!(kind(None).1.contains("base_url = \"${DESTINATION_BASE_URL}\""));
    // A body of its own for one trigger is what only kind http has.
    config["events"] = json!({"added": {"body": "{}"}, "changed": true});
    let (job, _) = import(model(), sync(config), &wishes());
    assert_eq!(job.destination.kind, DestinationKind::Http);
}

#[test]
fn column_mappings_become_fields() {
    let config = json!({"triggers": ["added"], "path": "/hook", "mappings": [
        {"from": "id", "to": "workspace_id", "type": "standard"},
        {"from": "mrr", "to": "billing.mrr"},
        {"to": "synced_by", "type": "static", "value": "planted-value"},
    ]});
    let (job, imported) = import(model(), sync(config), &wishes());
    let Payload::Flat { fields } = job.payload else { panic!("flat") };
    assert_eq!(fields, [("workspace_id".into(), "id".into()), ("billing.mrr".into(), "mrr".into())]);
    assert!(imported.notes.lost.iter().any(|note| note.contains("`synced_by` of type `static`")));
    assert!(!imported.text.contains("planted-value"));
}

#[test]
fn models_in_every_form() {
    let sql = |model: Value| {
        let mut base = json!({"name": "Orgs", "primary_key": "id"});
        base.as_object_mut().expect("a table").extend(model.as_object().expect("a table").clone());
        let (job, imported) = import(base, sync(config()), &wishes());
        let Source::Files(files) = job.source else { panic!("not files") };
        (files.query, imported)
    };
    assert_eq!(sql(json!({"raw": {"sql": "SELECT a FROM b"}})).0.as_deref(), Some("SELECT a FROM extract\n"));
    assert_eq!(sql(json!({"table": {"name": "db.orgs"}})).0.as_deref(), Some("SELECT * FROM extract\n"));
    assert_eq!(
        sql(json!({"dbt": {"compiled_sql": "SELECT a FROM b", "raw_sql": "{{x}}"}})).0.as_deref(),
        Some("SELECT a FROM extract\n")
    );
    let (query, imported) = sql(json!({"rawSql": "SELECT a.x\nFROM a JOIN b ON a.x = b.x"}));
    assert_eq!(query, None);
    assert!(imported.text.contains("#   FROM a JOIN b ON a.x = b.x"), "{}", imported.text);
    assert!(imported.notes.todo.iter().any(|note| note.contains("several tables (a, b)")));
    let (query, imported) = sql(json!({"visual": {"parent_id": 1}}));
    assert_eq!((query, imported.notes.lost.len()), (None, 1));
    let volatile = sql(json!({"rawSql": "SELECT id, w.updated_at, not_updated_at FROM w"})).1;
    assert!(
        volatile.notes.todo.iter().any(|note| note.starts_with("updated_at: such a column")),
        "{:?}",
        volatile.notes
    );
}

#[test]
fn an_extract_of_the_result_has_no_query() {
    let wishes = Wishes { is_result: true, adopts: true, source: Some("x/*.parquet".into()), ..wishes() };
    let (job, imported) = import(model(), sync(config()), &wishes);
    let Source::Files(files) = &job.source else { panic!("not files") };
    assert_eq!((files.query.as_deref(), files.written.as_str()), (None, "x/*.parquet"));
    assert_eq!(job.diff.first_run, Baseline::Adopt);
    assert!(imported.text.contains("#   SELECT id, mrr FROM db.orgs"), "{}", imported.text);
}

#[test]
fn files_of_which_no_job_can_be_made() {
    let wishes = wishes();
    let swapped = hightouch(sync(config()), model(), None, &wishes).unwrap_err();
    assert_eq!(swapped, ImportError::Swapped { of: "model", looks: "sync" });
    let keyless = hightouch(json!({"rawSql": "SELECT 1"}), sync(config()), None, &wishes).unwrap_err();
    assert_eq!(keyless, ImportError::NoKey);
    assert_eq!(hightouch(json!([]), json!({}), None, &wishes).unwrap_err(), ImportError::NoTable { of: "model" });
    for text in ["a: [planted-value", "a: 1\na: 2", "{\"a\": planted-value}"] {
        let error = parse("sync", text).unwrap_err().to_string();
        assert!(error.contains("line ") && !error.contains("planted-value"), "{error}");
    }
}

#[test]
fn yaml_and_json_read_alike() {
    let yaml = "rawSql: |\n  SELECT 1\n  FROM x\non: yes\nn: 0x10\nlist:\n  - a: null\n  - 1.5\n";
    let json = json!({"rawSql": "SELECT 1\nFROM x\n", "on": "yes", "n": 16, "list": [{"a": null}, 1.5]});
    assert_eq!(parse("model", yaml), Ok(json.clone()));
    assert_eq!(parse("model", &json.to_string()), Ok(json));
}

#[test]
fn the_name_of_a_job() {
    for (of, name) in [("Workspaces to TrailSpark", "workspaces-to-trailspark"), ("--", "hightouch"), ("a_b", "a-b")] {
        assert_eq!(job_name(of), name);
    }
    assert_eq!(job_name(&"x".repeat(99)).len(), 64);
}

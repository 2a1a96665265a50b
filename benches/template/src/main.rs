//! Bodies a second on one core: `cargo run --release -p nightmark-template-bench [-- SECONDS]`.
//!
//! Each template is compiled once and rendered for the rows of one batch, over and over, on one thread; the best of five
//! stretches counts, since what else the machine does can only slow one down. For the same reason the time is that which the
//! thread was on a processor (Linux; elsewhere the wall's). The bodies are parsed once beforehand.

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use chrono::DateTime;
use nightmark::job::spec::Payload;
use nightmark::row::{Column, Kind, RowRef, Schema};
use nightmark::template::{Meta, Template};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROWS: usize = 4096;

/// The flat body of eight fields, as one writes it in Hightouch's JSON editor.
const FLAT: &str = r#"{
  "workspace_id": "{{ row.workspace_id }}",
  "workspace_name": "{{ row.workspace_name }}",
  "plan_id": "{{ row.plan_id }}",
  "plan_name": "{{ row.plan_name }}",
  "user_count": {{ row.user_count }},
  "mrr": {{ row.mrr }},
  "trial_status": "{{ row.trial_status }}",
  "last_active_at": "{{ row.last_active_at }}"
}"#;

/// The same with what people add: defaults, arithmetic, conditions, a date, a member of a JSON column.
const RICH: &str = r#"{
  "workspace_id": {{ row.workspace_id }},
  "workspace_name": "{{ row.workspace_name | strip | default: "unnamed" }}",
  "plan": {% if row.plan_id == "free" %}null{% else %}"{{ row.plan_id | upcase }}"{% endif %},
  "user_count": {{ row.user_count | default: 0 }},
  "mrr_cents": {{ row.mrr | times: 100 | round }},
  "trial": {{ row.on_trial }},
  "region": "{{ row.flags.region }}",
  "active_on": "{{ row.last_active_at | date: "%Y-%m-%d" }}"
}"#;

/// A list, whose commas make that each body is checked.
const LIST: &str = r#"{
  "workspace_id": "{{ row.workspace_id }}",
  "features": [{% for f in row.flags.features %}"{{ f }}"{% unless forloop.last %},{% endunless %}{% endfor %}]
}"#;

fn batch() -> (Schema, RecordBatch) {
    let rows = || 0..ROWS as i64;
    let text = |of: &dyn Fn(i64) -> String| Arc::new(StringViewArray::from_iter_values(rows().map(of))) as ArrayRef;
    let pick = |of: &'static [&'static str]| {
        Arc::new(StringViewArray::from_iter_values(rows().map(|row| of[row as usize % of.len()]))) as ArrayRef
    };
    let mrr = Decimal128Array::from_iter_values(rows().map(|row| i128::from(row) * 1990));
    let seen = TimestampMicrosecondArray::from_iter_values(rows().map(|row| 1_768_473_000_000_000 + row * 61_001_000));
    let flags = r#"{"features":["sso","audit_log","exports"],"region":"eu"}"#;
    let cells: Vec<(&str, Kind, ArrayRef)> = vec![
        ("workspace_id", Kind::Text, text(&|row| format!("ws_{row:08}"))),
        ("workspace_name", Kind::Text, text(&|row| format!("Acme Workspace {row}"))),
        ("plan_id", Kind::Text, pick(&["free", "pro_annual", "enterprise"])),
        ("plan_name", Kind::Text, pick(&["Free", "Pro Annual", "Enterprise"])),
        ("user_count", Kind::Int, Arc::new(Int64Array::from_iter_values(rows().map(|row| row % 400)))),
        ("mrr", Kind::Decimal { scale: 2 }, Arc::new(mrr.with_precision_and_scale(38, 2).expect("a decimal type"))),
        ("trial_status", Kind::Text, pick(&["active", "expired", "converted"])),
        ("last_active_at", Kind::Timestamp, Arc::new(seen.with_timezone("UTC"))),
        ("on_trial", Kind::Bool, Arc::new(rows().map(|row| Some(row % 3 == 0)).collect::<BooleanArray>())),
        ("flags", Kind::Json, text(&|_| flags.to_owned())),
    ];
    let columns = cells.iter().map(|(name, kind, _)| Column { name: (*name).to_owned(), kind: *kind });
    let schema = Schema { columns: columns.collect() };
    let arrays = cells.into_iter().map(|(_, _, array)| array).collect();
    let batch = RecordBatch::try_new(schema.arrow(), arrays).expect("columns of the schema");
    (schema, batch)
}

fn main() {
    let seconds = std::env::args().nth(1).map_or(2.0, |text| text.parse().expect("a number of seconds"));
    let (schema, batch) = batch();
    let at = DateTime::from_timestamp(1_768_473_000, 0).expect("a time");
    let meta = Meta { job: "orgs", webhook_id: "nm_01JGZ", operation: "changed", at };
    for (name, template) in [("flat, 8 fields", FLAT), ("filters and conditions, 8 fields", RICH), ("a list", LIST)] {
        let payload = Payload::Liquid { template: template.to_owned() };
        let compiled = Template::compile(&payload, &schema, &["workspace_id".to_owned()], &[]);
        let compiled = compiled.unwrap_or_else(|problems| panic!("{problems:#?}"));
        let render = |row| compiled.render(RowRef { schema: &schema, batch: &batch, row }, &meta).expect("a body");
        let bytes: usize = (0..ROWS)
            .map(|row| {
                let body = render(row);
                serde_json::from_str::<serde_json::Value>(&body).expect("JSON");
                body.len()
            })
            .sum();
        let best = (0..5).map(|_| stretch(Duration::from_secs_f64(seconds / 5.0), &render)).fold(0.0, f64::max);
        println!("{name:<34} {best:>10.0} bodies/s  {:>4} bytes each", bytes / ROWS);
    }
}

/// Bodies a second for about this long.
fn stretch(length: Duration, render: &impl Fn(usize) -> String) -> f64 {
    let (start, on_processor) = (Instant::now(), on_processor());
    let mut bodies = 0_usize;
    loop {
        for row in 0..ROWS {
            black_box(render(row));
        }
        bodies += ROWS;
        let taken = start.elapsed();
        if taken >= length {
            let taken = self::on_processor().zip(on_processor).map_or(taken, |(now, then)| now - then);
            return bodies as f64 / taken.as_secs_f64();
        }
    }
}

/// How long this thread has been on a processor.
fn on_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

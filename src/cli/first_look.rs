//! What `preview` shows before a first run, when there is nothing to compare with: columns, the first rows, the key, and columns that move by
//! themselves.

use super::report::{grouped, plural};
use super::table::{shown, table};
use super::{Context, preview, volatile};
use crate::diff::BadKeys;
use crate::job::spec::Job;
use crate::job::units;
use crate::pipeline::{self, Asked, Observed, PipelineError, Survey};
use crate::store::RunStore;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How often the rows are looked at.
#[derive(Debug, Clone, clap::Args)]
pub struct LookArgs {
    /// Look at the first 10,000 rows twice, and name the columns that have changed meanwhile
    #[arg(long)]
    pub twice: bool,
    /// How long to wait between the two looks
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = wait, requires = "twice")]
    pub wait: Duration,
}

fn wait(text: &str) -> Result<Duration, String> {
    units::duration(text).map_err(|fault| match fault.hint {
        Some(hint) => format!("{}: {hint}", fault.message),
        None => fault.message,
    })
}

impl LookArgs {
    /// Waits for the second look, if there is to be one.
    pub async fn between(&self) -> bool {
        if self.twice {
            eprintln!("looking again in {} …", humane(self.wait));
            tokio::time::sleep(self.wait).await;
        }
        self.twice
    }
}

fn humane(wait: Duration) -> String {
    match wait.subsec_millis() {
        0 => format!("{} s", wait.as_secs()),
        _ => format!("{} ms", wait.as_millis()),
    }
}

/// A look, or two.
pub struct FirstLook {
    survey: Survey,
    observed: Option<(Observed, Duration)>,
    is_first: bool,
}

impl FirstLook {
    /// Looks at the job's source. `is_first`: there is no snapshot yet.
    ///
    /// # Errors
    /// A source that cannot be read.
    pub async fn take(
        context: &Context,
        job: &Arc<Job>,
        store: Option<&dyn RunStore>,
        args: &LookArgs,
        is_first: bool,
    ) -> Result<Self, PipelineError> {
        let look = || pipeline::survey_of_job(Arc::clone(job), &context.home, store, &context.clock, Asked::default());
        let survey = look().await?;
        let observed = match args.between().await {
            true => {
                let key: Vec<&str> = job.diff.key.iter().map(String::as_str).collect();
                Some((survey.until(&look().await?, &key), args.wait))
            }
            false => None,
        };
        Ok(FirstLook { survey, observed, is_first })
    }

    /// For people. `keys`: what is wrong with the keys of the whole extract; `rows`: of it, where it could be read to its end.
    pub fn print(&self, job: &Job, keys: &BadKeys, rows: Option<u64>) {
        if self.is_first {
            crate::say!("{}: there is no snapshot yet, so that this would be the first run\n", job.name);
        }
        let mut columns = table(&["column", "type", "purpose"]);
        for column in &self.survey.columns {
            columns.add_row([shown(&column.name), column.kind.to_string(), column.purpose.to_owned()]);
        }
        crate::say!("{}\n", columns.trim_fmt());
        if !self.survey.first.is_empty() {
            crate::say!("{}\n", self.rows().trim_fmt());
        }
        key_lines(job, keys, rows).iter().for_each(|line| crate::say!("{}", shown(line)));
        self.volatile_lines(job).iter().for_each(|line| crate::say!("{}", shown(line)));
        crate::say!("");
    }

    fn rows(&self) -> comfy_table::Table {
        let names: Vec<String> = self.survey.columns.iter().map(|column| shown(&column.name)).collect();
        let mut rows = table(&names.iter().map(String::as_str).collect::<Vec<_>>());
        // Names as they are: they are case-sensitive.
        rows.set_header(names);
        for row in &self.survey.first {
            rows.add_row(row.iter().map(|value| match value.as_deref() {
                None => "NULL".to_owned(),
                Some("") => "\"\"".to_owned(),
                Some(text) => preview::cut(&shown(text), 60),
            }));
        }
        rows
    }

    fn volatile_lines(&self, job: &Job) -> Vec<String> {
        let suspects = volatile::suspects(job, &self.survey, self.observed.as_ref().map(|(observed, _)| observed));
        let mut lines: Vec<String> = suspects.iter().map(|suspect| format!("column {}", suspect.text())).collect();
        lines.push(match &self.observed {
            Some((observed, wait)) => {
                format!("looked at {} twice, {} apart", plural(observed.orgs, "org"), humane(*wait))
            }
            None => {
                "which columns move by themselves shows --twice: it looks at the rows again a minute later".to_owned()
            }
        });
        lines
    }

    /// The object `sample` of `--json`.
    pub fn json(&self, job: &Job, keys: &BadKeys) -> Value {
        let columns = &self.survey.columns;
        let described =
            columns.iter().map(|c| json!({ "name": c.name, "type": c.kind.to_string(), "purpose": c.purpose }));
        let rows = self.survey.first.iter().map(|row| {
            let values = columns.iter().zip(row).map(|(column, value)| (column.name.clone(), json!(value)));
            Value::Object(values.collect::<Map<_, _>>())
        });
        let suspects = volatile::suspects(job, &self.survey, self.observed.as_ref().map(|(observed, _)| observed));
        json!({
            "columns": described.collect::<Value>(),
            "rows": rows.collect::<Value>(),
            "key": {
                "columns": job.diff.key,
                "bad": keys.count,
                "missing": keys.keyless,
                "duplicate": keys.count - keys.keyless,
                "listed": keys.listed.iter().map(ToString::to_string).collect::<Vec<_>>(),
            },
            "volatile": suspects.iter().map(volatile::Suspect::json).collect::<Value>(),
            "looked_twice": self.observed.as_ref().map(|(observed, wait)| {
                json!({ "orgs": observed.orgs, "wait_ms": u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) })
            }),
        })
    }
}

/// Whether the key is one.
fn key_lines(job: &Job, keys: &BadKeys, rows: Option<u64>) -> Vec<String> {
    let key = job.diff.key.join(", ");
    if keys.count == 0 {
        let of = rows.map_or_else(String::new, |rows| format!(" of {}", plural(rows, "row")));
        return vec![format!("key {key}: none{of} is NULL or empty, none stands twice")];
    }
    let mut lines = vec![format!(
        "key {key}: {} NULL or empty, {} in several rows",
        match keys.keyless {
            1 => "1 is".to_owned(),
            n => format!("{} are", grouped(n)),
        },
        match keys.count - keys.keyless {
            1 => "1 stands".to_owned(),
            n => format!("{} stand", grouped(n)),
        }
    )];
    lines.extend(keys.listed.iter().map(|bad| format!("  {bad}")));
    let more = keys.count - keys.listed.len() as u64;
    lines.extend((more > 0).then(|| format!("  … and {} more", grouped(more))));
    lines
}

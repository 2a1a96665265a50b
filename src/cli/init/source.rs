//! The `[source]` of a job, by questions. Each kind is a few of them; what they become is judged as any job file is.

use super::ask::Asker;
use crate::import::toml::quoted;
use crate::job::{self, spec};
use anyhow::bail;
use std::path::Path;

/// Arguments that say where rows come from.
#[derive(Debug, Clone, clap::Args)]
pub struct SourceArgs {
    /// Where the orgs are: files, postgres, mysql, sqlite or adbc
    #[arg(long, value_name = "KIND")]
    source: Option<String>,
    /// files: a file or a glob such as 'data/orgs_*.csv'; sqlite: the file
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// files: csv, tsv, parquet or ndjson, where the name does not say it
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// postgres, mysql: the database, such as 'postgres://nightmark:${PG_PASSWORD}@db.example/crm'
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// adbc: the driver, such as snowflake, or the path of its library
    #[arg(long, value_name = "DRIVER")]
    driver: Option<String>,
    /// adbc: an option of the driver; files at a distance: a setting such as aws_region=eu-central-1; several times
    #[arg(long = "option", value_name = "NAME=VALUE")]
    options: Vec<String>,
    /// A table or view with one row per org, such as public.orgs
    #[arg(long, value_name = "TABLE", conflicts_with_all = ["query", "query_file"])]
    table: Option<String>,
    /// A query with one row per org
    #[arg(long, value_name = "SQL", conflicts_with = "query_file")]
    query: Option<String>,
    /// A file with such a query
    #[arg(long, value_name = "FILE")]
    query_file: Option<String>,
}

/// The kinds that this program knows, of those that there are questions for.
fn kinds() -> Vec<&'static str> {
    let schema = job::job_schema().to_string();
    let known = |kind: &&str| schema.contains(&format!("\"const\":\"{kind}\""));
    ["files", "postgres", "mysql", "sqlite", "adbc"].into_iter().filter(known).collect()
}

/// The lines of `[source]` in order, `FIELD = VALUE` each; whatever is missing is noted by the asker.
pub(super) fn lines(asker: &mut Asker, args: &SourceArgs) -> anyhow::Result<Vec<String>> {
    let kind = asker.choice("--source", "where are the orgs?", args.source.as_deref(), &kinds())?;
    refuse_strangers(&kind, args)?;
    let mut lines = vec![format!("kind = {}", quoted(&kind))];
    let mut field = |name: &str, value: &str| lines.push(format!("{name} = {}", quoted(value)));
    match kind.as_str() {
        "files" => {
            let question = "path of the file, or a glob such as data/orgs_*.csv";
            let path = asker.text("--path", question, args.path.as_deref(), None)?;
            field("path", &path);
            if let Some(format) = &args.format {
                field("format", format);
            }
            if let Some(query) = &args.query {
                field("query", query);
            }
            if path.contains("://") {
                lines.extend(options(asker, args, "a setting of the place, such as aws_region=eu-central-1,")?);
            } else if !args.options.is_empty() {
                bail!("--option is for files at a distance, and {path} is on this machine");
            }
        }
        "postgres" | "mysql" => {
            let question = "address of the database; a password stands in it as ${NAME}";
            field("url", &asker.text("--database", question, args.database.as_deref(), None)?);
        }
        "sqlite" => field("path", &asker.text("--path", "path of the database", args.path.as_deref(), None)?),
        "adbc" => {
            let question = "driver, such as snowflake, or the path of its library";
            field("driver", &asker.text("--driver", question, args.driver.as_deref(), None)?);
            lines.extend(options(asker, args, "an option of the driver")?);
        }
        // It was not said, which the asker has noted.
        _ => {}
    }
    if !matches!(kind.as_str(), "" | "files") {
        lines.push(rows(asker, args)?);
    }
    Ok(lines)
}

/// Arguments that would silently do nothing.
fn refuse_strangers(kind: &str, args: &SourceArgs) -> anyhow::Result<()> {
    let given = [
        ("--path", args.path.is_some()),
        ("--format", args.format.is_some()),
        ("--database", args.database.is_some()),
        ("--driver", args.driver.is_some()),
        ("--option", !args.options.is_empty()),
        ("--table", args.table.is_some()),
        ("--query", args.query.is_some()),
        ("--query-file", args.query_file.is_some()),
    ];
    let taken: &[&str] = match kind {
        "files" => &["--path", "--format", "--query", "--option"],
        "postgres" | "mysql" => &["--database", "--table", "--query", "--query-file"],
        "sqlite" => &["--path", "--table", "--query", "--query-file"],
        "adbc" => &["--driver", "--option", "--table", "--query", "--query-file"],
        // It was not said, which the asker has noted.
        _ => return Ok(()),
    };
    let strange = given.iter().filter(|(flag, is_given)| *is_given && !taken.contains(flag)).map(|(flag, _)| *flag);
    match strange.collect::<Vec<_>>().as_slice() {
        [] => Ok(()),
        strange => bail!("--source {kind} takes no {}: it takes {}", strange.join(", "), taken.join(", ")),
    }
}

/// The options, one after the other. `what`: what one of them is.
fn options(asker: &mut Asker, args: &SourceArgs, what: &str) -> anyhow::Result<Option<String>> {
    let mut given = args.options.clone();
    while args.options.is_empty() && asker.has_terminal() {
        let question = format!("{what} as NAME=VALUE, secrets as ${{NAME}} (nothing: no more)");
        match asker.text("--option", &question, None, Some(""))? {
            none if none.is_empty() => break,
            option => given.push(option),
        }
    }
    let mut pairs = Vec::new();
    for option in &given {
        match option.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                pairs.push(format!("{} = {}", quoted(name.trim()), quoted(value.trim())))
            }
            // What follows may be a secret.
            _ => bail!("--option: expected NAME=VALUE, such as 'uri=file.db'"),
        }
    }
    Ok((!pairs.is_empty()).then(|| format!("options = {{ {} }}", pairs.join(", "))))
}

/// Which rows of a database.
fn rows(asker: &mut Asker, args: &SourceArgs) -> anyhow::Result<String> {
    if let Some(query) = &args.query {
        return Ok(format!("query = {}", quoted(query)));
    }
    if let Some(file) = &args.query_file {
        return Ok(format!("query_file = {}", quoted(file)));
    }
    let question =
        "table or view with one row per org, such as public.orgs; or a query that begins with SELECT or WITH";
    let answer = asker.text("--table, --query or --query-file", question, args.table.as_deref(), None)?;
    let first = answer.split_whitespace().next().unwrap_or_default();
    let is_query = first.eq_ignore_ascii_case("select") || first.eq_ignore_ascii_case("with");
    Ok(format!("{} = {}", if is_query && args.table.is_none() { "query" } else { "table" }, quoted(&answer)))
}

/// The source that these lines are, in a job that is made up around them.
///
/// # Errors
/// Everything that a job file with these lines would be refused for.
pub(super) fn parse(lines: &[String], home: &Path) -> anyhow::Result<spec::Source> {
    let text = format!(
        "version = 1\nname = \"init\"\n[source]\n{}\n[diff]\nkey = \"id\"\n[destination]\nkind = \"http\"\nurl = \"http://localhost/\"\n[payload]\npreset = \
         \"flat\"\n",
        lines.join("\n")
    );
    match job::parse(&text, Path::new("init"), home) {
        Ok(job) => Ok(job.source),
        Err(problems) => {
            let told = problems.iter().map(|problem| {
                let hint = problem.hint.as_ref().map(|hint| format!("\n    hint: {hint}")).unwrap_or_default();
                format!("  {}: {}{hint}", problem.path, problem.message)
            });
            bail!("no source can be made of this:\n{}", told.collect::<Vec<_>>().join("\n"))
        }
    }
}

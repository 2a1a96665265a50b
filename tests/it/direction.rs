//! The rules of direction, read from the imports (docs/ARCHITECTURE.md, "Who may import whom").

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What each top-level module may import of the crate. A module that is not listed fails the test.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("row", &[]),
    ("clock", &[]),
    ("failpoint", &[]),
    ("metrics", &["receipt"]),
    ("spans", &[]),
    ("receipt", &[]),
    ("mapping", &[]),
    ("config", &["job"]),
    ("import", &["job"]),
    ("job", &["config", "mapping", "row"]),
    ("lease", &["clock", "store"]),
    ("objects", &[]),
    ("source", &["config", "job", "objects", "row", "spans"]),
    ("normalise", &["row", "source"]),
    ("diff", &["job", "row"]),
    ("guard", &["job"]),
    ("snapshot", &["diff", "job", "normalise", "objects", "receipt", "row"]),
    ("template", &["job", "mapping", "row"]),
    ("deliver", &["clock", "job", "metrics", "receipt", "spans"]),
    ("store", &["mapping", "receipt"]),
    ("export", &["job", "row"]),
    ("telemetry", &["clock", "config", "metrics", "receipt", "spans", "store"]),
    ("server", &["clock", "metrics"]),
    ("receiver", &["clock", "job", "mapping", "metrics", "server", "store"]),
    ("web", &["clock", "daemon", "mapping", "metrics", "receiver", "server", "store"]),
    (
        "pipeline",
        &[
            "clock",
            "config",
            "deliver",
            "diff",
            "guard",
            "job",
            "lease",
            "mapping",
            "metrics",
            "normalise",
            "objects",
            "receipt",
            "row",
            "snapshot",
            "source",
            "spans",
            "store",
            "template",
        ],
    ),
    ("alerts", &["clock", "config", "job", "lease", "metrics", "receipt", "store"]),
    ("doctor", &["clock", "config", "job", "pipeline", "server", "snapshot", "source", "store"]),
    ("daemon", &["alerts", "clock", "job", "lease", "metrics", "pipeline", "receipt", "snapshot", "store"]),
    ("cli", &["*"]),
    ("lib", &["*"]),
    ("main", &["*"]),
];

/// Places without IO, time or randomness, and what gives those away.
const PURE: &[&str] = &[
    "row",
    "import",
    "mapping",
    "normalise",
    "diff",
    "guard",
    "template",
    "receipt",
    "source/pick",
    "store/orgs",
    "job/lexis.rs",
    "job/raw",
    "job/redact.rs",
    "job/spec",
    "job/spell.rs",
    "job/templated.rs",
    "source/adbc/columns/types.rs",
    "daemon/due.rs",
    "daemon/fires",
    "deliver/encode.rs",
    "deliver/grants.rs",
    "deliver/limits/breaker.rs",
    "deliver/limits/budget.rs",
    "deliver/limits/concurrency.rs",
    "deliver/limits/latency.rs",
    "deliver/limits/rate.rs",
    "deliver/limits/report.rs",
    "alerts/condition.rs",
    "alerts/condition/delivery.rs",
    "alerts/condition/runs.rs",
    "alerts/message.rs",
    "deliver/limits/window.rs",
    "deliver/parcel.rs",
    "deliver/remedy.rs",
    "deliver/retry.rs",
    "deliver/sign.rs",
    "deliver/verdict.rs",
];
const IMPURE: &[&str] = &[
    "tokio",
    "sqlx",
    "reqwest",
    "axum",
    "polars",
    "std::fs",
    "std::env",
    "std::net",
    "SystemTime",
    "Instant::now",
    "Utc::now",
    "Local::now",
    "rand::",
];

/// Only these folders may name these crates.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("adbc_core", &["source/adbc"]),
    ("adbc_driver_manager", &["source/adbc"]),
    ("polars", &["source/files"]),
    ("prometheus_client", &["telemetry/prometheus"]),
    ("object_store", &["objects", "source/remote/bucket.rs"]),
    ("opentelemetry", &["telemetry/traces.rs"]),
    ("opentelemetry_otlp", &["telemetry/traces.rs"]),
    ("opentelemetry_sdk", &["telemetry/traces.rs"]),
    ("lettre", &["alerts/email.rs", "config/alerts.rs"]),
    ("reqwest", &["alerts", "deliver", "objects/client.rs", "telemetry/traces.rs"]),
    ("russh", &["source/remote/sftp"]),
    ("russh_sftp", &["source/remote/sftp"]),
    ("sqlx", &["store/sqlite", "store/postgres", "store/database.rs", "store/schema.rs", "source/sql"]),
    ("axum", &["receiver", "server", "web"]),
    ("hyper", &["server"]),
    ("tokio_rustls", &["server"]),
    ("Utc::now", &["clock.rs"]),
];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, out) } else { out.push(path) }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    files.sort();
    let rust = files.into_iter().filter(|f| f.extension().is_some_and(|e| e == "rs"));
    rust.map(|f| (f.strip_prefix(&root).unwrap().to_owned(), code_of(&std::fs::read_to_string(&f).unwrap()))).collect()
}

/// The file without comments and without its tests, which may use anything.
fn code_of(text: &str) -> String {
    // A module in place ends the code; `#[cfg(test)] mod tests;` names another file and ends nothing.
    let ends = |at: usize| {
        let rest = text[at..].trim_start_matches("#[cfg(test)]").trim_start();
        rest.starts_with("mod ") && rest.lines().next().is_some_and(|line| line.trim_end().ends_with('{'))
    };
    let end = text.match_indices("#[cfg(test)]").map(|(at, _)| at).find(|&at| ends(at)).unwrap_or(text.len());
    let lines = text[..end].lines().map(|l| if l.trim_start().starts_with("//") { "" } else { l });
    lines.collect::<Vec<_>>().join("\n")
}

fn is_test(file: &Path) -> bool {
    let name = file.file_name().unwrap().to_string_lossy();
    name == "tests.rs" || file.components().any(|c| c.as_os_str() == "tests")
}

fn module_of(file: &Path) -> String {
    let first = file.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The names behind `crate::`, also those in `use crate::{a, b}`.
fn imports(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let boundary = code[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '$');
        let rest = &code[at + "crate::".len()..];
        if !boundary {
            continue;
        }
        let listed: Vec<&str> = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![rest],
        };
        let word = |s: &str| s.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        names.extend(listed.into_iter().map(word).filter(|n| !n.is_empty()));
    }
    names
}

#[test]
fn imports_point_one_way() {
    let rules: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    let mut wrong = Vec::new();
    for (file, code) in sources().into_iter().filter(|(f, _)| !is_test(f)) {
        let module = module_of(&file);
        let Some(allowed) = rules.get(module.as_str()) else {
            wrong.push(format!("{}: module `{module}` has no rule", file.display()));
            continue;
        };
        for name in imports(&code) {
            if name != module && !allowed.contains(&"*") && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{}: `{module}` may not import `{name}`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_pure_core_does_no_io() {
    let mut wrong = Vec::new();
    for (file, code) in sources().into_iter().filter(|(f, _)| !is_test(f)) {
        let path = file.to_string_lossy();
        for impure in IMPURE.iter().filter(|_| PURE.iter().any(|p| path.starts_with(p))) {
            if code.contains(impure) {
                wrong.push(format!("{path}: pure, and names `{impure}`"));
            }
        }
        for (name, folders) in ONLY_IN {
            let pattern = if name.contains("::") { (*name).to_owned() } else { format!("{name}::") };
            let allowed = folders.iter().any(|f| path.starts_with(f));
            if !allowed && names(&code, &pattern) {
                wrong.push(format!("{path}: only {} may name `{name}`", folders.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether `pattern` stands in the code at the beginning of a word.
fn names(code: &str, pattern: &str) -> bool {
    code.match_indices(pattern)
        .any(|(at, _)| code[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':'))
}

#[test]
fn the_rules_can_fail() {
    assert_eq!(
        imports("use crate::store::X; fn f() { crate::row::y(); } use crate::{a::B, c};"),
        ["store", "row", "a", "c"]
    );
    assert!(names("let x = sqlx::query(\"\");", "sqlx::") && !names("my_sqlx::query", "sqlx::"));
    assert_eq!(code_of("// tokio\nfn a() {}\n#[cfg(test)]\nmod tests {\nuse tokio;").trim(), "fn a() {}");
    assert!(code_of("#[cfg(test)]\nmod tests;\nuse tokio;").contains("tokio"));
}

#[test]
fn every_folder_opens_with_its_contract() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut checked = 0;
    for (file, _) in sources() {
        if file.file_name().unwrap() != "mod.rs" || file.components().count() != 2 {
            continue;
        }
        let text = std::fs::read_to_string(root.join(&file)).unwrap();
        let header: String = text.lines().take_while(|l| l.starts_with("//!")).collect::<Vec<_>>().join("\n");
        for word in ["In", "Out", "Always holds", "Deliberately absent"] {
            let said = header.contains(word) || (word == "Out" && header.contains("out:"));
            assert!(said, "src/{}: the contract does not say `{word}`", file.display());
        }
        checked += 1;
    }
    assert!(checked > 10);
}
